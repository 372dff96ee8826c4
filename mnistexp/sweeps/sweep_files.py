"""A sweep in its run folder: a file for each finished fit, the ranked table, and the out-of-fold predictions.

trials/<trial>-<repeat>-<fold>.json             settings, score, curves and time of one fit
trials/<trial>-<repeat>-<fold>.traceback.txt    the traceback of a failed fit
trials.csv                                      the ranked table, the same bytes for the same work
predictions.npz                                 probabilities of all trials and the labels, likewise
sweep.json                                      the chosen trial, ties, counts and notes
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeInt, TypeAdapter

from mnistexp.config.models import Value
from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.layout import FITS, PREDICTIONS, SWEEP, TRIALS
from mnistexp.runs.results import FoldResult, History, SweepResult, TrialResult
from mnistexp.sweeps.ranking import probabilities, trials_csv

__all__ = ["fit_document", "fit_name", "predictions_archive", "read_sweep", "sweep_documents"]

CURVES = tuple(field.name for field in fields(History))
Content = bytes | str | Mapping[str, object]


def fit_name(trial: int, result: FoldResult) -> str:
    """The path of a fit's files, without suffix."""
    return f"{FITS}/{trial:05d}-{result.repeat}-{result.fold}"


def fit_document(trial: int, params: Mapping[str, Value], result: FoldResult) -> dict[str, object]:
    """One fit as JSON, without its probabilities."""
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
    """The files of a finished sweep besides those of its fits: name to content."""
    return {
        TRIALS: trials_csv(sweep),
        PREDICTIONS: predictions_archive(sweep.trials, sweep.labels),
        SWEEP: {
            "best": sweep.best,
            "tied": sweep.tied,
            "fits_run": sweep.fits_run,
            "fits_cached": sweep.fits_cached,
            "fits_failed": sweep.fits_failed,
            "seconds": sweep.seconds,
            "notes": sweep.notes,
        },
    }


def predictions_archive(trials: Sequence[TrialResult], labels: NDArray[np.int64]) -> bytes:
    """An npz of `probabilities`, `labels` and `held_out`, as `read_sweep` takes it; `labels`: int64 (digits,)."""
    rows = np.full((max(len(trial.folds) for trial in trials), len(labels)), False)
    for trial in trials:
        for number, fold in enumerate(trial.folds):
            rows[number, fold.rows] = True
    return files.archive({"probabilities": probabilities(trials, len(labels)), "labels": labels, "held_out": rows})


class _Record(BaseModel):
    """The required keys of a file; others are ignored, as later versions may have more."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _StoredFit(_Record):
    trial: NonNegativeInt
    repeat: NonNegativeInt
    fold: NonNegativeInt
    params: dict[str, bool | int | float | str | list[bool | int | float | str] | None]
    score: float | None
    diverged_at: int | None
    error: str | None
    seconds: float
    cached: bool


class _StoredSweep(_Record):
    best: NonNegativeInt
    tied: list[NonNegativeInt]
    fits_run: NonNegativeInt
    fits_cached: NonNegativeInt
    fits_failed: NonNegativeInt
    seconds: float
    notes: list[str]


CURVE = TypeAdapter(list[float | None], config=ConfigDict(strict=True))


def read_sweep(folder: Path) -> SweepResult:
    """The finished sweep in a run folder. Raises RunError if a file is missing or damaged."""
    arrays = _arrays(folder / PREDICTIONS)
    with _damage_named(folder / SWEEP):
        about = _StoredSweep.model_validate(files.read_json(folder / SWEEP))
    params: dict[int, dict[str, Value]] = {}
    folds: dict[int, list[FoldResult]] = {}
    for path in sorted((folder / FITS).glob("*.json")):
        with _damage_named(path):
            document = files.read_json(path)
            fit = _StoredFit.model_validate(document)
            params[fit.trial] = {k: tuple(v) if isinstance(v, list) else v for k, v in fit.params.items()}
            folds.setdefault(fit.trial, []).append(_fold(fit, document, arrays))
    with _damage_named(folder / SWEEP):
        _check_known({about.best, *about.tied}, params)
    return SweepResult(
        trials=tuple(
            TrialResult(index, params[index], tuple(sorted(folds[index], key=lambda fold: (fold.repeat, fold.fold))))
            for index in sorted(params)
        ),
        labels=arrays["labels"],
        tied=tuple(about.tied),
        notes=tuple(about.notes),
        **about.model_dump(exclude={"tied", "notes"}),
    )


def _check_known(trials: set[int], params: Mapping[int, object]) -> None:
    if unknown := trials - params.keys():
        raise ValueError(f"names trial {min(unknown)}, which has no fit")


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (LookupError, ArithmeticError, ValueError) as error:  # pydantic's errors are ValueErrors
        raise RunError(f"{path} is damaged: {' '.join(str(error).split())}") from error


def _arrays(path: Path) -> dict[str, Any]:
    """`probabilities` (trials, repeats, digits, classes), `labels` (digits,), `held_out` (fits of a trial, digits)."""
    with _damage_named(path):
        arrays = files.arrays(files.read_bytes(path))
        digits, shape = len(arrays["labels"]), arrays["probabilities"].shape
        if len(shape) != 4 or shape[2] != digits or 0 in shape or arrays["held_out"].shape[1:] != (digits,):
            raise ValueError(
                f"probabilities {shape}, held_out {arrays['held_out'].shape} and {digits} labels don't fit"
            )
        if [arrays[name].dtype.kind for name in ("probabilities", "labels", "held_out")] != ["f", "i", "b"]:
            raise ValueError("its arrays have wrong types")
        return arrays


def _fold(fit: _StoredFit, document: Mapping[str, Any], arrays: Mapping[str, Any]) -> FoldResult:
    folds = len(arrays["held_out"]) // arrays["probabilities"].shape[1]
    rows = np.flatnonzero(arrays["held_out"][fit.repeat * folds + fit.fold])
    if fit.error is not None:
        rows = rows[:0]
    # A curve that an earlier version did not record is empty.
    curves = {name: CURVE.validate_python(document.get(name, [])) for name in CURVES}
    return FoldResult(
        score=np.nan if fit.score is None else fit.score,
        history=History(**{n: tuple(np.nan if v is None else v for v in values) for n, values in curves.items()}),
        rows=rows,
        probabilities=arrays["probabilities"][fit.trial, fit.repeat, rows],
        **fit.model_dump(include={"fold", "repeat", "seconds", "diverged_at", "error", "cached"}),
    )
