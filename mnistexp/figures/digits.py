"""Accuracy by number of training digits, of a sweep over shares of the digits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnistexp.figures.axes import name_of
from mnistexp.figures.style import COLOURS, Line, Lines, legend_below, new_figure, point_at, styled
from mnistexp.runs.results import SweepResult
from mnistexp.statistics import wilson
from mnistexp.statistics.more_digits import AccuracyCurve
from mnistexp.sweeps.shares import by_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["accuracy_by_digits", "curves_by_digits"]

MOST_CURVES = 6


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
        lines.append(Line(curve.name, colour, x, y))
        beyond = np.append(x, 2 * x[-1])
        if (fitted := curve.fitted(beyond)) is not None:
            lines.append(Line(f"{curve.name}, fitted", colour, beyond, 100 * fitted))
            smooth = np.geomspace(x[0], beyond[-1], 50)
            axes.plot(smooth, 100 * np.asarray(curve.fitted(smooth)), "--", color=colour, lw=1)
        axes.errorbar(
            x * (1 + 0.012 * (number - (len(drawn) - 1) / 2)),  # side by side
            y,
            np.maximum(0, [y - ends[:, 0], ends[:, 1] - y]),
            color=colour,
            ls="-" if fitted is None else "none",
            marker="o",
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
