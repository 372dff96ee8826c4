"""The digits: read from any usual form, split, and shown to the network.

content.py    what a file holds by its first bytes, and its content in pieces
names.py      what names of files and arrays say
npy.py        one array; archives.py: .npz and pairs of .npy; idx.py, tables.py (CSV, Parquet), folders.py
sources.py    the digits at a path, in whichever form, as a `part.Found`
packaged.py   what the package carries in digits/, and OpenML
forms.py      grey values and labels of any form, as bytes and classes
polarity.py   bright ink or dark, upright or turned
pictures.py   one picture scaled and centred as MNIST's were; ready.py: many, for training and predicting alike
splits.py     parts and folds
dataset.py    all of it together: `Digits`, `Dataset`, `load`
reading.py    the pictures that `predict` is asked about
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.dataset import Dataset, Digits, load, load_unseen, split, split_of
from mnistexp.data.splits import Labelled, Labels, Rows, Split, folds, share_of

__all__ = [
    "Dataset",
    "Digits",
    "Labelled",
    "Labels",
    "Rows",
    "Split",
    "as_input",
    "class_counts",
    "describe",
    "folds",
    "load",
    "load_unseen",
    "one_hot",
    "share_of",
    "split",
    "split_of",
]


def as_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the network is fed: uint8 (n, 28, 28) becomes float32 (n, 28, 28, 1) from 0 to 1."""
    return (images.astype(np.float32) / np.float32(255))[..., np.newaxis]


def one_hot(labels: Labels, classes: int = 10) -> NDArray[np.uint8]:
    """Labels (n,) as rows uint8 (n, classes) with a single 1, in the column of the label."""
    rows: NDArray[np.uint8] = np.eye(classes, dtype=np.uint8)[labels]
    return rows


def class_counts(labels: Labels, classes: int = 10) -> NDArray[np.int64]:
    """How many of each class, from 0: int64 (classes,)."""
    return np.bincount(labels, minlength=classes).astype(np.int64)


def describe(array: NDArray[Any]) -> dict[str, str]:
    """An array in words: its `type`, `shape`, `dtype`, and `values` from the least to the greatest."""
    return {
        "type": type(array).__name__,
        "shape": str(array.shape),
        "dtype": str(array.dtype),
        "values": f"{array.min()} to {array.max()}" if array.size else "none",
    }
