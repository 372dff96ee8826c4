"""One reported figure beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.results import Outcome

__all__ = ["ROUNDED", "Done", "Floats", "Row"]

Done = Mapping[tuple[str, str], Outcome]
"""The outcome of each task of the assignment by its part and name."""
Floats = NDArray[np.float64]
"""Scores (n,), a curve (epochs,), or the curves of several seeds (seeds, epochs)."""
ROUNDED = 0.005
"""What "about 0.96" may mean to either side."""


@dataclass(frozen=True)
class Row:
    """One reported figure beside ours.

    `interval`: where the reported figure should fall if it came from our training. `agrees`: it does; None where the
    two can't be compared. `how`: the comparison in words. `fault`: what is wrong with the reported figure.
    """

    part: str
    what: str
    reported: Any
    ours: Any
    interval: tuple[float, float] | None
    agrees: bool | None
    how: str
    fault: str | None = None
    run: str = ""
