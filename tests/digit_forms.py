"""The packaged digits in every common file format."""

import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Images = np.ndarray[Any, np.dtype[np.uint8]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
Write = Callable[[Path, Images, Labels], Path]


def idx(array: Any) -> bytes:
    """An array as an IDX file of bytes."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def idx_files(images: str, labels: str, *, zipped: bool = False, inside: bool = False) -> Write:
    """A writer of IDX files under these names; `inside`: each in a folder of its own name."""

    def write(folder: Path, x: Images, y: Labels) -> Path:
        for name, array in ((images, x), (labels, y)):
            path = folder / name / name.removesuffix(".gz") if inside else folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(idx(array), 1) if zipped else idx(array))
        return folder

    return write


def npz(images: str, labels: str, **more: Any) -> Write:
    """A writer of `.npz` archives with these names."""

    def write(folder: Path, x: Images, y: Labels) -> Path:
        np.savez_compressed(folder / "digits.npz", **{images: x, labels: y}, **more)
        return folder / "digits.npz"

    return write


def changed(x: Callable[[Images], Any] = lambda x: x, y: Callable[[Labels], Any] = lambda y: y) -> Write:
    """A writer of `.npz` archives with other kinds of pixels and labels."""
    return lambda folder, images, labels: npz("x_train", "y_train")(folder, x(images), y(labels))


def csv(name: str = "digits.csv", *, headed: bool = True, first: bool = True, delimiter: str = ",") -> Write:
    """A writer of tables: a column of labels, first or last, headed or not; gzipped where the name says so."""

    def write(folder: Path, x: Images, y: Labels) -> Path:
        pixels = x.reshape(len(x), -1)
        columns = [y[:, None], pixels] if first else [pixels, y[:, None]]
        names = ["label"], [f"pixel{number}" for number in range(pixels.shape[1])]
        header = delimiter.join([*names[0], *names[1]] if first else [*names[1], *names[0]]) + "\n"
        rows = io.StringIO()
        np.savetxt(rows, np.hstack(columns), "%d", delimiter)
        text = ((header if headed else "") + rows.getvalue()).encode()
        (folder / name).write_bytes(gzip.compress(text, 1) if name.endswith(".gz") else text)
        return folder / name

    return write


def class_folders(inner: str = "", ending: str = ".png") -> Write:
    """A writer of pictures, one folder a class, their names in the digits' order."""

    def write(folder: Path, x: Images, y: Labels) -> Path:
        for number, (image, label) in enumerate(zip(x, y, strict=True)):
            path = folder / inner / str(label) / f"{number}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
        return folder

    return write


def npy_pair(images: str, labels: str) -> Write:
    """A writer of two `.npy` files."""

    def write(folder: Path, x: Images, y: Labels) -> Path:
        np.save(folder / images, x)
        np.save(folder / labels, y)
        return folder

    return write


def named(write: Write, name: str) -> Write:
    """A writer whose source is one of the files in the folder."""
    return lambda folder, x, y: write(folder, x, y) / name


def parquet(folder: Path, x: Images, y: Labels) -> Path:
    """PNG bytes in a column of structs, as Hugging Face stores MNIST."""
    import pyarrow
    import pyarrow.parquet

    pictures = []
    for image in x:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        pictures.append({"bytes": buffer.getvalue(), "path": None})
    table = pyarrow.table({"image": pictures, "label": pyarrow.array(y)})
    pyarrow.parquet.write_table(table, folder / "train-00000-of-00001.parquet")
    return folder / "train-00000-of-00001.parquet"


def parquet_columns(folder: Path, x: Images, y: Labels) -> Path:
    """One column a pixel."""
    import pyarrow
    import pyarrow.parquet

    pixels = x.reshape(len(x), -1)
    columns = {"label": y} | {f"{number}": pixels[:, number] for number in range(pixels.shape[1])}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "digits.parquet")
    return folder / "digits.parquet"


USUAL = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
DOTTED = "train-images.idx3-ubyte", "train-labels.idx1-ubyte"
EMNIST = "emnist-digits-train-images-idx3-ubyte", "emnist-digits-train-labels-idx1-ubyte"


def csv_of_words(folder: Path, x: Images, y: Labels) -> Path:
    """A headed table whose labels are words in the order of the alphabet."""
    path = csv()(folder, x, y)
    head, *rows = path.read_text().splitlines()
    words = [f"{'abcdefghij'[int(row.partition(',')[0])]},{row.partition(',')[2]}" for row in rows]
    path.write_text("\n".join([head, *words]))
    return path


SAME_PIXELS: dict[str, Write] = {
    "npz x_train": npz("x_train", "y_train"),
    "npz train_images": npz("train_images", "train_labels"),
    "npz images": npz("images", "labels"),
    "npz X": npz("X", "y"),
    "npz data": npz("data", "target"),
    "npz without names": npz("arr_0", "arr_1"),
    "idx": idx_files(*USUAL),
    "idx dotted": idx_files(*DOTTED),
    "idx gzipped": idx_files(*(f"{name}.gz" for name in USUAL), zipped=True),
    "idx gzipped without .gz": idx_files(*USUAL, zipped=True),
    "idx not gzipped with .gz": idx_files(*(f"{name}.gz" for name in USUAL)),
    "idx in folders of their names": idx_files(*DOTTED, inside=True),
    "idx of EMNIST": idx_files(*EMNIST),
    "idx of EMNIST gzipped": idx_files(*(f"{name}.gz" for name in EMNIST), zipped=True),
    "idx named": named(idx_files(*USUAL), USUAL[0]),
    "csv": csv(),
    "csv without a header": csv(headed=False),
    "csv, label last": csv(first=False),
    "csv, label last, without a header": csv(first=False, headed=False),
    "csv gzipped": csv("digits.csv.gz"),
    "csv with semicolons": csv(delimiter=";"),
    "csv, labels in words": csv_of_words,
    "folders of PNG": class_folders(),
    "folders of PNG in train": class_folders("train"),
    "npy pair": npy_pair("x_train.npy", "y_train.npy"),
    "npy pair named": named(npy_pair("images.npy", "labels.npy"), "images.npy"),
    "parquet of pictures": parquet,
    "parquet of pixels": parquet_columns,
    "floats 0 to 1": changed(lambda x: x / 255),
    "float32 0 to 1": changed(lambda x: (x / 255).astype(np.float32)),
    "floats 0 to 255": changed(lambda x: x.astype(np.float32)),
    "int64": changed(lambda x: x.astype(np.int64)),
    "16 bits": changed(lambda x: x.astype(np.uint16) * 257),
    "floats -1 to 1": changed(lambda x: x / 127.5 - 1),
    "rows of 784": changed(lambda x: x.reshape(-1, 784)),
    "a channel last": changed(lambda x: x[..., None]),
    "a channel first": changed(lambda x: x[:, None]),
    "three equal colours": changed(lambda x: np.stack([x, x, x], -1)),
    "by columns": changed(np.asfortranarray),
    "dark ink on white": changed(lambda x: 255 - x),
    "dark ink on white, floats": changed(lambda x: 1 - x / 255),
    "labels in a column": changed(y=lambda y: y[:, None]),
    "one-hot": changed(y=lambda y: np.eye(10)[y]),
    "labels as text": changed(y=lambda y: y.astype(str)),
    "labels as bytes": changed(y=lambda y: y.astype("S")),
    "labels as floats": changed(y=lambda y: y.astype(np.float32)),
    "labels as uint8": changed(y=lambda y: y.astype(np.uint8)),
}
"""Forms whose pixels and labels are, when read, those of the packaged digits."""
