"""Choosing one trial of a sweep, and correcting its score for the choice (selection bias)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.config.shown import percent, points, span
from mnistexp.errors import BadInput, nearest
from mnistexp.statistics.intervals import Interval, check_level, wilson
from mnistexp.statistics.trials import earnings

SelectionRule = Literal["best", "one-se", "cheapest"]

SCORES_AT_ONCE = 2**22
"""Largest block of trials x resamples held at one time: 32 MiB of float64."""


def one_standard_error(means: ArrayLike, standard_errors: ArrayLike) -> tuple[int, ...]:
    """Indices, in order, of the trials whose mean is at most one standard error below the best mean.

    `means`, `standard_errors`: (trials,). The standard error is that of the best trial. A rule of thumb, not a test: it
    ignores that trials share their digits. A mean that is NaN is never included. Raises `BadInput` for unequal lengths
    or no finite mean.

    Source: Breiman, Friedman, Olshen & Stone (1984), Classification and Regression Trees, section 3.4.3.
    """
    scores, errors = _scores(means), np.asarray(standard_errors, dtype=np.float64)
    if errors.shape != scores.shape:
        raise BadInput(f"standard_errors: {errors.size} values for {scores.size} trials, allowed: one per trial")
    best = int(scores.argmax())
    margin = errors[best] if np.isfinite(errors[best]) else 0.0
    return tuple(int(index) for index in np.flatnonzero(scores >= scores[best] - margin))


def select(
    rule: SelectionRule,
    means: ArrayLike,
    standard_errors: ArrayLike,
    costs: ArrayLike,
    tied: Sequence[int] = (),
) -> int:
    """The index of the trial that the rule of `--select` chooses.

    "best": the highest mean. "one-se": the cheapest within `one_standard_error` of it. "cheapest": the cheapest among
    `tied`, the trials that `tied_with_best` gives. Equal costs are decided by the higher mean, equal means by the
    grid's order. All three are (trials,); `costs` should be a property of the setting, not a measured time, or the
    choice would differ from run to run. Raises `BadInput` for an unknown rule, unequal lengths or no finite mean.

    Source: `one_standard_error`; of the ties, `tied_with_best`.
    """
    scores = _scores(means)
    if rule == "best":
        return int(scores.argmax())
    if rule not in ("one-se", "cheapest"):
        allowed = ("best", "one-se", "cheapest")
        raise BadInput(f"--select: {rule!r}; allowed: {', '.join(allowed)}{nearest(rule, allowed)}")
    price = np.asarray(costs)
    if price.shape != scores.shape:
        raise BadInput(f"costs: {price.size} values for {scores.size} trials, allowed: one per trial")
    near = one_standard_error(means, standard_errors) if rule == "one-se" else tied or (int(scores.argmax()),)
    return min(near, key=lambda index: (price[index], -scores[index], index))


@dataclass(frozen=True)
class SelectionBias:
    """The winning score before and after correction, as fractions.

    `raw`: the winner's accuracy on the digits it was chosen on; `corrected`: BBC-CV's estimate for other digits;
    `bias` = raw - corrected. `interval`: for the winner's true accuracy. `percentiles`: the interval as published,
    wider than its level says. `stability`: the share of resamples that choose the same winner.
    """

    winner: int
    raw: float
    corrected: float
    bias: float
    interval: Interval
    percentiles: Interval
    stability: float

    @property
    def sentence(self) -> str:
        """The score before and after correction, as a sentence."""
        side, off = "lower" if self.raw >= self.corrected else "higher", points(self.raw, self.corrected)
        change = "no lower" if off == "0.0" else f"about {off} points {side}"
        return (
            f"The best score is {percent(self.raw)}; corrected for selection it is {change}, {percent(self.corrected)} "
            f"({self.interval.level:.0%} interval {span(*self.interval.ends)}). The same trial is "
            f"the best in {self.stability:.0%} of the resamples."
        )


def bbc_cv(
    correct: NDArray[np.bool_],
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    weights: NDArray[np.float64] | None = None,
) -> SelectionBias:
    """Bootstrap bias-corrected cross-validation: the accuracy of the best of many trials, corrected for selection.

    `correct`: bool (trials, digits) or (trials, repeats, digits), pooled out-of-fold predictions. `weights`: (repeats,
    digits), how much each prediction counts, equally if None. Each resample draws
    as many digits with replacement, chooses the best trial on them (ties: the grid's order), and scores that
    trial on the digits not drawn. `corrected` is the mean over resamples; `percentiles` their middle `level`.

    A resample scores on the share f = 0.37 of the digits it left out, so its scores vary (1 - f) / f = 1.7 times as
    much as an accuracy on all digits does, and the percentiles cover 97-100%. `interval` corrects that: Wilson's
    interval around `corrected` with n = corrected (1 - corrected) / (v f / (1 - f)) digits, v the scores' variance. It
    covers 95-96% if a few trials are better than the others; if all are equally good it is still too wide.

    Assumes digits drawn independently. Nothing is trained again: seed noise is included only as far as the repeats
    show it, and the score is that of models trained on the folds' part of the digits. Needs about
    16 trials * digits bytes + 100 MB. Raises `BadInput` for a bad shape or fewer than 10 digits.

    Source: Tsamardinos, Greasidou & Borboudakis (2018), Machine Learning 107, 1895-1922.
    """
    check_level(level)
    earned, most = earnings(correct, weights)
    digits = earned.shape[1]
    if digits < 10:
        raise BadInput(f"correct: {digits} digits, allowed: at least 10")
    scores, shares, winners = _out_of_bag(earned, most, resamples, np.random.default_rng(seed))
    winner = int(earned.sum(axis=1).argmax())
    raw, corrected = float(earned[winner].sum() / most.sum()), float(scores.mean())
    low, high = np.quantile(scores, [0.5 - level / 2, 0.5 + level / 2])
    return SelectionBias(
        winner=winner,
        raw=raw,
        corrected=corrected,
        bias=raw - corrected,
        interval=_rescaled(corrected, float(scores.var()), float(shares.mean()), digits, level),
        percentiles=Interval(float(low), float(high), level, "BBC-CV percentiles"),
        stability=float((winners == winner).mean()),
    )


@dataclass(frozen=True)
class NestedScore:
    """Nested cross-validation: `accuracy`, the mean of the outer folds, and `std` (ddof 1) between them."""

    accuracy: float
    std: float | None
    folds: int
    digits: int
    interval: Interval


def nested_summary(scores: ArrayLike, sizes: ArrayLike, level: float = 0.95) -> NestedScore:
    """The accuracy of "sweep, choose, train" as a whole, from its score on each outer fold and the fold's digits.

    `scores`, `sizes`: (folds,). The mean over folds, as a trial's score is, with `wilson`'s interval on all the digits.
    Each digit is scored once, by a model whose settings were chosen without it. Assumes independent digits; the outer
    folds share training digits, which the interval ignores (Bates, Hastie & Tibshirani 2024, JASA 119), so it is
    slightly narrow where training sets matter. It describes the procedure, not one setting: the folds may choose
    different ones. Raises `BadInput` for unequal lengths, no folds or scores outside [0, 1].

    Source: Varma & Simon (2006), BMC Bioinformatics 7:91.
    """
    x, n = np.asarray(scores, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    if x.shape != n.shape or not len(x):
        raise BadInput(f"sizes: {n.size} values for {x.size} outer folds, allowed: one per fold, at least one fold")
    if not ((x >= 0) & (x <= 1)).all() or not (n > 0).all():
        raise BadInput(f"scores: {x.tolist()} on {n.tolist()} digits, allowed: 0 to 1, on at least one digit")
    accuracy, digits = float(x.mean()), float(n.sum())
    std = float(x.std(ddof=1)) if len(x) > 1 else None
    return NestedScore(accuracy, std, len(x), round(digits), wilson(accuracy * digits, digits, level))


def _scores(means: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(means, dtype=np.float64).ravel()
    if not np.isfinite(values).any():
        raise BadInput(f"means: no trial of {len(values)} has a score, so none can be selected")
    return np.where(np.isnan(values), -np.inf, values)


def _out_of_bag(
    earned: NDArray[np.int64], most: NDArray[np.int64], resamples: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Of each resample: the winner's score on the digits not drawn, their share, and the winner: (resamples,) each.

    `earned`: int64 (trials, digits), and the highest possible, `most`, int64 (digits,).
    """
    trials, digits = earned.shape
    right = earned.astype(np.float64)  # whole numbers whose sums stay below 2**53 are exact
    scores, shares, winners = np.empty(resamples), np.empty(resamples), np.empty(resamples, dtype=np.int64)
    block = max(1, min(SCORES_AT_ONCE // trials, 1000))
    for start in range(0, resamples, block):
        part = slice(start, min(start + block, resamples))
        drawn = _drawn(rng, part.stop - start, digits)
        winners[part] = (right @ drawn.T.astype(np.float64)).argmax(axis=0)
        left_out = drawn == 0
        scores[part] = (earned[winners[part]] * left_out).sum(axis=1) / (most * left_out).sum(axis=1)
        shares[part] = left_out.mean(axis=1)
    return scores, shares, winners


def _drawn(rng: np.random.Generator, resamples: int, digits: int) -> NDArray[np.int64]:
    """How often each resample draws each digit: (resamples, digits)."""
    picks = rng.integers(digits, size=(resamples, digits)) + digits * np.arange(resamples)[:, None]
    return np.bincount(picks.ravel(), minlength=resamples * digits).reshape(resamples, digits)


def _rescaled(center: float, variance: float, share: float, digits: int, level: float) -> Interval:
    """Wilson's interval around `center`, its width from the variance of out-of-bag scores scaled to all digits."""
    scaled = variance * share / (1 - share)
    n = center * (1 - center) / scaled if scaled > 0 else float(digits)
    wide = wilson(center * n, n, level)
    return Interval(wide.low, wide.high, level, "BBC-CV, Wilson score")
