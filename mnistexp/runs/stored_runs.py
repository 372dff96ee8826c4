"""Listing and loading stored runs."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnistexp.errors import BadInput, RunError
from mnistexp.runs import files
from mnistexp.runs.history_csv import history_from_csv
from mnistexp.runs.layout import CONFIG, ENVIRONMENT, HISTORY, METRICS, STATUS
from mnistexp.runs.results import History
from mnistexp.runs.staging import time_of
from mnistexp.runs.status import State, Status, read_status

if TYPE_CHECKING:  # it loads pydantic, which listing runs doesn't need
    from mnistexp.config.models import ExperimentConfig

__all__ = [
    "RunInfo",
    "StoredRun",
    "file_names",
    "list_runs",
    "load",
    "order",
    "read_config",
    "read_history",
    "read_info",
    "run_names",
    "runs_folder",
]

RUNS_DIR = "MNISTEXP_RUNS_DIR"
UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class RunInfo:
    """One run as a listing shows it; times in UTC.

    `status` is `damaged` if the record can't be read: then `error` has the reason, and `started` is the id's time.
    `part_of`: the id of the run that this one is a step of.
    """

    id: str
    path: Path
    command: str
    name: str
    status: State | Literal["damaged"]
    started: datetime
    finished: datetime | None = None
    seconds: float | None = None
    exit_code: int | None = None
    error: str | None = None
    part_of: str | None = None


@dataclass(frozen=True)
class StoredRun:
    """A stored run. `metrics` and `history` are None if it has none yet, or is of another kind.

    `config_text` is its `config.yaml`.
    """

    info: RunInfo
    config_text: str
    environment: dict[str, Any]
    metrics: dict[str, Any] | None
    history: History | None

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.info.path

    @property
    def config(self) -> "ExperimentConfig":
        """Its settings, as `train` and `sweep` take them. Raises `ConfigError`."""
        from mnistexp.config import settings, yaml_source

        return settings.resolve([yaml_source.parse(self.config_text, str(self.path / CONFIG))]).config

    def __repr__(self) -> str:
        accuracy = (self.metrics or {}).get("test_accuracy")
        told = f", test accuracy {accuracy:.4f}" if isinstance(accuracy, float) else ""
        return f"<run {self.info.id}: {self.info.command}, {self.info.status}{told}>"

    def files(self) -> list[str]:
        """The names of all files, with / between folders, sorted. Raises RunError."""
        return file_names(self.path)

    def read_bytes(self, name: str) -> bytes:
        """One file's content. Raises RunError."""
        return files.read_bytes(self.path / name)

    def read_text(self, name: str) -> str:
        """One text file. Raises RunError."""
        return files.read_text(self.path / name)

    def read_json(self, name: str) -> dict[str, Any]:
        """One JSON file. Raises RunError if it is missing, damaged or of an unknown version."""
        return files.read_json(self.path / name)


def runs_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The runs folder: the one given, else that of MNISTEXP_RUNS_DIR, else `runs`.

    An empty variable counts as unset. Raises `BadInput` for an empty path, which would be the current folder.
    """
    if given is not None and not os.fspath(given):
        raise BadInput("runs_dir: '' is not a folder; use . for the current folder")
    return Path(given if given is not None else os.environ.get(RUNS_DIR) or "runs")


def list_runs(runs_dir: Path) -> list[RunInfo]:
    """All runs in the folder, oldest first; hidden and foreign folders are ignored. Raises RunError.

    The order is by the time in the id, then the recorded start, then the id. A missing folder has no runs.
    """
    found = (read_info(runs_dir / name) for name in run_names(runs_dir))
    return sorted((info for info in found if info), key=order)


def load(path: Path) -> StoredRun:
    """Read a run's folder. Raises RunError if it is not a run, or a part is damaged or of an unknown version."""
    info = read_info(path)
    if info is None:
        raise RunError(f"{path} is not the folder of a run: {STATUS} is missing")
    if info.status == "damaged":
        raise RunError(info.error)
    return StoredRun(
        info=info,
        config_text=files.read_text(path / CONFIG),
        environment=files.read_json(path / ENVIRONMENT),
        metrics=files.read_json(path / METRICS) if (path / METRICS).exists() else None,
        history=read_history(path / HISTORY) if (path / HISTORY).exists() else None,
    )


def read_config(folder: Path) -> "ExperimentConfig":
    """The settings in a run's folder. Raises `ConfigError` and `RunError`."""
    from mnistexp.config import settings, yaml_source

    text = files.read_text(folder / CONFIG)
    return settings.resolve([yaml_source.parse(text, str(folder / CONFIG))]).config


def read_history(path: Path) -> History:
    """The curves of one `history.csv`. Raises RunError if it is missing or damaged."""
    return history_from_csv(files.read_text(path), str(path))


def run_names(runs_dir: Path) -> list[str]:
    """The folders that may be runs, unordered; empty if `runs_dir` is missing. Raises RunError."""
    with files.explained("list", runs_dir):
        try:
            with os.scandir(runs_dir) as entries:
                return [entry.name for entry in entries if not entry.name.startswith(".") and _leads_to_folder(entry)]
        except FileNotFoundError:
            return []


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    # `is_dir` raises for a loop of links.
    return files.is_folder(Path(entry.path)) if entry.is_symlink() else entry.is_dir()


def read_info(path: Path, read: Callable[[Path], Status] = read_status) -> RunInfo | None:
    """The entry of a folder in a listing; None for a foreign one, without the record and the name of a run.

    `read`: whether a run whose process died is `interrupted`, or `running` as its record has it (`read_record`).
    """
    name = path.name or path.resolve().name
    try:
        status = read(path)
    except RunError as error:
        started = time_of(name)
        if started is None and not (path / STATUS).exists():
            return None
        return RunInfo(name, path, "", "", "damaged", started or UNKNOWN_TIME, error=str(error))
    return RunInfo(
        id=name,
        path=path,
        command=status.command,
        name=status.name,
        status=status.status,
        started=status.started,
        finished=status.finished,
        seconds=status.seconds,
        exit_code=status.exit_code,
        error=status.error,
        part_of=status.part_of,
    )


def order(info: RunInfo) -> tuple[datetime, datetime, str]:
    """The sort key of runs: the time of the id, then the recorded start, then the id."""
    return time_of(info.id) or info.started.replace(microsecond=0), info.started, info.id


def file_names(path: Path) -> list[str]:
    """The names of all files in a run's folder, with / between folders, sorted. Raises RunError."""
    return sorted(_walk(path, ""))


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    with files.explained("list", folder), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}"
