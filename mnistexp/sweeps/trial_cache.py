"""The cache of finished fits, shared by all sweeps of one runs folder."""

import hashlib
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ExperimentConfig
from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.cache_folder import CacheFolder
from mnistexp.runs.results import FoldResult
from mnistexp.sweeps.fit_codec import StoredFit, fit_document

FOLDER = ".cache/fits"
SUFFIX = ".fit"
PACE_OF = 20
"""How many of the newest fits tell the pace."""
DAMAGE = (ValueError, KeyError, TypeError, RecursionError)

logger = logging.getLogger(__name__)


def cache_of(config: ExperimentConfig, runs_dir: Path) -> "TrialCache | None":
    """The cache for the sweep of a configuration; None if it doesn't use the cache."""
    return TrialCache(runs_dir) if config.search.cache else None


class TrialCache(CacheFolder):
    """The cache of a runs folder: one file per fit, named by the key of the fit."""

    def __init__(self, runs_dir: Path) -> None:
        super().__init__(runs_dir / FOLDER, SUFFIX)

    def get(self, key: str, *, fold: int, repeat: int, rows: NDArray[np.int64]) -> FoldResult | None:
        """The fit stored under `key`, for a fold whose validation digits are at `rows`; None if there is none.

        `rows`: int64 (digits of the fold,). A damaged entry is logged as a warning and ignored.
        """
        path = self._path(key)
        try:
            return from_bytes(files.read_bytes(path), key, fold=fold, repeat=repeat, rows=rows)
        except (RunError, *DAMAGE) as error:
            if path.exists():
                logger.warning("the cached fit %s is damaged and will be trained again: %s", path, error)
            return None

    def put(self, key: str, result: FoldResult, learnt: int) -> None:
        """Store a finished fit with its number of training digits, flushed to the disk. Raises RunError."""
        self.add(self._path(key), to_bytes(key, result, learnt))

    def pace(self) -> float | None:
        """Seconds per training digit and epoch, over the newest fits; None without any."""
        seconds = digits = 0.0
        for entry in self.entries()[:PACE_OF]:
            try:
                about, _ = _opened(files.read_bytes(entry.path))
                epochs = sum(map(math.isfinite, about["loss"])) or 1  # padded with NaN after a divergence
                seconds, digits = seconds + about["seconds"], digits + about["learnt"] * epochs
            except (RunError, *DAMAGE):
                continue
        return seconds / digits if digits else None

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{SUFFIX}"


def to_bytes(key: str, result: FoldResult, learnt: int) -> bytes:
    """A finished fit as the SHA-256 of the rest, a line feed, and an npz archive of its document and probabilities."""
    about = {"key": key, "learnt": learnt, **fit_document(result)}
    written = np.frombuffer(json.dumps(about).encode(), np.uint8)
    content = files.archive({"about": written, "probabilities": result.probabilities})
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def from_bytes(content: bytes, key: str, *, fold: int, repeat: int, rows: NDArray[np.int64]) -> FoldResult:
    """The inverse of `to_bytes`; `rows` as in `TrialCache.get`, int64 (digits of the fold,).

    Raises ValueError if a single bit is wrong or the entry is that of another fit.
    """
    about, probabilities = _opened(content)
    if about["key"] != key or probabilities.shape[:-1] != (len(rows),):
        raise ValueError("it is the entry of another fit")
    here = {"fold": fold, "repeat": repeat, "error": None, "cached": True}
    return StoredFit.model_validate(about | here).result(rows, probabilities)


def _opened(content: bytes) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """The document of an entry, and its probabilities. Raises ValueError if its checksum is wrong."""
    checksum, _, rest = content.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != checksum:
        raise ValueError("its checksum doesn't match its content")
    arrays = files.arrays(rest)
    about = json.loads(arrays.pop("about").tobytes())
    probabilities = arrays.pop("probabilities")
    # Earlier versions kept the curves as arrays.
    return about | {name: curve.tolist() for name, curve in arrays.items()}, probabilities
