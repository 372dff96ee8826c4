"""Figures of a network's predictions: the reliability diagram, and the misread digits."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.figures.style import BLUE, GREY, VERMILLION, legend_below, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["mistakes", "reliability_diagram"]

ABOVE: Any = {"ha": "center", "va": "bottom", "fontsize": 9}
BELOW: Any = {"ha": "center", "va": "top", "fontsize": 8, "color": GREY}


@styled
def reliability_diagram(bins: Sequence[Mapping[str, Any]], error: float) -> "Figure":
    """Accuracy by predicted probability, bin by bin, and the number of digits in each bin."""
    figure = new_figure(4.8, 5.4)
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    filled = [one for one in bins if one["digits"]]
    upper.plot([0, 1], [0, 1], ls="--", color=GREY, label="perfect calibration")
    confidence, accuracy = [one["confidence"] for one in filled], [one["accuracy"] for one in filled]
    gap = "gap; its mean over the digits is the calibration error"
    upper.vlines(confidence, confidence, accuracy, color=VERMILLION, lw=1, label=gap)
    upper.plot(confidence, accuracy, "o", color=BLUE, clip_on=False, zorder=3, label="share classified correctly")
    upper.set(
        title=f"Reliability: calibration error {error:.3f}", ylabel="share classified correctly", ylim=(-0.02, 1.05)
    )
    lows = [one["low"] for one in bins]
    lower.bar(lows, [one["digits"] for one in bins], width=1 / max(len(bins), 1), align="edge", color=BLUE)
    lower.set(xlabel="probability of the predicted class", ylabel="number of digits", xlim=(0, 1), yscale="log")
    legend_below(upper, columns=1)
    return figure


@styled
def mistakes(images: NDArray[np.uint8], captions: Sequence[tuple[str, str]], columns: int = 6) -> "Figure":
    """Misread digits (n, 28, 28), each with two captions: what was read instead of its label, and how sure.

    All are in one panel, whose layout takes a tenth of the time of one panel for each.
    """
    columns = min(max(len(images), 1), columns)
    rows, height = max(-(-len(images) // columns), 1), 1.4
    figure = new_figure(max(1.3 * columns, 2.6), 1.82 * rows)
    axes = figure.add_subplot()
    if not len(images):
        axes.text(0.5, -0.5, "No digit was misread", ha="center", va="center")
    for place, (image, (read, sure)) in enumerate(zip(images, captions, strict=True)):
        left, top = place % columns + 0.06, -height * (place // columns) - 0.25
        box, middle = (left, left + 0.88, top - 0.88, top), left + 0.44
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="none", extent=box)
        axes.text(middle, top + 0.03, read, **ABOVE)
        axes.text(middle, top - 0.92, sure, **BELOW)
    axes.set(xlim=(0, columns), ylim=(-height * rows, 0))
    axes.set_axis_off()
    return figure
