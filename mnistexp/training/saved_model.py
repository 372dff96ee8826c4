"""The weights in a saved model, read without Keras: nothing in the file can run code or fill the memory."""

import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ModelConfig
from mnistexp.config.networks import shapes_of
from mnistexp.errors import RunError
from mnistexp.runs import files

WEIGHTS = "model.weights.h5"
LARGEST = 1024 * 2**20
"""Bytes that the weights of a saved model may take when unpacked."""


class OtherNetworkError(RunError):
    """The file holds another network than that of the settings."""


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
    expected: dict[str, tuple[int, ...]] = {}
    number = Counter[str]()
    for layer, _, kernel in shapes_of(model):
        if kernel:
            name = layer.keras_class.lower()  # Keras numbers the layers of a class
            place = f"layers/{name}_{number[name]}/vars" if number[name] else f"layers/{name}/vars"
            number[name] += 1
            expected |= {f"{place}/0": kernel, f"{place}/1": kernel[-1:]}
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
