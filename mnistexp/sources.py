"""Where digits come from: the package itself, OpenML, a `.npz` file, or a folder of IDX files.

The package carries 5,000 digits of the MNIST training set, as `tools/build_digits.py` made them: its first 1,000, the
digits of the experiment, and 4,000 others that no split touches. MNIST is by Y. LeCun, C. Cortes and C. Burges and
stands under CC BY-SA 3.0.

A source that can't be found or asked for is `BadInput`; one that was found but holds something else than digits is
`DataError`. Nothing is ever unpickled, and nothing larger than `LIMIT` is unpacked.
"""

import gzip
import hashlib
import math
import struct
import warnings
import zlib
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from mnistexp import npy_header
from mnistexp.config import DataConfig
from mnistexp.errors import BadInput, DataError, nearest

__all__ = ["EMBEDDED", "LIMIT", "SIDE", "embedded", "read", "sha256"]

SIDE = 28
LIMIT = 256 * 2**20
"""Bytes that one array of a local file may take when unpacked: 340,000 digits."""

EMBEDDED = {
    "first_1000": (
        "2304e0137aea1f236247daacc2dcaf275996895e40c4bb0760c448434d361d1a",
        "b03ead2884240483d956c7feac7a9b39d28685062da0a980bb73d2196dc506b8",
    ),
    "unseen_4000": (
        "449fd8d5fea45e33db916f305e5b28d9340da53f2a73131e1c2ffa1868b54eb0",
        "d01c7486c4db51097633d1ee4ed64fa6391dc94cb5e54318625d2a954ad3aa56",
    ),
}
"""Embedded file to the SHA-256 of its images, uint8 (n, 28, 28), and of its labels, uint8 (n,), bytes in C order."""

NPZ_KEYS = (
    ("images", "labels"),
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
    ("x", "y"),
    ("data", "target"),
)
IDX_IMAGES = ("train-images-idx3-ubyte", "train-images.idx3-ubyte")
IDX_LABELS = ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte")
Arrays = tuple[NDArray[Any], NDArray[Any]]
"""Images (n, 28, 28), (n, 28, 28, 1) or (n, 784), and labels (n,), of any integer dtype."""


def read(config: DataConfig) -> Arrays:
    """Images and labels of the first `config.digits` digits of `config.source`, whole numbers of any type, checked.

    The images are (n, 28, 28), (n, 28, 28, 1) or (n, 784), from 0 to 255; the labels (n,), from 0 to 9, each at least
    once. Raises `BadInput` for a source that isn't there, of no known kind, or with fewer digits; `DataError` for one
    that is damaged, holds no digits, lacks a class among its first rows, or can't be downloaded.
    """
    if config.source == "embedded":
        images, labels = embedded("first_1000")
    elif config.source == "openml":
        images, labels = _openml(config)
    else:
        images, labels = _local(config.source)
    _check_form(images, labels, config.source)
    if len(labels) < config.digits:
        raise BadInput(f"data.digits: {config.digits} asked for, but {config.source!r} holds only {len(labels)}")
    images, labels = images[: config.digits], labels[: config.digits]
    _check_values(images, labels, config.source)
    return images, labels


def sha256(array: NDArray[Any]) -> str:
    """SHA-256, in hexadecimal, of an array's bytes in C order; shape and dtype are not in it."""
    return hashlib.sha256(array.tobytes()).hexdigest()


def _check_form(images: NDArray[Any], labels: NDArray[Any], source: str) -> None:
    """Raise `DataError` unless these are integer images of 28 x 28 and as many integer labels."""
    for name, array in (("images", images), ("labels", labels)):
        if array.dtype.kind not in "iu":
            raise DataError(f"{source}: the {name} are {array.dtype}; expected whole numbers, such as uint8")
    if images.shape[1:] not in ((SIDE, SIDE), (SIDE * SIDE,), (SIDE, SIDE, 1)):
        raise DataError(f"{source}: the images have shape {images.shape}; expected (n, 28, 28) or (n, 784)")
    if labels.shape != images.shape[:1]:
        raise DataError(
            f"{source}: the labels have shape {labels.shape}; expected ({len(images)},), one for each image"
        )


def _check_values(images: NDArray[Any], labels: NDArray[Any], source: str) -> None:
    """Raise `DataError` unless grey values and labels are those of digits, all ten classes among them."""
    if images.min() < 0 or not 1 < images.max() <= 255:
        raise DataError(f"{source}: the images hold {images.min()} to {images.max()}; expected 0 to 255, not scaled")
    if labels.min() < 0 or labels.max() > 9:
        raise DataError(f"{source}: the labels hold {labels.min()} to {labels.max()}; expected 0 to 9")
    absent = np.setdiff1d(np.arange(10), labels)
    if len(absent):
        names = ", ".join(str(digit) for digit in absent)
        raise DataError(
            f"{source}: no {names} among its first {len(labels)} digits; expected all of 0 to 9 "
            "(are the rows sorted by class? shuffle them first, or raise data.digits)"
        )


def embedded(name: str) -> Arrays:
    """Images uint8 (n, 28, 28) and labels uint8 (n,) of one of the `EMBEDDED` files, verified by their SHA-256.

    Raises `DataError` where the file is missing or damaged.
    """
    path = resources.files(__package__) / "digits" / f"{name}.npz"
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            images, labels = archive["images"], archive["labels"]
        intact = (sha256(images), sha256(labels)) == EMBEDDED[name]
    except Exception:  # whatever numpy makes of a damaged file
        intact = False
    if not intact:
        raise DataError(f"{path}: damaged: not the digits that mnistexp was published with; install it anew")
    return images, labels


def _openml(config: DataConfig) -> Arrays:
    from sklearn.datasets import fetch_openml

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the retry, which the message below covers
            found = fetch_openml(
                "mnist_784",
                version=1,
                as_frame=False,
                parser="liac-arff",  # with "pandas", scikit-learn up to 1.9 fails on the labels under pandas 3.1
                data_home=config.cache_dir,
                n_retries=1,
                delay=0.1,
            )
        data = found.data[: config.digits]
        images = data.astype(np.int64)
        if not np.array_equal(images, data):
            raise ValueError("grey values that are not whole numbers")
        return images, found.target[: config.digits].astype(np.int64)
    except Exception as error:  # of the network, the cache folder, or the parser
        raise DataError(
            f"openml: mnist_784 could not be had: {error or type(error).__name__}. It needs www.openml.org, or a "
            "data.cache_dir that holds an earlier download; data.source 'embedded' needs no network"
        ) from error


def _local(source: str) -> Arrays:
    path = Path(source)
    try:
        path = path.expanduser()
        if path.is_dir():
            return _idx_folder(path)
        if path.is_file() and path.suffix.lower() == ".npz":
            return _npz(path)
        there, folder = path.exists(), path.parent
        beside = [str(entry) for entry in folder.iterdir() if entry != path] if folder.is_dir() else []
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(f"data.source: {source!r} can't be read: {error}") from error
    raise BadInput(
        f"data.source: {source!r} is {'of no known kind' if there else 'not there'}; allowed are 'embedded', 'openml', "
        f"a .npz file, or a folder of IDX files{nearest(str(path), ['embedded', 'openml', *beside])}"
    )


def _npz(path: Path) -> Arrays:
    try:
        with ZipFile(path) as zipped:
            entries = {entry.filename.removesuffix(".npy").lower(): entry for entry in zipped.infolist()}
            pair = next((pair for pair in NPZ_KEYS if entries.keys() >= set(pair)), None)
            if pair is None:
                pairs = ", ".join("/".join(keys) for keys in NPZ_KEYS)
                raise DataError(f"{path}: holds {', '.join(entries) or 'nothing'}; expected one of {pairs}")
            images, labels = (_npz_array(zipped, entries[key], path) for key in pair)
            return images, labels
    except DataError:
        raise
    except Exception as error:  # whatever zipfile, zlib and numpy make of a file that is not what it says
        raise DataError(f"{path}: not a readable .npz file of plain arrays: {error or type(error).__name__}") from error


def _npz_array(zipped: ZipFile, entry: ZipInfo, path: Path) -> NDArray[Any]:
    """One array of an open `.npz`. Unlike `numpy.load`, reads it to its end, where its checksum is verified."""
    if entry.file_size > LIMIT:
        raise DataError(f"{path}: {entry.filename} takes {entry.file_size:,} bytes; at most {LIMIT:,}")
    content = zipped.read(entry)
    if wrong := npy_header.complaint(content):
        raise DataError(f"{path}: {entry.filename} {wrong}")
    array: NDArray[Any] = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
    return array


def _idx_folder(folder: Path) -> Arrays:
    present = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    paths = []
    for names in (IDX_IMAGES, IDX_LABELS):
        name = next((name + end for name in names for end in ("", ".gz") if name + end in present), None)
        if name is None:
            raise BadInput(
                f"data.source: {str(folder)!r} has no {names[0]}; a folder needs {IDX_IMAGES[0]} and {IDX_LABELS[0]}, "
                f"gzipped (.gz) or not{nearest(names[0], present)}"
            )
        paths.append(folder / name)
    return _idx(paths[0], dimensions=3), _idx(paths[1], dimensions=1)


def _idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """One IDX file: big-endian magic number 0x0800 + dimensions, the length of each dimension, then unsigned bytes."""
    header = 4 * (1 + dimensions)
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            contents = (gzip.GzipFile(fileobj=file) if zipped else file).read(header + LIMIT + 1)
        magic, *shape = struct.unpack(f">{1 + dimensions}I", contents[:header])
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{path}: not a readable IDX file: {error or type(error).__name__}") from error
    if magic != 0x0800 + dimensions:
        raise DataError(f"{path}: begins with magic number {magic}; expected {0x0800 + dimensions}")
    if len(contents) > header + LIMIT:
        raise DataError(f"{path}: more than {LIMIT:,} bytes, which is the most that is read")
    if len(contents) != header + math.prod(shape):
        raise DataError(f"{path}: {len(contents):,} bytes; its header promises {header + math.prod(shape):,}")
    return np.frombuffer(contents, dtype=np.uint8, offset=header).reshape(shape)
