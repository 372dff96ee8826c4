"""Pictures as the network takes them: one way for training, predict and evaluate alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.content import Tick
from mnistexp.data.forms import grey
from mnistexp.data.pictures import SIDE, prepare
from mnistexp.data.polarity import Ink, dark_ink, which_to_invert
from mnistexp.errors import BadInput

DARKEST = 25
"""A ground brighter than this, of 255, is made black."""
TICKS = 500


@dataclass(frozen=True, eq=False)
class Ready:
    """Pictures uint8 (n, 28, 28), which of them were inverted and centred, and what was done to all of them.

    `ink`: whether it is brighter than the ground, or darker, as it is after all that.
    """

    images: NDArray[np.uint8]
    inverted: NDArray[np.bool_]
    centred: NDArray[np.bool_]
    ink: Ink
    told: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def make_ready(
    images: Any,
    source: str,
    *,
    invert: bool | Literal["auto"] = "auto",
    transpose: bool = False,
    centre: bool | None = None,
    need_ink: bool = False,
    names: Sequence[str] = (),
    tick: Tick = lambda _: None,
) -> Ready:
    """Pictures of any usual form made ready: grey values 0 to 255, bright ink on black, 28 x 28.

    `invert`: see `polarity.which_to_invert`. `transpose` exchanges rows and columns. `centre`: see `pictures.prepare`,
    which makes pictures of other sizes ready; None does it to those only. `need_ink`: a picture without ink is an
    error. `names`: of the pictures, for messages. Raises `BadInput` with the first problem, or with `need_ink` all.
    """
    values, told = grey(images, source)
    if transpose:
        values = values.transpose(0, 2, 1) if isinstance(values, np.ndarray) else [image.T for image in values]
        told = [*told, "rows and columns exchanged, as data.transpose says"]
    if not need_ink and not any(np.ptp(image) for image in values):
        raise BadInput(f"{source}: all pictures are blank; check how they were saved")
    inverted, more, warnings = which_to_invert(values, invert)
    told += more
    fits = np.array([image.shape == (SIDE, SIDE) for image in values])
    centred = ~fits if centre is None else np.full(len(fits), centre)
    if isinstance(values, np.ndarray) and fits.all() and not centred.any() and not need_ink:
        if inverted.any():
            values = np.where(inverted[:, None, None], 255 - values, values)
        ready, more = _on_black(values, invert)
        told += more
    else:
        ready = _prepared(values, source, inverted, centred, names, tick, need_ink=need_ink)
        if not fits.all():
            sizes = {image.shape for image in values}
            size = "other sizes" if len(sizes) > 1 else "{1} x {0} pixels".format(*sizes.pop())
            told.append(f"pictures of {size} scaled and centred to {SIDE} x {SIDE}")
    ink: Ink = "dark" if invert != "auto" and dark_ink(ready).mean() > 0.5 else "bright"
    return Ready(ready, inverted, centred, ink, tuple(told), tuple(warnings))


def _on_black(values: NDArray[np.uint8], invert: bool | Literal["auto"]) -> tuple[NDArray[np.uint8], list[str]]:
    """Make a grey background, as of photographs, black; bright ink keeps its contrast."""
    values = np.ascontiguousarray(values)
    edges = np.concatenate([values[:, 0], values[:, -1], values[:, 1:-1, 0], values[:, 1:-1, -1]], axis=1)
    ground, top = float(np.median(edges)), float(values.max())
    if invert != "auto" or ground <= DARKEST or ground >= top:
        return values, []
    stretched = np.clip((values.astype(np.float32) - ground) * (255 / (top - ground)), 0, 255)
    return np.rint(stretched).astype(np.uint8), [f"a background of grey value {ground:g} made black"]


def _prepared(
    values: Any,
    source: str,
    inverted: NDArray[np.bool_],
    centred: NDArray[np.bool_],
    names: Sequence[str],
    tick: Tick,
    *,
    need_ink: bool,
) -> NDArray[np.uint8]:
    found = np.zeros((len(values), SIDE, SIDE), np.uint8)
    problems = []
    for number, image in enumerate(values):
        if number % TICKS == 0:
            tick(number / len(values))
        if not need_ink and not centred[number] and image.shape == (SIDE, SIDE):
            found[number] = 255 - image if inverted[number] else image
            continue
        try:
            found[number] = prepare(image / 255, inverted=bool(inverted[number]), centre=bool(centred[number]))
        except BadInput as error:
            problems.append(f"{names[number] if names else f'{source}: picture {number}'}: {error}")
            if not need_ink:
                break
    if problems:
        raise BadInput("\n".join(problems))
    return found
