"""Do the probabilities that a network gives come true?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.errors import BadInput


@dataclass(frozen=True)
class Bin:
    """The digits whose likeliest class has a probability above `low` and up to `high`.

    `confidence` is the mean of these probabilities, `accuracy` the share that is right; both are None without digits.
    """

    low: float
    high: float
    digits: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error, a share from 0 to 1, and its bins."""

    error: float
    bins: tuple[Bin, ...]

    @property
    def sentence(self) -> str:
        """The error and its direction, as a sentence."""
        off = sum(((one.confidence or 0) - (one.accuracy or 0)) * one.digits for one in self.bins)
        side = "overconfident" if off > 0 else "underconfident"
        return (
            f"The expected calibration error is {self.error:.3f}: on average the probability of the predicted class "
            f"differs by {100 * self.error:.1f} points from the share of correct predictions; overall the model is "
            f"{side}."
        )


def calibration(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> Calibration:
    """The expected calibration error of probabilities (n, classes) by labels (n,), in `bins` bins of equal width.

    The mean over bins, weighted by their digits, of |accuracy - confidence|. With few digits it is too large, because
    of the noise in each bin. Raises `BadInput` without digits.

    Source: Guo, Pleiss, Sun & Weinberger (2017), "On Calibration of Modern Neural Networks", ICML.
    """
    values: NDArray[np.float64] = np.asarray(probabilities, np.float64)
    if not len(values):
        raise BadInput("calibration: no digits, allowed: at least 1")
    confidence = values.max(axis=1)
    right = values.argmax(axis=1) == np.asarray(labels)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found, error = [], 0.0
    for number in range(bins):
        inside = place == number
        digits = int(inside.sum())
        mean = float(confidence[inside].mean()) if digits else None
        share = float(right[inside].mean()) if digits else None
        error += digits / len(values) * abs((mean or 0.0) - (share or 0.0))
        found.append(Bin(number / bins, (number + 1) / bins, digits, mean, share))
    return Calibration(error, tuple(found))
