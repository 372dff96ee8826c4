"""One trial trained on one fold: what it depends on, and the work itself, wherever a worker does it.

Nothing here loads TensorFlow but `fit_fold`, so that a sweep whose fits are all cached never does.
"""

import hashlib
import importlib.metadata
import json
import math
import os
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config import ExperimentConfig
from mnistexp.results import FoldResult, History
from mnistexp.runs.environment import environment, training_code

__all__ = [
    "Digits",
    "Fitted",
    "Fold",
    "FoldFit",
    "failed",
    "fit_fold",
    "fit_key",
    "fold_hash",
    "numerics",
    "receive",
]

Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images uint8 (n, 28, 28) and labels int64 (n,)."""
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Positions int64 of the digits to learn from (n,) and to validate on (m,)."""

LIBRARIES = ("tensorflow", "keras", "numpy")
VARIABLES = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TF_DETERMINISTIC_OPS", "XLA_FLAGS")


@dataclass(frozen=True)
class FoldFit:
    """A fit to do. `digits` and `part` say on what: digits that workers have received, and one of their folds.

    `seed_repeat` takes part in the seed in place of `repeat`; the two differ only where rows have seeds of their own.
    """

    trial: int
    config: ExperimentConfig
    digits: str
    part: int
    fold: int
    repeat: int
    seed_repeat: int
    key: str


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a worker gives back: the result, the traceback where the fit raised, and the `numerics` of the worker."""

    result: FoldResult
    numerics: str
    traceback: str | None = None


@cache
def numerics() -> str:
    """A hash of what decides the bits of a result beside its settings, digits and seed.

    The code of a training, the versions of `LIBRARIES`, the processor's architecture and instructions, by which
    numerical libraries choose their kernels, and the environment variables that steer that choice.
    """
    here = environment()
    code = {name: hashlib.sha256(text).hexdigest() for name, text in training_code().items()}
    return _hash_of(
        {
            "code": code,
            "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
            "machine": here["machine"],
            "instructions": here["instructions"],
            "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        }
    )


def fold_hash(digits: Digits, fold: Fold) -> str:
    """A hash of the digits of a fold, in their order, whatever they are a part of."""
    found = hashlib.sha256()
    for rows in fold:
        for array in digits:
            part = np.ascontiguousarray(array[rows])
            found.update(f"{part.dtype.str}{part.shape}".encode())
            found.update(part.tobytes())
    return found.hexdigest()


def fit_key(config: ExperimentConfig, fold_sha256: str, fold: int, seed_repeat: int) -> str:
    """The name of a fit's numbers: two fits with the same key have the same ones, whichever sweep they belong to."""
    training = config.training.model_dump(mode="json", exclude={"validation_fraction", "early_stopping"})
    return _hash_of(
        {
            "model": config.model.model_dump(mode="json"),
            "optimizer": config.optimizer.model_dump(mode="json"),
            "training": training,
            "digits": fold_sha256,
            "seed": [config.seed, fold, seed_repeat],
            "numerics": numerics(),
        }
    )


def _hash_of(document: Any) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


_RECEIVED: dict[str, tuple[Digits, Sequence[Fold]]] = {}
_ONE_FIT = Lock()


def receive(name: str, digits: Digits, folds: Sequence[Fold]) -> None:
    """Have digits and their folds at hand in this worker."""
    _RECEIVED[name] = digits, folds


def fit_fold(work: FoldFit) -> Fitted:
    """Do one fit. A fit that raises is a result too: its error and its traceback."""
    digits, folds = _RECEIVED[work.digits]
    learn, held_out = folds[work.part]
    began = time.perf_counter()
    try:
        # A worker of a cluster may have several threads; TensorFlow's graph and our one thread for it are shared.
        with _ONE_FIT:
            began = time.perf_counter()
            result = _fit(work, digits, learn, held_out)
        return Fitted(result, numerics())
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        return Fitted(failed(work, _last_line(text), time.perf_counter() - began), numerics(), text)


def _fit(work: FoldFit, digits: Digits, learn: NDArray[np.int64], held_out: NDArray[np.int64]) -> FoldResult:
    from mnistexp.training import Seed, fit

    images, labels = digits
    validation = images[held_out], labels[held_out]
    seed = Seed(work.config.seed, work.fold, work.seed_repeat)
    done = fit(work.config, images[learn], labels[learn], validation, seed)
    if done.interrupted:
        raise KeyboardInterrupt
    assert done.probabilities is not None  # given validation digits
    return FoldResult(
        fold=work.fold,
        repeat=work.repeat,
        score=float((done.probabilities.argmax(axis=1) == validation[1]).mean()),
        history=done.history,
        rows=held_out,
        probabilities=done.probabilities,
        seconds=sum(done.seconds),
        diverged_at=done.diverged_at,
    )


def failed(work: FoldFit, error: str, seconds: float = 0.0) -> FoldResult:
    """The result of a fit that came to no end."""
    return FoldResult(
        fold=work.fold,
        repeat=work.repeat,
        score=math.nan,
        history=History((), ()),
        rows=np.zeros(0, np.int64),
        probabilities=np.zeros((0, work.config.model.classes), np.float32),
        seconds=seconds,
        error=error,
    )


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2][:500]
