"""The final network's predictions of the test digits for each training, stored in the run: `predictions.npz`.

    probabilities  float32 (n_test, classes)
    labels         int64 (n_test,), from 0
    rows           int64 (n_test,), the position of each digit among the digits of the experiment, from 0
    misread        uint8 (n, 28, 28), the images of the `mistakes`; earlier versions kept none

With repeats, that of the first training is in the run's folder, the others in `repeats/<n>/`. A sweep's archive has
the same first two names, of the digits that its folds hold out: see `sweeps/sweep_files.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnistexp.config.shown import percent
from mnistexp.runs import files
from mnistexp.runs.layout import PREDICTIONS, of_repeats

if TYPE_CHECKING:  # --help does without numpy
    import numpy as np
    from numpy.typing import NDArray

KINDS = ["float32", "int64", "int64"]
MOST_MISTAKES = 24


@dataclass(frozen=True)
class Mistake:
    """A misread digit: its `index` among the test digits, its label, what was read, with which probability."""

    index: int
    label: int
    prediction: int
    probability: float

    @property
    def certainty(self) -> str:
        """The probability as `97.3%`; never 100.0%, for a probability below 1 that rounds to it."""
        return ">99.9%" if self.probability >= 0.9995 else percent(self.probability)

    def captions(self, names: Sequence[str]) -> tuple[str, str]:
        """`4 read as 9` and `97.3% sure`; `names`: of the classes."""
        return f"{names[self.label]} read as {names[self.prediction]}", f"{self.certainty} sure"


def mistakes(probabilities: "NDArray[np.float32]", labels: "NDArray[np.int64]") -> list[Mistake]:
    """The misread digits by probabilities (n, classes) and labels (n,), the most confident first, at most 24."""
    read, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    worst = sorted((read != labels).nonzero()[0].tolist(), key=lambda row: -sure[row])[:MOST_MISTAKES]
    return [Mistake(row, int(labels[row]), int(read[row]), float(sure[row])) for row in worst]


@dataclass(frozen=True, eq=False)
class Predictions:
    """One network's predictions of the test digits, and their labels.

    `probabilities` float32 (n_test, classes), `labels` and `rows` int64 (n_test,), `misread` uint8 (n, 28, 28) or None:
    those of the archive.
    """

    probabilities: "NDArray[np.float32]"
    labels: "NDArray[np.int64]"
    rows: "NDArray[np.int64]"
    misread: "NDArray[np.uint8] | None" = None

    @property
    def mistakes(self) -> list[Mistake]:
        """The misread digits, the most confident first, at most 24."""
        return mistakes(self.probabilities, self.labels)

    def with_images(self, images: "NDArray[np.uint8]") -> "Predictions":
        """These, with the images of the mistakes from those of all test digits, uint8 (n_test, 28, 28)."""
        return replace(self, misread=images[[mistake.index for mistake in self.mistakes]])

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
        arrays = {"probabilities": self.probabilities, "labels": self.labels, "rows": self.rows}
        return files.archive(arrays if self.misread is None else arrays | {"misread": self.misread})


def read_predictions(folder: Path) -> tuple[Predictions, ...]:
    """The predictions of each training of a run, by repeat; empty for a run that keeps none, as sweeps do.

    Trainings of earlier versions kept none either. Raises RunError where a file is damaged or of a sweep.
    """
    return tuple(_read(path) for path in of_repeats(folder, PREDICTIONS).values())


def _read(path: Path) -> Predictions:
    with files.damage_named(path):
        arrays = files.arrays(files.read_bytes(path))
        found = Predictions(arrays["probabilities"], arrays["labels"], arrays["rows"], arrays.get("misread"))
        shape, digits = found.probabilities.shape, found.labels.shape
        if len(shape) != 2 or len(digits) != 1 or shape[:1] != digits or found.rows.shape != digits or 0 in shape:
            raise ValueError(f"probabilities {shape}, labels {digits} and rows {found.rows.shape} don't fit")
        if [array.dtype.name for array in (found.probabilities, found.labels, found.rows)] != KINDS:
            raise ValueError("its arrays are of other kinds of numbers")
        images = found.misread
        if images is not None and (images.dtype != "uint8" or images.shape != (len(found.mistakes), 28, 28)):
            raise ValueError(f"misread {images.shape} doesn't fit")
        return found
