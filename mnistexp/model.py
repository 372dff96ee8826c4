"""The network and its optimizer as plain Keras objects, the seeds they start from, and the table that explains them.

TensorFlow is started here and nowhere else, on the first call that needs it.
"""

import ctypes
import gc
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config import ModelConfig
from mnistexp.errors import MnistexpError
from mnistexp.optimizers import Optimizer

__all__ = ["Layer", "Seed", "build_model", "build_optimizer", "initial_weights", "layer_table", "start_tensorflow"]

INPUT_SHAPE = (28, 28, 1)
CLASSES = 10
WEIGHTS, ORDER, DROPOUT = range(3)
"""What a random draw is for: the first number of its seed's spawn key."""


MALLOC = {-1: 2**30, -3: 2**25, -2: 2**24}
"""glibc's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_TOP_PAD, in bytes; the second is the largest that it takes."""


@dataclass(frozen=True)
class Seed:
    """Where every random draw of one training comes from: the experiment's seed, the fold and the repeat."""

    root: int
    fold: int = 0
    repeat: int = 0

    def words(self, purpose: int, *counters: int, count: int = 1) -> NDArray[np.uint64]:
        """Numbers uint64 (count,) of one purpose and its counters, such as the epoch; the same in every process."""
        key = (purpose, self.fold, self.repeat, *counters)
        return np.random.SeedSequence(self.root, spawn_key=key).generate_state(count, np.uint64).astype(np.uint64)

    def order(self, epoch: int, digits: int) -> NDArray[np.int32]:
        """The order in which an epoch, counted from 0, visits the digits: a permutation, int32 (digits,)."""
        bits = np.random.Philox(np.random.SeedSequence(self.root, spawn_key=(ORDER, self.fold, self.repeat, epoch)))
        return np.random.Generator(bits).permutation(digits).astype(np.int32)


@dataclass(frozen=True)
class Layer:
    """One row of the network's table. `arithmetic` counts the parameters, such as `(3*3*16+1)*32 = 4640`."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    arithmetic: str
    activation: str


def import_tensorflow() -> Any:
    """TensorFlow, loaded but not started, without the notices it prints meanwhile."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _stderr_held_back(), _keras_left_out(), _garbage_left():
        import tensorflow as tf
    return tf


@cache
def start_tensorflow() -> Any:
    """TensorFlow, on the CPU, with one thread, and without the notices it prints while it loads.

    One thread because a training of this size gains nothing from two, and because the results are then the same bits
    whatever else the process does. Raises `MnistexpError` where the program had TensorFlow running with more threads
    before: they can't be taken back.
    """
    tf = import_tensorflow()
    with _stderr_held_back():
        threading = tf.config.threading
        try:
            threading.set_intra_op_parallelism_threads(1)
            threading.set_inter_op_parallelism_threads(1)
            tf.config.set_visible_devices([], "GPU")
            tf.constant(0)
        except RuntimeError:
            running = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
            if running != (1, 1):
                raise MnistexpError(
                    "TensorFlow is already running in this process with more than one thread, which would change the "
                    "results: call mnistexp.model.start_tensorflow() before the first TensorFlow operation"
                ) from None
    _keep_freed_memory()
    return tf


@cache
def _keep_freed_memory() -> None:
    """Have glibc reuse the memory of one step for the next instead of handing it back to the kernel.

    Without this a training of an epoch takes some thousand page faults, a tenth and more of its time. Other C libraries
    go their own ways.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in MALLOC.items():
            mallopt(parameter, value)


def build_model(config: ModelConfig, seed: Seed | int = 0) -> Any:
    """The network as a `keras.Sequential`: images float32 (n, 28, 28, 1) from 0 to 1 to probabilities (n, 10).

    Made of Keras' own layers only, and not compiled. The initial weights depend on the seed alone.
    """
    start_tensorflow()
    import keras

    layers = keras.layers
    first, second = config.filters
    model = keras.Sequential(
        [
            layers.Input(INPUT_SHAPE, name="digits"),
            layers.Conv2D(first, config.kernel_size, activation="relu", name="conv_1"),
            layers.MaxPooling2D(2, name="pool_1"),
            layers.Dropout(config.dropout, seed=0, name="dropout_1"),
            layers.Conv2D(second, config.kernel_size, activation="relu", name="conv_2"),
            layers.MaxPooling2D(2, name="pool_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(config.dense_units, activation="relu", name="dense"),
            layers.Dropout(config.dropout, seed=1, name="dropout_2"),
            layers.Dense(CLASSES, activation="softmax", name="output"),
        ],
        name=config.kind,
    )
    model.set_weights(initial_weights(config, seed))
    return model


def initial_weights(config: ModelConfig, seed: Seed | int = 0) -> list[NDArray[np.float32]]:
    """Kernels by Glorot and Bengio's uniform rule (2010), Keras' default, and biases of zero, float32.

    In the order of Keras' `get_weights`; each kernel has the shape of its layer's.
    """
    seed = Seed(seed) if isinstance(seed, int) else seed
    weights = []
    for index, shape in enumerate(_kernel_shapes(config)):
        field = int(np.prod(shape[:-2]))
        limit = (6 / (field * (shape[-2] + shape[-1]))) ** 0.5
        bits = np.random.Philox(key=seed.words(WEIGHTS, index, count=2))
        weights.append(np.random.Generator(bits).uniform(-limit, limit, shape).astype(np.float32))
        weights.append(np.zeros(shape[-1], np.float32))
    return weights


def build_optimizer(optimizer: Optimizer) -> Any:
    """The Keras optimizer of the same mathematics, its learning rate falling as `decay` says."""
    start_tensorflow()
    import keras

    options = optimizer.hyperparameters()
    decay = options.pop("decay")
    if decay:
        schedules = keras.optimizers.schedules
        options["learning_rate"] = schedules.InverseTimeDecay(options["learning_rate"], decay_steps=1, decay_rate=decay)
    return getattr(keras.optimizers, optimizer.keras_class)(**options, **optimizer.keras_options)


def layer_table(config: ModelConfig) -> list[Layer]:
    """The layers from input to output, computed without TensorFlow."""
    kernels = _kernel_shapes(config)
    size, second_size = (side for side, _ in _sides(config))
    pooled, second_pooled = (side for _, side in _sides(config))
    (first, second), drop = config.filters, f"drops {config.dropout:g}"
    flat = second_pooled**2 * second
    return [
        _row("conv_1", "Conv2D", (size, size, first), kernels[0], "relu"),
        _row("pool_1", "MaxPooling2D", (pooled, pooled, first)),
        _row("dropout_1", "Dropout", (pooled, pooled, first), activation=drop),
        _row("conv_2", "Conv2D", (second_size, second_size, second), kernels[1], "relu"),
        _row("pool_2", "MaxPooling2D", (second_pooled, second_pooled, second)),
        _row("flatten", "Flatten", (flat,)),
        _row("dense", "Dense", (config.dense_units,), kernels[2], "relu"),
        _row("dropout_2", "Dropout", (config.dense_units,), activation=drop),
        _row("output", "Dense", (CLASSES,), kernels[3], "softmax"),
    ]


def _row(
    name: str, kind: str, shape: tuple[int, ...], kernel: tuple[int, ...] | None = None, activation: str = ""
) -> Layer:
    if kernel is None:
        return Layer(name, kind, shape, 0, "", activation)
    parameters = (int(np.prod(kernel[:-1])) + 1) * kernel[-1]
    inputs = "*".join(str(size) for size in kernel[:-1])
    return Layer(name, kind, shape, parameters, f"({inputs}+1)*{kernel[-1]} = {parameters}", activation)


def _sides(config: ModelConfig) -> list[tuple[int, int]]:
    """Height and width after each convolution, and after the pooling that follows it."""
    sides, side = [], INPUT_SHAPE[0]
    for _ in config.filters:
        sides.append((side - config.kernel_size + 1, (side - config.kernel_size + 1) // 2))
        side = sides[-1][1]
    return sides


def _kernel_shapes(config: ModelConfig) -> list[tuple[int, ...]]:
    k, (first, second) = config.kernel_size, config.filters
    flat = _sides(config)[-1][1] ** 2 * second
    return [
        (k, k, INPUT_SHAPE[-1], first),
        (k, k, first, second),
        (flat, config.dense_units),
        (config.dense_units, CLASSES),
    ]


@contextmanager
def _keras_left_out() -> Iterator[None]:
    """Keep TensorFlow from loading all of Keras with itself: 2 seconds that a sweep's worker has no use for.

    TensorFlow takes the missing module for Keras not being installed, and finds it when it is next asked for.
    """
    if {"keras", "tensorflow"} & set(sys.modules):
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["keras"]


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Don't look for garbage: loading makes hundreds of thousands of objects and hardly any to free."""
    looking = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looking:
            gc.enable()


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Catch what compiled code writes to standard error, which no logging setting reaches; show it if loading fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
