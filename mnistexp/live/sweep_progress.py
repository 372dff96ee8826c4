"""The progress of a running sweep, from the files of its fits: each is written once, so each is read once."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from mnistexp.config.grids import Value
from mnistexp.errors import MnistexpError, RunError
from mnistexp.report.page import thinned
from mnistexp.runs import files
from mnistexp.runs.layout import FITS
from mnistexp.runs.stored_runs import load
from mnistexp.sweeps.search import most_trials

MOST_SCORES = 400


@dataclass(frozen=True)
class SweepProgress:
    """The progress of a sweep: `done` of `total` fits, `cached` of them from the cache and `failed` of them failed.

    `total`: None if the settings can't be read; too high if several grids have points in common. `best`,
    `best_params`: the best mean score so far of a trial with all its fits done. `scores`: those means in the order of
    the trials, at most 400 of them. `last`: when the last fit that was not cached was done, in seconds since 1970.
    """

    done: int = 0
    total: int | None = None
    cached: int = 0
    failed: int = 0
    best: float | None = None
    best_params: Mapping[str, Value] | None = None
    scores: tuple[float, ...] = ()
    last: float | None = None

    def seconds_left(self, started: float, now: float) -> float | None:
        """From the pace since the start; both times in seconds since 1970. None until one fit has run."""
        if self.last is None or self.total is None or self.last <= started:
            return None
        pace = (self.last - started) / (self.done - self.cached)
        return max(0.0, pace * (self.total - self.done) - (now - self.last))


@dataclass
class _Trial:
    params: Mapping[str, Value]
    scores: list[float | None]


class FitFiles:
    """The fits in a sweep's run folder; `read` reads those added since its last call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trials: dict[int, _Trial] = {}
        self._read: set[str] = set()
        self._cached = self._failed = 0
        self._last: float | None = None
        self._per_trial = self._expected = 0
        with suppress(MnistexpError):  # settings that can't be read
            config = load(folder).config
            self._per_trial, self._expected = config.search.folds * config.repeats, most_trials(config)

    def read(self) -> SweepProgress:
        """The current progress."""
        try:
            with os.scandir(self._folder / FITS) as entries:
                new = [entry.name for entry in entries if entry.name.endswith(".json") and entry.name[0] != "."]
        except OSError:
            new = []
        for name in new:
            if name not in self._read:
                self._add(name)
        means = {
            index: fmean(score for score in trial.scores if score is not None)
            for index, trial in sorted(self._trials.items())
            if len(trial.scores) == self._per_trial and None not in trial.scores
        }
        best = max(means, key=means.__getitem__, default=None)
        scores = list(means.values())
        trials = max(self._expected, len(self._trials))
        return SweepProgress(
            done=len(self._read),
            total=self._per_trial * trials if self._per_trial else None,
            cached=self._cached,
            failed=self._failed,
            best=None if best is None else means[best],
            best_params=None if best is None else self._trials[best].params,
            scores=tuple(scores[place] for place in thinned(len(scores), MOST_SCORES)),
            last=self._last,
        )

    def _add(self, name: str) -> None:
        path = self._folder / FITS / name
        try:
            document, written = files.read_json(path), path.stat().st_mtime
            index, score, params = document["trial"], document["score"], document["params"]
            failed, cached = document["error"] is not None, bool(document["cached"])
            score = None if score is None else float(score)
        except (OSError, RunError, KeyError, TypeError, ValueError):
            return  # damaged, or removed with the run
        self._read.add(name)
        self._trials.setdefault(index, _Trial(params, [])).scores.append(score)
        self._cached += cached
        self._failed += failed
        if not cached:
            self._last = max(self._last or written, written)
