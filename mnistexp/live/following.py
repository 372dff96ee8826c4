"""The state of the runs in a folder, read from the run folders only: by any process, also on another machine.

A `Follower` reads repeatedly, and only what may have changed since its last reading.
"""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from mnistexp.errors import RunError
from mnistexp.live.sweep_progress import FitFiles, SweepProgress
from mnistexp.runs.layout import HEARTBEAT, STATUS, is_sweep
from mnistexp.runs.progress import Progress, read_progress
from mnistexp.runs.references import several
from mnistexp.runs.status import RunState, iso, read_record, read_status
from mnistexp.runs.stored_runs import StoredRun, read, run_names
from mnistexp.runs.summary import is_number

LiveState = RunState | Literal["dead", "damaged"]
RESULTS = ("test_accuracy", "best_score", "accuracy")
NEWEST = 10
Signature = tuple[int, int, int]


@dataclass(frozen=True)
class LiveRun:
    """One run at one moment, beyond its record `info`; times in UTC.

    `state`: `dead` is a run with status `running` whose process is gone, `damaged` one whose status can't be read.
    `ended`: for a dead run, its last heartbeat. `silent_seconds`: since its last heartbeat, if there is one; heartbeats
    come every two seconds. `seconds_left`: None if unknown. `result`: `test_accuracy`, `mean_test_accuracy` of repeated
    trainings, `best_score` or `accuracy` (of `evaluate`), if an ended run has one.
    """

    info: StoredRun
    state: LiveState
    ended: datetime | None = None
    silent_seconds: float | None = None
    seconds_left: float | None = None
    training: Progress | None = None
    sweep: SweepProgress | None = None
    result: Mapping[str, float] | None = None

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.info.id

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.info.path

    def document(self) -> dict[str, Any]:
        """As plain values for JSON; `seconds`: how long the last process worked on the run, `error`: why it failed."""
        own = ("state", "silent_seconds", "seconds_left", "result")
        recorded = ("id", "command", "name", "seconds", "error")
        return {
            **{name: getattr(self, name) for name in own},
            **{name: getattr(self.info, name) for name in recorded},
            "path": str(self.path),
            "started": iso(self.info.started),
            "ended": iso(self.ended) if self.ended else None,
            "training": asdict(self.training) if self.training else None,
            "sweep": asdict(self.sweep) if self.sweep else None,
        }


@dataclass(frozen=True)
class Snapshot:
    """A runs folder at one moment: running runs, oldest first, and ended runs, most recent first."""

    runs_dir: Path
    moment: datetime
    running: tuple[LiveRun, ...]
    ended: tuple[LiveRun, ...]

    def document(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "runs_dir": str(self.runs_dir),
            "moment": iso(self.moment),
            "running": [run.document() for run in self.running],
            "ended": [run.document() for run in self.ended],
        }


class Follower:
    """Watches a runs folder, or only the runs named by `references`.

    `newest`: the maximum number of ended runs to include; named runs are all included. Raises `BadInput` for a
    reference to no run, `RunError` if the folder can't be read.
    """

    def __init__(self, runs_dir: Path, references: Sequence[str] = (), newest: int = NEWEST) -> None:
        self._runs_dir = runs_dir
        self._chosen = tuple(run.path for run in several(runs_dir, references))
        self._newest = len(self._chosen) or newest
        self._records: dict[Path, tuple[Signature, LiveRun]] = {}
        self._fits: dict[Path, FitFiles] = {}

    def look(self) -> Snapshot:
        """The current state. Removed runs are left out. Raises RunError."""
        now = time.time()
        paths = self._chosen or [self._runs_dir / name for name in run_names(self._runs_dir)]
        found = [run for path in paths if (run := self._run(path, now))]
        running = sorted((run for run in found if run.ended is None), key=lambda run: (run.info.started, run.id))
        over = [(run.ended, run.id, run) for run in found if run.ended is not None]
        ended = [run for _, _, run in sorted(over, key=itemgetter(0, 1), reverse=True)[: self._newest]]
        shown = {run.path for run in (*running, *ended)}
        self._fits = {path: fits for path, fits in self._fits.items() if path in shown}
        return Snapshot(
            self._runs_dir,
            datetime.fromtimestamp(now, UTC),
            tuple(self._with_progress(run, now) for run in running),
            tuple(
                self._with_progress(run, now) if run.state == "dead" else replace(run, result=_result(run.info))
                for run in ended
            ),
        )

    def _run(self, path: Path, now: float) -> LiveRun | None:
        """The state of a run without its progress and results; None if there is no such run."""
        run = self._recorded(path)
        if run is None or run.state != "running":
            return run
        last, silent = run.info.started, None
        with suppress(OSError):
            beat = os.stat(f"{path}/{HEARTBEAT}").st_mtime  # noqa: PTH116
            last, silent = datetime.fromtimestamp(beat, UTC), max(0.0, now - beat)
        with suppress(RunError):  # one that is just ending is alive
            if read_status(path).status == "interrupted":
                return replace(run, state="dead", ended=last, silent_seconds=silent)
        return replace(run, silent_seconds=silent)

    def _recorded(self, path: Path) -> LiveRun | None:
        """The run's status, read again only if the file changed; the status of a done run doesn't change."""
        signature, run = self._records.get(path, (None, None))
        if run and run.state == "done":
            return run
        try:
            about = os.stat(f"{path}/{STATUS}")  # noqa: PTH116
        except OSError:
            self._records.pop(path, None)
            return None
        found = about.st_mtime_ns, about.st_ino, about.st_size
        if (run is None or signature != found) and (run := _read(path)):
            self._records[path] = found, run
        return run

    def _with_progress(self, run: LiveRun, now: float) -> LiveRun:
        """The progress of a running or dead run."""
        if is_sweep(run.info.command):
            sweep = self._fits.setdefault(run.path, FitFiles(run.path)).read()
            left = sweep.seconds_left(run.info.started.timestamp(), now) if run.state == "running" else None
            return replace(run, sweep=sweep, seconds_left=left)
        training = read_progress(run.path, now)
        left = training.seconds_left if training and run.state == "running" else None
        return replace(run, training=training, seconds_left=left)


def _read(path: Path) -> LiveRun | None:
    info = read(path, read_record)
    if info is None:
        return None
    if info.status == "running":
        return LiveRun(replace(info, seconds=None), info.status)
    return LiveRun(info, info.status, info.finished or info.started)


def _result(run: StoredRun) -> Mapping[str, float] | None:
    if is_number(mean := run.numbers.get("repeats.mean")):
        return {"mean_test_accuracy": mean}
    # `best` has both; its accuracy is its main result.
    return next(({key: value} for key in RESULTS if is_number(value := run.numbers.get(key))), None)
