"""The runs folder: whether it can be written to and locked, and its free space.

The checks write into a temporary folder, which is removed afterwards.
"""

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from mnistexp.doctor.finding import Finding
from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.locks import lock

ELSEWHERE = "export MNISTEXP_RUNS_DIR=$HOME/runs"
LITTLE, NONE = 500_000_000, 20_000_000
"""Free bytes below which space is a warning, and a problem. A run takes 1 to 5 MB, a cached fit a few kB."""


def writing(runs_dir: Path) -> Finding:
    """Whether runs can be written: writes a file, flushes it to the disk and renames it."""
    try:
        with _trial_folder(runs_dir) as folder:
            files.write_text(folder / "trial", "trial")
    except RunError as error:
        return Finding("runs folder", "problem", str(error), ELSEWHERE)
    there = "" if files.is_folder(runs_dir) else ", created by the first run"
    return Finding("runs folder", "ok", f"{runs_dir.absolute()} can be written to{there}")


@contextmanager
def _trial_folder(runs_dir: Path) -> Iterator[Path]:
    """A temporary folder in the runs folder, or in its parent if it doesn't exist. Raises RunError."""
    place = _nearest(runs_dir)
    with files.explained("write to", place), tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=place) as name:
        yield Path(name)


def _nearest(runs_dir: Path) -> Path:
    path = runs_dir.absolute()
    return next((place for place in (path, *path.parents) if os.path.lexists(place)), path)


def space(runs_dir: Path) -> Finding:
    """The free space for runs."""
    try:
        with files.explained("look at", runs_dir):
            free = shutil.disk_usage(_nearest(runs_dir)).free
    except RunError as error:
        return Finding("free space", "warning", str(error), ELSEWHERE)
    says = f"{free / 1e9:.1f} GB; a run takes 1 to 5 MB"
    if free < LITTLE:
        state: Literal["warning", "problem"] = "problem" if free < NONE else "warning"
        return Finding("free space", state, says, f"mnistexp cache prune --older-than 30d{_where(runs_dir)}")
    return Finding("free space", "ok", says)


def locking(runs_dir: Path) -> Finding:
    """Whether a lock on a run excludes other processes."""
    remedy = f"keep runs on a local disk: {ELSEWHERE}"
    try:
        with _trial_folder(runs_dir) as folder, lock(folder):
            try:
                with lock(folder):
                    return Finding("file locks", "problem", "two processes can hold the same lock", remedy)
            except RunError:
                return Finding("file locks", "ok", "work in the runs folder")
    except RunError as error:
        return Finding("file locks", "problem", str(error), remedy)


def _where(runs_dir: Path) -> str:
    return "" if runs_dir == Path("runs") else f" --runs-dir {shlex.quote(str(runs_dir))}"
