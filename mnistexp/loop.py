"""A whole epoch of training as one TensorFlow graph.

Importing this module starts TensorFlow; `training.py` does so on its first fit.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mnistexp.config import ModelConfig
from mnistexp.model import build_model, start_tensorflow
from mnistexp.optimizers import OPTIMIZERS

tf = start_tensorflow()

__all__ = ["Loop", "loop_for"]

Tensor = Any


class Loop:
    """The compiled functions for one shape of network and one optimizer; every number that tunes them is an input."""

    def __init__(self, config: ModelConfig, optimizer: str, drops: bool) -> None:
        self.model = build_model(config)
        self.optimizer = OPTIMIZERS[optimizer]
        self.drops = drops
        self.shapes = [tuple(weight.shape) for weight in self.model.weights]
        self.sizes = [int(weight.shape.num_elements()) for weight in self.model.weights]
        self.names = list(self.optimizer().hyperparameters())
        self.train = tf.function(self._train, reduce_retracing=True)
        self.evaluate = tf.function(self._evaluate, reduce_retracing=True)

    def start(self, weights: Sequence[Any]) -> tuple[Tensor, ...]:
        """The state a training starts from: the flat parameters and the optimizer's slots."""
        flat = tf.concat([tf.reshape(weight, [-1]) for weight in weights], 0)
        vectors = [tf.fill(flat.shape, value) for value in self.optimizer.slots]
        return (flat, *vectors, *(tf.constant(value) for value in self.optimizer.scalar_slots))

    def weights(self, flat: Tensor) -> list[Tensor]:
        return [tf.reshape(p, shape) for p, shape in zip(tf.split(flat, self.sizes), self.shapes, strict=True)]

    def _forward(self, weights: list[Tensor], x: Tensor, rate: Tensor | None = None, seed: Tensor | None = None) -> Any:
        """Logits of images uint8 (n, 28, 28); with a rate, units are dropped."""
        x = tf.cast(x, tf.float32)[..., tf.newaxis] / 255.0
        drawn = 0
        for layer in self.model.layers:
            count = len(layer.trainable_variables)
            if layer.name.startswith("dropout"):
                if rate is not None:
                    drawn += 1
                    kept = tf.random.stateless_uniform(tf.shape(x), seed + [0, drawn]) >= rate
                    x = tf.where(kept, x / (1 - rate), 0.0)
            elif layer is self.model.layers[-1]:
                x = tf.matmul(x, weights[0]) + weights[1]
            else:
                x, _ = layer.stateless_call(weights[:count], [], x)
            weights = weights[count:]
        return x

    def _train(
        self,
        state: tuple[Tensor, ...],
        sums: Tensor,
        digits: tuple[Tensor, Tensor],
        order: Tensor,
        batches: Tensor,
        numbers: Tensor,
        seed: Tensor,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Some batches of an epoch: the state after them and the sums of loss and of right answers, float64 (2,).

        `digits`: images uint8 (n, 28, 28) and labels int32 (n,). `order`: int32 (n,), how the epoch visits them.
        `batches`: int32 (4,), the first batch, the last (excluded), the digits in a batch, and the step of batch 0.
        `numbers`: float64, each hyper-parameter and then the dropout rate. `seed`: int32 (2,).
        """
        first, last, size, before = tf.unstack(batches)
        h = dict(zip(self.names, tf.unstack(tf.cast(numbers, tf.float32)), strict=False))
        complements = tf.unstack(tf.cast(1 - numbers, tf.float32))
        h |= {f"1-{name}": value for name, value in zip(self.names, complements, strict=False)}
        rate = tf.cast(numbers[len(self.names)], tf.float32) if self.drops else None
        for number in tf.range(first, last):
            rows = order[number * size : (number + 1) * size]
            x, labels = (tf.gather(part, rows) for part in digits)
            step = before + number
            with tf.GradientTape() as tape:
                tape.watch(state[0])
                logits = self._forward(self.weights(state[0]), x, rate, seed + tf.stack([0, 16 * step]))
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(losses)
            gradient = tape.gradient(loss, state[0])
            sums = sums + self._sums(losses, logits, labels)
            past = tf.cast(step, tf.float32)
            rates = h | {"learning_rate": h["learning_rate"] / (1 + h["decay"] * past)}
            new, slots = self.optimizer.update(rates, past + 1, state[0], gradient, list(state[1:]))
            state = (new, *slots)
        return state, sums

    def _evaluate(self, flat: Tensor, digits: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Sums of loss and of right answers, float64 (2,), and probabilities (n, 10)."""
        x, labels = digits
        logits = self._forward(self.weights(flat), x)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return self._sums(losses, logits, labels), tf.nn.softmax(logits)

    @staticmethod
    def _sums(losses: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        right = tf.equal(tf.argmax(logits, 1, tf.int32), labels)
        return tf.stack([tf.reduce_sum(tf.cast(part, tf.float64)) for part in (losses, right)])


@lru_cache(maxsize=8)
def loop_for(config: ModelConfig, optimizer: str, drops: bool) -> Loop:
    """The loop of this shape of network, traced once a process; `config.dropout` should be 0, so that rates share it."""
    return Loop(config, optimizer, drops)
