"""The documentation says what is true: commands are explained, examples run as printed, links lead somewhere."""

import contextlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from docs_examples import MARKER, PAGES, RECIPES, ROOT, SHELLS, Example, examples, prepare, run_page
from markdown_it import MarkdownIt
from typer import Exit
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from mnistexp.cli.app import app


def tree(command: TyperCommand, *names: str) -> Iterator[tuple[str, TyperCommand]]:
    """Every command by its full name, groups of commands included."""
    yield " ".join(("mnistexp", *names)), command
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from tree(child, *names, name)


MARKDOWN = MarkdownIt().enable("table")
COMMANDS = dict(tree(get_command(app)))
RUNNABLE = [name for name, command in COMMANDS.items() if not isinstance(command, TyperGroup)]
WITH_EXAMPLES = [page for page in PAGES if page != RECIPES and examples(page)]
BLOCKS = [example for page in WITH_EXAMPLES for example in examples(page)]


def named(words: list[str]) -> tuple[str, list[str]]:
    """The full name of the command in a command line, and the words after it. All options among them must exist."""
    name, *rest = words
    while isinstance(COMMANDS[name], TyperGroup) and rest and not rest[0].startswith("-"):
        name = f"{name} {rest.pop(0)}"
        assert name in COMMANDS, f"there is no command {name}"
    known = {"--help", "-h"}.union(*(parameter.opts + parameter.secondary_opts for parameter in COMMANDS[name].params))
    flags = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert flags <= known, f"{name} has no {', '.join(flags - known)}"
    return name, rest


def parse(words: list[str]) -> str:
    """Let the command's own parser read a command line, without running it; returns the command's full name.

    Raises the parser's error at a wrong option or value.
    """
    name, rest = named(words)
    if not isinstance(COMMANDS[name], TyperGroup):  # a group's options act when they are read: they install completion
        with contextlib.suppress(Exit):  # of --help
            COMMANDS[name].make_context(name, rest)
    return name


def in_help(command: TyperCommand) -> list[list[str]]:
    """The command lines among the examples at the end of a command's help."""
    return [line.split() for line in re.findall(r"^- `(mnistexp [^`]*)`: \S", command.epilog or "", re.MULTILINE)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_explained(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", None)] == []


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_command_has_examples_that_its_parser_accepts(name: str) -> None:
    assert name in [parse(line) for line in in_help(COMMANDS[name])]


@pytest.mark.parametrize("name", RUNNABLE)
def test_every_command_is_in_the_docs(name: str) -> None:
    assert any(re.search(rf"\b{name}\b", page.read_text()) for page in PAGES)


def test_comments_before_examples_are_understood() -> None:
    of_examples = [block for block in BLOCKS if block.comment and block.language in {*SHELLS, "python"}]
    assert [block.place for block in of_examples if not MARKER.fullmatch(block.comment)] == []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_examples_are_written_correctly(block: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that don't run, too: Python compiles, commands and options exist, settings are as allowed."""
    if block.language == "python":
        compile(block.text, block.place, "exec")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    for words in block.command_lines():
        if words[0] != "mnistexp":
            continue
        command = COMMANDS[parse(words)]
        dry = {"--dry-run"} & {flag for parameter in command.params for flag in parameter.opts}
        if dry and block.marker and "--resume" not in words:
            done = CliRunner().invoke(app, [*words[1:], *dry])
            assert done.exit_code == 0, f"{' '.join(words)}: {done.exception}"


def test_commands_within_sentences_exist() -> None:
    tokens = [child for page in PAGES for token in MARKDOWN.parse(page.read_text()) for child in token.children or []]
    lines = {token.content for token in tokens if token.type == "code_inline" and token.content.startswith("mnistexp ")}
    assert lines
    for line in lines:
        named(line.split())


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.name)
def test_examples_run_as_printed(page: Path, tmp_path: Path, finished: dict[str, Path]) -> None:
    run_page(page, prepare(tmp_path, finished["train"].parent), slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.name)
def test_slow_examples_run_as_printed(page: Path, tmp_path: Path, finished: dict[str, Path]) -> None:
    """Where numbers of a training are printed, they are those of the processor they were printed on."""
    run_page(page, prepare(tmp_path, finished["train"].parent), slow=True)


def test_links_of_the_readme_have_targets() -> None:
    tokens = [child for token in MARKDOWN.parse(PAGES[0].read_text()) for child in token.children or []]
    links = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link.partition("#")[0]).exists()] == []


COPIED = re.compile(r'<div class="highlight">(.*?)</div>', re.DOTALL)
"""A block of the site with a button that copies it."""


class Loaded(HTMLParser):
    """The addresses that a page loads by itself; links to be clicked are none of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.addresses += [value for name, value in attrs if name in {"src", "href", "srcset", "data"} and value]


@pytest.mark.filterwarnings("ignore:::(mkdocs|material|pymdownx|markdown|ghp_import)")
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, which has loaded what the hook that trains for a figure needs."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    monkeypatch.setenv("DOCS_EPOCHS", "1")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    pages = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.html")}
    assert {"index.html", "tutorial.html", "glossary.html", "reference/commands.html"} <= pages.keys()
    assert all(f'id="{name.replace(" ", "-")}"' in pages["reference/commands.html"] for name in RUNNABLE)
    copied = [text for name in pages for text in COPIED.findall(pages[name]) if name != "reference/commands.html"]
    assert len(copied) > 50
    assert [text for text in copied if re.search(r">\$ ", text)] == []
    elsewhere = re.compile(r"(https?:)?//")
    assert {
        address for text in pages.values() for address in Loaded(text).addresses if elsewhere.match(address)
    } == set()
    styles = [path.read_text() for path in tmp_path.rglob("*.css")]
    assert styles
    assert not any(re.search(r"url\([\"']?(https?:)?//|@import", style) for style in styles)
