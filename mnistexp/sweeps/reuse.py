"""Finding a run of the same command, settings, digits and code in a runs folder, finished or interrupted."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset
from mnistexp.errors import MnistexpError
from mnistexp.runs import files
from mnistexp.runs.environment import dirty_diff, environment
from mnistexp.runs.layout import METRICS, PATCH, is_sweep
from mnistexp.runs.stored_runs import StoredRun, list_runs

CODE = ("python", "machine", "instructions", "packages", "git_commit", "git_dirty")
"""Keys of `environment.json` that must be equal to reuse a result."""
WHERE = {"executor", "workers", "scheduler", "retries", "cache", "fail_fast", "max_seconds"}
"""Settings of a sweep that don't affect its results."""


def finished(runs_dir: Path, command: str, dataset: Dataset) -> StoredRun | None:
    """The newest finished run of exactly this work; None if there is none. Raises RunError."""
    runs = _same_work(runs_dir, command, dataset)
    return next((run for run in runs if run.status == "done" and run.exit_code == 0 and run.has(METRICS)), None)


def unfinished(runs_dir: Path, command: str, dataset: Dataset) -> StoredRun | None:
    """The newest interrupted run of exactly this work, to be resumed; None if there is none. Raises RunError."""
    runs = _same_work(runs_dir, command, dataset)
    return next((run for run in runs if run.status == "interrupted"), None)


def _same_work(runs_dir: Path, command: str, dataset: Dataset) -> Iterator[StoredRun]:
    asked = _work(dataset.config)
    for run in reversed(list_runs(runs_dir)):
        if run.command != command and not (is_sweep(run.command) and is_sweep(command)):
            continue
        with suppress(MnistexpError, KeyError):  # a damaged run can't be reused
            # Without a record of its digits it used none, or was stopped before it had any: the source is the same.
            same = _work(run.config) == asked and (run.data is None or dataset.digits.match(run.data))
            if same and _same_code(run):
                yield run


def _work(config: ExperimentConfig) -> dict[str, Any]:
    document = config.model_dump(mode="json", exclude={"name": True, "sweep": WHERE})
    return document if document["sweep"] else {**document, "sweep": None}


def _same_code(run: StoredRun) -> bool:
    here = files.plain(dict(environment()))
    patch = run.read_text(PATCH) if run.has(PATCH) else ""
    return all(run.environment[key] == here[key] for key in CODE) and patch == dirty_diff()
