"""A whole epoch of training as one TensorFlow graph.

Importing this module starts TensorFlow; `fitting.py` does so on its first fit.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ModelConfig
from mnistexp.config.optimizers import OPTIMIZERS
from mnistexp.training.graphs import Graph
from mnistexp.training.layers import Layers
from mnistexp.training.model import initial_weights
from mnistexp.training.runtime import start_tensorflow
from mnistexp.training.winograd import Winograd, compiled

tf = start_tensorflow()

__all__ = ["Loop", "Part", "loop_for", "network_for"]

Tensor = Any
State = tuple[Tensor, ...]
Part = tuple[Tensor, Tensor, Tensor]
"""Digits: prepared images uint8 (n, ...), labels int32 (n,), and shares float32 (batches, batch size)."""
PHILOX = 1
HALVES = 2**16
"""Dropout compares 16 random bits per unit: its rate is exact to 1 in 65,536."""
AT_ONCE = 800
"""Digits that one call of the compiled steps trains on at most, unless a batch is larger: 25 batches of 32."""


class Network(Protocol):
    """The interface of a network for the loop; `Winograd` explains each member."""

    one_kernel: bool
    at_once: int
    mask_sizes: tuple[int, ...]

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]: ...

    def logits(self, weights: Sequence[Tensor], x: Tensor, real: Tensor) -> Tensor: ...

    def gradients(
        self, weights: Sequence[Tensor], x: Tensor, labels: Tensor, shares: Tensor, masks: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor, list[Tensor]]: ...


class Loop:
    """The compiled functions for one network, optimizer and batch size; all hyperparameters are inputs.

    A state is the weights in Keras' order, then each of the optimizer's vectors in the same shapes, then its scalars.
    """

    def __init__(
        self, about: str, network: Network, shapes: Sequence[tuple[int, ...]], optimizer: str, batch: int, drops: bool
    ) -> None:
        self.network, self.shapes, self.batch = network, list(shapes), batch
        self.optimizer = OPTIMIZERS[optimizer]
        self.names = list(self.optimizer.model_validate({}).hyperparameters())
        self.weights = len(self.shapes)
        """How many of a state's tensors are weights."""
        self.mask_sizes = network.mask_sizes if drops else ()
        self.steps = max(1, AT_ONCE // batch)
        """How many steps a call of the compiled function does at most."""
        self._learn = compiled(self._some_steps) if network.one_kernel else self._some_steps
        floats, spec = tf.float32, tf.TensorSpec
        vectors = 1 + len(self.optimizer.slots)
        state = [*self.shapes * vectors, *([()] * len(self.optimizer.scalar_slots))]
        image = network.prepare(np.zeros((1, 28, 28), np.uint8)).shape[1:]
        part = (spec((None, *image), tf.uint8), spec([None], tf.int32), spec([None, batch], floats))
        kind = f"{optimizer}, {self.steps} batches of {batch}, {'with' if drops else 'without'} dropout"
        self._training = Graph(
            f"training by {kind}: {about}",
            self._train,
            [
                tuple(spec(shape, floats) for shape in state),
                spec([2], tf.float64),
                part,
                spec([None, batch], tf.int32),
                spec([3], tf.int32),
                spec([2, len(self.names)], floats),
                spec([2], floats),
                spec([1], tf.uint64),
            ],
        )
        weights = tuple(spec(shape, floats) for shape in self.shapes)
        self.evaluate = Graph(f"evaluation: {about}", self._evaluate, [weights, part])

    def train(self, *arguments: Any) -> tuple[State, Tensor]:
        """The graph of `_train`."""
        *state, sums = self._training(*arguments)
        return tuple(state), sums

    def start(self, weights: Sequence[Any]) -> State:
        """The initial state of a training."""
        vectors = [np.full(shape, value, np.float32) for value in self.optimizer.slots for shape in self.shapes]
        return (*map(tf.constant, [*weights, *vectors, *self.optimizer.scalar_slots]),)

    def part(self, images: NDArray[np.uint8], labels: NDArray[Any]) -> Part:
        """Images uint8 (n, 28, 28) and labels (n,), of any integer dtype, converted for the compiled functions.

        A batch's shares sum to 1 and are 0 for padding.
        """
        n = len(images)
        real = (np.arange(-(-n // self.batch) * self.batch) < n).reshape(-1, self.batch)
        shares = (real / real.sum(1, keepdims=True)).astype(np.float32)
        return (
            tf.constant(self.network.prepare(images)),
            tf.constant(np.asarray(labels, np.int32)),
            tf.constant(shares),
        )

    def order(self, order: NDArray[np.int32]) -> NDArray[np.int32]:
        """Rows (n,) in batches, int32 (batches, batch size), the last padded with digit 0."""
        return np.pad(order, (0, -len(order) % self.batch)).reshape(-1, self.batch)

    def _train(
        self,
        state: State,
        sums: Tensor,
        part: Part,
        order: Tensor,
        batches: Tensor,
        numbers: Tensor,
        drop: Tensor,
        key: Tensor,
    ) -> tuple[State, Tensor]:
        """Run some batches of an epoch; returns the state and the sums of loss and correct predictions, float64 (2,).

        `batches`: the first, the last (excluded), and the step of batch 0. `numbers`: the hyperparameters, and one
        minus each. `drop`: the share of units to drop, and the factor of kept units.
        """
        images, labels, shares = part

        def learn(number: Tensor, state: State, sums: Tensor) -> tuple[Tensor, State, Tensor]:
            first, count = batches[2] + number, tf.minimum(self.steps, batches[1] - number)
            places = number + tf.minimum(tf.range(self.steps), count - 1)
            rows, share = tf.gather(order, places), tf.gather(shares, places)
            digits = tf.gather(images, rows), tf.gather(labels, rows)
            draws = self.draws(key, first, count)
            losses, logits, state = self._learn(state, *digits, share, draws, drop, numbers, first, count)
            real = (share > 0) & (tf.range(self.steps) < count)[:, tf.newaxis]
            by_step = tf.concat([sums[tf.newaxis], _sums(losses, logits, digits[1], real)], 0)
            return number + count, state, tf.cumsum(by_step)[-1]  # one after the other, however many a call does

        _, state, sums = tf.while_loop(lambda number, *_: number < batches[1], learn, (batches[0], state, sums))
        return state, sums

    def draws(self, key: Tensor, first: Tensor, count: Tensor) -> Tensor:
        """The random bits of dropout of `count` steps, uint16 (steps, units), from the key and the step only."""
        units = self.batch * sum(self.mask_sizes)
        drawn = tf.TensorArray(tf.uint32, self.steps, element_shape=[-(-units // 2)])

        def draw(number: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
            counter = tf.stack([tf.constant(0, tf.uint64), tf.cast(first + number, tf.uint64)])
            bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
                shape=drawn.element_shape, key=key, counter=counter, alg=PHILOX, dtype=tf.uint32
            )
            return number + 1, drawn.write(number, bits)

        if units:
            _, drawn = tf.while_loop(lambda number, _: number < count, draw, (0, drawn))
        return tf.reshape(tf.bitcast(drawn.stack(), tf.uint16), [self.steps, -1])[:, :units]

    def masks(self, draws: Tensor, drop: Tensor) -> list[Tensor]:
        """The factors of dropout of one step, float32 (batch, size) each, by its random bits uint16 (units,)."""
        if not self.mask_sizes:
            return []
        masks = tf.where(tf.cast(draws, tf.float32) >= tf.round(drop[0] * HALVES), drop[1], 0.0)
        sizes = [self.batch * size for size in self.mask_sizes]
        return [tf.reshape(mask, [self.batch, -1]) for mask in tf.split(masks, sizes)]

    def _some_steps(
        self,
        state: State,
        x: Tensor,
        labels: Tensor,
        shares: Tensor,
        draws: Tensor,
        drop: Tensor,
        numbers: Tensor,
        first: Tensor,
        count: Tensor,
    ) -> tuple[Tensor, Tensor, State]:
        """Losses and logits of `count` batches of `steps`, and the state after their steps, of which `first` is one.

        Several in one call, as XLA then changes the state in place.
        """

        def step(number: Tensor, losses: Tensor, logits: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor, State]:
            weights, masks = list(state[: self.weights]), self.masks(draws[number], drop)
            loss, logit, gradients = self.network.gradients(weights, x[number], labels[number], shares[number], masks)
            state = self._update(state, gradients, numbers, tf.cast(first + number, tf.float32))
            return number + 1, losses.write(number, loss), logits.write(number, logit), state

        losses, logits = (
            tf.TensorArray(tf.float32, self.steps, element_shape=shape)
            for shape in ([self.batch], [self.batch, *self.shapes[-1]])
        )
        _, losses, logits, state = tf.while_loop(lambda number, *_: number < count, step, (0, losses, logits, state))
        return losses.stack(), logits.stack(), state

    @compiled
    def _update(self, state: State, gradients: Sequence[Tensor], numbers: Tensor, past: Tensor) -> State:
        h = dict(zip(self.names, tf.unstack(numbers[0]), strict=True))
        h |= {f"1-{name}": value for name, value in zip(self.names, tf.unstack(numbers[1]), strict=True)}
        h["learning_rate"] = h["learning_rate"] / (1 + h["decay"] * past)
        count, vectors = len(self.shapes), len(self.optimizer.slots)
        scalars = list(state[count * (1 + vectors) :])
        columns = []
        for index, gradient in enumerate(gradients):
            weight, *slots = state[index : count * (1 + vectors) : count]
            new, slots = self.optimizer.update(h, past + 1, weight, gradient, [*slots, *scalars], tf.sqrt)
            columns.append([new, *slots[:vectors]])
        return (*(tensor for row in zip(*columns, strict=True) for tensor in row), *slots[vectors:])

    def _evaluate(self, weights: State, part: Part) -> tuple[Tensor, Tensor]:
        """Sums of loss, correct predictions and squared loss, float64 (3,), and probabilities (n, 10)."""
        images, labels, _ = part
        digits, at_once = tf.shape(images)[0], self.network.at_once

        def see(number: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
            first = number * at_once
            x = tf.gather(images, tf.minimum(tf.range(at_once) + first, digits - 1))
            return number + 1, parts.write(number, self.network.logits(weights, x, tf.minimum(digits - first, at_once)))

        calls = (digits + at_once - 1) // at_once
        parts = tf.TensorArray(tf.float32, calls, element_shape=[at_once, *self.shapes[-1]])
        _, parts = tf.while_loop(lambda number, _: number < calls, see, (0, parts))
        logits = parts.concat()[:digits]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        squares = tf.reduce_sum(tf.square(tf.cast(losses, tf.float64)), keepdims=True)
        sums = _sums(losses, logits, labels, tf.ones_like(labels, tf.bool))
        return tf.concat([sums, squares], 0), tf.nn.softmax(logits)


def _sums(losses: Tensor, logits: Tensor, labels: Tensor, real: Tensor) -> Tensor:
    """The sums of loss and correct predictions of real digits, float64 (..., 2), for losses (..., n)."""
    right = tf.equal(tf.argmax(logits, -1, tf.int32), labels)
    values = tf.stack([tf.cast(losses, tf.float64), tf.cast(right, tf.float64)], -2)
    return tf.reduce_sum(tf.where(real[..., tf.newaxis, :], values, 0), -1)


@lru_cache(maxsize=8)
def network_for(config: ModelConfig) -> Network:
    """The network of this shape, compiled once per process; `config.dropout` is ignored."""
    if config.kind == "cnn" and config.kernel_size == 3:
        return Winograd(config.filters, config.dense_units)
    return Layers(config)


@lru_cache(maxsize=16)
def loop_for(config: ModelConfig, optimizer: str, batch: int, drops: bool) -> Loop:
    """The loop of this network, optimizer and batch size, traced once per process.

    `config.dropout` must be 0, so that all rates share one loop; `drops`: whether there is dropout.
    """
    shapes = [tuple(weight.shape) for weight in initial_weights(config)]
    return Loop(config.model_dump_json(), network_for(config), shapes, optimizer, batch, drops)
