"""Comparing what is stored with what came out again: the same bits or not, and how far apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnistexp.results import History

__all__ = ["CURVES", "Compared", "curve_difference", "relative_difference"]

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Compared:
    """One thing that was compared; `detail` says in words what was found.

    `difference`: how far apart at most, relative to the greatest value; infinite where two things are too unlike to be
    measured, None where only identity is asked.
    """

    what: str
    identical: bool
    difference: float | None = None
    detail: str = ""


def relative_difference(then: Sequence[float], now: Sequence[float]) -> float:
    """The largest distance between two lists of numbers, as a share of the greatest absolute value in them.

    A share of each single value would say more of the smallest losses than of the curve: where a loss of 0.001 becomes
    0.0014, nothing has changed. Infinite where the lengths differ, or a number stands against something that is none.
    """
    old, new = np.asarray(then, np.float64), np.asarray(now, np.float64)
    if old.shape != new.shape:
        return math.inf
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    if same.all():
        return 0.0
    if not (np.isfinite(old[~same]).all() and np.isfinite(new[~same]).all()):
        return math.inf
    scale = max(np.abs(values[np.isfinite(values)]).max() for values in (old, new))
    return float(np.abs(old[~same] - new[~same]).max() / scale)


def curve_difference(then: History, now: History) -> tuple[float, str]:
    """The largest `relative_difference` of two histories' curves, and the name of that curve, "" where all agree."""
    found = [(relative_difference(getattr(then, name), getattr(now, name)), name) for name in CURVES]
    difference, name = max(found, key=lambda pair: pair[0])
    return difference, name if difference else ""
