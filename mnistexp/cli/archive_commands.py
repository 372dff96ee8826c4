"""The commands that export and import runs: tables for other programs, and archives for other machines."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mnistexp.cli.call import Call
from mnistexp.cli.console import json_text
from mnistexp.cli.option_kinds import OUTPUT, choice_option
from mnistexp.cli.options import OutputOption, RunsArgument, WhereOption
from mnistexp.cli.parsing import Commands
from mnistexp.cli.printable import printable
from mnistexp.errors import BadInput, RunError

__all__ = ["commands"]

commands = Commands()

FORMATS = ("csv", "json", "md", "zip")


@commands.add(
    "export",
    {
        "mnistexp runs export --where command=train --output runs.csv": "write a table for a spreadsheet",
        "mnistexp runs export 1:5 --format md": "print the newest five as Markdown",
        "mnistexp runs export latest --output run.zip": "archive a whole run",
    },
    shares="... runs_dir json",
)
def export(
    call: Call,
    runs: RunsArgument = None,
    where: WhereOption = None,
    form: Annotated[
        str | None,
        choice_option(
            OUTPUT,
            "--format",
            "Format: csv, json, md or zip",
            FORMATS,
            metavar="FORMAT",
            show_default="by the ending of --output, or csv",
        ),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Export runs as a table, or archive them as a zip."""
    from mnistexp.runs import archive, export, files, query

    form = _format(form, output, call.json)
    found = query.select(call.runs_dir, runs or (), where=where)
    if form == "zip" and output:
        if not found:
            raise RunError(query.none_found(call.runs_dir, where))
        archive.write_archive([run.path for run in found], output)
    else:
        if form == "json":
            text = json_text(export.runs_document(found)) + "\n"
        else:
            text = export.runs_csv(found) if form == "csv" else export.runs_markdown(found)
        if output is None:
            # Names may hold halves of surrogate pairs, which no terminal takes.
            text = text.encode("utf-8", "backslashreplace").decode()
            print(printable(text) if sys.stdout.isatty() else text, end="", flush=True)
            return
        files.write_text(output, text)
    document = {"output": str(output), "format": form, "runs": [run.id for run in found]}
    call.result(document, Text.assemble(("Exported      ", "bold"), f"{len(found)} runs to {output}"))


def _format(form: str | None, output: Path | None, json: bool) -> str:
    """The format asked for. Raises BadInput where the ending isn't known or it can't go to standard output."""
    if form is None:
        ending = output.suffix[1:].lower() if output else ""
        form = ending if ending in FORMATS else "json" if json and not output else "csv" if not output else None
        if form is None:
            raise BadInput(f"{output}: unknown ending, allowed: {', '.join(FORMATS)}, or --format")
    if output is None and form == "zip":
        raise BadInput("a zip can't be printed: add --output FILE")
    if output is None and json and form != "json":
        raise BadInput(f"--json and --format {form} conflict: give only one, or add --output FILE")
    return form


@commands.add(
    "import",
    {"mnistexp runs import run.zip": "import runs from another machine"},
    shares="... runs_dir json",
)
def import_runs(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Zip written by `mnistexp runs export`.")],
) -> None:
    """Import runs from an archive.

    All are checked before any is imported; runs that already exist are kept.
    """
    from mnistexp.runs.archive import import_archive

    found = import_archive(file, call.runs_dir)
    document = {"runs_dir": str(call.runs_dir), "imported": found.imported, "skipped": found.skipped}
    lines = [Text(f"Imported  {run_id}") for run_id in found.imported]
    lines += [Text(f"Skipped   {run_id}: a run with this id already exists") for run_id in found.skipped]
    call.result(document, *lines)
