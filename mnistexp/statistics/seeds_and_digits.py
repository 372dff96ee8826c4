"""Whether one of two runs recognises more of the same digits, each trained once or with several seeds."""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from mnistexp.errors import BadInput
from mnistexp.statistics.comparison import mcnemar, paired_difference
from mnistexp.statistics.intervals import Interval, check_level

MCNEMAR = "exact McNemar test"
SEEDS = "t test over seeds and digits"


@dataclass(frozen=True)
class PairedRuns:
    """The accuracies of two runs on the same digits, as fractions; `difference` is second - first.

    `p_value`: of "equally accurate", by `test`. `smallest_drop`: the smallest loss of accuracy, as a fraction, that the
    test would have told from none at 1 - level, everything else being as it was.
    """

    first: float
    second: float
    difference: float
    interval: Interval
    p_value: float
    test: str
    smallest_drop: float


def compare_paired(first: NDArray[np.bool_], second: NDArray[np.bool_], level: float = 0.95) -> PairedRuns:
    """Compare two runs on the same digits; bool (trainings, digits) each, True where right.

    One training each: the exact McNemar test and the interval of `paired_difference`, which speak of these two
    networks. With several on either side the settings are compared, and seeds are drawn as digits are: with D the
    difference of the means over R1 and R2 seeds, and h = 1/R1 + 1/R2, its variance is estimated as

        V = V_digits + max(0, h s^2 - h e^2 / n)

    V_digits is the variance of the mean over n digits of the difference of shares, with the two pseudo-digits of
    `paired_difference`, a weight of h / 4 each; s^2 the variance of the accuracy between seeds and e^2 that of single
    answers after digit and seed are accounted for, both pooled over the two runs. V_digits holds h e^2 / n already, so
    it is not added again.
    D +- t sqrt(V), with Satterthwaite's degrees of freedom. Assumes independent digits and seeds, and seeds that differ
    as much in one run as in the other: a run of a single training borrows the other's s^2. Raises `BadInput` unless
    both are of the same digits.

    Source: random effects of two crossed factors: Searle, Casella, McCulloch (1992), Variance Components, chapter 4;
    degrees of freedom: Satterthwaite (1946), Biometrics Bulletin 2; seeds as a source of noise: Bouthillier et al.
    (2021), Accounting for Variance in Machine Learning Benchmarks, MLSys 3.
    """
    check_level(level)
    for runs in (first, second):
        if runs.dtype != np.bool_ or runs.ndim != 2 or not runs.size or runs.shape[1] != first.shape[1]:
            raise BadInput(
                f"first, second: {first.dtype} {first.shape} and {second.dtype} {second.shape}; bool (trainings, "
                "digits) of the same digits are needed"
            )
    if len(first) == len(second) == 1:
        return _single(first[0], second[0], level)
    from scipy.special import stdtr, stdtrit

    means = float(first.mean()), float(second.mean())
    difference = means[1] - means[0]
    variance, degrees = _variance(first, second)
    error = sqrt(variance)
    reach = float(stdtrit(degrees, 0.5 + level / 2)) * error
    return PairedRuns(
        *means,
        difference,
        Interval(difference - reach, difference + reach, level, "Student t over seeds and digits"),
        2 * float(stdtr(degrees, -abs(difference) / error)),
        SEEDS,
        reach,
    )


def _single(first: NDArray[np.bool_], second: NDArray[np.bool_], level: float) -> PairedRuns:
    found, test = paired_difference(second, first, level), mcnemar(first, second)
    return PairedRuns(
        found.second,
        found.first,
        found.difference,
        found.interval,
        test.p_value,
        MCNEMAR,
        _smallest_loss(test.second_only, level) / len(first),
    )


def _smallest_loss(gained: int, level: float) -> int:
    """By how many digits, net, a second network must fall behind for McNemar's p <= 1 - level, having gained some."""
    from scipy.special import bdtr

    lost = gained + 1
    while 2 * float(bdtr(gained, gained + lost, 0.5)) > ceil(1e12 * (1 - level)) / 1e12:
        lost += 1
    return lost - gained


def _variance(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[float, float]:
    """The variance of the difference of the means, and its degrees of freedom."""
    n, share = first.shape[1], 1 / len(first) + 1 / len(second)
    seeds = len(first) + len(second) - 2
    gain = second.mean(axis=0) - first.mean(axis=0)
    # Each digit weighs 1, and the two that read 1 and -1 `half` each: the variance of a Dirichlet's weighted mean.
    half = share / 4
    weight = n + 2 * half
    mean = gain.sum() / weight
    digits = (((gain - mean) ** 2).sum() + half * ((1 - mean) ** 2 + (1 + mean) ** 2)) / (weight * (weight + 1))
    between = share * sum(_squares(run.mean(axis=1)) for run in (first, second)) / seeds
    rest = share * sum(_residual(run) for run in (first, second)) / (seeds * (n - 1) * n) if n > 1 else 0.0
    if between <= rest:
        return float(digits), float(n)
    variance = digits + between - rest
    parts = digits**2 / n + between**2 / seeds + (rest**2 / (seeds * (n - 1)) if n > 1 else 0.0)
    return float(variance), float(variance**2 / parts)


def _squares(values: NDArray[np.float64]) -> float:
    """Sum of squared deviations from the mean."""
    return float(((values - values.mean()) ** 2).sum())


def _residual(run: NDArray[np.bool_]) -> float:
    """Sum of squares that neither the digits nor the seeds account for; `run`: (seeds, digits)."""
    y = run.astype(np.float64)
    rest = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + y.mean()
    return float((rest**2).sum())
