"""From sweeps to one setting: the best optimizer, the best dropout rate, and their combination.

Everything here knows the out-of-fold predictions of training digits, and nothing else: no test digit can move a choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config import ExperimentConfig, SweepConfig
from mnistexp.errors import BadInput
from mnistexp.ranking import choose, correct_matrix
from mnistexp.results import SweepResult, TrialResult
from mnistexp.settings import override
from mnistexp.statistics import SelectionRule
from mnistexp.sweeps.sweeping import cost
from mnistexp.sweeps.swept import DROPOUT, Swept

__all__ = ["Candidate", "Choice", "candidates_of", "choose_setting", "confirming", "with_combination"]

COMBINATION = "combination"


@dataclass(frozen=True, eq=False)
class Candidate:
    """One trial of a sweep that takes part in the choice. `config` is what it trained, without a sweep section.

    `family` is its optimizer, `dropout` or `combination`; `run` the sweep's run folder, "" where it has none.
    """

    family: str
    run: str
    trial: TrialResult
    config: ExperimentConfig

    @property
    def params(self) -> dict[str, Any]:
        """All that the choice is about: the optimizer with its numbers, and the dropout rate."""
        optimizer = {f"optimizer.{key}": value for key, value in self.config.optimizer.model_dump().items()}
        return {**optimizer, "model.dropout": self.config.model.dropout}


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen from which candidates, by which rule.

    `optimizer`, `dropout`: the candidates that decided each; None where no sweep of that kind took part. `tied` counts
    those that can't be told from the best of its kind. `config`: the setting chosen. `combination`: its own candidate,
    None until it has been cross-validated. `labels`: int64 (n_train,).
    """

    rule: SelectionRule
    candidates: tuple[Candidate, ...]
    optimizer: Candidate | None
    dropout: Candidate | None
    tied: dict[str, int]
    config: ExperimentConfig
    labels: NDArray[np.int64]
    combination: Candidate | None = None

    @property
    def pool(self) -> tuple[Candidate, ...]:
        """The candidates, and the combination where it is none of them."""
        if self.combination is None or self.combination in self.candidates:
            return self.candidates
        return (*self.candidates, self.combination)

    def correct(self) -> NDArray[np.bool_]:
        """Which out-of-fold predictions of the pool are right: bool (candidates, repeats, digits)."""
        return correct_matrix([candidate.trial for candidate in self.pool], self.labels)


def candidates_of(family: str, config: ExperimentConfig, result: SweepResult, run: str = "") -> tuple[Candidate, ...]:
    """The trials of one family in a sweep, in the grid's order, without those that failed."""
    base = config.model_copy(update={"sweep": None, "name": None, "repeats": 1})
    found = []
    for trial in result.trials:
        settings = override(base, trial.params)
        own = DROPOUT if "model.dropout" in trial.params else settings.optimizer.name
        if own == family and not trial.failed:
            found.append(Candidate(family, run, trial, settings))
    return tuple(found)


def of_sweeps(sweeps: Sequence[tuple[str, Swept]]) -> tuple[Candidate, ...]:
    """The candidates of each (family, sweep), optimizers in the order given and dropout last.

    Raises `BadInput` where the sweeps trained a different number of epochs or repeats.
    """
    for key, values in {
        "training.epochs": {swept.config.training.epochs for _, swept in sweeps},
        "repeats": {swept.config.repeats for _, swept in sweeps},
    }.items():
        if len(values) > 1:
            told = ", ".join(map(str, sorted(values)))
            raise BadInput(f"the sweeps differ in {key} ({told}), so their scores can't be compared")
    ordered = sorted(sweeps, key=lambda pair: pair[0] == DROPOUT)
    return tuple(
        candidate
        for family, swept in ordered
        for candidate in candidates_of(family, swept.config, swept.result, swept.run)
    )


def choose_setting(rule: SelectionRule, candidates: Sequence[Candidate], labels: NDArray[np.int64]) -> Choice:
    """The optimizer setting that `rule` selects among the optimizers' trials, with the dropout rate that it selects.

    Equal scores go by the rule's own order and then by that of the candidates, so the choice is the same everywhere.
    Where no sweep of one kind took part, the other's trial decides that setting too. `labels`: int64 (n_train,). Raises
    `BadInput` for no candidates at all.
    """
    optimizers = [candidate for candidate in candidates if candidate.family != DROPOUT]
    rates = [candidate for candidate in candidates if candidate.family == DROPOUT]
    if not candidates:
        raise BadInput("every trial of every sweep failed, so there is nothing to choose from")
    optimizer, tied_optimizers = _selected(rule, optimizers, labels)
    rate, tied_rates = _selected(rule, rates, labels)
    winner = optimizer or rate
    assert winner is not None
    model = winner.config.model
    if rate is not None:
        model = model.model_copy(update={"dropout": rate.config.model.dropout})
    return Choice(
        rule=rule,
        candidates=tuple(candidates),
        optimizer=optimizer,
        dropout=rate,
        tied={"optimizer": tied_optimizers, "dropout": tied_rates},
        config=winner.config.model_copy(update={"model": model}),
        labels=labels,
    )


def _selected(
    rule: SelectionRule, candidates: Sequence[Candidate], labels: NDArray[np.int64]
) -> tuple[Candidate | None, int]:
    if not candidates:
        return None, 0
    trials = [replace(candidate.trial, index=number) for number, candidate in enumerate(candidates)]
    best, tied = choose(rule, trials, labels, [cost(candidate.config) for candidate in candidates])
    return candidates[best], len(tied)


def confirming(choice: Choice, sweep: SweepConfig, repeats: int) -> ExperimentConfig:
    """The sweep of a single trial that cross-validates the chosen setting as the candidates were."""
    alone = sweep.model_copy(update={"grid": {}})
    return choice.config.model_copy(update={"sweep": alone, "repeats": repeats})


def with_combination(choice: Choice, result: SweepResult | None) -> Choice:
    """The choice with the cross-validation of its setting: a candidate of the same setting, or the sweep's trial."""
    same = next((candidate for candidate in choice.candidates if candidate.config == choice.config), None)
    if same is None:
        assert result is not None
        same = Candidate(COMBINATION, "", result.trials[0], choice.config)
    return replace(choice, combination=same)
