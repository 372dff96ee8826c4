"""Comparing the trials of a sweep on the same digits: ties with the best, best against worst and average."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistexp.errors import BadInput
from mnistexp.statistics.comparison import PairedDifference, holm, paired_difference
from mnistexp.statistics.intervals import check_level


def tied_with_best(correct: NDArray[np.bool_], best: int, level: float = 0.95) -> tuple[int, ...]:
    """Sorted indices, `best` included, of the trials whose predictions don't differ significantly from trial `best`.

    `correct`: bool (trials, digits) or (trials, repeats, digits), True where the out-of-fold prediction is right.
    Every other trial is tested against `best`; those whose Holm-adjusted p-value exceeds 1 - level are tied.
    The test is McNemar's exact one. With repeats the digit stays the unit, because repeats share their digits: each
    digit's net count of repeats may have either sign if the two are equal, and p is the exact share of sign patterns
    whose sum is at least as far from 0 (with one repeat this is McNemar's test).

    Tied does not mean equal: with more digits some differences would become significant. And `best` was chosen on these
    digits, so the truly best trial is among the tied less often than `level`. Raises `BadInput` for a bad shape or
    index.

    Source: `mcnemar`, `holm`; sign patterns: Fisher (1935), The Design of Experiments, chapter 3.
    """
    check_level(level)
    counts, repeats = counts_of(correct)
    if not 0 <= best < len(counts):
        raise BadInput(f"best: {best} is not a trial; there are {len(counts)}, numbered from 0")
    net = counts[best] - counts
    steps = range(-repeats, repeats + 1)
    histograms = np.stack([(net == step).sum(axis=1) for step in steps], axis=1)
    distinct, which = np.unique(histograms, axis=0, return_inverse=True)
    others = np.arange(len(counts)) != best
    adjusted = np.ones(len(counts))
    adjusted[others] = holm(_sign_flip(distinct)[which.ravel()][others])
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
    best: int | None = None,
) -> tuple[Gap, ...]:
    """Best against worst and against the average of all trials: overall ("all") first, then each family in order.

    `correct`: as in `tied_with_best`; `families`: one name per trial, such as its optimizer. `weights`: (repeats,
    digits), how much each prediction counts, equally if None. `best`: the trial that takes the place of the overall
    best one, such as one that was chosen by another rule. Ties are broken by the grid's order. Method, assumptions and
    source: `paired_difference`; its warning about chosen pairs applies here in full. Raises `BadInput`
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
        first, worst = (int(members[place]) for place in (scores[members].argmax(), scores[members].argmin()))
        first = best if name == "all" and best is not None else first
        others = shares[worst], shares[members].mean(axis=0)
        against = [paired_difference(shares[first], x, level, resamples, seed, most) for x in others]
        gaps.append(Gap(name, len(members), first, worst, against[0], against[1]))
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
