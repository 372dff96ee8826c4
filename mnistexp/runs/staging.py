"""A run's name, and its way from staging to that name.

The name, also called id, is `<UTC start>-<command>-<short name>-<four random hex digits>`. Until everything is in it,
the folder is called `.staging-<boot>.<pid>.<process start>.<id>`: listings ignore it, it tells whose it is from its
first moment, and a path that would be too long shows at once and not at the end.
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

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.status import Owner, now, read_record

__all__ = [
    "clean_stale_staging",
    "id_of",
    "make_staging",
    "new_id",
    "publish",
    "staging_name",
    "stale_staging",
    "time_of",
]

STAGING = re.compile(r"\.staging-([0-9a-f]*)\.(\d{1,19})\.(\d{1,19})\.(.+)")
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


def staging_name(run_id: str) -> str:
    """What the folder of a run is called while this process prepares or removes it."""
    owner = Owner.current()
    return f".staging-{owner.boot}.{owner.pid}.{owner.started}.{run_id}"


def id_of(folder: Path) -> str:
    """The run's id, from its folder's name, in staging or published."""
    match = STAGING.fullmatch(folder.name)
    return match[4] if match else folder.name


def new_id(runs_dir: Path, command: str, name: str) -> str:
    """An id nobody else draws; it sorts after those in `runs_dir` even if the clock was set back by up to a day."""
    moment = now()
    # Later times are later in the alphabet too, so that only one name of thousands has to be looked at.
    newest = next((found for name in sorted(_names(runs_dir), reverse=True) if (found := time_of(name))), moment)
    if moment < newest < moment + FORGIVEN_CLOCK:
        moment = newest + timedelta(seconds=1)
    return f"{moment:%Y%m%dT%H%M%SZ}-{_short(command)}-{_short(name)}-{secrets.token_hex(2)}"


def _names(folder: Path) -> list[str]:
    """All names in a folder; none where it can't be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _short(name: str) -> str:
    """`name` in letters, digits and hyphens that any file system takes."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters)[:LONGEST_NAME].strip("-") or "unnamed"


def make_staging(runs_dir: Path, command: str, name: str) -> tuple[Path, list[Path]]:
    """Make the folder a run is prepared in; returns it, and the folders that were made above it. Raises RunError."""
    for attempt in range(ATTEMPTS):
        made = files.make_folder(runs_dir)
        folder = runs_dir / staging_name(new_id(runs_dir, command, name))
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
    run_id = id_of(folder)
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
            # With our folder gone the name was given, and only flushing it failed.
            if not os.path.lexists(target) or not os.path.lexists(folder):
                raise
        run_id = f"{run_id[:-4]}{secrets.token_hex(2)}"


def clean_stale_staging(runs_dir: Path) -> None:
    """Clear up after processes that died: publish what was finished and lacked only its name, remove the rest."""
    for folder in stale_staging(runs_dir):
        with suppress(OSError):
            _clear(folder)


def stale_staging(runs_dir: Path) -> list[Path]:
    """Folders in staging whose processes died.

    Those of living processes are none; nor is, for a day, one whose process can't be seen from here.
    """
    found = []
    for name in _names(runs_dir):
        if match := STAGING.fullmatch(name):
            with suppress(OSError):
                if not _in_use(runs_dir / name, Owner(pid=int(match[2]), boot=match[1], started=int(match[3]))):
                    found.append(runs_dir / name)
    return found


def _in_use(folder: Path, owner: Owner) -> bool:
    alive = owner.alive()
    return abs(time.time() - folder.lstat().st_mtime) < UNSEEN_STAGING_SECONDS if alive is None else alive


def _clear(folder: Path) -> None:
    with suppress(RunError):
        target = folder.with_name(id_of(folder))
        if read_record(folder).status != "running" and time_of(target.name) and not os.path.lexists(target):
            files.move(folder, target)
            return
    shutil.rmtree(folder, ignore_errors=True)
