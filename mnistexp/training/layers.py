"""Networks that have no kernels of their own: the layers of Keras in a graph.

Importing this module starts TensorFlow.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ModelConfig
from mnistexp.training.model import build_model
from mnistexp.training.runtime import start_tensorflow

tf = start_tensorflow()

Tensor = Any


class Layers:
    """Any network, by the layers of its Keras model and TensorFlow's automatic gradients."""

    one_kernel = False  # XLA's gradients of convolutions are slow
    at_once = 50

    def __init__(self, config: ModelConfig) -> None:
        self.model = build_model(config)
        drops = [layer for layer in self.model.layers if layer.name.startswith("dropout")]
        self.mask_sizes = tuple(int(np.prod(layer.output.shape[1:])) for layer in drops)

    @staticmethod
    def prepare(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images uint8 (n, 28, 28), unchanged."""
        return images

    def logits(self, weights: Sequence[Tensor], x: Tensor, real: Tensor) -> Tensor:  # noqa: ARG002 - all are computed
        """Float32 (n, 10) for images uint8 (n, 28, 28), before the softmax."""
        return self._outputs(weights, x, ())

    def _outputs(self, weights: Sequence[Tensor], x: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """The logits; without `masks` nothing is dropped."""
        x = tf.cast(x, tf.float32)[..., tf.newaxis] / 255.0
        weights, masks = list(weights), list(masks)
        for layer in self.model.layers[:-1]:
            if layer.name.startswith("dropout"):
                x = x * tf.reshape(masks.pop(0), tf.shape(x)) if masks else x
            else:
                count = len(layer.trainable_variables)
                x, _ = layer.stateless_call(weights[:count], [], x)
                weights = weights[count:]
        return tf.matmul(x, weights[0]) + weights[1]

    def gradients(
        self, weights: Sequence[Tensor], x: Tensor, labels: Tensor, shares: Tensor, masks: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The losses (n,), the logits (n, 10), and the gradients of the losses' sum weighted by `shares` (n,)."""
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits = self._outputs(weights, x, masks)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_sum(shares * losses)
        return losses, logits, tape.gradient(loss, weights)
