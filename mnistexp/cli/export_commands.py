"""The commands that take runs elsewhere: reports, tables, archives for other machines, TensorBoard and MLflow."""

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from rich.text import Text

from mnistexp.cli import completion
from mnistexp.cli.call import Call
from mnistexp.cli.console import json_text
from mnistexp.cli.options import (
    FOLDER,
    OUTPUT,
    REFERENCES,
    OutputOption,
    RunsArgument,
    WhereOption,
    argument,
    choice,
    option,
)  # fmt: skip
from mnistexp.cli.parsing import USE, Commands
from mnistexp.cli.printable import printable
from mnistexp.config.shown import counted
from mnistexp.errors import BadInput, RunError

commands, of_runs = Commands(), Commands()
bridges = Commands(help="Export runs to TensorBoard or MLflow.")

TABLES = ("csv", "json", "md", "zip")


def _form(usual: str, *others: str) -> Any:
    explained = f"Format: {', '.join((usual, *others[:-1]))} or {others[-1]}"
    default = f"by the ending of --output, or {usual}"
    return choice(OUTPUT, "--format", explained, (usual, *others), metavar="FORMAT", show_default=default)


PageOption = Annotated[str | None, _form("html", "md", "pdf", "ipynb")]
TableOption = Annotated[str | None, _form(*TABLES)]


@commands.add("report", shares="... runs_dir json quiet verbose", panel=USE)
def report(
    call: Call,
    runs: Annotated[list[str], argument("RUN...", REFERENCES, completion.run_ids)],
    form: PageOption = None,
    output: Annotated[
        Path | None,
        option(OUTPUT, "--output -o", "File to write", metavar="FILE", show_default="report in the run's folder"),
    ] = None,
) -> None:
    """Write a report of runs, with figures and tables.

    mnistexp report latest  # write report.html into the newest run
    mnistexp report latest --format md --output answers.md  # write Markdown and its figures
    """
    from mnistexp.report import reports
    from mnistexp.runs import references, stored_runs

    found = [stored_runs.load(run.path) for run in references.several(call.runs_dir, runs)]
    written = reports.write_report(found, form, output)
    document = {"report": str(written), "runs": [run.id for run in found]}
    call.result(document, Text.assemble(("Report        ", "bold"), str(written)))


@of_runs.add("export")
def export(
    call: Call,
    runs: RunsArgument = None,
    where: WhereOption = None,
    form: TableOption = None,
    output: OutputOption = None,
) -> None:
    """Export runs as a table, or archive them as a zip.

    mnistexp runs export --where command=train --output runs.csv  # write a table for a spreadsheet
    mnistexp runs export 1:5 --format md  # print the newest five as Markdown
    mnistexp runs export latest --output run.zip  # archive a whole run
    """
    from mnistexp.runs import archive, export, files

    form = _format(form, output, call.json)
    archived = form == "zip" and output is not None
    found = call.runs(runs, where, otherwise=RunError if archived else None)
    if form == "zip" and output:
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
    if form is None and output:
        form = output.suffix[1:].lower()
        if form not in TABLES:
            raise BadInput(f"{output}: unknown ending, allowed: {', '.join(TABLES)}, or --format")
    form = form or ("json" if json else "csv")
    if output is None and form == "zip":
        raise BadInput("a zip can't be printed: add --output FILE")
    if output is None and json and form != "json":
        raise BadInput(f"--json and --format {form} conflict: give only one, or add --output FILE")
    return form


@of_runs.add("import")
def import_runs(call: Call, file: Annotated[Path, argument("FILE", "Zip written by `mnistexp runs export`.")]) -> None:
    """Import runs from an archive.

    All are checked before any is imported; runs that already exist are kept.

    mnistexp runs import run.zip  # import runs from another machine
    """
    from mnistexp.runs.archive import import_archive

    found = import_archive(file, call.runs_dir)
    document = {"runs_dir": str(call.runs_dir), "imported": found.imported, "skipped": found.skipped}
    lines = [f"Imported  {run_id}" for run_id in found.imported]
    lines += [f"Skipped   {run_id}: a run with this id already exists" for run_id in found.skipped]
    call.result(document, *lines)


@bridges.add("tensorboard")
def tensorboard(
    call: Call,
    output: Annotated[Path, option(OUTPUT, "--output -o", "Folder for the event files", **FOLDER)],
    runs: RunsArgument = None,
    where: WhereOption = None,
) -> None:
    """Write runs as TensorBoard event files.

    Writes curves, metrics, settings, and the trials of sweeps for the HParams page. Replaces earlier exports.

    Needs the extra `mnistexp[tensorboard]`.

    mnistexp bridge tensorboard latest --output events  # then: tensorboard --logdir events
    mnistexp bridge tensorboard --where command=train --output events  # export all trainings
    """
    from mnistexp.bridges import tensorboard as bridge

    folders = bridge.export(call.runs(runs, where, otherwise=RunError), output)
    document = {"output": str(output), "runs": [folder.name for folder in folders]}
    call.result(document, f"{counted(len(folders), 'run')} in {output}; view with: tensorboard --logdir {output}")


@bridges.add("mlflow")
def mlflow(
    call: Call,
    tracking_uri: Annotated[
        str, option(OUTPUT, "--tracking-uri", "sqlite:///FILE, a folder, or http://HOST:PORT", metavar="URI")
    ],
    runs: RunsArgument = None,
    where: WhereOption = None,
    experiment: Annotated[
        str, option(OUTPUT, "--experiment", "Experiment, created if missing", metavar="NAME")
    ] = "mnistexp",
    artifacts: Annotated[
        bool, option(OUTPUT, "--artifacts/--no-artifacts", "Log the files of the runs as artifacts")
    ] = True,
) -> None:
    """Log runs to an MLflow tracking store.

    Logs settings, curves, metrics, tags and files; trials become nested runs. A changed run replaces its earlier log.

    Needs the extra `mnistexp[mlflow]`.

    mnistexp bridge mlflow 1:5 --tracking-uri sqlite:///mlflow.db  # export to a SQLite file
    mnistexp bridge mlflow latest --tracking-uri mlruns --no-artifacts  # export to a folder, without files
    """
    from mnistexp.bridges import mlflow_store

    found = call.runs(runs, where, otherwise=RunError)
    exported = mlflow_store.export(found, tracking_uri, experiment=experiment, artifacts=artifacts)
    count = Counter(run.done for run in exported)
    kinds = ", ".join(f"{count[kind]} {kind}" for kind in ("created", "replaced", "unchanged") if count[kind])
    document = {"tracking_uri": tracking_uri, "experiment": experiment, "runs": list(map(vars, exported))}
    call.result(document, f"{counted(len(exported), 'run')} in the experiment {experiment} of {tracking_uri}: {kinds}")
