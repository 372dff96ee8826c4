"""Graphs kept between processes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mnistexp.training.graphs import Graph, tf

Kept = dict[str, bytes]
SIGNATURE = [(tf.TensorSpec([3], tf.float32), tf.TensorSpec([], tf.float32)), tf.TensorSpec([], tf.int32)]
ARGUMENTS = (np.array([1.0, 2.0, 3.0], np.float32), np.float32(0.5)), np.int32(4)


def stages(traced: list[str], factor: float = 1.0) -> Callable[..., Any]:
    """A function of two kernels in a loop, the second in a branch; says when it is traced."""
    first = tf.function(lambda x, y: tf.sin(x) * y * factor, jit_compile=True)
    second = tf.function(lambda x: tf.cumsum(x) + factor, jit_compile=True)

    def whole(pair: Any, times: Any) -> Any:
        traced.append("traced")
        x, y = pair
        once = lambda number, x: (number + 1, tf.cond(y > 0, lambda: second(first(x, y)), lambda: x))  # noqa: E731
        _, x = tf.while_loop(lambda number, _: number < times, once, (0, x))
        return (x, y), tf.reduce_sum(x)

    return whole


def values(graph: Graph) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in graph(*ARGUMENTS)]


def test_a_kept_graph_is_not_traced_again_and_gives_the_same_bits(kept: Kept) -> None:
    traced: list[str] = []
    first = values(Graph("two stages", stages(traced), SIGNATURE))
    assert (len(traced), len(kept)) == (1, 1)
    assert values(Graph("two stages", stages(traced), SIGNATURE)) == first
    assert len(traced) == 1
    plain = tf.function(stages(traced), input_signature=SIGNATURE)(*ARGUMENTS)
    assert [tensor.numpy().tobytes() for tensor in tf.nest.flatten(plain)] == first


def test_a_graph_has_the_same_bytes_whatever_was_traced_before(kept: Kept) -> None:
    def both() -> dict[str, bytes]:
        kept.clear()
        return {
            f"by {factor}": b"".join(values(Graph(f"by {factor}", stages([], factor), SIGNATURE))) for factor in (1, 2)
        }

    results, graphs = both(), kept.copy()
    assert len(set(results.values())) == len(set(graphs.values())) == 2
    assert both() == results
    assert kept == graphs
