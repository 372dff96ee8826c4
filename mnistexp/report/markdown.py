"""A report as Markdown, with its figures as PNG files."""

import re
from collections.abc import Iterator

from mnistexp.figures.style import render
from mnistexp.report.page import Block, Code, Page, Paragraph, Picture, RunReport, Section, Table
from mnistexp.runs import export

START = re.compile(r"^([-+#=]|\d+(?=[.)](?:\s|$)))")


def page_to_markdown(page: Page, folder: str) -> dict[str, bytes]:
    """The text under the name "", and figures under names such as `report_files/1-loss-over-the-epochs.png`.

    Every value is escaped, so that none becomes a heading, a link or HTML. The same page gives the same bytes.
    """
    files: dict[str, bytes] = {}
    lines = [] if len(page.runs) == 1 else [f"# {escaped(page.title)}", ""]
    if page.comparison:
        lines += section_lines(page.comparison, 2, folder, files)
    for run in page.runs:
        lines += _run(run, 1 if len(page.runs) == 1 else 2, folder, files)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
    return {"": text.encode("utf-8", "backslashreplace")} | files


def escaped(text: str) -> str:
    """Text escaped for Markdown, on one line."""
    return START.sub(_harmless, export.escaped(text))


def _harmless(start: re.Match[str]) -> str:
    """The start of a list or heading, escaped."""
    return f"{start[0]}\\" if start[0].isdigit() else f"\\{start[0]}"


def _run(run: RunReport, level: int, folder: str, files: dict[str, bytes]) -> Iterator[str]:
    yield from (f"{'#' * level} {escaped(run.story.headline)}", "", escaped(run.story.lead), "")
    for fact in run.story.facts:
        yield f"- {escaped(fact.label)}: **{escaped(fact.value)}**" + (f" ({escaped(fact.note)})" * bool(fact.note))
    yield ""
    for section in run.sections:
        yield from section_lines(section, level + 1, folder, files)


def section_lines(section: Section, level: int, folder: str, files: dict[str, bytes]) -> Iterator[str]:
    """A section's lines; its figures are added to `files` under names in `folder`."""
    yield from (f"{'#' * level} {escaped(section.heading)}", "")
    for block in section.blocks:
        yield from _block(block, folder, files)


def _block(block: Block, folder: str, files: dict[str, bytes]) -> Iterator[str]:
    if isinstance(block, Paragraph):
        note = "> **Note:** " if block.kind == "warning" else ""
        yield from (note + escaped(block.text), "")
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Picture):
        name = f"{folder}/{len(files) + 1}-{re.sub('[^a-z0-9]+', '-', block.title.lower()).strip('-')}.png"
        files[name] = block.drawing if isinstance(block.drawing, bytes) else render(block.drawing, "png")
        yield from (f"![{escaped(block.description)}](<{name}>)", "")
    elif isinstance(block, Code):
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", block.text))])
        yield from (f"**{escaped(block.title)}**", "", f"{fence}text", block.text.rstrip("\n"), fence, "")


def _table(table: Table) -> Iterator[str]:
    yield from (f"**{escaped(table.title)}**", "")
    yield f"| {' | '.join(map(escaped, table.headings))} |"
    yield f"|{'|'.join('---:' if table.is_numeric(column) else '---' for column in range(len(table.headings)))}|"
    for row in table.rows:
        yield f"| {' | '.join(escaped(cell.text) for cell in row)} |"
    yield from ("", escaped(table.more), "")
