"""Comparing stored results with repeated ones: identical or not, and how large the difference is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnistexp.runs.results import CURVES, History


@dataclass(frozen=True)
class Compared:
    """One comparison; `detail` is the result in words.

    `difference`: the largest difference relative to the greatest value; infinite if the two can't be compared
    numerically, None if only identity is checked.
    """

    what: str
    identical: bool
    difference: float | None = None
    detail: str = ""


def relative_difference(then: Sequence[float], now: Sequence[float]) -> float:
    """The largest distance between two lists of numbers, as a share of the greatest absolute value in them.

    Relative to each single value, the smallest losses would dominate: a change from 0.001 to 0.0014 is irrelevant.
    Infinite if the lengths differ, or if only one of two values is a number.
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
    """The largest `relative_difference` of two histories' curves, and the name of that curve, "" if all are equal."""
    found = [(relative_difference(getattr(then, name), getattr(now, name)), name) for name in CURVES]
    difference, name = max(found, key=lambda pair: pair[0])
    return difference, name if difference else ""
