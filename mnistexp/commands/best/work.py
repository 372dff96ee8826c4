"""The inputs of all steps of `best`: the digits, the settings, the cache of fits, and the sweeps to choose from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistexp.commands.best.choosing import Confirm, Winners, candidates_of, confirming, pooled
from mnistexp.commands.best.nested import Sweeps
from mnistexp.commands.job import unwatched
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset
from mnistexp.errors import BadInput
from mnistexp.runs.results import TrialResult, Watch
from mnistexp.sweeps import reuse
from mnistexp.sweeps.plan import Plan, plan_sweep
from mnistexp.sweeps.sweeping import cross_validated
from mnistexp.sweeps.swept import DROPOUT, FamilySweep, LeftAside, Swept, family_sweeps, find_sweeps, read_swept
from mnistexp.sweeps.trial_cache import cache_of

Used = Sequence[tuple[str, Swept]]
"""Sweeps to choose from, each once for every family of its candidates."""


@dataclass(frozen=True)
class Sources:
    """The finished sweeps to choose from, the missing ones, and those that are not used."""

    used: Used
    missing: Sequence[FamilySweep] = ()
    left_aside: Sequence[LeftAside] = ()


class Work:
    """Digits, settings and cache of one `best`. Raises `BadInput` and `DataError`."""

    def __init__(self, config: ExperimentConfig, runs_dir: Path) -> None:
        self.runs_dir, self.dataset = runs_dir, Dataset.load(config)
        self.config = self.dataset.config
        self.sweep = self.config.search
        self.cache = cache_of(self.config, runs_dir)

    def plan(self, sweep: ExperimentConfig) -> Plan:
        """The fits of a sweep on the digits of this work."""
        return plan_sweep(self.dataset.under(sweep), self.cache)

    def seconds(self, epochs: int) -> float | None:
        """The estimated time of so many epochs of training on all training digits; None before any fit was timed."""
        pace = self.cache.pace() if self.cache else None
        return None if pace is None else pace * epochs * len(self.dataset.split.train)

    def sources(self, references: Sequence[str], *, listed_only: bool) -> Sources:
        """The sweeps named by `references`, or else all finished and comparable sweeps of the runs folder.

        A grid of the configuration whose family none of these has is missing. With `listed_only` only the families of
        the grids are used. Raises `ConfigError`, `BadInput` and `RunError`.
        """
        if references:
            swept = [read_swept(reference, self.dataset, self.runs_dir) for reference in dict.fromkeys(references)]
            _check_alike(swept)
            return Sources([(family, one) for one in swept for family in one.families])
        parts = family_sweeps(self.config)
        swept, left = find_sweeps(self.dataset.under(parts[0].config), self.runs_dir)
        listed = [part.family for part in parts]
        others = [] if listed_only else [family for one in swept for family in one.families]
        families = sorted(dict.fromkeys((*listed, *others)), key=lambda family: family == DROPOUT)
        left += [
            LeftAside(one.run, f"sweeps {', '.join(one.families)} instead of {', '.join(families)}")
            for one in swept
            if not set(one.families) & set(families)
        ]
        used = [(family, one) for family in families for one in swept if family in one.families]
        there = {family for family, _ in used}
        return Sources(used, [part for part in parts if part.family not in there], left)

    def winners(self, used: Used) -> Winners:
        """The best optimizer setting and dropout rate of some sweeps by `sweep.select`. Raises `BadInput`."""
        candidates = pooled(
            one for family, swept in used for one in candidates_of((family,), swept.config, swept.result, swept.run)
        )
        return Winners.among(self.sweep.select, candidates, self.dataset.training[1])

    def cross_validated(self, sweep: ExperimentConfig, watch: Watch) -> TrialResult:
        """The only trial of a sweep, with fits from the cache where possible."""
        return cross_validated(self.dataset.under(sweep), self.cache, watch)

    def alone(self, setting: ExperimentConfig, used: Used) -> ExperimentConfig:
        """The sweep that cross-validates one setting, on the folds and in the repeats of the first of `used`."""
        theirs = used[0][1].config
        return self.placed(confirming(setting, theirs.search, theirs.repeats))

    def confirm(self, used: Used, watch: Watch = unwatched) -> Confirm:
        """Cross-validates a setting as the sweeps of `used` did."""
        return lambda setting: self.cross_validated(self.alone(setting, used), watch)

    def nested(self, sources: Sources) -> Sweeps:
        """Each sweep of the choice once, with the families of its candidates; missing sweeps last."""
        pairs = [(family, swept.config.model_copy(update={"name": None})) for family, swept in sources.used]
        pairs += [(part.family, part.config) for part in sources.missing]
        grouped: dict[str, tuple[ExperimentConfig, dict[str, None]]] = {}
        for family, config in pairs:
            grouped.setdefault(repr(config), (config, {}))[1][family] = None
        return [(self.placed(config), tuple(families)) for config, families in grouped.values()]

    def placed(self, config: ExperimentConfig) -> ExperimentConfig:
        """A sweep's settings, with this command's executor settings."""
        where = {key: getattr(self.sweep, key) for key in reuse.WHERE}
        return config.model_copy(update={"sweep": config.search.model_copy(update=where)})


def _check_alike(sweeps: Sequence[Swept]) -> None:
    for key, values in {
        "training.epochs": {swept.config.training.epochs for swept in sweeps},
        "repeats": {swept.config.repeats for swept in sweeps},
    }.items():
        if len(values) > 1:
            told = ", ".join(map(str, sorted(values)))
            raise BadInput(f"the sweeps differ in {key} ({told}), so their scores can't be compared")
