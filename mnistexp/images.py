"""Pictures of digits from files, made into what the network learnt from: bright ink on black, 28 x 28, centred.

PNG and JPEG are read by Pillow, arrays by numpy, and which of them a file is, its content says. Files may come from
strangers: nothing is unpickled, and a file or a picture that is too large is refused before it is unpacked.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnistexp import npy_header
from mnistexp.errors import BadInput, MnistexpError
from mnistexp.runs import files
from mnistexp.sources import SIDE

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Invert", "Picture", "prepare", "read_pictures"]

Invert = Literal["auto", "yes", "no"]
Grey = NDArray[np.float64]
"""A picture (height, width), 0 black to 1 white."""

FORMATS = ("PNG", "JPEG")
LARGEST_FILE = 64 * 2**20
MOST_PIXELS = 25_000_000
MOST_PICTURES = 10_000
MOST_PROBLEMS = 20
WORKING_SIDE = 1024
"""Larger pictures are made smaller first; a digit in one still has many times the pixels that it will get."""
DIGIT_SIDE = 20
"""The square that a digit fills in MNIST."""
FAINTEST = 0.1
"""Less contrast than this, of black to white, is no ink."""
SMUDGE = 0.25
"""Less than this share of the darkest ink is paper: its grain, its shadows, what compression leaves beside a stroke."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One digit as the network takes it: `pixels` uint8 (28, 28), 0 the background.

    `file` is where it came from, `index` its place in an array of several. `inverted`: dark ink was made bright.
    `centred`: it was scaled and moved as MNIST's digits were.
    """

    file: Path
    index: int | None
    pixels: NDArray[np.uint8]
    inverted: bool
    centred: bool

    @property
    def name(self) -> str:
        """The path, and in an array of several the index behind it: `digits.npy[3]`."""
        return str(self.file) if self.index is None else f"{self.file}[{self.index}]"


def read_pictures(paths: Sequence[Path], invert: Invert = "auto", centre: bool | None = None) -> list[Picture]:
    """The pictures in PNG, JPEG and .npy files, in order; an array may be one picture (28, 28) or several (n, 28, 28).

    `centre`: see `prepare`; None centres what isn't 28 x 28 already. Raises `BadInput` with the problems of all files.
    """
    pictures: list[Picture] = []
    problems: list[str] = []
    for path in paths:
        try:
            for index, grey in _pictures_of(path, MOST_PICTURES - len(pictures)):
                name = str(path) if index is None else f"{path}[{index}]"
                try:
                    pixels, inverted, centred = prepare(grey, invert, centre)
                    pictures.append(Picture(path, index, pixels, inverted, centred))
                except BadInput as error:
                    problems.append(f"{name}: {error}")
        except MnistexpError as error:
            problems.append(str(error))
    if problems:
        more = len(problems) - MOST_PROBLEMS
        raise BadInput("\n".join([*problems[:MOST_PROBLEMS], *([f"... and {more} more problems"] if more > 0 else [])]))
    return pictures


def prepare(grey: Grey, invert: Invert = "auto", centre: bool | None = None) -> tuple[NDArray[np.uint8], bool, bool]:
    """A picture as the network takes it, uint8 (28, 28), and whether it was inverted and centred.

    `auto` inverts where the background, the median of the picture's edge, is in the brighter half of its values. A
    picture is centred as MNIST was prepared (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten
    digits"): the digit fitted into 20 x 20, its proportions kept, and its centre of mass moved to the middle of 28 x
    28. Before that its values are stretched, from the background to the strongest ink. With `centre` None that is done
    to every picture of another size than 28 x 28. Raises `BadInput` where there is no ink, or the size can't be used.
    """
    fits = grey.shape == (SIDE, SIDE)
    if centre is False and not fits:
        raise BadInput(f"is {_size(grey)} pixels, allowed without centring: {SIDE} x {SIDE}")
    low, high = float(grey.min()), float(grey.max())
    if high - low < FAINTEST:
        raise BadInput(f"has no ink: its grey values go from {low:.2f} to {high:.2f}, 0 being black and 1 white")
    background = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    inverted = background > (low + high) / 2 if invert == "auto" else invert == "yes"
    if inverted:
        grey, background = 1 - grey, 1 - background
    centred = not fits if centre is None else centre
    if centred:
        grey = _centred(_ink(grey, background, inverted))
    return np.rint(grey * 255).astype(np.uint8), inverted, centred


def _ink(grey: Grey, background: float, inverted: bool) -> Grey:
    """How much ink there is, 0 to 1, where it is brighter than the background."""
    contrast = float(grey.max()) - background
    if contrast < FAINTEST:
        kind, other = ("darker", "no") if inverted else ("brighter", "yes")
        raise BadInput(f"has no ink that is {kind} than its background; --invert {other} looks for the other kind")
    ink = np.clip((grey - background) / contrast, 0, 1)
    return np.where(ink < SMUDGE, 0.0, ink)


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


def _pictures_of(path: Path, room: int) -> Iterator[tuple[int | None, Grey]]:
    """Index and grey values of the pictures in a file. Raises `BadInput` and `RunError`, naming it."""
    with files.explained("read", path):
        size = path.stat().st_size
    if size > LARGEST_FILE:
        raise BadInput(f"{path}: is {size:,} bytes, allowed: {LARGEST_FILE:,}")
    content = files.read_bytes(path)
    try:
        array = _array(content) if content.startswith(np.lib.format.MAGIC_PREFIX) else _decoded(content)[np.newaxis]
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    except MemoryError:  # what was promised was held against the limits: it says nothing of the file
        raise
    except Exception as error:  # whatever Pillow and numpy make of a file that is not what it says
        kind = "is empty" if not content else f"can't be read: {_reason(error)}"
        raise BadInput(f"{path}: {kind}; allowed: PNG, JPEG, or an array in numpy's .npy format") from error
    single = array.ndim == 2 or not content.startswith(np.lib.format.MAGIC_PREFIX)
    array = array.reshape(-1, *array.shape[-2:])
    if len(array) > room:
        raise BadInput(f"{path}: makes more than {MOST_PICTURES:,} pictures in all")
    for index, values in enumerate(array):
        yield None if single else index, values / 255 if values.dtype == np.uint8 else values.astype(np.float64)


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "it is of no known kind"
    return " ".join(str(error).split()) or type(error).__name__


def _array(content: bytes) -> NDArray[Any]:
    """An array (28, 28) or (n, 28, 28), uint8 or a float type from 0 to 1."""
    if wrong := npy_header.complaint(content):
        raise BadInput(wrong)
    array: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    if array.shape[-2:] != (SIDE, SIDE) or array.ndim not in (2, 3) or not array.size:
        raise BadInput(f"holds an array of shape {array.shape}, allowed: (28, 28) or (n, 28, 28)")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise BadInput(f"holds {array.dtype} values, allowed: uint8, or floats from 0 to 1")
    if array.dtype != np.uint8 and not (array.min() >= 0 and array.max() <= 1):
        raise BadInput(f"holds floats from {array.min():g} to {array.max():g}, allowed: 0 to 1")
    return array


def _decoded(content: bytes) -> Grey:
    """A PNG or JPEG, the right way up; of an animation the first picture."""
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
    return np.asarray(grey, np.float64) / white


def _grey(image: "Image") -> tuple["Image", int]:
    """A picture in shades of grey, what is transparent as white paper; and the value of white."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel
        values = np.asarray(image).astype(np.int32)
        if "transparency" in image.info:
            values[values == image.info["transparency"]] = 65535
        return Image.fromarray(values), 65535
    if not image.has_transparency_data:
        return image.convert("L"), 255
    layered = image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    paper = Image.new("L", image.size, 255)
    paper.paste(layered.convert("L"), mask=layered.getchannel("A"))
    return paper, 255


def _size(grey: Grey) -> str:
    return f"{grey.shape[1]} x {grey.shape[0]}"
