"""The command that writes reports."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mnistexp.cli import completion
from mnistexp.cli.call import Call
from mnistexp.cli.option_kinds import OUTPUT, choice_option, option
from mnistexp.cli.options import REFERENCES
from mnistexp.cli.parsing import USE, Commands

__all__ = ["commands"]

commands = Commands()
FORMATS = ("html", "md", "pdf", "ipynb")


@commands.add(
    "report",
    {
        "mnistexp report latest": "write report.html into the newest run",
        "mnistexp report latest --format md --output answers.md": "write Markdown and its figures",
    },
    shares="... runs_dir json quiet verbose",
    panel=USE,
)
def report(
    call: Call,
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help=REFERENCES, autocompletion=completion.run_ids)],
    form: Annotated[
        str | None,
        choice_option(
            OUTPUT,
            "--format",
            "Format: html, md, pdf or ipynb",
            FORMATS,
            metavar="FORMAT",
            show_default="by the ending of --output, or html",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option(OUTPUT, "--output -o", "File to write", metavar="FILE", show_default="report in the run's folder"),
    ] = None,
) -> None:
    """Write a report of runs, with figures and tables."""
    from mnistexp.report import reports
    from mnistexp.runs import references, stored_runs

    found = [stored_runs.load(run.path) for run in references.several(call.runs_dir, runs)]
    written = reports.write_report(found, form, output)
    document = {"report": str(written), "runs": [run.id for run in found]}
    call.result(document, Text.assemble(("Report        ", "bold"), str(written)))
