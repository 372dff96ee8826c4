"""The kinds of options: the panel of each in the help, and how its value is read."""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from mnistexp.errors import BadInput, nearest, show

PANELS = ("Training", "Data", "Search", "Selection", "Changes", "Execution", "Output")
"""Panels of options in the help of commands, in their order."""
TRAINING, DATA, SEARCH, RUN_SELECTION, CHANGES, EXECUTION, OUTPUT = PANELS

SPAN = r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def option(panel: str, flags: str, explanation: str, **more: Any) -> Any:
    """An option in a panel of the help; `flags` are its names, with blanks between. `more` goes to `typer.Option`."""
    return typer.Option(*flags.split(), help=explanation, rich_help_panel=panel, **more)


def count_option(panel: str, flags: str, explanation: str, **more: Any) -> Any:
    """An option that takes a whole number, such as 1000, 1_000 or 1e3."""
    return option(panel, flags, explanation, parser=_whole, **{"metavar": "N", **more})


def number_option(panel: str, flags: str, explanation: str, **more: Any) -> Any:
    """An option that takes a number."""
    return option(panel, flags, explanation, parser=_number, **{"metavar": "NUMBER", **more})


def age_option(panel: str, explanation: str, **more: Any) -> Any:
    """`--older-than`, which takes an age such as `30d` and gives seconds."""
    return option(panel, "--older-than", explanation, metavar="AGE", parser=_age, **more)


def choice_option(panel: str, flags: str, explanation: str, choices: Sequence[str], **more: Any) -> Any:
    """An option that takes one of these words. Anything else raises `BadInput`."""

    def chosen(text: str) -> str:
        if text not in choices:
            allowed = f"allowed: {', '.join(choices)}{nearest(text, choices)}"
            raise BadInput(f"{flags.split()[0]} is {show(text)}, {allowed}")
        return text

    return option(panel, flags, explanation, parser=chosen, autocompletion=lambda: list(choices), **more)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        with suppress(ValueError, OverflowError):
            if "e" in text.lower() and (value := float(text)).is_integer():
                return int(value)
        raise typer.BadParameter(f"{show(text)} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        share = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)
        instead = f"; write {float(share[1]) / 100:g}" if share else ""
        raise typer.BadParameter(f"{show(text)} is not a number{instead}") from None


def _age(text: str) -> float:
    if not re.fullmatch(f"(?:{SPAN})+", text):
        raise BadInput(f"{text!r} is not an age, allowed: a number and s, m, h, d or w, such as 30d")
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(SPAN, text))


def time_limit(text: str) -> float:
    """What follows `--max-time`, in seconds. Raises `BadParameter`."""
    try:
        seconds = float(text) if re.fullmatch(r"[\d.]+", text) else _age(text)
    except (BadInput, ValueError):
        seconds = 0
    if not 0 < seconds < math.inf:
        raise typer.BadParameter(
            f"{show(text)} is not a time limit, allowed: more than 0, such as 90s, 10m, 1h30m or 600"
        )
    return seconds


def folder(text: str) -> Path:
    """What follows an option as the path of a folder. Raises `BadParameter` for a file, and for an empty path."""
    if not text:
        raise typer.BadParameter("'' is not a folder; write . for the current one")
    with suppress(OSError, ValueError):  # whoever uses it says why it can't be used
        if Path(text).is_file():
            raise typer.BadParameter(f"{show(text)} is a file, allowed: a folder")
    return Path(text)
