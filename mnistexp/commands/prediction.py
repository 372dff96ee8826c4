"""Predictions of a run's saved model. TensorFlow and Keras are loaded by the first call that needs them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.networks import INPUT_SHAPE
from mnistexp.data import as_input
from mnistexp.data.forms import MOST_CLASSES, Classes
from mnistexp.data.polarity import Ink
from mnistexp.data.reading import Picture
from mnistexp.errors import BadInput, RunError
from mnistexp.runs import references
from mnistexp.runs.layout import DATA, MODEL, Kind
from mnistexp.runs.references import LATEST
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.training.runtime import import_keras
from mnistexp.training.saved_model import check_saved_model

AT_ONCE = 256
NAMES = {"classes": "keys", "class_names": "names"}
"""Keys of `data.json` to fields of `Classes`."""


@dataclass(frozen=True)
class Learnt:
    """The recorded conversions of a run's digits, which images for its network need too.

    `transposed`: the format, such as idx, whose images were transposed; empty for none.
    """

    source: str = "embedded"
    classes: Classes = field(default_factory=Classes)
    ink: Ink = "bright"
    transposed: str = ""

    def as_seen(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images with bright ink on black, uint8 (n, 28, 28), converted like the training digits."""
        return 255 - images if self.ink == "dark" else images


def learnt_by(run: StoredRun) -> Learnt:
    """The record of a run. Raises `RunError` if it is missing or damaged."""
    about, config = run.read_json(DATA), run.config
    try:
        usual = Classes()
        keys, names = (tuple(about.get(key, getattr(usual, name))) for key, name in NAMES.items())
        ink: Ink = "dark" if about.get("ink") == "dark" else "bright"
        transposed = str(about.get("form", "")) if config.data.transpose else ""
        return Learnt(str(about["source"]), Classes(keys, names), ink, transposed)
    except (LookupError, TypeError, AttributeError) as error:
        raise RunError(f"{run.path / DATA} is damaged: {error}") from error


def run_with_model(runs_dir: Path, reference: str) -> StoredRun:
    """The run that a person named; by `latest` the newest that has a model. Raises `BadInput` and `RunError`."""
    if reference == LATEST:
        with_model = (run for run in references.started(runs_dir) if (run.path / MODEL).is_file())
        if (newest := next(with_model, None)) is not None:
            return newest
    return references.one(runs_dir, reference)


def model_path(info: StoredRun) -> Path:
    """The path of a run's model, that of the first repeat. Raises `BadInput` if the run has none."""
    path = info.path / MODEL
    if path.is_file():
        return path
    if info.command in (Kind.TRAIN, Kind.BEST):
        raise BadInput(f"{info.id} is {info.status} and has no {MODEL}, allowed: a run that has finished a training")
    raise BadInput(f"{info.id} is a {info.command} run and has no model, allowed: a train or a best run")


def load_model(path: Path) -> Any:
    """A saved model as a `keras.Model`, not compiled; Keras' safe mode runs no code that the file may hold.

    Raises `RunError` if the file is damaged, or not a network from images (28, 28, 1) to probabilities of classes.
    """
    check_saved_model(path)
    keras = import_keras()
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
        shapes = tuple(model.input_shape[1:]), tuple(model.output_shape[1:])
    except Exception as error:  # Keras, h5py and zipfile raise many kinds
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"{path} is damaged: Keras can't read it: {reason}") from error
    if shapes[0] != INPUT_SHAPE or len(shapes[1]) != 1 or not 2 <= shapes[1][0] <= MOST_CLASSES:
        raise RunError(
            f"{path} takes {shapes[0]} and gives {shapes[1]}, expected: a network from {INPUT_SHAPE} to 2 to "
            f"{MOST_CLASSES} classes"
        )
    return model


def probabilities(
    model: Any, pictures: Sequence[Picture] | NDArray[np.uint8], learnt: Learnt | None = None
) -> NDArray[np.float32]:
    """Probabilities float32 (n, classes), a row a picture.

    `pictures`: as `read_pictures` gives them, or an array uint8 (n, 28, 28), or (28, 28) of one, bright ink on black.
    """
    pixels = [picture.pixels if isinstance(picture, Picture) else picture for picture in pictures]
    images = np.array(pixels, np.uint8).reshape(-1, *INPUT_SHAPE[:2])
    images = (learnt or Learnt()).as_seen(images)
    found = [np.zeros((0, model.output_shape[-1]), np.float32)]
    for start in range(0, len(images), AT_ONCE):
        found.append(np.asarray(model(as_input(images[start : start + AT_ONCE]), training=False), np.float32))
    return np.concatenate(found)


def row(picture: Picture, values: NDArray[np.float32], top: int, classes: Classes | None = None) -> dict[str, Any]:
    """What `--json` says of a picture: its likeliest classes in `top`, the first of them also alone, and all of them.

    `values`: float32 (classes,), their probabilities. `top`: how many of the likeliest, at least 1. `digit` is the
    class as the labels write it, a number where it is one; `name`, what it is called, where that is something else.
    """
    classes = classes or Classes()
    likeliest = [_likely(place, float(values[place]), classes) for place in np.argsort(-values)[:top].tolist()]
    return {
        "image": str(picture.file),
        "index": picture.index,
        **likeliest[0],
        "top": likeliest,
        "probabilities": values.tolist(),
        "inverted": picture.inverted,
        "centred": picture.centred,
    }


def _likely(place: int, probability: float, classes: Classes) -> dict[str, Any]:
    key, name = classes.keys[place], classes.names[place]
    named = {"name": name} if name != key else {}
    return {"digit": int(key) if key.isdecimal() else key, **named, "probability": probability}
