"""The commands that hand runs to other tools, each an extra of its own."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mnistexp.cli.options import RUNS, JsonOption, RunsArgument, RunsOption, WhereOption, examples, folder
from mnistexp.cli.parsing import Commands
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput, RunError

if TYPE_CHECKING:
    from mnistexp.runs.index import IndexedRun

__all__ = ["bridge_app"]

bridge_app = Commands(help="Hand runs to TensorBoard or MLflow.")


@bridge_app.command(
    epilog=examples(
        {
            "mnistexp bridge tensorboard latest --output events": "then: tensorboard --logdir events",
            "mnistexp bridge tensorboard --where command=train --output events": "all trainings",
        }
    )
)
def tensorboard(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", parser=folder, help="Where the runs' event files go.")
    ],
    runs: RunsArgument = None,
    where: WhereOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Write runs, all or some, as event files: curves, metrics, settings, and trials for the HParams page.

    What was written before is replaced. Needs the extra `mnistexp[tensorboard]`.
    """
    from mnistexp.bridges import tensorboard as bridge
    from mnistexp.runs.files import is_folder

    if os.path.lexists(output) and not is_folder(output):
        raise BadInput(f"--output {output} is a file, allowed: a folder, which may be missing")
    folders = bridge.export(_select(runs_dir, runs, where), output)
    document = {"output": str(output), "runs": [folder.name for folder in folders]}
    said = f"{_count(len(folders))} in {output}; look at them with: tensorboard --logdir {output}"
    Voice(json).result(document, Text(said))


@bridge_app.command(
    epilog=examples(
        {
            "mnistexp bridge mlflow 1:5 --tracking-uri sqlite:///mlflow.db": "the newest five runs, into a SQLite file",
            "mnistexp bridge mlflow latest --tracking-uri mlruns --no-artifacts": "into a folder, without files",
        }
    )
)
def mlflow(
    tracking_uri: Annotated[
        str, typer.Option("--tracking-uri", metavar="URI", help="sqlite:///FILE, a folder, or http://HOST:PORT.")
    ],
    runs: RunsArgument = None,
    where: WhereOption = None,
    experiment: Annotated[
        str, typer.Option("--experiment", metavar="NAME", help="Made where it is missing.")
    ] = "mnistexp",
    artifacts: Annotated[
        bool, typer.Option("--artifacts/--no-artifacts", help="Whether the run's files go along.")
    ] = True,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Put runs, all or some, into MLflow's store: settings, curves, metrics, tags, files; trials as nested runs.

    A run that is there already is replaced if it has changed. Needs the extra `mnistexp[mlflow]`.
    """
    from mnistexp.bridges import mlflow_store

    found = _select(runs_dir, runs, where)
    exported = mlflow_store.export(found, tracking_uri, experiment=experiment, artifacts=artifacts)
    done = [vars(run) for run in exported]
    document = {"tracking_uri": tracking_uri, "experiment": experiment, "runs": done}
    kinds = [f"{count} {kind}" for kind in ("created", "replaced", "unchanged") if (count := _of(done, kind))]
    said = f"{_count(len(done))} in the experiment {experiment} of {tracking_uri}: {', '.join(kinds)}"
    Voice(json).result(document, Text(said))


def _select(runs_dir: Path, references: list[str] | None, where: str | None) -> "list[IndexedRun]":
    from mnistexp.runs import query

    found = query.select(runs_dir, references or (), where=where)
    if not found:
        raise RunError(query.none_found(runs_dir, where))
    return found


def _of(done: list[dict[str, str]], kind: str) -> int:
    return sum(run["done"] == kind for run in done)


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
