"""Is the ink bright or dark, and do the digits stand upright? What the pictures themselves say of it."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.forms import Pictures
from mnistexp.data.packaged import embedded

Ink = Literal["bright", "dark"]
MIXED = 0.1
"""With a smaller share of the other kind a set is of one kind: some pieces of clothing fill their edges."""
AT_MOST = 2000
CLEAR, LEAD = 0.5, 0.15
"""The share of digits that the packaged ones' averages must recognise, and by how much more than as they stand."""

TURNS: Mapping[str, tuple[int, bool]] = {
    "transposed": (3, True),
    "mirrored left to right": (0, True),
    "turned by 90 degrees": (1, False),
    "upside down": (2, False),
    "turned by 270 degrees": (3, False),
    "mirrored top to bottom": (2, True),
    "transposed and upside down": (1, True),
}
"""How a set may stand otherwise; the quarter turns, and whether it is then mirrored, that put it right."""


def dark_ink(images: Pictures) -> NDArray[np.bool_]:
    """Which pictures have dark ink on a bright ground, bool (n,).

    Those whose edge has its median in the brighter half of the picture's grey values.
    """
    if not isinstance(images, np.ndarray):
        return np.array([bool(dark_ink(image[np.newaxis])[0]) for image in images])
    edges = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    flat = images.reshape(len(images), -1)
    middle = (flat.min(axis=1).astype(np.float64) + flat.max(axis=1)) / 2
    found: NDArray[np.bool_] = np.median(edges, axis=1) > middle
    return found


def which_to_invert(images: Pictures, invert: bool | Literal["auto"]) -> tuple[NDArray[np.bool_], list[str], list[str]]:
    """Which pictures to invert, bool (n,), messages about it, and warnings.

    `auto`: all of a set where nine in ten have dark ink (`dark_ink`), none where one in ten at most has, and else each
    as it is, with a warning. `True` and `False` decide for all.
    """
    dark = dark_ink(images)
    count, share = len(dark), float(dark.mean())
    if invert is True:
        return np.ones(count, np.bool_), ["inverted, as data.invert says"], []
    if invert is False:
        return np.zeros(count, np.bool_), [], []
    if share <= MIXED:
        return np.zeros(count, np.bool_), [], []
    if share >= 1 - MIXED:
        return np.ones(count, np.bool_), ["dark ink on a bright background inverted"], []
    mixed = (
        f"{int(dark.sum()):,} of {count:,} pictures have dark ink on a bright background, which was inverted; the "
        "others have bright ink; data.invert true or false treats all alike"
    )
    return dark, [f"{int(dark.sum()):,} of {count:,} pictures inverted"], [mixed]


def orientation(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> str:
    """How digits uint8 (n, 28, 28), labels 0 to 9, seem to stand otherwise than upright; empty where they do.

    By comparison with the packaged digits: each digit is given to the class whose average it correlates with most, as
    it stands and turned or mirrored. What recognises `CLEAR` of them, and `LEAD` more than as they stand, is it.
    """
    known, classes = embedded("first_1000")
    averages = np.stack(
        [_unit(known[classes == digit].astype(np.float64).mean(axis=0)[None])[0] for digit in range(10)]
    )
    chosen = np.linspace(0, len(images) - 1, min(AT_MOST, len(images))).astype(int)
    some, right = images[chosen], labels[chosen]

    def recognised(turned: NDArray[np.uint8]) -> float:
        return float(((_unit(turned.astype(np.float64)) @ averages.T).argmax(axis=1) == right).mean())

    upright = recognised(some)
    shares = {
        name: recognised(np.rot90(some, quarters, axes=(1, 2))[:, :, :: -1 if mirrored else 1])
        for name, (quarters, mirrored) in TURNS.items()
    }
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= CLEAR and shares[best] > upright + LEAD else ""


def _unit(images: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    unit: NDArray[np.float64] = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    return unit
