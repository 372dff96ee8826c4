"""The kinds of networks: each is a function from its settings to layers, listed by name in `NETWORKS`.

The Keras model, the initial weights and the table of layers are built from these. The output layer, one softmax unit
per class, is added to each.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Annotated, Literal

from pydantic import Field

from mnistexp.config.section import ConfigSection

INPUT_SHAPE = (28, 28, 1)


@dataclass(frozen=True)
class Layer:
    """One layer by the name of its Keras class.

    `units`: filters of a convolution, units of a dense layer. `side`: of a square kernel or pooling window. `rate`: the
    share of units that dropout drops.
    """

    name: str
    keras_class: Literal["Conv2D", "MaxPooling2D", "Dropout", "Flatten", "Dense"]
    units: int = 0
    side: int = 0
    rate: float = 0.0
    activation: Literal["relu", "softmax", ""] = ""


@dataclass(frozen=True)
class LayerRow:
    """One row of the network's table. `arithmetic` counts the parameters, such as `(3*3*16+1)*32 = 4,640`."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    arithmetic: str
    activation: str


def cnn(sizes: "ModelConfig") -> list[Layer]:
    """The assignment's: two blocks of convolution and pooling, and a dense layer."""
    first, second = sizes.filters
    return [
        Layer("conv_1", "Conv2D", first, sizes.kernel_size, activation="relu"),
        Layer("pool_1", "MaxPooling2D", side=2),
        Layer("dropout_1", "Dropout", rate=sizes.dropout),
        Layer("conv_2", "Conv2D", second, sizes.kernel_size, activation="relu"),
        Layer("pool_2", "MaxPooling2D", side=2),
        Layer("flatten", "Flatten"),
        Layer("dense", "Dense", sizes.dense_units, activation="relu"),
        Layer("dropout_2", "Dropout", rate=sizes.dropout),
    ]


def mlp(sizes: "ModelConfig") -> list[Layer]:
    """A multilayer perceptron with one hidden dense layer."""
    return [
        Layer("flatten", "Flatten"),
        Layer("dense", "Dense", sizes.dense_units, activation="relu"),
        Layer("dropout_1", "Dropout", rate=sizes.dropout),
    ]


def logistic(sizes: "ModelConfig") -> list[Layer]:  # noqa: ARG001 - every kind takes the settings
    """Multinomial logistic regression: the softmax outputs directly from the pixels."""
    return [Layer("flatten", "Flatten")]


NETWORKS: dict[str, Callable[["ModelConfig"], list[Layer]]] = {"cnn": cnn, "mlp": mlp, "logistic": logistic}
Units = Annotated[int, Field(ge=1, le=4096)]


class ModelConfig(ConfigSection):
    """The network. `mlp` uses only `dense_units` and `dropout`, `logistic` none of the sizes."""

    kind: Literal[tuple(NETWORKS)] = "cnn"  # type: ignore[valid-type]
    """`cnn`: the assignment's convolutional network; `mlp`: one hidden dense layer; `logistic`: no hidden layer."""
    filters: Annotated[tuple[Units, Units], Field(strict=False)] = (16, 32)
    """Filters of the first and the second convolution."""
    kernel_size: Annotated[int, Field(ge=1, le=7)] = 3
    """Side length of the square kernels, in pixels."""
    dense_units: Units = 128
    """Units of the hidden dense layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate after the first pooling and after the dense layer."""
    classes: Annotated[int, Field(ge=2, le=100)] = 10
    """Number of outputs; taken from the labels of the digits."""


def layers_of(sizes: ModelConfig) -> list[Layer]:
    """The layers from input to output."""
    return [*NETWORKS[sizes.kind](sizes), Layer("output", "Dense", sizes.classes, activation="softmax")]


def layer_table(config: ModelConfig) -> list[LayerRow]:
    """The layers from input to output."""
    rows = []
    for layer, shape, kernel in shapes_of(config):
        parameters = (prod(kernel[:-1]) + 1) * kernel[-1] if kernel else 0
        inputs = "*".join(str(size) for size in kernel[:-1])
        arithmetic = f"({inputs}+1)*{kernel[-1]} = {parameters:,}" if kernel else ""
        does = f"rate {layer.rate:g}" if layer.keras_class == "Dropout" else layer.activation
        rows.append(LayerRow(layer.name, layer.keras_class, shape, parameters, arithmetic, does))
    return rows


def shapes_of(config: ModelConfig) -> Iterator[tuple[Layer, tuple[int, ...], tuple[int, ...]]]:
    """Each layer with its output shape and kernel shape, () without a kernel."""
    shape: tuple[int, ...] = INPUT_SHAPE
    for layer in layers_of(config):
        shape, kernel = passed(layer, shape)
        yield layer, shape, kernel


def passed(layer: Layer, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The output shape of a layer for inputs of this shape, and the shape of its kernel, () without one."""
    match layer.keras_class:
        case "Conv2D":
            rows, columns = (size - layer.side + 1 for size in shape[:2])
            return (rows, columns, layer.units), (layer.side, layer.side, shape[-1], layer.units)
        case "MaxPooling2D":
            return (shape[0] // layer.side, shape[1] // layer.side, shape[2]), ()
        case "Flatten":
            return (prod(shape),), ()
        case "Dense":
            return (layer.units,), (shape[0], layer.units)
        case _:
            return shape, ()
