"""The examples of README.md and docs/, found in the Markdown and run as printed.

A comment before a block says how it is treated:

    <!-- slow: about 8 minutes -->   run by `make docs-examples` only; its command lines are checked at once
    <!-- not run: needs a cluster --> never run; its command lines are checked all the same
    <!-- file: my.yaml -->           not run but written: the examples after it find the file

`console` blocks hold commands after `$ `. What is printed below one must be what the command says on standard output
or, where it fails, on standard error; `...` stands for any text there, and white space counts as one space. A command
that fails is an error, unless the next one is `echo $?`. `sh` blocks are scripts, of which no command may fail, and
`python` blocks are programs. All blocks of a page run in one folder, one after the other.
"""

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from programs import forks

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECIPES = ROOT / "docs" / "recipes.md"
"""Its examples change the package; `test_recipes.py` follows them on a copy."""
SHELLS = {"sh", "bash", "shell", "console"}
MARKER = re.compile(r"<!-- (slow|not run|file): (\S.*\S) -->")
COMPARISON = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PUNCTUATION = set("();<>|&")
"""What ends a command in a shell; shlex joins neighbours of these to one word."""


@dataclass(frozen=True)
class Example:
    """A block of code in a page."""

    page: Path
    line: int
    language: str
    text: str
    comment: str
    """The HTML comment right before it, or nothing."""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def marker(self) -> str:
        match = MARKER.fullmatch(self.comment)
        return match[1] if match else ""

    @property
    def name(self) -> str:
        """The file that a block is to be written to."""
        match = MARKER.fullmatch(self.comment)
        assert match
        return match[2]

    def runs(self, *, slow: bool) -> bool:
        known = self.language in SHELLS | {"python"}
        return known and (not self.marker or (slow and self.marker == "slow"))

    def dialogue(self) -> Iterator[tuple[str, str]]:
        """The commands of a `console` block, each with the text printed below it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            lines = part.split("\n")
            end = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
            yield "\n".join(lines[: end + 1]), "\n".join(lines[end + 1 :])

    def command_lines(self) -> Iterator[list[str]]:
        """The words of each command in a shell block; what stands in quotes or in `$(...)` stays one word."""
        if self.language not in SHELLS:
            return
        script = "\n".join(command for command, _ in self.dialogue()) if self.language == "console" else self.text
        for line in script.replace("\\\n", " ").splitlines():
            words: list[str] = []
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            for word in (*lexer, ";"):
                if not word or not PUNCTUATION.issuperset(word):
                    words.append(word)
                elif words:
                    yield words
                    words = []


@cache
def examples(page: Path) -> list[Example]:
    """All blocks of code of a page, in order."""
    tokens = MarkdownIt().parse(page.read_text())
    comments = ["", *(token.content.strip() if token.type == "html_block" else "" for token in tokens)]
    return [
        Example(page, token.map[0] + 1, token.info.partition(" ")[0], token.content, comment)
        for token, comment in zip(tokens, comments, strict=False)
        if token.type == "fence" and token.map
    ]


def run_page(page: Path, folder: Path, *, slow: bool) -> None:
    """Run the examples of a page in a folder. Raises AssertionError with the place of the first that goes wrong."""
    for example in examples(page):
        if example.marker == "file":
            (folder / example.name).write_text(example.text)
        elif example.runs(slow=slow):
            run_example(example, folder)


def run_example(example: Example, folder: Path) -> None:
    """Run one block. Raises AssertionError."""
    if example.language == "python":
        program = folder / f"example_{example.line}.py"
        program.write_text(example.text)
        done = _run([sys.executable, program.name], folder)
    elif example.language != "console":
        done = _run(["bash", "-e", "-u", "-x", "-o", "pipefail", "-c", example.text], folder)
    else:
        _converse(example, folder)
        return
    assert done.returncode == 0, f"{example.place}: exit code {done.returncode}\n{done.stdout}{done.stderr}"


def _converse(example: Example, folder: Path) -> None:
    code = 0
    dialogue = list(example.dialogue())
    assert dialogue, f"{example.place}: no line begins with '$ '"
    following = [command for command, _ in dialogue[1:]] + [""]
    for (command, expected), after in zip(dialogue, following, strict=True):
        done = _run(["bash", "-o", "pipefail", "-c", f"(exit {code}); {command}"], folder)
        code = done.returncode
        said = f"{example.place}: $ {command}\nexit code {code}\n{done.stdout}{done.stderr}"
        assert code == 0 or after.strip() == "echo $?", said
        if expected.strip():
            printed = done.stdout if code == 0 else done.stderr
            same = doctest.OutputChecker().check_output(expected, printed, COMPARISON)
            assert same, f"{said}\n--- expected:\n{expected}"


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as its reader would, with a `mnistexp` on the path that doesn't wait for its libraries."""
    own = {key: value for key, value in os.environ.items() if key not in {"MNISTEXP_RUNS_DIR", "PYTHONPATH"}}
    path = os.pathsep.join([str(forks()), str(Path(sys.executable).parent), own.get("PATH", "")])
    return subprocess.run(
        command, cwd=folder, env=own | {"PATH": path}, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def prepare(folder: Path, runs: Path) -> Path:
    """A folder for the examples of a page: the files of `configs/`, and a few small finished runs."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copytree(runs, folder / "runs")
    return folder
