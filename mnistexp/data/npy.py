"""Arrays of numpy's `.npy` format; the header is checked against the data before memory is allocated."""

import math
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.errors import BadInput

__all__ = ["complaint", "read_npy"]

PLAIN = "save the numbers as a plain array (`numpy.savez(path, images=images, labels=labels)`)"


def complaint(content: bytes) -> str:
    """What is wrong with the promise; empty where as many bytes follow as it says, or where it is of objects.

    Raises whatever numpy makes of a header that can't be read.
    """
    stream = BytesIO(content)
    header = _header(stream)
    if header is None:
        return "is of a version of .npy that holds no plain array"
    shape, _, dtype = header
    follows, promised = len(content) - stream.tell(), math.prod(shape) * dtype.itemsize
    if dtype.hasobject or promised == follows:
        return ""
    lengths = " x ".join(f"{length:,}" for length in shape) or "1"
    return f"promises {lengths} of {dtype} at {dtype.itemsize} bytes = {promised:,} bytes, and holds {follows:,}"


def read_npy(content: bytes, name: str) -> NDArray[Any]:
    """The array in the content of a `.npy` file, of any shape and dtype, in place. Nothing is unpickled.

    Raises `BadInput`, naming `name`, for objects, a header that doesn't match the data, or another format.
    """
    try:
        stream = BytesIO(content)
        header = _header(stream)
        wrong = complaint(content)
    except Exception as error:  # whatever numpy makes of a header that can't be read
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"{name}: its .npy header can't be read ({reason}); download or save it again") from error
    if header is not None and header[2].hasobject:
        raise BadInput(f"{name}: saved with pickled objects, which are never opened; {PLAIN}")
    if wrong or header is None:
        raise BadInput(f"{name}: {wrong}; it is cut off or damaged: download or save it again")
    shape, by_columns, dtype = header
    if dtype.names or not dtype.itemsize:
        raise BadInput(f"{name}: holds {dtype}, allowed: numbers or text; {PLAIN}")
    array: NDArray[Any] = np.frombuffer(content, dtype, offset=stream.tell())
    return array.reshape(shape, order="F" if by_columns else "C")


def _header(stream: BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]] | None:
    """Shape, whether by columns, and dtype; None for a version that is for names of fields, as no array of ours has."""
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(stream))
    return read_header(stream) if read_header else None
