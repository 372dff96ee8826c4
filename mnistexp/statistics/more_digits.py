"""Whether more training digits would help more than better settings, from accuracies at several numbers of digits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.statistics.intervals import Interval

FEWEST = 3
"""Numbers of digits that the curve, which has three parameters, takes at least."""
RATES = np.linspace(0.1, 2.0, 39)
"""The exponents c that are tried, in steps of 0.05."""
DRAWS = 1000
Floats = NDArray[np.float64]
"""Accuracies float64 (curves, sizes), or one number for each curve (curves,)."""


@dataclass(frozen=True)
class AccuracyCurve:
    """The accuracies of one setting, shares of 1 with 95% intervals, at several numbers of training digits."""

    name: str
    digits: tuple[int, ...]
    accuracies: tuple[float, ...]
    intervals: tuple[Interval, ...]

    def fitted(self, digits: ArrayLike) -> Floats | None:
        """The fitted curve at these numbers of digits (n,): float64 (n,), see `more_digits`; None below three."""
        if len(self.digits) < FEWEST:
            return None
        level, fall, rate = _fitted(np.array(self.digits, np.float64), np.array([self.accuracies]))[:, 0]
        return np.asarray(level - fall * (np.asarray(digits) / self.digits[-1]) ** -rate, np.float64)


@dataclass(frozen=True)
class MoreDigits:
    """The expected gain of twice the digits, and that of the best of several settings over the median one.

    `digits`: the largest number; the gains: shares of 1 with 95% intervals; that of tuning is None for a single
    setting. `verdict`: `digits` or `tuning`, where the interval of the difference excludes 0, else `undecided`.
    """

    digits: int
    settings: int
    doubling_gain: float
    doubling_interval: Interval
    tuning_gain: float | None = None
    tuning_interval: Interval | None = None
    difference_interval: Interval | None = None

    @property
    def verdict(self) -> str | None:
        """`digits`, `tuning` or `undecided`; None for a single setting."""
        if self.difference_interval is None:
            return None
        low, high = self.difference_interval.ends
        return "digits" if low > 0 else "tuning" if high < 0 else "undecided"

    def document(self) -> dict[str, Any]:
        """The document for `metrics.json`: numbers, intervals as pairs, the verdict and the sentence."""
        shown = {name: value.ends if isinstance(value, Interval) else value for name, value in vars(self).items()}
        return shown | {"verdict": self.verdict, "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """The answer in plain language."""
        gain = _told(self.doubling_gain, self.doubling_interval)
        twice = f"Twice the {self.digits} digits would raise the accuracy by about {gain}"
        if self.tuning_gain is None or self.tuning_interval is None:
            return f"{twice}. Only the number of digits was swept, so there is no tuning to compare this with."
        tuned = f"the best of {self.settings} settings gains {_told(self.tuning_gain, self.tuning_interval)}"
        answer = {
            "digits": "More digits would help more than more tuning.",
            "tuning": "Tuning helps more than more digits would.",
        }.get(self.verdict or "", "These digits don't show which of the two helps more.")
        return f"{answer} {twice}; {tuned} over the median one."


def _told(gain: float, interval: Interval) -> str:
    return f"{100 * gain:.1f} points (95% interval {100 * interval.low:.1f} to {100 * interval.high:.1f})"


def more_digits(sizes: Sequence[int], correct: Floats, seed: int = 0, draws: int = DRAWS) -> MoreDigits | None:
    """The comparison, from `correct` float64 (settings, sizes, digits): the share of fits that read each digit right.

    `sizes`: the number of training digits, ascending; None with fewer than three. The gain of twice the largest number
    is read from accuracy = a - b n^-c, fitted by least squares with a <= 1 and b >= 0 to the setting that is best at
    the largest number. The intervals are percentiles of a bootstrap over the digits that are read, which are the same
    for all settings; they allow neither for other training digits and seeds nor for curves of another form, and the
    best setting is chosen on these digits, so tuning looks better than it is.

    Source: Cortes, Jackel, Solla, Vapnik and Denker (1994), Learning curves: asymptotic values and rate of convergence;
    Figueroa, Zeng-Treitler, Kandula and Ngo (2012), Predicting sample size required for classification performance.
    """
    if len(sizes) < FEWEST:
        return None
    n = correct.shape[-1]
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws) / n
    drawn = np.moveaxis(correct @ weights.T, -1, 0)
    means = np.concatenate([correct.mean(axis=-1)[None], drawn])  # (1 + draws, settings, sizes)
    best = int(means[0, :, -1].argmax())
    _, fall, rate = _fitted(np.array(sizes, np.float64), means[:, best])
    doubling = fall * (1 - 2**-rate)
    tuning = means[:, best, -1] - np.median(means[:, :, -1], axis=1)
    gained = float(doubling[0]), _percentiles(doubling[1:])
    if len(correct) == 1:
        return MoreDigits(int(sizes[-1]), 1, *gained)
    apart = _percentiles((doubling - tuning)[1:])
    return MoreDigits(int(sizes[-1]), len(correct), *gained, float(tuning[0]), _percentiles(tuning[1:]), apart)


def _percentiles(values: Floats) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high), 0.95, "bootstrap over the digits")


def _fitted(sizes: Floats, accuracies: Floats) -> Floats:
    """The a, b and c of a - b (n / the largest)^-c, fitted to accuracies (curves, sizes): float64 (3, curves)."""
    least, found = np.full(len(accuracies), np.inf), np.zeros((3, len(accuracies)))
    mean = accuracies.mean(axis=1)
    for rate in RATES:
        x = (sizes / sizes[-1]) ** -rate
        centred = x - x.mean()
        fall = np.maximum(0.0, -(accuracies @ centred) / (centred @ centred))
        level = mean + fall * x.mean()
        capped = level > 1
        fall = np.where(capped, np.maximum(0.0, (1 - accuracies) @ x / (x @ x)), fall)
        level = np.minimum(level, 1.0)
        errors = ((accuracies - level[:, None] + fall[:, None] * x) ** 2).sum(axis=1)
        better = errors < least
        least = np.where(better, errors, least)
        found = np.where(better, [level, fall, np.full(len(fall), rate)], found)
    return found
