"""Functions as TensorFlow graphs, kept between processes beside the compiled kernels: tracing takes half a second."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from mnistexp.training import kernels
from mnistexp.training.runtime import start_tensorflow

tf = start_tensorflow()

UNUSED = "redundant_placeholder"
"""What TensorFlow calls an argument of a loop's condition that it doesn't use."""


class Graph:
    """A function as a graph of one signature, traced by its first call unless an earlier process has kept it.

    `about` tells it from all others of the same code.
    """

    def __init__(self, about: str, function: Callable[..., Any], signature: list[Any]) -> None:
        self._name = f"graph_{hashlib.sha256(about.encode()).hexdigest()[:32]}"
        self._function, self._signature = function, signature

    def __call__(self, *arguments: Any) -> list[Any]:
        """The tensors of the result, flat. The arguments have the dtypes of the signature.

        They are not compared with it, which would take a thirtieth of an epoch. Raises what `kernels.explain` raises.
        """
        try:
            return self._call([*map(tf.convert_to_tensor, tf.nest.flatten(arguments))])
        except tf.errors.OpError as error:
            kernels.explain(error.message)
            raise

    @cached_property
    def _call(self) -> Callable[[list[Any]], list[Any]]:
        kept = kernels.beside(self._name)
        if kept is None:
            kept = _definition(self._traced(self._function)).SerializeToString(deterministic=True)
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
    """The graph with the names of its inputs and outputs, the same bytes in any process.

    TensorFlow numbers functions in the order of tracing: in another process others may have the same names. Here they
    come in the order of their first use, and are named by the content of the whole.
    """
    found = tf.compat.v1.MetaGraphDef(graph_def=traced.graph.as_graph_def())
    for kind, tensors in (("inputs", traced.inputs), ("outputs", traced.outputs)):
        found.collection_def[kind].node_list.value.extend(tensor.name for tensor in tensors)
    library = found.graph_def.library
    known = {function.signature.name: function for function in library.function}
    used = list(dict.fromkeys(_used(found.graph_def.node, known)))
    ordered = [type(known[name]).FromString(known[name].SerializeToString()) for name in used]
    del library.function[:]
    library.function.extend(ordered)
    numbers = [f"function_{place}" for place in range(len(used))]
    _rename(found.graph_def, dict(zip(used, numbers, strict=True)))
    content = hashlib.sha256(found.SerializeToString(deterministic=True)).hexdigest()[:32]
    _rename(found.graph_def, {name: f"graph_{content}_{name}" for name in numbers})
    return found


def _used(nodes: Iterable[Any], known: Mapping[str, Any]) -> Iterator[str]:
    """The functions that nodes call, each before those that it calls itself."""
    for node in nodes:
        calls = (called.name for _, value in sorted(node.attr.items()) for called in (value.func, *value.list.func))
        for name in filter(known.__contains__, (node.op, *calls)):
            yield name
            yield from _used(known[name].node_def, known)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for function in graph.library.function:
        function.signature.name = names[function.signature.name]
        for argument in function.signature.input_arg:
            if UNUSED in argument.name:  # it begins with a number of this process
                argument.name = argument.name[argument.name.index(UNUSED) :]
    for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def)):
        node.op = names.get(node.op, node.op)
        for value in node.attr.values():
            for called in (value.func, *value.list.func):
                if called.name in names:
                    called.name = names[called.name]
