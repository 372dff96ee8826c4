"""The command that writes reports."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mnistexp.cli import completion
from mnistexp.cli.options import REFERENCES, RUNS, JsonOption, QuietOption, RunsOption, VerboseOption, examples
from mnistexp.cli.voice import Voice

__all__ = ["report"]

EXAMPLES = examples(
    {
        "mnistexp report latest": "`report.html` in the folder of the newest run",
        "mnistexp report latest --format md --output answers.md": "Markdown, its figures in a folder beside it",
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
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="html, md, pdf or ipynb; otherwise by the ending of --output, or html.",
            autocompletion=completion.report_formats,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it; otherwise into the run's own folder."),
    ] = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Write a report of runs as one file: the questions, the measured answers, figures and tables."""
    from mnistexp.report import reports
    from mnistexp.runs import references, stored_runs

    found = [stored_runs.load(run.path) for run in references.several(runs_dir, runs)]
    written = reports.write_report(found, form, output)
    document = {"report": str(written), "runs": [run.info.id for run in found]}
    Voice(json, quiet, verbose).result(document, Text.assemble(("Report        ", "bold"), str(written)))
