"""Figures as they were drawn: the SVG of a file or of a page, in the units of its axes."""

import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

Node = ElementTree.Element
LINK = "{http://www.w3.org/1999/xlink}href"
BLUE, VERMILLION, BLACK, WHITE = "#0072b2", "#d55e00", "#000000", "#ffffff"
CROSS = "\N{MULTIPLICATION SIGN}"
MOST_CORNERS = 10
"""Points of a box, at most."""
NEAR = 0.3
"""Points of a figure, within which two places are the same."""


@dataclass(frozen=True)
class Scale:
    """From values on an axis to places in the figure."""

    slope: float
    start: float
    logarithmic: bool

    def places(self, values: Any) -> np.ndarray:
        return self.slope * (np.log(values) if self.logarithmic else np.asarray(values, float)) + self.start

    def values(self, places: Any) -> np.ndarray:
        linear = (np.asarray(places, float) - self.start) / self.slope
        return np.exp(linear) if self.logarithmic else linear


@dataclass
class Panel:
    """One pair of axes, or a legend. Lines, marks, boxes and bands are places (n, 2) in the figure with their colour.

    `ticks` and `names`: of both axes, by x and y; a tick is a place and its label.
    """

    ticks: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: {"x": [], "y": []})
    names: dict[str, str] = field(default_factory=lambda: {"x": "", "y": ""})
    lines: list[tuple[np.ndarray, str]] = field(default_factory=list)
    marks: list[tuple[np.ndarray, str]] = field(default_factory=list)
    boxes: list[tuple[np.ndarray, str]] = field(default_factory=list)
    bands: list[tuple[np.ndarray, str]] = field(default_factory=list)
    texts: list[tuple[np.ndarray, str]] = field(default_factory=list)
    scales: dict[str, Scale] = field(default_factory=dict)
    image: np.ndarray | None = None
    """The first picture in the panel, uint8 (rows, columns, 3), its lowest row first."""

    def places(self, x: Any, y: Any) -> np.ndarray:
        """Values as places: float64 (n, 2)."""
        return np.column_stack([self.scales["x"].places(x), self.scales["y"].places(y)])

    def marked(self, colour: str) -> np.ndarray:
        """The places of all marks of a colour: float64 (n, 2)."""
        return np.concatenate([np.zeros((0, 2)), *(places for places, own in self.marks if own == colour)])

    def inside(self, box: np.ndarray) -> list[str]:
        """The texts that begin in a box [[left, top], [right, bottom]]."""
        return [text for place, text in self.texts if (box[0] <= place).all() and (place <= box[1]).all()]


@dataclass
class Drawn:
    """A figure: its panels, and its words, which are all its texts but those of ticks."""

    size: tuple[float, float]
    panels: list[Panel]
    words: list[str]
    shapes: int

    @property
    def axes(self) -> list[Panel]:
        """The panels with a named axis, without legends and keys of colours."""
        return [panel for panel in self.panels if panel.names["x"]]


def drawn(svg: str | bytes) -> Drawn:
    """A figure of Matplotlib; raises ParseError where it is none. Elements of a page have no ids."""
    root = ElementTree.fromstring(svg, ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True)))
    shapes = {node.attrib["id"]: _points(node) for node in root.iter() if _tag(node) == "path" and "id" in node.attrib}
    view, panels, words = [float(part) for part in root.attrib["viewBox"].split()], [], []
    for group in (child for figure in _groups(root) for child in _groups(figure)):
        if text := _text(group):
            words.append(text)
            continue
        panel = _panel(group, shapes)
        for axis in "xy":
            if scale := _scale(panel.ticks[axis]) or (panels and panel.ticks[axis] and panels[-1].scales.get(axis)):
                panel.scales[axis] = scale
        panels.append(panel)
        words += [text for _, text in panel.texts] + [name for name in panel.names.values() if name]
    counted = sum(_tag(node) in ("path", "image") for node in root.iter())
    return Drawn((view[2], view[3]), panels, words, counted)


def _panel(axes: Node, shapes: dict[str, np.ndarray]) -> Panel:
    panel = Panel(image=next((_image(node) for node in axes if _tag(node) == "image"), None))
    for part in _groups(axes):
        ticks = [tick for tick in _groups(part) if len(_groups(tick)) > 1]
        if text := _text(part):
            panel.texts.append((_place(part), text))
        elif ticks:
            _axis(panel, part, ticks)
        else:
            _content(panel, part, shapes)
    return panel


def _axis(panel: Panel, part: Node, ticks: list[Node]) -> None:
    """Ticks and name of an axis; ticks without labels only have places."""
    marks = [next((node for node in tick.iter() if _tag(node) == "use" and "y" in node.attrib), None) for tick in ticks]
    labels = [next(filter(None, map(_text, tick.iter())), "") for tick in ticks]
    places = np.array([_place(tick) if mark is None else _xy(mark) for mark, tick in zip(marks, ticks, strict=True)])
    upright = np.ptp(places[:, 1]) > np.ptp(places[:, 0]) if len(ticks) > 1 else bool(panel.ticks["x"])
    name = "y" if upright else "x"
    panel.ticks[name] = sorted(zip(places[:, int(upright)].tolist(), labels, strict=True))
    panel.names[name] = next(filter(None, map(_text, _groups(part))), "")


def _content(panel: Panel, part: Node, shapes: dict[str, np.ndarray]) -> None:
    for path in (node for node in part if _tag(node) == "path"):
        style, points = _style(path), _points(path)
        filled = style.get("fill", BLACK)
        if filled != "none" and len(points) > MOST_CORNERS:  # a band that reaches beyond the figure
            panel.bands.append((points, filled))
        elif filled != "none" and len(points):
            panel.boxes.append((np.array([points.min(axis=0), points.max(axis=0)]), filled))
        elif len(points):
            panel.lines.append((points, style.get("stroke", "none")))
    for use in (node for group in _groups(part) for node in group if _tag(node) == "use"):
        style = _style(use)
        colour = style.get("fill", style.get("stroke", BLACK))
        shape = shapes.get((use.attrib.get(LINK) or use.attrib["href"]).lstrip("#"), np.zeros((0, 2)))
        if len(shape) and (np.ptp(shape, axis=0) > 25).any():
            panel.bands.append((shape + _xy(use), colour))
        else:
            panel.marks.append((_xy(use)[None], colour))


def _image(node: Node) -> np.ndarray:
    data = (node.attrib.get(LINK) or node.attrib["href"]).partition("base64,")[2]
    with Image.open(BytesIO(b64decode(data))) as image:
        pixels = np.asarray(image.convert("RGB"))
    return pixels if "scale(1 -1)" in node.attrib.get("transform", "") else pixels[::-1]


def away(places: np.ndarray, line: np.ndarray) -> np.ndarray:
    """The distance of each place (n, 2) from a line through points (m, 2): float64 (n,)."""
    along = np.diff(np.vstack([line, line[-1:]]), axis=0)
    beyond = places[:, None] - line
    share = np.clip((beyond * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-12), 0, 1)
    return np.asarray(np.linalg.norm(beyond - share[..., None] * along, axis=2).min(axis=1))


def rgb(colour: str) -> np.ndarray:
    """`#0072b2` as three numbers from 0 to 255."""
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])


def _groups(node: Node) -> list[Node]:
    return [child for child in node if _tag(child) == "g"]


def _tag(node: Node) -> str:
    return str(node.tag).rpartition("}")[2]


def _style(node: Node) -> dict[str, str]:
    pairs = (one.partition(":") for one in node.attrib.get("style", "").split(";"))
    return dict(node.attrib) | {name.strip(): value.strip() for name, _, value in pairs}


def _points(path: Node) -> np.ndarray:
    return np.array(re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", path.attrib.get("d", "")), dtype=float).reshape(-1, 2)


def _xy(node: Node) -> np.ndarray:
    return np.array([float(node.attrib["x"]), float(node.attrib["y"])])


def _text(node: Node) -> str:
    """The text of an element itself: a comment beside its letters, or a text."""
    if _tag(node) == "svg" or not isinstance(node.tag, str):
        return ""
    found = [child.text or "" for child in node if child.tag is ElementTree.Comment]
    found += ["".join(child.itertext()) if len(child) < 3 else _power(child) for child in node if _tag(child) == "text"]
    return " ".join(" ".join(found).split())


def _power(text: Node) -> str:
    """A text of letters, of which smaller ones are a power: `10^{-1}`."""
    sizes = [letter.attrib.get("font-size") for letter in text]
    letters = [letter.text or "" for letter in text]
    if len({*sizes}) < 2:
        return "".join(letters)
    base = sizes.count(sizes[0])
    return f"{''.join(letters[:base])}^{{{''.join(letters[base:])}}}"


def _place(node: Node) -> np.ndarray:
    """Where the first text in an element begins, or has its anchor."""
    for inner in node.iter():
        if _tag(inner) == "text" and "x" in inner.attrib:
            return _xy(inner)
        if moved := re.search(r"translate\((-?[\d.]+) (-?[\d.]+)\)", inner.attrib.get("transform", "")):
            return np.array([float(moved[1]), float(moved[2])])
    return np.full(2, np.nan)


def number(label: str) -> float:
    """A label as a number, NaN where it is none; `3\\times10^{-1}` is a power."""
    label = label.replace("\N{MINUS SIGN}", "-").replace(",", "")
    power = re.fullmatch(
        r"(?:\$\\mathdefault\{)?(?:(\d)(?:\\times|\N{MULTIPLICATION SIGN}))?10\^\{(-?\d+)\}(?:\}\$)?", label
    )
    try:
        return int(power[1] or 1) * 10.0 ** int(power[2]) if power else float(label)
    except ValueError:
        return np.nan


def _scale(ticks: Sequence[tuple[float, str]]) -> Scale | None:
    """The better of a linear and a logarithmic scale through the labels; None where these are no numbers."""
    numbers = np.array([(number(label), place) for place, label in ticks]).reshape(-1, 2)
    numbers = numbers[np.isfinite(numbers[:, 0])]
    if len(numbers) < 2:
        return None
    found = []
    for logarithmic in (False, True)[: 1 + bool((numbers[:, 0] > 0).all())]:
        x = np.log(numbers[:, 0]) if logarithmic else numbers[:, 0]
        slope, start = np.polyfit(x, numbers[:, 1], 1)
        found.append((np.abs(slope * x + start - numbers[:, 1]).max(), Scale(slope, start, logarithmic)))
    straight, *curved = found
    return curved[0][1] if curved and curved[0][0] < straight[0] - NEAR else straight[1]
