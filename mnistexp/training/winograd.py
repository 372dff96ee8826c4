"""The network with 3x3 kernels, forward and backward, with fewer operations than layer by layer; same results as Keras.

Optimizations, all exact up to rounding:
- The second pooling leaves out the last row and column of its input. No output depends on them, nor on what only they
  depend on: both convolutions are computed on 24x24 and 10x10 positions instead of 26x26 and 11x11.
- The first convolution is one product of matrices with the four positions of each pooling window side by side, on
  windows of 4x4 pixels that are cut out once for all epochs. The images need no gradient.
- The second is Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, 2016): its 2x2 tiles are the pooling windows.
- Pooling comes before bias and ReLU, which commute with a maximum; backward needs only which of the four won.

A step is one XLA kernel, whose stages are kept apart from each other: else XLA would recompute shared intermediate
results for each use, and move layout changes into inner loops.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.training.runtime import start_tensorflow

tf = start_tensorflow()

Tensor = Any
GRID, TILES, PIXELS = 12, 5, 16
"""Pooled positions along a side after the first pooling, and after the second; pixels in a window."""
SEEN = 16
"""Digits that are evaluated together, whose intermediate results fit into a core's second-level cache."""
NONE = 4.0
"""The winner of a window whose maximum ReLU cuts off; else it is 0 to 3. Float, as XLA does not vectorise ints here."""
SPREAD = np.array([[1, 0], [1, 1], [1, -1], [0, -1]], np.float32)
"""Lavin and Gray's matrix A: how the two outputs of a tile's row spread over its four products."""

CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]
"""Row and column of the four positions in a pooling window, in the order in which the first of equals wins."""


def compiled(function: Callable[..., Any]) -> Any:
    """The function as one XLA kernel for each shape of its arguments."""
    return tf.function(function, jit_compile=True, autograph=False)


def apart(stage: Any, *arguments: Any, always: Tensor) -> Any:
    """What a compiled stage gives, optimized by itself within the kernel of its caller.

    It is one branch of a condition, `always`, of which XLA can't know that it is always true.
    """
    given = stage.get_concrete_function(*arguments).structured_outputs
    return tf.cond(
        always,
        lambda: stage(*arguments),
        lambda: tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), given),
    )


class Winograd:
    """Logits and gradients of the network; weights are in the order of Keras' `get_weights`."""

    one_kernel = True
    """Whether `gradients` may be compiled as part of a larger kernel."""
    at_once = 25 * SEEN
    """How many digits `logits` takes."""

    def __init__(self, filters: tuple[int, int], dense_units: int) -> None:
        self.first, self.second = filters
        self.mask_sizes: tuple[int, ...] = (GRID**2 * self.first, dense_units)
        """Units that dropout draws for, per digit: after the first pooling, and after the dense layer."""

    @staticmethod
    def prepare(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images (n, 28, 28) as the windows (n, 144 * 16) that each position of the first pooling depends on.

        Positions are grouped by the parity of row and column, as Winograd's tiles take every second one.
        """
        windows = np.lib.stride_tricks.sliding_window_view(images, (4, 4), axis=(1, 2))
        windows = windows[:, : 2 * GRID : 2, : 2 * GRID : 2].reshape(-1, GRID // 2, 2, GRID // 2, 2, 4, 4)
        return np.ascontiguousarray(windows.transpose(0, 2, 4, 1, 3, 5, 6)).reshape(len(images), -1)

    def logits(self, weights: Sequence[Tensor], x: Tensor, real: Tensor) -> Tensor:
        """Logits float32 (at_once, 10) of prepared digits (at_once, 2304), of which the first `real` matter."""
        hidden = tf.nn.relu(tf.matmul(self._features(x, real, *weights[:4]), weights[4]) + weights[5])
        return tf.matmul(hidden, weights[6]) + weights[7]

    @compiled
    def _features(self, x: Tensor, real: Tensor, *weights: Tensor) -> Tensor:
        """What both convolutions give, float32 (at_once, 25 * filters), 0 where there is no real digit."""
        x = tf.reshape(x, [-1, SEEN, x.shape[1]])

        def see(number: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
            windows, run = self._windows(x[number])
            pooled, _ = run(self._conv_1, windows, *weights[:2])
            features, _, _ = run(self._conv_2, pooled, *weights[2:])
            return number + 1, found.write(number, self._by_digit(features))

        found = tf.TensorArray(tf.float32, x.shape[0], element_shape=[SEEN, TILES**2 * self.second])
        _, found = tf.while_loop(lambda number, _: number * SEEN < real, see, (0, found))
        return found.concat()

    def gradients(
        self, weights: Sequence[Tensor], x: Tensor, labels: Tensor, shares: Tensor, masks: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Losses float32 (n,), logits (n, 10), and the gradient of the sum of `shares * losses` by each weight.

        `masks`: float32 (n, size) for each of `mask_sizes`, which the units are multiplied by; none without dropout.
        """
        windows, run = self._windows(x)
        mask_1, mask_2 = masks or (None, None)
        pooled, won_1 = run(self._conv_1, windows, *weights[:2], mask_1)
        features, won_2, products = run(self._conv_2, pooled, *weights[2:4])
        losses, logits, back, dense = run(self._dense, self._by_digit(features), *weights[4:], labels, shares, mask_2)
        back, conv_2 = run(self._conv_2_back, self._by_tile(back), won_2, products, weights[2], mask_1)
        return losses, logits, [*run(self._conv_1_back, back, won_1, windows), *conv_2, *dense]

    def _windows(self, x: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        """Float32 (144 * n, 16), position by position; and what runs a stage apart: pixels are never negative."""
        x = tf.transpose(tf.reshape(tf.cast(x, tf.float32), [-1, GRID**2, PIXELS]), [1, 0, 2])
        windows = tf.reshape(x, [-1, PIXELS])
        return windows, partial(apart, always=windows[0, 0] >= 0)

    def _by_digit(self, features: Tensor) -> Tensor:
        features = tf.transpose(tf.reshape(features, [TILES**2, -1, self.second]), [1, 0, 2])
        return tf.reshape(features, [-1, TILES**2 * self.second])

    def _by_tile(self, features: Tensor) -> Tensor:
        features = tf.transpose(tf.reshape(features, [-1, TILES**2, self.second]), [1, 0, 2])
        return tf.reshape(features, [-1, self.second])

    @compiled
    def _conv_1(self, windows: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor = None) -> tuple[Tensor, Tensor]:
        """Pooled activations (2, 2, 6, 6, n * filters) by parity and position, and the winners (144 * n, filters)."""
        kernel = tf.reshape(kernel, [3, 3, self.first]) / 255.0
        shifted = [tf.pad(kernel, [[row, 1 - row], [column, 1 - column], [0, 0]]) for row, column in CORNERS]
        outputs = tf.matmul(windows, tf.concat([tf.reshape(kernel, [PIXELS, self.first]) for kernel in shifted], 1))
        pooled, won = _pool(tf.split(outputs, 4, 1), bias)
        return _masked(tf.reshape(pooled, [2, 2, GRID // 2, GRID // 2, -1]), mask), won

    @compiled
    def _conv_1_back(self, back: Tensor, won: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        back = tf.reshape(back, [-1, self.first])
        spread = tf.where(won[:, None] == tf.range(4.0)[:, None], back[:, None], 0.0)
        shifted = tf.matmul(windows, tf.reshape(spread, [-1, 4 * self.first]), transpose_a=True)
        shifted = tf.reshape(shifted, [4, 4, 4, self.first])
        kernel = sum(shifted[row : row + 3, column : column + 3, 2 * row + column] for row, column in CORNERS)
        return tf.reshape(kernel / 255.0, [3, 3, 1, self.first]), tf.reduce_sum(tf.where(won < NONE, back, 0.0), 0)

    @compiled
    def _conv_2(self, pooled: Tensor, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pooled activations and winners (25 * n, filters), and the transformed input, which backward needs too."""
        even, odd = pooled[:, 0], pooled[:, 1]
        pooled = tf.stack(_tile(even[:, :, :-1], odd[:, :, :-1], even[:, :, 1:], odd[:, :, 1:]), 1)
        even, odd = pooled[0], pooled[1]
        pooled = tf.stack(_tile(even[:, :-1], odd[:, :-1], even[:, 1:], odd[:, 1:]))
        pooled = tf.reshape(pooled, [16, -1, self.first])
        products = tf.reshape(tf.matmul(pooled, self._transformed(kernel)), [4, 4, -1, self.second])
        rows = products[0] + products[1] + products[2], products[1] - products[2] - products[3]
        outputs = [output for row in rows for output in (row[0] + row[1] + row[2], row[1] - row[2] - row[3])]
        return *_pool(outputs, bias), pooled

    @compiled
    def _conv_2_back(
        self, back: Tensor, won: Tensor, pooled: Tensor, kernel: Tensor, mask: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        back = tf.where(won < NONE, back, 0.0)
        weights = [np.outer(SPREAD[:, row], SPREAD[:, column]).reshape(16, 1, 1) for row, column in CORNERS]
        weight = weights[3]
        for corner in (2, 1, 0):
            weight = tf.where(won[None] == float(corner), weights[corner], weight)
        products = weight * back[None]
        by_kernel = tf.reshape(tf.matmul(pooled, products, transpose_a=True), [4, 4, self.first, self.second])
        by_kernel = tf.stack(_kernel_back(tf.unstack(by_kernel)))
        by_kernel = tf.stack(_kernel_back(tf.unstack(by_kernel, axis=1)), 1)
        tiles = tf.matmul(products, self._transformed(kernel), transpose_b=True)
        tiles = _tile_back(tf.unstack(tf.reshape(tiles, [4, 4, TILES, TILES, -1])))
        tiles = tf.stack([_overlapped(tiles[0], tiles[2], 1), _overlapped(tiles[1], tiles[3], 1)])
        tiles = _tile_back(tf.unstack(tiles, axis=1))
        by_input = tf.stack([_overlapped(tiles[0], tiles[2], 2), _overlapped(tiles[1], tiles[3], 2)], 1)
        return _masked(by_input, mask), (by_kernel, tf.reduce_sum(back, 0))

    def _transformed(self, kernel: Tensor) -> Tensor:
        kernel = tf.stack(_kernel(tf.unstack(kernel)))
        return tf.reshape(tf.stack(_kernel(tf.unstack(kernel, axis=1)), 1), [16, self.first, self.second])

    @compiled
    def _dense(
        self, features: Tensor, *arguments: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Both dense layers and the loss, forward and backward."""
        kernel, bias, last_kernel, last_bias, labels, shares, mask = arguments
        hidden = tf.nn.relu(tf.matmul(features, kernel) + bias)
        kept = hidden if mask is None else hidden * mask
        logits = tf.matmul(kept, last_kernel) + last_bias
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        by_logits = (tf.nn.softmax(logits) - tf.one_hot(labels, logits.shape[1])) * shares[:, None]
        back = tf.matmul(by_logits, last_kernel, transpose_b=True)
        back = tf.where(hidden > 0, back if mask is None else back * mask, 0.0)
        by_weights = (
            tf.matmul(features, back, transpose_a=True),
            tf.reduce_sum(back, 0),
            tf.matmul(kept, by_logits, transpose_a=True),
            tf.reduce_sum(by_logits, 0),
        )
        return losses, logits, tf.matmul(back, kernel, transpose_b=True), by_weights


def _masked(units: Tensor, mask: Tensor) -> Tensor:
    return units if mask is None else units * tf.reshape(mask, units.shape)


def _pool(outputs: Sequence[Tensor], bias: Tensor) -> tuple[Tensor, Tensor]:
    top, bottom = tf.maximum(outputs[0], outputs[1]), tf.maximum(outputs[2], outputs[3])
    upper = tf.where(outputs[0] >= outputs[1], 0.0, 1.0)
    won = tf.where(top >= bottom, upper, tf.where(outputs[2] >= outputs[3], 2.0, 3.0))
    pooled = tf.nn.relu(tf.maximum(top, bottom) + bias)
    return pooled, tf.where(pooled > 0, won, NONE)


def _tile(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> list[Tensor]:
    return [a - c, b + c, c - b, b - d]


def _tile_back(t: Sequence[Tensor]) -> list[Tensor]:
    return [t[0], t[1] - t[2] + t[3], t[1] + t[2] - t[0], -t[3]]


def _kernel(k: Sequence[Tensor]) -> list[Tensor]:
    return [k[0], (k[0] + k[1] + k[2]) * 0.5, (k[0] - k[1] + k[2]) * 0.5, k[2]]


def _kernel_back(k: Sequence[Tensor]) -> list[Tensor]:
    return [k[0] + 0.5 * (k[1] + k[2]), 0.5 * (k[1] - k[2]), 0.5 * (k[1] + k[2]) + k[3]]


def _overlapped(tiles: Tensor, shifted: Tensor, axis: int) -> Tensor:
    """The sum of two arrays with `TILES` places along an axis, the second shifted by one place."""
    first, middle = tf.split(tiles, [1, TILES - 1], axis)
    shifted_middle, last = tf.split(shifted, [TILES - 1, 1], axis)
    return tf.concat([first, middle + shifted_middle, last], axis)
