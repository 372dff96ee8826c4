"""Each optimizer's update against Keras', on gradients of a fixed random sequence."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from mnistexp.config.optimizers import OPTIMIZERS, Optimizer
from mnistexp.training.model import build_optimizer
from mnistexp.training.runtime import start_tensorflow

STEPS = 25
GRADIENTS = np.random.default_rng(0).normal(size=(STEPS, 64)).astype(np.float32)
START = np.random.default_rng(1).normal(size=64).astype(np.float32)

CHANGED = {
    "learning_rate": 0.03,
    "decay": 0.1,
    "momentum": 0.5,
    "rho": 0.4,
    "beta_1": 0.6,
    "beta_2": 0.8,
    "epsilon": 1e-3,
    "weight_decay": 0.1,
}


def grid(optimizer: type[Optimizer]) -> list[Optimizer]:
    keys = list(optimizer.grid)
    return [optimizer(**dict(zip(keys, values, strict=True))) for values in product(*optimizer.grid.values())]


def ours(optimizer: Optimizer) -> NDArray[np.float32]:
    tf = start_tensorflow()
    values = optimizer.hyperparameters()
    h = {name: tf.constant(value, tf.float32) for name, value in values.items()}
    h |= {f"1-{name}": tf.constant(1 - value, tf.float32) for name, value in values.items()}
    p = tf.constant(START)
    slots = [tf.fill(p.shape, value) for value in optimizer.slots] + [*map(tf.constant, optimizer.scalar_slots)]
    for step, gradient in enumerate(GRADIENTS):
        rate = h["learning_rate"] / (1 + h["decay"] * step)
        p, slots = optimizer.update(h | {"learning_rate": rate}, tf.constant(step + 1.0), p, gradient, slots, tf.sqrt)
    return np.array(p)


def keras(optimizer: Optimizer) -> NDArray[np.float32]:
    tf = start_tensorflow()
    peer, p = build_optimizer(optimizer), tf.Variable(START)
    for gradient in GRADIENTS:
        peer.apply([tf.constant(gradient)], [p])
    return p.numpy()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_those_of_keras(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    changed = {key: value for key, value in CHANGED.items() if key in optimizer.model_fields}
    ends = grid(optimizer)[:: max(1, len(grid(optimizer)) - 1)]
    for settings in [optimizer(), optimizer(**changed), *ends]:
        expected = keras(settings)
        np.testing.assert_allclose(
            ours(settings), expected, rtol=0, atol=1e-6 * np.abs(expected).max(), err_msg=repr(settings)
        )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_hyperparameter_has_an_effect(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    before = ours(optimizer())
    for key in optimizer().hyperparameters():
        assert not np.array_equal(ours(optimizer(**{key: CHANGED[key]})), before), key


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_default_grid_is_within_the_bounds(name: str) -> None:
    optimizer = OPTIMIZERS[name]
    assert "learning_rate" in optimizer.grid
    assert len(set(grid(optimizer))) == np.prod([len(values) for values in optimizer.grid.values()])
