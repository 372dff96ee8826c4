"""Reading runs back: list them, find one by what a person types, load one."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnistexp.errors import BadInput, RunError, nearest
from mnistexp.results import History
from mnistexp.runs import files
from mnistexp.runs.history_csv import history_from_csv
from mnistexp.runs.run_folder import CONFIG, ENVIRONMENT
from mnistexp.runs.staging import time_of
from mnistexp.runs.status import STATUS, State, read_status

if TYPE_CHECKING:  # it loads pydantic, which listing runs does without
    from mnistexp.config import ExperimentConfig

__all__ = [
    "RunInfo",
    "StoredRun",
    "file_names",
    "find",
    "list_runs",
    "load",
    "newest",
    "order",
    "read_config",
    "read_history",
    "read_info",
    "run_names",
    "runs_folder",
]

METRICS = "metrics.json"
HISTORY = "history.csv"
LATEST = "latest"
RUNS_DIR = "MNISTEXP_RUNS_DIR"
MOST_CANDIDATES = 8
UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class RunInfo:
    """One run as a listing shows it; times in UTC.

    `status` is `damaged` where the run's record can't be read: then `error` says why, and `started` is the id's time.
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


@dataclass(frozen=True)
class StoredRun:
    """A run read back. `metrics` and `history` are None where it hasn't got so far, or is of another kind.

    `config_text` is its `config.yaml`.
    """

    info: RunInfo
    config_text: str
    environment: dict[str, Any]
    metrics: dict[str, Any] | None
    history: History | None

    @property
    def path(self) -> Path:
        """Its folder, where the files are that `read_text` and the like read."""
        return self.info.path

    @property
    def config(self) -> "ExperimentConfig":
        """Its settings, as `train` and `sweep` take them. Raises `ConfigError`."""
        from mnistexp import settings, yaml_source

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
        """One JSON file. Raises RunError where it is missing, damaged or of a version unknown here."""
        return files.read_json(self.path / name)


def runs_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """Where runs are kept: the folder given, else the one that MNISTEXP_RUNS_DIR names, else `runs`.

    An empty variable counts as unset. Raises `BadInput` for an empty path, which would be the current folder.
    """
    if given is not None and not os.fspath(given):
        raise BadInput("runs_dir: '' is not a folder; write . for the current one")
    return Path(given if given is not None else os.environ.get(RUNS_DIR) or "runs")


def list_runs(runs_dir: Path) -> list[RunInfo]:
    """All runs in the folder, oldest first; hidden and foreign folders are passed over. Raises RunError.

    The order is that of the ids' times, then of the recorded start, then of the id. No folder is no runs.
    """
    found = (read_info(runs_dir / name) for name in run_names(runs_dir))
    return sorted((info for info in found if info), key=order)


def find(runs_dir: Path, reference: str) -> RunInfo:
    """The run that `reference` means: `latest`, an id, the beginning of just one id, or the path of a run's folder.

    Raises BadInput where it means none, with the nearest id, or several, with their ids; RunError where the folder
    can't be read.
    """
    names = run_names(runs_dir)
    if reference == LATEST:
        if found := newest(runs_dir, 1, names):
            return found[0]
        raise BadInput(f"there are no runs in {runs_dir} yet")
    if reference in names and (info := read_info(runs_dir / reference)):
        return info
    path = Path(reference)
    if len(path.parts) > 1 and files.is_folder(path) and (info := read_info(path)):
        return info
    matches = [
        info for name in names if reference and name.startswith(reference) and (info := read_info(runs_dir / name))
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = [info.id for info in sorted(matches, key=order, reverse=True)]
        more = f"\n  ... and {len(ids) - MOST_CANDIDATES} more" if len(ids) > MOST_CANDIDATES else ""
        shown = "".join(f"\n  {run_id}" for run_id in ids[:MOST_CANDIDATES])
        raise BadInput(f"{reference!r} is the beginning of {len(ids)} runs; which one?{shown}{more}")
    hint = nearest(reference, [*names, LATEST]) if names else "; there are no runs yet"
    raise BadInput(f"no run {reference!r} in {runs_dir}{hint}")


def load(path: Path) -> StoredRun:
    """Read a run's folder. Raises RunError where it is none, or a part is damaged or of a version unknown here."""
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
    from mnistexp import settings, yaml_source

    text = files.read_text(folder / CONFIG)
    return settings.resolve([yaml_source.parse(text, str(folder / CONFIG))]).config


def read_history(path: Path) -> History:
    """The curves of one `history.csv`. Raises RunError where it is missing or damaged."""
    return history_from_csv(files.read_text(path), str(path))


def run_names(runs_dir: Path) -> list[str]:
    """The folders that may be runs, in no order; none where `runs_dir` is missing. Raises RunError."""
    with files.explained("list", runs_dir):
        try:
            with os.scandir(runs_dir) as entries:
                return [entry.name for entry in entries if not entry.name.startswith(".") and _leads_to_folder(entry)]
        except FileNotFoundError:
            return []


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    # `is_dir` raises for a link that leads in a circle.
    return files.is_folder(Path(entry.path)) if entry.is_symlink() else entry.is_dir()


def read_info(path: Path) -> RunInfo | None:
    """What a listing says of a folder; None for a foreign one, which has neither the record nor the name of a run."""
    name = path.name or path.resolve().name
    try:
        status = read_status(path)
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
    )


def order(info: RunInfo) -> tuple[datetime, datetime, str]:
    """What runs are sorted by: the time of the id, then the recorded start, then the id."""
    return time_of(info.id) or info.started.replace(microsecond=0), info.started, info.id


def newest(runs_dir: Path, count: int, names: Sequence[str] | None = None) -> list[RunInfo]:
    """The newest runs, at most `count`, newest first, as `list_runs` orders them. Raises RunError.

    Reads only what can be among them: renamed folders, and those whose ids have the newest times. `names`: the names in
    the folder, where they are known already.
    """
    names = run_names(runs_dir) if names is None else names
    times = {name: time_of(name) for name in names}
    latest = sorted((moment for moment in times.values() if moment), reverse=True)[:count]
    chosen = [name for name, moment in times.items() if moment is None or (latest and moment >= latest[-1])]
    found = (read_info(runs_dir / name) for name in chosen)
    return sorted((info for info in found if info), key=order, reverse=True)[:count]


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
