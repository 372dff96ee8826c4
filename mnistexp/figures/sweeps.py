"""Figures of a sweep: accuracy by settings and by the number of digits, and curves of the best trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistexp.config.shown import percent
from mnistexp.figures.axes import Parameter, name_of, swept_parameters
from mnistexp.figures.heat_maps import Shown, heat_maps
from mnistexp.figures.parallel import parallel_coordinates
from mnistexp.figures.plots import learning_curves
from mnistexp.figures.style import (
    BLACK,
    BLUE,
    COLOURS,
    VERMILLION,
    Line,
    Lines,
    legend_below,
    new_figure,
    point_at,
    styled,
)
from mnistexp.figures.trials import CROSS, FAINT, MANY, Floats, has_diverged, label_axis, scores_of, titled
from mnistexp.runs.results import SweepResult
from mnistexp.statistics import wilson
from mnistexp.statistics.more_digits import AccuracyCurve
from mnistexp.sweeps.shares import by_digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CURVES = 6
MARKERS = "osD^vP"
CROWD = 150
"""With more trials than this, their mean is drawn over the dots, not behind them."""


def of_sweep(sweep: SweepResult, shown: Shown = "best") -> dict[str, "Figure"]:
    """Every figure of a sweep by file name: of pairs only with several settings, of digits only with several shares."""
    figures = {}
    if len(swept_parameters(sweep.trials)) > 1:
        figures["heat_maps"] = heat_maps(sweep, shown)
        figures["parallel_coordinates"] = parallel_coordinates(sweep)
    figures["marginals"] = marginals(sweep)
    if curves := curves_by_digits(sweep):
        figures["accuracy_by_digits"] = accuracy_by_digits(curves)
    return figures | {"top_learning_curves": top_learning_curves(sweep)}


@styled
def marginals(sweep: SweepResult) -> "Figure":
    """Accuracy of every trial by the value of each setting, in per cent, and the mean of each level or bin.

    For a single setting, each trial with the range of its fits.
    """
    parameters, scores = swept_parameters(sweep.trials), scores_of(sweep)
    columns = max(1, min(len(parameters), 4))
    rows = max(1, -(-len(parameters) // columns))
    figure = new_figure(max(4.6, 0.6 + 2.2 * columns), 2.5 * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    alone = len(parameters) == 1
    for axes, parameter in zip(panels, parameters, strict=False):
        if alone:
            _ranges(axes, parameter, sweep)
        else:
            means = [_mean(scores[parameter.level == level]) for level in range(parameter.levels)]
            line = "-" if parameter.ordered else "none"
            look: Any = {"color": BLACK, "zorder": 3} if len(scores) > CROWD else {"color": FAINT, "zorder": 1}
            axes.plot(range(parameter.levels), means, ls=line, marker="_", ms=14, mew=2, lw=1, **look)
        _points(axes, parameter, sweep, spread=not alone)
        label_axis(axes, parameter, "x")
    for axes in panels[len(parameters) :]:
        axes.set_axis_off()
    if not np.isfinite(scores).any():
        panels[0].set_ylim(0, 100)
    for axes in panels[::columns]:
        axes.set_ylabel("accuracy (%)")
    what = "line: the range of its fits" if alone else "bar: mean"
    title = f"Accuracy by {parameters[0].name}" if alone else "Accuracy by single setting"
    titled(figure, title, f"dot: a trial; {what}; {CROSS}: diverged or, at the bottom, failed")
    return figure


def _points(axes: "Axes", parameter: Parameter, sweep: SweepResult, *, spread: bool) -> None:
    """A dot for each trial, a cross for one that diverged or failed; trials of one level stand beside each other."""
    scores, diverged = scores_of(sweep), has_diverged(sweep.trials)
    beside = ((np.arange(len(scores)) * 0.618) % 1 - 0.5) * 0.3 * (spread and not parameter.binned)
    place, many = parameter.place + beside, len(scores) > MANY
    axes.plot(
        place[~diverged],
        scores[~diverged],
        "o",
        ms=3.5 if spread else 6,
        mec="none",
        mfc=BLUE,
        alpha=0.75,
        rasterized=many,
    )
    axes.plot(place[diverged], scores[diverged], "x", ms=4.5, color=VERMILLION)
    lost = place[np.isnan(scores)]
    axes.plot(lost, [0.02] * len(lost), "x", ms=4.5, color=VERMILLION, transform=axes.get_xaxis_transform())


def _ranges(axes: "Axes", parameter: Parameter, sweep: SweepResult) -> None:
    """The range of the fits of each trial."""
    for place, trial in zip(parameter.place, sweep.trials, strict=True):
        if not trial.failed:
            ends = 100 * trial.scores.min(), 100 * trial.scores.max()
            axes.plot([place, place], ends, color=FAINT, lw=1.5, zorder=1)


def _mean(scores: Floats) -> float:
    """The mean of the finite values; NaN if there are none."""
    finite = scores[np.isfinite(scores)]
    return float(finite.mean()) if len(finite) else np.nan


def top_learning_curves(sweep: SweepResult, n: int = 5) -> "Figure":
    """Validation curves of the `n` best trials, each the mean of its folds with their range."""
    scores = np.nan_to_num(scores_of(sweep), nan=-1)
    best = np.argsort(-scores, kind="stable")[:n]
    named = {}
    for trial in (sweep.trials[number] for number in best):
        score = "no score" if np.isnan(trial.mean) else percent(trial.mean)
        named[f"{name_of(trial, sweep.trials)} ({score})"] = [fold.history for fold in trial.folds]
    return learning_curves(named, f"Best {len(named)} of {len(sweep.trials)} trials: mean and range over folds")


def curves_by_digits(sweep: SweepResult) -> list[AccuracyCurve]:
    """Accuracy by number of digits for each other setting, that with the highest accuracy first.

    Empty unless shares were swept. The intervals are Wilson's, of the out-of-fold digits.
    """
    groups = by_digits(sweep)
    alike = [next(iter(trials.values())) for trials in groups]
    n = len(sweep.labels)
    return [
        AccuracyCurve(
            name=name_of(one, alike) if len(groups) > 1 else "accuracy",
            digits=tuple(trials),
            accuracies=tuple(trial.mean for trial in trials.values()),
            intervals=tuple(wilson(trial.mean * n, n) for trial in trials.values()),
        )
        for one, trials in zip(alike, groups, strict=True)
    ]


@styled
def accuracy_by_digits(curves: Sequence[AccuracyCurve]) -> "Figure":
    """Accuracy in per cent over the number of training digits, with 95% intervals; at most six curves, best first.

    Dashed, from three numbers of digits on: the curves that are fitted to them, up to twice the largest number.
    """
    from matplotlib.ticker import NullLocator

    drawn = curves[:MOST_CURVES]
    figure = new_figure(6.4, 3.6 + 0.17 * len(drawn))
    axes = figure.add_subplot()
    lines = []
    for number, (curve, colour) in enumerate(zip(drawn, COLOURS, strict=False)):
        x, y = np.array(curve.digits, float), 100 * np.array(curve.accuracies)
        ends = 100 * np.array([(held.low, held.high) for held in curve.intervals])
        side_by_side = x * (1 + 0.012 * (number - (len(drawn) - 1) / 2))
        lines.append(Line(curve.name, colour, x, y, side_by_side))
        beyond = np.append(x, 2 * x[-1])
        if (fitted := curve.fitted(beyond)) is not None:
            lines.append(Line(f"{curve.name}, fitted", colour, beyond, 100 * fitted))
            smooth = np.geomspace(x[0], beyond[-1], 50)
            axes.plot(smooth, 100 * np.asarray(curve.fitted(smooth)), "--", color=colour, lw=1)
        axes.errorbar(
            side_by_side,
            y,
            np.maximum(0, [y - ends[:, 0], ends[:, 1] - y]),
            color=colour,
            ls="-" if fitted is None else "none",
            marker=MARKERS[number],
            ms=4,
            capsize=2,
            elinewidth=1,
            label=curve.name,
        )
    point_at(axes, Lines("training digits", "accuracy (%)", tuple(lines)))
    digits = sorted({int(size) for line in lines for size in line.x})
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(digits, [f"{size:,}" for size in digits])
    dashed = "; dashed: fitted curves, to twice the digits" * any(line.x[-1] > curves[0].digits[-1] for line in lines)
    about = f"training digits of a fit (logarithmic scale)\nbars: 95% intervals{dashed}"
    axes.set(xlabel=about, ylabel="accuracy (%)")
    if len(curves) > 1:
        legend_below(axes, columns=1)
    cut = f", the best {MOST_CURVES} of {len(curves)} settings" if len(curves) > MOST_CURVES else ""
    figure.suptitle(f"Accuracy by number of training digits{cut}", x=0.01, ha="left")
    return figure
