"""What a classifier gets right: the confusion matrix, precision, recall and F1 of each class, and calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.errors import BadInput
from mnistexp.statistics.intervals import Interval, wilson

METHOD = (
    "95% intervals: Wilson (1927) for precision and recall; for F1 Wilson's of the share of correct ones among the "
    "digits that belong to the class or are predicted as it, transformed (Lam, Gopal and Qian 2023)."
)


@dataclass(frozen=True)
class Score:
    """A score from 0 to 1 and its 95% interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class ClassScores:
    """One class: `digits` belong to it, `predicted` are predicted as it, `correct` are both; scores of 0/0 are None."""

    digits: int
    predicted: int
    correct: int

    @property
    def precision(self) -> Score | None:
        """Of the digits predicted as the class, the share that belong to it."""
        return _share(self.correct, self.predicted)

    @property
    def recall(self) -> Score | None:
        """Of the digits of the class, the share predicted as it."""
        return _share(self.correct, self.digits)

    @property
    def f1(self) -> Score | None:
        """The harmonic mean of precision and recall, 2 correct / (digits + predicted).

        The interval is the Wilson indirect one: F1 = 2 s / (1 + s) grows with s = correct / (digits + predicted -
        correct), a binomial share given its denominator, so that Wilson's limits of s give those of F1. Source: Lam,
        Gopal & Qian (2023), Confidence intervals for the F1 score: a comparison of four methods, arXiv:2309.14621.
        """
        share = _share(self.correct, self.digits + self.predicted - self.correct)
        if share is None:
            return None
        value, low, high = (2 * s / (1 + s) for s in (share.value, share.interval.low, share.interval.high))
        return Score(value, Interval(low, high, share.interval.level, "Wilson indirect"))


def class_scores(confusion: NDArray[np.int64]) -> list[ClassScores]:
    """The scores of each class, from counts int64 (classes, classes), row = true class, column = prediction.

    Source: as scikit-learn's `precision_recall_fscore_support`.
    """
    counts = np.asarray(confusion, np.int64)
    columns = zip(counts.sum(axis=1), counts.sum(axis=0), counts.diagonal(), strict=True)
    return [ClassScores(*map(int, column)) for column in columns]


def _share(part: int, of: int) -> Score | None:
    return Score(part / of, wilson(part, of)) if of else None


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int = 10) -> NDArray[np.int64]:
    """Counts of each true and predicted class: int64 (classes, classes), row = true label, column = prediction.

    `labels`, `predictions`: (digits,), from 0 to below `classes`. Source: as scikit-learn's `confusion_matrix`.
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (np.asarray(labels, np.int64), np.asarray(predictions, np.int64)), 1)
    return counts


def per_class_accuracy(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of each class's digits that were classified correctly, float64 (classes,); NaN for a class without digits.

    `confusion`: int64 (classes, classes), see `confusion_matrix`. Also called recall. With 200 test digits a class has
    about 20: `wilson` on that few is 20 to 30 points wide. Source: as scikit-learn's `recall_score` without averaging.
    """
    totals = confusion.sum(axis=1)
    shares: NDArray[np.float64] = np.divide(
        confusion.diagonal(), totals, out=np.full(len(totals), np.nan), where=totals > 0
    )
    return shares


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
