"""What the names of files and arrays say of them: pictures or labels, of the training or of the test part."""

import re
from collections.abc import Mapping
from typing import Literal, TypeVar

Role = Literal["images", "labels"]
PartName = Literal["train", "test", ""]
T = TypeVar("T")

LABEL_COLUMNS = ("label", "labels", "class", "target", "digit", "y")
"""What the column of the labels may be called, in any case."""
LABELS = re.compile(r"(?:^|[^a-z])(?:y|labels?|targets?|class(?:es)?)(?=[^a-z]|$|train|test)")
IMAGES = re.compile(r"(?:^|[^a-z])(?:x|images?|imgs?|pictures?|pixels?|data|digits|features?)(?=[^a-z]|$|train|test)")
TEST = re.compile(r"t10k|(?<![a-z])test(?:ing)?(?![a-z])|[xy]test")
TRAIN = re.compile(r"(?<![a-z])train(?:ing)?(?![a-z])|[xy]train")
OTHER = re.compile(r"(?<![a-z])val(?:id|idation)?(?![a-z])")
PART = re.compile(r"(?:[-_.]|^)(?:train(?:ing)?|test(?:ing)?|t10k)(?=[-_.]|$)")


def role_of(name: str) -> Role | None:
    """Whether a name such as `x_train` or `emnist-letters-test-labels-idx1-ubyte` is that of pictures or of labels."""
    lower = name.lower()
    return "labels" if LABELS.search(lower) else "images" if IMAGES.search(lower) else None


def part_of(name: str) -> PartName | None:
    """The part that a name is of; empty where it names none, None for a validation part, which is left alone."""
    lower = name.lower()
    if OTHER.search(lower):
        return None
    return "test" if TEST.search(lower) else "train" if TRAIN.search(lower) else ""


def set_of(name: str) -> str:
    """The name of the set in the name of a file: `emnist-letters` of `emnist-letters-train-images-idx3-ubyte`."""
    found = PART.search(name.lower())
    return name[: found.start()] if found else ""


def pair(things: Mapping[str, T], part: PartName | None) -> tuple[T | None, T | None]:
    """The first pictures and the first labels among named things of one part; of a validation part, None."""
    found: dict[Role | None, T] = {}
    for name, thing in things.items():
        if part is not None and part_of(name) == part:
            found.setdefault(role_of(name), thing)
    return found.get("images"), found.get("labels")


def pairs(things: Mapping[str, T]) -> dict[PartName, tuple[T, T | None]]:
    """Each part that has pictures, the one for training first, with pictures and labels as `pair` finds them."""
    parts: tuple[PartName, ...] = ("train", "", "test")
    found = {part: pair(things, part) for part in parts}
    return {part: (images, labels) for part, (images, labels) in found.items() if images is not None}


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key to sort names by, numbers in them by their value: `2.png` before `10.png`."""
    pieces = re.findall(r"\d+|\D+", name)
    return tuple((0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces)
