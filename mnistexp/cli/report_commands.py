"""The command that writes reports."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mnistexp.cli import completion
from mnistexp.cli.options import (
    OUTPUT,
    REFERENCES,
    RUNS,
    JsonOption,
    QuietOption,
    RunsOption,
    VerboseOption,
    examples,
    option,
)
from mnistexp.cli.voice import Voice

__all__ = ["report"]

EXAMPLES = examples(
    {
        "mnistexp report latest": "write report.html into the newest run",
        "mnistexp report latest --format md --output answers.md": "write Markdown and its figures",
    }
)


def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help=REFERENCES,
            autocompletion=completion.run_ids,
        ),
    ],
    form: Annotated[
        str | None,
        option(
            OUTPUT,
            "--format",
            "Format: html, md, pdf or ipynb",
            metavar="FORMAT",
            show_default="by the ending of --output, or html",
            autocompletion=completion.report_formats,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option(OUTPUT, "--output -o", "File to write", metavar="FILE", show_default="report in the run's folder"),
    ] = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write a report of runs, with figures and tables."""
    from mnistexp.report import reports
    from mnistexp.runs import references, stored_runs

    found = [stored_runs.load(run.path) for run in references.several(runs_dir, runs)]
    written = reports.write_report(found, form, output)
    document = {"report": str(written), "runs": [run.id for run in found]}
    Voice(json, quiet, verbose).result(document, Text.assemble(("Report        ", "bold"), str(written)))
