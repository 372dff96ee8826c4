"""Models saved as Keras does, and their weights read without it: nothing in a file can run code or fill the memory."""

import hashlib
import io
import json
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ExperimentConfig, ModelConfig
from mnistexp.config.networks import shapes_of
from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.training import kernels
from mnistexp.training.predicting import keras_model

METADATA, WEIGHTS = "metadata.json", "model.weights.h5"
LARGEST = 1024 * 2**20
"""Bytes that the weights of a saved model may take when unpacked."""


class OtherNetworkError(RunError):
    """The file holds another network than that of the settings."""


def library_for_saving(config: ExperimentConfig) -> str:
    """The name of the library that `save_model` is going to load."""
    return "h5py" if kernels.is_beside(_name(config)) else "keras"


def save_model(config: ExperimentConfig, weights: Sequence[NDArray[np.float32]], path: Path) -> None:
    """Save the trained network as a compiled Keras model; `weights` in the order and shapes of Keras' `get_weights`.

    The first of a network and its optimizer is saved by Keras, and kept. The others differ from it in their weights
    only, so that a process needn't load Keras, which takes half a second.
    """
    kept = kernels.beside(_name(config))
    if kept is None:
        keras_model(config, weights).save(path)
        kernels.leave_beside(_name(config), path.read_bytes())
    else:
        path.write_bytes(_with_weights(kept, config.model, weights))


def _name(config: ExperimentConfig) -> str:
    """The name under which Keras' file of a network and its optimizer is kept beside the kernels."""
    about = config.model.model_dump_json() + config.optimizer.model_dump_json()
    return f"model_{hashlib.sha256(about.encode()).hexdigest()[:32]}"


def _with_weights(kept: bytes, model: ModelConfig, weights: Sequence[NDArray[np.float32]]) -> bytes:
    import h5py

    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(kept)) as archive, zipfile.ZipFile(new, "w") as changed:
        for member in archive.infolist():
            content = archive.read(member)
            if member.filename == METADATA:
                content = json.dumps(json.loads(content) | {"date_saved": time.strftime("%Y-%m-%d@%H:%M:%S")}).encode()
            if member.filename == WEIGHTS:
                held = io.BytesIO(content)
                with h5py.File(held, "r+") as file:
                    for place, array in zip(_places(model), weights, strict=True):
                        file[place][...] = array
                content = held.getvalue()
            changed.writestr(member, content)
    return new.getvalue()


def _places(model: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Where a file holds each weight, in the order of Keras' `get_weights`, and its shape."""
    places: dict[str, tuple[int, ...]] = {}
    number = Counter[str]()
    for layer, _, kernel in shapes_of(model):
        if kernel:
            name = layer.keras_class.lower()  # Keras numbers the layers of a class
            place = f"layers/{name}_{number[name]}/vars" if number[name] else f"layers/{name}/vars"
            number[name] += 1
            places |= {f"{place}/0": kernel, f"{place}/1": kernel[-1:]}
    return places


def read_weights(path: Path, model: ModelConfig) -> list[NDArray[np.float32]]:
    """The weights in a `.keras` file for the network of `model`, float32 in the shapes of Keras' `get_weights`.

    Raises `RunError` if the file is missing or damaged, and `OtherNetworkError`.
    """
    import h5py

    with files.explained("read", path):
        try:
            with zipfile.ZipFile(path) as archive:
                if (size := archive.getinfo(WEIGHTS).file_size) > LARGEST:
                    raise RunError(f"{path} is too large for the model of a run: {size:,} bytes when unpacked")
                content = archive.read(WEIGHTS)
        except (OSError, MemoryError, RunError):
            raise
        except Exception as error:  # zipfile and its decompressors raise many kinds
            raise RunError(f"{path} is damaged: {error}") from error
    expected = _places(model)
    try:
        with h5py.File(io.BytesIO(content), "r") as held:
            found = {place: held[place] for place in expected if place in held}
            if {place: array.shape for place, array in found.items()} != expected:
                raise OtherNetworkError(f"{path} has a different network than that of the run's settings")
            if odd := next((place for place, array in found.items() if array.dtype.kind != "f"), None):
                raise RunError(f"{path} is damaged: {odd} holds {found[odd].dtype}, not floating-point numbers")
            return [np.asarray(array[()], np.float32) for array in found.values()]
    except (MemoryError, RunError):
        raise
    except Exception as error:  # so does h5py
        raise RunError(f"{path} is damaged: {error}") from error
