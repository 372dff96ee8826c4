"""Text from files and names as a terminal shows it: nothing in it steers the terminal or turns its letters round."""

import re
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult

# Control characters but for tab and line feed, what changes the direction of writing, and halves of surrogate pairs,
# which no stream takes.
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with a replacement character for each that would steer a terminal; lines and tabs stay."""
    return STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: str, instead: str = "\N{REPLACEMENT CHARACTER}") -> str:
    """The text with `instead` for each letter that a terminal doesn't show as it is, line feeds and tabs among them."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else instead for letter in text)


class Printable:
    """Anything that rich shows, with its text made printable; rich's own colours stay."""

    def __init__(self, renderable: Any) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
