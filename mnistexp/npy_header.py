"""What the header of a `.npy` file promises, held against what follows it, before room is made for the promise."""

import math
from io import BytesIO

import numpy as np

__all__ = ["complaint"]


def complaint(content: bytes) -> str:
    """What is wrong with the promise; empty where as many bytes follow as it says, or where it is of objects.

    Raises whatever numpy makes of a header that can't be read.
    """
    stream = BytesIO(content)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(stream))
    if read_header is None:  # later versions are for names of fields, which no array of ours has
        return "is of a version of .npy that holds no plain array"
    shape, _, dtype = read_header(stream)
    follows, promised = len(content) - stream.tell(), math.prod(shape) * dtype.itemsize
    if dtype.hasobject or promised == follows:
        return ""
    lengths = " x ".join(f"{length:,}" for length in shape) or "1"
    return f"promises {lengths} of {dtype} at {dtype.itemsize} bytes = {promised:,} bytes, and holds {follows:,}"
