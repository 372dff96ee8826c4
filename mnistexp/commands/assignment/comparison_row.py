"""One reported number beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.commands.assignment.reported import FAULTS
from mnistexp.runs.results import Outcome

Done = Mapping[tuple[str, str], Outcome]
"""The outcome of each task of the assignment by its part and name."""
Floats = NDArray[np.float64]
"""Scores (n,), a curve (epochs,), or the curves of several seeds (seeds, epochs)."""
ROUNDED = 0.005
"""The tolerance of "about 0.96" in both directions."""


@dataclass(frozen=True)
class ComparisonRow:
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


def compared(
    part: str,
    what: str,
    reported: Any,
    ours: Any,
    interval: tuple[float, float] | None,
    how: str,
    *,
    run: str = "",
    fault: str = "",
    tolerance: float = 0.0,
) -> ComparisonRow:
    """A row that agrees if the reported number is in the interval or as near to it as `tolerance`; None without one.

    `fault`: the name of the notebook's bug, "" for none.
    """
    agrees = None if interval is None else bool(interval[0] - tolerance <= reported <= interval[1] + tolerance)
    return ComparisonRow(part, what, reported, ours, interval, agrees, how, FAULTS.get(fault), run)


def finite(row: ComparisonRow) -> ComparisonRow:
    """The row; if one of its numbers is not finite, the row without these numbers, as not comparable.

    The last of several checks: no table shows nan, and no interval of nan decides.
    """
    values = {"reported": row.reported, "ours": row.ours, "interval": row.interval}
    odd = [name for name, value in values.items() if value is not None and not np.isfinite(value).all()]
    if not odd:
        return row
    reported, ours = (None if name in odd else values[name] for name in ("reported", "ours"))
    why = f"not comparable: not a finite number: {', '.join(odd)}"
    return shown_only(replace(row, reported=reported, ours=ours), why)


def shown_only(row: ComparisonRow, why: str) -> ComparisonRow:
    """The row with both numbers but without a comparison, and the reason."""
    return replace(row, interval=None, agrees=None, how=why)
