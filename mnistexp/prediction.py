"""What the saved model of a run says of pictures. TensorFlow and Keras are loaded by the first call that needs them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.data import as_input
from mnistexp.errors import BadInput, RunError
from mnistexp.images import Picture
from mnistexp.model import INPUT_SHAPE
from mnistexp.networks import CLASSES
from mnistexp.runs.stored_runs import RunInfo
from mnistexp.runtime import start_tensorflow
from mnistexp.saved_model import check_saved_model

__all__ = ["CLASSES", "MODEL", "load_model", "model_path", "probabilities", "row"]

MODEL = "model.keras"
AT_ONCE = 256


def model_path(info: RunInfo) -> Path:
    """Where a run's model is: of several repeats, the first one's. Raises `BadInput` where the run has none."""
    path = info.path / MODEL
    if path.is_file():
        return path
    if info.command in ("train", "best"):
        raise BadInput(f"{info.id} is {info.status} and has no {MODEL}, allowed: a run that has finished a training")
    raise BadInput(f"{info.id} is a {info.command} run and has no model, allowed: a train or a best run")


def load_model(path: Path) -> Any:
    """A saved model as a `keras.Model`, not compiled; Keras' safe mode runs no code that the file may hold.

    Raises `RunError` where the file is damaged, or is no network from images (28, 28, 1) to 10 probabilities.
    """
    check_saved_model(path)
    start_tensorflow()
    import keras

    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
        shapes = tuple(model.input_shape[1:]), tuple(model.output_shape[1:])
    except Exception as error:  # whatever Keras, h5py and zipfile make of a file that is not what it says
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"{path} is damaged: Keras can't read it: {reason}") from error
    if shapes != (INPUT_SHAPE, (CLASSES,)):
        raise RunError(
            f"{path} takes {shapes[0]} and gives {shapes[1]}, expected: a network from {INPUT_SHAPE} to ({CLASSES},)"
        )
    return model


def probabilities(model: Any, pictures: Sequence[Picture]) -> NDArray[np.float32]:
    """Probabilities float32 (n, 10) of the digits 0 to 9, a row a picture."""
    found = [np.zeros((0, CLASSES), np.float32)]
    for start in range(0, len(pictures), AT_ONCE):
        images = np.stack([picture.pixels for picture in pictures[start : start + AT_ONCE]])
        found.append(np.asarray(model(as_input(images), training=False), np.float32))
    return np.concatenate(found)


def row(picture: Picture, values: NDArray[np.float32], top: int) -> dict[str, Any]:
    """What `--json` says of a picture: its likeliest digits in `top`, the first of them also alone, and all ten.

    `values`: float32 (10,), the probabilities of the digits. `top`: how many of the likeliest, at least 1.
    """
    likeliest = [{"digit": int(digit), "probability": float(values[digit])} for digit in np.argsort(-values)[:top]]
    return {
        "image": str(picture.file),
        "index": picture.index,
        **likeliest[0],
        "top": likeliest,
        "probabilities": values.tolist(),
        "inverted": picture.inverted,
        "centred": picture.centred,
    }
