"""Folders of pictures, one folder a class."""

from collections.abc import Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np

from mnistexp.data.content import Tick, refuse
from mnistexp.data.names import natural, part_of
from mnistexp.data.part import Found, RawDigits
from mnistexp.data.pictures import decode_file

ENDINGS = (".png", ".jpg", ".jpeg")
OTHERS = (".bmp", ".gif", ".tif", ".tiff", ".webp", ".svg", ".heic", ".pgm")


def is_picture(path: Path) -> bool:
    """Whether a name ends as those of pictures do that are read."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def find_class_folders(folder: Path) -> Found | None:
    """The pictures of `folder`: `3/*.png`, or `train/3/*.png` with `test/3/*.png`; None where it holds none.

    Raises `BadInput` for pictures of other formats, or without folders that name their class.
    """
    parts = {part_of(sub.name): sub for sub in _folders(folder)}
    train, test = (_classes(parts[part]) if part in parts else [] for part in ("train", "test"))
    if main := train or test or _classes(folder):
        own = partial(_read, test) if train and test else None
        return Found("pictures", partial(_read, main), own, f"{parts['test'].name}/" if own else "")
    if loose := [path for path in folder.iterdir() if is_picture(path)]:
        return Found("pictures", partial(_read, [("", loose)]), named=True)
    others = [
        path
        for path in [*folder.iterdir(), *(p for sub in _folders(folder) for p in sub.iterdir())]
        if path.suffix.lower() in OTHERS
    ]
    if others:
        raise refuse(
            others[0], f"a {others[0].suffix.removeprefix('.').upper()} picture", "allowed: PNG, JPEG; save it as PNG"
        )
    return None


def _folders(folder: Path) -> list[Path]:
    return sorted(
        (sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith((".", "__"))),
        key=lambda sub: natural(sub.name),
    )


def _classes(folder: Path) -> list[tuple[str, list[Path]]]:
    """The folders of classes that hold pictures, by name."""
    found = [(sub.name, [path for path in sub.iterdir() if is_picture(path)]) for sub in _folders(folder)]
    return [(name, paths) for name, paths in found if paths]


def _read(classes: Sequence[tuple[str, list[Path]]], tick: Tick) -> RawDigits:
    """All pictures, in the order of their files' names and not class by class: the first ones are of all classes."""
    listed = [(natural(path.name), place, path) for place, (_, paths) in enumerate(classes) for path in paths]
    listed.sort(key=itemgetter(0, 1))
    images = []
    for number, (_, _, path) in enumerate(listed):
        if number % 100 == 0:
            tick(number / len(listed))
        images.append(decode_file(path))
    labels = np.array([classes[place][0] for _, place, _ in listed])
    named = any(name for name, _ in classes)
    return RawDigits(images, labels if named else None, tuple(path for _, _, path in listed), labels_as_folders=named)
