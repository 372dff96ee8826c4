"""The final network's predictions of the test digits for each training, stored in the run: `predictions.npz`.

    probabilities  float32 (n_test, classes)
    labels         int64 (n_test,), from 0
    rows           int64 (n_test,), the position of each digit among the digits of the experiment, from 0

With repeats, that of the first training is in the run's folder, the others in `repeats/<n>/`. A sweep's archive has
the same first two names, of the digits that its folds hold out: see `sweeps/sweep_files.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.layout import PREDICTIONS, of_repeats

if TYPE_CHECKING:  # --help does without numpy
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Predictions", "read_predictions"]

KINDS = ["float32", "int64", "int64"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """One network's predictions of the test digits, and their labels.

    `probabilities` float32 (n_test, classes), `labels` and `rows` int64 (n_test,): those of the archive.
    """

    probabilities: "NDArray[np.float32]"
    labels: "NDArray[np.int64]"
    rows: "NDArray[np.int64]"

    @property
    def read(self) -> "NDArray[np.int64]":
        """The most probable class of each digit, int64 (n_test,)."""
        likeliest: NDArray[np.int64] = self.probabilities.argmax(axis=1).astype("int64")
        return likeliest

    @property
    def correct(self) -> "NDArray[np.bool_]":
        """Which digits are classified correctly, bool (n_test,)."""
        right: NDArray[np.bool_] = self.read == self.labels
        return right

    def archive(self) -> bytes:
        """The bytes of `predictions.npz`: the same for the same arrays."""
        return files.archive({"probabilities": self.probabilities, "labels": self.labels, "rows": self.rows})


def read_predictions(folder: Path) -> list[Predictions]:
    """The predictions of each training of a run, by repeat; empty for a run that keeps none, as sweeps do.

    Trainings of earlier versions kept none either. Raises RunError where a file is damaged or of a sweep.
    """
    return [_read(path) for path in of_repeats(folder, PREDICTIONS).values()]


def _read(path: Path) -> Predictions:
    try:
        arrays = files.arrays(files.read_bytes(path))
        found = Predictions(*(arrays[name] for name in ("probabilities", "labels", "rows")))
        shape, digits = found.probabilities.shape, found.labels.shape
        if len(shape) != 2 or len(digits) != 1 or shape[:1] != digits or found.rows.shape != digits or 0 in shape:
            raise ValueError(f"probabilities {shape}, labels {digits} and rows {found.rows.shape} don't fit")
        if [array.dtype.name for array in (found.probabilities, found.labels, found.rows)] != KINDS:
            raise ValueError("its arrays are of other kinds of numbers")
        return found
    except (LookupError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
