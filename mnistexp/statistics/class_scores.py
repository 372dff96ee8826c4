"""Precision, recall and F1 of each class, from the confusion matrix, with their confidence intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
