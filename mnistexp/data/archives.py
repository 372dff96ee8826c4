"""Arrays of numpy's making: `.npz` archives under the usual names, and `.npy` files in pairs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.content import AGAIN, LIMIT, Tick, kind_of, read, refuse
from mnistexp.data.names import PartName, pair, part_of, role_of
from mnistexp.data.npy import PLAIN, read_npy
from mnistexp.data.part import Found, Part
from mnistexp.errors import BadInput

__all__ = ["NPZ_NAMES", "find_npz", "read_array"]

NPZ_NAMES = "x_train/y_train, train_images/train_labels, images/labels, X/y, data/target, and x_test/y_test beside them"
PIECE = 8 * 2**20


def find_npz(path: Path) -> Found:
    """The parts of a `.npz` archive. Raises `BadInput` where it holds none."""
    names = _entries(path)
    stems = {name: name.removesuffix(".npy") for name in names}
    found: dict[PartName, tuple[str | None, str | None]] = {}
    for part in ("train", "", "test"):
        images, labels = pair(((stem, name) for name, stem in stems.items()), part)
        if images is not None:
            found[part] = images, labels
    unnamed = [name for name, stem in stems.items() if stem.startswith("arr_")]
    if not found and unnamed:
        return Found("npz", lambda tick: _unnamed(path, unnamed, tick))
    main = found.get("train") or found.get("") or found.get("test")
    if main is None:
        raise refuse(path, f"holds {', '.join(stems.values()) or 'nothing'}", f"allowed: {NPZ_NAMES}")
    test = found.get("test")
    own = None if test is None or test == main else _reader(path, *test)
    return Found("npz", _reader(path, *main), own, test_name=f"{(test or ('', ''))[0]}".removesuffix(".npy"))


def _reader(path: Path, images: str | None, labels: str | None) -> Callable[[Tick], Part]:
    def read_both(tick: Tick) -> Part:
        assert images is not None
        return Part(_entry(path, images, tick), None if labels is None else _entry(path, labels, tick))

    return read_both


def _unnamed(path: Path, names: list[str], tick: Tick) -> Part:
    """Arrays that were saved without names: the first of pictures, and the first of labels."""
    arrays = [_entry(path, name, tick) for name in names]
    images = next((array for array in arrays if array.ndim > 1 and array[0].size > 100), None)
    labels = next((array for array in arrays if array is not images), None)
    if images is None:
        raise refuse(path, f"holds {', '.join(names)}, none of them pictures", f"allowed: {NPZ_NAMES}")
    return Part(images, labels)


def _entries(path: Path) -> list[str]:
    try:
        with ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
    except (OSError, BadZipFile, ValueError, NotImplementedError) as error:
        raise refuse(path, f"not a readable .npz file ({error})", AGAIN) from error
    arrays = [name for name in names if name.endswith(".npy")]
    if names and not arrays:
        raise refuse(path, f"a zip archive of {names[0]}, not an .npz", "unpack it and name the file or folder in it")
    return arrays


def _entry(path: Path, name: str, tick: Tick) -> NDArray[Any]:
    """One array of an archive, read to its end, where its checksum is verified."""
    try:
        with ZipFile(path) as archive:
            entry = archive.getinfo(name)
            if entry.file_size > LIMIT:
                told = f"{name} takes {entry.file_size:,} bytes; at most {LIMIT:,}"
                raise refuse(path, told, "save the pictures as uint8, or a part of them")
            raw = _unpacked(archive, entry, tick)
    except BadInput:
        raise
    except Exception as error:  # whatever zipfile and its decompressors make of a file that is not what it says
        raise refuse(path, f"{name} is damaged ({error or type(error).__name__})", AGAIN) from error
    return read_npy(raw, f"{path}: {name}")


def _unpacked(archive: ZipFile, entry: ZipInfo, tick: Tick) -> bytes:
    read = []
    with archive.open(entry) as file:
        while piece := file.read(PIECE):
            read.append(piece)
            tick(file.tell() / max(entry.file_size, 1))
    return b"".join(read)


def read_array(path: Path, tick: Tick) -> NDArray[Any]:
    """The array of a `.npy` file, or the only one of a `.npz` archive, of any shape and dtype."""
    if kind_of(path) == "npy":
        return read_npy(read(path, tick), str(path))
    names = _entries(path)
    if len(names) != 1:
        raise refuse(path, f"holds {len(names)} arrays where one is expected", PLAIN)
    return _entry(path, names[0], tick)


def single(path: Path) -> bool:
    """Whether a `.npz` archive holds one array without a name, as Kuzushiji-MNIST's do."""
    names = _entries(path)
    return len(names) == 1 and role_of(names[0].removesuffix(".npy")) is None


def partner(path: Path, candidates: Mapping[str, Path]) -> Path | None:
    """The file of labels that belongs to a file of pictures: of the same part, by its name."""
    part = part_of(path.stem)
    return None if part is None else pair(candidates.items(), part)[1]


def as_part(images: NDArray[Any], labels: NDArray[Any] | None) -> Part:
    """Pictures and labels of any dtype as a part; a single picture (h, w) is one of one."""
    if images.ndim == 2 and images.shape[0] == images.shape[1] != 784 and (labels is None or labels.size == 1):
        return Part(images[np.newaxis], labels)
    return Part(images, labels)
