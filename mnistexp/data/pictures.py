"""Pictures of digits in the form of the training digits: bright ink on black, 28 x 28, centred.

PNG and JPEG are read by Pillow; which of them a file is, its content says. Files may come from strangers: a file or a
picture that is too large is refused before it is unpacked.
"""

import math
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.content import read, refuse
from mnistexp.errors import BadInput, reason

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 28
Grey = NDArray[np.float64]
"""A picture (height, width), 0 black to 1 white."""

FORMATS = ("PNG", "JPEG")
LARGEST_FILE = 64 * 2**20
MOST_PIXELS = 25_000_000
WORKING_SIDE = 1024
"""Larger pictures are made smaller first; a digit in one still has many times the pixels that it will get."""
DIGIT_SIDE = 20
"""The square that a digit fills in MNIST."""
FAINTEST = 0.1
"""Less contrast than this, of black to white, is no ink."""
SMUDGE = 0.25
"""Less than this share of the darkest ink is paper: its grain, its shadows, what compression leaves beside a stroke."""
ONE_TONE = 0.25
"""With less contrast than this in a picture's opaque part, that part is ink and the transparent part the ground."""


def prepare(grey: Grey, *, inverted: bool, centre: bool) -> NDArray[np.uint8]:
    """A picture as the network takes it, uint8 (28, 28).

    With `centre` it is scaled and moved as MNIST was prepared (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of
    handwritten digits"): the digit fitted into 20 x 20, its proportions kept, and its centre of mass moved to the
    middle of 28 x 28. Before that its values are stretched, from the background, the median of the picture's edge, to
    the strongest ink. Raises `BadInput` where there is no ink, or the size can't be used.
    """
    if not centre and grey.shape != (SIDE, SIDE):
        height, width = grey.shape
        raise BadInput(f"is {width} x {height} pixels, allowed without centring: {SIDE} x {SIDE}")
    low, high = float(grey.min()), float(grey.max())
    if high - low < FAINTEST:
        raise BadInput(f"has no ink: its grey values go from {low:.2f} to {high:.2f}, 0 being black and 1 white")
    grey = 1 - grey if inverted else grey
    if not centre:
        return np.rint(grey * 255).astype(np.uint8)
    background = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    contrast = float(grey.max()) - background
    if contrast < FAINTEST:
        kind, other = ("darker", "no") if inverted else ("brighter", "yes")
        raise BadInput(f"has no ink that is {kind} than its background; --invert {other} looks for the other kind")
    ink = np.clip((grey - background) / contrast, 0, 1)
    return np.rint(_centred(np.where(ink < SMUDGE, 0.0, ink)) * 255).astype(np.uint8)


def _centred(ink: Grey) -> Grey:
    from PIL import Image

    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = DIGIT_SIDE / max(digit.shape)
    height, width = (max(1, round(side * scale)) for side in digit.shape)
    small = Image.fromarray(digit.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    values = np.asarray(small, np.float64)
    placed = np.zeros((SIDE, SIDE))
    top, left = (_start(values.sum(axis=axis)) for axis in (1, 0))
    placed[top : top + height, left : left + width] = values
    return placed


def _start(mass: NDArray[np.float64]) -> int:
    """Where a digit begins, on one axis, to have its centre of mass in the middle; all of it stays in the picture."""
    middle = SIDE / 2 - float(np.average(np.arange(len(mass)), weights=mass))
    return min(max(round(middle), 0), SIDE - len(mass))


def decode_file(path: Path) -> NDArray[np.uint8]:
    """The grey values uint8 (h, w) of a PNG or JPEG file. Raises `BadInput`, naming it, where it can't be used."""
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise BadInput(f"{path}: is {size:,} bytes, allowed: {LARGEST_FILE:,}; save it smaller")
    content = read(path, lambda _: None)
    try:
        return decoded(content)
    except BadInput as error:
        raise BadInput(f"{path}: {error}; save it smaller") from error
    except MemoryError:  # what was promised was held against the limits: it says nothing of the file
        raise
    except Exception as error:  # whatever Pillow makes of a file that is not what it says
        kind = "is empty" if not content else f"can't be read: {_reason(error)}"
        raise refuse(path, kind, "allowed: PNG, JPEG; save or download it again") from error


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "it is of an unknown format"
    return reason(error)


def decoded(content: bytes) -> NDArray[np.uint8]:
    """A PNG or JPEG as grey values uint8 (h, w), the right way up; of an animation the first picture.

    Raises `BadInput` for too many pixels, and whatever Pillow raises for a damaged picture.
    """
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as of odd EXIF data, which does no harm
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise BadInput(f"is {width:,} x {height:,} pixels, allowed: {MOST_PIXELS:,} in all")
            image.draft("L", (WORKING_SIDE, WORKING_SIDE))
            grey, white = _grey(ImageOps.exif_transpose(image))
    if max(grey.size) > WORKING_SIDE:
        grey = grey.reduce(math.ceil(max(grey.size) / WORKING_SIDE))
    values = np.asarray(grey)
    return values if values.dtype == np.uint8 else np.rint(values * (255 / white)).astype(np.uint8)


def _grey(image: "Image") -> tuple["Image", int]:
    """A picture in grey, its transparent part filled with a ground that shows the ink; and the value of white."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel
        values = np.asarray(image).astype(np.int32)
        if "transparency" in image.info:
            through = values == image.info["transparency"]
            values[through] = 0 if _is_bright(values[~through] / 65535) else 65535
        return Image.fromarray(values), 65535
    if not image.has_transparency_data:
        return image.convert("L"), 255
    layered = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    grey, alpha = layered.convert("L"), layered.getchannel("A")
    opaque = np.asarray(grey)[np.asarray(alpha) > 127]
    ground = Image.new("L", image.size, 0 if _is_bright(opaque / 255) else 255)
    ground.paste(grey, mask=alpha)
    return ground, 255


def _is_bright(opaque: Grey) -> bool:
    """Whether the opaque part needs a black ground: it is bright ink alone, or ink on dark paper."""
    if not opaque.size:
        return False
    low, middle, high = np.percentile(opaque, [5, 50, 95])
    return bool(middle > 0.5 if high - low < ONE_TONE else middle < 0.5)
