"""Reports: from run folders to one page, and from the page to a file. They depend on the folders only.

page.py       the parts of a page; a story is what the terminal shows too
kinds.py      run folder -> story and sections, of each kind of run: training.py, sweep.py, best.py, reproduce.py,
                     evaluation.py and examples.py; tested.py and trials.py have what they share, origin.py the
                     parts that all runs have
svg.py        figure -> SVG for a page, and its values for the pointer
html.py       page -> HTML (templates/); also markdown.py, pdf.py, notebook.py
"""

from collections.abc import Sequence
from pathlib import Path

from mnistexp.errors import BadInput, RunError, nearest
from mnistexp.figures import plots
from mnistexp.report.html import page_to_html
from mnistexp.report.kinds import KINDS
from mnistexp.report.markdown import page_to_markdown
from mnistexp.report.notebook import page_to_notebook
from mnistexp.report.origin import any_sections, how_it_was_made, standing
from mnistexp.report.page import DASH, Block, Cell, Page, Paragraph, Picture, RunReport, Section, Story, Table
from mnistexp.report.pdf import page_to_pdf
from mnistexp.runs import files
from mnistexp.runs.layout import Kind
from mnistexp.runs.paired import compare_with_first
from mnistexp.runs.run_folder import add_file
from mnistexp.runs.stored_runs import StoredRun

FORMATS = ("html", "md", "pdf", "ipynb")


def write_report(runs: Sequence[StoredRun], format: str | None = None, output: Path | None = None) -> Path:  # noqa: A002
    """Write a report of one run or several, whole or not at all, and return the path of its file.

    `format` is html, md, pdf or ipynb; None takes it from the ending of `output`, html by default. Without `output`
    the report of one run is written into its folder, as `report.html`. The same runs give the same bytes. Raises
    `BadInput` for an unknown format or ending, a missing extra, or several runs without output; `RunError` if a run is
    damaged or a file can't be written.
    """
    chosen = _format(format, output)
    if output is None and len(runs) != 1:
        raise BadInput("a report of several runs needs a file to write to: --output FILE")
    if output is not None and files.is_folder(output):
        raise BadInput(f"--output {output} is a folder, allowed: the name of a file")
    name = output.name if output else f"report.{chosen}"
    contents = _contents(runs, chosen, f"{Path(name).stem}_files")
    if output is None:
        for file, content in contents.items():
            add_file(runs[0].path, file or name, content)
        return runs[0].path / name
    for file, content in contents.items():
        place = output.with_name(name) if not file else output.parent / file
        if file:
            files.make_folder(place.parent)
        files.write_bytes(place, content)
    return output


def read_page(runs: Sequence[StoredRun]) -> Page:
    """The report of some runs. Raises RunError if a file is missing or damaged."""
    reports = tuple(_report(run) for run in runs)
    return Page(reports, _comparison(reports, runs) if len(runs) > 1 else None)


def _comparison(reports: Sequence[RunReport], runs: Sequence[StoredRun]) -> Section:
    """The facts of all runs in one table, the curves in one figure, and trainings against the first one."""
    told = [{fact.label.removeprefix("mean "): fact.value for fact in run.story.facts} for run in reports]
    labels = list(dict.fromkeys(label for facts in told for label in facts))
    rows = []
    for number, (report, facts) in enumerate(zip(reports, told, strict=True), start=1):
        rows.append((Cell(f"{number}: {report.id}"), *(Cell(facts.get(label, DASH)) for label in labels)))
    blocks: list[Block] = []
    tested = [run for run in runs if run.command in (Kind.TRAIN, Kind.BEST) and run.metrics]
    if len(tested) > 1:
        answers = compare_with_first(tested)
        first = tested[0].id
        blocks += [Paragraph(f"{one.second} against {first}: {one.sentence}", "answer") for one in answers]
    blocks.append(Table("The runs side by side", ("run", *labels), tuple(rows)))
    curves = {run.id: run.histories for run in tested if run.histories}
    if len(curves) > 1:
        said = f"Loss and accuracy of {len(curves)} runs over the epochs; for repeated trainings, their mean."
        blocks.append(Picture("Learning curves of the runs", said, plots.learning_curves(curves)))
    return Section("How do the runs compare?", *blocks)


def _report(run: StoredRun) -> RunReport:
    found, kind = run.metrics or {}, KINDS.get(run.command)
    try:
        # Earlier versions of `best` chose from the newest sweeps alone, and told other things.
        if not found or kind is None or "chosen" not in found.get("choice", ("chosen",)):
            story = Story(run.command, f"{run.command}: {run.name}", "" if found else "No results yet.")
            first, *others = any_sections(run)
        else:
            story, (first, *others) = kind.story(found), kind.sections(run)
        first = Section(first.heading, *standing(run), *first.blocks)
        return RunReport(run.id, story, (first, *others, how_it_was_made(run)))
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        raise RunError(f"{run.path} is damaged or of another version: {type(error).__name__}: {error}") from error


def _format(format: str | None, output: Path | None) -> str:  # noqa: A002
    if format is not None:
        if format not in FORMATS:
            raise BadInput(f"--format {format!r}, allowed: {', '.join(FORMATS)}{nearest(format, FORMATS)}")
        return format
    ending = output.suffix.removeprefix(".").lower() if output else "html"
    if ending and ending not in FORMATS:
        raise BadInput(f"--output {output} has an unknown ending, allowed: .{', .'.join(FORMATS)}, or give --format")
    return ending or "html"


def _contents(runs: Sequence[StoredRun], format: str, folder: str) -> dict[str, bytes]:  # noqa: A002
    """The report under the name "", and its other files under their names."""
    page = read_page(runs)
    if format == "html":
        return {"": page_to_html(page).encode("utf-8", "backslashreplace")}
    if format == "md":
        return page_to_markdown(page, folder)
    if format == "pdf":
        return {"": page_to_pdf(page, created=max(run.started for run in runs))}
    return {"": page_to_notebook(page, list(runs))}
