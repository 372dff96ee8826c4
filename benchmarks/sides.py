"""The sides of the benchmark, each in a process of its own: `python sides.py SIDE THREADS DIGITS.npz`.

Reads one request a line (JSON: side, optimizer, digits, batch) and answers with the seconds of one epoch: learning from
the digits in batches and validating on a quarter as many. Imports only what its side needs, so that PyTorch may live in
another environment.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

Epoch = Callable[[], float]
"""Runs an epoch or more, and gives the seconds of the last."""
OPTIMIZERS: dict[str, dict[str, float]] = {"nesterov": {"decay": 1e-6}, "adam": {}, "nadam": {}, "adadelta": {}}


def parts(path: str, digits: int) -> tuple[Any, Any, Any, Any]:
    """Images and labels to learn from, and to validate on; the 800 and 200 are repeated for larger numbers."""
    stored = np.load(path)

    def taken(name: str, first: int, count: int) -> Any:
        values = stored[name][first : first + (200 if first else 800)]
        return np.concatenate([values] * -(-count // len(values)))[:count]

    x, y = (taken(name, 0, digits) for name in ("images", "labels"))
    return x, y, *(taken(name, 800, digits // 4) for name in ("images", "labels"))


def loop(path: str, optimizer: str, digits: int, batch: int) -> Epoch:
    """This package's loop."""
    from mnistexp.config.models import DataConfig, ExperimentConfig, TrainingConfig
    from mnistexp.config.optimizers import OPTIMIZERS as CLASSES
    from mnistexp.training.fitting import fit
    from mnistexp.training.model import Seed

    x, y, *validation = parts(path, digits)
    config = ExperimentConfig(
        data=DataConfig(digits=70_000),
        optimizer=CLASSES[optimizer].model_validate(OPTIMIZERS[optimizer]),
        training=TrainingConfig(epochs=2, batch_size=batch),
    )
    return lambda: fit(config, x, y, (validation[0], validation[1]), Seed(2)).seconds[-1]


def keras_model(optimizer: str, **options: Any) -> Any:
    from mnistexp.config.models import ModelConfig
    from mnistexp.config.optimizers import OPTIMIZERS as CLASSES
    from mnistexp.training.model import build_model, build_optimizer

    model = build_model(ModelConfig(), 2)
    peer = build_optimizer(CLASSES[optimizer].model_validate(OPTIMIZERS[optimizer]))
    model.compile(peer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def as_input(images: Any) -> Any:
    return (images.astype(np.float32) / 255)[..., np.newaxis]


def keras_fit(path: str, optimizer: str, digits: int, batch: int, **options: Any) -> Epoch:
    """Keras' `fit`."""
    import keras

    class Timer(keras.callbacks.Callback):  # type: ignore[misc]
        began = ended = 0.0

        def on_epoch_begin(self, *_: Any) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, *_: Any) -> None:
            self.ended = time.perf_counter()

    x, y, validation_x, validation_y = parts(path, digits)
    x, validation = as_input(x), (as_input(validation_x), validation_y)
    model, timer = keras_model(optimizer, **options), Timer()

    def epoch() -> float:
        model.fit(x, y, batch, epochs=2, validation_data=validation, verbose=0, callbacks=[timer])
        return timer.ended - timer.began

    return epoch


def floor(path: str, optimizer: str, digits: int, batch: int) -> Epoch:
    """Forward and backward of the Keras layers in one graph, no update, and forward of the validation digits."""
    import tensorflow as tf

    x, y, validation, _ = parts(path, digits)
    x, y, validation = tf.constant(as_input(x)), tf.constant(y), tf.constant(as_input(validation))
    model = keras_model(optimizer)

    def run() -> Any:
        total = 0.0
        for start in tf.range(0, digits, batch):
            with tf.GradientTape() as tape:
                probabilities = model(x[start : start + batch], training=True)
                losses = tf.keras.losses.sparse_categorical_crossentropy(y[start : start + batch], probabilities)
            for gradient in tape.gradient(losses, model.trainable_variables):
                total += tf.reshape(gradient, [-1])[0]
        return total + model(validation)[0, 0]

    graph = tf.function(run)
    return timed(lambda: float(graph()))


def gradients(path: str, optimizer: str, digits: int, batch: int) -> Epoch:
    """Forward and backward of this package, no update, and forward of the validation digits."""
    from mnistexp.config.models import ModelConfig
    from mnistexp.training.loop import loop_for, tf
    from mnistexp.training.model import initial_weights

    network = loop_for(ModelConfig(), optimizer, batch, False).network
    x, y, validation, _ = parts(path, digits)
    x, validation = tf.constant(network.prepare(x)), tf.constant(network.prepare(validation))
    y, shares = tf.constant(y.astype(np.int32)), tf.fill([batch], 1 / batch)
    weights = [tf.constant(weight) for weight in initial_weights(ModelConfig(), 2)]

    def run() -> Any:
        total = 0.0
        for start in tf.range(0, digits - batch + 1, batch):
            rows = tf.range(batch) + start
            _, _, found = network.gradients(weights, tf.gather(x, rows), tf.gather(y, rows), shares)
            for gradient in found:
                total += tf.reshape(gradient, [-1])[0]
        for start in tf.range(0, digits // 4, network.at_once):
            rows = tf.minimum(tf.range(network.at_once) + start, digits // 4 - 1)
            total += network.logits(weights, tf.gather(validation, rows), digits // 4 - start)[0, 0]
        return total

    graph = tf.function(run)
    return timed(lambda: float(graph()))


def matmul(*_: Any) -> Epoch:
    """A product of two 512 x 512 matrices, ten times: 2.68 GFLOP."""
    import tensorflow as tf

    a = tf.random.stateless_normal([512, 512], [1, 2])

    def run() -> Any:
        product = a
        for _ in tf.range(10):
            product = tf.matmul(product, a) * 0.04
        return product[0, 0]

    graph = tf.function(run)
    return timed(lambda: float(graph()))


def torch_eager(path: str, optimizer: str, digits: int, batch: int) -> Epoch:
    """A plain PyTorch loop."""
    import torch
    from torch import nn

    torch.manual_seed(2)
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(800, 128), nn.ReLU(), nn.Linear(128, 10)),
    )
    choices: dict[str, Callable[[], Any]] = {
        "nesterov": lambda: torch.optim.SGD(model.parameters(), 0.01, 0.9, nesterov=True),
        "adam": lambda: torch.optim.Adam(model.parameters()),
        "nadam": lambda: torch.optim.NAdam(model.parameters()),
        "adadelta": lambda: torch.optim.Adadelta(model.parameters(), 0.001),
    }
    peer, loss_of = choices[optimizer](), nn.CrossEntropyLoss()
    x, y, validation_x, validation_y = parts(path, digits)
    x, validation_x = (torch.from_numpy(as_input(part).transpose(0, 3, 1, 2).copy()) for part in (x, validation_x))
    y, validation_y = (torch.from_numpy(part.astype(np.int64)) for part in (y, validation_y))

    def run() -> None:
        order, right = torch.randperm(digits), 0.0
        for start in range(0, digits, batch):
            rows = order[start : start + batch]
            logits = model(x[rows])
            loss = loss_of(logits, y[rows])
            peer.zero_grad()
            loss.backward()
            peer.step()
            right += float((logits.argmax(1) == y[rows]).sum())
        with torch.no_grad():
            float(loss_of(model(validation_x), validation_y))

    return timed(run)


def timed(run: Callable[[], Any]) -> Epoch:
    def epoch() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return epoch


SIDES: dict[str, Callable[..., Epoch]] = {
    "this loop": loop,
    "keras fit": keras_fit,
    "keras fit, steps_per_execution=25": lambda *case: keras_fit(*case, steps_per_execution=25),
    "keras fit, jit_compile=True": lambda *case: keras_fit(*case, jit_compile=True),
    "forward and backward, Keras layers": floor,
    "forward and backward, this loop": gradients,
    "matmul": matmul,
    "pytorch eager": torch_eager,
}


def main(kind: str, threads: str, path: str) -> None:
    if kind == "torch":
        import torch

        torch.set_num_threads(int(threads))
    elif threads == "1":
        from mnistexp.training.runtime import start_tensorflow

        start_tensorflow().config.optimizer.set_experimental_options({"disable_meta_optimizer": kind == "loop"})
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf

        import mnistexp.training.model

        tf.config.threading.set_intra_op_parallelism_threads(int(threads))
        # Keras alone runs here: its models are built by the package, which would refuse more than one thread.
        vars(mnistexp.training.model)["start_tensorflow"] = lambda: tf

    case = cache(lambda side, *rest: SIDES[side](path, *rest))
    for line in sys.stdin:
        request = json.loads(line)
        seconds = case(request["side"], request["optimizer"], request["digits"], request["batch"])()
        print(json.dumps(seconds), flush=True)
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
