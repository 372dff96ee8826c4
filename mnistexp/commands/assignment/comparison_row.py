"""One reported number beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.runs.results import Outcome

__all__ = ["ROUNDED", "Done", "Floats", "Row", "finite", "shown_only"]

Done = Mapping[tuple[str, str], Outcome]
"""The outcome of each task of the assignment by its part and name."""
Floats = NDArray[np.float64]
"""Scores (n,), a curve (epochs,), or the curves of several seeds (seeds, epochs)."""
ROUNDED = 0.005
"""The tolerance of "about 0.96" in both directions."""


@dataclass(frozen=True)
class Row:
    """One reported number beside ours.

    `interval`: where the reported number should fall if it came from our training. `agrees`: whether it does; None if
    the two can't be compared. `how`: the comparison in words. `fault`: the notebook's bug that affects the number.
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


def finite(row: Row) -> Row:
    """The row; if one of its numbers is not finite, the row without these numbers, as not comparable.

    The last of several checks: no table shows nan, and no interval of nan decides.
    """
    values = {"reported": row.reported, "ours": row.ours, "interval": row.interval}
    odd = [name for name, value in values.items() if value is not None and not np.isfinite(value).all()]
    if not odd:
        return row
    known = {name: None if name in odd else value for name, value in values.items()}
    kept = replace(row, reported=known["reported"], ours=known["ours"])
    return shown_only(kept, f"not comparable: not a finite number: {', '.join(odd)}")


def shown_only(row: Row, why: str) -> Row:
    """The row with both numbers but without a comparison, and the reason."""
    return replace(row, interval=None, agrees=None, how=why)
