"""The conditions of a filter: comparisons joined by not, and, or. `where.py` parses them."""

import math
import operator as op
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from mnistexp.config import shown
from mnistexp.errors import BadInput
from mnistexp.runs.status import iso
from mnistexp.runs.stored_runs import RECORD, StoredRun
from mnistexp.runs.summary import Value, is_number

FIELDS = (*RECORD, "path", "part_of", "tag", "note")
"""Keys that every run has."""
TIMES = ("started", "finished")
MISSING = object()
"""The result of `value_of` if the run lacks the key."""


@dataclass(frozen=True)
class Comparison:
    """`key operator value`; `at` and `value_at` are the positions of key and value in `text`, from 0.

    `span`: if the key is a time, the first moment of the value and the first moment after it.
    """

    key: str
    operator: str
    value: str
    at: int
    value_at: int
    text: str
    span: tuple[datetime, datetime] | None = None

    def matches(self, run: StoredRun) -> bool:
        """Whether the comparison holds for a run; False if the run lacks the key.

        Raises `BadInput` if the operator is an order, the run has a number, and `value` is not a number.
        """
        if self.key == "tag":
            if self.operator == "~":
                return any(self.value.casefold() in tag.casefold() for tag in run.tags)
            return (self.value in run.tags) == (self.operator == "=")
        found = value_of(run, self.key)
        if found is MISSING:
            return False
        if self.span:
            start, end = self.span  # one moment: before it, in it, after it
            return isinstance(found, datetime) and _compared((found >= end) - (found < start), self.operator, 0)
        number = _number(self.value)
        if is_number(found) and self.operator != "~":
            if number is not None:
                return _compared(found, self.operator, number)
            if self.operator in ("=", "!="):
                return self.operator == "!="
            malformed(self.text, self.value_at, f"{self.key} is a number, but this value is not")
        text = text_of(found)
        if self.operator == "~":
            return self.value.casefold() in text.casefold()
        return (found is not None or self.operator in ("=", "!=")) and _compared(text, self.operator, self.value)


@dataclass(frozen=True)
class Condition:
    """A filter: whether a run matches it, and its comparisons, in the order of the text."""

    matches: Callable[[StoredRun], bool]
    comparisons: tuple[Comparison, ...]


def value_of(run: StoredRun, key: str) -> Value | datetime | object:
    """A run's value of a key: a datetime for `started` and `finished`, `MISSING` if it lacks the key.

    For repeated trainings, `test_accuracy` and the numbers of the curves are those of the mean. A setting of a `best`
    is the one that it chose.
    """
    if key == "tag":
        return ", ".join(run.tags)
    if key == "path":
        return str(run.path)
    if key in FIELDS:
        return getattr(run, key)  # type: ignore[no-any-return]
    if key in run.numbers:
        return run.number(key)
    return run.settings_used.get(key, MISSING)


def text_of(value: object) -> str:
    """A value of a run in full, as a condition compares it."""
    return iso(value, "auto") if isinstance(value, datetime) else shown.exact(value)


def malformed(text: str, at: int, message: str) -> NoReturn:
    """Raise BadInput with the part of `text` around `at`, and a caret below it."""
    start = max(0, at - 60)
    part = "".join(letter if letter.isprintable() else " " for letter in text[start : at + 40])
    below = f"\n  {part}\n  {' ' * (at - start)}^" if part.strip() else ""
    raise BadInput(f"--where, column {at + 1}: {message}{below}")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _compared(found: float | str, operator: str, value: float | str) -> bool:
    compare = {"=": op.eq, "!=": op.ne, "<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge}[operator]
    return bool(compare(found, value))
