"""What the figures of a sweep share: scores of trials, their colours, labelled axes, a title with a legend."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.figures.axes import Parameter
from mnistexp.figures.style import GREY
from mnistexp.runs.results import SweepResult, TrialResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

WIDE = 20.0
"""If worst and best differ by at least this many points, the colour scale emphasises differences among the best."""
MANY = 500
"""With more trials than this, lines and dots are rasterised in the SVG, to keep it small."""
LETTERS = 14
"""Letters of a legend that fit in an inch."""
FAINT = "#8c8c8c"
CROSS = "\N{MULTIPLICATION SIGN}"

Floats = NDArray[np.float64]
"""Scores in per cent (trials,), their values in cells (levels, levels), or places of trials on axes (trials, axes)."""


def scores_of(sweep: SweepResult) -> Floats:
    """Mean accuracy of each trial in per cent, float64 (trials,); NaN where a fit failed."""
    return np.array([100 * trial.mean for trial in sweep.trials])


def has_diverged(trials: Sequence[TrialResult]) -> NDArray[np.bool_]:
    """Whether a fit of each trial diverged or failed, bool (trials,)."""
    return np.array([any(fold.diverged_at is not None or fold.error is not None for fold in t.folds) for t in trials])


def finite_range(scores: Floats) -> tuple[float, float]:
    """The lowest and highest finite value; 0 and 100 if there are none."""
    finite = scores[np.isfinite(scores)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 100.0)


def shades(scores: Floats, ends: Sequence[str] = ()) -> "ScalarMappable":
    """From accuracies in per cent to colours, grey for NaN; `ends`: of the lowest and the highest, else viridis."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    low, high = finite_range(scores)
    low = min(low, high - 1)
    colours = LinearSegmentedColormap.from_list("", list(ends)) if ends else colormaps["viridis"]
    return ScalarMappable(PowerNorm(2 if high - low > WIDE else 1, low, high), colours.with_extremes(bad=FAINT))


def colour_key(figure: "Figure", shade: "ScalarMappable", panels: "list[Axes]", rows: int = 1) -> None:
    """The key of the colours beside the panels."""
    norm: Any = shade.norm
    ticks = norm.inverse(np.linspace(0, 1, 6))
    figure.colorbar(shade, ax=panels, label="accuracy (%)", ticks=ticks, format="%.1f", pad=0.02, aspect=20 * rows)


def label_axis(axes: "Axes", parameter: Parameter, side: str) -> None:
    """Label one side with a parameter's name and levels; long labels are slanted."""
    axis = axes.xaxis if side == "x" else axes.yaxis
    labels = [label for _, label in parameter.ticks]
    axis.set_ticks([place for place, _ in parameter.ticks], labels)
    axis.set_label_text(parameter.name)
    if side == "x" and sum(map(len, labels)) > 26:
        axes.tick_params("x", rotation=40, rotation_mode="xtick")


def titled(figure: "Figure", title: str, legend: str) -> None:
    """Write the title above the figure and the legend below it."""
    figure.suptitle(title, x=0.01, ha="left")
    lines = fill(legend, max(30, int(LETTERS * figure.get_figwidth())))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=8, color=GREY)
