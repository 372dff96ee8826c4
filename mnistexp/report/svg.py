"""Figures for a page: SVG for HTML with a strict content policy, and the values to show under the pointer.

The policy forbids `style` attributes, so they become presentation attributes. Text stays text, in the page's font.
"""

import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from mnistexp.figures.plots import styled
from mnistexp.report.page import thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["Drawing", "draw"]

POINTS_PER_INCH = 72
PIXELS_PER_INCH = 102
"""Pixels of the page per inch of a figure at full size: its text is then about as large as that of the page."""
MOST_POINTS = 600
REFERENCE = re.compile(r"url\(#([^)]+)\)")
FONT = re.compile(r"(?:(?P<weight>bold|\d{3}) )?(?P<size>[\d.]+px)")
UNWANTED = ("metadata", "style")
KEPT = {"#000000": "#010101", "white": "#fefefe"}
BY_VALUE, TURNED = CLASSES = ("by-value", "turned")


@dataclass(frozen=True)
class Drawing:
    """`svg`: an element to embed in HTML. `panels`: its values with their positions in the units of its `viewBox`.

    A panel has `box` [left, top, right, bottom] and either `x` (the name of its axis) with `lines` of points
    [left, top, x, y], or `cells` [left, top, width, height, text].
    """

    svg: str
    panels: list[dict[str, Any]]


def draw(figure: "Figure", label: str, prefix: str) -> Drawing:
    """A figure for a page. `label`: its text for screen readers; `prefix` makes its ids unique on the page.

    The same figure always gives the same text.
    """
    figure.set_dpi(POINTS_PER_INCH)
    _prepare(figure)
    root = ElementTree.fromstring(_saved(figure))
    used = _references(root)
    for element in list(root.iter()):
        for child in [child for child in element if _plain(child.tag) in UNWANTED]:
            element.remove(child)
        _adapt(element, used, prefix)
    view_box = root.attrib["viewBox"]
    width = str(round(figure.get_figwidth() * PIXELS_PER_INCH))
    root.attrib = {"viewBox": view_box, "width": width, "role": "img", "aria-label": label, "focusable": "false"}
    return Drawing(ElementTree.tostring(root, encoding="unicode"), _panels(figure))


def _prepare(figure: "Figure") -> None:
    """Remove titles, which the page shows itself, and protect colours that must not change in the dark theme.

    The page recolours black and white; text on a coloured cell gets almost these colours, which stay as they are.
    """
    from matplotlib.collections import LineCollection

    for axes in figure.axes:
        axes.set_title("", loc="left")
        if _corners(axes):
            for text in axes.texts:
                text.set_color(KEPT.get(str(text.get_color()), text.get_color()))
        for image in axes.images:
            image.set_gid(TURNED)
        for collection in axes.collections:
            if isinstance(collection, LineCollection):
                collection.set_gid(BY_VALUE)
    if figure.get_suptitle():
        figure.suptitle("")


@styled
def _saved(figure: "Figure") -> bytes:
    from matplotlib import rc_context

    contents = BytesIO()
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(contents, format="svg", transparent=True, dpi=POINTS_PER_INCH, metadata={"Date": None})
    return contents.getvalue()


def _plain(name: str) -> str:
    """A name without its namespace, as HTML's parser expects SVG elements."""
    return name.rpartition("}")[2]


def _references(root: ElementTree.Element) -> set[str]:
    values = [value for element in root.iter() for value in element.attrib.values()]
    used = {name for value in values for name in REFERENCE.findall(value)}
    return used | {value[1:] for value in values if value.startswith("#")}


def _adapt(element: ElementTree.Element, used: set[str], prefix: str) -> None:
    """Bare names, no style attributes, and only the ids that are referred to, with the prefix before them."""
    element.tag = _plain(element.tag)
    attributes = {_plain(name): value for name, value in element.attrib.items()}
    attributes |= _from_style(attributes.pop("style", ""))
    if attributes.get("id") in CLASSES:
        attributes["class"] = attributes.pop("id")
    elif attributes.get("id") not in used:
        attributes.pop("id", None)
    for name, value in attributes.items():
        if name == "id":
            attributes[name] = prefix + value
        elif name == "href" and value.startswith("#"):
            attributes[name] = f"#{prefix}{value[1:]}"
        else:
            attributes[name] = REFERENCE.sub(rf"url(#{prefix}\1)", value)
    element.attrib = attributes
    element.tail = None if element.tail and not element.tail.strip() else element.tail
    element.text = None if element.text and not element.text.strip() else element.text


def _from_style(style: str) -> dict[str, str]:
    """The declarations of a style attribute as attributes; of a font only size and weight, not the family."""
    found: dict[str, str] = {}
    for declaration in filter(None, style.split(";")):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        font = FONT.match(value) if name == "font" else None
        if font:
            found |= {f"font-{key}": part for key, part in font.groupdict().items() if part}
        elif name != "image-rendering":
            found[name] = value
    return found


def _panels(figure: "Figure") -> list[dict[str, Any]]:
    """The values of every panel with curves over epochs, or with cells."""
    height = figure.get_figheight() * POINTS_PER_INCH
    panels = [_cells(axes, height) or _lines(axes, height) for axes in figure.axes if axes.axison]
    return [panel for panel in panels if panel]


def _lines(axes: "Axes", height: float) -> dict[str, Any] | None:
    lines = []
    for line in axes.get_lines():
        points = np.column_stack([np.asarray(values, dtype=np.float64) for values in line.get_data()])
        points = points[np.isfinite(points).all(axis=1)]
        label = str(line.get_label())
        if label.startswith("_") or line.get_linestyle() == "None" or line.get_transform() != axes.transData:
            continue
        points = points[thinned(len(points), MOST_POINTS)]
        places = axes.transData.transform(points) if len(points) else points
        if len(points):
            lines.append(
                {
                    "name": label.partition(",")[0] if "mean and range" in label else label,
                    "colour": str(line.get_color()),
                    "points": [
                        [round(left, 1), round(height - up, 1), float(f"{x:.6g}"), float(f"{y:.4g}")]
                        for (left, up), (x, y) in zip(places.tolist(), points.tolist(), strict=True)
                    ],
                }
            )
    if not lines or axes.get_xlabel() != "epoch":
        return None
    return {"box": _box(axes, height), "x": axes.get_xlabel(), "y": axes.get_ylabel(), "lines": lines}


def _cells(axes: "Axes", height: float) -> dict[str, Any] | None:
    """The cells: squares of side 1 around whole numbers, drawn as an image or as rectangles, with texts in them."""
    columns, rows = (round(abs(high - low)) for low, high in (axes.get_xlim(), axes.get_ylim()))
    squares = {(round(x + 0.5), round(y + 0.5)) for x, y in _corners(axes)}
    if axes.images:
        squares = {(column, row) for column in range(columns) for row in range(rows)}
    if not squares or axes.get_label() == "<colorbar>":
        return None
    texts: dict[tuple[int, int], str] = {}
    for text in axes.texts:
        x, y = text.get_position()
        if (round(x), round(y)) == (x, y):
            texts[round(x), round(y)] = text.get_text()
    cells = []
    for column, row in sorted(squares):
        (left, low), (right, up) = axes.transData.transform(
            [(column - 0.5, row - 0.5), (column + 0.5, row + 0.5)]
        ).tolist()
        top = height - max(low, up)
        where = ", ".join(filter(None, [_level(axes.yaxis, row), _level(axes.xaxis, column)]))
        place = [round(left, 1), round(top, 1), round(right - left, 1), round(abs(up - low), 1)]
        cells.append([*place, f"{where}: {texts.get((column, row), '0')}"])
    return {"box": _box(axes, height), "cells": cells}


def _corners(axes: "Axes") -> list[tuple[float, float]]:
    from matplotlib.patches import Rectangle

    found = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    # A band over one epoch is also a square of side 1, but its height is that of the axes, not of the data.
    found = [patch for patch in found if patch.get_data_transform() == axes.transData]
    return [patch.get_xy() for patch in found if (patch.get_width(), patch.get_height()) == (1, 1)]


def _level(axis: "Axis", level: int) -> str:
    """The label of a row or column, such as `beta_1 0.5`, or `beta_1 0.5 to 0.6` if its edges are labelled."""
    labels = {
        float(place): text.get_text() for place, text in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    }
    name = axis.get_label_text()
    if level in labels:
        return f"{name} {labels[level]}"
    low, high = labels.get(level - 0.5), labels.get(level + 0.5)
    return f"{name} {low} to {high}" if low and high else name


def _box(axes: "Axes", height: float) -> list[float]:
    (left, low), (right, up) = axes.transAxes.transform([(0, 0), (1, 1)]).tolist()
    return [round(left, 1), round(height - up, 1), round(right, 1), round(height - low, 1)]
