"""The pictures that `predict` is asked about: files of pictures, and every form that training takes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.part import Found, opened
from mnistexp.data.ready import make_ready
from mnistexp.data.sources import find_source
from mnistexp.errors import BadInput, MnistexpError

MOST_PICTURES = 100_000
MOST_PROBLEMS = 20


@dataclass(frozen=True, eq=False)
class DigitPicture:
    """One digit as the network takes it: `pixels` uint8 (28, 28), 0 the background.

    `file` is where it came from, `index` its place in a file of several. `inverted`: dark ink was made bright.
    `centred`: it was scaled and moved as MNIST's digits were.
    """

    file: Path
    index: int | None
    pixels: NDArray[np.uint8]
    inverted: bool
    centred: bool

    @property
    def name(self) -> str:
        """The path, and in a file of several the index behind it: `digits.npy[3]`."""
        return str(self.file) if self.index is None else f"{self.file}[{self.index}]"


def read_pictures(
    paths: Sequence[Path],
    invert: bool | Literal["auto"] = "auto",
    centre: bool | None = None,
    transposed: str = "",
) -> list[DigitPicture]:
    """The pictures in files and folders, in order: PNG, JPEG, and every source that `--data` takes, labels ignored.

    `invert`, `centre`: see `make_ready`. `transposed`: the form, such as idx, whose pictures have rows and columns
    exchanged. Raises `BadInput` with the problems of all files.
    """
    pictures: list[DigitPicture] = []
    problems: list[str] = []
    for path in paths:
        try:
            pictures += _pictures(path, invert, centre, transposed, MOST_PICTURES - len(pictures))
        except BadInput as error:
            problems += str(error).splitlines()
        except MnistexpError as error:
            problems.append(str(error))
    if problems:
        more = len(problems) - MOST_PROBLEMS
        raise BadInput("\n".join([*problems[:MOST_PROBLEMS], *([f"... and {more} more problems"] if more > 0 else [])]))
    return pictures


def _found(path: Path) -> Found:
    try:
        return find_source(str(path))
    except BadInput:
        if not os.path.lexists(path):
            raise BadInput(f"{path}: no such file or folder") from None
        raise


def _pictures(
    path: Path, invert: bool | Literal["auto"], centre: bool | None, transposed: str, room: int
) -> list[DigitPicture]:
    found = _found(path)
    part = opened(found.judged or found.main, str(path), lambda _: None)
    if len(part.images) > room:
        raise BadInput(f"{path}: more than {MOST_PICTURES:,} pictures in all; give fewer files")
    single = found.form == "pictures" or (len(part.images) == 1 and found.form == "npy" and part.labels is None)
    files = part.files or (path,) * len(part.images)
    names = [str(file) if single else f"{file}[{index}]" for index, file in enumerate(files)]
    ready = make_ready(
        part.images,
        str(path),
        invert=invert,
        transpose=found.form == transposed,
        centre=centre,
        need_ink=True,
        names=names,
    )
    made = zip(files, ready.images, ready.inverted, ready.centred, strict=True)
    return [
        DigitPicture(file, None if single else index, pixels, bool(inverted), bool(centred))
        for index, (file, pixels, inverted, centred) in enumerate(made)
    ]
