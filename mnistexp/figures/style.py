"""The style of all figures, the records that a page's pointer reads from them, and `render`.

Nothing here uses pyplot or leaves settings changed; matplotlib is loaded with the first figure. The same data give the
same bytes, whatever a user's matplotlibrc says. The colours are those of Okabe and Ito, safe for colour blindness,
with orange and sky blue darkened to a contrast of 3:1 against white.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from io import BytesIO
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK = COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#b87a00", "#3d94c9", "#cc79a7", "#000000",
)  # fmt: skip
GREY = "#767676"
STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 100,
    "figure.titlesize": 10,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "svg.hashsalt": "mnistexp",
}
LETTERS = 72
"""Letters of a legend that fit beside each other into the figures of a page."""
DPI = 150
"""Dots per inch of files; figures in a notebook have 100."""

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Let a function draw in the shared style only, and restore matplotlib's settings afterwards."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        from matplotlib import style

        with style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of this size in inches, with automatic layout."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


@styled
def render(figure: "Figure", kind: Literal["png", "svg"]) -> bytes:
    """The figure as a file's contents, without date or versions in it."""
    return contents(figure, kind, DPI)


def contents(figure: "Figure", kind: Literal["png", "svg"], dpi: int) -> bytes:
    """`render` in the style that holds now, and with other dots per inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    write: Callable[[BytesIO], None]
    if kind == "png":
        write = partial(FigureCanvasAgg(figure).print_png, metadata={"Software": None})
    else:
        write = partial(FigureCanvasSVG(figure).print_svg, metadata={"Date": None})
    # `savefig` would repeat the layout for each file, and draw the figure twice to measure it.
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")
    written, usual = BytesIO(), figure.dpi
    figure.dpi = dpi
    write(written)
    figure.dpi = usual
    return written.getvalue()


def rendered(figures: Mapping[str, "Figure"]) -> Iterator[tuple[str, bytes]]:
    """File names and contents of some figures, each as PNG and as SVG."""
    for name, figure in figures.items():
        yield f"{name}.png", render(figure, "png")
        yield f"{name}.svg", render(figure, "svg")


def legend_below(axes: "Axes", columns: int = 2) -> None:
    """The legend under the axes, where it covers nothing; in one column where two would be wider than a page."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        half = -(-len(labels) // 2)
        if sum(max(map(len, part), default=0) for part in (labels[:half], labels[half:])) > LETTERS:
            columns = 1
        axes.get_figure(root=True).legend(handles, labels, loc="outside lower left", ncols=columns)  # type: ignore[union-attr]


@dataclass(frozen=True, eq=False)
class Line:
    """A named curve: finite values, float64 (n,) each. `at`: where its marks stand, if not at `x` but beside it."""

    name: str
    colour: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    at: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Lines:
    """Curves over one axis, named `x` and `y`."""

    x: str
    y: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class HeatCell:
    """The square of side 1 around a whole column and row, in the units of its axes, and what it says."""

    column: int
    row: int
    text: str


Record = Lines | Sequence[HeatCell]
"""What a panel was drawn from: curves, or squares such as those of a heat map."""
_RECORDS: "WeakKeyDictionary[Axes, Record]" = WeakKeyDictionary()


def point_at(axes: "Axes", record: Record) -> None:
    """Let a page's pointer read `record`, from which the axes were drawn."""
    _RECORDS[axes] = record


def record_of(axes: "Axes") -> Record | None:
    """What the axes were drawn from; None where there is nothing to point at."""
    return _RECORDS.get(axes)
