"""Plain words: texts that people read don't use the phrases listed here.

`python tests/test_words.py` lists the hits of the whole repository.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile")
CHECKED = (*PAGES, "mnistexp")
STORED = {"learnt", "not told apart"}
"""Keys and values in files and in `--json`, which keep their words: a text that is one of them is not checked."""
SUFFIXES = {".md", ".yaml", ".py", ".html", ".js", ""}

INSTEAD = {
    r"(?:go|goes|going|gone|went) through": "pass over, iterate over",
    r"(?:come|comes|came) out": "is, gives",
    r"(?:is|are|was|were) told": "is reported",
    r"what (?:is|are|comes|came|lies|stands)": "a noun, or `that` and the verb",
    r"[Aa]new": "again",
    r"[Mm]end(?:s|ed|ing)?": "fix",
    r"[Tt](?:each|eaches|aught)": "train",
    r"learn(?:s|ed|t)? (?:from|on)": "is trained on",
    r"learnt": "trained, learned",
    r"taken for": "predicted as, regarded as",
    r"(?:not|be|been) had": "isn't available, can't be loaded",
    r"is no (?:setting|error|failure|verdict|number|whole number)": "isn't",
    r"this is none": "isn't",
    r"none is": "there is no",
    r"(?:is|are|was|were) meant": "match, refer to",
    r"[Ss]ay only": "print only",
    r"by heart": "memorize",
    r"put down to": "explain by",
    r"known again": "identify",
    r"slips? of the pen": "syntax error",
    r"looks? after": "manage",
    r"for want of": "without",
    r"(?:hold|holds|held) against": "compare with",
    r"told apart|tell apart": "distinguish",
    r"has no use here": "isn't supported here",
    r"least (?:validation )?loss": "lowest loss",
    r"(?:is|are) worth": "how far to trust",
    r"[Dd]igits per update": "batch size",
    r"[Ww]ho decides": "precedence",
}
"""Phrases, as patterns of whole words, and the words to use instead."""
SPACE = r"\s+(?:# )?"
PHRASES = {
    re.compile(rf"(?<![\w-])(?:{pattern.replace(' ', SPACE)})(?![\w-])"): instead
    for pattern, instead in INSTEAD.items()
}

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
GENERATED = re.compile(r"<!-- (?:\S+ writes from here|\w+:begin) -->.*?<!-- (?:to here|\w+:end) -->", re.DOTALL)
"""Parts of pages that are made from texts of the code."""


def files(*places: str) -> list[Path]:
    """The texts among these files, and in these folders."""
    roots = [ROOT / place for place in places]
    found = [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob("*")))]
    return [path for path in found if path.is_file() and path.suffix in SUFFIXES]


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """What is read by people in a file: each text with the line where it begins."""
    source = path.read_text()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in STORED:
                yield node.lineno, node.value
        return
    if path.suffix == ".md":
        for part in (GENERATED, FENCE):
            source = part.sub(lambda match: "\n" * match[0].count("\n"), source)
    yield 1, source


def hits(path: Path) -> list[str]:
    """The phrases used in a file, each with its place and what to write instead."""
    return [
        f"{path.relative_to(ROOT)}:{line + text.count(chr(10), 0, match.start())}: {match[0]!r}, instead: {instead}"
        for line, text in texts(path)
        for phrase, instead in PHRASES.items()
        for match in phrase.finditer(text)
    ]


@pytest.mark.parametrize("path", files(*CHECKED), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_words_are_plain(path: Path) -> None:
    assert hits(path) == []


def test_phrases_are_found_in_every_kind_of_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    for name, text, line in (
        ("page.md", "Of it\n```\nit is told\n```\nall is\ntold.", 5),
        ("settings.yaml", "# Digits to\n# learn\n# from\nkey: 1", 2),
        ("module.py", 'def anew() -> None:\n    """One.\n\n    Done anew."""\n    return {"learnt": 1}', 4),
    ):
        (tmp_path / name).write_text(text)
        assert [hit.split(": ")[0] for hit in hits(tmp_path / name)] == [f"{name}:{line}"]


if __name__ == "__main__":
    print("\n".join(hit for path in files(*CHECKED) for hit in hits(path)))
