"""Drawings of digits, misread ones too, as figures and as text, and of a network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.networks import INPUT_SHAPE, LayerRow
from mnistexp.figures.style import GREY, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Image = NDArray[np.uint8]
"""Grey values, 0 to 255, of one digit (28, 28) or of several (n, 28, 28)."""
TIMES = " \N{MULTIPLICATION SIGN} "
ABOVE: Any = {"ha": "center", "va": "bottom", "fontsize": 9}
BELOW: Any = {"ha": "center", "va": "top", "fontsize": 8, "color": GREY}
FILLS = {"Conv2D": "#cfe3f1", "Dense": "#f7ddc8", "Input": "#ffffff"}
"""Colours of layers with parameters; others are grey."""


@styled
def examples(images: Image, labels: NDArray[np.int64], indices: Sequence[int]) -> "Figure":
    """The digits at `indices` of images (n, 28, 28), in that order, each under its label of labels (n,)."""
    columns = min(len(indices), 6)
    rows = -(-len(indices) // columns)
    figure = new_figure(max(1.4 * columns, 2.0), 1.75 * rows)
    for number, index in enumerate(indices):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.imshow(images[index], cmap="gray_r", vmin=0, vmax=255, interpolation="none")
        axes.set_title(f"label {labels[index]}", loc="center")
        axes.set_xlabel(f"index {index}", fontsize=8, color=GREY)
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        axes.spines[:].set(visible=True, color="#cccccc")
    return figure


@styled
def mistakes(images: NDArray[np.uint8], captions: Sequence[tuple[str, str]], columns: int = 6) -> "Figure":
    """Misread digits (n, 28, 28), each with two captions: what was read instead of its label, and how sure.

    All are in one panel, whose layout takes a tenth of the time of one panel for each.
    """
    columns = min(max(len(images), 1), columns)
    rows, height = max(-(-len(images) // columns), 1), 1.4
    figure = new_figure(max(1.3 * columns, 2.6), 1.82 * rows)
    axes = figure.add_subplot()
    if not len(images):
        axes.text(0.5, -0.5, "No digit was misread", ha="center", va="center")
    for place, (image, (read, sure)) in enumerate(zip(images, captions, strict=True)):
        left, top = place % columns + 0.06, -height * (place // columns) - 0.25
        box, middle = (left, left + 0.88, top - 0.88, top), left + 0.44
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="none", extent=box)
        axes.text(middle, top + 0.03, read, **ABOVE)
        axes.text(middle, top - 0.92, sure, **BELOW)
    axes.set(xlim=(0, columns), ylim=(-height * rows, 0))
    axes.set_axis_off()
    return figure


@styled
def network(layers: Sequence[LayerRow]) -> "Figure":
    """The layers from input to output as boxes, with output shapes and parameter counts."""
    figure = new_figure(6.4, 0.52 * (len(layers) + 2))
    axes = figure.add_subplot()
    axes.set(xlim=(0, 10), ylim=(-len(layers) - 1.4, 0.7))
    axes.axis("off")
    for x, title in ((2.1, "layer"), (4.9, "output"), (7.9, "parameters")):
        axes.text(x, 0.55, title, ha="center", va="center", color=GREY, fontsize=8)
    _box(axes, 0, "Input", "grey values, 0 to 1", INPUT_SHAPE)
    for number, layer in enumerate(layers, start=1):
        axes.annotate("", (2.1, 0.32 - number), (2.1, 0.68 - number), arrowprops={"arrowstyle": "-|>", "color": GREY})
        _box(axes, -number, layer.kind, layer.activation, layer.output_shape)
        arithmetic = layer.arithmetic.replace("*", TIMES).replace("+", " + ")
        axes.text(7.9, -number, arithmetic or "none", ha="center", va="center", fontsize=8)
    total = sum(layer.parameters for layer in layers)
    axes.text(7.9, -len(layers) - 1, f"{total:,} in total", ha="center", va="center", fontweight="bold")
    return figure


def _box(axes: "Axes", y: float, kind: str, note: str, shape: tuple[int, ...]) -> None:
    from matplotlib.patches import FancyBboxPatch

    style: Any = {"boxstyle": "round,pad=0,rounding_size=0.12", "fc": FILLS.get(kind, "#eeeeee"), "ec": GREY, "lw": 0.8}
    axes.add_patch(FancyBboxPatch((0.2, y - 0.31), 3.8, 0.62, **style))
    axes.text(0.4, y, kind, va="center", fontweight="bold", fontsize=8.5)
    axes.text(3.85, y, note, ha="right", va="center", fontsize=8)
    axes.text(4.9, y, TIMES.join(map(str, shape)), ha="center", va="center")


def terminal_digit(image: Image, width: int = 28, *, unicode: bool = True) -> list[str]:
    """A digit (28, 28) for a terminal: lines of `width` characters, half as many, since characters are twice as high.

    With `unicode`, black and white with two pixels per character; otherwise ASCII shades.
    """
    height = max(1, round(width / 2))
    if unicode:
        ink = _resized(image, 2 * height, width) > 96
        return [
            "".join(" ▄▀█"[2 * top + low] for top, low in zip(*pair, strict=True))
            for pair in ink.reshape(height, 2, width)
        ]
    shades = " .:-=+*#%@"
    levels = (_resized(image, height, width) * (len(shades) - 1) / 255).round().astype(int)
    return ["".join(shades[level] for level in row) for row in levels]


def side_by_side(pictures: Sequence[Sequence[str]], width: int) -> list[str]:
    """Text pictures of one size side by side, as many as fit into `width` columns, the rest below."""
    gap = "  "
    columns = max(1, (width + len(gap)) // (len(pictures[0][0]) + len(gap))) if pictures else 1
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    return [gap.join(line) for row in rows for line in zip(*row, strict=True)]


def _resized(image: Image, height: int, width: int) -> NDArray[np.float64]:
    """The mean grey value of the image in each cell of a grid: float64 (height, width)."""
    return _overlaps(height, len(image)) @ image.astype(np.float64) @ _overlaps(width, image.shape[1]).T


def _overlaps(cells: int, pixels: int) -> NDArray[np.float64]:
    """The share of each cell covered by each pixel, along one axis: float64 (cells, pixels)."""
    edges = np.linspace(0, pixels, cells + 1)
    start = np.arange(pixels)
    shared = np.minimum(edges[1:, None], start + 1) - np.maximum(edges[:-1, None], start)
    return np.asarray(np.maximum(shared, 0) * cells / pixels)
