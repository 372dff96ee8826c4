"""The network and its optimizer as plain Keras objects, and their random seeds."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ModelConfig
from mnistexp.config.networks import INPUT_SHAPE, Layer, layers_of, shapes_of
from mnistexp.config.optimizers import Optimizer
from mnistexp.training.runtime import import_keras

WEIGHTS, ORDER, DROPOUT = range(3)
"""The purpose of random numbers: the first number of the seed's spawn key."""


@dataclass(frozen=True)
class Seed:
    """The seed of all random numbers of one training: the experiment's seed, the fold and the repeat."""

    root: int
    fold: int = 0
    repeat: int = 0

    def words(self, purpose: int, *counters: int, count: int = 1) -> NDArray[np.uint64]:
        """Numbers uint64 (count,) of one purpose and its counters, such as the epoch; the same in every process."""
        key = (purpose, self.fold, self.repeat, *counters)
        return np.random.SeedSequence(self.root, spawn_key=key).generate_state(count, np.uint64).astype(np.uint64)

    def order(self, epoch: int, digits: int) -> NDArray[np.int32]:
        """The order of the digits in an epoch, counted from 0: a permutation, int32 (digits,)."""
        bits = np.random.Philox(np.random.SeedSequence(self.root, spawn_key=(ORDER, self.fold, self.repeat, epoch)))
        return np.random.Generator(bits).permutation(digits).astype(np.int32)


def build_model(config: ModelConfig, seed: Seed | int = 0) -> Any:
    """The network as a `keras.Sequential`: images float32 (n, 28, 28, 1) from 0 to 1 to probabilities (n, 10).

    Made of Keras' own layers only, and not compiled. The initial weights depend on the seed alone.
    """
    keras = import_keras()
    layers = [keras.layers.Input(INPUT_SHAPE, name="digits"), *map(_keras_layer, layers_of(config), count())]
    model = keras.Sequential(layers, name=config.kind)
    model.set_weights(initial_weights(config, seed))
    return model


def initial_weights(config: ModelConfig, seed: Seed | int = 0) -> list[NDArray[np.float32]]:
    """Kernels by Glorot and Bengio's uniform rule (2010), Keras' default, and biases of zero, float32.

    In the order of Keras' `get_weights`; each kernel has the shape of its layer's.
    """
    seed = Seed(seed) if isinstance(seed, int) else seed
    weights = []
    for index, shape in enumerate(kernel for _, _, kernel in shapes_of(config) if kernel):
        field = int(np.prod(shape[:-2]))
        limit = (6 / (field * (shape[-2] + shape[-1]))) ** 0.5
        bits = np.random.Philox(key=seed.words(WEIGHTS, index, count=2))
        weights.append(np.random.Generator(bits).uniform(-limit, limit, shape).astype(np.float32))
        weights.append(np.zeros(shape[-1], np.float32))
    return weights


def build_optimizer(optimizer: Optimizer) -> Any:
    """The equivalent Keras optimizer, with a learning rate schedule for `decay`."""
    keras = import_keras()
    options = optimizer.hyperparameters()
    decay = options.pop("decay")
    if decay:
        schedules = keras.optimizers.schedules
        options["learning_rate"] = schedules.InverseTimeDecay(options["learning_rate"], decay_steps=1, decay_rate=decay)
    # Keras' automatic names, such as `sgd_1`, depend on the optimizers created earlier in this process.
    name = optimizer.keras_class.lower()
    return getattr(keras.optimizers, optimizer.keras_class)(**options, **optimizer.keras_options, name=name)


def _keras_layer(layer: Layer, number: int) -> Any:
    keras = import_keras()
    arguments: dict[str, dict[str, Any]] = {
        "Conv2D": {"filters": layer.units, "kernel_size": layer.side, "activation": layer.activation},
        "MaxPooling2D": {"pool_size": layer.side},
        "Dropout": {"rate": layer.rate, "seed": number},
        "Flatten": {},
        "Dense": {"units": layer.units, "activation": layer.activation},
    }
    return getattr(keras.layers, layer.keras_class)(name=layer.name, **arguments[layer.keras_class])
