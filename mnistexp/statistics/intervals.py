"""Confidence intervals of an accuracy and of a difference of two; prediction intervals; means over repeats."""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike

from mnistexp.config.shown import percent, span
from mnistexp.errors import BadInput


@dataclass(frozen=True)
class Interval:
    """The values from `low` to `high`, both included; `level`: the share of such intervals that cover the truth."""

    low: float
    high: float
    level: float
    method: str

    @property
    def ends(self) -> list[float]:
        """`low` and `high`."""
        return [self.low, self.high]

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def wilson(successes: float, n: float, level: float = 0.95) -> Interval:
    """Wilson's score interval of an accuracy, from `successes` correct predictions on `n` digits.

    All p with |k/n - p| <= z sqrt(p (1 - p) / n). Assumes n digits drawn independently and a model fixed before it is
    scored on them. The counts need not be whole (`selection_bias` uses that). Raises `BadInput` unless
    0 <= successes <= n and n > 0.

    Source: Wilson (1927), JASA 22; recommended by Brown, Cai & DasGupta (2001), Statistical Science 16.
    """
    _check_counts(successes, n)
    return Interval(*score_ends(successes / n, n, _normal_quantile(level)), level, "Wilson score")


def score_ends(p: float, n: float, z: float) -> tuple[float, float]:
    """The ends of `wilson` around a share `p` of `n` digits, `z` standard errors away. Source: `wilson`."""
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return 0.0 if p == 0 else max(middle - half, 0.0), 1.0 if p == 1 else min(middle + half, 1.0)


def accuracy_difference(
    first_successes: float, first_n: float, second_successes: float, second_n: float, level: float = 0.95
) -> Interval:
    """Newcombe's interval of p1 - p2 for accuracies on two *different* sets of digits, such as test and unseen.

    With d = p1 - p2 and Wilson limits l, u of each: from d - sqrt((p1 - l1)^2 + (u2 - p2)^2) to
    d + sqrt((u1 - p1)^2 + (p2 - l2)^2). Assumes two independent samples; for two models on the same digits use
    `paired_difference`. Raises `BadInput` for impossible counts.

    Source: Newcombe (1998), Statistics in Medicine 17, 873-890, method 10.
    """
    first, second = wilson(first_successes, first_n, level), wilson(second_successes, second_n, level)
    p1, p2 = first_successes / first_n, second_successes / second_n
    low = p1 - p2 - sqrt((p1 - first.low) ** 2 + (second.high - p2) ** 2)
    high = p1 - p2 + sqrt((first.high - p1) ** 2 + (p2 - second.low) ** 2)
    return Interval(low, high, level, "Newcombe hybrid score")


def predict_accuracy(successes: float, n: float, m: float, level: float = 0.95) -> Interval:
    """Prediction interval of the accuracy on `m` further digits, after `successes` of `n`.

    All y with |k/n - y| <= z sqrt(q (1 - q) (1/n + 1/m)), where q = (k + m y) / (n + m) pools both sets; a quadratic
    in y. Wider than `wilson`, its limit for large m, because the m digits are a sample too. Assumes that all
    n + m digits come independently from one source. Raises `BadInput` for impossible counts.

    Source: Krishnamoorthy & Peng (2011), J. Statistical Planning and Inference 141, the joint sampling approach.
    """
    _check_counts(successes, n)
    _check_counts(0, m)
    z = _normal_quantile(level)
    total, p = n + m, successes / n
    c = z * z / (n * m * total)
    square, linear = 1 + c * m * m, p + c * m * (total - 2 * successes) / 2
    root = sqrt(max(linear**2 - square * (p * p - c * successes * (total - successes)), 0.0))
    low = 0.0 if successes == 0 else max((linear - root) / square, 0.0)
    high = 1.0 if successes == n else min((linear + root) / square, 1.0)
    return Interval(low, high, level, "joint-sampling prediction")


@dataclass(frozen=True)
class Repeats:
    """A quantity over `n` trainings that differ in their seed alone.

    `std` has ddof 1 and is None for one value; `interval` is that of the mean, None below three values.
    """

    n: int
    mean: float
    std: float | None
    interval: Interval | None

    @property
    def sentence(self) -> str:
        """The mean of accuracies, their standard deviation and its confidence interval, as a sentence."""
        if self.interval is None or self.std is None:
            over = "1 seed" if self.n == 1 else f"{self.n} seeds"
            return f"Mean {percent(self.mean)} over {over}. A confidence interval needs at least 3 seeds."
        return (
            f"Mean {percent(self.mean)} over {self.n} seeds, standard deviation {100 * self.std:.1f} points; "
            f"{self.interval.level:.0%} confidence interval of the mean {span(self.interval.low, self.interval.high)} "
            "(Student's t)."
        )


def over_repeats(values: ArrayLike, level: float = 0.95, resolution: float = 0.0) -> Repeats:
    """Mean, standard deviation and Student's t interval, mean +- t(n - 1) s / sqrt(n), of one value per seed (n,).

    `resolution`: the step of the values; pass 1/digits for an accuracy, and the interval is at least half a step to
    each side. Without that, three seeds that happen to agree would give an interval of width 0, and intervals on 200
    digits would cover 91% instead of 95% where seeds differ by one digit only. Two values have no interval, because
    its coverage would be lower still. Assumes independent seeds and values that are about normal; covers the seeds
    only, not other digits.

    Raises `BadInput` for no values or values that are not finite. Source: Student (1908), Biometrika 6.
    """
    check_level(level)
    x = _finite(values)
    mean = float(x.mean())
    if len(x) == 1:
        return Repeats(1, mean, None, None)
    std = float(x.std(ddof=1))
    if len(x) == 2:
        return Repeats(2, mean, std, None)
    half = max(t_quantile(level, len(x) - 1) * std / sqrt(len(x)), resolution / 2)
    return Repeats(len(x), mean, std, Interval(mean - half, mean + half, level, "Student t"))


def prediction_interval(values: ArrayLike, level: float = 0.95, resolution: float = 0.0) -> Interval | None:
    """Prediction interval of one more seed's value: mean +- t(n - 1) s sqrt(1 + 1/n); None below three values.

    `values` (seeds,), `resolution`, assumptions and errors are those of `over_repeats`.
    Source: Hahn & Meeker (1991), Statistical Intervals, chapter 4.
    """
    check_level(level)
    x = _finite(values)
    if len(x) < 3:
        return None
    half = max(t_quantile(level, len(x) - 1) * float(x.std(ddof=1)) * sqrt(1 + 1 / len(x)), resolution / 2)
    mean = float(x.mean())
    return Interval(mean - half, mean + half, level, "Student t prediction")


def check_level(level: float) -> None:
    """Raises `BadInput` unless 0 < level < 1."""
    if not 0 < level < 1:
        raise BadInput(f"level: {level!r} is not a confidence level, allowed: between 0 and 1, such as 0.95")


def _check_counts(successes: float, n: float) -> None:
    if not (n > 0 and isfinite(n)):
        raise BadInput(f"n: {n!r} digits, allowed: at least 1")
    if not 0 <= successes <= n:
        raise BadInput(f"successes: {successes!r} correct of {n!r} digits, allowed: 0 to {n!r}")


def _finite(values: ArrayLike) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    x = np.asarray(values, dtype=np.float64).ravel()
    if not len(x):
        raise BadInput("values: none given, allowed: at least 1")
    if not np.isfinite(x).all():
        raise BadInput(f"values: {float(x[~np.isfinite(x)][0])} is not a finite number")
    return x


def _normal_quantile(level: float) -> float:
    from scipy.special import ndtri

    check_level(level)
    return float(ndtri(0.5 + level / 2))


def t_quantile(level: float, degrees: float) -> float:
    """How many standard errors a Student t interval reaches to each side. Source: Student (1908), Biometrika 6."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + level / 2))
