"""Nested cross-validation: the whole selection is repeated without each outer fold and scored on that fold."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mnistexp import data
from mnistexp.commands.best.choosing import Choice, Winners, candidates_of, choose_setting, confirming, pooled
from mnistexp.config.models import ExperimentConfig
from mnistexp.errors import TrialsFailed
from mnistexp.runs.results import FitDone, TrialResult
from mnistexp.statistics import NestedScore, SelectionRule, nested_summary
from mnistexp.sweeps.plan import Plan, plan_sweep
from mnistexp.sweeps.sweeping import cross_validated, run_sweep
from mnistexp.sweeps.trial_cache import TrialCache

Watch = Callable[[FitDone], None]
Sweeps = Sequence[tuple[ExperimentConfig, tuple[str, ...]]]
"""Each sweep of the selection, and the families of its candidates."""


@dataclass(frozen=True, eq=False)
class Nested:
    """`scores`: on each outer fold, the accuracy of the setting chosen without it; `choices`: those settings."""

    scores: tuple[float, ...]
    sizes: tuple[int, ...]
    choices: tuple[Choice, ...]
    summary: NestedScore


def outer_folds(sweeps: Sweeps, digits: data.Digits, split: data.Split) -> Iterator[tuple[data.Split, data.Rows]]:
    """Each outer fold: a split whose training part lacks it, and the fold's positions in the whole training part.

    The outer folds are those of the sweeps. So the fit that scores a setting on an outer fold may be one that a sweep
    has done and cached already.
    """
    config = sweeps[0][0]
    sweep = config.search
    cut = data.folds(
        digits.labels[split.train],
        folds=sweep.folds,
        shuffle=sweep.shuffle_folds,
        stratified=sweep.stratified,
        seed=config.seed,
    )
    for learn, held in cut:
        yield data.Split(split.train[learn], split.train[:0], split.train[held]), held


def nested_score(
    sweeps: Sweeps,
    rule: SelectionRule,
    digits: data.Digits,
    split: data.Split,
    cache: TrialCache | None,
    watch: Watch | None,
) -> Nested:
    """For each outer fold, repeat the sweeps and the choice without it, and score the chosen setting on it.

    Uses `run_sweep`, so an interrupted call continues from the cache. Raises what `run_sweep` raises, and
    `TrialsFailed` if the fit of a chosen setting failed.
    """
    first = sweeps[0][0]

    def alone(part: data.Split, setting: ExperimentConfig) -> TrialResult:
        single = confirming(setting, first.search, first.repeats)
        return cross_validated(single, digits, part, cache, watch)

    scores, sizes, choices = [], [], []
    for number, (inner, held) in enumerate(outer_folds(sweeps, digits, split)):
        candidates = [
            one
            for config, families in sweeps
            for one in candidates_of(families, config, run_sweep(config, digits, inner, cache=cache, watch=watch))
        ]
        winners = Winners.among(rule, pooled(candidates), digits.labels[inner.train])
        choice = choose_setting(winners, partial(alone, inner))
        scoring = [fold for fold in alone(split, choice.config).folds if fold.fold == number]
        if error := next((fold.error for fold in scoring if fold.error), None):
            raise TrialsFailed(f"the fit that scores the setting chosen without fold {number + 1} failed: {error}")
        scores.append(float(np.mean([fold.score for fold in scoring])))
        sizes.append(len(held))
        choices.append(choice)
    return Nested(tuple(scores), tuple(sizes), tuple(choices), nested_summary(scores, sizes))


def plan_nested(sweeps: Sweeps, digits: data.Digits, split: data.Split, cache: TrialCache | None) -> list[Plan]:
    """The work of the sweeps without each outer fold, not counting the fits of combinations and choices."""
    return [
        plan_sweep(config, digits, inner, cache)
        for inner, _ in outer_folds(sweeps, digits, split)
        for config, _ in sweeps
    ]
