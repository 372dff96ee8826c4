"""A stored run, and the runs of a folder."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnistexp.errors import BadInput, RunError
from mnistexp.runs import files
from mnistexp.runs.history_csv import read_histories
from mnistexp.runs.layout import CONFIG, DATA, ENVIRONMENT, METRICS, STATUS, Kind, is_sweep
from mnistexp.runs.predictions import Predictions, read_predictions
from mnistexp.runs.results import History
from mnistexp.runs.staging import time_of
from mnistexp.runs.status import RunState, Status, read_status
from mnistexp.runs.summary import Summary, Value, number_over_repeats, summarize

if TYPE_CHECKING:  # it loads pydantic, which listing runs doesn't need
    from mnistexp.config.models import ExperimentConfig

RECORD = ("id", "command", "name", "status", "started", "finished", "seconds", "exit_code", "error")
"""The fields that listings and tables show."""
CHOSEN = "best_params."
"""How the keys of `numbers` begin that are settings chosen by `best` or the best ones of a sweep."""
RUNS_DIR = "MNISTEXP_RUNS_DIR"
UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class StoredRun:
    """A run: the fields are its record (see `Status`), times in UTC; the rest is read when it is first asked for.

    `status` is `damaged` if the record can't be read: then `error` has the reason, and `started` is the id's time.
    `part_of`: the id of the run that this one is a step of. Properties raise `RunError` for a damaged file.
    """

    id: str
    path: Path
    command: str
    name: str
    status: RunState | Literal["damaged"]
    started: datetime
    finished: datetime | None = None
    seconds: float | None = None
    exit_code: int | None = None
    error: str | None = None
    part_of: str | None = None
    _summary: Summary | None = field(default=None, compare=False)
    """From the index; None to read it."""

    def __repr__(self) -> str:
        accuracy = self.numbers.get("test_accuracy")
        told = f", test accuracy {accuracy:.4f}" if isinstance(accuracy, float) else ""
        return f"<run {self.id}: {self.command}, {self.status}{told}>"

    @cached_property
    def summary(self) -> Summary:
        """Its annotations, and its flat settings and numbers; parts that can't be read are missing."""
        return self._summary or summarize(self.path, self.error if self.status == "damaged" else None)

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags, sorted."""
        return self.summary.tags

    @property
    def note(self) -> str:
        """Its note; empty if it has none."""
        return self.summary.note

    @property
    def score(self) -> float | None:
        """Its test accuracy (the mean of repeated trainings), or the best score of a sweep."""
        return self.summary.score

    @property
    def unread(self) -> tuple[str, ...]:
        """Why parts of the summary couldn't be read: damaged, or of an unknown version."""
        return self.summary.unread

    @cached_property
    def settings(self) -> Mapping[str, Value]:
        """Settings by dotted key; a list is its JSON as text."""
        return json.loads(self.summary.settings)  # type: ignore[no-any-return]

    @cached_property
    def settings_used(self) -> Mapping[str, Value]:
        """Its settings; of a `best` with those that it chose in place of those that its sweeps began with."""
        chosen = {key.removeprefix(CHOSEN): value for key, value in self.numbers.items() if key.startswith(CHOSEN)}
        if self.command != Kind.BEST or "optimizer.name" not in chosen:
            return self.settings
        return {key: value for key, value in self.settings.items() if not key.startswith("optimizer.")} | chosen

    @cached_property
    def numbers(self) -> Mapping[str, Value]:
        """Finite numbers, booleans and short texts of `metrics.json` by dotted key; empty if the file is missing."""
        return json.loads(self.summary.numbers)  # type: ignore[no-any-return]

    def number(self, key: str) -> Value:
        """One of `numbers`, for repeated trainings that over all of them; None if missing."""
        return number_over_repeats(self.numbers, key)

    @cached_property
    def config_text(self) -> str:
        """Its `config.yaml`."""
        return self.read_text(CONFIG)

    @cached_property
    def config(self) -> "ExperimentConfig":
        """Its settings, as `train` and `sweep` take them. Raises `ConfigError` too."""
        return self.config_in(CONFIG)

    def config_in(self, name: str) -> "ExperimentConfig":
        """The settings in one of its YAML files. Raises `RunError` and `ConfigError`."""
        from mnistexp.config import settings, yaml_source

        return settings.resolve([yaml_source.parse(self.read_text(name), str(self.path / name))]).config

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Its `environment.json`."""
        return self.read_json(ENVIRONMENT)

    @cached_property
    def metrics(self) -> dict[str, Any] | None:
        """Its `metrics.json`; None if it has none yet."""
        return self.read_json(METRICS) if self.has(METRICS) else None

    @cached_property
    def data(self) -> dict[str, Any] | None:
        """Its `data.json`; None if it read no digits."""
        return self.read_json(DATA) if self.has(DATA) else None

    @cached_property
    def histories(self) -> tuple[History, ...]:
        """The learning curves of its trainings, by repeat; empty if it has none. The fits of a sweep don't count."""
        return read_histories(self.path)

    @property
    def history(self) -> History | None:
        """The learning curves of its first training."""
        return self.histories[0] if self.histories else None

    @cached_property
    def predictions(self) -> tuple[Predictions, ...]:
        """The predictions of the test digits by each of its networks, by repeat; empty for sweeps and earlier runs."""
        return () if is_sweep(self.command) else read_predictions(self.path)

    def figures(self) -> dict[str, Path]:
        """The path of each figure as PNG by its name, such as `loss_curves`."""
        return {path.stem: path for path in sorted(self.path.glob("*.png"))}

    def _repr_html_(self) -> str:
        """What a notebook shows: its record and its numbers."""
        about = {"status": self.status, "started": self.started, "tags": " ".join(self.tags), "note": self.note}
        told = {key: value for key, value in about.items() if value} | dict(self.numbers)
        rows = (f"<tr><td>{escape(key)}</td><td>{escape(str(value))}</td></tr>" for key, value in told.items())
        return f"<b>{escape(self.id)}</b><table>{''.join(rows)}</table>"

    def has(self, name: str) -> bool:
        """Whether it has a file of this name."""
        return (self.path / name).exists()

    def files(self) -> list[str]:
        """The names of all files, with / between folders, sorted. Raises RunError."""
        return sorted(_walk(self.path, ""))

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


def list_runs(runs_dir: Path) -> list[StoredRun]:
    """All runs in the folder, in `order`; hidden and foreign folders are ignored. Raises RunError."""
    found = (read(runs_dir / name) for name in run_names(runs_dir))
    return sorted((run for run in found if run), key=order)


def load(path: Path) -> StoredRun:
    """The run in a folder. Raises RunError if it is not a run, or its record is damaged or of an unknown version."""
    run = read(path)
    if run is None:
        raise RunError(f"{path} is not the folder of a run: {STATUS} is missing")
    if run.status == "damaged":
        raise RunError(run.error)
    return run


def read(path: Path, record: Callable[[Path], Status] = read_status) -> StoredRun | None:
    """The run in a folder; None for a foreign one, without the record and the name of a run.

    `record`: reads its record; with `status.read_record` a run whose process died is `running`, as it last wrote.
    """
    name = path.name or path.resolve().name
    try:
        status = record(path)
    except RunError as error:
        started = time_of(name)
        if not files.is_folder(path) or (started is None and not (path / STATUS).exists()):
            return None
        return StoredRun(name, path, "", "", "damaged", started or UNKNOWN_TIME, error=str(error))
    return StoredRun(name, path, **{key: value for key, value in vars(status).items() if key != "owner"})


def run_names(runs_dir: Path) -> list[str]:
    """The folders that may be runs, unordered; empty if `runs_dir` is missing. Raises RunError."""
    with files.explained("list", runs_dir):
        try:
            with os.scandir(runs_dir) as entries:
                return [
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(".")
                    and (entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and files.is_folder(Path(entry))))
                ]
        except FileNotFoundError:
            return []


def order(run: StoredRun) -> tuple[datetime, datetime, str]:
    """The sort key of runs: the time of the id, then the recorded start, then the id."""
    return time_of(run.id) or run.started.replace(microsecond=0), run.started, run.id


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    with files.explained("list", folder), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}"
