"""What a command would do, as rows; and the plan of a sweep: the fits of each trial, cached or not, and their time."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnistexp.config.grids import Value
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset, folds
from mnistexp.runs.results import FoldResult
from mnistexp.sweeps.executors.cores import usable_cores
from mnistexp.sweeps.fold_fits import Fold, FoldFit, fit_key, fold_hash, learning_rows
from mnistexp.sweeps.search import drive, most_trials
from mnistexp.sweeps.space import Trial
from mnistexp.sweeps.trial_cache import TrialCache

SECONDS_TO_START = 6.0
"""Approximate time of a worker to load TensorFlow and trace its first fit."""


class Fits:
    """The training digits of a sweep cut into folds, and the fits of each trial on them, `per_trial` many.

    All trials share the seed of a (fold, repeat) pair, for a fair comparison. If folds are shuffled, each repeat has
    different ones; those of the first are scikit-learn's with the experiment's seed.
    """

    def __init__(self, dataset: Dataset, cache: TrialCache | None) -> None:
        self.config = config = dataset.config
        self.digits = dataset.training
        self.labels = self.digits[1]
        self.folds, self.repeats = config.search.folds, config.repeats
        self.per_trial = self.folds * self.repeats
        self.parts: list[Fold] = []
        for cut in range(config.repeats if config.search.shuffle_folds else 1):
            seed = int(np.random.SeedSequence([config.seed, cut]).generate_state(1)[0]) if cut else config.seed
            self.parts += folds(self.labels, config.search, seed)
        self._hashes = [fold_hash(self.digits, part) for part in self.parts]
        self.name = hashlib.sha256("".join(self._hashes).encode()).hexdigest()
        self._cache = cache

    def of(self, trial: Trial) -> list[FoldFit]:
        """The fits of a trial in order of (repeat, fold)."""
        return [self._fit(trial, repeat, fold) for repeat in range(self.repeats) for fold in range(self.folds)]

    def _fit(self, trial: Trial, repeat: int, fold: int) -> FoldFit:
        part = (repeat * self.folds + fold) % len(self.parts)
        seed_repeat = trial.repeat_from + repeat
        key = fit_key(trial.config, self._hash(trial.config, part, fold, seed_repeat), fold, seed_repeat)
        return FoldFit(trial.index, trial.config, self.name, part, fold, repeat, seed_repeat, key)

    def _hash(self, config: ExperimentConfig, part: int, fold: int, seed_repeat: int) -> str:
        if config.training.share == 1:
            return self._hashes[part]
        rows, held_out = self.parts[part]
        return fold_hash(self.digits, (learning_rows(config, self.digits, rows, fold, seed_repeat), held_out))

    def cached(self, work: FoldFit) -> FoldResult | None:
        """The cached result of a fit; None if there is none, or no cache."""
        if self._cache is None:
            return None
        return self._cache.get(work.key, fold=work.fold, repeat=work.repeat, rows=self.parts[work.part][1])

    def keep(self, work: FoldFit, result: FoldResult) -> None:
        """Put a finished fit in the cache."""
        if self._cache is not None:
            self._cache.put(work.key, result, work.config.training.taken(len(self.parts[work.part][0])))


@dataclass(frozen=True)
class Row:
    """A part of the work ahead, such as a trial, a sweep, or a training.

    `what`: what tells it from the others, by column. `run`: the finished run that is used instead. `cached`: how many
    of its `fits` are in the cache. `epochs`: of trainings. `seconds`: the estimated time, None if no fit was timed yet.
    """

    what: Mapping[str, Value]
    run: str | None = None
    fits: int = 0
    cached: int = 0
    epochs: int = 0
    seconds: float | None = 0.0


@dataclass(frozen=True)
class Plan:
    """What a command would do. `fits` counts all fits, including those of trials that depend on later scores.

    `seconds`: the estimated time, from the times of fits in the cache; None without any. `document`: what `--dry-run
    --json` says of it. `notes`: what to know about it besides.
    """

    rows: tuple[Row, ...]
    fits: int
    cached: int
    seconds: float | None
    document: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def to_run(self) -> int:
        """How many fits would be trained; the maximum if trials depend on later scores."""
        return self.fits - self.cached

    def row(self, what: Mapping[str, Value]) -> Row:
        """The plan as one part of a larger one."""
        return Row(what, fits=self.fits, cached=self.cached, seconds=self.seconds)


def together(rows: Iterable[Row]) -> tuple[int, int, float | None]:
    """The fits, the cached fits and the seconds of some rows; None if the time of one is unknown."""
    fits, cached, seconds = 0, 0, [0.0]
    for row in rows:
        fits, cached = fits + row.fits, cached + row.cached
        seconds.append(math.nan if row.seconds is None else row.seconds)
    total = sum(seconds)
    return fits, cached, None if math.isnan(total) else total


def counts_document(fits: int, cached: int, seconds: float | None) -> dict[str, Any]:
    """The keys that say how much work is ahead."""
    return {"fits": fits, "fits_cached": cached, "fits_to_run": fits - cached, "seconds": seconds}


def plan_sweep(dataset: Dataset, cache: TrialCache | None = None) -> Plan:
    """The plan of `fit_and_rank`, made without training. Raises `ConfigError` with every problem of `config.sweep`."""
    config, fits = dataset.config, Fits(dataset, cache)
    planned: list[Row] = []
    missing: list[FoldFit] = []

    def cached_scores(generation: list[Trial]) -> list[float] | None:
        scores = []
        for trial in generation:
            works = fits.of(trial)
            results = [fits.cached(work) for work in works]
            missing.extend(work for work, result in zip(works, results, strict=True) if result is None)
            found = [result.score for result in results if result is not None]
            planned.append(Row({"trial": trial.index, **trial.params}, fits=len(works), cached=len(found)))
            scores.append(float(np.mean(found)) if found else math.nan)
        return None if missing else scores

    drive(config, cached_scores)
    later = 0
    if missing and config.search.strategy != "product":
        later = max(0, most_trials(config) - len(planned)) * fits.per_trial
    total, cached, _ = together(planned)
    counts = total + later, cached, _seconds(fits, missing, later, cache)
    return Plan(tuple(planned), *counts, {"trials": len(planned), **counts_document(*counts)})


def _seconds(fits: Fits, missing: list[FoldFit], later: int, cache: TrialCache | None) -> float | None:
    """Wall time of the missing fits and of those of later trials, which are assumed to train for all epochs."""
    if not missing:
        return 0.0
    pace = cache.pace() if cache else None
    if pace is None:
        return None
    config, sweep = fits.config, fits.config.search
    workers = 1 if sweep.executor == "serial" else sweep.workers or usable_cores()
    epochs = sum(work.config.training.epochs * work.config.training.share for work in missing)
    epochs += later * config.training.epochs * config.training.share
    digits = np.mean([len(learn) for learn, _ in fits.parts])
    return SECONDS_TO_START + float(pace * epochs * digits / workers)
