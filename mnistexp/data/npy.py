"""Arrays of numpy's `.npy` format; the header is checked against the data before memory is allocated."""

import math
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.errors import reason

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(content: bytes) -> NDArray[Any]:
    """The array in the content of a `.npy` file, of any shape and dtype, in place and read-only. Nothing is unpickled.

    Raises ValueError, with the fault, for objects, a header that doesn't match the data, or another format.
    """
    stream = BytesIO(content)
    try:
        read_header = HEADERS.get(np.lib.format.read_magic(stream))
        if read_header is None:  # for names of fields beyond Latin-1
            raise ValueError("another version of the format")
        shape, by_columns, dtype = read_header(stream)
    except Exception as error:  # whatever numpy makes of a header that can't be read
        raise ValueError(f"its .npy header can't be read ({reason(error)})") from error
    if dtype.hasobject:
        raise ValueError("saved with pickled objects, which are never opened")
    follows, promised = len(content) - stream.tell(), math.prod(shape) * dtype.itemsize
    if promised != follows:
        lengths = " x ".join(f"{length:,}" for length in shape) or "1"
        told = f"declares {lengths} of {dtype} at {dtype.itemsize} bytes = {promised:,} bytes, and holds {follows:,}"
        raise ValueError(f"{told}; it is cut off or damaged")
    if dtype.names or not dtype.itemsize:
        raise ValueError(f"holds {dtype}, allowed: numbers or text")
    return np.ndarray(shape, dtype, content, stream.tell(), order="F" if by_columns else "C")
