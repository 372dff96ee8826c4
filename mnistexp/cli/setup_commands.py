"""The commands that set up: configurations, the caches, and an examination of the machine and the installation."""

import os
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mnistexp.cli import console
from mnistexp.cli.call import Call
from mnistexp.cli.options import AGE, CHANGES, EXECUTION, OUTPUT, OutputOption, argument, choice, option
from mnistexp.cli.parsing import SET_UP, Commands
from mnistexp.config import settings
from mnistexp.config.shown import counted
from mnistexp.errors import BadInput, ConfigError, MnistexpError, Problem, collecting

if TYPE_CHECKING:
    from mnistexp.runs.cache_folder import CacheFolder


commands = Commands()
configurations = Commands(help="Create, show and check configurations.")
caches = Commands(help="Inspect and prune the caches of fits and compiled kernels.")

SCHEMA = "mnistexp.schema.json"
COMMAND = re.compile(r"^(# Command: +mnistexp [\w-]+).*$", re.MULTILINE)
COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@configurations.add("show", shares="... config sets epochs opt learning_rate batch_size dropout seed runs_dir json")
def show(
    call: Call,
    name: Annotated[str, argument("NAME", "Packaged configuration to start from.", settings.packaged_names)] = "train",
) -> None:
    """Show the resolved settings and where each comes from.

    mnistexp config show  # show the settings of mnistexp train
    mnistexp config show sweep-dropout --set training.epochs=10  # change a setting
    """
    found = call.settings(name)
    call.result(console.settings_document(found), console.settings_table(found))


@configurations.add("validate", shares="... json")
def validate(call: Call, files: Annotated[list[str], argument("FILE...", "YAML files to check.")]) -> None:
    """Check configuration files and report all problems.

    mnistexp config validate configs/train.yaml configs/best.yaml  # check two files
    """
    problems: list[Problem] = []
    for file in files:
        with collecting(problems):
            settings.resolve([settings.read_file("train"), settings.read_file(file)])
    if problems:
        raise ConfigError(problems)
    call.result({"valid": files}, *(f"{file}: valid" for file in files))


@configurations.add("init", shares="... json")
def init(
    call: Call,
    name: Annotated[str, argument("NAME", "File to write; .yaml is added if missing.")],
    source: Annotated[
        str, choice(OUTPUT, "--from", "Packaged configuration to copy", settings.packaged_names(), metavar="NAME")
    ] = "train",
    with_schema: Annotated[bool, option(OUTPUT, "--schema", f"Also write {SCHEMA} and refer to it")] = False,
    force: Annotated[bool, option(OUTPUT, "--force", "Overwrite an existing file")] = False,
) -> None:
    """Copy a packaged configuration to a file.

    mnistexp config init mine  # copy the settings of mnistexp train to mine.yaml
    mnistexp config init mine --from sweep-optimizer --schema  # copy a sweep, with a schema for your editor
    """
    from mnistexp.runs.files import write_text

    path = _target(name, force)
    text = COMMAND.sub(lambda found: f"{found[1]} --config {path}", settings.packaged(source))
    command = COMMAND.search(text)
    said = command[0].partition("mnistexp")[2].strip() if command else f"train --config {path}"
    beside = path.with_name(SCHEMA) if with_schema else None
    if beside:
        write_text(beside, _schema_text())
        text = f"# yaml-language-server: $schema={SCHEMA}\n{text}"
    write_text(path, text)
    document = {"config": str(path), "schema": str(beside) if beside else None, "command": f"mnistexp {said}"}
    call.result(document, f"{path}: copied from {source}; run it with: mnistexp {said}")


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


@configurations.add("schema", shares="... json")
def schema(call: Call, output: OutputOption = None) -> None:
    """Print the JSON Schema of configurations, for editors.

    mnistexp config schema  # print the schema
    mnistexp config schema --output mnistexp.schema.json  # write it to a file
    """
    if output is None:
        print(_schema_text(), end="", flush=True)
        return
    from mnistexp.runs.files import write_text

    write_text(output, _schema_text())
    call.result({"schema": str(output)}, f"{output}: the schema")


def _schema_text() -> str:
    from mnistexp.config.schema import config_schema

    return f"{console.json_text(config_schema())}\n"


@caches.add("info")
def info(call: Call) -> None:
    """Show the size of the caches of fits and compiled kernels.

    mnistexp cache info  # show the number and size of cached fits and compiled kernels
    """
    fits, compiled = _caches(call)
    count, size = fits.size()
    kernels, kept = compiled.size() if compiled else (0, 0)
    document = {
        "folder": str(fits.folder),
        "fits": count,
        "bytes": size,
        "kernels_folder": str(compiled.folder) if compiled else None,
        "kernels": kernels,
        "kernels_bytes": kept,
    }
    call.result(
        document,
        f"{count} fits in {fits.folder}, {size / 1e6:.1f} MB",
        f"{kernels} compiled kernels in {compiled.folder}, {kept / 1e6:.1f} MB"
        if compiled
        else "compiled kernels are not kept (MNISTEXP_CACHE_DIR)",
    )


@caches.add("prune")
def prune(
    call: Call,
    older_than: Annotated[
        float | None, option(CHANGES, "--older-than", "Minimum age, e.g. 30d, 12h or 90m", **AGE, show_default="all")
    ] = None,
) -> None:
    """Remove cached fits and kernels; they are rebuilt when needed.

    mnistexp cache prune --older-than 30d  # remove fits not used for 30 days
    """
    fits, compiled = _caches(call)
    count, size = fits.prune(older_than)
    kernels, freed = compiled.prune(older_than) if compiled else (0, 0)
    document = {
        "folder": str(fits.folder),
        "fits_removed": count,
        "bytes_removed": size,
        "kernels_removed": kernels,
        "kernels_bytes_removed": freed,
    }
    text = f"{count} fits removed from {fits.folder}, {size / 1e6:.1f} MB"
    if compiled:
        text += f"; {kernels} compiled kernels from {compiled.folder}, {freed / 1e6:.1f} MB"
    call.result(document, text)


def _caches(call: Call) -> "tuple[CacheFolder, CacheFolder | None]":
    """That of fits, and that of compiled kernels if these are kept."""
    from mnistexp.sweeps.trial_cache import TrialCache
    from mnistexp.training import kernels

    return TrialCache(call.runs_dir), kernels.cache()


@commands.add("doctor", panel=SET_UP)
def doctor(
    call: Call,
    quick: Annotated[bool, option(EXECUTION, "--quick", "Skip the timed training, which takes 5 s")] = False,
) -> None:
    """Check machine and installation; suggest fixes.

    mnistexp doctor  # check everything, with a short training
    mnistexp doctor --quick --json  # skip the training; print JSON for a script
    """
    from mnistexp.doctor.examination import examine

    with call.err.status("checking the machine and the installation"):
        findings = examine(call.runs_dir, quick=quick)
    count: Counter[str] = Counter(finding.state for finding in findings)
    table = console.plain_table("", "check", "finding")
    for finding in findings:
        says = Text(finding.says)
        if finding.remedy:
            says.append(f"\n-> {finding.remedy}", style="bold")
        table.add_row(Text(finding.state, style=COLOURS[finding.state]), finding.check, says)
    totals = [counted(count[state], state) for state in ("problem", "warning")]
    document = {"problems": count["problem"], "warnings": count["warning"]}
    told = [table, "", Text(", ".join(totals), style="bold")]
    call.result({"findings": [asdict(finding) for finding in findings]} | document, *told)
    if count["problem"]:
        raise typer.Exit(MnistexpError.exit_code)
