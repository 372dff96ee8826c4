"""Predictions of a run's saved model. TensorFlow and Keras are loaded by the first call that needs them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ExperimentConfig
from mnistexp.data.forms import Classes
from mnistexp.data.polarity import Ink
from mnistexp.data.reading import DigitPicture
from mnistexp.errors import BadInput
from mnistexp.runs import files, references
from mnistexp.runs.layout import CONFIG, DATA, FINAL, MODEL, Kind
from mnistexp.runs.references import LATEST
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.training.predicting import predict
from mnistexp.training.saved_model import read_weights


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A run's network, that of the first repeat, and the recorded conversions of its digits, which others need too.

    `weights`: float32 in the shapes of Keras' `get_weights`. `transposed`: the format to transpose, such as idx.
    """

    config: ExperimentConfig
    weights: list[NDArray[np.float32]]
    classes: Classes
    ink: Ink
    transposed: str

    def as_seen(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images with bright ink on black, uint8 (n, 28, 28), converted like the training digits."""
        return 255 - images if self.ink == "dark" else images

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities float32 (n, classes) of images uint8 (n, 28, 28) that are `as_seen`; as in training."""
        if not len(images):
            return np.zeros((0, len(self.classes)), np.float32)
        return predict(self.config, self.weights, images)


def network_of(run: StoredRun) -> TrainedNetwork:
    """The network of a run. Raises `BadInput` if it has none, `RunError` if a file is damaged."""
    path = run.path / MODEL
    if not path.is_file():
        if run.command in (Kind.TRAIN, Kind.BEST):
            raise BadInput(f"{run.id} is {run.status} and has no {MODEL}, allowed: a run that has finished a training")
        raise BadInput(f"{run.id} is a {run.command} run and has no model, allowed: a train or a best run")
    about, config = run.read_json(DATA), run.config_in(FINAL if run.has(FINAL) else CONFIG)
    with files.damage_named(run.path / DATA):
        usual = Classes()
        keys, names = about.get("classes", usual.keys), about.get("class_names", usual.names)
        classes = Classes(tuple(keys), tuple(names))
        transposed = str(about.get("form", "")) if config.data.transpose else ""
    weights = read_weights(path, config.model)
    return TrainedNetwork(config, weights, classes, "dark" if about.get("ink") == "dark" else "bright", transposed)


def run_with_model(runs_dir: Path, reference: str) -> StoredRun:
    """The run that a person named; by `latest` the newest that has a model. Raises `BadInput` and `RunError`."""
    if reference == LATEST:
        with_model = (run for run in references.started(runs_dir) if (run.path / MODEL).is_file())
        if (newest := next(with_model, None)) is not None:
            return newest
    return references.one(runs_dir, reference)


def row(picture: DigitPicture, values: NDArray[np.float32], top: int, classes: Classes | None = None) -> dict[str, Any]:
    """What `--json` says of a picture: its likeliest classes in `top`, the first of them also alone, and all of them.

    `values`: float32 (classes,), their probabilities. `top`: how many of the likeliest, at least 1. `digit` is the
    class as the labels write it, a number where it is one; `name`, what it is called, where that is something else.
    """
    classes = classes or Classes()
    likeliest = []
    for place in np.argsort(-values)[:top].tolist():
        key, name = classes.keys[place], classes.names[place]
        named = {"name": name} if name != key else {}
        likeliest.append({"digit": int(key) if key.isdecimal() else key, **named, "probability": float(values[place])})
    return {
        "image": str(picture.file),
        "index": picture.index,
        **likeliest[0],
        "top": likeliest,
        "probabilities": values.tolist(),
        "inverted": picture.inverted,
        "centred": picture.centred,
    }
