"""The variation of our training over seeds: the band of its curves, and whether reported accuracies agree with it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.errors import BadInput
from mnistexp.statistics.comparison import holm
from mnistexp.statistics.intervals import Interval, prediction_interval


@dataclass(frozen=True, eq=False)
class Band:
    """Mean and prediction interval over seeds at each epoch: float64 (epochs,), NaN where a seed has no value."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    level: float

    def holds(self, curve: ArrayLike) -> NDArray[np.bool_]:
        """Whether each value of another curve lies in the band: bool (epochs,)."""
        values = np.asarray(curve, dtype=np.float64)
        return (self.low <= values) & (values <= self.high)


def seed_band(curves: ArrayLike, level: float = 0.95) -> Band:
    """The band of one more seed's curve: the `prediction_interval` at each epoch.

    `curves`: (seeds, epochs), at least 3 seeds. The level holds for each epoch separately; a curve leaves the band
    at some epoch far more often. Raises `BadInput` for fewer seeds. Source: `prediction_interval`.
    """
    values = np.asarray(curves, dtype=np.float64)
    if values.ndim != 2 or len(values) < 3:
        raise BadInput(f"curves: shape {values.shape}, allowed: (seeds, epochs) with at least 3 seeds")
    nothing = Interval(np.nan, np.nan, level, "none")
    bands = [(prediction_interval(at, level) if np.isfinite(at).all() else None) or nothing for at in values.T]
    low, high = np.array([band.low for band in bands]), np.array([band.high for band in bands])
    return Band(values.mean(axis=0), low, high, level)


@dataclass(frozen=True)
class Compatibility:
    """Reported accuracies against ours over seeds.

    `p_mean`, `p_spread`, `p_shape`: permutation p-values of "both come from one distribution", looking at the means,
    the standard deviations, and the largest gap between the distribution functions (`ks_distance`). `agrees`: none of
    the three is significant at 1 - level after Holm's correction. `inside`: how many of the `reported` values lie in
    `interval`, the prediction interval of one more of our seeds.
    """

    reported: int
    ours: int
    reported_mean: float
    our_mean: float
    reported_std: float
    our_std: float
    ks_distance: float
    p_mean: float
    p_spread: float
    p_shape: float
    agrees: bool
    inside: int
    interval: Interval

    @property
    def sentence(self) -> str:
        """The verdict as a sentence, with means, standard deviations and the smallest p-value, Holm-corrected."""
        smallest = min(1.0, 3 * min(self.p_mean, self.p_spread, self.p_shape))
        verdict = (
            "no significant difference"
            if self.agrees
            else "the difference is larger than the variation between seeds explains"
        )
        return (
            f"Reported: mean {self.reported_mean:.4f}, standard deviation {self.reported_std:.4f}, {self.reported} "
            f"values; ours: {self.our_mean:.4f}, {self.our_std:.4f}, {self.ours} seeds: {verdict} (smallest of three "
            f"p-values, Holm-corrected, {smallest:.3f}). {self.inside} of the {self.reported} reported values lie in "
            "the prediction interval of one more of our seeds."
        )


def compatible(
    reported: ArrayLike, ours: ArrayLike, level: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Compatibility:
    """Could the `reported` accuracies (n,) be further seeds of `ours` (m,)?

    Three statistics, one set of permutations: |difference of means|; |log of the ratio of standard deviations|, each
    sample about its own mean; and the two-sample Kolmogorov-Smirnov distance. p = (1 + permutations at least as far
    out) / (1 + permutations). Permutation tests allow ties, which are common among accuracies on few digits.

    Assumes that values within each sample are exchangeable (independent seeds, same digits). No significant difference
    is not proof of equality: few values can't show small differences. Raises `BadInput` below 3 values in a sample.

    Source: Phipson & Smyth (2010), Statistical Applications in Genetics and Molecular Biology 9(1):39.
    """
    x, y = np.asarray(reported, dtype=np.float64).ravel(), np.asarray(ours, dtype=np.float64).ravel()
    if min(len(x), len(y)) < 3 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise BadInput(f"reported, ours: {len(x)} and {len(y)} values, allowed: at least 3 finite values each")
    interval = prediction_interval(y, level)
    assert interval is not None
    rng = np.random.default_rng(seed)
    pooled = np.concatenate([x, y])
    centered = np.concatenate([x - x.mean(), y - y.mean()])
    shuffled = rng.permuted(np.tile(np.arange(len(pooled)), (resamples, 1)), axis=1)
    order = np.concatenate([np.arange(len(pooled))[None], shuffled])
    distances = (
        _mean_distance(pooled[order], len(x)),
        _spread_distance(centered[order], len(x)),
        _shape_distance(pooled, order, len(x)),
    )
    p = np.array([(d >= d[0] - 1e-12).mean() for d in distances])
    return Compatibility(
        reported=len(x),
        ours=len(y),
        reported_mean=float(x.mean()),
        our_mean=float(y.mean()),
        reported_std=float(x.std(ddof=1)),
        our_std=float(y.std(ddof=1)),
        ks_distance=float(distances[2][0]),
        p_mean=float(p[0]),
        p_spread=float(p[1]),
        p_shape=float(p[2]),
        agrees=bool((holm(p) > 1 - level).all()),
        inside=int(((x >= interval.low) & (x <= interval.high)).sum()),
        interval=interval,
    )


def _mean_distance(rows: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    result: NDArray[np.float64] = np.abs(rows[:, :first].mean(axis=1) - rows[:, first:].mean(axis=1))
    return result


def _spread_distance(rows: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    tiny = np.finfo(np.float64).tiny  # samples of equal values have a standard deviation of 0
    one, two = (np.log(np.maximum(part.std(axis=1, ddof=1), tiny)) for part in (rows[:, :first], rows[:, first:]))
    result: NDArray[np.float64] = np.abs(one - two)
    return result


def _shape_distance(pooled: NDArray[np.float64], order: NDArray[np.int64], first: int) -> NDArray[np.float64]:
    """Kolmogorov-Smirnov distance of each permutation; at equal values the functions are compared after all of them."""
    ranks = np.argsort(pooled)
    last_of_ties = np.append(np.diff(pooled[ranks]) > 0, True)
    from_first = np.zeros(order.shape)
    np.put_along_axis(from_first, order[:, :first], 1.0, axis=1)
    from_first = from_first[:, ranks]
    gap = from_first.cumsum(axis=1) / first - (1 - from_first).cumsum(axis=1) / (len(pooled) - first)
    result: NDArray[np.float64] = np.abs(gap[:, last_of_ties]).max(axis=1)
    return result
