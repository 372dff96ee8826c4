"""One fit: a trial trained on one fold, and the key of its cached result.

Only `fit_fold` loads TensorFlow, so a sweep whose fits are all cached never does.
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

from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Labelled, Rows, share_of
from mnistexp.runs.environment import environment, training_code
from mnistexp.runs.results import FoldResult, History

Fold = tuple[Rows, Rows]
"""Positions int64 of the training digits (n,) and validation digits (m,)."""

LIBRARIES = ("tensorflow", "keras", "numpy")
VARIABLES = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TF_DETERMINISTIC_OPS", "XLA_FLAGS")


@dataclass(frozen=True)
class FoldFit:
    """A fit to run. `digits` and `part`: the digits, which workers have received, and one of their folds.

    `seed_repeat` is used for the seed instead of `repeat`; the two differ only if each row has its own seed.
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
    """The answer of a worker: the result, the traceback if the fit raised, and the `numerics` of the worker."""

    result: FoldResult
    numerics: str
    traceback: str | None = None


@cache
def numerics() -> str:
    """A hash of everything besides settings, digits and seed that affects the exact result.

    That is the code of the training, the versions of `LIBRARIES`, the processor's architecture and instruction sets, by
    which numerical libraries choose their kernels, and the environment variables that affect this choice.
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


def fold_hash(digits: Labelled, fold: Fold) -> str:
    """A hash of the digits of a fold, in their order."""
    found = hashlib.sha256()
    for rows in fold:
        for array in digits:
            part = np.ascontiguousarray(array[rows])
            found.update(f"{part.dtype.str}{part.shape}".encode())
            found.update(part.tobytes())
    return found.hexdigest()


def learning_rows(config: ExperimentConfig, digits: Labelled, rows: Rows, fold: int, seed_repeat: int) -> Rows:
    """The positions of the digits that a fit is trained on: `training.share` of those of the fold, `rows`."""
    if config.training.share == 1:
        return rows
    return rows[share_of(digits[1][rows], config.training.taken(len(rows)), config.seed, fold, seed_repeat)]


def fit_key(config: ExperimentConfig, fold_sha256: str, fold: int, seed_repeat: int) -> str:
    """The cache key of a fit: fits with equal keys have equal results, in any sweep.

    `fold_sha256`: of the digits that it is trained on and scored on, whatever share of the fold they are.
    """
    training = config.training.model_dump(mode="json", exclude={"validation_fraction", "early_stopping", "share"})
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


_RECEIVED: dict[str, tuple[Labelled, Sequence[Fold]]] = {}
_ONE_FIT = Lock()


def receive(name: str, digits: Labelled, folds: Sequence[Fold]) -> None:
    """Keep digits and their folds in this worker."""
    _RECEIVED[name] = digits, folds


def fit_fold(work: FoldFit) -> Fitted:
    """Run one fit. If it raises, the result has the error and the traceback."""
    digits, folds = _RECEIVED[work.digits]
    rows, held_out = folds[work.part]
    learn = learning_rows(work.config, digits, rows, work.fold, work.seed_repeat)
    began = time.perf_counter()
    try:
        # A worker of a cluster may have several threads, which share TensorFlow's graph and its single thread.
        with _ONE_FIT:
            began = time.perf_counter()
            result = _fit(work, digits, learn, held_out)
        return Fitted(result, numerics())
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        return Fitted(
            failed(work, text.strip().rpartition("\n")[2][:500], time.perf_counter() - began), numerics(), text
        )


def _fit(work: FoldFit, digits: Labelled, learn: Rows, held_out: Rows) -> FoldResult:
    from mnistexp.training.fitting import fit
    from mnistexp.training.model import Seed

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
    """The result of a fit that failed."""
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
