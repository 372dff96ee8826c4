"""Conversion of grey values of any usual form to 0 to 255, and of labels to classes; each change is reported."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.errors import BadInput, show

MOST_CLASSES = 100
AT_ONCE = 4096
LARGEST_SIDE = 1024
COLOURS = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in a grey value, by ITU-R BT.601, as Pillow has them."""
Pictures = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]
"""Grey values uint8 (n, h, w), or of pictures that differ in size (h, w) each."""


def grey(images: Any, source: str) -> tuple[Pictures, list[str]]:
    """Pictures of any usual form as grey values from 0 to 255, and what was converted for that.

    Raises `BadInput` for shapes and values that are not those of pictures, with the remedy.
    """
    if isinstance(images, np.ndarray):
        images, told = _shaped(images, source)
    else:
        shaped = [_single(np.asarray(image), source) for image in images]
        told = []
        images = np.stack(shaped) if len({image.shape for image in shaped}) == 1 else shaped
    if not len(images):
        raise BadInput(f"{source}: holds no pictures; allowed: at least one")
    found, more = _scaled(images, source)
    return found, [*told, *more]


def _single(image: NDArray[Any], source: str) -> NDArray[Any]:
    """One picture of a column of such: rows of lists, or (h, w, 1)."""
    if image.dtype == object or image.ndim not in (2, 3) or not image.size:
        raise BadInput(f"{source}: a picture has the shape {image.shape}, allowed: (h, w)")
    return image if image.ndim == 2 else _without_colours(image[np.newaxis], source)[0][0]


def _shaped(images: NDArray[Any], source: str) -> tuple[NDArray[Any], list[str]]:
    """Any usual shape as (n, h, w)."""
    shape = images.shape
    allowed = "allowed: (n, 28, 28), (n, 28, 28, 1), (n, 784), or pictures of another size"
    if images.dtype.kind not in "buif":
        raise BadInput(f"{source}: the pictures are {_kind(images)}; save them as numbers, such as uint8 from 0 to 255")
    if images.ndim == 4:
        return _without_colours(images, source)
    if images.ndim == 2:
        side = math.isqrt(shape[1])
        if side * side != shape[1] or side < 4:
            raise BadInput(f"{source}: the pictures have the shape {shape}; {allowed}")
        told = [] if side == 28 else [f"rows of {shape[1]} pixels as {side} x {side}"]
        return images.reshape(shape[0], side, side), told
    if images.ndim != 3:
        raise BadInput(f"{source}: the pictures have the shape {shape}; {allowed}")
    if shape[0] == shape[1] != shape[2]:
        remedy = "move the last axis to the front: numpy.moveaxis(images, -1, 0)"
        raise BadInput(f"{source}: the pictures have the shape {shape}, the number of pictures last; {remedy}")
    if not 4 <= min(shape[1:]) <= max(shape[1:]) <= LARGEST_SIDE:
        raise BadInput(
            f"{source}: the pictures have the shape {shape}; {allowed}, of 4 to {LARGEST_SIDE} pixels a side"
        )
    return images, []


def _without_colours(images: NDArray[Any], source: str) -> tuple[NDArray[Any], list[str]]:
    """(n, h, w, 1), (n, 1, h, w), and colours (n, h, w, 3) or (n, 3, h, w) as (n, h, w)."""
    shape = images.shape
    if shape[3] == 1:
        return images[..., 0], []
    if shape[1] == 1:
        return images[:, 0], ["channels first as (n, h, w)"]
    if shape[1] in (3, 4) and shape[3] > 4:
        images = np.moveaxis(images, 1, -1)
    if images.shape[3] in (3, 4):
        weighted = images[..., :3] @ COLOURS
        whole = np.rint(weighted).astype(images.dtype) if images.dtype.kind in "ui" else weighted
        return whole, ["colours to grey"]
    raise BadInput(f"{source}: the pictures have the shape {shape}, allowed: (n, h, w), or one or three channels")


def _kind(array: NDArray[Any]) -> str:
    kinds = {"U": "text", "S": "text", "O": "Python objects", "c": "complex numbers", "M": "dates"}
    return kinds.get(array.dtype.kind, str(array.dtype))


def _scaled(images: Any, source: str) -> tuple[Pictures, list[str]]:
    """Grey values of any usual range as uint8 from 0 to 255."""
    joined = isinstance(images, np.ndarray)
    blocks = [images[start : start + AT_ONCE] for start in range(0, len(images), AT_ONCE)] if joined else images
    low, high, whole = _range(blocks, source)
    factor, offset, told = _scale(low, high, source, whole=whole)
    if factor == 1 and not whole:
        told = ["fractions of grey values rounded"]
    elif factor == 1 and all(block.dtype == np.uint8 for block in blocks):
        return images, told
    found = [_bytes(block, factor, offset) for block in blocks]
    return (np.concatenate(found) if joined else found), told


def _bytes(images: NDArray[Any], factor: float, offset: float) -> NDArray[np.uint8]:
    if factor == 1 and images.dtype.kind in "uib":
        return images.astype(np.uint8)
    return np.rint((images.astype(np.float64) + offset) * factor).astype(np.uint8)


def _range(blocks: Sequence[NDArray[Any]], source: str) -> tuple[float, float, bool]:
    """The least and greatest value, and whether all are whole. Raises `BadInput` for values that aren't numbers."""
    if odd := [block for block in blocks if block.dtype.kind not in "buif"]:
        raise BadInput(f"{source}: the pictures are {_kind(odd[0])}; save them as numbers, such as uint8")
    low, high = (float(most([most(block) for block in blocks])) for most in (np.min, np.max))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadInput(
            f"{source}: a picture holds {high if math.isfinite(low) else low}, not a number; "
            "replace missing values, such as with numpy.nan_to_num"
        )
    return low, high, not any(block.dtype.kind == "f" and np.any(block % 1) for block in blocks)


def _scale(low: float, high: float, source: str, *, whole: bool) -> tuple[float, float, list[str]]:
    """What grey values are multiplied by, after an offset, to go from 0 to 255."""
    span = f"grey values {low:g} to {high:g}"
    if low < 0:
        if not whole and low >= -1 and high <= 1:
            return 127.5, 1.0, [f"{span} read as -1 to 1 and scaled to 0-255"]
        remedy = (
            "if they were standardised, undo that" if not whole else "if they were saved as int8, view them as uint8"
        )
        raise BadInput(f"{source}: the pictures hold {low:g} to {high:g}, allowed: 0 to 255, or 0 to 1; {remedy}")
    if low == high <= 255:  # blank
        return 1.0, 0.0, []
    if high <= 1:
        return 255.0, 0.0, [f"{span} scaled to 0-255"]
    if high > 65535:
        raise BadInput(f"{source}: the pictures hold {low:g} to {high:g}, allowed: 0 to 255, or 0 to 1; scale them")
    if high > 255:
        if high <= 256:
            raise BadInput(f"{source}: the pictures hold {low:g} to {high:g}, allowed: 0 to 255; is it off by one?")
        return 255 / 65535, 0.0, [f"{span} read as 16 bits and scaled to 0-255"]
    if high < 128:
        return 255 / high, 0.0, [f"{span} stretched to 0-255"]
    return 1.0, 0.0, []


def plain_labels(labels: NDArray[Any], source: str, *, folders: bool = False) -> tuple[NDArray[Any], list[str]]:
    """Labels of any usual form as int64 or text (n,), and what was converted. Raises `BadInput` for any other.

    `folders`: they are names of folders, which are text in any case.
    """
    told = []
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels, told = labels[:, 0], [f"labels of shape {labels.shape} as ({len(labels)},)"]
    if labels.ndim == 2 and labels.dtype.kind in "buif" and ((labels == 0) | (labels == 1)).all():
        if not (labels.sum(axis=1) == 1).all():
            raise BadInput(f"{source}: rows of labels with several ones or none; allowed: one class for each picture")
        return labels.argmax(axis=1).astype(np.int64), [
            *told,
            f"one-hot labels of {labels.shape[1]} classes as numbers",
        ]
    if labels.ndim != 1:
        raise BadInput(
            f"{source}: the labels have the shape {labels.shape}, allowed: (n,), (n, 1), or one-hot rows of 0 and 1; "
            "for probabilities, use labels.argmax(axis=1)"
        )
    if labels.dtype.kind in "OSU":
        labels, more = _text_labels(labels, source)
        return labels, told if folders else [*told, *more]
    if labels.dtype.kind not in "buif":
        raise BadInput(f"{source}: the labels are {_kind(labels)}; save them as whole numbers or text")
    if labels.dtype.kind == "f":
        if not np.isfinite(labels).all() or np.any(labels % 1):
            odd = next(value for value in labels.tolist() if not math.isfinite(value) or value % 1)
            raise BadInput(f"{source}: a label is {odd}, allowed: whole numbers or text; leave out unlabelled pictures")
        told.append(f"{labels.dtype} labels as whole numbers")
    if len(labels) and labels.min() < 0:
        raise BadInput(f"{source}: the labels contain {labels.min()}, allowed: 0 and above; remove unlabelled images")
    return labels.astype(np.int64), told


def _text_labels(labels: NDArray[Any], source: str) -> tuple[NDArray[Any], list[str]]:
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in labels.tolist()]
    if odd := [
        value for value in texts if not isinstance(value, str | int) or (isinstance(value, str) and not value.strip())
    ]:
        raise BadInput(
            f"{source}: a label is {show(odd[0])}, allowed: a whole number or text; leave out unlabelled pictures"
        )
    stripped = [str(value).strip() for value in texts]
    try:
        numbers = np.array([int(text.removesuffix(".0")) for text in stripped], np.int64)
    except (ValueError, OverflowError):
        return np.array(stripped), []
    if (numbers < 0).any():
        raise BadInput(f"{source}: the labels contain {numbers.min()}, allowed: 0 and above; remove unlabelled images")
    return numbers, ["digits in text as numbers"]


@dataclass(frozen=True)
class Classes:
    """The classes of a set, in the order of the network's outputs: `keys` as the labels write them, `names` to show."""

    keys: tuple[str, ...] = tuple("0123456789")
    names: tuple[str, ...] = tuple("0123456789")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def digits(self) -> bool:
        """Whether these are digits by their keys, whatever they are called."""
        return len(self) >= 5 and set(self.keys) <= set("0123456789")

    def numbers(self, labels: NDArray[Any], source: str) -> NDArray[np.int64]:
        """Labels int64 or text (n,) as places in `keys`, int64 (n,). Raises `BadInput` for other labels."""
        keys, back = np.unique(labels, return_inverse=True)
        texts = [str(key) for key in keys.tolist()]
        by_name = {name.lower(): place for place, name in enumerate(self.names)}
        places = {key: place for place, key in enumerate(self.keys)}
        unknown = [text for text in texts if text not in places and text.lower() not in by_name]
        if unknown:
            known = ", ".join(self.keys[:12]) + ("..." if len(self) > 12 else "")
            raise BadInput(f"{source}: has the label {unknown[0]!r}, allowed: the {len(self)} classes {known}")
        found = np.array([places.get(text, by_name.get(text.lower(), -1)) for text in texts], np.int64)
        numbers: NDArray[np.int64] = found[back.reshape(-1)]
        return numbers


def classes_of(
    labels: NDArray[Any], source: str, names: Sequence[str] = (), found_names: Sequence[str] = ()
) -> tuple[Classes, list[str]]:
    """The classes that labels int64 or text (n,) have, in order, and messages about them.

    `names`: what the user calls them, `found_names`: what the source does. Raises `BadInput` for fewer than 2 or more
    than `MOST_CLASSES` of them, and for names that don't fit.
    """
    present = np.unique(labels).tolist()
    called = tuple(names) or tuple(found_names)
    if len(present) > MOST_CLASSES:
        more = "; are these the labels, or another column?"
        raise BadInput(
            f"{source}: the labels hold {len(present):,} different values, allowed: 2 to {MOST_CLASSES}{more}"
        )
    if isinstance(present[0], int):
        top = len(called) if called and present[-1] < len(called) else 0
        keys = tuple(map(str, range(top))) if top else tuple(map(str, present))
    else:
        by_name = {str(name).lower(): str(name) for name in called}
        if names and not all(str(key).lower() in by_name for key in present):
            odd = next(key for key in present if str(key).lower() not in by_name)
            raise BadInput(f"data.class_names: lacks {odd!r}, a label of {source}; allowed: the labels, in their order")
        keys = tuple(called) if names else tuple(map(str, present))
    if len(keys) < 2:
        raise BadInput(f"{source}: all labels are {keys[0]!r}; allowed: 2 to {MOST_CLASSES} classes")
    if names and len(names) != len(keys):
        raise BadInput(f"data.class_names: {len(names)} names, allowed: {len(keys)}, one for each class of {source}")
    if len(called) != len(keys):
        called = keys
    told = []
    if isinstance(present[0], int) and keys != tuple(map(str, range(len(keys)))):
        span = (
            f"{keys[0]} to {keys[-1]}" if present == list(range(present[0], present[-1] + 1)) else ", ".join(keys[:12])
        )
        told = [f"labels {span} numbered from 0"]
    return Classes(keys, called), told
