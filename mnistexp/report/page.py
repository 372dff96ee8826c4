"""The content of a report, independent of its format: runs, sections and blocks."""

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from mnistexp.config import shown
from mnistexp.runs.summary import is_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 500
DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Paragraph:
    """A few sentences: plain text, the `answer` to the section's question, or a `warning`."""

    text: str
    kind: Literal["answer", "plain", "warning"] = "plain"


@dataclass(frozen=True)
class Fact:
    """One main number with its label and a note."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """The text of a table cell, and the number to sort by; None for text."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first cell of a row is its heading.

    `folded`: collapsed at first. `marked`: the highlighted rows, from 0. `more`: the text below the table.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False
    marked: frozenset[int] = frozenset()
    more: str = ""

    @property
    def is_sortable(self) -> bool:
        """Whether sorting helps: there are several rows, and a column beside the first holds nothing but numbers."""
        columns = list(zip(*self.rows, strict=True))[1:]
        return len(self.rows) > 3 and any(all(cell.number is not None for cell in column) for column in columns)

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers."""
        return any(row[column].number is not None for row in self.rows)


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, or the bytes of a PNG, with a title and a text alternative."""

    title: str
    description: str
    drawing: "Figure | bytes"


@dataclass(frozen=True)
class Code:
    """Preformatted text, collapsed at first."""

    title: str
    text: str


Block = Paragraph | Table | Picture | Code


class Section:
    """A question and its answer."""

    def __init__(self, heading: str, *blocks: Block) -> None:
        self.heading, self.blocks = heading, blocks


@dataclass(frozen=True, eq=False)
class Story:
    """What the metrics of a run tell, on its page, in Markdown and on the terminal alike.

    `headline` is the main result, `lead` explains it, `facts` stand side by side below it. `answers`: what the terminal
    shows below these, and the page in its sections.
    """

    kind: str
    headline: str
    lead: str
    facts: tuple[Fact, ...] = ()
    answers: tuple[Block, ...] = ()


@dataclass(frozen=True, eq=False)
class RunReport:
    """The report of one run."""

    id: str
    story: Story
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, eq=False)
class Page:
    """A report of one run or of several."""

    runs: tuple[RunReport, ...]
    comparison: Section | None = None

    @property
    def title(self) -> str:
        """The headline of a single run, or the number of runs."""
        return self.runs[0].story.headline if len(self.runs) == 1 else f"{len(self.runs)} runs side by side"


def number(value: float | None, spec: str = "") -> Cell:
    """A formatted number; a dash for None and for one that is not finite."""
    return Cell(DASH) if value is None or not isfinite(value) else Cell(format(value, spec), float(value))


def cell_of(value: Any) -> Cell:
    """The value of a setting or a metric as `shown.value` writes it, sorted by where it is a number."""
    return Cell(shown.value(value), float(value) if is_number(value) else None)


def percent(value: float | None) -> Cell:
    """A share in per cent with one decimal; a dash for None and for one that is not finite."""
    return Cell(DASH) if value is None or not isfinite(value) else Cell(shown.percent(value), 100 * value)


def points(better: float, other: float) -> Cell:
    """The difference of two shares in percentage points, after rounding both as they are shown."""
    difference = shown.signed_points(better, other)
    return Cell(f"{difference:.1f}", difference)


def thinned(count: int, most: int = MOST_ROWS) -> list[int]:
    """Evenly spaced numbers from 0 up to `count`, at most so many, including the first and the last."""
    if count <= most:
        return list(range(count))
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)})
