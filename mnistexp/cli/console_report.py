"""The parts of a report for a terminal. Nothing here prints."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

from mnistexp.cli.console import plain_table
from mnistexp.cli.printable import one_line

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.report.page import Block, Story, Table
    from mnistexp.runs.results import Outcome
    from mnistexp.runs.stored_runs import StoredRun


CUT = ("folds", "run")
"""Columns that give way on a narrow terminal."""
PICTURES = 8
PICTURE_WIDTH = 18
STYLES = {"answer": "", "plain": "", "warning": "yellow"}


def answer(outcome: "Outcome") -> Iterator[RenderableType]:
    """The result of a command as its report begins: a panel with the answer, then sentences, tables, the run folder."""
    from mnistexp.report.kinds import KINDS

    story = KINDS[outcome.metrics["command"]].story(outcome.metrics)
    yield panel(story)
    yield from blocks(story.answers)
    yield Text.assemble(("Run folder    ", "bold"), str(outcome.run_dir))


def headline(stored: "StoredRun") -> Iterator[RenderableType]:
    """The panel of a stored run; nothing for a run without results, or of another version."""
    from mnistexp.report.kinds import KINDS

    if stored.metrics and stored.command in KINDS:
        with suppress(LookupError, TypeError, ValueError):
            yield panel(KINDS[stored.command].story(stored.metrics))


def panel(story: "Story") -> RenderableType:
    """The headline of a story, its lead and its main numbers."""
    parts: list[Text | RichTable] = [Text(story.headline, style="bold green"), *filter(None, [Text(story.lead)])]
    if story.facts:
        facts = RichTable.grid(padding=(0, 2))
        for fact in story.facts:
            facts.add_row(fact.label, Text(fact.value, style="bold"), fact.note)
        parts += [Text(), facts]
    return _Panel(Group(*parts))


class _Panel:
    """Framed on a terminal, and bare elsewhere, where output may be as wide as it likes."""

    def __init__(self, content: Group) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Panel(self._content, expand=False, border_style="dim") if console.is_terminal else self._content


def blocks(found: "Iterable[Block]") -> Iterator[RenderableType]:
    """Paragraphs and tables; figures, code and folded tables are left to the page."""
    from mnistexp.report.page import Paragraph, Table

    for block in found:
        if isinstance(block, Paragraph):
            yield Text(f"{'Note: ' * (block.kind == 'warning')}{block.text}", style=STYLES[block.kind])
        elif isinstance(block, Table) and not block.folded:
            yield Text(f"\n{block.title}", style="bold")
            yield from table(block)


def table(block: "Table") -> Iterator[RenderableType]:
    """A table, then the text below it."""
    yield _rows(block)
    if block.more:
        yield Text(block.more, style="dim")


def _rows(block: "Table") -> RichTable:
    found = plain_table(*block.headings)
    for place, column in enumerate(found.columns):
        column.justify = "right" if block.is_numeric(place) else "left"
        column.no_wrap = block.is_numeric(place) or column.header in CUT
        if column.header in CUT:
            column.overflow = "ellipsis"
    for number, row in enumerate(block.rows):
        found.add_row(*(Text(one_line(cell.text)) for cell in row), style="bold" if number in block.marked else None)
    return found


def classes_report(stored: "StoredRun", width: int | None, *, unicode: bool) -> Iterator[RenderableType]:
    """What a training's saved model misreads, with pictures if `width` columns are given, and each class's scores."""
    from mnistexp.figures.drawings import side_by_side, terminal_digit
    from mnistexp.report import tested

    if misread := tested.misread(stored):
        yield Text(f"\n{tested.MISREAD}", style="bold")
        yield Text(misread.sentence)
        if width:
            pictures = [
                terminal_digit(image, PICTURE_WIDTH, unicode=unicode) + _captions(words)
                for image, words in zip(misread.images[:PICTURES], misread.captions, strict=False)
            ]
            yield from map(Text, side_by_side(pictures, width))
        elif misread.table:
            yield from table(misread.table)
    whose = ", of the saved model" if "repeats" in (stored.metrics or {}) else ""
    yield from blocks([tested.class_table(*tested.confusions(stored), whose)])


def _captions(words: Sequence[str]) -> list[str]:
    """Two lines under a picture, then an empty one."""
    return [line[:PICTURE_WIDTH].ljust(PICTURE_WIDTH) for line in (*words, "")]
