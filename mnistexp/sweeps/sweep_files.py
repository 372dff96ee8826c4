"""A sweep in its run folder: a file for each finished fit, the ranked table, and the out-of-fold predictions.

trials/<trial>-<repeat>-<fold>.json             settings, score, curves and time of one fit
trials/<trial>-<repeat>-<fold>.traceback.txt    where it failed
trials.csv                                      the ranked table, the same bytes for the same work
predictions.npz                                 probabilities of all trials and the labels, likewise
sweep.json                                      what was chosen, what is tied, counts and notes
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mnistexp.config import Value
from mnistexp.errors import RunError
from mnistexp.ranking import probabilities, trials_csv
from mnistexp.results import FoldResult, History, SweepResult, TrialResult
from mnistexp.runs import files

__all__ = ["fit_document", "fit_name", "read_sweep", "sweep_documents"]

CURVES = tuple(field.name for field in fields(History))
Content = bytes | str | Mapping[str, object]


def fit_name(trial: int, result: FoldResult) -> str:
    """Where a fit's files go, without their suffix."""
    return f"trials/{trial:05d}-{result.repeat}-{result.fold}"


def fit_document(trial: int, params: Mapping[str, Value], result: FoldResult) -> dict[str, object]:
    """One fit as JSON, all but its probabilities."""
    return {
        "trial": trial,
        "params": dict(params),
        "repeat": result.repeat,
        "fold": result.fold,
        "score": result.score,
        "diverged_at": result.diverged_at,
        "error": result.error,
        "seconds": result.seconds,
        "cached": result.cached,
        **{name: list(getattr(result.history, name)) for name in CURVES},
    }


def sweep_documents(sweep: SweepResult) -> dict[str, Content]:
    """Name to content of the files that a finished sweep adds to those of its fits."""
    rows = np.full((max(len(trial.folds) for trial in sweep.trials), len(sweep.labels)), False)
    for trial in sweep.trials:
        for number, fold in enumerate(trial.folds):
            rows[number, fold.rows] = True
    buffer = io.BytesIO()
    np.savez(buffer, probabilities=probabilities(sweep.trials, len(sweep.labels)), labels=sweep.labels, held_out=rows)
    return {
        "trials.csv": trials_csv(sweep),
        "predictions.npz": buffer.getvalue(),
        "sweep.json": {
            "best": sweep.best,
            "tied": sweep.tied,
            "fits_run": sweep.fits_run,
            "fits_cached": sweep.fits_cached,
            "fits_failed": sweep.fits_failed,
            "seconds": sweep.seconds,
            "notes": sweep.notes,
        },
    }


def read_sweep(folder: Path) -> SweepResult:
    """The finished sweep in a run folder. Raises RunError where a file is missing or damaged."""
    about = files.read_json(folder / "sweep.json")
    arrays = _arrays(folder / "predictions.npz")
    found: dict[int, _Trial] = {}
    for path in sorted((folder / "trials").glob("*.json")):
        document = files.read_json(path)
        try:
            trial = found.setdefault(document["trial"], _Trial(_params(document["params"]), []))
            trial.folds.append(_fold(document, document["trial"], arrays))
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise RunError(f"{path} is damaged: {error!r}") from error
    trials = tuple(
        TrialResult(index, found[index].params, tuple(sorted(found[index].folds, key=lambda f: (f.repeat, f.fold))))
        for index in sorted(found)
    )
    try:
        return SweepResult(
            trials=trials,
            labels=arrays["labels"],
            best=about["best"],
            tied=tuple(about["tied"]),
            fits_run=about["fits_run"],
            fits_cached=about["fits_cached"],
            fits_failed=about["fits_failed"],
            seconds=about["seconds"],
            notes=tuple(about["notes"]),
        )
    except KeyError as error:
        raise RunError(f"{folder / 'sweep.json'} is damaged: no {error}") from error


@dataclass
class _Trial:
    params: dict[str, Value]
    folds: list[FoldResult]


def _arrays(path: Path) -> dict[str, Any]:
    try:
        return files.arrays(files.read_bytes(path))
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error


def _params(document: Mapping[str, Any]) -> dict[str, Value]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}


def _fold(document: Mapping[str, Any], trial: int, arrays: Mapping[str, Any]) -> FoldResult:
    fold, repeat = document["fold"], document["repeat"]
    folds = len(arrays["held_out"]) // arrays["probabilities"].shape[1]
    rows = np.flatnonzero(arrays["held_out"][repeat * folds + fold])
    if document["error"] is not None:
        rows = rows[:0]
    # A curve that the version before did not record is empty.
    curves = {n: tuple(np.nan if value is None else value for value in document.get(n, ())) for n in CURVES}
    return FoldResult(
        fold=fold,
        repeat=repeat,
        score=np.nan if document["score"] is None else document["score"],
        history=History(**curves),
        rows=rows,
        probabilities=arrays["probabilities"][trial, repeat, rows],
        seconds=document["seconds"],
        diverged_at=document["diverged_at"],
        error=document["error"],
        cached=document["cached"],
    )
