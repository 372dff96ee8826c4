"""Predictions of a trained network, computed as in training; and the network as a Keras model.

TensorFlow is loaded by the first call that needs it, not by importing this module.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ExperimentConfig
from mnistexp.training.model import Seed, build_model, build_optimizer

if TYPE_CHECKING:
    from mnistexp.training.loop import Loop, Part


EVALUATED_AT_ONCE = 4096


def predict(
    config: ExperimentConfig, weights: Sequence[NDArray[np.float32]], x: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Probabilities float32 (n, 10) of images uint8 (n, 28, 28), by weights in the shapes of Keras' `get_weights`."""
    loop = compiled_loop(config)
    return evaluated(loop, loop.start(weights), parts_of(loop, (x, np.zeros(len(x)))))[1]


def evaluate(
    config: ExperimentConfig, weights: Sequence[NDArray[np.float32]], x: NDArray[np.uint8], y: NDArray[Any]
) -> tuple[float, float]:
    """Mean loss (sparse categorical cross-entropy) and accuracy on images uint8 (n, 28, 28) and labels (n,)."""
    loop = compiled_loop(config)
    (loss, accuracy, _), _ = evaluated(loop, loop.start(weights), parts_of(loop, (x, y)))
    return loss, accuracy


def keras_model(config: ExperimentConfig, weights: Sequence[NDArray[np.float32]], seed: Seed | int = 0) -> Any:
    """The trained network as a compiled `keras.Model` of Keras' own layers.

    Its `evaluate` on images float32 (n, 28, 28, 1) from 0 to 1 gives the loss and accuracy that `evaluate` here gives.
    """
    model = build_model(config.model, seed)
    model.set_weights(list(weights))
    model.compile(build_optimizer(config.optimizer), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


def compiled_loop(config: ExperimentConfig) -> "Loop":
    """The loop for this network, optimizer and batch size, compiled once per process."""
    from mnistexp.training.loop import loop_for

    shape = config.model.model_copy(update={"dropout": 0.0})
    return loop_for(shape, config.optimizer.name, config.training.batch_size, config.model.dropout > 0)


def parts_of(loop: "Loop", digits: tuple[NDArray[np.uint8], NDArray[Any]]) -> list["Part"]:
    """Images uint8 (n, 28, 28) and labels (n,) in parts that take well under a second to evaluate."""
    starts = range(0, len(digits[0]), EVALUATED_AT_ONCE)
    return [loop.part(*(part[start : start + EVALUATED_AT_ONCE] for part in digits)) for start in starts]


def evaluated(
    loop: "Loop", tensors: tuple[Any, ...], parts: list["Part"]
) -> tuple[tuple[float, float, float], NDArray[np.float32]]:
    """Mean loss, accuracy and the standard error of that mean; and the probabilities, float32 (n, classes)."""
    done = [loop.evaluate(tensors[: loop.weights], part) for part in parts]
    probabilities = np.concatenate([part.numpy() for _, part in done])
    n = len(probabilities)
    loss, accuracy, squares = (np.sum([sums.numpy() for sums, _ in done], axis=0) / n).tolist()
    error = math.sqrt(max(0.0, squares - loss**2) / (n - 1)) if n > 1 and math.isfinite(squares) else math.nan
    return (loss, accuracy, error), probabilities
