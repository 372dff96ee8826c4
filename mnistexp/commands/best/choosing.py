"""From sweeps to one setting: the best optimizer setting, the best dropout rate, their combination, the best of all.

Only out-of-fold predictions of training digits are used here: test digits can't influence the choice.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ExperimentConfig, SweepConfig
from mnistexp.config.settings import override
from mnistexp.errors import BadInput
from mnistexp.runs.results import SweepResult, TrialResult
from mnistexp.statistics import SelectionRule
from mnistexp.sweeps.ranking import choose, correct_matrix, fold_weights
from mnistexp.sweeps.sweeping import cost
from mnistexp.sweeps.swept import DROPOUT

COMBINATION = "combination"
Confirm = Callable[[ExperimentConfig], TrialResult]
"""Cross-validates a setting in the same way as the candidates."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A candidate of the choice: a setting and its cross-validation. `config` has no sweep section.

    `families`: the optimizer or `dropout`, or both, whose sweeps tried it; `combination` if none did. `runs`: the
    run folders of those sweeps.
    """

    families: tuple[str, ...]
    runs: tuple[str, ...]
    trial: TrialResult
    config: ExperimentConfig

    @property
    def params(self) -> dict[str, Any]:
        """The chosen hyperparameters by dotted key: the optimizer with its own, and the dropout rate."""
        optimizer = {f"optimizer.{key}": value for key, value in self.config.optimizer.model_dump().items()}
        return {**optimizer, "model.dropout": self.config.model.dropout}


@dataclass(frozen=True, eq=False)
class Winners:
    """The best optimizer setting and the best dropout rate among the candidates, by one rule.

    Each is None if there was no sweep of that kind. `tied`: how many don't differ significantly from the best of its
    kind, including the best. `combined`: the two together, to be cross-validated. `labels`: int64 (n_train,).
    """

    rule: SelectionRule
    candidates: tuple[Candidate, ...]
    labels: NDArray[np.int64]
    optimizer: Candidate | None
    dropout: Candidate | None
    tied: dict[str, int]
    combined: ExperimentConfig

    @classmethod
    def among(cls, rule: SelectionRule, candidates: Sequence[Candidate], labels: NDArray[np.int64]) -> "Winners":
        """The winners by `rule`; ties are broken by the order of the candidates. Raises `BadInput` without candidates.

        `labels`: int64 (n_train,).
        """
        if not candidates:
            raise BadInput("nothing to choose from: every trial of every sweep failed")
        optimizers = [candidate for candidate in candidates if candidate.families != (DROPOUT,)]
        rates = [candidate for candidate in candidates if DROPOUT in candidate.families]
        optimizer, tied_optimizers = _selected(rule, optimizers, labels) if optimizers else (None, 0)
        rate, tied_rates = _selected(rule, rates, labels) if rates else (None, 0)
        combined = (optimizer or rate or candidates[0]).config
        if rate is not None:
            model = combined.model.model_copy(update={"dropout": rate.config.model.dropout})
            combined = combined.model_copy(update={"model": model})
        tied = {"optimizer": tied_optimizers, "dropout": tied_rates}
        return cls(rule, tuple(candidates), labels, optimizer, rate, tied, combined)

    @property
    def tried(self) -> Candidate | None:
        """The candidate that equals their combination; None if no sweep tried it."""
        setting = Candidate((), (), self.candidates[0].trial, self.combined).params
        return next((candidate for candidate in self.candidates if candidate.params == setting), None)


@dataclass(frozen=True, eq=False)
class Choice:
    """The setting chosen among all candidates and the combination of the winners.

    `everyone`: all of these, each setting once. `pool`: those that could be chosen, of the optimizers that were swept.
    `tied`: how many of the pool don't differ significantly from its best, including the best.
    """

    winners: Winners
    combination: Candidate
    chosen: Candidate
    everyone: tuple[Candidate, ...]
    pool: tuple[Candidate, ...]
    tied: int

    @property
    def rule(self) -> SelectionRule:
        """How the winners and the chosen setting were selected."""
        return self.winners.rule

    @property
    def config(self) -> ExperimentConfig:
        """The chosen setting, without a sweep section."""
        return self.chosen.config

    @property
    def families(self) -> tuple[str, ...]:
        """All families: optimizers in order, then dropout, then the combination if no sweep tried it."""
        found = dict.fromkeys(family for candidate in self.everyone for family in candidate.families)
        return tuple(sorted(found, key=lambda family: (family == COMBINATION, family == DROPOUT)))

    @property
    def highest(self) -> Candidate:
        """The candidate of the pool with the highest score; the rule `best` chooses it."""
        return max(self.pool, key=lambda candidate: candidate.trial.mean)

    def correct(self, candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
        """Which out-of-fold predictions of some candidates are correct: bool (candidates, repeats, digits)."""
        return correct_matrix([candidate.trial for candidate in candidates], self.winners.labels)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weight of each prediction in a score, the mean of the folds: float64 (repeats, digits)."""
        return fold_weights(self.chosen.trial, len(self.winners.labels))


def candidates_of(
    families: Sequence[str], config: ExperimentConfig, result: SweepResult, run: str = ""
) -> tuple[Candidate, ...]:
    """The trials of a sweep that belong to some families, in the grid's order, without failed ones."""
    base = config.model_copy(update={"sweep": None, "name": None, "repeats": 1})
    found = []
    for trial in result.trials:
        settings = override(base, trial.params)
        own = DROPOUT if "model.dropout" in trial.params else settings.optimizer.name
        if own in families and not trial.failed:
            found.append(Candidate((own,), (run,), trial, settings))
    return tuple(found)


def pooled(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Each setting once, with the scores of the latest sweep that tried it; those of dropout sweeps last."""
    found: dict[str, Candidate] = {}
    for one in sorted(candidates, key=lambda candidate: DROPOUT in candidate.families):
        key = str(one.params)
        if (known := found.get(key)) is not None:
            one = replace(
                one,
                families=tuple(dict.fromkeys((*known.families, *one.families))),
                runs=tuple(dict.fromkeys((*known.runs, *one.runs))),
            )
        found[key] = one
    return tuple(found.values())


def choose_setting(winners: Winners, confirm: Confirm) -> Choice:
    """The best of all by the winners' rule: one of the candidates, or the combination of the winners.

    `confirm` cross-validates the combination if no sweep tried it. A dropout trial can be chosen if its optimizer is
    among those that were swept, or none was. Ties are broken by the order of the candidates, the combination last, so
    the choice is reproducible.
    """
    combination = winners.tried
    everyone = winners.candidates
    if combination is None:
        combination = Candidate((COMBINATION,), (), confirm(winners.combined), winners.combined)
        everyone = everyone if combination.trial.failed else (*everyone, combination)
    swept = {one.config.optimizer.name for one in winners.candidates if one.families != (DROPOUT,)}
    pool = [one for one in everyone if not swept or one.config.optimizer.name in swept]
    chosen, tied = _selected(winners.rule, pool, winners.labels)
    return Choice(winners, combination, chosen, everyone, tuple(pool), tied)


def _selected(rule: SelectionRule, candidates: Sequence[Candidate], labels: NDArray[np.int64]) -> tuple[Candidate, int]:
    trials = [replace(candidate.trial, index=number) for number, candidate in enumerate(candidates)]
    best, tied = choose(rule, trials, labels, [cost(candidate.config) for candidate in candidates])
    return candidates[best], len(tied)


def confirming(setting: ExperimentConfig, sweep: SweepConfig, repeats: int) -> ExperimentConfig:
    """A sweep of a single trial that cross-validates a setting in the same way as the candidates."""
    alone = sweep.model_copy(update={"grid": {}, "zip": {}, "random": {}, "strategy": "product"})
    return setting.model_copy(update={"sweep": alone, "repeats": repeats})
