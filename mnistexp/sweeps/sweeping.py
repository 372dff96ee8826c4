"""Sweeps: fitting every trial on every fold with an executor, and ranking the results."""

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from typing import TYPE_CHECKING

from mnistexp.config import shown
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.networks import layer_table
from mnistexp.data import Dataset
from mnistexp.errors import OutOfTime, TrialsFailed
from mnistexp.runs.results import FitDone, FoldResult, SweepResult, TrialResult, Watch
from mnistexp.runs.run_folder import Run
from mnistexp.sweeps.executors.executors import Lost, open_executor, outcomes
from mnistexp.sweeps.fit_codec import fit_document
from mnistexp.sweeps.fold_fits import Fitted, FoldFit, failed, fit_fold, numerics, receive
from mnistexp.sweeps.plan import Fits
from mnistexp.sweeps.ranking import choose
from mnistexp.sweeps.search import drive, most_trials
from mnistexp.sweeps.space import Trial
from mnistexp.sweeps.sweep_files import fit_name, sweep_documents
from mnistexp.sweeps.trial_cache import TrialCache

if TYPE_CHECKING:
    from mnistexp.sweeps.executors.executors import Workers

WRITERS = 8
OTHER_WORKERS = "Some fits ran on workers with other code, library versions or processors; these fits are not cached."
LOST_WORKERS = "Workers died during some fits, which were retried, with one worker less after each kill: see run.log."
Place = tuple[int, int, int]


def fit_and_rank(
    dataset: Dataset, *, cache: TrialCache | None = None, run: Run | None = None, watch: Watch | None = None
) -> SweepResult:
    """Fit the trials of `config.sweep` on the training digits, and rank them.

    Each finished fit is stored at once, in the cache and as a file of `run`; cached fits are not repeated, so the same
    call continues after an interruption. The result is bit-identical for every executor, number of workers and order,
    interrupted or not. TensorFlow is loaded only if something is fitted.

    After `sweep.max_seconds` no fit is started, save the first ones of this call. Trials that are not complete by then
    are left out of the result; `fits_missing` counts their fits.

    Raises `ConfigError` with every problem of `config.sweep`, `TrialsFailed` for the first failed fit with `fail_fast`
    or if every trial failed, `OutOfTime` if the time limit left no complete trial, and `KeyboardInterrupt` on Ctrl-C,
    after ending the workers.
    """
    result = _fitted(Fits(dataset, cache), run, watch).result()
    if run is not None:
        for name, content in sweep_documents(result).items():
            run.add(name, content)
    return result


def cross_validated(dataset: Dataset, cache: TrialCache | None, watch: Watch | None) -> TrialResult:
    """The only trial of a sweep without keys, even if its fits failed. Raises what else `fit_and_rank` raises."""
    [trial] = _fitted(Fits(dataset, cache), None, watch).complete()
    return trial


def _fitted(fits: Fits, run: Run | None, watch: Watch | None) -> "_Sweep":
    with ExitStack() as stack:
        sweeping = _Sweep(fits, run, watch, stack)
        drive(fits.config, sweeping.fit)
    return sweeping


class _Sweep:
    """A running sweep: its results so far, and the workers, which are started for the first fit."""

    def __init__(self, fits: Fits, run: Run | None, watch: Watch | None, stack: ExitStack) -> None:
        self._fits, self._run, self._watch, self._stack = fits, run, watch, stack
        self._settings = fits.config.search
        self._began = time.perf_counter()
        self._workers: Workers | None = None
        self._trials: list[Trial] = []
        self._results: dict[Place, FoldResult] = {}
        self._expected = most_trials(fits.config) if self._settings.strategy != "product" else 0
        self._cached = self._failed = self._ran = 0
        self._stopped = False
        self._seconds = 0.0
        self._best: float | None = None
        self._notes: dict[str, None] = {}

    def fit(self, generation: list[Trial]) -> list[float] | None:
        """Run the fits of some trials, and return the mean score of each; NaN if one of its fits failed.

        None if the time limit left fits missing.
        """
        self._trials += generation
        works = [work for trial in generation for work in self._fits.of(trial)]
        found = [(work, result) for work in works if (result := self._fits.cached(work)) is not None]
        for work, result in found:
            self._note(work, result)
        # Write many files at once: flushing each takes milliseconds, all together hardly more.
        with ThreadPoolExecutor(WRITERS) as writers:
            list(writers.map(lambda pair: self._write(*pair), found))
        self._cached += len(found)
        if found:
            self._tell(f"{len(found)} from the cache")
        known = {work.key for work, _ in found}
        missing = [work for work in works if work.key not in known]
        for work, outcome in self._outcomes(missing):
            self._finish(work, outcome)
        self._stopped = not all(map(self._complete, generation))
        return None if self._stopped else [self._so_far(trial).mean for trial in generation]

    def _outcomes(self, missing: list[FoldFit]) -> Iterator[tuple[FoldFit, Fitted | Lost]]:
        if not missing:
            return
        if self._workers is None:
            settings = self._settings
            received = self._fits.name, self._fits.digits, self._fits.parts
            self._workers = open_executor(settings.executor, settings.workers, settings.scheduler, receive, received)
            self._stack.enter_context(self._workers)
        more = self._in_time if self._settings.max_seconds else None
        retries = self._settings.retries
        yield from outcomes(self._workers, fit_fold, missing, retries=retries, died=self._again, more=more)

    def _in_time(self) -> bool:
        """Whether further fits may start; the first ones always may, so that repeated calls get to the end."""
        return not self._ran or time.perf_counter() - self._began < (self._settings.max_seconds or math.inf)

    def _complete(self, trial: Trial) -> bool:
        return len(self._so_far(trial).folds) == self._fits.per_trial

    def _again(self, work: FoldFit, reason: str) -> None:
        self._notes[LOST_WORKERS] = None
        if self._run is not None:
            assert self._workers is not None  # one of them has died
            left = shown.counted(self._workers.workers, "worker")
            self._run.log(f"trial {work.trial}, fold {work.fold + 1}: {reason}; will be retried with {left}")

    def _finish(self, work: FoldFit, outcome: Fitted | Lost) -> None:
        if isinstance(outcome, Lost):
            outcome = Fitted(failed(work, outcome.reason), numerics())
        result = outcome.result
        self._ran += 1
        self._seconds += result.seconds
        if result.error is not None:
            self._failed += 1
        elif outcome.numerics == numerics():
            self._fits.keep(work, result)
        else:
            self._notes[OTHER_WORKERS] = None
        self._note(work, result)
        self._write(work, result, outcome.traceback)
        said = f"failed: {result.error}" if result.error else f"accuracy {shown.percent(result.score)}"
        if result.diverged_at:
            said += f", diverged in epoch {result.diverged_at}"
        self._tell(f"{_label(self._trials[work.trial])}, fold {work.fold + 1}: {said}")
        if result.error is not None and self._settings.fail_fast:
            raise TrialsFailed(f"trial {work.trial}, fold {work.fold + 1} failed: {result.error}")

    def _write(self, work: FoldFit, result: FoldResult, traceback: str | None = None) -> None:
        if self._run is None:
            return
        name = fit_name(work.trial, result)
        if traceback:
            self._run.add(f"{name}.traceback.txt", traceback)
        place = {"trial": work.trial, "params": self._trials[work.trial].params}
        self._run.add(f"{name}.json", place | fit_document(result))

    def _note(self, work: FoldFit, result: FoldResult) -> None:
        self._results[work.trial, work.repeat, work.fold] = result
        trial = self._so_far(self._trials[work.trial])
        if len(trial.folds) == self._fits.per_trial and not trial.failed:
            self._best = trial.mean if self._best is None else max(self._best, trial.mean)

    def _tell(self, what: str) -> None:
        if self._watch is None:
            return
        done, total = self._cached + self._ran, self._total
        left = None
        if self._workers is not None:
            left = self._seconds / self._ran * (total - done) / self._workers.workers
        self._watch(FitDone(done=done, total=total, cached=self._cached, what=what, best=self._best, seconds_left=left))

    @property
    def _total(self) -> int:
        """The number of fits, including those of trials that depend on later scores."""
        return self._fits.per_trial * max(len(self._trials), self._expected)

    def _so_far(self, trial: Trial) -> TrialResult:
        """A trial with its fits so far, in order of (repeat, fold)."""
        places = product([trial.index], range(self._fits.repeats), range(self._fits.folds))
        found = tuple(self._results[place] for place in places if place in self._results)
        return TrialResult(trial.index, trial.params, found)

    def complete(self) -> list[TrialResult]:
        """The complete trials. Raises `OutOfTime` if the time limit left none."""
        trials = [self._so_far(trial) for trial in self._trials if self._complete(trial)]
        if not trials:
            done = f"{self._cached + self._ran} of {self._total} fits are"
            raise OutOfTime(
                f"stopped at the time limit of {self._settings.max_seconds:g} seconds before any trial was complete; "
                + (
                    f"{done} kept: run the same command again to continue, or give it more time"
                    if self._settings.cache
                    else f"{done} done, but not cached: give it more time, or leave out --no-cache"
                )
            )
        return trials

    def result(self) -> SweepResult:
        trials = self.complete()
        missing = self._total - self._cached - self._ran if self._stopped else 0
        if missing:
            self._notes[self._stop_note(len(trials), missing)] = None
        final = self._final()
        candidates = [self._so_far(trial) for trial in final]
        if all(trial.failed for trial in candidates):
            error = next(fold.error for trial in candidates for fold in trial.folds if fold.error)
            raise TrialsFailed(f"every trial failed; error of the first fit: {error}")
        costs = [cost(trial.config) for trial in final]
        best, tied = choose(self._settings.select, candidates, self._fits.labels, costs)
        return SweepResult(
            trials=tuple(trials),
            labels=self._fits.labels,
            best=best,
            tied=tied,
            fits_run=self._ran,
            fits_cached=self._cached,
            fits_failed=self._failed,
            seconds=time.perf_counter() - self._began,
            notes=tuple(self._notes),
            trials_missing=self._total // self._fits.per_trial - len(trials) if missing else 0,
            fits_missing=missing,
        )

    def _stop_note(self, complete: int, missing: int) -> str:
        trials = self._total // self._fits.per_trial
        note = (
            f"Stopped at the time limit of {self._settings.max_seconds:g} seconds: {complete} of {trials} trials are "
            f"complete and ranked, {missing} of {self._total} fits are missing."
        )
        return f"{note} Run the same command again to continue." if self._settings.cache else note

    def _final(self) -> list[Trial]:
        """The complete trials to choose from: of halving only those of the last round, which were trained longest."""
        trials = [trial for trial in self._trials if self._complete(trial)]
        if self._settings.strategy != "halving":
            return trials
        longest = max(trial.config.training.epochs for trial in trials)
        return [trial for trial in trials if trial.config.training.epochs == longest]


def _label(trial: Trial) -> str:
    return shown.settings(trial.params) or "as configured"


def cost(config: ExperimentConfig) -> float:
    """The cost of a trial: numbers read and written (parameters, gradients, optimizer state), by epochs and digits.

    It depends on the settings only; measured times would select different trials in different runs.
    """
    parameters = sum(layer.parameters for layer in layer_table(config.model))
    return float(config.training.epochs * config.training.share * parameters * (2 + len(config.optimizer.slots)))
