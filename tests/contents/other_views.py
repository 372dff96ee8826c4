"""The PNG beside an SVG, and the values under the pointer of a page, held against what the SVG has drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .drawings import CROSS, NEAR, Drawn, Panel, away, number, rgb


def png_faults(png: Path, shown: Drawn) -> list[str]:
    """A PNG that is blank, has other proportions than its SVG, or doesn't show its lines."""
    if not png.exists():
        return []
    with Image.open(png) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    if pixels.std() < 2:
        return [f"{png.name} is blank"]
    scale = pixels.shape[1] / shown.size[0]
    curves = [_curves(panel) for panel in shown.panels if panel.scales]
    inks = {colour: rgb(colour) for lines in curves for _, colour in lines}
    if abs(pixels.shape[0] - shown.size[1] * scale) > 3:
        return [f"{png.name} has other proportions than its SVG"]
    for lines in curves:
        for place, (points, colour) in enumerate(lines):
            hidden = np.zeros(len(points), bool)
            for later, _ in lines[place + 1 :]:
                hidden |= _covers(later, points)
            own = some = 0
            at = np.clip(points * scale, 0, np.array(pixels.shape[1::-1]) - 1).astype(int)
            for (x, y), under in zip(at, hidden, strict=True):
                near = pixels[max(0, y - 7) : y + 8, max(0, x - 7) : x + 8].reshape(-1, 3)
                there = {name for name, ink in inks.items() if (np.abs(near - ink).max(axis=1) < 90).any()}
                own, some = own + (colour in there and not under), some + bool(there)
            if own < 0.4 * (~hidden).sum() or some < 0.75 * len(points):
                return [f"{png.name} doesn't show the curves of its SVG"]
    return []


def _curves(panel: Panel) -> list[tuple[np.ndarray, str]]:
    """The lines of a panel that have a colour and more than two points, in the order of drawing."""
    return [(points, colour) for points, colour in panel.lines if len(points) > 2 and "#" in colour]


def _covers(line: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which points (n, 2) a line (m, 2) that is drawn after them lies on: bool (n,)."""
    if (np.diff(line[:, 0]) <= 0).any():
        return np.zeros(len(points), bool)
    beside = np.interp(points[:, 0], line[:, 0], line[:, 1], left=np.nan, right=np.nan) - points[:, 1]
    return np.asarray(np.abs(beside) < 1)


def pointer_faults(panels: Sequence[dict[str, Any]], shown: Drawn) -> list[str]:
    """Values that a page's pointer reads and that are not drawn where it reads them."""
    found = []
    for values, panel in zip(panels, shown.axes, strict=False):
        dots = [panel.marked(colour) for colour in {own for _, own in panel.marks}]
        for line in values.get("lines", ()):
            points = np.array(line["points"], float)
            if not np.isfinite(points).all():
                found.append(f"the values of {line['name']} are not all numbers")
                continue
            off = np.abs(panel.places(points[:, 2], points[:, 3]) - points[:, :2]).max(axis=0)
            beside = [away(points[:, :2], own).max() if len(own) != len(points) else
                      np.abs(own - points[:, :2]).max() for own, _ in [*panel.lines, *panel.marks]]  # fmt: skip
            # Points that no line joins: the farthest from a mark of one colour.
            beside += [np.abs(own[:, None] - points[:, :2]).max(axis=2).min(axis=0).max() for own in dots]
            # Marks that stand side by side are nearest to the tick of their value.
            places, labels = np.array([(place, number(label)) for place, label in panel.ticks["x"]]).T
            nearest = labels[np.abs(places - points[:, :1]).argmin(axis=1)]
            if off[1] > 4 * NEAR or min(beside) > 2 * NEAR or (off[0] > 4 * NEAR and (nearest != points[:, 2]).any()):
                found.append(f"the values of {line['name']} are not where its line is drawn")
        for left, top, width, height, text in values.get("cells", ()):
            told = text.rpartition(": ")[2]
            there = [one for one in panel.inside(np.array([[left, top], [left + width, top + height]])) if one != CROSS]
            if there != [told] and not (told == "0" and not there):
                found.append(f"the pointer reads {text!r} where {' '.join(there) or 'nothing'} is drawn")
    return found
