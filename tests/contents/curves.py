"""Whether a figure's lines, bands and marks are where some values belong."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .drawings import NEAR, Panel, away


def mean_and_range(panel: Panel, curves: np.ndarray, colour: str, what: str) -> Iterator[str]:
    """What is missing of the mean of some curves (n, epochs) as a line of a colour, and of their range as a band."""
    mean, some = np.mean(curves, axis=0), np.isfinite(curves).any(axis=0)
    epochs = np.flatnonzero(np.isfinite(mean)) + 1
    if not follows(panel, epochs, mean[epochs - 1], colour):
        yield f"no line shows {what}"
    if len(curves) > 1 and some.sum() > 1:
        every = np.flatnonzero(some) + 1
        edges = np.nanmin(curves[:, some], axis=0), np.nanmax(curves[:, some], axis=0)
        ends = np.concatenate([panel.places(every, edge) for edge in edges])
        if not any(colour == own and all_in(ends, band) for band, own in panel.bands):
            yield f"no band shows the range of {what}"


def measured(panel: Panel) -> tuple[str, int]:
    """The column of history.csv that a panel shows, by the name of its axis, and its scale: 100 for per cent."""
    what, _, field = panel.names["y"].partition(" (")[0].partition(" ")
    return field if what == "training" else f"val_{field}", 100 if field == "accuracy" else 1


def follows(panel: Panel, x: Any, y: Any, colour: str) -> bool:
    """Whether a line of the colour goes through these values, from the first to the last; of one value a mark."""
    places = panel.places(x, y)
    if len(places) == 1:
        return all_in(places, np.concatenate([panel.marked(colour), *(line for line, _ in panel.lines)]))
    return any(
        own == colour and np.abs(line[[0, -1], 0] - places[[0, -1], 0]).max() < NEAR and away(places, line).max() < NEAR
        for line, own in panel.lines
        if len(line) > 1
    )


def all_in(places: np.ndarray, others: np.ndarray) -> bool:
    """Whether each place (n, 2) is near to one of the others (m, 2)."""
    return bool(len(others)) and all(np.abs(others - place).max(axis=1).min() < NEAR for place in places)


def unlike(what: str, drawn: np.ndarray, expected: np.ndarray) -> Iterator[str]:
    """Places (n, 2) that are drawn elsewhere than expected, or another number of them."""
    if len(drawn) != len(expected):
        yield f"{what}: {len(drawn)} are drawn, of {len(expected)}"
    elif len(drawn) and not (all_in(drawn, expected) and all_in(expected, drawn)):
        yield f"{what}: not where the files have them"
