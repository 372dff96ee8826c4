"""Accuracies, differences of accuracies, counts, times and settings as text: for people, and `exact` for programs.

An accuracy is shown in per cent with one decimal. A difference is taken after that rounding, so that it agrees with the
two numbers beside it: between 83.6% and 82.0% it is 1.6 points, whatever the further decimals.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any


def percent(share: float) -> str:
    """A share from 0 to 1 as `94.3%`; shares that differ by rounding errors (1e-12) give the same text."""
    return f"{_shown(share):.1f}%"


def number(what: str, value: float) -> str:
    """A number by its name: an accuracy or a score in per cent, another one with four decimals."""
    return percent(value) if "accuracy" in what or "score" in what else f"{value:.4f}"


def points(first: float, second: float) -> str:
    """The absolute difference of two shares in percentage points, as `1.6`, after rounding both as `percent` does."""
    return f"{abs(signed_points(first, second)):.1f}"


def signed_points(first: float, second: float) -> float:
    """`first` - `second` in percentage points with one decimal, after rounding both as `percent` does."""
    return round(_shown(first) - _shown(second), 1) + 0.0  # no -0.0


def span(low: float, high: float) -> str:
    """An interval of shares as `87.4% to 95.0%`."""
    return f"{percent(low)} to {percent(high)}"


def setting(params: Mapping[str, Any]) -> str:
    """The settings of a trial in one line: the optimizer, its hyperparameters that are not 0, and the dropout rate."""
    last = {"model.dropout": params["model.dropout"]}
    numbers = {key: item for key, item in params.items() if key not in {"optimizer.name", *last} and item}
    return f"{params['optimizer.name']}, {settings(numbers | last)}"


def settings(params: Mapping[str, Any]) -> str:
    """Some settings in one line: `learning rate 0.01, beta_1 0.5`."""
    return ", ".join(f"{name(key)} {value(item)}" for key, item in params.items())


def counted(count: int, what: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{count:,} {what}{'s' if count != 1 else ''}"


def listed(items: Sequence[str], most: int) -> str:
    """The first `most` items with commas between, then how many more there are: `a, b and 4 more`."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def duration(seconds: float) -> str:
    """`42 s`, `3 min 5 s`, `2 h 10 min` or `3 d 4 h`."""
    whole = round(seconds)
    for size, name, smaller, below in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def name(key: str) -> str:
    """The last part of a dotted key in words: `learning rate`, `beta_1`; of `optimizer.name` the first.

    Of `val_loss`, a column of learning curves, `validation loss`.
    """
    last = key.removesuffix(".name").rpartition(".")[2]
    return re.sub(r"_(?!\d)", " ", re.sub("^val_", "validation_", last))


def value(setting: Any) -> str:
    """The value of a setting: a number with at most six digits, the items of a list joined by hyphens."""
    if isinstance(setting, tuple | list):
        return "-".join(map(value, setting))
    return f"{setting:.6g}" if isinstance(setting, float) else str(setting)


def exact(value: Any) -> str:
    """A value in full, as conditions are written: text as it is, everything else in JSON, such as `null` and `true`."""
    return value if isinstance(value, str) else json.dumps(value)


def _shown(share: float) -> float:
    """In per cent, rounded to one decimal."""
    return round(round(100 * share, 9), 1)
