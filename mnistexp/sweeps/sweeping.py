"""Sweeps: fitting every trial on every fold with an executor, and ranking the results."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from mnistexp import data
from mnistexp.config.models import ExperimentConfig, SweepConfig
from mnistexp.errors import TrialsFailed
from mnistexp.runs.results import FitDone, FoldResult, SweepResult, TrialResult
from mnistexp.runs.run_folder import Run
from mnistexp.sweeps.executors.executors import Lost, open_executor, outcomes
from mnistexp.sweeps.fold_fits import Fitted, FoldFit, failed, fit_fold, numerics, receive
from mnistexp.sweeps.plan import Fits
from mnistexp.sweeps.ranking import choose
from mnistexp.sweeps.search import after, most_trials, search
from mnistexp.sweeps.space import Trial
from mnistexp.sweeps.sweep_files import fit_document, fit_name, sweep_documents
from mnistexp.sweeps.trial_cache import TrialCache
from mnistexp.training.model import layer_table

if TYPE_CHECKING:
    from mnistexp.sweeps.executors.executors import Workers

__all__ = ["cost", "run_sweep"]

Watch = Callable[[FitDone], None]
WRITERS = 8
OTHER_WORKERS = "Some fits ran on workers with other code, library versions or processors; these fits are not cached."
LOST_WORKERS = "Workers died during some fits, which were retried, with one worker less after each kill: see run.log."
Place = tuple[int, int, int]


def run_sweep(
    config: ExperimentConfig,
    digits: data.Digits,
    split: data.Split,
    *,
    cache: TrialCache | None = None,
    run: Run | None = None,
    watch: Watch | None = None,
) -> SweepResult:
    """Fit the trials of `config.sweep` on the training digits, `split.train`, and rank them.

    Each finished fit is stored at once, in the cache and as a file of `run`; cached fits are not repeated, so the same
    call continues after an interruption. The result is bit-identical for every executor, number of workers and order,
    interrupted or not. TensorFlow is loaded only if something is fitted.

    Raises `ConfigError` with every problem of `config.sweep`, `TrialsFailed` for the first failed fit with `fail_fast`
    or if every trial failed, and `KeyboardInterrupt` on Ctrl-C, after ending the workers.
    """
    began = time.perf_counter()
    with ExitStack() as stack:
        sweeping = _Sweep(config, Fits(config, digits, split, cache), run, watch, stack)
        asking = search(config)
        generation = next(asking, None)
        while generation is not None:
            generation = after(asking, sweeping.fit(generation))
    result = sweeping.result(time.perf_counter() - began)
    if run is not None:
        for name, content in sweep_documents(result).items():
            run.add(name, content)
    return result


class _Sweep:
    """A running sweep: its results so far, and the workers, which are started for the first fit."""

    def __init__(
        self, config: ExperimentConfig, fits: Fits, run: Run | None, watch: Watch | None, stack: ExitStack
    ) -> None:
        self._config, self._fits, self._run, self._watch, self._stack = config, fits, run, watch, stack
        self._settings = config.sweep or SweepConfig()
        self._workers: Workers | None = None
        self._trials: list[Trial] = []
        self._results: dict[Place, FoldResult] = {}
        self._expected = most_trials(config) if self._settings.strategy != "product" else 0
        self._cached = self._failed = self._ran = 0
        self._seconds = 0.0
        self._best: float | None = None
        self._notes: dict[str, None] = {}

    def fit(self, generation: list[Trial]) -> list[float]:
        """Run the fits of some trials, and return the mean score of each; NaN if one of its fits failed."""
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
        return [float(np.mean([fold.score for fold in self._folds(trial)])) for trial in generation]

    def _outcomes(self, missing: list[FoldFit]) -> Iterator[tuple[FoldFit, Fitted | Lost]]:
        if not missing:
            return
        if self._workers is None:
            settings = self._settings
            received = self._fits.name, self._fits.digits, self._fits.parts
            self._workers = open_executor(settings.executor, settings.workers, settings.scheduler, receive, received)
            self._stack.enter_context(self._workers)
        yield from outcomes(self._workers, fit_fold, missing, retries=self._settings.retries, died=self._again)

    def _again(self, work: FoldFit, reason: str) -> None:
        self._notes[LOST_WORKERS] = None
        if self._run is not None:
            assert self._workers is not None  # one of them has died
            workers = self._workers.workers
            left = f"{workers} worker{'s' if workers > 1 else ''}"
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
        said = f"failed: {result.error}" if result.error else f"accuracy {result.score:.4f}"
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
        self._run.add(f"{name}.json", fit_document(work.trial, self._trials[work.trial].params, result))

    def _note(self, work: FoldFit, result: FoldResult) -> None:
        self._results[work.trial, work.repeat, work.fold] = result
        trial = self._trials[work.trial]
        folds = self._folds(trial)
        if len(folds) == self._per_trial and not any(fold.error for fold in folds):
            mean = float(np.mean([fold.score for fold in folds]))
            self._best = mean if self._best is None else max(self._best, mean)

    def _tell(self, what: str) -> None:
        if self._watch is None:
            return
        done, total = self._cached + self._ran, self._per_trial * max(len(self._trials), self._expected)
        left = None
        if self._workers is not None:
            left = self._seconds / self._ran * (total - done) / self._workers.workers
        self._watch(FitDone(done=done, total=total, cached=self._cached, what=what, best=self._best, seconds_left=left))

    @property
    def _per_trial(self) -> int:
        return self._fits.folds * self._fits.repeats

    def _folds(self, trial: Trial) -> list[FoldResult]:
        """The results of a trial so far, in order of (repeat, fold)."""
        places = [
            (trial.index, repeat, fold) for repeat in range(self._fits.repeats) for fold in range(self._fits.folds)
        ]
        return [self._results[place] for place in places if place in self._results]

    def result(self, seconds: float) -> SweepResult:
        trials = tuple(TrialResult(trial.index, trial.params, tuple(self._folds(trial))) for trial in self._trials)
        final = [trial for trial in self._trials if self._is_final(trial)]
        candidates = [trials[trial.index] for trial in final]
        if all(trial.failed for trial in candidates):
            error = next(fold.error for trial in candidates for fold in trial.folds if fold.error)
            raise TrialsFailed(f"every trial failed; error of the first fit: {error}")
        costs = [cost(trial.config) for trial in final]
        best, tied = choose(self._settings.select, candidates, self._fits.labels, costs)
        return SweepResult(
            trials=trials,
            labels=self._fits.labels,
            best=best,
            tied=tied,
            fits_run=self._ran,
            fits_cached=self._cached,
            fits_failed=self._failed,
            seconds=seconds,
            notes=tuple(self._notes),
        )

    def _is_final(self, trial: Trial) -> bool:
        """Whether the trial was trained for all epochs, not only in an early round of halving."""
        return self._settings.strategy != "halving" or trial.config.training.epochs == self._config.training.epochs


def _label(trial: Trial) -> str:
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in trial.params.items()) or "as configured"


def cost(config: ExperimentConfig) -> float:
    """The cost of a trial: numbers read and written (parameters, gradients, optimizer state) over all epochs.

    It depends on the settings only; measured times would select different trials in different runs.
    """
    parameters = sum(layer.parameters for layer in layer_table(config.model))
    return float(config.training.epochs * parameters * (2 + len(config.optimizer.slots)))
