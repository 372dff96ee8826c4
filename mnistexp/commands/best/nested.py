"""Nested cross-validation: the whole selection is repeated without each outer fold and scored on that fold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mnistexp.commands.best.choosing import Choice, Winners, candidates_of, choose_setting, confirming, pooled
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset, Split, folds
from mnistexp.errors import TrialsFailed
from mnistexp.runs.results import TrialResult, Watch
from mnistexp.statistics import NestedScore, SelectionRule, nested_summary
from mnistexp.sweeps.plan import Plan, plan_sweep
from mnistexp.sweeps.sweeping import cross_validated, fit_and_rank
from mnistexp.sweeps.trial_cache import TrialCache

Sweeps = Sequence[tuple[ExperimentConfig, tuple[str, ...]]]
"""Each sweep of the selection, and the families of its candidates."""


@dataclass(frozen=True, eq=False)
class Nested:
    """`scores`: on each outer fold, the accuracy of the setting chosen without it; `choices`: those settings."""

    scores: tuple[float, ...]
    sizes: tuple[int, ...]
    choices: tuple[Choice, ...]
    summary: NestedScore


def outer_folds(dataset: Dataset, sweeps: Sweeps) -> Iterator[Dataset]:
    """The digits without each outer fold: its digits are the test part, and no longer in the training part.

    The outer folds are those of the sweeps. So the fit that scores a setting on an outer fold may be one that a sweep
    has done and cached already.
    """
    config, train = sweeps[0][0], dataset.split.train
    for learn, held in folds(dataset.training[1], config.search, config.seed):
        yield replace(dataset, split=Split(train[learn], train[:0], train[held]))


def nested_score(
    dataset: Dataset, sweeps: Sweeps, rule: SelectionRule, cache: TrialCache | None, watch: Watch | None = None
) -> Nested:
    """For each outer fold, repeat the sweeps and the choice without it, and score the chosen setting on it.

    Uses `fit_and_rank`, so an interrupted call continues from the cache. Raises what `fit_and_rank` raises, and
    `TrialsFailed` if the fit of a chosen setting failed.
    """
    first = sweeps[0][0]

    def alone(part: Dataset, setting: ExperimentConfig) -> TrialResult:
        return cross_validated(part.under(confirming(setting, first.search, first.repeats)), cache, watch)

    scores, sizes, choices = [], [], []
    for number, inner in enumerate(outer_folds(dataset, sweeps)):
        candidates = [
            one
            for config, families in sweeps
            for one in candidates_of(families, config, fit_and_rank(inner.under(config), cache=cache, watch=watch))
        ]
        winners = Winners.among(rule, pooled(candidates), inner.training[1])
        choice = choose_setting(winners, partial(alone, inner))
        scoring = [fold for fold in alone(dataset, choice.config).folds if fold.fold == number]
        if error := next((fold.error for fold in scoring if fold.error), None):
            raise TrialsFailed(f"the fit that scores the setting chosen without fold {number + 1} failed: {error}")
        scores.append(float(np.mean([fold.score for fold in scoring])))
        sizes.append(len(inner.split.test))
        choices.append(choice)
    return Nested(tuple(scores), tuple(sizes), tuple(choices), nested_summary(scores, sizes))


def plan_nested(dataset: Dataset, sweeps: Sweeps, cache: TrialCache | None) -> list[Plan]:
    """The work of the sweeps without each outer fold, not counting the fits of combinations and choices."""
    inner = list(outer_folds(dataset, sweeps))
    return [plan_sweep(part.under(config), cache) for part in inner for config, _ in sweeps]
