"""docs/recipes.md, followed to the letter on a copy of the package."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from programs import forked

import mnistexp

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"
BLOCK = re.compile(r"<!-- (?P<how>[^\n]+) -->\n```(?P<language>\w+)\n(?P<text>.*?)```\n", re.DOTALL)
PLACE = re.compile(r"not run: goes into (?P<file>\S+) (?P<where>before|instead of|at the end)(: (?P<line>.+))?")
RECIPES = {text.partition("\n")[0]: text for text in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]}


def carry_out(how: str, text: str, folder: Path) -> None:
    """Put a block of the page where the comment above it says."""
    if created := re.fullmatch(r"file: (.+)", how):
        (folder / created[1]).write_text(text)
        return
    place = re.fullmatch(
        r"not run: goes into (?P<file>\S+) (?P<where>before|instead of|at the end)(: (?P<line>.+))?", how
    )
    assert place, how
    path = folder / place["file"]
    lines = path.read_text().splitlines(keepends=True)
    if place["where"] == "at the end":
        number = len(lines)
    else:
        [number] = [n for n, line in enumerate(lines) if line.startswith(place["line"])]
    lines[number : number + (place["where"] == "instead of")] = text
    path.write_text("".join(lines))


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_works_as_it_is_written(title: str, tmp_path: Path) -> None:
    source = Path(mnistexp.__file__).parent
    shutil.copytree(source, tmp_path / "mnistexp", ignore=shutil.ignore_patterns("__pycache__"))
    commands = []
    for block in BLOCK.finditer(RECIPES[title]):
        if block["language"] == "console":
            commands += re.findall(r"\$ mnistexp (.+)\n([^$]+)", block["text"])
        else:
            carry_out(block["how"], block["text"], tmp_path)
    assert commands
    for command, expected in commands:
        done = subprocess.run(
            forked(*shlex.split(command)),
            cwd=tmp_path,
            env={**os.environ, "MNISTEXP_COPY": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert expected.strip() in done.stdout
