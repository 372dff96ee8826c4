"""Tables of pixels, a row a digit: CSV, gzipped or not, and Parquet."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.shown import counted
from mnistexp.data.content import AGAIN, Tick, pieces, refuse
from mnistexp.data.names import LABEL_COLUMNS
from mnistexp.data.part import RawDigits
from mnistexp.errors import BadInput, reason

INDEX_COLUMNS = ("", "unnamed: 0", "index", "id", "imageid", "image_id", "__index_level_0__")
ALLOWED = "allowed: a column of labels and the pixels of a square picture, such as 1 + 784 columns"


class _Layout(NamedTuple):
    """What the first rows say of a table: how it is written, and which columns are what."""

    delimiter: str | None
    columns: int
    header: tuple[str, ...] = ()
    label: int | None = None
    text_label: bool = False


def read_csv(path: Path, tick: Tick) -> RawDigits:
    """A table of text: pixels and, first or last or headed `label`, the labels. Raises `BadInput` for any other."""
    blocks: list[NDArray[Any]] = []
    labels: list[str] = []
    layout: _Layout | None = None
    line = 1
    for lines in _lines(path, tick):
        rows = [row for row in lines if row.strip()]
        if layout is None:
            if not rows:
                continue
            layout = _layout(path, *rows[:2])
            rows, line = rows[bool(layout.header) :], line + bool(layout.header)
        if layout.text_label:
            # A label in words, in the first column or the last, and the numbers beside it.
            cut = str.partition if layout.label == 0 else str.rpartition
            found = [cut(row, layout.delimiter or " ") for row in rows]
            place = 0 if layout.label == 0 else 2
            labels += [parts[place].strip() for parts in found]
            rows = [parts[2 - place] for parts in found]
        if rows:
            blocks.append(_numbers(path, rows, layout, line))
        line += len(rows)
    if layout is None or not blocks:
        raise refuse(path, "holds no rows", ALLOWED)
    table = np.concatenate(blocks) if len(blocks) > 1 else blocks[0]
    return RawDigits(_square(path, table), np.array(labels)) if layout.text_label else _part(path, table, layout)


def _lines(path: Path, tick: Tick) -> Iterator[list[str]]:
    """The lines of a file in blocks of some MB."""
    rest, mark = b"", b"\xef\xbb\xbf"
    for piece in pieces(path, tick):
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            yield _text(path, whole.removeprefix(mark))
            mark = b""
    if rest.strip():
        yield _text(path, rest.removeprefix(mark))


def _text(path: Path, content: bytes) -> list[str]:
    try:
        return content.decode("utf-8").replace('"', "").splitlines()
    except UnicodeDecodeError as error:
        raise refuse(path, f"not UTF-8 text ({error.reason})", "save it as UTF-8") from error


def _layout(path: Path, first: str, second: str = "") -> _Layout:
    delimiter = max((",", ";", "\t"), key=first.count)
    used = delimiter if first.count(delimiter) else None
    fields = [field.strip().lower() for field in first.split(used)]
    if len(fields) < 5:
        raise refuse(path, f"text of {counted(len(fields), 'column')}, not a table of digits", ALLOWED)
    ends = (0, len(fields) - 1)
    words = [number for number, field in enumerate(fields) if not _is_number(field)]
    numbers = [field for field in fields if _is_number(field)]
    numbered = numbers in ([str(i) for i in range(k, k + len(numbers))] for k in (0, 1))
    if len(words) == 1 and words[0] in ends and not numbered and fields[words[0]]:
        return _Layout(used, len(fields), (), words[0], fields[words[0]] not in LABEL_COLUMNS)
    if not words and not numbered:
        return _Layout(used, len(fields))
    label = next((fields.index(name) for name in LABEL_COLUMNS if name in fields), None)
    spelt = second != "" and label in ends and not _is_number(second.split(used)[-1 if label else 0])
    return _Layout(used, len(fields), tuple(fields), label, spelt)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _numbers(path: Path, rows: list[str], layout: _Layout, line: int) -> NDArray[Any]:
    """Rows of numbers: whole ones as int32, which is fast, or else float64."""
    columns = layout.columns - layout.text_label
    for dtype in (np.int32, np.float64):
        with suppress(ValueError, OverflowError):
            found: NDArray[Any] = np.loadtxt(rows, dtype, comments=None, delimiter=layout.delimiter, ndmin=2)
            if found.shape[1] != columns:
                told = f"{found.shape[1]} columns from line {line} on, and {columns} before"
                raise refuse(path, told, f"cut off, or joined from two files? {AGAIN}")
            return found
    for number, row in enumerate(rows, start=line):
        fields = row.split(layout.delimiter)
        if len(fields) != columns:
            told = f"line {number} has {len(fields)} columns, the first one {columns}"
            raise refuse(path, told, f"cut off? {AGAIN}, or repair the line")
        for column, field in enumerate(fields, start=1):
            if not _is_number(field):
                what = f"{field.strip()[:30]!r}" if field.strip() else "nothing"
                told = f"line {number}, column {column} holds {what}, allowed: a number"
                raise refuse(path, told, "fill in or leave out that row")
    raise refuse(path, f"line {line} or later can't be read", AGAIN)


def _part(path: Path, table: NDArray[Any], layout: _Layout) -> RawDigits:
    label, columns = layout.label, list(range(table.shape[1]))
    if layout.header and not _squared(len(columns) - (label is not None)):
        columns = [column for column in columns if layout.header[column] not in INDEX_COLUMNS]
    if label is None and not _squared(len(columns)) and _squared(len(columns) - 1):
        # The first column or the last: a corner of pictures is nearly always the same grey, labels are not.
        ends = columns[0], columns[-1]
        label = min(ends, key=lambda end: float((table[:, end] == np.median(table[:, end])).mean()))
    if label is None:
        return RawDigits(_square(path, table[:, columns]))
    pixels = [column for column in columns if column != label]
    first, last = pixels[0], pixels[-1]  # a slice, which copies nothing, where they lie side by side
    block = table[:, first : last + 1] if pixels == list(range(first, last + 1)) else table[:, pixels]
    return RawDigits(_square(path, block), table[:, label])


def _squared(count: int) -> bool:
    return count >= 16 and math.isqrt(count) ** 2 == count


def _square(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    """Rows (n, side * side) as pictures (n, side, side)."""
    if not _squared(pixels.shape[1]):
        raise refuse(path, f"{pixels.shape[1]} columns of pixels, which is not a square picture", ALLOWED)
    side = math.isqrt(pixels.shape[1])
    return pixels.reshape(len(pixels), side, side)


def read_parquet(path: Path, tick: Tick) -> RawDigits:
    """A Parquet file: a column of pictures (PNG or JPEG bytes, or lists of pixels), or a column a pixel; and labels.

    Raises `BadInput` where pyarrow is missing, or for what holds no pictures.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise BadInput(f"{path}: reading Parquet needs pyarrow: pip install 'mnistexp[parquet]'") from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            batches, done = [], 0
            for batch in file.iter_batches(batch_size=1000):
                batches.append(batch)
                done += batch.num_rows
                tick(done / max(file.metadata.num_rows, 1))
            about = (file.schema_arrow.metadata or {}).get(b"huggingface", b"")
        table = pyarrow.Table.from_batches(batches, file.schema_arrow)
    except Exception as error:  # whatever pyarrow makes of a file that is not what it says
        raise refuse(path, f"not a readable Parquet file ({reason(error)})", AGAIN) from error
    if not table.num_rows:
        raise refuse(path, "holds no rows", ALLOWED)
    label = next((name for name in names if name.lower() in LABEL_COLUMNS), None)
    labels = None if label is None else np.array(table[label].to_pylist())
    columns = [name for name in names if name != label and name.lower() not in INDEX_COLUMNS]
    classes: tuple[str, ...] = ()
    with suppress(ValueError, KeyError, TypeError):  # the names of classes that Hugging Face's data sets carry
        classes = tuple(map(str, json.loads(about)["info"]["features"][label]["names"]))
    return RawDigits(_parquet_images(path, table, columns), labels, class_names=classes)


def _parquet_images(path: Path, table: Any, columns: Sequence[str]) -> Any:
    from mnistexp.data.pictures import decoded

    numeric = re.compile(r"u?int|float|double|halffloat|bool")
    whole = next((name for name in columns if not numeric.match(str(table.schema.field(name).type))), None)
    if whole is None:
        arrays = [table[name].to_numpy(zero_copy_only=False) for name in columns]
        return _square(path, np.stack(arrays, axis=1) if arrays else np.zeros((1, 0)))
    images = []
    for number, value in enumerate(table[whole].to_pylist()):
        value = value.get("bytes") if isinstance(value, dict) else value
        try:
            images.append(decoded(value) if isinstance(value, bytes) else np.array(value))
        except Exception as error:  # whatever Pillow and numpy make of it
            told = f"row {number + 1} of column {whole!r} is not a picture ({error})"
            raise refuse(path, told, "allowed: PNG or JPEG bytes, or lists of pixels") from error
    shapes, dtypes = {image.shape for image in images}, {image.dtype for image in images}
    if len(shapes) == 1 and images[0].ndim == 1:
        return _square(path, np.stack(images))
    return np.stack(images) if len(shapes) == len(dtypes) == 1 else images
