"""The terms of `templates/glossary.md`, and their definitions as tooltips of a page."""

import re
from functools import cache
from importlib import resources

from markupsafe import Markup

TERM = re.compile(r"^- \*\*(.+?)\*\*: (.+)$", re.MULTILINE)
GENERAL = "\n## Runs\n"
"""The terms from here on are about the program, and too general for tooltips: "run", "tag"."""


@cache
def definitions() -> dict[str, str]:
    """The terms that pages explain, each with its definition."""
    text = resources.files(__package__).joinpath("templates", "glossary.md").read_text("utf-8")
    return dict(TERM.findall(text.partition(GENERAL)[0]))


@cache
def _pattern() -> re.Pattern[str]:
    longest_first = sorted(definitions(), key=len, reverse=True)
    terms = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<!\w)(?<![a-z]-)(--[a-z][a-z-]*|(?:{terms})(?=s?(?![\w-])))", re.IGNORECASE)


class Tooltips:
    """Escapes the texts of one page; marks the first occurrence of each term with its definition, and options as code.

    Parts of compounds are not marked: the names of runs contain terms.
    """

    def __init__(self) -> None:
        self._waiting = {term.lower(): definition for term, definition in definitions().items()}

    def __call__(self, text: str) -> Markup:
        """The text as HTML."""
        parts = _pattern().split(text)
        return Markup("").join(self._marked(part) if place % 2 else part for place, part in enumerate(parts))

    def _marked(self, term: str) -> str:
        if term.startswith("--"):
            return Markup("<code>{}</code>").format(term)
        definition = self._waiting.pop(term.lower(), None)
        return term if definition is None else Markup('<abbr title="{}">{}</abbr>').format(definition, term)
