"""Comparing trials on the same digits: paired tests and intervals, ties with the best, best against worst."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.errors import BadInput, nearest
from mnistexp.statistics.intervals import Interval, check_level

__all__ = [
    "Gap",
    "McNemar",
    "NotebookFigures",
    "PairedDifference",
    "compare_trials",
    "counts_of",
    "earnings",
    "holm",
    "mcnemar",
    "notebook_figures",
    "paired_difference",
    "tied_with_best",
]

TieTest = Literal["mcnemar", "bootstrap"]


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
    rng = np.random.default_rng(seed)
    difference, reduction = np.full((2, resamples), np.nan)
    pairs, sizes = np.unique(np.stack([x, y, w]), axis=1, return_counts=True)
    for start in range(0, resamples, 1000):
        part = slice(start, min(start + 1000, resamples))
        # Digits with equal outcomes share a column: m exponential weights sum to a gamma variable of shape m.
        drawn = pairs[2] * rng.standard_gamma(sizes, (part.stop - start, len(sizes)))
        unseen = rng.standard_gamma(0.5, (2, part.stop - start))
        gain = (drawn * (pairs[0] - pairs[1])).sum(axis=1) + unseen[0] - unseen[1]
        errors = (drawn * (1 - pairs[1])).sum(axis=1) + unseen[0]
        difference[part], reduction[part] = gain / (drawn.sum(axis=1) + unseen.sum(axis=0)), gain / errors
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


def tied_with_best(
    correct: NDArray[np.bool_], best: int, method: TieTest = "mcnemar", level: float = 0.95
) -> tuple[int, ...]:
    """Sorted indices, `best` included, of the trials whose predictions don't differ significantly from trial `best`.

    `correct`: bool (trials, digits) or (trials, repeats, digits), True where the out-of-fold prediction is right.
    Every other trial is tested against `best`; those whose Holm-adjusted p-value exceeds 1 - level are tied.
    "mcnemar": the exact test. With repeats the digit stays the unit, because repeats share their digits: each digit's
    net count of repeats may have either sign if the two are equal, and p is the exact share of sign patterns whose
    sum is at least as far from 0 (with one repeat this is McNemar's test).
    "bootstrap": twice the smaller share of `paired_difference`'s resamples on one side of 0, in closed form: the
    weights on either side sum to gamma variables. Exact with one repeat; with more, a gamma matched in two moments.

    Tied does not mean equal: with more digits some differences would become significant. And `best` was chosen on these
    digits, so the truly best trial is among the tied less often than `level`. Raises `BadInput` for a bad shape, index
    or method.

    Source: `mcnemar`, `holm`, `paired_difference`; sign patterns: Fisher (1935), The Design of Experiments, chapter 3;
    two moments: Satterthwaite (1946), Biometrics Bulletin 2.
    """
    check_level(level)
    if method not in ("mcnemar", "bootstrap"):
        raise BadInput(f"method: {method!r}; allowed: mcnemar, bootstrap{nearest(method, ('mcnemar', 'bootstrap'))}")
    counts, repeats = counts_of(correct)
    if not 0 <= best < len(counts):
        raise BadInput(f"best: {best} is not a trial; there are {len(counts)}, numbered from 0")
    net = counts[best] - counts
    steps = range(-repeats, repeats + 1)
    histograms = np.stack([(net == step).sum(axis=1) for step in steps], axis=1)
    distinct, which = np.unique(histograms, axis=0, return_inverse=True)
    p = _sign_flip(distinct) if method == "mcnemar" else _bootstrap_tail(distinct)
    others = np.arange(len(counts)) != best
    adjusted = np.ones(len(counts))
    adjusted[others] = holm(p[which.ravel()][others])
    return tuple(int(index) for index in np.flatnonzero(adjusted > 1 - level))


@dataclass(frozen=True)
class Gap:
    """The difference between the best trial of a family and its worst trial and average.

    `best`, `worst`: trial indices in the whole sweep. The average is that of the trials' accuracies: the expected
    accuracy of a setting drawn at random from the grid.
    """

    family: str
    trials: int
    best: int
    worst: int
    versus_worst: PairedDifference
    versus_average: PairedDifference


def compare_trials(
    correct: NDArray[np.bool_],
    families: Sequence[str] = (),
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    weights: NDArray[np.float64] | None = None,
) -> tuple[Gap, ...]:
    """Best against worst and against the average of all trials: overall ("all") first, then each family in order.

    `correct`: as in `tied_with_best`; `families`: one name per trial, such as its optimizer. `weights`: (repeats,
    digits), how much each prediction counts, equally if None. Ties are broken by the grid's order. Method,
    assumptions and source: `paired_difference`; its warning about chosen pairs applies here in full. Raises `BadInput`
    for a bad shape or a wrong number of families.
    """
    earned, most = earnings(correct, weights)
    shares, scores = earned / most, earned.sum(axis=1)
    if len(families) not in (0, len(shares)):
        raise BadInput(f"families: {len(families)} names for {len(shares)} trials, allowed: one name per trial")
    names = np.array(families)
    groups = {"all": np.arange(len(shares))} | {n: np.flatnonzero(names == n) for n in dict.fromkeys(families)}
    gaps = []
    for name, members in groups.items():
        best, worst = (int(members[place]) for place in (scores[members].argmax(), scores[members].argmin()))
        others = shares[worst], shares[members].mean(axis=0)
        against = [paired_difference(shares[best], x, level, resamples, seed, most) for x in others]
        gaps.append(Gap(name, len(members), best, worst, against[0], against[1]))
    return tuple(gaps)


@dataclass(frozen=True)
class NotebookFigures:
    """The assignment notebook's three numbers, all computed from the best scores of its sweeps."""

    best: float
    worst: float
    average: float


def notebook_figures(scores: Mapping[str, Sequence[float]]) -> NotebookFigures:
    """The assignment notebook's "best, worst and average model": largest, smallest and mean of each sweep's best score.

    `scores`: sweep name -> mean accuracy of each of its trials. Kept for comparison only: its worst is the *best* of
    the poorest sweep, and its average is over sweeps, not over trials; `compare_trials` answers the question.
    Source: the assignment's notebook.
    """
    best = [max(sweep) for sweep in scores.values()]
    return NotebookFigures(max(best), min(best), sum(best) / len(best))


def counts_of(correct: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """How many repeats got each digit right, int32 (trials, digits), and the number of repeats.

    Raises `BadInput` unless `correct` is bool (trials, digits) or (trials, repeats, digits), none of them 0.
    """
    if correct.dtype != np.bool_ or correct.ndim not in (2, 3) or not correct.size:
        raise BadInput(
            f"correct: {correct.dtype} of shape {correct.shape}, "
            "allowed: bool (trials, digits) or (trials, repeats, digits)"
        )
    if correct.ndim == 2:
        return correct.astype(np.int32), 1
    return correct.sum(axis=1, dtype=np.int32), correct.shape[1]


def earnings(
    correct: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The score of each trial on each digit, int64 (trials, digits), and the highest possible, int64 (digits,).

    In whole numbers, so that equal scores are exactly equal. `correct`: as in `tied_with_best`; `weights`: (repeats,
    digits), how much each prediction counts, equally if None. Raises `BadInput` for a bad shape.
    """
    counts, repeats = counts_of(correct)
    if weights is None:
        return counts.astype(np.int64), np.full(counts.shape[1], repeats)
    if weights.shape != (repeats, counts.shape[1]) or not (weights > 0).all():
        expected = (repeats, counts.shape[1])
        raise BadInput(f"weights: shape {weights.shape}, allowed: positive weights of shape {expected}")
    whole = np.rint(2.0**48 * weights / weights.sum()).astype(np.int64)
    predictions = correct.reshape(len(correct), repeats, -1)
    return np.einsum("trd,rd->td", predictions, whole), whole.sum(axis=0)


def _middle(draws: NDArray[np.float64], level: float, estimate: float) -> Interval:
    """The middle `level` of the draws, extended to the estimate if that lies outside."""
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(min(float(low), estimate), max(float(high), estimate), level, "paired Bayesian bootstrap")


def _sign_flip(histograms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exact two-sided p-values; row: how many digits have net count -R .. R."""
    from scipy.special import gammaln

    repeats = histograms.shape[1] // 2
    steps = np.arange(-repeats, repeats + 1)
    p = np.empty(len(histograms))
    for row, histogram in enumerate(histograms):
        observed = abs(int(steps @ histogram))
        ups = np.ones(1)  # ups[i]: share of sign patterns whose positive counts sum to i
        for step in range(1, repeats + 1):
            m = int(histogram[repeats + step] + histogram[repeats - step])
            k = np.arange(m + 1)
            spread = np.zeros(m * step + 1)
            spread[::step] = np.exp(gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1) - m * np.log(2))
            ups = np.convolve(ups, spread)
        sums = 2 * np.arange(len(ups)) - (len(ups) - 1)
        p[row] = ups[np.abs(sums) >= observed].sum()
    return p


def _bootstrap_tail(histograms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Two-sided p-values of the paired Bayesian bootstrap; rows as in `_sign_flip`."""
    from scipy.special import betainc

    repeats = histograms.shape[1] // 2
    steps = np.arange(1, repeats + 1) / repeats
    up, down = histograms[:, repeats + 1 :], histograms[:, :repeats][:, ::-1]
    (up1, up2), (down1, down2) = ((side @ steps + 0.5, side @ steps**2 + 0.5) for side in (up, down))
    scale_up, scale_down = up2 / up1, down2 / down1
    below = betainc(up1**2 / up2, down1**2 / down2, scale_down / (scale_up + scale_down))
    above = betainc(down1**2 / down2, up1**2 / up2, scale_up / (scale_up + scale_down))
    result: NDArray[np.float64] = 2 * np.minimum(below, above)
    return result
