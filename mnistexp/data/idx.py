"""IDX files, the form in which MNIST, EMNIST and their like are published."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.content import AGAIN, LIMIT, Tick, format_of, pieces, refuse

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path, tick: Tick) -> NDArray[Any]:
    """The array of one IDX file, of any shape and dtype: type and number of dimensions, their lengths, the values.

    Raises `BadInput` for a file that is damaged, or holds another type.
    """
    format_of(path)
    stream = pieces(path, tick)
    start = next(stream, b"")
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES:
        number = int.from_bytes(start[:4], "big")
        raise refuse(path, f"begins with magic number {number}; allowed: 2051 for pictures, 2049 for labels", AGAIN)
    if len(start) < (header := 4 * (1 + start[3])):
        raise refuse(path, f"{len(start)} bytes; an IDX header alone takes {header}", AGAIN)
    dtype, shape = np.dtype(DTYPES[start[2]]), tuple(np.frombuffer(start, ">u4", start[3], 4).tolist())
    promised = header + math.prod(shape) * dtype.itemsize
    if promised > LIMIT:
        raise refuse(path, f"its header declares {promised:,} bytes; at most {LIMIT:,} are read", AGAIN)
    read, parts = len(start), [start]
    while read <= promised and (part := next(stream, b"")):
        read += len(part)
        parts.append(part)
    if read != promised:
        more = " or more" * (read > promised)
        raise refuse(path, f"{read:,} bytes{more}; its header declares {promised:,}: cut off or damaged", AGAIN)
    return np.ndarray(shape, dtype, b"".join(parts), header)
