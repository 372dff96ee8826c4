"""Screens of a real terminal: colours only where they are wanted, nothing cut off, no line too wide."""

import os
import re
import sys
from pathlib import Path

import pytest
from programs import forked, on_terminal

ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
SCREENS = {
    "list": ["runs", "list"],
    "show a training": ["runs", "show", "train"],
    "show repeats": ["runs", "show", "repeats"],
    "show a sweep": ["runs", "show", "sweep"],
    "show the best model": ["runs", "show", "best"],
    "compare": ["runs", "compare", "train", "repeats"],
    "groups": ["runs", "list", "--group"],
    "settings": ["config", "show", "train"],
    "help": ["train", "--help"],
}


def screen(arguments: list[str], width: int, **variables: str) -> str:
    """What a command writes to a terminal of this width, with its colours and movements."""
    environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}}
    code, said = on_terminal(forked(*arguments), width, environment | {"TERM": "xterm-256color", **variables})
    assert code == 0, said.decode()
    return said.decode()


def colours(text: str) -> set[str]:
    """The colours that a text sets: 30 to 37, 90 to 97 and 38;... of the letters, 40 and more of the ground."""
    codes = [code for codes, letter in ESCAPE.findall(text) if letter == "m" for code in codes.split(";")]
    return {code for code in codes if re.fullmatch(r"[349]\d|10\d", code)}


def timeless(text: str) -> list[str]:
    """The words of a screen without ages, which grow between two of them."""
    return re.sub(r"\d+ (?:s|min|h)\b", "", text).split()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
@pytest.mark.parametrize("what", SCREENS)
def test_screens_fit_their_width_cut_no_words_and_use_colour_only_where_allowed(
    finished: dict[str, Path], what: str
) -> None:
    runs = str(finished["train"].parent)
    command = [finished[word].name if word in finished and "show" in what else word for word in SCREENS[what]]
    if what == "compare":
        command = ["runs", "compare", finished["train"].name, finished["repeats"].name]
    command += [] if what == "help" else ["--runs-dir", runs]
    for width in (80, 140):
        coloured, plain = screen(command, width), screen(command, width, NO_COLOR="1")
        assert not colours(plain)
        lines = ESCAPE.sub("", plain).splitlines()
        assert timeless(ESCAPE.sub("", coloured)) == timeless("\n".join(lines))
        assert 0 < max(map(len, lines)) <= width
        # Light and dark grounds alike: no ground of our own, no white or black letters.
        assert not {code for code in colours(coloured) if code in {"30", "37", "97"} or code.startswith(("4", "10"))}
