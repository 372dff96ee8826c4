"""Comparing two classifiers on the same digits: the exact test, the paired interval, and many such tests at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.errors import BadInput
from mnistexp.statistics.intervals import Interval, check_level


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
