"""A sweep in its run folder: a file for each finished fit, the ranked table, and the out-of-fold predictions.

trials/<trial>-<repeat>-<fold>.json             settings, score, curves and time of one fit
trials/<trial>-<repeat>-<fold>.traceback.txt    the traceback of a failed fit
trials.csv                                      the ranked table, the same bytes for the same work
predictions.npz                                 probabilities of the complete trials and the labels, likewise
sweep.json                                      the chosen trial, ties, counts and notes
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeInt

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.layout import FITS, PREDICTIONS, SWEEP, TRIALS
from mnistexp.runs.results import FoldResult, SweepResult, TrialResult
from mnistexp.sweeps.fit_codec import StoredFit
from mnistexp.sweeps.ranking import probabilities, trials_csv

Arrays = Mapping[str, Any]


class _StoredSweep(BaseModel):
    """The keys of `sweep.json`; others are ignored, as later versions may have more."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    best: NonNegativeInt
    tied: list[NonNegativeInt]
    fits_run: NonNegativeInt
    fits_cached: NonNegativeInt
    fits_failed: NonNegativeInt
    seconds: float
    notes: list[str]
    trials_missing: NonNegativeInt = 0
    fits_missing: NonNegativeInt = 0


def fit_name(trial: int, result: FoldResult) -> str:
    """The path of a fit's files, without suffix."""
    return f"{FITS}/{trial:05d}-{result.repeat}-{result.fold}"


def sweep_documents(sweep: SweepResult) -> dict[str, bytes | str | Mapping[str, object]]:
    """The files of a finished sweep besides those of its fits: name to content."""
    about = {name: getattr(sweep, name) for name in _StoredSweep.model_fields}
    return {TRIALS: trials_csv(sweep), PREDICTIONS: predictions_archive(sweep.trials, sweep.labels), SWEEP: about}


def predictions_archive(trials: Sequence[TrialResult], labels: NDArray[np.int64]) -> bytes:
    """An npz of `probabilities`, `labels` and `held_out`, as `read_sweep` takes it; `labels`: int64 (digits,)."""
    rows = np.full((max(len(trial.folds) for trial in trials), len(labels)), False)
    for trial in trials:
        for number, fold in enumerate(trial.folds):
            rows[number, fold.rows] = True
    return files.archive({"probabilities": probabilities(trials, len(labels)), "labels": labels, "held_out": rows})


def read_sweep(folder: Path) -> SweepResult:
    """The finished sweep in a run folder. Raises RunError if a file is missing or damaged."""
    arrays = _arrays(folder / PREDICTIONS)
    with files.damage_named(folder / SWEEP):
        about = _StoredSweep.model_validate(files.read_json(folder / SWEEP))
    found = sorted((folder / FITS).glob("*.json"))
    trials = [list(paths) for _, paths in groupby(found, key=lambda path: path.name.partition("-")[0])]
    # A sweep that was stopped at its time limit has fits of incomplete trials too.
    complete = [paths for paths in trials if len(paths) == len(arrays["held_out"])]
    with files.damage_named(folder / PREDICTIONS):
        places = range(len(arrays["probabilities"]))
        known = tuple(_trial(paths, arrays, place) for paths, place in zip(complete, places, strict=True))
    if unknown := {about.best, *about.tied} - {trial.index for trial in known}:
        raise RunError(f"{folder / SWEEP} is damaged: names trial {min(unknown)}, which has no fit")
    settings = about.model_dump() | {"tied": tuple(about.tied), "notes": tuple(about.notes)}
    return SweepResult(trials=known, labels=arrays["labels"], **settings)


def _arrays(path: Path) -> Arrays:
    """`probabilities` (trials, repeats, digits, classes), `labels` (digits,), `held_out` (fits of a trial, digits)."""
    with files.damage_named(path):
        arrays = files.arrays(files.read_bytes(path))
        digits, shape = len(arrays["labels"]), arrays["probabilities"].shape
        if len(shape) != 4 or shape[2] != digits or 0 in shape or arrays["held_out"].shape[1:] != (digits,):
            raise ValueError(
                f"probabilities {shape}, held_out {arrays['held_out'].shape} and {digits} labels don't fit"
            )
        if [arrays[name].dtype.kind for name in ("probabilities", "labels", "held_out")] != ["f", "i", "b"]:
            raise ValueError("its arrays have wrong types")
        return arrays


def _trial(paths: Sequence[Path], arrays: Arrays, place: int) -> TrialResult:
    """A trial from the files of its fits; `place`: its position among the complete trials."""
    folds = len(arrays["held_out"]) // arrays["probabilities"].shape[1]
    results = []
    for path in paths:
        with files.damage_named(path):
            fit = StoredFit.model_validate(files.read_json(path))
            rows = np.flatnonzero(arrays["held_out"][fit.repeat * folds + fit.fold])
            if fit.error is not None:
                rows = rows[:0]
            results.append(fit.result(rows, arrays["probabilities"][place, fit.repeat, rows]))
    return TrialResult(fit.trial, fit.settings, tuple(sorted(results, key=lambda fold: (fold.repeat, fold.fold))))
