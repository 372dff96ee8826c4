"""The status of a run: the record `status.json`, the process that writes it, and whether that process is alive."""

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from mnistexp.runs import files
from mnistexp.runs.layout import HEARTBEAT, STATUS

T = TypeVar("T")
RunState = Literal["running", "done", "failed", "interrupted"]

BEAT_SECONDS = 2.0
# On network file systems, changes of another machine appear up to a minute late.
STALE_SECONDS = 120.0


def now() -> datetime:
    """The time in UTC, with its zone."""
    return datetime.now(UTC)


def iso(moment: datetime, timespec: str = "milliseconds") -> str:
    """A time as ISO text; UTC is Z."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


@cache
def _boot(process: int) -> str:  # noqa: ARG001 - a forked child may be in another namespace: once per pid
    """A digest of this machine's boot and of the namespace of process ids; "" if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return hashlib.sha256(f"{boot}{namespace}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Owner:
    """The process that writes a run. A later process with the same id differs in `started`, a later boot in `boot`.

    `boot` is a digest that identifies no machine; `started` is in clock ticks since the boot. "" and 0 if unknown.
    """

    pid: int
    boot: str
    started: int

    @classmethod
    def current(cls) -> "Owner":
        """The current process."""
        return cls(os.getpid(), _boot(os.getpid()), _started(os.getpid()) or 0)

    def alive(self) -> bool | None:
        """Whether the process is alive; None if that can't be checked from here, as on another machine."""
        if not self.boot or self.boot != _boot(os.getpid()):
            return None
        try:
            started = _started(self.pid)
        except PermissionError:
            return None
        return started is not None and started == self.started


def _started(pid: int) -> int | None:
    """When a process started, in clock ticks since the boot; None if it doesn't exist or is a zombie.

    Raises PermissionError if the process exists but is hidden.
    """
    if pid <= 0:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        if sys.platform != "win32":
            with suppress(ProcessLookupError, OverflowError):
                os.kill(pid, 0)
                raise PermissionError from None
        return None
    zombie = fields[0] in (b"Z", b"X")
    return None if zombie else int(fields[19])


@dataclass(frozen=True)
class Status:
    """The record in `status.json`.

    `started`, `finished`: UTC by the system clock, so `finished` may be earlier if the clock was set back. `seconds`:
    how long the last process worked on the run, by a monotonic clock. `error`: one line, if the run failed.
    `part_of`: the id of the run that this one is a step of, as in `reproduce`; None for a run started by the user.
    """

    command: str
    name: str
    status: RunState
    started: datetime
    owner: Owner
    finished: datetime | None = None
    seconds: float | None = None
    exit_code: int | None = None
    error: str | None = None
    part_of: str | None = None


def write_status(folder: Path, status: Status) -> None:
    """Store the record. Raises RunError."""
    names = ("status", "command", "name", "started", "finished", "seconds", "exit_code", "error", "part_of")
    record = {name: getattr(status, name) for name in names}
    times = {name: iso(record[name], "microseconds") for name in ("started", "finished") if record[name]}
    owner = {"pid": status.owner.pid, "boot": status.owner.boot, "process_started": status.owner.started}
    files.write_json(folder / STATUS, record | times | owner)


def read_record(folder: Path) -> Status:
    """The record as last written by the run. Raises RunError if it is missing or damaged."""
    with files.damage_named(folder / STATUS):
        return _parse(files.read_json(folder / STATUS))


def read_status(folder: Path) -> Status:
    """The record, with `running` replaced by `interrupted` if the process is dead.

    If the process can't be checked from here, a heartbeat in the last two minutes counts as alive. Raises RunError as
    `read_record` does.
    """
    status = read_record(folder)
    if status.status != "running":
        return status
    alive = status.owner.alive()
    if alive is None:
        with suppress(OSError):
            # A heartbeat in the future is from before the clock was set back, so it doesn't count.
            alive = abs(time.time() - (folder / HEARTBEAT).stat().st_mtime) < STALE_SECONDS
    return status if alive else replace(status, status="interrupted")


def _parse(document: dict[str, Any]) -> Status:
    if document["status"] not in get_args(RunState):
        raise ValueError(f"status is {document['status']!r}, not one of {', '.join(get_args(RunState))}")
    owner = Owner(_typed(document["pid"], int), _typed(document["boot"], str), _typed(document["process_started"], int))
    return Status(
        _typed(document["command"], str),
        _typed(document["name"], str),
        document["status"],
        _time(document["started"]),
        owner,
        *(None if (value := document.get(key)) is None else read(value) for key, read in OPTIONAL.items()),
    )


def _typed(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return found.astimezone(UTC)


OPTIONAL: dict[str, Callable[[Any], Any]] = {
    "finished": _time,
    "seconds": float,
    "exit_code": lambda value: _typed(value, int),
    "error": lambda value: _typed(value, str),
    "part_of": lambda value: _typed(value, str),  # older records lack it
}
"""How the keys that may be null are read, in the order of `Status`."""


class Heartbeat:
    """Touches `.heartbeat` in a run's folder every two seconds, in its own thread, until stopped.

    The thread reports no errors: if the folder is missing or the disk full, writing the run's files reports it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / HEARTBEAT
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="mnistexp-heartbeat", daemon=True)
        with files.explained("write", self._path):
            self._path.touch()
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            with suppress(OSError):
                os.utime(self._path)

    def stop(self) -> None:
        """End the thread and remove the file."""
        self._stop.set()
        self._thread.join()
        with suppress(OSError):
            self._path.unlink()
