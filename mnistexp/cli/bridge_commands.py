"""The commands that hand runs to other tools, each an extra of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.text import Text

from mnistexp.cli.call import Call
from mnistexp.cli.options import OUTPUT, RunsArgument, WhereOption, folder, option
from mnistexp.cli.parsing import Commands
from mnistexp.errors import RunError

if TYPE_CHECKING:
    from mnistexp.runs.stored_runs import StoredRun

__all__ = ["commands"]

commands = Commands(help="Export runs to TensorBoard or MLflow.")


@commands.add(
    "tensorboard",
    {
        "mnistexp bridge tensorboard latest --output events": "then: tensorboard --logdir events",
        "mnistexp bridge tensorboard --where command=train --output events": "export all trainings",
    },
    shares="... runs_dir json",
)
def tensorboard(
    call: Call,
    output: Annotated[Path, option(OUTPUT, "--output -o", "Folder for the event files", metavar="DIR", parser=folder)],
    runs: RunsArgument = None,
    where: WhereOption = None,
) -> None:
    """Write runs as TensorBoard event files.

    Writes curves, metrics, settings, and the trials of sweeps for the HParams page. Replaces earlier exports.

    Needs the extra `mnistexp[tensorboard]`.
    """
    from mnistexp.bridges import tensorboard as bridge

    folders = bridge.export(_select(call.runs_dir, runs, where), output)
    document = {"output": str(output), "runs": [folder.name for folder in folders]}
    said = f"{_count(len(folders))} in {output}; view with: tensorboard --logdir {output}"
    call.result(document, Text(said))


@commands.add(
    "mlflow",
    {
        "mnistexp bridge mlflow 1:5 --tracking-uri sqlite:///mlflow.db": "export to a SQLite file",
        "mnistexp bridge mlflow latest --tracking-uri mlruns --no-artifacts": "export to a folder, without files",
    },
    shares="... runs_dir json",
)
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
    """
    from mnistexp.bridges import mlflow_store

    found = _select(call.runs_dir, runs, where)
    exported = mlflow_store.export(found, tracking_uri, experiment=experiment, artifacts=artifacts)
    done = [vars(run) for run in exported]
    document = {"tracking_uri": tracking_uri, "experiment": experiment, "runs": done}
    kinds = [f"{count} {kind}" for kind in ("created", "replaced", "unchanged") if (count := _of(done, kind))]
    said = f"{_count(len(done))} in the experiment {experiment} of {tracking_uri}: {', '.join(kinds)}"
    call.result(document, Text(said))


def _select(runs_dir: Path, references: list[str] | None, where: str | None) -> "list[StoredRun]":
    from mnistexp.runs import query

    found = query.select(runs_dir, references or (), where=where)
    if not found:
        raise RunError(query.none_found(runs_dir, where))
    return found


def _of(done: list[dict[str, str]], kind: str) -> int:
    return sum(run["done"] == kind for run in done)


def _count(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
