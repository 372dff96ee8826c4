"""Writing a run: prepared in a hidden folder, published by one rename, marked with its final status; see layout.py."""

import re
import shutil
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from mnistexp.errors import BadInput, Interrupted, MnistexpError, RunError
from mnistexp.runs import files
from mnistexp.runs.annotations import write_launched
from mnistexp.runs.environment import dirty_diff, environment
from mnistexp.runs.layout import CONFIG, ENVIRONMENT, LOG, PATCH, PROGRESS, STATUS
from mnistexp.runs.locks import lock
from mnistexp.runs.staging import clean_stale_staging, id_of, make_staging, publish, staging_name
from mnistexp.runs.standard_error import kept_back
from mnistexp.runs.status import Heartbeat, Owner, RunState, Status, iso, now, read_status, write_status

PARENT: ContextVar[str | None] = ContextVar("PARENT", default=None)
"""The id of the run whose steps are being created here."""
# Not hidden, and valid on every file system.
PART = re.compile(r'[^.\x00-\x1f\x7f<>:"/\\|?*][^\x00-\x1f\x7f<>:"/\\|?*]{0,199}(?<![. ])')


class Run:
    """A run being written; use it as a context manager.

    Leaving the `with` block finishes the run, or marks it according to the exception: `interrupted` for Ctrl-C, else
    `failed`. A run without files is removed if it ends like this before it is published, or by bad input at any time.
    `add`, `writing` and `log` may be called from several threads.
    """

    def __init__(self, folder: Path, status: Status, *, published: bool, added: bool) -> None:
        self._folder = folder
        self._status = status
        self._published = published
        self._added = added
        self._made: list[Path] = []
        self._ended = False
        self._holds = ExitStack()
        self._clock = time.monotonic()

    @classmethod
    def create(cls, runs_dir: Path, command: str, name: str, config_yaml: str, *, visible: bool = False) -> Self:
        """Start a run in `runs_dir`, which is created if it is missing.

        With `visible` the run is published at once as `running`, and can be watched and resumed; otherwise it stays in
        staging and is published when it ends. `name` is shortened to plain letters in the id and kept whole in the
        status. Raises RunError if the folder can't be written.
        """
        clean_stale_staging(runs_dir)
        status = Status(command, name, "running", started=now(), owner=Owner.current(), part_of=PARENT.get())
        folder, made = make_staging(runs_dir, command, name)
        run = cls(folder, status, published=False, added=False)
        run._made = made
        try:
            write_status(folder, status)
            files.write_text(folder / CONFIG, config_yaml)
            files.write_json(folder / ENVIRONMENT, environment())
            if patch := dirty_diff():
                files.write_text(folder / PATCH, patch)
            write_launched(folder, command)
            if visible:
                run._publish()
                run._hold()
        except BaseException:
            run.discard()
            raise
        return run

    @classmethod
    def resume(cls, folder: Path) -> Self:
        """Resume an interrupted or failed run in its folder.

        Raises RunError if another process is working on it or the folder can't be written, BadInput if it is done.
        """
        _resumable(folder)
        with ExitStack() as held:
            held.enter_context(lock(folder))
            # Again, now that no other process can change it.
            status = _resumable(folder)
            with files.explained("write", folder):
                for leftover in folder.rglob(f"{files.TEMPORARY}*"):
                    leftover.unlink(missing_ok=True)
            status = replace(status, status="running", owner=Owner.current(), finished=None, exit_code=None, error=None)
            write_status(folder, status)
            held.callback(Heartbeat(folder).stop)
            run = cls(folder, status, published=True, added=True)
            run._holds = held.pop_all()
        run.log("resumed")
        return run

    @property
    def id(self) -> str:
        """The folder's name once published."""
        return id_of(self._folder)

    @property
    def path(self) -> Path:
        """The current folder of the run; it changes when a run in staging ends."""
        return self._folder

    @property
    def status(self) -> RunState:
        """The status last written by this process; see `status.RunState`."""
        return self._status.status

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Record each run that this thread creates in the block as a step of this one: its `part_of`."""
        token = PARENT.set(self.id)
        try:
            yield
        finally:
            PARENT.reset(token)

    def add(self, name: str, content: bytes | str | Mapping[str, object]) -> Path:
        """Store one file atomically: bytes, text, or a mapping as strict JSON. See `add_file`."""
        path = add_file(self._folder, name, content)
        self._added = True
        return path

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """For libraries that save to a path: yields a temporary path, which is renamed to `name` afterwards."""
        with files.replacing(_make_place(self._folder, name)) as temporary:
            yield temporary
        self._added = True

    def log(self, message: str) -> None:
        """Append to `run.log` with the UTC time; further lines of one message are indented. Raises RunError."""
        text = "\n    ".join(message.splitlines())
        line = f"{iso(now())} {text}\n"
        path = self._folder / LOG
        with files.explained("write", path), path.open("ab") as file:
            file.write(line.encode("utf-8", "backslashreplace"))

    def finish(self, exit_code: int = 0) -> None:
        """Mark the run done, publish it if it wasn't, and flush it to the disk. Raises RunError."""
        self._end("done", exit_code, None)

    def fail(self, error: BaseException) -> None:
        """Mark the run failed, with the error's last line; unexpected errors are logged with their traceback."""
        text = str(error) if isinstance(error, MnistexpError) else "".join(traceback.format_exception_only(error))
        if not isinstance(error, MnistexpError):
            with suppress(RunError):
                self.log("".join(traceback.format_exception(error)))
        self._end("failed", getattr(error, "exit_code", 1), text.strip())

    def interrupt(self, exit_code: int = Interrupted.exit_code) -> None:
        """Mark the run interrupted: it can be resumed. With exit code 0 or 3 it has usable results already."""
        self._end("interrupted", exit_code, None)

    def discard(self) -> None:
        """Remove the run and the folders that were created for it."""
        self._ended = True
        self._holds.close()
        if self._published:
            # Hide it first: removing takes a while, and a partial run must not be visible.
            hidden = self._folder.with_name(staging_name(self.id))
            with suppress(OSError):
                files.move(self._folder, hidden)
                self._folder = hidden
        shutil.rmtree(self._folder, ignore_errors=True)
        for folder in reversed(self._made):
            with suppress(OSError):
                folder.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ended:
            return
        if error is None:
            self.finish()
            return
        # An error here, such as a full disk, must not hide the original error.
        with suppress(RunError):
            if not self._added and (isinstance(error, BadInput) or not self._published):
                self.discard()
            elif isinstance(error, KeyboardInterrupt | Interrupted):
                self.interrupt(getattr(error, "exit_code", Interrupted.exit_code))
            else:
                self.fail(error)
        self._holds.close()

    def _end(self, state: RunState, exit_code: int, error: str | None) -> None:
        self._status = replace(
            self._status,
            status=state,
            finished=now(),
            seconds=round(time.monotonic() - self._clock, 3),
            exit_code=exit_code,
            error=error,
        )
        if lines := kept_back():
            self.log(f"libraries wrote to standard error:\n{lines}")
        log = self._folder / LOG
        with files.explained("write", log), suppress(FileNotFoundError):
            files.sync(log)
        write_status(self._folder, self._status)
        with suppress(OSError):
            (self._folder / PROGRESS).unlink()
        if not self._published:
            self._publish()
        self._ended = True
        self._holds.close()

    def _publish(self) -> None:
        self._folder = publish(self._folder)
        self._published = True

    def _hold(self) -> None:
        """Mark the run as in use by this process."""
        try:
            self._holds.enter_context(lock(self._folder, wait=True))
        except RunError as error:
            # Some cluster file systems have no locks. The run is new, and the heartbeat shows that it is in use.
            self.log(f"running without a lock: {error}")
        self._holds.callback(Heartbeat(self._folder).stop)


def add_file(folder: Path, name: str, content: bytes | str | Mapping[str, object]) -> Path:
    """Store a file atomically in the folder of a finished or unfinished run, and return its path.

    `name` may have folders, as in `trials/17.json`; they are created. A mapping becomes strict JSON with a schema
    version. Raises RunError if it can't be written, BadInput for a name that leaves the folder or is not valid on every
    file system.
    """
    path = _make_place(folder, name)
    if isinstance(content, bytes):
        files.write_bytes(path, content)
    elif isinstance(content, str):
        files.write_text(path, content)
    else:
        files.write_json(path, content)
    return path


def remove_file(folder: Path, name: str) -> None:
    """Remove a file that was added; a missing file is ignored. Raises RunError and BadInput as `add_file` does."""
    path = _place(folder, name)
    with files.explained("remove", path):
        path.unlink(missing_ok=True)


def _place(folder: Path, name: str) -> Path:
    """The path of the file `name`."""
    if name == STATUS or not all(PART.fullmatch(part) for part in name.split("/")):
        raise BadInput(f"{name!r} can't be the name of a file in a run, allowed: plain names, with / between folders")
    return folder / name


def _make_place(folder: Path, name: str) -> Path:
    """The path of the file `name`; creates the folders below the run's own folder, which may have been removed."""
    path = _place(folder, name)
    for parent in list(reversed(path.relative_to(folder).parents))[1:]:
        with files.explained("create", folder / parent), suppress(FileExistsError):
            (folder / parent).mkdir()
            files.sync((folder / parent).parent)
    return path


def _resumable(folder: Path) -> Status:
    status = read_status(folder)
    if status.status == "done":
        raise BadInput(f"{folder} is done, allowed: an interrupted or failed run")
    if status.status == "running":
        raise RunError(f"{folder} is in use by another process (process {status.owner.pid})")
    return status
