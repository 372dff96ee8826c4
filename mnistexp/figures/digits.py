"""Accuracy by number of training digits, of a sweep over shares of the digits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
MARKERS = "osD^vP"


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
    """Accuracy in per cent over the number of training digits, with 95% intervals; at most six curves, best first."""
    from matplotlib.ticker import NullLocator

    figure = new_figure(6.4, 3.4 + 0.17 * min(len(curves), MOST_CURVES))
    axes = figure.add_subplot()
    lines = []
    for number, (curve, colour) in enumerate(zip(curves[:MOST_CURVES], COLOURS, strict=False)):
        x, y = np.array(curve.digits, float), 100 * np.array(curve.accuracies)
        ends = 100 * np.array([(held.low, held.high) for held in curve.intervals])
        sizes = x * (1 + 0.012 * (number - (min(len(curves), MOST_CURVES) - 1) / 2))  # side by side
        reach = np.maximum(0, [y - ends[:, 0], ends[:, 1] - y])
        look: Any = {"color": colour, "marker": MARKERS[number], "label": curve.name}
        axes.errorbar(sizes, y, reach, ms=4, capsize=2, lw=1.5, elinewidth=1, **look)
        lines.append(Line(curve.name, colour, x, y))
    point_at(axes, Lines("training digits", "accuracy (%)", tuple(lines)))
    digits = sorted({size for curve in curves for size in curve.digits})
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(digits, [f"{size:,}" for size in digits])
    axes.set(xlabel="training digits of a fit (logarithmic scale)", ylabel="accuracy (%)")
    if len(curves) > 1:
        legend_below(axes, columns=1)
    cut = f", the best {MOST_CURVES} of {len(curves)} settings" if len(curves) > MOST_CURVES else ""
    figure.suptitle(f"Accuracy by number of training digits{cut}; bars: 95% intervals", x=0.01, ha="left")
    return figure
