"""Heat maps of a sweep: accuracy for each pair of settings."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mnistexp.figures.axes import Parameter, swept_parameters
from mnistexp.figures.style import BLACK, VERMILLION, HeatCell, new_figure, point_at, styled
from mnistexp.figures.trials import CROSS, Floats, colour_key, has_diverged, label_axis, scores_of, shades, titled
from mnistexp.runs.results import SweepResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

Shown = Literal["best", "mean"]


@styled
def heat_maps(sweep: SweepResult, shown: Shown = "best") -> "Figure":
    """Accuracy for each pair of settings, in per cent: the best or the mean of the trials that share both values.

    A panel has only the values that some trial combines: settings that an optimizer doesn't have are left out. For a
    single setting, one row.
    """
    from matplotlib.patches import Rectangle

    scores = scores_of(sweep)
    pairs = _pairs(swept_parameters(sweep.trials), len(scores))
    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    height = max(one.levels for one, _ in pairs)
    width = max(3.0, 0.42 * max(other.levels for _, other in pairs) + 1)
    figure = new_figure(1.3 + width * columns, (1.0 + 0.34 * height) * rows + 0.6)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    values = [_cell_values(one, other, scores, shown) for one, other in pairs]
    shade = shades(np.concatenate([cells.ravel() for cells in values]))
    diverged = has_diverged(sweep.trials)
    best = next(place for place, trial in enumerate(sweep.trials) if trial.index == sweep.best)
    for axes, (one, other), cells in zip(panels, pairs, values, strict=False):
        _heat_map(axes, one, other, cells, shade, diverged)
        if np.isfinite(scores[best]) and one.level[best] >= 0 and other.level[best] >= 0:
            corner = other.level[best] - 0.5, one.level[best] - 0.5
            axes.add_patch(Rectangle(corner, 1, 1, fc="none", ec=VERMILLION, lw=2.2, zorder=3, clip_on=False))
    for axes in panels[len(pairs) :]:
        axes.set_axis_off()
    colour_key(figure, shade, list(panels), rows)
    what = {"best": "the best", "mean": "the mean"}[shown]
    legend = f"cell: {what} of the trials with both values; frame: the best trial; {CROSS}: a trial diverged or failed"
    titled(figure, f"{shown.capitalize()} accuracy by pairs of settings", legend)
    return figure


def _pairs(parameters: Sequence[Parameter], trials: int) -> list[tuple[Parameter, Parameter]]:
    """Each pair of settings that vary together, with the levels that both have; or one row for each setting."""
    pairs = []
    for one, other in combinations(parameters, 2):
        both = (one.level >= 0) & (other.level >= 0)
        pair = one.only(both), other.only(both)
        if all(parameter.levels > 1 for parameter in pair):
            pairs.append(pair)
    alone = Parameter("", 1, np.zeros(trials, np.int64), np.zeros(trials), ())
    return pairs or [(alone, parameter) for parameter in parameters or [alone]]


def _cell_values(one: Parameter, other: Parameter, scores: Floats, shown: Shown) -> Floats:
    """The best or mean accuracy of each cell, float64 (levels of one, levels of other); NaN without a score."""
    summary = np.max if shown == "best" else np.mean
    values = np.full((one.levels, other.levels), np.nan)
    for row, column in np.ndindex(values.shape):
        inside = scores[(one.level == row) & (other.level == column) & np.isfinite(scores)]
        if len(inside):
            values[row, column] = summary(inside)
    return values


def _heat_map(
    axes: "Axes",
    one: Parameter,
    other: Parameter,
    values: Floats,
    shade: "ScalarMappable",
    diverged: NDArray[np.bool_],
) -> None:
    """The cells with their accuracies, and a cross in those with a diverged or failed trial."""
    from matplotlib.patches import Rectangle

    size = 7.5 if values.size <= 100 else 6
    cells = []
    for (row, column), value in np.ndenumerate(values):
        inside = (one.level == row) & (other.level == column)
        if not inside.any():
            continue
        colour = shade.to_rgba(np.asarray(value))
        ink = BLACK if sum(colour[:3]) > 1.4 else "white"
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fc=colour, ec="white", lw=0.8))
        text = "failed" if np.isnan(value) else f"{value:.1f}"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
        if (inside & diverged).any():
            axes.text(column + 0.46, row + 0.4, CROSS, ha="right", va="top", fontsize=8, fontweight="bold", color=ink)
        setting = ", ".join(filter(None, [one.level_name(row), other.level_name(column)]))
        cells.append(HeatCell(column, row, f"{setting}: {text}"))
    point_at(axes, cells)
    axes.set(xlim=(-0.5, other.levels - 0.5), ylim=(-0.5, one.levels - 0.5))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    label_axis(axes, one, "y")
    label_axis(axes, other, "x")
