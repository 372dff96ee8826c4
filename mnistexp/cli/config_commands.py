"""The commands about configurations: show, check, copy one to begin with, describe them to an editor."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mnistexp.cli import completion, console
from mnistexp.cli.call import Call
from mnistexp.cli.option_kinds import OUTPUT, choice_option, option
from mnistexp.cli.options import OutputOption
from mnistexp.cli.parsing import Commands
from mnistexp.config import settings
from mnistexp.errors import BadInput, ConfigError, Problem

__all__ = ["commands"]

commands = Commands(help="Create, show and check configurations.")

SCHEMA = "mnistexp.schema.json"
COMMAND = re.compile(r"^(# Command: +mnistexp [\w-]+).*$", re.MULTILINE)


@commands.add(
    "show",
    {
        "mnistexp config show": "show the settings of mnistexp train",
        "mnistexp config show sweep-dropout --set training.epochs=10": "change a setting",
    },
    shares="... config sets epochs opt learning_rate batch_size dropout seed runs_dir json",
)
def show(
    call: Call,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Packaged configuration to start from.", autocompletion=completion.packaged
        ),
    ] = "train",
) -> None:
    """Show the resolved settings and where each comes from."""
    found = call.settings(name)
    document = {"config": found.config.model_dump(mode="json"), "origins": found.origins}
    call.result(document, console.settings_table(found))


@commands.add(
    "validate",
    {"mnistexp config validate configs/train.yaml configs/best.yaml": "check two files"},
    shares="... json",
)
def validate(
    call: Call,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="YAML files to check."),
    ],
) -> None:
    """Check configuration files and report all problems."""
    problems: list[Problem] = []
    for file in files:
        try:
            settings.resolve([settings.read_file("train"), settings.read_file(file)])
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    call.result({"valid": files}, *(Text(f"{file}: valid") for file in files))


@commands.add(
    "init",
    {
        "mnistexp config init mine": "copy the settings of mnistexp train to mine.yaml",
        "mnistexp config init mine --from sweep-optimizer --schema": "copy a sweep, with a schema for your editor",
    },
    shares="... json",
)
def init(
    call: Call,
    name: Annotated[str, typer.Argument(metavar="NAME", help="File to write; .yaml is added if missing.")],
    source: Annotated[
        str,
        choice_option(OUTPUT, "--from", "Packaged configuration to copy", settings.packaged_names(), metavar="NAME"),
    ] = "train",
    with_schema: Annotated[bool, option(OUTPUT, "--schema", f"Also write {SCHEMA} and refer to it")] = False,
    force: Annotated[bool, option(OUTPUT, "--force", "Overwrite an existing file")] = False,
) -> None:
    """Copy a packaged configuration to a file."""
    path = _target(name, force)
    text = COMMAND.sub(lambda found: f"{found[1]} --config {path}", settings.packaged(source))
    modeline = f"# yaml-language-server: $schema={SCHEMA}\n" if with_schema else ""
    from mnistexp.runs.files import write_text

    beside = path.with_name(SCHEMA) if with_schema else None
    if beside:
        write_text(beside, _schema_text())
    write_text(path, modeline + text)
    command = COMMAND.search(text)
    said = command[0].partition("mnistexp")[2].strip() if command else f"train --config {path}"
    document = {"config": str(path), "schema": str(beside) if beside else None, "command": f"mnistexp {said}"}
    call.result(document, Text(f"{path}: copied from {source}; run it with: mnistexp {said}"))


def _target(name: str, force: bool) -> Path:
    """Where to write. Raises `BadInput` for a place that is taken or can't be."""
    from mnistexp.runs.files import is_folder

    path = Path(name)
    if not path.name or "\0" in name:
        raise BadInput(f"{name!r} isn't a file name, allowed: a name such as mine or mine.yaml")
    if path.suffix not in {".yaml", ".yml"}:
        path = path.with_name(f"{path.name}.yaml")
    if not is_folder(path.parent):
        raise BadInput(f"{path}: there is no folder {str(path.parent)!r}, allowed: an existing folder")
    if is_folder(path) or (os.path.lexists(path) and not force):
        raise BadInput(f"{path} already exists, allowed: another name, or --force to overwrite a file")
    return path


@commands.add(
    "schema",
    {
        "mnistexp config schema": "print the schema",
        "mnistexp config schema --output mnistexp.schema.json": "write it to a file",
    },
    shares="... json",
)
def schema(
    call: Call,
    output: OutputOption = None,
) -> None:
    """Print the JSON Schema of configurations, for editors."""
    if output is None:
        print(_schema_text(), end="", flush=True)
        return
    from mnistexp.runs.files import write_text

    write_text(output, _schema_text())
    call.result({"schema": str(output)}, Text(f"{output}: the schema"))


def _schema_text() -> str:
    from mnistexp.config.schema import config_schema

    return f"{console.json_text(config_schema())}\n"
