"""Find the digits at a path: a file or a folder, in any supported form, recognized by its content."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.archives import find_npz, holds_one_array, read_array
from mnistexp.data.content import Tick, format_of, refuse
from mnistexp.data.folders import find_class_folders, is_picture
from mnistexp.data.idx import read_idx
from mnistexp.data.names import pair, pairs, part_of, role_of, set_of
from mnistexp.data.part import Found, RawDigits
from mnistexp.data.pictures import decode_file
from mnistexp.data.tables import read_csv, read_parquet
from mnistexp.errors import BadInput, nearest

NAMED = ("embedded", "unseen", "openml")
"""Sources that are no files; `packaged.py` gives them."""
FORMS = ".npz, .npy pairs, IDX, CSV, Parquet, or folders of PNG or JPEG files, one a class"
INNER = ("raw", "gzip", "mnist", "emnist", "fashionmnist", "kmnist", "data", "matlab")
"""Folders that downloads and unpackers put around the files."""
MOST_FILES = 2000


def find_source(source: str) -> Found:
    """What is at a path, nothing of it read yet. Raises `BadInput` where nothing is, or nothing that is read."""
    path = Path(source)
    try:
        path = path.expanduser()
        if path.is_dir():
            return _folder(path, "") or _empty(path)
        if path.exists():
            return _file(path)
        prefix = f"{path.name}-"
        parts_of_it = len(path.parts) > 1 and path.parent.is_dir()
        if parts_of_it and any(entry.name.startswith(prefix) for entry in path.parent.iterdir()):
            return _folder(path.parent, path.name) or _empty(path.parent)
        folder = path.parent
        beside = [str(entry) for entry in folder.iterdir() if entry != path] if folder.is_dir() else []
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(f"{source!r} can't be read: {error}") from error
    raise BadInput(
        f"{source!r} doesn't exist; allowed: {', '.join(NAMED)}, or a path: {FORMS}"
        f"{nearest(str(path), [*NAMED, *beside])}"
    )


def _empty(folder: Path) -> Found:
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    held = ", ".join(names[:5]) + ("..." if len(names) > 5 else "")
    wanted = "train-images-idx3-ubyte"
    raise refuse(folder, f"holds {held or 'nothing'}", f"allowed: {FORMS}{nearest(wanted, names)}")


def _file(path: Path) -> Found:
    kind = format_of(path)
    if kind == "npz" and not holds_one_array(path):
        return find_npz(path)
    if kind == "picture":
        return Found("pictures", lambda _: RawDigits([decode_file(path)], None, (path,)), named=True)
    if kind in TABLES:
        return _tables(kind, [path], _test_beside(path), named=True)
    if role_of(path.stem) == "labels":
        raise refuse(path, "a file of labels", "name the pictures' file, or the folder that holds both")
    if kind == "idx":
        around = path.parent.parent if path.parent.name == path.name else path.parent
        beside = {other.name: other for other in _files(around) if set_of(other.name) == set_of(path.name)}
    else:
        beside = {other.stem: other for other in sorted(path.parent.glob(f"*{path.suffix}"))}
    part = part_of(path.stem)
    labels, test = pair(beside, part)[1], pair(beside, "test") if part != "test" else (None, None)
    return _arrays("idx" if kind == "idx" else "npy", (path, labels), test, named=True)


def _arrays(
    form: str, main: tuple[Path, Path | None], test: tuple[Path | None, Path | None], *, named: bool = False
) -> Found:
    """Pairs of files of pictures and labels; a test part counts with its labels only."""
    emnist = form == "idx" and any(path.name.lower().startswith("emnist") for path in (main[0], main[0].parent))
    found = Found(form, partial(_pair, form, *main), named=named, stored_transposed=emnist)
    images, labels = test
    if images is None or labels is None:
        return found
    return replace(found, test=partial(_pair, form, images, labels), test_name=images.name)


def _pair(form: str, images: Path, labels: Path | None, tick: Tick) -> RawDigits:
    read: Callable[[Path, Tick], NDArray[Any]] = read_idx if form == "idx" else read_array
    pictures, classes = read(images, tick), None if labels is None else read(labels, tick)
    if pictures.ndim == 2 and pictures.shape[0] == pictures.shape[1] != 784 and (classes is None or classes.size == 1):
        pictures = pictures[np.newaxis]  # a single picture
    return RawDigits(pictures, classes)


TABLES: Mapping[str, tuple[str, Callable[[Path, Tick], RawDigits]]] = {
    "text": ("csv", read_csv),
    "parquet": ("parquet", read_parquet),
}
"""Kinds of tables: the form, and what reads it."""


def _tables(kind: str, main: Sequence[Path], test: Sequence[Path], *, named: bool = False) -> Found:
    form, read = TABLES[kind]
    own = partial(_joined, read, test) if test else None
    return Found(form, partial(_joined, read, main), own, test[0].name if test else "", named)


def _joined(read: Callable[[Path, Tick], RawDigits], paths: Sequence[Path], tick: Tick) -> RawDigits:
    """One part that is in several files, as Parquet's often are."""
    parts = [read(path, tick) for path in paths]
    if len(parts) == 1:
        return parts[0]
    labels = [part.labels for part in parts if part.labels is not None]
    joined = np.concatenate(labels) if len(labels) == len(parts) else None
    return RawDigits(list(chain(*(part.images for part in parts))), joined, class_names=parts[0].class_names)


def _test_beside(path: Path) -> list[Path]:
    """The table of test digits beside one of training digits: `mnist_test.csv` beside `mnist_train.csv`."""
    named = re.fullmatch(r"(.*)train(ing)?(.*)", path.name, re.IGNORECASE) if part_of(path.stem) == "train" else None
    if not named:
        return []
    names = (f"{named[1]}test{ending}{named[3]}" for ending in dict.fromkeys((named[2] or "", "")))
    return [other for name in names if (other := path.with_name(name)).is_file()][:1]


def _files(folder: Path) -> list[Path]:
    """The files of a folder, and those in folders that an unpacker named like them."""
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)[:MOST_FILES]:
        if entry.name.startswith(".") or is_picture(entry):
            continue
        if entry.is_file():
            found.append(entry)
        elif entry.is_dir() and role_of(entry.name):
            found += [inner for inner in sorted(entry.iterdir()) if inner.is_file() and role_of(inner.name)]
    return found


def _folder(folder: Path, prefix: str) -> Found | None:
    """What a folder holds, itself or in the folder that a download put into it; files of the set `prefix` only."""
    files = [path for path in _files(folder) if not prefix or set_of(path.name) == prefix]
    for find in (_idx_files, _array_files, _table_files):
        if files and (found := find(folder, files)):
            return found
    if found := find_class_folders(folder):
        return found
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and inner.name.lower() in INNER and (found := _folder(inner, prefix)):
            return found
    return None


def _idx_files(folder: Path, files: Sequence[Path]) -> Found | None:
    named = {path.name: path for path in files if role_of(path.name) and re.search("ubyte|idx", path.name.lower())}
    sets = sorted({set_of(name) for name in named if role_of(name) == "images"})
    if len(sets) > 1:
        raise refuse(folder, f"holds several sets: {', '.join(sets)}", f"name one of them, such as {folder / sets[0]}")
    if not named:
        return None
    found = pairs(named)
    if not found:
        only = next(iter(named))
        raise refuse(folder, f"holds {only} and no pictures", "add train-images-idx3-ubyte, gzipped or not")
    part, (images, labels) = next(iter(found.items()))
    if labels is None:
        wanted = images.name.replace("images", "labels").replace("idx3", "idx1")
        names = [path.name for path in files if path != images]
        raise refuse(folder, f"holds {images.name} and no {wanted}", f"add the labels{nearest(wanted, names)}")
    return _arrays("idx", (images, labels), pair(named, "test") if part != "test" else (None, None))


def _array_files(folder: Path, files: Sequence[Path]) -> Found | None:
    arrays = {path.stem: path for path in files if path.suffix.lower() in (".npy", ".npz")}
    only = next(iter(arrays.values()), None)
    if only is None:
        return None
    if len(arrays) == 1 and only.suffix.lower() == ".npz":
        return _file(only)
    found = {part: both for part, both in pairs(arrays).items() if both[1]}
    if not found:
        told = f"holds {', '.join(path.name for path in arrays.values())}, no pair of pictures and labels"
        raise refuse(folder, told, "allowed: x_train.npy and y_train.npy, or images.npy and labels.npy")
    part, main = next(iter(found.items()))
    return _arrays("npy", main, pair(arrays, "test") if part != "test" else (None, None))


def _table_files(folder: Path, files: Sequence[Path]) -> Found | None:
    tables = [(part_of(path.name), kind, path) for path in files if (kind := _table_kind(path))]
    main = next((one for part in ("train", "", "test") for one in tables if one[0] == part), None)
    if main is None:
        return None
    part, kind, _ = main

    def of(part: str | None) -> list[Path]:
        return [path for its, its_kind, path in tables if (its, its_kind) == (part, kind)]

    if len(of(part)) > 1 and kind == "text":
        names = ", ".join(path.name for path in of(part)[:5])
        raise refuse(folder, f"holds several tables: {names}", "name one of them")
    return _tables(kind, of(part), of("test") if part != "test" else [])


def _table_kind(path: Path) -> str:
    suffixes = {suffix.lower() for suffix in path.suffixes}
    return "parquet" if ".parquet" in suffixes else "text" if {".csv", ".tsv"} & suffixes else ""
