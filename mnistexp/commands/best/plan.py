"""The plan of `best`: finished sweeps, missing sweeps, and the estimated time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistexp.commands.best import nested
from mnistexp.commands.best.choosing import choose_setting
from mnistexp.commands.best.document import trials_of
from mnistexp.commands.best.work import Sources, Work
from mnistexp.config.models import ExperimentConfig
from mnistexp.sweeps.plan import plan_sweep
from mnistexp.sweeps.swept import LeftAside

__all__ = ["BestPlan", "SweepAhead", "plan_best"]


@dataclass(frozen=True)
class SweepAhead:
    """A sweep of the choice: its finished `run`, or the work to do. `seconds` is None before any fit was timed."""

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
    `seconds` of the final trainings; None if no fit was timed in this runs folder. `chosen`: the setting, if it is
    known without training. `left_aside`: finished sweeps that are not used, and why.
    """

    sweeps: tuple[SweepAhead, ...]
    left_aside: tuple[LeftAside, ...]
    confirming: int
    nested: SweepAhead | None
    repeats: int
    epochs: int
    seconds: float | None
    chosen: dict[str, Any] | None

    @property
    def missing(self) -> list[SweepAhead]:
        """The missing sweeps, which `run_best` would run first."""
        return [sweep for sweep in self.sweeps if sweep.run is None]

    @property
    def total_seconds(self) -> float | None:
        """The total; None if the time of a part is unknown."""
        parts = [*(sweep.seconds for sweep in self.missing), self.nested.seconds if self.nested else 0.0, self.seconds]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


def plan_best(
    config: ExperimentConfig,
    runs_dir: Path,
    sweeps: Sequence[str] = (),
    *,
    listed_only: bool = False,
    with_nested: bool = False,
) -> BestPlan:
    """The plan of `run_best`, made without training. Raises what `run_best` raises before it writes."""
    work = Work(config, runs_dir)
    sources = work.sources(sweeps, listed_only=listed_only)
    confirm, chosen = _choice_ahead(work, sources)
    pace = work.cache.pace() if work.cache else None
    epochs = config.training.epochs
    return BestPlan(
        sweeps=tuple(_sweeps_ahead(work, sources)),
        left_aside=tuple(sources.left_aside),
        confirming=confirm,
        nested=_nested_ahead(work, sources) if with_nested else None,
        repeats=config.repeats,
        epochs=epochs,
        seconds=None if pace is None else pace * epochs * len(work.split.train) * config.repeats,
        chosen=chosen,
    )


def _choice_ahead(work: Work, sources: Sources) -> tuple[int, dict[str, Any] | None]:
    """The maximum number of fits for the combination, and the chosen setting if they are all done."""
    if sources.missing:
        return work.sweep.folds, None
    winners = work.winners(sources.used)
    fits = 0
    if winners.tried is None:
        fits = plan_sweep(work.alone(winners.combined, sources.used), work.digits, work.split, work.cache).to_run
    return fits, None if fits else choose_setting(winners, work.confirm(sources.used)).chosen.params


def _sweeps_ahead(work: Work, sources: Sources) -> list[SweepAhead]:
    ahead = [SweepAhead(family, swept.run, trials_of(family, swept)) for family, swept in sources.used]
    for part in sources.missing:
        plan = plan_sweep(part.config, work.digits, work.split, work.cache)
        ahead.append(SweepAhead(part.family, None, len(plan.trials), plan.fits, plan.cached, plan.seconds))
    return ahead


def _nested_ahead(work: Work, sources: Sources) -> SweepAhead:
    plans = nested.plan_nested(work.nested(sources), work.digits, work.split, work.cache)
    scoring = 2 * work.sweep.folds**2
    seconds = [plan.seconds for plan in plans if plan.seconds is not None]
    return SweepAhead(
        family="nested",
        run=None,
        trials=sum(len(plan.trials) for plan in plans),
        fits=sum(plan.fits for plan in plans) + scoring,
        cached=sum(plan.cached for plan in plans),
        seconds=sum(seconds) if len(seconds) == len(plans) else None,
    )
