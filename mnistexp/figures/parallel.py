"""Parallel coordinates of a sweep: each trial is a line through its settings and its accuracy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnistexp.figures.axes import Parameter, swept_parameters
from mnistexp.figures.style import BLACK, BLUE, VERMILLION, new_figure, styled
from mnistexp.figures.trials import MANY, Floats, colour_key, finite_range, has_diverged, scores_of, shades, titled
from mnistexp.runs.results import SweepResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

BELOW = -0.12
ABSENT = "not used"
"""Marks the place of trials that don't have a setting."""


@styled
def parallel_coordinates(sweep: SweepResult) -> "Figure":
    """Parallel coordinates: each trial is a line through its settings, coloured by accuracy; the best is black.

    The line of a trial that lacks a setting passes below its axis; that of a diverged or failed trial is dotted.
    """
    parameters, scores = swept_parameters(sweep.trials), scores_of(sweep)
    heights = _heights(parameters, scores)
    figure = new_figure(max(5.2, 1.6 * (len(parameters) + 1) + 1.4), 3.8)
    axes = figure.add_subplot()
    shade = shades(scores, (VERMILLION, BLUE))  # light ends, as of viridis, would vanish as lines on white
    _lines(axes, heights, scores, sweep, shade)
    for column, parameter in enumerate(parameters):
        ticks = [((place + 0.5) / parameter.levels, label) for place, label in parameter.ticks]
        ticks += [(BELOW, ABSENT)] * bool((parameter.level < 0).any())
        _scale(axes, column, parameter.name, ticks)
    low, high = finite_range(scores)
    ticks = [(share, f"{low + share * (high - low):.1f}") for share in ([0.5] if low == high else np.linspace(0, 1, 5))]
    ticks += [(BELOW, "failed")] * bool(np.isnan(scores).any())
    _scale(axes, len(parameters), "accuracy (%)", ticks)
    axes.set(xlim=(-0.3, len(parameters) + 0.35), ylim=(min(0, heights.min()) - 0.05, 1.05))
    axes.axis("off")
    colour_key(figure, shade, [axes])
    lacking = any((parameter.level < 0).any() for parameter in parameters)
    absent = f"; {ABSENT}: the optimizer has no such setting" if lacking else ""
    titled(figure, "Parallel coordinates of all trials", f"thick: the best; dotted: diverged or failed{absent}")
    return figure


def _heights(parameters: Sequence[Parameter], scores: Floats) -> Floats:
    """The height of each trial on each axis, from 0 to 1, BELOW if it has no value: float64 (trials, axes)."""
    rank = np.argsort(np.argsort(np.nan_to_num(scores, nan=-1), kind="stable"), kind="stable")
    fan = 0.3 * (rank - rank.mean()) / max(len(scores) - 1, 1)  # better trials are higher within their level
    low, high = finite_range(scores)
    columns = [
        (parameter.place + (0 if parameter.binned else fan) + 0.5) / parameter.levels for parameter in parameters
    ]
    columns.append((scores - low) / (high - low) if high > low else scores - low + 0.5)
    return np.nan_to_num(np.stack(columns, axis=1), nan=BELOW)


def _lines(axes: "Axes", heights: Floats, scores: Floats, sweep: SweepResult, shade: "ScalarMappable") -> None:
    """The trials as lines through their heights; better trials are drawn over worse ones, the best in black on top."""
    from matplotlib.collections import LineCollection

    order = np.argsort(np.nan_to_num(scores, nan=-1), kind="stable")
    dashes = [":" if bad else "-" for bad in has_diverged(sweep.trials)]
    points = np.stack([np.broadcast_to(np.arange(heights.shape[1]), heights.shape), heights], axis=-1)
    lines = LineCollection(
        list(points[order]),
        colors=shade.to_rgba(scores)[order],
        linestyles=[dashes[trial] for trial in order],
        linewidths=1,
        rasterized=len(scores) > MANY,
    )
    axes.add_collection(lines)
    best = next(place for place, trial in enumerate(sweep.trials) if trial.index == sweep.best)
    if np.isfinite(scores[best]):
        axes.plot(*points[best].T, color=BLACK, lw=2.4, ls=dashes[best], zorder=3)


def _scale(axes: "Axes", x: int, name: str, ticks: list[tuple[float, str]]) -> None:
    """One vertical axis of the parallel coordinates, with its name above."""
    axes.plot([x, x], [0, 1], color=BLACK, lw=0.8, zorder=4)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for place, label in ticks:
        axes.text(x + 0.05, place, label, va="center", fontsize=8, bbox=box, zorder=5)
    axes.text(x, 1.06, name, ha="center", va="bottom", fontsize=9)
