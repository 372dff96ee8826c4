"""The digits: images and labels, how they are split, and how they are shown to the network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp import sources
from mnistexp.config import DataConfig
from mnistexp.errors import BadInput

__all__ = [
    "CLASSES",
    "Digits",
    "Split",
    "as_input",
    "class_counts",
    "describe",
    "folds",
    "from_one_hot",
    "load",
    "load_unseen",
    "one_hot",
    "split",
]

CLASSES = 10

Labels = NDArray[np.int64]
"""Classes (n,), 0 to 9."""
Rows = NDArray[np.int64]
"""Positions (n,) of digits, from 0."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images uint8 (n, 28, 28), C-contiguous, and labels int64 (n,), 0 to 9; neither can be written to.

    `source` is where they came from; `sha256` and `labels_sha256` are of the arrays' bytes in C order.
    """

    images: NDArray[np.uint8]
    labels: Labels
    source: str
    sha256: str
    labels_sha256: str

    def __len__(self) -> int:
        return len(self.labels)

    def match(self, about: Mapping[str, Any]) -> bool:
        """Whether these are the digits of a run, by the document of its `data.json`. Raises `KeyError`."""
        return bool((about["sha256"], about["labels_sha256"]) == (self.sha256, self.labels_sha256))


@dataclass(frozen=True, eq=False)
class Split:
    """Which rows of the digits serve what: three int64 arrays without a row in common; `validation` may be empty."""

    train: Rows
    validation: Rows
    test: Rows


def load(config: DataConfig) -> Digits:
    """The first `config.digits` digits of `config.source`.

    Raises `BadInput` for a source that isn't there, of no known kind, or with fewer digits; `DataError` for one that is
    damaged, holds no digits, lacks a class among its first rows, or can't be downloaded.
    """
    images, labels = sources.read(config)
    return _digits(images, labels, config.source)


def load_unseen() -> Digits:
    """4,000 digits of the MNIST training set that are none of its first 1,000 and in no split.

    Grouped by class, 0 to 9, each class in the order of the training set.
    """
    return _digits(*sources.embedded("unseen_4000"), "unseen")


def as_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the network is fed: uint8 (n, 28, 28) becomes float32 (n, 28, 28, 1) from 0 to 1."""
    return (images.astype(np.float32) / np.float32(255))[..., np.newaxis]


def one_hot(labels: Labels) -> NDArray[np.uint8]:
    """Labels (n,) as rows uint8 (n, 10) with a single 1, in the column of the label."""
    rows: NDArray[np.uint8] = np.eye(CLASSES, dtype=np.uint8)[labels]
    return rows


def from_one_hot(rows: NDArray[Any]) -> Labels:
    """The inverse of `one_hot`; of probabilities (n, 10), the likeliest class: int64 (n,)."""
    labels: Labels = rows.argmax(axis=1).astype(np.int64)
    return labels


def class_counts(labels: Labels) -> NDArray[np.int64]:
    """How many of each class 0 to 9: int64 (10,)."""
    return np.bincount(labels, minlength=CLASSES).astype(np.int64)


def describe(array: NDArray[Any]) -> dict[str, str]:
    """An array in words: its `type`, `shape`, `dtype`, and `values` from the least to the greatest."""
    return {
        "type": type(array).__name__,
        "shape": str(array.shape),
        "dtype": str(array.dtype),
        "values": f"{array.min()} to {array.max()}" if array.size else "none",
    }


def split(labels: Labels, config: DataConfig, validation_fraction: float = 0.0) -> Split:
    """Train and test rows exactly as scikit-learn's `train_test_split` gives them, in its order.

    The validation rows are cut from the training part by a second call, with a seed derived from `config.split_seed`,
    and hold each class in its share where the classes are large enough for that. Raises `BadInput` where nothing would
    be left to learn from.
    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(labels), dtype=np.int64)
    try:
        train, test = train_test_split(rows, test_size=config.test_fraction, random_state=config.split_seed)
    except ValueError:
        raise BadInput(
            f"data.test_fraction: {config.test_fraction} of {len(labels)} digits leaves none to learn from"
        ) from None
    if not validation_fraction:
        return Split(train, rows[:0], test)
    size = math.ceil(len(train) * validation_fraction)
    if size >= len(train):
        raise BadInput(
            f"training.validation_fraction: {validation_fraction} of {len(train)} digits leaves none to learn from"
        )
    counts = class_counts(labels[train])
    present = np.count_nonzero(counts)
    stratify = labels[train] if counts[counts > 0].min() >= 2 and present <= min(size, len(train) - size) else None
    seed = int(np.random.SeedSequence([config.split_seed, 1]).generate_state(1)[0])
    train, validation = train_test_split(train, test_size=size, random_state=seed, stratify=stratify)
    return Split(train, validation, test)


def folds(labels: Labels, *, folds: int, shuffle: bool, stratified: bool, seed: int) -> list[tuple[Rows, Rows]]:
    """Positions in the training part, int64, to learn from and to validate on, for each fold.

    By scikit-learn's `KFold` or `StratifiedKFold`; `seed` matters only where `shuffle` is true. Raises `BadInput` where
    the digits, or those of some class, don't go round.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    counts = class_counts(labels)
    smallest = int(counts[counts > 0].min()) if stratified else len(labels)
    if folds > smallest:
        what = "digits of the rarest class" if stratified else "digits"
        raise BadInput(f"sweep.folds: {folds} folds of {smallest} {what}; at most {smallest} are possible")
    kind = StratifiedKFold if stratified else KFold
    folder = kind(n_splits=folds, shuffle=shuffle, random_state=seed if shuffle else None)
    return [(train.astype(np.int64), held.astype(np.int64)) for train, held in folder.split(labels, labels)]


def _digits(images: NDArray[Any], labels: NDArray[Any], source: str) -> Digits:
    images = np.ascontiguousarray(images.reshape(-1, sources.SIDE, sources.SIDE), dtype=np.uint8)
    labels = np.ascontiguousarray(labels, dtype=np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return Digits(images, labels, source, sources.sha256(images), sources.sha256(labels))
