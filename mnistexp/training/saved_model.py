"""Checks of a saved model's description against its size, before Keras allocates memory for it."""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

from mnistexp.config.networks import INPUT_SHAPE, Layer, passed
from mnistexp.errors import RunError, show
from mnistexp.runs import files

__all__ = ["check_saved_model"]

LARGEST_MODEL = 1024 * 2**20
"""Limit for the unpacked bytes of a saved model; the largest network that a configuration describes takes less."""
LARGEST_CONFIG = 2**20
WEIGHT_BYTES = 4


def check_saved_model(path: Path) -> None:
    """Check that a `.keras` file is an archive of a network that a run may have, with all its weights.

    Raises `RunError` for anything else: such a file could make Keras fill the memory.
    """
    with files.explained("read", path):
        try:
            with zipfile.ZipFile(path) as archive:
                sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
                if sum(sizes.values()) > LARGEST_MODEL or sizes.get("config.json", 0) > LARGEST_CONFIG:
                    raise RunError(
                        f"{path} is too large for the model of a run: {sum(sizes.values()):,} bytes when unpacked"
                    )
                promised = weights_of(json.loads(archive.read("config.json")))
        except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError, EOFError) as error:
            raise RunError(f"{path} is damaged: {error}") from error
    if promised * WEIGHT_BYTES > (held := sizes.get("model.weights.h5", 0)):
        raise RunError(f"{path} is damaged: a network of {promised:,} weights, whose file takes {held:,} bytes")


def weights_of(document: Any) -> int:
    """The weights of a Keras configuration (`config.json` of a saved model) with the layers that runs' models have.

    Raises ValueError if a layer is of another kind, or its input shape differs from the output of the layer before.
    """
    match document:
        case {"class_name": "Sequential", "config": {"layers": [*layers]}}:
            pass
        case _:
            raise ValueError("config.json describes no sequence of layers")
    shape: tuple[int, ...] = INPUT_SHAPE
    weights = 0
    for number, entry in enumerate(layers):
        given = shape
        match entry:
            case {"class_name": "InputLayer", "config": {"batch_shape": [None, *sides]}} if all(
                isinstance(side, int) and side > 0 for side in sides
            ):
                shape = given = tuple(sides)
            case _:
                layer = _layer(entry)
                if layer is None or not _fits(layer, shape):
                    kind = show(entry.get("class_name")) if isinstance(entry, dict) else "of no kind"
                    raise ValueError(f"layer {number}, {kind}, is not allowed here in the model of a run")
                shape, kernel = passed(layer, shape)
                weights += (math.prod(kernel[:-1]) + 1) * kernel[-1] if kernel else 0
        if entry.get("build_config") not in (None, {"input_shape": [None, *given]}):
            raise ValueError(f"layer {number} has an input shape that differs from its input")
    return weights


def _layer(entry: object) -> Layer | None:
    """A layer of Keras' configuration that the model of a run may have."""
    match entry:
        case {"class_name": ("Dropout" | "Flatten") as kind}:
            return Layer("", kind)
        case {"class_name": "Dense", "config": {"units": int(units)}} if units > 0:
            return Layer("", "Dense", units)
        case {"class_name": "Conv2D", "config": {"filters": int(filters), "kernel_size": [int(side), int(other)]}} if (
            filters > 0 and 0 < side == other
        ):
            return Layer("", "Conv2D", filters, side)
        case {"class_name": "MaxPooling2D", "config": {"pool_size": [int(side), int(other)]}} if 0 < side == other:
            return Layer("", "MaxPooling2D", side=side)
    return None


def _fits(layer: Layer, shape: tuple[int, ...]) -> bool:
    """Whether inputs of this shape can pass the layer."""
    if layer.keras_class == "Dense":
        return len(shape) == 1
    return not layer.side or (len(shape) == 3 and layer.side <= min(shape[:2]))
