"""The reliability diagram, and the most confident mistakes as images."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.figures import BLUE, GREY, VERMILLION, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["mistakes", "reliability_diagram"]


@styled
def reliability_diagram(bins: Sequence[Mapping[str, Any]], error: float) -> "Figure":
    """Accuracy by predicted probability, bin by bin, and the number of digits in each bin."""
    figure = new_figure(4.8, 4.8)
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    filled = [one for one in bins if one["digits"]]
    upper.plot([0, 1], [0, 1], ls="--", color=GREY, label="perfect calibration")
    confidence, accuracy = [one["confidence"] for one in filled], [one["accuracy"] for one in filled]
    upper.vlines(confidence, confidence, accuracy, color=VERMILLION, lw=1, alpha=0.6)
    upper.plot(confidence, accuracy, "o", color=BLUE, label="accuracy")
    upper.set(title=f"Reliability: calibration error {error:.3f}", ylabel="accuracy", ylim=(-0.02, 1.05))
    upper.legend(loc="upper left")
    lows = [one["low"] for one in bins]
    lower.bar(lows, [one["digits"] for one in bins], width=1 / max(len(bins), 1), align="edge", color=BLUE)
    lower.set(xlabel="probability of the predicted class", ylabel="digits", xlim=(0, 1))
    return figure


@styled
def mistakes(images: NDArray[np.uint8], found: Sequence[Mapping[str, Any]], names: Sequence[str]) -> "Figure":
    """Misclassified images uint8 (n, 28, 28), each with its label and its predicted class."""
    columns = min(max(len(images), 1), 6)
    rows = max(-(-len(images) // columns), 1)
    figure = new_figure(max(1.4 * columns, 3.0), 1.85 * rows)
    if not len(images):
        axes = figure.add_subplot()
        axes.text(0.5, 0.5, "No digit was misclassified", ha="center", va="center")
        axes.axis("off")
    for number, (image, mistake) in enumerate(zip(images, found, strict=True)):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="none")
        axes.set_title(f"{names[mistake['label']]} as {names[mistake['prediction']]}", loc="center")
        axes.set_xlabel(f"{mistake['probability']:.1%}, index {mistake['index']}", fontsize=8, color=GREY)
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        axes.spines[:].set(visible=True, color="#cccccc")
    return figure
