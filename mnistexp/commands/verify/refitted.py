"""Verifying a stored sweep: repeats some of its fits, and recomputes its table from the stored fits."""

import math
from pathlib import Path

import numpy as np

from mnistexp.commands.verify.comparing import Compared, curve_difference, relative_difference
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset
from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.layout import TRIALS
from mnistexp.runs.results import FitDone, FoldResult, SweepResult, TrialResult, Watch
from mnistexp.sweeps.fold_fits import FoldFit, fit_fold, receive
from mnistexp.sweeps.plan import Fits
from mnistexp.sweeps.ranking import trials_csv
from mnistexp.sweeps.search import drive
from mnistexp.sweeps.space import Trial
from mnistexp.sweeps.sweep_files import fit_name, read_sweep


def compare_fits(folder: Path, dataset: Dataset, count: int, seed: int, watch: Watch) -> tuple[list[Compared], str]:
    """Repeat `count` fits of the sweep in `folder`, drawn with `seed`; returns a sentence on their number too.

    Raises `RunError` if a file is missing or damaged, `KeyboardInterrupt` on Ctrl-C.
    """
    sweep = read_sweep(folder)
    found = [_table(folder, sweep)]
    trials = _trials(dataset.config, sweep)
    if [(trial.index, trial.params) for trial in trials] != [(trial.index, trial.params) for trial in sweep.trials]:
        told = f"the sweep tried {len(sweep.trials)} settings; config.yaml now gives {len(trials)} different ones"
        return [*found, Compared("settings tried", False, math.inf, told)], "No fit was repeated."
    fits = Fits(dataset, None)
    receive(fits.name, fits.digits, fits.parts)
    pairs = [pair for trial, stored in zip(trials, sweep.trials, strict=True) for pair in _fits(fits, trial, stored)]
    if not pairs:
        raise RunError(f"{folder / 'trials'} is damaged: all of its fits failed")
    size = min(count, len(pairs))
    drawn = sorted(np.random.default_rng(seed).choice(len(pairs), size, replace=False).tolist())
    for done, (work, stored_fit) in enumerate((pairs[number] for number in drawn), start=1):
        again = fit_fold(work).result
        found.append(_fit(work, stored_fit, again))
        watch(FitDone(done=done, total=size, cached=0, what=found[-1].what))
    return found, f"{size} of {len(pairs)} fits were repeated, drawn with seed {seed}."


def _table(folder: Path, sweep: SweepResult) -> Compared:
    """`trials.csv` recomputed from the stored fits."""
    same = files.read_text(folder / TRIALS) == trials_csv(sweep)
    return Compared(TRIALS, same, 0.0 if same else math.inf, "" if same else "differs from the stored trials/*.json")


def _trials(config: ExperimentConfig, sweep: SweepResult) -> list[Trial]:
    """The trials of the search, given the stored scores, which may decide later trials."""
    scores = {trial.index: trial.mean for trial in sweep.trials}
    found: list[Trial] = []

    def then(generation: list[Trial]) -> list[float]:
        found.extend(generation)
        return [scores.get(trial.index, math.nan) for trial in generation]

    drive(config, then)
    return found


def _fits(fits: Fits, trial: Trial, stored: TrialResult) -> list[tuple[FoldFit, FoldResult]]:
    """The successful fits of a trial, each with its stored result."""
    results = {(fold.repeat, fold.fold): fold for fold in stored.folds if fold.error is None}
    return [(work, results[place]) for work in fits.of(trial) if (place := (work.repeat, work.fold)) in results]


def _fit(work: FoldFit, then: FoldResult, now: FoldResult) -> Compared:
    what = f"{fit_name(work.trial, then)}.json"
    if now.error is not None:
        return Compared(what, False, math.inf, f"failed: {now.error}")
    difference, curve = curve_difference(then.history, now.history)
    scores = relative_difference([then.score], [now.score])
    same = np.array_equal(then.probabilities, now.probabilities, equal_nan=True)
    identical = not difference and then.score == now.score and same and then.diverged_at == now.diverged_at
    told = f"accuracy {then.score:.4f} then, {now.score:.4f} now" if scores else f"accuracy {now.score:.4f}"
    said = f"{told}; {curve} differs most" if curve else told if same else f"{told}; predictions differ"
    return Compared(what, identical, max(difference, scores), said)
