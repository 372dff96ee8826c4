"""Which digits serve what: the split into parts, and the folds of cross-validation."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnistexp.errors import BadInput

if TYPE_CHECKING:
    from mnistexp.config.models import DataConfig, SweepConfig

SHARE = 0x5A
"""Sets the draw of a share apart from the other draws of the same seed."""

Labels = NDArray[np.int64]
"""Classes (n,), from 0."""
Rows = NDArray[np.int64]
"""Positions (n,) of digits, from 0."""
Labelled = tuple[NDArray[np.uint8], Labels]
"""Images uint8 (n, 28, 28) and their labels."""


@dataclass(frozen=True, eq=False)
class Split:
    """Which rows of the digits serve what: three int64 arrays without a row in common; `validation` may be empty."""

    train: Rows
    validation: Rows
    test: Rows


def split_rows(labels: Labels, config: "DataConfig", validation_fraction: float = 0.0, own_test: int = 0) -> Split:
    """Train and test rows exactly as scikit-learn's `train_test_split` gives them, in its order.

    `own_test`: the last so many rows are a test part of the source's own, and all others the training part. The
    validation rows are cut from the training part by a second call, with a seed derived from `config.split_seed`, and
    hold each class in its share where the classes are large enough for that. Raises `BadInput` where nothing would be
    left to train on.
    """
    rows = np.arange(len(labels), dtype=np.int64)
    if own_test:
        train, test = rows[:-own_test], rows[-own_test:]
    else:
        size = math.ceil(len(rows) * config.test_fraction)
        if size >= len(rows):
            raise BadInput(
                f"data.test_fraction: {config.test_fraction} of {len(labels)} digits leaves none to train on"
            )
        train, test = _cut(rows, size, config.split_seed)
    if not validation_fraction:
        return Split(train, rows[:0], test)
    size = math.ceil(len(train) * validation_fraction)
    if size >= len(train):
        raise BadInput(
            f"training.validation_fraction: {validation_fraction} of {len(train)} digits leaves none to train on"
        )
    counts = np.bincount(labels[train])
    present = np.count_nonzero(counts)
    stratify = labels[train] if counts[counts > 0].min() >= 2 and present <= min(size, len(train) - size) else None
    seed = int(np.random.SeedSequence([config.split_seed, 1]).generate_state(1)[0])
    return Split(*_cut(train, size, seed, stratify), test)


def _cut(rows: Rows, size: int, seed: int, stratify: Labels | None = None) -> tuple[Rows, Rows]:
    """All rows but `size` of them, and these. Without classes to heed it takes no scikit-learn, which loads slowly."""
    if stratify is not None:
        from sklearn.model_selection import train_test_split

        kept, taken = train_test_split(rows, test_size=size, random_state=seed, stratify=stratify)
        return kept, taken
    order = np.random.RandomState(seed).permutation(len(rows))
    return rows[order[size:]], rows[order[:size]]


def share_of(labels: Labels, size: int, seed: int, fold: int = 0, repeat: int = 0) -> Rows:
    """Positions, int64 (size,), of `size` of the digits with these labels (n,), in their order.

    A random sample with the classes in proportion; a smaller one is part of a larger one. It depends on the labels,
    the seed of the experiment, the fold and the repeat.
    """
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SHARE, fold, repeat)))
    order = random.permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        own = np.flatnonzero(labels[order] == label)
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.sort(order[np.argsort(place, kind="stable")[:size]]).astype(np.int64)


def folds(labels: Labels, sweep: "SweepConfig", seed: int) -> list[tuple[Rows, Rows]]:
    """Positions in the training part, int64, to train on and to validate on, for each of `sweep.folds`.

    Those of scikit-learn's `KFold` or `StratifiedKFold`; `seed` matters only where the folds are shuffled. Raises
    `BadInput` where the digits, or those of some class, don't go round.
    """
    counts, shuffle = np.bincount(labels), sweep.shuffle_folds
    smallest = int(counts[counts > 0].min()) if sweep.stratified else len(labels)
    if sweep.folds > smallest:
        what = "digits of the rarest class" if sweep.stratified else "digits"
        raise BadInput(f"sweep.folds: {sweep.folds} folds of {smallest} {what}; at most {smallest} are possible")
    if sweep.stratified:
        from sklearn.model_selection import StratifiedKFold

        cut = StratifiedKFold(n_splits=sweep.folds, shuffle=shuffle, random_state=seed if shuffle else None)
        return [(train.astype(np.int64), held.astype(np.int64)) for train, held in cut.split(labels, labels)]
    # KFold is this little; scikit-learn takes a second to load.
    rows = np.arange(len(labels), dtype=np.int64)
    order = np.random.RandomState(seed).permutation(rows) if shuffle else rows
    return [(np.setdiff1d(rows, part), np.sort(part)) for part in np.array_split(order, sweep.folds)]
