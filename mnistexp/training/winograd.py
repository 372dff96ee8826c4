"""The network with 3x3 kernels, forward and backward, with fewer operations than layer by layer; same results as Keras.

Optimizations, all exact up to rounding:
- The second pooling leaves out the last row and column of its input. No output depends on them, nor on what only they
  depend on: both convolutions are computed on 24x24 and 10x10 positions instead of 26x26 and 11x11.
- The first convolution is one product of matrices with the four positions of each pooling window below each other, on
  windows of 4x4 pixels that are cut out once for all epochs. The images need no gradient.
- The second is Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray, 2016): its 2x2 tiles are the pooling windows.
- Pooling comes before bias and ReLU, which commute with a maximum; backward needs only which of the four won.

Between the layers an array has a row for each filter, in which position follows position, and at each the digits of the
batch: (filters, positions * n). Products of matrices are fastest so, and all else runs along whole rows.

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
    at_once = 13 * SEEN
    """How many digits `logits` takes: the assignment's 200 to validate on, and some more."""

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
        """Logits float32 (at_once, 10) of prepared digits (at_once, 2304), of which the first `real` matter.

        `real` is at most `at_once`.
        """
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
            return number + 1, found.write(number, tf.transpose(self._flat(features)))

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
        features, won_2, tiles = run(self._conv_2, pooled, *weights[2:4])
        losses, logits, back, dense = run(self._dense, self._flat(features), *weights[4:], labels, shares, mask_2)
        back, conv_2 = run(self._conv_2_back, self._rows(back), won_2, tiles, weights[2], mask_1)
        return losses, logits, [*run(self._conv_1_back, back, won_1, windows), *conv_2, *dense]

    def _windows(self, x: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        """Float32 (144 * n, 16), position by position; and what runs a stage apart: pixels are never negative."""
        x = tf.transpose(tf.reshape(tf.cast(x, tf.float32), [-1, GRID**2, PIXELS]), [1, 0, 2])
        windows = tf.reshape(x, [-1, PIXELS])
        return windows, partial(apart, always=windows[0, 0] >= 0)

    def _flat(self, features: Tensor) -> Tensor:
        """Rows of filters in the order of Keras' `Flatten`, (25 * filters, n)."""
        features = tf.transpose(tf.reshape(features, [self.second, TILES**2, -1]), [1, 0, 2])
        return tf.reshape(features, [TILES**2 * self.second, -1])

    def _rows(self, flat: Tensor) -> Tensor:
        """The inverse of `_flat`: (filters, 25 * n)."""
        features = tf.transpose(tf.reshape(flat, [TILES**2, self.second, -1]), [1, 0, 2])
        return tf.reshape(features, [self.second, -1])

    @compiled
    def _conv_1(self, windows: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor = None) -> tuple[Tensor, Tensor]:
        """Pooled activations (filters, 2, 2, 6, 6 * n) by parity and position, and the winners (filters, 144 * n)."""
        kernel = tf.reshape(tf.transpose(kernel, [3, 0, 1, 2]), [self.first, 3, 3]) / 255.0
        shifted = [tf.pad(kernel, [[0, 0], [row, 1 - row], [column, 1 - column]]) for row, column in CORNERS]
        kernel = tf.reshape(tf.stack(shifted), [4 * self.first, PIXELS])
        outputs = tf.matmul(kernel, windows, transpose_b=True)
        pooled, won = _pool(tf.split(outputs, 4), bias)
        return _masked(tf.reshape(pooled, [self.first, 2, 2, GRID // 2, -1]), mask), won

    @compiled
    def _conv_1_back(self, back: Tensor, won: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        back = tf.reshape(back, [self.first, -1])
        spread = tf.where(won[None] == tf.range(4.0)[:, None, None], back[None], 0.0)
        shifted = tf.matmul(tf.reshape(spread, [4 * self.first, -1]), windows)
        shifted = tf.reshape(shifted, [4, self.first, 4, 4])
        kernel = sum(shifted[2 * row + column, :, row : row + 3, column : column + 3] for row, column in CORNERS)
        kernel = tf.reshape(tf.transpose(kernel / 255.0, [1, 2, 0]), [3, 3, 1, self.first])
        return kernel, tf.reduce_sum(tf.where(won < NONE, back, 0.0), 1)

    @compiled
    def _conv_2(self, pooled: Tensor, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Pooled activations and winners (filters, 25 * n), and the transformed input, which backward needs too.

        That is the four rows of Winograd's tiles, float32 (4, filters, 25 * n) each. Here and in `_conv_2_back` each
        row has products of its own, whose operands fit into the cache.
        """
        n = pooled.shape[-1] // (GRID // 2)
        pooled = tf.stack(_tile(pooled[:, :, 0], pooled[:, :, 1], n))
        pooled = tf.reshape(pooled, [4, self.first, 2, -1])
        tiles = _tile(pooled[:, :, 0], pooled[:, :, 1], TILES * n)
        kernels = self._transformed(tf.transpose(kernel, [0, 1, 3, 2]))
        products = [tf.matmul(kernel, row) for kernel, row in zip(kernels, tiles, strict=True)]
        rows = products[0] + products[1] + products[2], products[1] - products[2] - products[3]
        outputs = [output for row in rows for output in (row[0] + row[1] + row[2], row[1] - row[2] - row[3])]
        return *_pool(outputs, bias), tiles

    @compiled
    def _conv_2_back(
        self, back: Tensor, won: Tensor, tiles: Sequence[Tensor], kernel: Tensor, mask: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        back = tf.where(won < NONE, back, 0.0)
        lower, right = won >= 2.0, (won == 1.0) | (won == 3.0)
        columns = tf.where(right, SPREAD[:, 1, None, None], SPREAD[:, 0, None, None])
        products = [tf.where(lower, second, first) * back * columns for first, second in SPREAD]
        pairs = zip(tiles, products, strict=True)
        by_kernel = tf.stack(_kernel_back([tf.matmul(row, product, transpose_b=True) for row, product in pairs]))
        by_kernel = tf.stack(_kernel_back(tf.unstack(by_kernel, axis=1)), 1)
        n = back.shape[-1] // TILES**2
        pairs = zip(self._transformed(kernel), products, strict=True)
        by_tiles = _tile_back([tf.matmul(kernel, product) for kernel, product in pairs], TILES * n)
        by_tiles = tf.reshape(by_tiles, [4, self.first, 2, GRID // 2, -1])
        by_input = _tile_back(tf.unstack(by_tiles), n)
        return _masked(by_input, mask), (by_kernel, tf.reduce_sum(back, 1))

    def _transformed(self, kernel: Tensor) -> list[Tensor]:
        """The four rows of Winograd's 4x4 kernels, of 3x3 each."""
        kernel = tf.stack(_kernel(tf.unstack(kernel)))
        rows: list[Tensor] = tf.unstack(tf.stack(_kernel(tf.unstack(kernel, axis=1)), 1))
        return rows

    @compiled
    def _dense(
        self, features: Tensor, *arguments: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Both dense layers and the loss, forward and backward."""
        kernel, bias, last_kernel, last_bias, labels, shares, mask = arguments
        hidden = tf.nn.relu(tf.matmul(features, kernel, transpose_a=True) + bias)
        kept = hidden if mask is None else hidden * mask
        logits = tf.matmul(kept, last_kernel) + last_bias
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        by_logits = (tf.nn.softmax(logits) - tf.one_hot(labels, logits.shape[1])) * shares[:, None]
        back = tf.matmul(by_logits, last_kernel, transpose_b=True)
        back = tf.where(hidden > 0, back if mask is None else back * mask, 0.0)
        by_weights = (
            tf.matmul(features, back),
            tf.reduce_sum(back, 0),
            tf.matmul(kept, by_logits, transpose_a=True),
            tf.reduce_sum(by_logits, 0),
        )
        return losses, logits, tf.matmul(kernel, back, transpose_b=True), by_weights


def _masked(units: Tensor, mask: Tensor) -> Tensor:
    return units if mask is None else units * tf.reshape(mask, units.shape)


def _pool(outputs: Sequence[Tensor], bias: Tensor) -> tuple[Tensor, Tensor]:
    top, bottom = tf.maximum(outputs[0], outputs[1]), tf.maximum(outputs[2], outputs[3])
    upper = tf.where(outputs[0] >= outputs[1], 0.0, 1.0)
    won = tf.where(top >= bottom, upper, tf.where(outputs[2] >= outputs[3], 2.0, 3.0))
    pooled = tf.nn.relu(tf.maximum(top, bottom) + bias[:, None])
    return pooled, tf.where(pooled > 0, won, NONE)


def _tile(even: Tensor, odd: Tensor, step: int) -> list[Tensor]:
    """Winograd's transform along one side of the tiles; `step` is from an even place to the next in a row."""
    a, b, c, d = even[..., :-step], odd[..., :-step], even[..., step:], odd[..., step:]
    return [a - c, b + c, c - b, b - d]


def _tile_back(tiles: Sequence[Tensor], step: int) -> Tensor:
    """The gradient of `_tile`, even and odd places along axis 2."""
    a, b, c, d = tiles[0], tiles[1] - tiles[2] + tiles[3], tiles[1] + tiles[2] - tiles[0], -tiles[3]
    return tf.stack([_overlapped(a, c, step), _overlapped(b, d, step)], 2)


def _overlapped(left: Tensor, right: Tensor, step: int) -> Tensor:
    """The sum of rows and rows that begin a step later."""
    return tf.concat([left[..., :step], left[..., step:] + right[..., :-step], right[..., -step:]], -1)


def _kernel(k: Sequence[Tensor]) -> list[Tensor]:
    return [k[0], (k[0] + k[1] + k[2]) * 0.5, (k[0] - k[1] + k[2]) * 0.5, k[2]]


def _kernel_back(k: Sequence[Tensor]) -> list[Tensor]:
    return [k[0] + 0.5 * (k[1] + k[2]), 0.5 * (k[1] - k[2]), 0.5 * (k[1] + k[2]) + k[3]]
