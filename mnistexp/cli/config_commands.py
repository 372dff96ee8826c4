"""The commands about configurations: show, check, copy one to begin with, describe them to an editor."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mnistexp import settings
from mnistexp.cli import completion, console
from mnistexp.cli.options import (
    OUTPUT,
    BatchSizeOption,
    ConfigOption,
    DropoutOption,
    EpochsOption,
    JsonOption,
    LearningRateOption,
    OptimizerOption,
    SeedOption,
    SetOption,
    a_file,
    examples,
    option,
    settings_for,
)
from mnistexp.cli.parsing import Commands
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput, ConfigError, Problem, nearest

__all__ = ["config_app"]

config_app = Commands(help="Create, show and check configurations.")

SCHEMA = "mnistexp.schema.json"
COMMAND = re.compile(r"^(# Command: +mnistexp [\w-]+).*$", re.MULTILINE)


@config_app.command(
    "show",
    epilog=examples(
        {
            "mnistexp config show": "show the settings of mnistexp train",
            "mnistexp config show sweep-dropout --set training.epochs=10": "change a setting",
        }
    ),
)
def config_show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Packaged configuration to start from.", autocompletion=completion.packaged
        ),
    ] = "train",
    config: ConfigOption = None,
    sets: SetOption = None,
    epochs: EpochsOption = None,
    opt: OptimizerOption = None,
    learning_rate: LearningRateOption = None,
    batch_size: BatchSizeOption = None,
    dropout: DropoutOption = None,
    seed: SeedOption = None,
    json: JsonOption = False,
) -> None:
    """Show the resolved settings and where each comes from."""
    given = {
        "epochs": epochs, "opt": opt, "learning_rate": learning_rate, "batch_size": batch_size, "dropout": dropout,
        "seed": seed,
    }  # fmt: skip
    found = settings_for(name, config, sets, None, **given)
    document = {"config": found.config.model_dump(mode="json"), "origins": found.origins}
    Voice(json).result(document, console.settings_table(found))


@config_app.command(
    "validate",
    epilog=examples({"mnistexp config validate configs/train.yaml configs/best.yaml": "check two files"}),
)
def config_validate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="YAML files to check.", autocompletion=completion.yaml_files),
    ],
    json: JsonOption = False,
) -> None:
    """Check configuration files and report all problems."""
    problems: list[Problem] = []
    for file in files:
        try:
            settings_for("train", [file], None)
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    Voice(json).result({"valid": files}, *(Text(f"{file}: valid") for file in files))


@config_app.command(
    "init",
    epilog=examples(
        {
            "mnistexp config init mine": "copy the settings of mnistexp train to mine.yaml",
            "mnistexp config init mine --from sweep-optimizer --schema": "copy a sweep, with a schema for your editor",
        }
    ),
)
def config_init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="File to write; .yaml is added if missing.")],
    source: Annotated[
        str,
        option(
            OUTPUT,
            "--from",
            "Packaged configuration to copy",
            metavar="NAME",
            autocompletion=completion.packaged,
        ),
    ] = "train",
    schema: Annotated[bool, option(OUTPUT, "--schema", f"Also write {SCHEMA} and refer to it")] = False,
    force: Annotated[bool, option(OUTPUT, "--force", "Overwrite an existing file")] = False,
    json: JsonOption = False,
) -> None:
    """Copy a packaged configuration to a file."""
    if source not in (names := settings.packaged_names()):
        raise BadInput(f"--from: is {source!r}, allowed: {', '.join(names)}{nearest(source, names)}")
    path = _target(name, force)
    text = COMMAND.sub(lambda found: f"{found[1]} --config {path}", settings.packaged(source))
    modeline = f"# yaml-language-server: $schema={SCHEMA}\n" if schema else ""
    from mnistexp.runs.files import write_text

    beside = path.with_name(SCHEMA) if schema else None
    if beside:
        write_text(beside, _schema_text())
    write_text(path, modeline + text)
    command = COMMAND.search(text)
    said = command[0].partition("mnistexp")[2].strip() if command else f"train --config {path}"
    document = {"config": str(path), "schema": str(beside) if beside else None, "command": f"mnistexp {said}"}
    Voice(json).result(document, Text(f"{path}: copied from {source}; run it with: mnistexp {said}"))


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


@config_app.command(
    "schema",
    epilog=examples(
        {
            "mnistexp config schema": "print the schema",
            "mnistexp config schema --output mnistexp.schema.json": "write it to a file",
        }
    ),
)
def config_schema(
    output: Annotated[
        Path | None,
        option(OUTPUT, "--output -o", "File to write", metavar="FILE", callback=a_file, show_default="standard output"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print the JSON Schema of configurations, for editors."""
    if output is None:
        print(_schema_text(), end="", flush=True)
        return
    from mnistexp.runs.files import write_text

    write_text(output, _schema_text())
    Voice(json).result({"schema": str(output)}, Text(f"{output}: the schema"))


def _schema_text() -> str:
    from mnistexp.config_schema import config_schema

    return f"{console.json_text(config_schema())}\n"
