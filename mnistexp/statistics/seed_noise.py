"""What our training gives over seeds: the band of its curves, and whether reported accuracies are among its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.errors import BadInput
from mnistexp.statistics.comparison import holm
from mnistexp.statistics.intervals import Interval, prediction_interval

__all__ = ["Band", "Compatibility", "compatible", "seed_band"]


@dataclass(frozen=True, eq=False)
class Band:
    """Mean and prediction interval over seeds at each epoch: float64 (epochs,), NaN where a seed has no value."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    level: float

    def holds(self, curve: ArrayLike) -> NDArray[np.bool_]:
        """Which values of one more curve lie inside, epoch by epoch: bool (epochs,)."""
        values = np.asarray(curve, dtype=np.float64)
        return (self.low <= values) & (values <= self.high)


def seed_band(curves: ArrayLike, level: float = 0.95) -> Band:
    """The band that one more seed's curve passes through: at each epoch its `prediction_interval`.

    `curves`: (seeds, epochs), at least 3 seeds. The level holds for each epoch by itself; a curve may leave the band
    somewhere far more often. Raises `BadInput` for fewer seeds. Source: `prediction_interval`.
    """
    values = np.asarray(curves, dtype=np.float64)
    if values.ndim != 2 or len(values) < 3:
        raise BadInput(f"curves: shape {values.shape}; a band needs the curves of at least 3 seeds, (seeds, epochs)")
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
    `interval`, where one more of our seeds would fall.
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
        """The verdict in plain language, with the means, the spreads and the smallest p-value."""
        smallest = min(self.p_mean, self.p_spread, self.p_shape)
        verdict = (
            "nothing tells the two apart"
            if self.agrees
            else "the two differ by more than chance between seeds explains"
        )
        return (
            f"Reported {self.reported_mean:.4f} on average (standard deviation {self.reported_std:.4f}, "
            f"{self.reported} values), ours {self.our_mean:.4f} ({self.our_std:.4f}, {self.ours} seeds): {verdict} "
            f"(smallest of three p-values {smallest:.3f}). {self.inside} of {self.reported} lie where one more of our "
            "seeds would fall."
        )


def compatible(
    reported: ArrayLike, ours: ArrayLike, level: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Compatibility:
    """Could the `reported` accuracies (n,) be further seeds of `ours` (m,)?

    Three statistics, one set of permutations: |difference of means|; |log of the ratio of standard deviations|, each
    sample about its own mean; and the two-sample Kolmogorov-Smirnov distance. p = (1 + permutations at least as far
    out) / (1 + permutations). Permuting allows for ties, which accuracies on few digits are full of.

    Assumes that values within each sample are exchangeable (independent seeds, same digits). Not significant is not
    proof of sameness: few values can't show small differences. Raises `BadInput` for fewer than 3 values on a side.

    Source: Phipson & Smyth (2010), Statistical Applications in Genetics and Molecular Biology 9(1):39.
    """
    x, y = np.asarray(reported, dtype=np.float64).ravel(), np.asarray(ours, dtype=np.float64).ravel()
    if min(len(x), len(y)) < 3 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise BadInput(f"reported, ours: {len(x)} and {len(y)} values; at least 3 finite ones on each side are needed")
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
