"""Functions as TensorFlow graphs, kept between processes beside the compiled kernels: tracing takes half a second."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

from mnistexp.training import kernels
from mnistexp.training.runtime import start_tensorflow

tf = start_tensorflow()


class Graph:
    """A function as a graph of one signature, traced by its first call unless an earlier process has kept it.

    `about` tells it from all others of the same code.
    """

    def __init__(self, about: str, function: Callable[..., Any], signature: list[Any]) -> None:
        self._name = f"graph_{hashlib.sha256(about.encode()).hexdigest()[:32]}"
        self._function, self._signature = function, signature

    def __call__(self, *arguments: Any) -> list[Any]:
        """The tensors of the result, flat. The arguments have the dtypes of the signature.

        They are not compared with it, which would take a thirtieth of an epoch.
        """
        return self._call([*map(tf.convert_to_tensor, tf.nest.flatten(arguments))])

    @cached_property
    def _call(self) -> Callable[[list[Any]], list[Any]]:
        kept = kernels.beside(self._name)
        if kept is None:
            kept = _definition(self._traced(self._function)).SerializeToString()
            kernels.leave_beside(self._name, kept)
        found = tf.compat.v1.MetaGraphDef.FromString(kept)
        inputs, outputs = (found.collection_def[kind].node_list.value for kind in ("inputs", "outputs"))

        def imported(*arguments: Any) -> Any:
            given = dict(zip(inputs, tf.nest.flatten(arguments), strict=True))
            return tf.graph_util.import_graph_def(found.graph_def, given, outputs, name="")

        whole = tf.compat.v1.wrap_function(imported, tf.nest.flatten(self._signature))
        call: Callable[[list[Any]], list[Any]] = whole.inference_fn.call_preflattened
        return call

    def _traced(self, function: Callable[..., Any]) -> Any:
        return tf.function(function, autograph=False, input_signature=self._signature).get_concrete_function()


def _definition(traced: Any) -> Any:
    """The graph with the names of its inputs and outputs. Its functions are named by its content.

    TensorFlow numbers functions in the order of tracing: in another process others may have the same names.
    """
    found = tf.compat.v1.MetaGraphDef(graph_def=traced.graph.as_graph_def())
    content = hashlib.sha256(found.SerializeToString(deterministic=True)).hexdigest()[:32]
    for kind, tensors in (("inputs", traced.inputs), ("outputs", traced.outputs)):
        found.collection_def[kind].node_list.value.extend(tensor.name for tensor in tensors)
    functions = found.graph_def.library.function
    names = {function.signature.name: f"graph_{content}_{place}" for place, function in enumerate(functions)}
    for function in functions:
        function.signature.name = names[function.signature.name]
    for node in (*found.graph_def.node, *(node for function in functions for node in function.node_def)):
        node.op = names.get(node.op, node.op)
        for value in node.attr.values():
            for called in (value.func, *value.list.func):
                if called.name in names:
                    called.name = names[called.name]
    return found
