"""Accuracies and their differences as text: equal ones always read the same, and a difference is that of what is shown.

An accuracy is shown as per cent with one decimal, and a difference is taken after that rounding: beside 83.6% and 82.0%
it is 1.6 points, whatever further decimals say.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["percent", "points", "setting", "signed_points", "span"]


def percent(share: float) -> str:
    """A share from 0 to 1 as `94.3%`; shares that differ by 1e-12, as arithmetic leaves them, read the same."""
    return f"{_shown(share):.1f}%"


def points(first: float, second: float) -> str:
    """The distance of two shares in percentage points, as `1.6`: that of the two as `percent` shows them."""
    return f"{abs(signed_points(first, second)):.1f}"


def signed_points(first: float, second: float) -> float:
    """`first` - `second` in percentage points with one decimal: that of the two as `percent` shows them."""
    return round(_shown(first) - _shown(second), 1) + 0.0  # no -0.0


def span(low: float, high: float) -> str:
    """An interval of shares as `87.4% to 95.0%`."""
    return f"{percent(low)} to {percent(high)}"


def setting(params: Mapping[str, Any]) -> str:
    """A setting by dotted key in one line: the optimizer, those of its numbers that are not 0, the dropout rate."""
    numbers = [
        f"{key.rpartition('.')[2]} {value:g}"
        for key, value in params.items()
        if key not in {"optimizer.name", "model.dropout"} and value
    ]
    return ", ".join([str(params["optimizer.name"]), *numbers, f"dropout {params['model.dropout']:g}"])


def _shown(share: float) -> float:
    """Per cent as it is shown, with one decimal."""
    return round(round(100 * share, 9), 1)
