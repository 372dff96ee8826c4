"""Comparing two classifiers or two runs on the same digits: exact test, paired interval, many such tests at once."""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.errors import BadInput
from mnistexp.statistics.intervals import Interval, check_level, t_quantile

MCNEMAR = "exact McNemar test"
SEEDS = "t test over seeds and digits"


@dataclass(frozen=True)
class McNemar:
    """`first_only`, `second_only`: digits that only one of the two got right; `p_value` of "equally accurate"."""

    first_only: int
    second_only: int
    p_value: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Exact McNemar test of two classifiers on the same digits; bool (digits,), True where right.

    Only digits where the two disagree count: of b + c such, b ~ Binomial(b + c, 1/2) if both are equally
    accurate; p = min(1, 2 P(X <= min(b, c))). Assumes digits drawn independently and models fixed beforehand.

    Source: McNemar (1947), Psychometrika 12; for classifiers, Dietterich (1998), Neural Computation 10.
    """
    from scipy.special import bdtr

    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    return McNemar(b, c, min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5))))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's adjusted p-values, float64 (m,), in the order of `p_values` (m,).

    Rejecting those <= alpha has a family-wise error rate <= alpha, under any dependence. The i-th smallest of m (i
    from 1) becomes max over j <= i of (m - j + 1) p_(j), at most 1.

    Source: Holm (1979), Scandinavian Journal of Statistics 6.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


@dataclass(frozen=True)
class PairedDifference:
    """Two accuracies on the same digits, as fractions; `difference` is first - second.

    `error_reduction`: the share of the second's errors that the first avoids, 1 - error_first / error_second; None,
    like its interval, where the second makes no error.
    """

    first: float
    second: float
    difference: float
    interval: Interval
    error_reduction: float | None
    error_reduction_interval: Interval | None

    @property
    def points(self) -> float:
        """The difference in percentage points."""
        return 100 * self.difference


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> PairedDifference:
    """Paired bootstrap interval of an accuracy difference and of the relative error reduction.

    `first`, `second`: (digits,), True where right, or shares in [0, 1] where repeats or trials are averaged. `weights`:
    (digits,), how much each digit counts, equally if None. Each resample weighs every digit by an exponential draw, the
    same for both, so that what the two have in common cancels; the interval spans the middle `level` of the resamples.
    Two pseudo-digits of half a digit's weight, each right for one of the two only, stand for disagreements not seen
    in the sample. Without them (and with whole counts for draws) two models that differ on few digits get an interval
    that is too narrow, or of width 0.

    Assumes digits drawn independently and the pair chosen beforehand: for a pair chosen as best and worst on these
    digits the difference is overestimated. Raises `BadInput` for different lengths.

    Source: Rubin (1981), The Bayesian Bootstrap, Annals of Statistics 9; pseudo-digits: Jeffreys' prior (1/2 each).
    """
    check_level(level)
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise BadInput(f"first, second: shapes {x.shape} and {y.shape}, allowed: equal shapes (digits,)")
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != x.shape or not (w > 0).all():
        raise BadInput(f"weights: {w.size} for {x.size} digits, allowed: a positive weight for each digit")
    w = w / w.mean()
    difference, reduction = _resampled(np.stack([x, y, w]), resamples, np.random.default_rng(seed))
    mean_x, mean_y = float((w * x).mean()), float((w * y).mean())
    saved = (mean_x - mean_y) / (1 - mean_y) if mean_y < 1 else None
    return PairedDifference(
        first=mean_x,
        second=mean_y,
        difference=mean_x - mean_y,
        interval=_middle(difference, level, mean_x - mean_y),
        error_reduction=saved,
        error_reduction_interval=None if saved is None else _middle(reduction, level, saved),
    )


def _resampled(digits: NDArray[np.float64], resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The difference and the error reduction in each resample: (2, resamples).

    `digits`: float64 (3, digits), the first share, the second, and the weight of each.
    """
    found = np.empty((2, resamples))
    pairs, sizes = np.unique(digits, axis=1, return_counts=True)
    for start in range(0, resamples, 1000):
        part = slice(start, min(start + 1000, resamples))
        # Digits with equal outcomes share a column: m exponential weights sum to a gamma variable of shape m.
        drawn = pairs[2] * rng.standard_gamma(sizes, (part.stop - start, len(sizes)))
        unseen = rng.standard_gamma(0.5, (2, part.stop - start))
        gain = (drawn * (pairs[0] - pairs[1])).sum(axis=1) + unseen[0] - unseen[1]
        errors = (drawn * (1 - pairs[1])).sum(axis=1) + unseen[0]
        found[:, part] = gain / (drawn.sum(axis=1) + unseen.sum(axis=0)), gain / errors
    return found


def _middle(draws: NDArray[np.float64], level: float, estimate: float) -> Interval:
    """The middle `level` of the draws, extended to the estimate if that lies outside."""
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(min(float(low), estimate), max(float(high), estimate), level, "paired Bayesian bootstrap")


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
    from scipy.special import stdtr

    means = float(first.mean()), float(second.mean())
    difference = means[1] - means[0]
    variance, degrees = _variance(first, second)
    error = sqrt(variance)
    reach = t_quantile(level, degrees) * error
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
