"""A run's name, and its way from staging to that name.

The name is `<UTC start>-<command>-<short name>-<four random hex digits>`; until everything is in it the folder has
`.staging-` before that, which listings ignore, so a path that is too long shows at once and not at the end.
"""

import os
import re
import secrets
import shutil
import time
import unicodedata
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from mnistexp import files
from mnistexp.errors import RunError
from mnistexp.run_status import now, read_record

__all__ = ["STAGING", "clean_stale_staging", "make_staging", "new_id", "publish", "time_of"]

STAGING = ".staging-"
ID = re.compile(r"(\d{8}T\d{6}Z)-[a-z0-9-]+-[0-9a-f]{4}")
LONGEST_NAME = 40
# A clock that ran further ahead than this was wrong; one that ran ahead less may have been set back a little since.
FORGIVEN_CLOCK = timedelta(days=1)
# Staging whose process can't be seen from here, say on another machine, is left alone for so long.
UNSEEN_STAGING_SECONDS = 86_400.0
ATTEMPTS = 20


def time_of(run_id: str) -> datetime | None:
    """The time in a run's id, in UTC, to the second; None where the name has not the form of an id."""
    match = ID.fullmatch(run_id)
    try:
        return datetime.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def new_id(runs_dir: Path, command: str, name: str) -> str:
    """An id nobody else draws; it sorts after those in `runs_dir` even if the clock was set back by up to a day."""
    moment = now()
    times: list[datetime] = []
    with suppress(OSError):
        times = [found for path in runs_dir.iterdir() if (found := time_of(path.name))]
    newest = max(times, default=moment)
    if moment < newest < moment + FORGIVEN_CLOCK:
        moment = newest + timedelta(seconds=1)
    return f"{moment:%Y%m%dT%H%M%SZ}-{_short(command)}-{_short(name)}-{secrets.token_hex(2)}"


def _short(name: str) -> str:
    """`name` in letters, digits and hyphens that any file system takes."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters)[:LONGEST_NAME].strip("-") or "unnamed"


def make_staging(runs_dir: Path, command: str, name: str) -> tuple[Path, list[Path]]:
    """Make the folder a run is prepared in; returns it, and the folders that were made above it. Raises RunError."""
    for attempt in range(ATTEMPTS):
        made = files.make_folder(runs_dir)
        folder = runs_dir / f"{STAGING}{new_id(runs_dir, command, name)}"
        with files.explained("create", folder):
            try:
                folder.mkdir()
                break
            except (FileNotFoundError, FileExistsError):
                # Either a run that came to nothing took away the folder above, which it had made, or another drew the
                # same digits in the same second.
                if attempt == ATTEMPTS - 1:
                    raise
    return folder, made


def publish(folder: Path) -> Path:
    """Give a folder in staging its name in one step; returns the new path. Raises RunError.

    Draws other digits in the unlikely case that the name is taken.
    """
    run_id = folder.name.removeprefix(STAGING)
    while True:
        target = folder.with_name(run_id)
        try:
            # A rename replaces an empty folder without a word, so look first. Nobody but us makes names like this one,
            # and a folder of ours is never empty: should a run get there between the two lines, the rename fails.
            if not os.path.lexists(target):
                with files.explained("publish", folder):
                    files.move(folder, target)
                return target
        except RunError:
            if not os.path.lexists(target):
                raise
        run_id = f"{run_id[:-4]}{secrets.token_hex(2)}"


def clean_stale_staging(runs_dir: Path) -> None:
    """Clear up after processes that died: publish what was finished and lacked only its name, remove the rest.

    Staging of living processes is left alone; so is, for a day, staging whose process can't be seen from here.
    """
    with suppress(OSError):
        for folder in [path for path in runs_dir.iterdir() if path.name.startswith(STAGING)]:
            with suppress(OSError):
                _clear(folder)


def _clear(folder: Path) -> None:
    alive: bool | None = None
    ended = False
    with suppress(RunError):
        record = read_record(folder)
        alive = record.owner.alive()
        ended = record.status != "running"
    if alive is None:
        alive = abs(time.time() - folder.lstat().st_mtime) < UNSEEN_STAGING_SECONDS
    if alive:
        return
    target = folder.with_name(folder.name.removeprefix(STAGING))
    if ended and time_of(target.name) and not os.path.lexists(target):
        files.move(folder, target)
    else:
        shutil.rmtree(folder, ignore_errors=True)
