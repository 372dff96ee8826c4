"""What `best` has before it: the sweeps that are there, those that are missing, and how long it all takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistexp import data
from mnistexp.best_model import nested
from mnistexp.best_model.choosing import Choice, choose_setting, confirming, of_sweeps
from mnistexp.best_model.document import setting_of, trials_of
from mnistexp.config import ExperimentConfig, SweepConfig
from mnistexp.sweeps import reuse
from mnistexp.sweeps.plan import plan_sweep
from mnistexp.sweeps.swept import Part, Swept, find_sweeps, parts_of, read_swept
from mnistexp.sweeps.trial_cache import TrialCache

__all__ = ["BestPlan", "SweepAhead", "Work", "plan_best"]


@dataclass(frozen=True)
class SweepAhead:
    """A sweep of the choice: the `run` that has it, or the work it would take. `seconds` is None before any fit."""

    family: str
    run: str | None
    trials: int
    fits: int = 0
    cached: int = 0
    seconds: float | None = 0.0


@dataclass(frozen=True)
class BestPlan:
    """What `run_best` would do.

    `confirming`: the fits, at most, that cross-validate the combination. `nested`: the work of nested cross-validation.
    `seconds` of the final trainings; None where no fit was ever timed here. `chosen`: the setting, where all sweeps are
    there.
    """

    sweeps: tuple[SweepAhead, ...]
    confirming: int
    nested: SweepAhead | None
    repeats: int
    epochs: int
    seconds: float | None
    chosen: dict[str, Any] | None

    @property
    def missing(self) -> list[SweepAhead]:
        """The sweeps that no run has, which `run_best` would do first."""
        return [sweep for sweep in self.sweeps if sweep.run is None]

    @property
    def total_seconds(self) -> float | None:
        """Of everything together; None where a part of it can't be judged yet."""
        parts = [*(sweep.seconds for sweep in self.missing), self.nested.seconds if self.nested else 0.0, self.seconds]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


class Work:
    """What all steps share: settings, digits, split and the cache of fits."""

    def __init__(self, config: ExperimentConfig, runs_dir: Path) -> None:
        dataset = data.Dataset.load(config)
        self.config = config = dataset.config
        self.runs_dir, self.digits, self.split = runs_dir, dataset.digits, dataset.split
        self.sweep = config.sweep or SweepConfig()
        self.cache = TrialCache(runs_dir) if self.sweep.cache else None

    @property
    def labels(self) -> data.Labels:
        """Those of the training digits, int64 (n_train,): no choice sees others."""
        return self.digits.labels[self.split.train]

    def placed(self, config: ExperimentConfig) -> ExperimentConfig:
        """A sweep's settings, to be run where this command runs."""
        where = {key: getattr(self.sweep, key) for key in reuse.WHERE}
        return config.model_copy(update={"sweep": (config.sweep or SweepConfig()).model_copy(update=where)})

    def read(self, reference: str) -> Swept:
        """The sweep that a person named. Raises what `read_swept` raises."""
        return read_swept(reference, self.config, self.digits, self.split, self.runs_dir)

    def named(self, references: Sequence[str]) -> list[tuple[str, Swept]]:
        """The sweeps that a person named, with each of their families."""
        found = [self.read(reference) for reference in dict.fromkeys(references)]
        return [(family, swept) for swept in found for family in swept.families]

    def chosen(self, sweeps: Sequence[tuple[str, Swept]]) -> Choice:
        """The choice by `sweep.select` among the trials of the (family, sweep) pairs. Raises `BadInput`."""
        return choose_setting(self.sweep.select, of_sweeps(sweeps), self.labels)

    def confirming(self, choice: Choice, sweeps: Sequence[tuple[str, Swept]]) -> ExperimentConfig:
        """The sweep that cross-validates the choice alone, on the folds and in the repeats of the first of `sweeps`."""
        theirs = sweeps[0][1].config
        return self.placed(confirming(choice, theirs.sweep or SweepConfig(), theirs.repeats))

    def nested_sweeps(self, sweeps: Sequence[tuple[str, ExperimentConfig]]) -> nested.Sweeps:
        """Each sweep once, with the families that are taken from it."""
        grouped: list[tuple[ExperimentConfig, tuple[str, ...]]] = []
        for family, config in sweeps:
            same = next((number for number, (known, _) in enumerate(grouped) if known == config), None)
            if same is None:
                grouped.append((config, (family,)))
            else:
                grouped[same] = config, (*grouped[same][1], family)
        return [(self.placed(config), families) for config, families in grouped]


def plan_best(
    config: ExperimentConfig, runs_dir: Path, sweeps: Sequence[str] = (), *, with_nested: bool = False
) -> BestPlan:
    """What `run_best` would do, found without training. Raises what `run_best` raises before it writes."""
    work = Work(config, runs_dir)
    if sweeps:
        pairs = work.named(sweeps)
        ahead = [SweepAhead(family, swept.run, trials_of(family, swept)) for family, swept in pairs]
        used = [(family, swept.config) for family, swept in pairs]
    else:
        parts = parts_of(config)
        there = find_sweeps(parts, work.digits, work.split, runs_dir)
        pairs = [(family, swept) for family, swept in there.items() if swept is not None]
        ahead = [_ahead(work, part, there[part.family]) for part in parts]
        used = [(part.family, (there[part.family] or part).config) for part in parts]
    choice = work.chosen(pairs) if len(pairs) == len(ahead) else None
    confirm = work.sweep.folds
    if choice is not None:
        confirm = plan_sweep(work.confirming(choice, pairs), work.digits, work.split, work.cache).to_run
    pace = work.cache.pace() if work.cache else None
    epochs = config.training.epochs
    return BestPlan(
        sweeps=tuple(ahead),
        confirming=confirm,
        nested=_nested_ahead(work, used) if with_nested else None,
        repeats=config.repeats,
        epochs=epochs,
        seconds=None if pace is None else pace * epochs * len(work.split.train) * config.repeats,
        chosen=None if choice is None else setting_of(choice.config),
    )


def _ahead(work: Work, part: Part, swept: Swept | None) -> SweepAhead:
    if swept is not None:
        return SweepAhead(part.family, swept.run, trials_of(part.family, swept))
    plan = plan_sweep(part.config, work.digits, work.split, work.cache)
    return SweepAhead(part.family, None, len(plan.trials), plan.fits, plan.cached, plan.seconds)


def _nested_ahead(work: Work, used: Sequence[tuple[str, ExperimentConfig]]) -> SweepAhead:
    plans = nested.plan_nested(work.nested_sweeps(used), work.digits, work.split, work.cache)
    scoring = work.sweep.folds**2
    seconds = [plan.seconds for plan in plans if plan.seconds is not None]
    return SweepAhead(
        family="nested",
        run=None,
        trials=sum(len(plan.trials) for plan in plans),
        fits=sum(plan.fits for plan in plans) + scoring,
        cached=sum(plan.cached for plan in plans),
        seconds=sum(seconds) if len(seconds) == len(plans) else None,
    )
