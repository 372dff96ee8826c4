"""The digits of an experiment: read from any source, with the split, and what a run records of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.content import Tick
from mnistexp.data.forms import Classes, classes_of, plain_labels
from mnistexp.data.packaged import EMBEDDED, embedded, find_named, sha256
from mnistexp.data.part import Found, RawDigits, opened
from mnistexp.data.polarity import Ink, orientation
from mnistexp.data.ready import make_ready
from mnistexp.data.sources import find_source
from mnistexp.data.splits import Labelled, Labels, Rows, Split, share_of, split_rows
from mnistexp.errors import BadInput

if TYPE_CHECKING:
    from mnistexp.config.models import DataConfig, ExperimentConfig

USUAL_DIGITS = 1000
"""How many digits are taken where `data.digits` says nothing else: of a smaller source, all."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images uint8 (n, 28, 28), C-contiguous, and labels int64 (n,), from 0; neither can be written to.

    `source` is where they came from; `sha256` and `labels_sha256` are of the arrays' bytes in C order. `own_test`: the
    last so many are the source's own test part. `told`: the conversions made. `warnings`: suspected problems.
    """

    images: NDArray[np.uint8]
    labels: Labels
    source: str
    sha256: str
    labels_sha256: str
    classes: Classes = field(default_factory=Classes)
    own_test: int = 0
    form: str = "embedded"
    ink: Ink = "bright"
    told: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, rows: Rows) -> Labelled:
        """The images and the labels at some positions."""
        return self.images[rows], self.labels[rows]

    def differences(self, about: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """The hashes that differ: that in the document of a run's `data.json`, and ours. Raises `KeyError`."""
        hashes = {"digits (SHA-256)": "sha256", "labels (SHA-256)": "labels_sha256"}
        both = {what: (about[key], getattr(self, key)) for what, key in hashes.items()}
        return {what: (theirs, ours) for what, (theirs, ours) in both.items() if theirs != ours}

    def match(self, about: Mapping[str, Any]) -> bool:
        """Whether these are the digits of a run, by the document of its `data.json`. Raises `KeyError`."""
        return not self.differences(about)

    @property
    def notes(self) -> str:
        """What was converted, in one line; empty where nothing was."""
        return f"{self.source}: {'; '.join(self.told)}" if self.told else ""


@dataclass(frozen=True, eq=False)
class Dataset:
    """The digits of an experiment, their split, and the settings that fit them: `digits.classes`, `data.digits`."""

    digits: Digits
    split: Split
    config: "ExperimentConfig"

    @classmethod
    def load(cls, config: "ExperimentConfig", tick: Tick = lambda _: None) -> "Dataset":
        """Read and split the digits that `config.data` names. Raises what `load` and `split` raise."""
        digits = load(config.data, tick)
        config = fitted(config, digits)
        return cls(digits, split_of(digits, config), config)

    def under(self, config: "ExperimentConfig") -> "Dataset":
        """The same digits and split for an experiment with other settings."""
        return replace(self, config=config)

    @property
    def training(self) -> Labelled:
        """The images and the labels of the digits to train on, in the order of `split.train`."""
        return self.digits.at(self.split.train)

    @property
    def held_out(self) -> Rows:
        """The rows that the curves of a training are validated on: those set aside for it, else the test digits."""
        return self.split.validation if len(self.split.validation) else self.split.test

    def document(self) -> dict[str, Any]:
        """The document of `data.json`: where the digits came from, their SHA-256, and the rows of each part.

        `classes` are the labels as the source writes them, `converted` and `warnings` what `told` and `warnings` say,
        `ink` is bright or dark as the network sees it.
        """
        digits = self.digits
        return {
            "source": digits.source,
            "sha256": digits.sha256,
            "labels_sha256": digits.labels_sha256,
            "digits": len(digits),
            "form": digits.form,
            "classes": list(digits.classes.keys),
            "class_names": list(digits.classes.names),
            "ink": digits.ink,
            "converted": list(digits.told),
            "warnings": list(digits.warnings),
            **{part: rows.tolist() for part, rows in vars(self.split).items()},
        }


def fitted(config: "ExperimentConfig", digits: Digits) -> "ExperimentConfig":
    """The settings with the number of digits and of classes that are there. Raises `BadInput` for other settings."""
    count, classes = len(digits) - digits.own_test, len(digits.classes)
    if (count, classes) == (config.data.digits, config.model.classes):
        return config
    if config.model.classes not in (10, classes):
        allowed = f"{classes}, the classes of {digits.source!r}"
        raise BadInput(f"model.classes: is {config.model.classes}, allowed: {allowed}")
    if config.training.batch_size > count:
        raise BadInput(f"training.batch_size: is {config.training.batch_size}, allowed: at most the {count} digits")
    data = config.data.model_copy(update={"digits": count})
    return config.model_copy(update={"data": data, "model": config.model.model_copy(update={"classes": classes})})


def split(digits: Digits | Labels, config: "DataConfig", validation_fraction: float = 0.0) -> Split:
    """The split of digits, or of the digits with these labels int64 (n,), into parts; see `splits.split_rows`."""
    labels, own_test = (digits.labels, digits.own_test) if isinstance(digits, Digits) else (digits, 0)
    return split_rows(labels, config, validation_fraction, own_test)


def split_of(digits: Digits, config: "ExperimentConfig") -> Split:
    """The split of an experiment; `training.share` reduces the part to train on, except in sweeps (done by fold)."""
    parts = split(digits, config.data, config.training.validation_fraction)
    if config.sweep or config.training.share == 1:
        return parts
    size = config.training.taken(len(parts.train))
    return replace(parts, train=parts.train[share_of(digits.labels[parts.train], size, config.seed)])


def find(config: "DataConfig") -> Found:
    """What `config.source` names, nothing of it read yet. Raises `BadInput` where it names nothing that is read."""
    try:
        return find_named(config) or find_source(config.source)
    except BadInput as error:
        raise BadInput(f"data.source: {error}") from error


def load(config: "DataConfig", tick: Tick = lambda _: None) -> Digits:
    """The first `config.digits` digits of `config.source`, and all of its own test part with `data.test: own`.

    `tick` is called with the progress of reading, 0 to 1. Raises `BadInput` for a source that isn't there, is damaged,
    holds no labelled digits or too few, or lacks a class among its first rows; `DataError` for one that can't be
    downloaded.
    """
    found = find(config)
    if config.test == "own" and found.test is None:
        raise BadInput(
            f"data.test: is own, and {config.source!r} has no test part of its own; allowed: split, or a source with "
            "x_test and y_test, t10k- files, a folder test/, or a second table such as mnist_test.csv"
        )
    part = opened(found.main, config.source, tick)
    labels, told = _labels(part, config.source)
    classes, more = classes_of(labels, config.source, config.class_names or (), part.class_names)
    count = _count(config, len(labels))
    numbers = classes.numbers(labels, config.source)[:count]
    _check_all_present(numbers, classes, len(labels), config)
    digits = _ready(part, numbers, config, classes, found.form, (*told, *more), tick)
    if found.test is not None and config.test == "own":
        digits = _with_test(digits, opened(found.test, config.source, tick), config, tick)
    elif found.test is not None:
        aside = f"its own test part ({found.test_name}) is not used: data.test=own tests on it"
        digits = replace(digits, told=(*digits.told, aside))
    return replace(digits, warnings=(*digits.warnings, *suspicions(digits, found, config)))


def load_unseen() -> Digits:
    """4,000 digits of the MNIST training set that are none of its first 1,000 and in no split.

    Grouped by class, 0 to 9, each class in the order of the training set.
    """
    return _frozen(*embedded("unseen_4000"), "unseen")


def read_labelled(part: RawDigits, config: "DataConfig", classes: Classes, form: str, tick: Tick) -> Digits:
    """All digits of a part, their labels by classes that are known. Raises `BadInput` as `load` does."""
    labels, told = _labels(part, config.source)
    return _ready(part, classes.numbers(labels, config.source), config, classes, form, told, tick)


def _labels(part: RawDigits, source: str) -> tuple[NDArray[Any], list[str]]:
    if part.labels is None:
        raise BadInput(
            f"{source}: holds pictures without labels; allowed: labelled ones: a column `label`, labels beside the "
            "pictures (y_train, train-labels-idx1-ubyte), or a folder for each class"
        )
    if not len(part.images):
        raise BadInput(f"{source}: holds no pictures; allowed: at least 20 for training, 1 to evaluate")
    if isinstance(part.images, np.ndarray) and part.images.shape[-1] == len(part.labels) != len(part.images):
        told = f"the pictures have the shape {part.images.shape}, the number of pictures last"
        raise BadInput(f"{source}: {told}; move it to the front: numpy.moveaxis(images, -1, 0)")
    if len(part.labels) != len(part.images):
        raise BadInput(
            f"{source}: holds {len(part.images):,} pictures and {len(part.labels):,} labels, allowed: one label each; "
            "do the files belong together?"
        )
    return plain_labels(part.labels, source, folders=part.labels_as_folders)


def _count(config: "DataConfig", there: int) -> int:
    """How many digits are taken of those there."""
    if config.digits <= there:
        return config.digits
    if config.digits == USUAL_DIGITS and there >= 20:
        return there
    allowed = f"at most {there:,}, all that {config.source!r} holds" if there >= 20 else "sources of at least 20 digits"
    raise BadInput(f"data.digits: is {config.digits:,}, and {config.source!r} holds {there:,}; allowed: {allowed}")


def _check_all_present(numbers: Labels, classes: Classes, there: int, config: "DataConfig") -> None:
    absent = np.setdiff1d(np.arange(len(classes)), numbers)
    if not len(absent):
        return
    names = ", ".join(classes.keys[number] for number in absent[:10]) + ("..." if len(absent) > 10 else "")
    more = f", or raise data.digits (up to {there:,})" if there > len(numbers) else ""
    remedy = f"are the rows sorted by class? Shuffle them{more}" if there > len(numbers) else "add some"
    raise BadInput(
        f"{config.source}: no {names} among its first {len(numbers):,} digits; allowed: all {len(classes)} classes; "
        f"{remedy}"
    )


def _ready(
    part: RawDigits, labels: Labels, config: "DataConfig", classes: Classes, form: str, told: Sequence[str], tick: Tick
) -> Digits:
    """The first pictures of a part, as many as there are labels, made ready."""
    count = len(labels)
    names = [str(path) for path in part.files[:count]]
    ready = make_ready(
        part.images[:count], config.source, invert=config.invert, transpose=config.transpose, names=names, tick=tick
    )
    about = {"classes": classes, "form": form, "ink": ready.ink, "told": (*ready.told, *told)}
    return _frozen(ready.images, labels, config.source, **about, warnings=ready.warnings)


def _frozen(images: NDArray[Any], labels: NDArray[Any], source: str, **about: Any) -> Digits:
    images = np.ascontiguousarray(images, dtype=np.uint8)
    labels = np.ascontiguousarray(labels, dtype=np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return Digits(images, labels, source, sha256(images), sha256(labels), **about)


def _with_test(digits: Digits, part: RawDigits, config: "DataConfig", tick: Tick) -> Digits:
    """The digits followed by the source's own test part."""
    test = read_labelled(part, config, digits.classes, digits.form, tick)
    return _frozen(
        np.concatenate([digits.images, test.images]),
        np.concatenate([digits.labels, test.labels]),
        digits.source,
        classes=digits.classes,
        form=digits.form,
        ink=digits.ink,
        own_test=len(test),
        told=(*digits.told, *(f"of the test part: {told}" for told in test.told if told not in digits.told)),
        warnings=tuple(dict.fromkeys((*digits.warnings, *test.warnings))),
    )


def suspicions(digits: Digits, found: Found, config: "DataConfig") -> list[str]:
    """What pictures let one suspect: that they are stored turned, or have dark ink that was left so."""
    if digits.sha256 == EMBEDDED["first_1000"][0] or found.form in ("embedded", "openml"):
        return []
    said = []
    if digits.ink == "dark":
        said.append(
            f"with data.invert {str(config.invert).lower()} the ink is dark on a bright background: a network trained "
            "on it would misclassify ordinary digits, bright on black; data.invert auto makes the ink bright"
        )
    turn = f"data.transpose {str(not config.transpose).lower()} turns them"
    if digits.classes.digits:
        images = 255 - digits.images if digits.ink == "dark" else digits.images
        digit_of = np.array([int(key) for key in digits.classes.keys])
        if how := orientation(images, digit_of[digits.labels]):
            remedy = turn if how == "transposed" else "turn them and read them again"
            said.append(
                f"the digits look {how}, by comparison with the packaged ones: a network trained on them would "
                f"misclassify ordinary digits; {remedy}"
            )
    elif found.stored_transposed and not config.transpose:
        said.append(f"EMNIST's files hold their pictures transposed, with rows and columns exchanged; {turn}")
    return said
