"""Find the digits at a path: a file or a folder, in any supported form, recognized by its content."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mnistexp.data.archives import as_part, find_npz, partner, read_array, single
from mnistexp.data.content import Kind, Tick, kind_of, refuse
from mnistexp.data.folders import find_class_folders, is_picture
from mnistexp.data.idx import read_idx
from mnistexp.data.names import pair, part_of, role_of, set_of
from mnistexp.data.part import Found, Part, Read
from mnistexp.data.pictures import decode_file
from mnistexp.data.tables import read_csv, read_parquet
from mnistexp.errors import BadInput, nearest

__all__ = ["FORMS", "NAMED", "find_source"]

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
        f"{source!r} is not there; allowed: {', '.join(NAMED)}, or a path: {FORMS}"
        f"{nearest(str(path), [*NAMED, *beside])}"
    )


def _empty(folder: Path) -> Found:
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    held = ", ".join(names[:5]) + ("..." if len(names) > 5 else "")
    wanted = "train-images-idx3-ubyte"
    raise refuse(folder, f"holds {held or 'nothing'}", f"allowed: {FORMS}{nearest(wanted, names)}")


def _file(path: Path) -> Found:
    kind = kind_of(path)
    if kind == "npz":
        return _arrays_named(path) if single(path) else find_npz(path)
    if kind == "npy":
        return _arrays_named(path)
    if kind == "idx":
        return _idx_named(path)
    if kind == "picture":
        return Found("pictures", lambda _: Part([decode_file(path)], None, (path,)), named=True)
    reader = _reader(kind)
    other = _test_beside(path)
    test = None if other is None else (lambda tick: reader(other, tick))
    name = other.name if other else ""
    return Found("parquet" if kind == "parquet" else "csv", lambda tick: reader(path, tick), test, name, named=True)


def _reader(kind: Kind) -> Callable[[Path, Tick], Part]:
    return read_parquet if kind == "parquet" else read_csv


def _test_beside(path: Path) -> Path | None:
    """The table of test digits beside one of training digits: `mnist_test.csv` beside `mnist_train.csv`."""
    if part_of(path.stem) != "train":
        return None
    lower = path.name.lower()
    start = lower.rindex("train")
    for word in ("testing", "test") if lower.startswith("training", start) else ("test",):
        length = len("training") if lower.startswith("training", start) else len("train")
        other = path.with_name(path.name[:start] + word + path.name[start + length :])
        if other.is_file():
            return other
    return None


def _arrays_named(path: Path) -> Found:
    """A file of pictures that was named, and the labels that lie beside it."""
    if role_of(path.stem) == "labels":
        raise refuse(path, "a file of labels", "name the pictures' file, or the folder that holds both")
    beside = {other.stem: other for other in sorted(path.parent.glob(f"*{path.suffix}")) if other != path}
    labels = partner(path, beside)
    images, _ = pair(beside.items(), "test") if part_of(path.stem) in ("train", "") else (None, None)
    test = partner(images, beside) if images else None
    own = _arrays(images, test, read_array) if images and test else None
    return Found("npy", _arrays(path, labels, read_array), own, images.name if own and images else "", named=True)


def _arrays(images: Path, labels: Path | None, read: Callable[[Path, Tick], NDArray[Any]]) -> Read:
    """What reads a pair of files."""
    return lambda tick: as_part(read(images, tick), None if labels is None else read(labels, tick))


def _idx_named(path: Path) -> Found:
    if role_of(path.name) == "labels":
        raise refuse(path, "a file of labels", "name the pictures' file, or the folder that holds both")
    around = path.parent.parent if path.parent.name == path.name else path.parent
    beside = {other.name: other for other in _files(around) if set_of(other.name) == set_of(path.name)}
    labels = pair(beside.items(), part_of(path.name) or "")[1]
    images, test = pair(beside.items(), "test")
    own = _arrays(images, test, read_idx) if images and test and images != path else None
    emnist = path.name.lower().startswith("emnist")
    return Found("idx", _arrays(path, labels, read_idx), own, images.name if own and images else "", True, emnist)


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
    named = [
        path for path in files if role_of(path.name) and ("ubyte" in path.name.lower() or "idx" in path.name.lower())
    ]
    sets = sorted({set_of(path.name) for path in named if role_of(path.name) == "images"})
    if len(sets) > 1:
        example = folder / sets[0]
        raise refuse(folder, f"holds several sets: {', '.join(sets)}", f"name one of them, such as {example}")
    if not named:
        return None
    labels_of = {path.name: path for path in named}
    pairs = {part: pair(labels_of.items(), part) for part in ("train", "", "test")}
    main = next((part for part in ("train", "", "test") if pairs[part][0]), None)
    if main is None:
        raise refuse(folder, f"holds {named[0].name} and no pictures", "add train-images-idx3-ubyte, gzipped or not")
    images, labels = pairs[main]
    assert images is not None
    if labels is None:
        wanted = images.name.replace("images", "labels").replace("idx3", "idx1")
        names = [path.name for path in files if path != images]
        raise refuse(folder, f"holds {images.name} and no {wanted}", f"add the labels{nearest(wanted, names)}")
    test = pairs["test"] if main != "test" else (None, None)
    own = _arrays(test[0], test[1], read_idx) if test[0] and test[1] else None
    emnist = any(path.name.lower().startswith("emnist") for path in (images, folder))
    return Found("idx", _arrays(images, labels, read_idx), own, test[0].name if own and test[0] else "", False, emnist)


def _array_files(folder: Path, files: Sequence[Path]) -> Found | None:
    arrays = {path.stem: path for path in files if path.suffix.lower() in (".npy", ".npz")}
    if len(arrays) == 1 and (only := next(iter(arrays.values()))).suffix.lower() == ".npz":
        return _file(only)
    pairs = {part: pair(arrays.items(), part) for part in ("train", "", "test")}
    main = next((part for part in ("train", "", "test") if all(pairs[part])), None)
    if main is None:
        if arrays:
            told = f"holds {', '.join(path.name for path in arrays.values())}, no pair of pictures and labels"
            raise refuse(folder, told, "allowed: x_train.npy and y_train.npy, or images.npy and labels.npy")
        return None
    images, labels = pairs[main]
    test = pairs["test"] if main != "test" else (None, None)
    assert images is not None
    own = _arrays(test[0], test[1], read_array) if test[0] and test[1] else None
    return Found("npy", _arrays(images, labels, read_array), own, test[0].name if own and test[0] else "")


def _table_files(folder: Path, files: Sequence[Path]) -> Found | None:
    tables = {path: kind for path in files if (kind := _table_kind(path))}
    parts: Mapping[str, list[Path]] = {
        part: [path for path in tables if part_of(path.name) == part] for part in ("train", "", "test")
    }
    main = next((part for part in ("train", "", "test") if parts[part]), None)
    if main is None:
        return None
    kind = tables[parts[main][0]]
    same = [path for path in parts[main] if tables[path] == kind]
    if len(same) > 1 and kind == "text":
        raise refuse(folder, f"holds several tables: {', '.join(path.name for path in same[:5])}", "name one of them")
    reader = _reader(kind)
    test = [path for path in parts["test"] if tables[path] == kind] if main != "test" else []
    own = (lambda tick: _joined(test, reader, tick)) if test else None
    form = "parquet" if kind == "parquet" else "csv"
    return Found(form, lambda tick: _joined(same, reader, tick), own, test[0].name if test else "")


def _table_kind(path: Path) -> Kind | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".parquet" in suffixes:
        return "parquet"
    return "text" if {".csv", ".tsv"} & set(suffixes) else None


def _joined(paths: Sequence[Path], reader: Callable[[Path, Tick], Part], tick: Tick) -> Part:
    """One part that is in several files, as Parquet's often are."""
    import numpy as np

    parts = [reader(path, tick) for path in paths]
    if len(parts) == 1:
        return parts[0]
    labels = [part.labels for part in parts]
    joined = None if any(one is None for one in labels) else np.concatenate([one for one in labels if one is not None])
    images: Any = [image for part in parts for image in part.images]
    return Part(images, joined, class_names=parts[0].class_names)
