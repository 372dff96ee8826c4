"""Arrays of numpy's making: `.npz` archives under the usual names, and `.npy` files in pairs."""

from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from numpy.typing import NDArray

from mnistexp.data.content import AGAIN, LIMIT, Tick, format_of, read, refuse
from mnistexp.data.names import pairs, role_of
from mnistexp.data.npy import read_npy
from mnistexp.data.part import Found, RawDigits
from mnistexp.errors import BadInput

NPZ_NAMES = "x_train/y_train, train_images/train_labels, images/labels, X/y, data/target, and x_test/y_test beside them"
SAVE_AGAIN = f"save it again as a plain array (`numpy.savez(path, images=images, labels=labels)`), or {AGAIN}"
PIECE = 8 * 2**20


def find_npz(path: Path) -> Found:
    """The parts of a `.npz` archive. Raises `BadInput` where it holds none."""
    names = _entries(path)
    stems = {name.removesuffix(".npy"): name for name in names}
    found = pairs(stems)
    if not found:
        unnamed = [name for name in names if name.startswith("arr_")]
        if not unnamed:
            raise refuse(path, f"holds {', '.join(stems) or 'nothing'}", f"allowed: {NPZ_NAMES}")
        return Found("npz", partial(_unnamed, path, unnamed))
    (_, main), *rest = found.items()
    own = dict(rest).get("test")
    if own is None:
        return Found("npz", partial(_pair, path, *main))
    return Found("npz", partial(_pair, path, *main), partial(_pair, path, *own), own[0].removesuffix(".npy"))


def _pair(path: Path, images: str, labels: str | None, tick: Tick) -> RawDigits:
    return RawDigits(_entry(path, images, tick), None if labels is None else _entry(path, labels, tick))


def _unnamed(path: Path, names: list[str], tick: Tick) -> RawDigits:
    """Arrays that were saved without names: the first of pictures, and the first of labels."""
    arrays = [_entry(path, name, tick) for name in names]
    images = next((array for array in arrays if array.ndim > 1 and array[0].size > 100), None)
    if images is None:
        raise refuse(path, f"holds {', '.join(names)}, none of them pictures", f"allowed: {NPZ_NAMES}")
    return RawDigits(images, next((array for array in arrays if array is not images), None))


def _entries(path: Path) -> list[str]:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, BadZipFile, ValueError, NotImplementedError) as error:
        raise refuse(path, f"not a readable .npz file ({error})", AGAIN) from error
    arrays = [name for name in names if name.endswith(".npy")]
    if names and not arrays:
        raise refuse(path, f"a zip archive of {names[0]}, not an .npz", "unpack it and name the file or folder in it")
    return arrays


def _entry(path: Path, name: str, tick: Tick) -> NDArray[Any]:
    """One array of an archive, read to its end, where its checksum is verified."""
    content = []
    try:
        with ZipFile(path) as archive, archive.open(name) as file:
            size = archive.getinfo(name).file_size
            if size > LIMIT:
                told = f"{name} takes {size:,} bytes; at most {LIMIT:,}"
                raise refuse(path, told, "save the pictures as uint8, or a part of them")
            while piece := file.read(PIECE):
                content.append(piece)
                tick(file.tell() / max(size, 1))
    except BadInput:
        raise
    except Exception as error:  # whatever zipfile and its decompressors make of a file that is not what it says
        raise refuse(path, f"{name} is damaged ({error or type(error).__name__})", AGAIN) from error
    return _plain(f"{path}: {name}", b"".join(content))


def _plain(name: str, content: bytes) -> NDArray[Any]:
    try:
        return read_npy(content)
    except ValueError as error:
        raise refuse(name, str(error), SAVE_AGAIN) from error


def read_array(path: Path, tick: Tick) -> NDArray[Any]:
    """The array of a `.npy` file, or the only one of a `.npz` archive, of any shape and dtype."""
    if format_of(path) == "npy":
        return _plain(str(path), read(path, tick))
    names = _entries(path)
    if len(names) != 1:
        raise refuse(path, f"holds {len(names)} arrays where one is expected", SAVE_AGAIN)
    return _entry(path, names[0], tick)


def holds_one_array(path: Path) -> bool:
    """Whether a `.npz` archive holds one array without a name, as Kuzushiji-MNIST's do."""
    names = _entries(path)
    return len(names) == 1 and role_of(names[0].removesuffix(".npy")) is None
