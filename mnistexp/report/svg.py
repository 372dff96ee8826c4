"""Figures for a page: SVG for HTML with a strict content policy, and the values to show under the pointer.

The policy forbids `style` attributes, so they become presentation attributes. Text stays text, in the page's font.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from mnistexp.figures.style import HeatCell, Lines, contents, record_of, styled
from mnistexp.report.page import thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS_PER_INCH = 72
PIXELS_PER_INCH = 102
"""Pixels of the page per inch of a figure at full size: its text is then about as large as that of the page."""
MOST_POINTS = 600
REFERENCE = re.compile(r"url\(#([^)]+)\)")
FONT = re.compile(r"(?:(?P<weight>bold|\d{3}) )?(?P<size>[\d.]+px)")
UNWANTED = ("metadata", "style")
KEPT = {"#000000": "#010101", "white": "#fefefe"}
TURNED = "turned"


def draw(figure: "Figure", label: str, prefix: str) -> tuple[str, list[dict[str, Any]]]:
    """An element to embed in HTML, and its panels: their values with positions in the units of its `viewBox`.

    `label`: its text for screen readers; `prefix` makes its ids unique on the page. A panel has `box` [left, top,
    right, bottom] and either `x` (the name of its axis) with `lines` of points [left, top, x, y], or `cells` [left,
    top, width, height, text]. The same figure always gives the same text.
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
    return ElementTree.tostring(root, encoding="unicode"), _panels(figure)


def _prepare(figure: "Figure") -> None:
    """Remove titles and backgrounds, which are the page's, and protect colours that must not change in the dark theme.

    The page recolours black and white; text on a coloured cell gets almost these colours, which stay as they are.
    """
    figure.patch.set_facecolor("none")
    for axes in figure.axes:
        axes.patch.set_facecolor("none")
        axes.set_title("", loc="left")
        record = record_of(axes)
        if record and not isinstance(record, Lines) and not axes.images:  # text on an image turns with it
            for text in axes.texts:
                text.set_color(KEPT.get(str(text.get_color()), text.get_color()))
        for image in axes.images:
            image.set_gid(TURNED)
    if figure.get_suptitle():
        figure.suptitle("")


@styled
def _saved(figure: "Figure") -> bytes:
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):
        return contents(figure, "svg", POINTS_PER_INCH)


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
    if attributes.get("id") == TURNED:
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
    """Every panel that was drawn from a record, with the places of its values."""
    height = figure.get_figheight() * POINTS_PER_INCH
    found = [(axes, record_of(axes)) for axes in figure.axes]
    return [
        {"box": _box(axes, height)}
        | (_lines(axes, record, height) if isinstance(record, Lines) else _cells(axes, record, height))
        for axes, record in found
        if record
    ]


def _lines(axes: "Axes", record: Lines, height: float) -> dict[str, Any]:
    lines = []
    for line in record.lines:
        drawn = np.column_stack([line.x if line.at is None else line.at, line.y])
        rows = np.column_stack([axes.transData.transform(drawn), line.x, line.y])[thinned(len(line.x), MOST_POINTS)]
        points = [
            [round(left, 1), round(height - up, 1), float(f"{x:.6g}"), float(f"{y:.4g}")]
            for left, up, x, y in rows.tolist()
        ]
        lines.append({"name": line.name, "colour": line.colour, "points": points})
    return {"x": record.x, "y": record.y, "lines": lines}


def _cells(axes: "Axes", record: Sequence[HeatCell], height: float) -> dict[str, Any]:
    cells = []
    for cell in record:
        corners = [(cell.column - 0.5, cell.row - 0.5), (cell.column + 0.5, cell.row + 0.5)]
        (left, low), (right, up) = axes.transData.transform(corners).tolist()
        place = [left, height - max(low, up), right - left, abs(up - low)]
        cells.append([*(round(length, 1) for length in place), cell.text])
    return {"cells": cells}


def _box(axes: "Axes", height: float) -> list[float]:
    (left, low), (right, up) = axes.transAxes.transform([(0, 0), (1, 1)]).tolist()
    return [round(left, 1), round(height - up, 1), round(right, 1), round(height - low, 1)]
