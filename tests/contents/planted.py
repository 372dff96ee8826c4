"""Faults planted in what commands tell, for the tests that they are found."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from programs import call

from contents.records import Record

Spoil = Callable[[Any], Any]


def told(records: list[Record], *words: object) -> tuple[Any, str]:
    """What a command says of runs: its JSON, and its text."""
    paths = [record.path for record in records]
    command = ("runs", words[0], *paths, *words[1:])
    return json.loads(call(*command, "--json", cwd=paths[0]).stdout), call(*command, cwd=paths[0]).stdout


def spoilt(document: Any, *path: str | int, by: Spoil) -> Any:
    """A copy of a document in which the value at a path is another one."""
    copied = deepcopy(document)
    above = copied
    for key in path[:-1]:
        above = above[key]
    before = above[path[-1]]
    above[path[-1]] = by(before)
    assert above[path[-1]] != before
    return copied


def plus(step: float) -> Spoil:
    return lambda number: number + step


def negated(value: bool) -> bool:
    return not value


def replaced(text: str, pattern: str, by: str | Callable[[re.Match[str]], str]) -> str:
    """A text with something else in place of the first match of a pattern."""
    other = re.sub(pattern, by, text, count=1, flags=re.M)
    assert other != text
    return other


def more(found: re.Match[str]) -> str:
    """The number at the end of a match, one more."""
    return re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), found[0])


def in_another_unit(found: re.Match[str]) -> str:
    """A percentage as a share, and another number in per cent."""
    return f"{float(found[0][:-1]) / 100:.4f}" if found[0].endswith("%") else f"{100 * float(found[0]):.1f}%"
