"""A hook of MkDocs: the page of all commands, made from the commands themselves whenever the site is built."""

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from mnistexp.cli.app import app

COMMANDS = "reference/commands.md"


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


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to those that MkDocs found; it is never written into `docs/`."""
    files.append(File.generated(config, COMMANDS, content=commands_page()))
    return files
