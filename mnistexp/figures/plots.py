"""Learning curves and confusion matrices as matplotlib figures, the style of all figures, and `render`.

Nothing here uses pyplot or leaves settings changed; matplotlib is loaded with the first figure. The same data give the
same bytes, whatever a user's matplotlibrc says. The colours are those of Okabe and Ito, safe for colour blindness.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from io import BytesIO
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnistexp.runs.results import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "accuracy_curves",
    "confusion_matrix",
    "learning_curves",
    "loss_curves",
    "new_figure",
    "of_training",
    "render",
    "rendered",
    "styled",
]

BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK = COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#000000",
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
DPI = 150
"""Dots per inch of files; figures in a notebook have 100."""
DASHES = ("-", "--", "-.", ":")

Curve = NDArray[np.float64]
"""One value per epoch, (epochs,)."""
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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # `savefig` would repeat the layout for each file, and draw the figure twice to measure it.
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")
    contents, dpi = BytesIO(), figure.dpi
    figure.dpi = DPI
    if kind == "png":
        FigureCanvasAgg(figure).print_png(contents, metadata={"Software": None})
    else:
        FigureCanvasSVG(figure).print_svg(contents, metadata={"Date": None})
    figure.dpi = dpi
    return contents.getvalue()


def rendered(figures: Mapping[str, "Figure"]) -> Iterator[tuple[str, bytes]]:
    """File names and contents of some figures, each as PNG and as SVG."""
    for name, figure in figures.items():
        yield f"{name}.png", render(figure, "png")
        yield f"{name}.svg", render(figure, "svg")


def of_training(
    histories: Sequence[History],
    confusion: Sequence[Sequence[int]],
    flat: tuple[int, int] | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, "Figure"]:
    """Every figure of a training by file name; for repeats, mean and range of the curves.

    `confusion`: the confusion matrix, summed over repeats. `names`: of the classes; None for numbers.
    """
    return {
        "loss_curves": loss_curves(histories, flat=flat),
        "accuracy_curves": accuracy_curves(histories),
        "confusion_matrix": confusion_matrix(np.array(confusion), names),
    }


@styled
def loss_curves(histories: Sequence[History], *, flat: tuple[int, int] | None = None) -> "Figure":
    """Training and validation loss over the epochs, with every minimum of the validation loss marked.

    For several histories, their mean and a band from the lowest to the highest. `flat`: the first and last epoch whose
    validation loss is within one standard error of the minimum.
    """
    figure = new_figure(6.4, 3.8)
    axes = figure.add_subplot()
    curves = _training_and_validation(axes, histories, "loss")
    validation = curves.get("val_loss", np.zeros(0))
    if np.isfinite(validation).any():
        lowest = np.nanmin(validation)
        epochs = np.flatnonzero(validation == lowest) + 1
        label = f"minimum {lowest:.4f} at epoch{'s' * (len(epochs) > 1)} {_listed(epochs.tolist())}"
        axes.plot(epochs, [lowest] * len(epochs), "o", ms=7, mfc="none", mec=BLACK, mew=1.4, label=label, zorder=4)
    if flat is not None and np.isfinite(validation).sum() > 1:
        label = "within one standard error of the minimum"
        axes.axvspan(flat[0] - 0.5, flat[1] + 0.5, color="#f0e9d2", lw=0, zorder=0, label=label)
    finite = np.concatenate([curve[np.isfinite(curve)] for curve in curves.values()])
    if finite.size and finite.min() > 0 and finite.max() > 100 * np.median(finite):
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, 1.05 * finite.max(initial=0) or 1)
    axes.set(title="Loss over the epochs", ylabel="loss (cross-entropy)")
    axes.legend()
    return figure


@styled
def accuracy_curves(histories: Sequence[History]) -> "Figure":
    """Training and validation accuracy over the epochs, in per cent; several histories as in `loss_curves`."""
    figure = new_figure(6.4, 3.8)
    axes = figure.add_subplot()
    _training_and_validation(axes, histories, "accuracy")
    axes.set(title="Accuracy over the epochs", ylabel="accuracy (%)")
    axes.set_ylim(top=min(101, axes.get_ylim()[1]))
    axes.legend(loc="lower right")
    return figure


@styled
def learning_curves(named: Mapping[str, Sequence[History]], title: str = "Learning curves") -> "Figure":
    """Loss and accuracy curves of several trainings or trials; each curve is the mean of its histories.

    Shows validation curves, or training curves for histories without validation.
    """
    validated = any(history.val_loss for histories in named.values() for history in histories)
    prefix, what = ("val_", "validation ") if validated else ("", "training ")
    figure = new_figure(7.6, 3.4 + 0.17 * len(named))
    panels = figure.subplots(1, 2)
    for axes, field, unit in zip(panels, ("loss", "accuracy"), ("cross-entropy", "%"), strict=True):
        for number, (name, histories) in enumerate(named.items()):
            dashes = DASHES[number // len(COLOURS) % len(DASHES)]
            _curve(axes, histories, prefix + field, name, COLOURS[number % len(COLOURS)], dashes, opacity=0.07)
        axes.set(ylabel=f"{what}{field} ({unit})")
        if not np.isfinite(axes.dataLim.bounds).all():
            axes.set_yticks([])
        _epoch_axis(axes, [history for histories in named.values() for history in histories])
    finite = np.concatenate([line.get_ydata() for line in panels[0].get_lines()] or [np.zeros(0)])
    finite = finite[np.isfinite(finite) & (finite > 0)]
    if finite.size and finite.max() > 100 * np.median(finite):
        panels[0].set_yscale("log")
    figure.suptitle(title, x=0.01, ha="left")
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower left", ncols=1)
    return figure


@styled
def confusion_matrix(matrix: NDArray[np.int64], names: Sequence[str] | None = None) -> "Figure":
    """Counts int64 (classes, classes): rows are the correct classes, columns the predicted ones.

    `names`: of the classes; None for numbers.
    """
    total, right = int(matrix.sum()), int(np.trace(matrix))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = max(4.6, 1.4 + 0.24 * len(matrix))
    figure = new_figure(side, side)
    axes = figure.add_subplot()
    axes.imshow(shares**0.5, cmap="Blues", vmin=0, vmax=1.15)
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if shares[row, column] > 0.4 else BLACK
            axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=8)
    ticks = range(len(matrix))
    what = "class" if names else "digit"
    axes.set(xticks=ticks, yticks=ticks, xlabel=f"predicted {what}", ylabel=f"correct {what}")
    if names:
        axes.set_yticklabels(names)
        axes.set_xticklabels(names, rotation=0 if max(map(len, names)) < 3 else 90)
    axes.set_title(f"{right:,} of {total:,} digits classified correctly ({right / max(total, 1):.1%})")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _training_and_validation(axes: "Axes", histories: Sequence[History], field: str) -> dict[str, Curve]:
    """Draw both curves of one field and mark the epoch of a divergence; returns the curves by field."""
    of_many = f", mean and range of {len(histories)}" if len(histories) > 1 else ""
    curves = {field: _curve(axes, histories, field, f"training{of_many}", BLUE, "--")}
    if any(history.val_loss for history in histories):
        name = f"val_{field}"
        curves[name] = _curve(axes, histories, name, f"validation{of_many}", VERMILLION, "-")
    diverged = [int(bad[0]) + 1 for history in histories if len(bad := np.flatnonzero(~np.isfinite(history.loss)))]
    if diverged:
        many = f"{len(diverged)} of {len(histories)} " if len(histories) > 1 else ""
        axes.axvline(min(diverged), color=GREY, ls=":", label=f"{many}diverged at epoch {_listed(sorted({*diverged}))}")
    _epoch_axis(axes, histories)
    return curves


def _curve(
    axes: "Axes", histories: Sequence[History], field: str, label: str, colour: str, dashes: str, opacity: float = 0.18
) -> Curve:
    """Draw mean and range of one field of some histories, and return the mean; accuracies in per cent.

    The mean is drawn where all histories have a number, the range where any has.
    """
    scale = 100 if field.endswith("accuracy") else 1
    mean = scale * np.array(getattr(History.mean(histories), field), dtype=np.float64)
    epochs = np.arange(1, len(mean) + 1)
    known = np.isfinite(mean)  # some epochs are not validated
    marker = "o" if known.sum() == 1 else ""
    axes.plot(epochs[known], mean[known], color=colour, ls=dashes, marker=marker, label=label)
    if len(histories) > 1:
        columns = zip_longest(*(getattr(history, field) for history in histories), fillvalue=np.nan)
        values = scale * np.array([*columns], dtype=np.float64).reshape(-1, len(histories))
        some = np.isfinite(values).any(axis=1)
        low, high = np.nanmin(values[some], axis=1), np.nanmax(values[some], axis=1)
        axes.fill_between(np.flatnonzero(some) + 1, low, high, color=colour, alpha=opacity, lw=0)
    return mean


def _epoch_axis(axes: "Axes", histories: Sequence[History]) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = max([1, *(history.epochs for history in histories)])
    axes.set_xlim(0.5, epochs + max(0.5, 0.02 * epochs))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.set_xlabel("epoch")


def _listed(numbers: Sequence[int]) -> str:
    """`9`, `9 and 17`, `9, 17 and 20`; at most five numbers."""
    if len(numbers) > 5:
        return ", ".join(map(str, numbers[:4])) + f" and {len(numbers) - 4} more"
    return " and ".join([", ".join(map(str, numbers[:-1])), str(numbers[-1])][not numbers[:-1] :])
