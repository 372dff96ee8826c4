"""A hook of MkDocs: pages and a figure made whenever the site is built, and examples whose commands can be copied.

The page of all commands is made from the commands themselves, the glossary is the one that reports use, and the loss
curves of the tutorial come from its own command. None of them is ever written into `docs/`.
"""

import os
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

import mnistexp
from mnistexp.cli.app import app

GLOSSARY = Path(__file__).parent.parent / "mnistexp" / "report" / "templates" / "glossary.md"
EPOCHS = "DOCS_EPOCHS"
"""The variable with the epochs of the tutorial's figure, for builds whose figures nobody reads."""
DIALOGUE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n", re.MULTILINE)


def commands_page() -> str:
    """Every command with its arguments, options, defaults and examples, in Markdown."""
    command = get_command(app)
    _list_in_full(command)
    context = Context(command, info_name="mnistexp", help_option_names=["-h", "--help"])
    return get_docs_for_click(obj=command, ctx=context, name="mnistexp", title="Commands")


def _list_in_full(command: Any) -> None:
    """Let lists of commands say all that a command does: Typer cuts what is not a short help off at 45 characters."""
    command.short_help = (command.help or "").partition("\n\n")[0]
    for child in getattr(command, "commands", {}).values():
        _list_in_full(child)


@cache
def loss_curves() -> bytes:
    """The PNG of the loss curves of `mnistexp train --epochs 150`."""
    with tempfile.TemporaryDirectory() as runs:
        epochs = int(os.environ.get(EPOCHS, "150"))
        return (
            mnistexp.train(changes={"training.epochs": epochs}, runs_dir=runs).run_dir / "loss_curves.png"
        ).read_bytes()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages and the figure to the files that MkDocs found."""
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    files.append(File.generated(config, "glossary.md", abs_src_path=str(GLOSSARY)))
    files.append(File.generated(config, "images/loss_curves.png", content=loss_curves()))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Split dialogues with a shell into blocks of commands, without prompts, and blocks of output."""
    return DIALOGUE.sub(lambda match: _blocks(match[1]), markdown)


def _blocks(dialogue: str) -> str:
    blocks: list[tuple[str, str]] = []
    for number, part in enumerate(COMMAND.split(dialogue)):
        language = "sh" if number % 2 else "{ .text .no-copy }"
        if blocks and blocks[-1][0] == language:
            blocks[-1] = (language, f"{blocks[-1][1]}\n{part}")
        elif part.strip():
            blocks.append((language, part.rstrip("\n")))
    return "\n\n".join(f"``` {language}\n{text}\n```" for language, text in blocks)
