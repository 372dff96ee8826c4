"""The curves that a figure shows: in its SVG, in its PNG, and in the values behind a page's figure."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from .passages import Page
from .records import Record

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
TITLES = {"loss_curves": "Loss", "accuracy_curves": "Accuracy", "confusion_matrix": "classified correctly"}
"""What a figure's own words must hold, by the name of its file."""
FIELDS = {"loss": ("loss", "val_loss"), "accuracy": ("accuracy", "val_accuracy")}


@dataclass
class Drawn:
    """An SVG of Matplotlib: its texts, and each panel's lines in the units of its axes, and in those of the page."""

    size: tuple[float, float] = (0.0, 0.0)
    texts: list[str] = field(default_factory=list)
    lines: list[tuple[np.ndarray, np.ndarray, str]] = field(default_factory=list)
    shapes: int = 0


def drawn(svg: bytes) -> Drawn:
    root = ElementTree.fromstring(svg, ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True)))
    view = [float(part) for part in root.attrib["viewBox"].split()]
    found = Drawn(size=(view[2], view[3]))
    found.texts = [(node.text or "").strip() for node in root.iter() if node.tag is ElementTree.Comment]
    found.shapes = len(root.findall(f".//{SVG}path")) + len(root.findall(f".//{SVG}image"))
    for axes in (node for node in root.iter(f"{SVG}g") if re.fullmatch(r"axes_\d+", node.attrib.get("id", ""))):
        scales = [_scale(axes, "x"), _scale(axes, "y")]
        for group in axes:
            path = group.find(f"{SVG}path")
            if not group.attrib.get("id", "").startswith("line2d") or path is None or None in scales:
                continue
            points = np.array(re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", path.attrib["d"]), dtype=float)
            if len(points):
                given = np.column_stack([scale(points[:, axis]) for axis, scale in enumerate(scales) if scale])
                found.lines.append((given, points, re.search(r"stroke: (#\w{6})", path.attrib["style"])[1]))  # type: ignore[index]
    return found


def _scale(axes: ElementTree.Element, name: str):
    """From places to values, by the axis' ticks and their labels; None where these are no numbers."""
    places, values, powers = [], [], False
    for tick in (node for node in axes.iter(f"{SVG}g") if node.attrib.get("id", "").startswith(f"{name}tick")):
        use = next((node for node in tick.iter(f"{SVG}use") if name in node.attrib and "y" in node.attrib), None)
        label = next(((node.text or "").strip() for node in tick.iter() if node.tag is ElementTree.Comment), "")
        power = re.search(r"10\^\{(.*?)\}", label)
        try:
            value = float(power[1] if power else label.replace("\u2212", "-").replace("%", ""))
        except ValueError:
            continue
        if use is not None:
            powers = powers or power is not None
            places.append(float(use.attrib[name]))
            values.append(value)
    if len(places) < 2:
        return None
    slope, start = np.polyfit(places, values, 1)
    return lambda at: 10 ** (slope * at + start) if powers else slope * at + start


def picture_faults(record: Record) -> list[str]:
    """Figures of the folder that are blank, that show other data than their name says, and PNGs unlike their SVGs."""
    found = []
    for svg in sorted(record.path.glob("*.svg")):
        try:
            shown = drawn(svg.read_bytes())
        except ElementTree.ParseError as error:
            found.append(f"{svg.name} is no SVG: {error}")
            continue
        if shown.shapes < 3 or not shown.texts:
            found.append(f"{svg.name} is empty")
        words = " ".join(shown.texts)
        if re.search(r"\b(nan|None|inf)\b", words):
            found.append(f"{svg.name} says {words!r}")
        if svg.stem in TITLES and TITLES[svg.stem] not in words:
            found.append(f"{svg.name} is another figure: nothing in it says {TITLES[svg.stem]!r}: {words[:120]}")
        what = svg.stem.removesuffix("_curves")
        if what in FIELDS and svg.stem.endswith("_curves"):
            found += [f"{svg.name}: {fault}" for fault in _curve_faults(record, FIELDS[what], shown)]
        if svg.stem == "confusion_matrix":
            found += _count_faults(record, shown)
        found += _png_faults(svg.with_suffix(".png"), shown)
    return found


def _curve_faults(record: Record, fields: tuple[str, str], shown: Drawn) -> list[str]:
    """Means over the repeats that no line of the figure follows."""
    faults = []
    for name in fields:
        curves = record.curves(name)
        if not curves.size or not np.isfinite(curves).any():
            continue
        mean = record.mean(name) * (100 if "accuracy" in name else 1)
        epochs = np.flatnonzero(np.isfinite(mean)) + 1
        mean = mean[epochs - 1]
        span = max(float(np.ptp(mean)), 1e-3)
        off = [np.abs(np.interp(epochs, *line.T) - mean).max() / span for line, _, _ in shown.lines
               if len(line) and abs(line[0, 0] - epochs[0]) < 0.1 and abs(line[-1, 0] - epochs[-1]) < 0.1]  # fmt: skip
        if min(off, default=np.inf) > 0.01:
            faults.append(f"no line shows {name} of history.csv")
    return faults


def _count_faults(record: Record, shown: Drawn) -> list[str]:
    """Counts in the confusion matrix' figure: those of all repeats together."""
    counts = np.sum(record.confusions, axis=0)
    told = sorted(int(text) for text in shown.texts if text.isdecimal())
    own = sorted([*map(int, counts[counts > 0]), *range(10), *range(10)])
    return [] if told == own else [f"confusion_matrix.svg shows the counts {told}, not {own}"]


def _png_faults(png: Path, shown: Drawn) -> list[str]:
    if not png.exists():
        return []
    with Image.open(png) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    if pixels.std() < 2:
        return [f"{png.name} is blank"]
    scale = pixels.shape[1] / shown.size[0]
    inks = {colour: np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])
            for _, _, colour in shown.lines}  # fmt: skip
    if abs(pixels.shape[0] - shown.size[1] * scale) > 3:
        return [f"{png.name} has other proportions than its SVG"]
    for _, points, colour in shown.lines:
        own = some = 0
        for x, y in np.clip(points * scale, 0, np.array(pixels.shape[1::-1]) - 1).astype(int):
            near = pixels[max(0, y - 7) : y + 8, max(0, x - 7) : x + 8].reshape(-1, 3)
            there = {name for name, ink in inks.items() if (np.abs(near - ink).max(axis=1) < 90).any()}
            own, some = own + (colour in there), some + bool(there)
        if own < 0.4 * len(points) or some < 0.75 * len(points):  # a later line may lie on an earlier one
            return [f"{png.name} doesn't show the curves of its SVG"]
    return []


def page_figure_faults(page: Page, record: Record) -> list[str]:
    """Figures of a page without content, and curves over epochs that aren't those of history.csv."""
    found = []
    for title, about in page.figures.items():
        if about.get("paths", 0) < 3 and len(about.get("src", "")) < 500:
            found.append(f"figure {title!r} of the page is empty")
    for title, panels in page.panels.items():
        values = [point[2:] for panel in panels for line in panel.get("lines", ()) for point in line["points"]]
        if not np.isfinite(np.array(values, dtype=float)).all():
            found.append(f"figure {title!r} of the page has a value that is not a number")
        what = title.split()[0].lower()
        if what in FIELDS and "over the epochs" in title.lower():
            found += [f"figure {title!r}: {fault}" for fault in _panel_faults(record, FIELDS[what], panels)]
        if "taken for" in title or "confusion" in title.lower():
            counts = [int(cell[4].rpartition(": ")[2]) for panel in panels for cell in panel.get("cells", ())]
            matrices = record.confusions if "of all" in title else record.confusions[:1]
            if counts and sorted(counts) != sorted(np.ravel(np.sum(matrices, axis=0))):
                found.append(f"figure {title!r} has other counts than predictions.npz")
    return found


def _panel_faults(record: Record, fields: tuple[str, str], panels: list[dict]) -> list[str]:  # type: ignore[type-arg]
    lines = {line["name"]: np.array(line["points"])[:, 2:] for panel in panels for line in panel.get("lines", ())}
    faults = []
    for name, word in zip(fields, ("training", "validation"), strict=True):
        curves = record.curves(name)
        if not curves.size or not np.isfinite(curves).any():
            continue
        mean = record.mean(name) * (100 if "accuracy" in name else 1)
        line = next((points for label, points in lines.items() if word in label), None)
        if line is None:
            faults.append(f"has no line of {word}")
        elif not np.allclose(mean[line[:, 0].astype(int) - 1], line[:, 1], rtol=6e-4, atol=1e-6):
            faults.append(f"its line of {word} isn't {name} of history.csv")
    return faults
