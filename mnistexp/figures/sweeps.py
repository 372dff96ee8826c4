"""Figures of a sweep: accuracy by settings, and the learning curves of the best trials."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.shown import percent
from mnistexp.figures.axes import Parameter, name_of, swept_parameters
from mnistexp.figures.plots import learning_curves
from mnistexp.figures.style import BLACK, BLUE, GREY, ORANGE, VERMILLION, Cell, Cells, new_figure, point_at, styled
from mnistexp.runs.results import SweepResult, TrialResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

__all__ = ["heat_maps", "marginals", "of_sweep", "parallel_coordinates", "top_learning_curves"]

WIDE = 20.0
"""If worst and best differ by at least this many points, the colour scale emphasises differences among the best."""
MANY = 500
"""With more trials than this, lines and dots are rasterised in the SVG, to keep it small."""
BELOW = -0.12
FAINT = "#b0b0b0"
CROSS = "\N{MULTIPLICATION SIGN}"

Floats = NDArray[np.float64]
"""Scores (trials,), their means in cells (levels, levels), or where trials cross axes (trials, axes)."""


def of_sweep(sweep: SweepResult) -> dict[str, "Figure"]:
    """Every figure of a sweep by file name."""
    return {
        "heat_maps": heat_maps(sweep),
        "marginals": marginals(sweep),
        "parallel_coordinates": parallel_coordinates(sweep),
        "top_learning_curves": top_learning_curves(sweep),
    }


@styled
def heat_maps(sweep: SweepResult) -> "Figure":
    """Accuracy for each pair of settings, in per cent: the mean of the trials that share both values or bins.

    For a single setting, one row.
    """
    parameters, scores = swept_parameters(sweep.trials), _scores(sweep)
    pairs = [
        (one, other) for one, other in combinations(parameters, 2) if ((one.level >= 0) & (other.level >= 0)).any()
    ]
    if not pairs:
        alone = Parameter("", 1, np.zeros(len(scores), np.int64), np.zeros(len(scores)), ())
        pairs = [(alone, parameter) for parameter in parameters or [alone]]
    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    height = max(one.levels for one, _ in pairs)
    width = max(3.0, 0.42 * max(other.levels for _, other in pairs) + 1)
    figure = new_figure(1.3 + width * columns, (1.0 + 0.34 * height) * rows + 0.6)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    means = [_cell_means(one, other, scores) for one, other in pairs]
    shade = _shades(np.concatenate([cells.ravel() for cells in means]))
    diverged = np.array([_diverged(trial) for trial in sweep.trials])
    best = sweep.best if np.isfinite(scores[sweep.best]) else None
    for axes, (one, other), cells in zip(panels, pairs, means, strict=False):
        _heat_map(axes, one, other, cells, shade)
        _mark_cells(axes, one, other, diverged, best)
    for axes in panels[len(pairs) :]:
        axes.set_axis_off()
    norm: Any = shade.norm
    ticks = norm.inverse(np.linspace(0, 1, 6))
    figure.colorbar(
        shade, ax=list(panels), label="accuracy (%)", ticks=ticks, format="%.1f", pad=0.02, aspect=20 * rows
    )
    _title(figure, "Mean accuracy by pairs of settings", f"frame: the best trial; {CROSS}: a trial diverged or failed")
    return figure


@styled
def marginals(sweep: SweepResult) -> "Figure":
    """Accuracy of every trial by the value of each setting, in per cent, and the mean of each level or bin."""
    parameters, scores = swept_parameters(sweep.trials), _scores(sweep)
    columns = max(1, min(len(parameters), 4))
    rows = max(1, -(-len(parameters) // columns))
    figure = new_figure(max(3.4, 0.6 + 2.2 * columns), 2.5 * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    diverged = np.array([_diverged(trial) for trial in sweep.trials])
    spread = ((np.arange(len(scores)) * 0.618) % 1 - 0.5) * 0.3  # separates trials of one level
    for axes, parameter in zip(panels, parameters, strict=False):
        place = parameter.place + (0 if parameter.binned else spread)
        axes.plot(
            place[~diverged],
            scores[~diverged],
            "o",
            ms=3.5,
            mec="none",
            mfc=BLUE,
            alpha=0.45,
            rasterized=len(scores) > MANY,
        )
        axes.plot(place[diverged], scores[diverged], "x", ms=4.5, color=VERMILLION)
        lost = place[np.isnan(scores)]
        axes.plot(lost, [0.02] * len(lost), "x", ms=4.5, color=VERMILLION, transform=axes.get_xaxis_transform())
        means = [_mean(scores[parameter.level == level]) for level in range(parameter.levels)]
        line = "-" if parameter.ordered else "none"
        axes.plot(range(parameter.levels), means, ls=line, marker="_", ms=14, mew=2, color=BLACK, lw=1)
        _ticks(axes, parameter, "x")
    for axes in panels[len(parameters) :]:
        axes.set_axis_off()
    if not np.isfinite(scores).any():
        panels[0].set_ylim(0, 100)
    for axes in panels[::columns]:
        axes.set_ylabel("accuracy (%)")
    _title(figure, "Accuracy by single setting", f"bar: mean; {CROSS}: diverged or, at the bottom, failed")
    return figure


@styled
def parallel_coordinates(sweep: SweepResult) -> "Figure":
    """Parallel coordinates: each trial is a line through its settings, coloured by accuracy; the best is black.

    The line of a trial that lacks a setting passes below its axis; that of a diverged or failed trial is dotted.
    """
    parameters, scores = swept_parameters(sweep.trials), _scores(sweep)
    heights = _heights(parameters, scores)
    figure = new_figure(max(4.6, 1.6 * (len(parameters) + 1) + 0.6), 3.8)
    axes = figure.add_subplot()
    _lines(axes, heights, scores, sweep)
    for column, parameter in enumerate(parameters):
        ticks = [((place + 0.5) / parameter.levels, label) for place, label in parameter.ticks]
        _scale(axes, column, parameter.name, ticks, missing=bool((parameter.level < 0).any()))
    low, high = _range(scores)
    ticks = [(share, f"{low + share * (high - low):.1f}") for share in ([0.5] if low == high else np.linspace(0, 1, 5))]
    _scale(axes, len(parameters), "accuracy (%)", ticks, missing=bool(np.isnan(scores).any()))
    axes.set(xlim=(-0.3, len(parameters) + 0.35), ylim=(min(0, heights.min()) - 0.05, 1.05))
    axes.axis("off")
    _title(figure, "Parallel coordinates of all trials", "black: the best; dotted: diverged or failed")
    return figure


def top_learning_curves(sweep: SweepResult, n: int = 5) -> "Figure":
    """Validation curves of the `n` best trials, each the mean of its folds with their range."""
    scores = np.nan_to_num(_scores(sweep), nan=-1)
    best = np.argsort(-scores, kind="stable")[:n]
    named = {}
    for trial in (sweep.trials[number] for number in best):
        score = "no score" if np.isnan(trial.mean) else percent(trial.mean)
        named[f"{name_of(trial, sweep.trials)} ({score})"] = [fold.history for fold in trial.folds]
    return learning_curves(named, f"Best {len(named)} of {len(sweep.trials)} trials: mean and range over folds")


def _scores(sweep: SweepResult) -> Floats:
    """Mean accuracy of each trial in per cent, float64 (trials,); NaN where a fit failed."""
    return np.array([100 * trial.mean for trial in sweep.trials])


def _mean(scores: Floats) -> float:
    """The mean of the finite values; NaN if there are none."""
    finite = scores[np.isfinite(scores)]
    return float(finite.mean()) if len(finite) else np.nan


def _diverged(trial: TrialResult) -> bool:
    return any(fold.diverged_at is not None or fold.error is not None for fold in trial.folds)


def _shades(scores: Floats) -> "ScalarMappable":
    """From accuracies in per cent to colours, grey for NaN."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    low, high = _range(scores)
    low = min(low, high - 1)
    viridis = colormaps["viridis"].with_extremes(bad=FAINT)
    return ScalarMappable(PowerNorm(2 if high - low > WIDE else 1, low, high), viridis)


def _range(scores: Floats) -> tuple[float, float]:
    """The lowest and highest finite value; 0 and 100 if there are none."""
    finite = scores[np.isfinite(scores)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 100.0)


def _cell_means(one: Parameter, other: Parameter, scores: Floats) -> Floats:
    """Mean accuracy over the trials of each cell, float64 (levels of one, levels of other); NaN for empty cells."""
    return np.array(
        [
            [_mean(scores[(one.level == row) & (other.level == column)]) for column in range(other.levels)]
            for row in range(one.levels)
        ]
    )


def _heat_map(axes: "Axes", one: Parameter, other: Parameter, means: Floats, shade: "ScalarMappable") -> None:
    from matplotlib.patches import Rectangle

    size = 7.5 if means.size <= 100 else 6
    cells = []
    for (row, column), mean in np.ndenumerate(means):
        if not ((one.level == row) & (other.level == column)).any():
            continue
        colour = shade.to_rgba(np.asarray(mean))
        ink = BLACK if sum(colour[:3]) > 1.4 else "white"
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fc=colour, ec="white", lw=0.8))
        text = "failed" if np.isnan(mean) else f"{mean:.1f}"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
        setting = ", ".join(filter(None, [one.level_name(row), other.level_name(column)]))
        cells.append(Cell(column, row, f"{setting}: {text}"))
    point_at(axes, Cells(tuple(cells)))
    axes.set(xlim=(-0.5, other.levels - 0.5), ylim=(-0.5, one.levels - 0.5))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _ticks(axes, one, "y")
    _ticks(axes, other, "x")


def _mark_cells(axes: "Axes", one: Parameter, other: Parameter, diverged: NDArray[np.bool_], best: int | None) -> None:
    """Mark the cells with a diverged or failed trial by a cross, and frame that of the best trial."""
    from matplotlib.patches import Rectangle

    inside = diverged & (one.level >= 0) & (other.level >= 0)
    for row, column in sorted({*zip(one.level[inside].tolist(), other.level[inside].tolist(), strict=True)}):
        axes.text(column + 0.46, row + 0.4, CROSS, ha="right", va="top", fontsize=8, fontweight="bold", color=ORANGE)
    if best is not None and one.level[best] >= 0 and other.level[best] >= 0:
        corner = other.level[best] - 0.5, one.level[best] - 0.5
        axes.add_patch(Rectangle(corner, 1, 1, fc="none", ec=VERMILLION, lw=2.2, zorder=3, clip_on=False))


def _ticks(axes: "Axes", parameter: Parameter, side: str) -> None:
    """Label one side with a parameter's name and levels; long labels are slanted."""
    axis = axes.xaxis if side == "x" else axes.yaxis
    labels = [label for _, label in parameter.ticks]
    axis.set_ticks([place for place, _ in parameter.ticks], labels)
    axis.set_label_text(parameter.name)
    if side == "x" and sum(map(len, labels)) > 26:
        axes.tick_params("x", rotation=40, rotation_mode="xtick")


def _heights(parameters: Sequence[Parameter], scores: Floats) -> Floats:
    """The height of each trial on each axis, from 0 to 1, BELOW if it has no value: float64 (trials, axes)."""
    rank = np.argsort(np.argsort(np.nan_to_num(scores, nan=-1), kind="stable"), kind="stable")
    fan = 0.3 * (rank - rank.mean()) / max(len(scores) - 1, 1)  # better trials are higher within their level
    low, high = _range(scores)
    columns = [
        (parameter.place + (0 if parameter.binned else fan) + 0.5) / parameter.levels for parameter in parameters
    ]
    columns.append((scores - low) / (high - low) if high > low else scores - low + 0.5)
    return np.nan_to_num(np.stack(columns, axis=1), nan=BELOW)


def _lines(axes: "Axes", heights: Floats, scores: Floats, sweep: SweepResult) -> None:
    """The trials as lines through their heights; better trials are drawn over worse ones, the best in black on top."""
    from matplotlib.collections import LineCollection

    order = np.argsort(np.nan_to_num(scores, nan=-1), kind="stable")
    dashes = [":" if _diverged(trial) else "-" for trial in sweep.trials]
    points = np.stack([np.broadcast_to(np.arange(heights.shape[1]), heights.shape), heights], axis=-1)
    lines = LineCollection(
        list(points[order]),
        colors=_shades(scores).to_rgba(scores)[order],
        linestyles=[dashes[trial] for trial in order],
        linewidths=1,
        alpha=0.75,
        rasterized=len(scores) > MANY,
    )
    axes.add_collection(lines)
    if np.isfinite(scores[sweep.best]):
        axes.plot(*points[sweep.best].T, color=BLACK, lw=2.4, ls=dashes[sweep.best], zorder=3)


def _scale(axes: "Axes", x: int, name: str, ticks: list[tuple[float, str]], missing: bool) -> None:
    """One vertical axis of the parallel coordinates, with its name above and a mark for missing values below."""
    axes.plot([x, x], [0, 1], color=BLACK, lw=0.8, zorder=4)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for place, label in [*ticks, *([(BELOW, "none")] if missing else [])]:
        axes.text(x + 0.05, place, label, va="center", fontsize=8, bbox=box, zorder=5)
    axes.text(x, 1.06, name, ha="center", va="bottom", fontsize=9)


def _title(figure: "Figure", title: str, legend: str) -> None:
    figure.suptitle(title, x=0.01, ha="left")
    figure.supxlabel(legend, x=0.01, ha="left", fontsize=8, color=GREY)
