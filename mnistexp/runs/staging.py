"""The name of a run's folder, and how an unpublished (staging) folder gets it.

The name, also called id, is `<UTC start>-<command>-<short name>-<four random hex digits>`. Until the run is published,
the folder is called `.staging-<boot>.<pid>.<process start>.<id>`: listings ignore it, the name identifies its process,
and a path that is too long fails at once and not at the end.
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

STAGING = re.compile(r"\.staging-([0-9a-f]*)\.(\d{1,19})\.(\d{1,19})\.(.+)")
ID = re.compile(r"(\d{8}T\d{6}Z)-[a-z0-9-]+-[0-9a-f]{4}")
LONGEST_NAME = 40
# A clock further ahead than this was wrong; one less far ahead may have been set back slightly since.
FORGIVEN_CLOCK = timedelta(days=1)
# Staging folders of processes that can't be checked, such as on another machine, are kept this long.
UNSEEN_STAGING_SECONDS = 86_400.0
ATTEMPTS = 20


def time_of(run_id: str) -> datetime | None:
    """The time in a run's id, in UTC, to the second; None if the name is not an id."""
    match = ID.fullmatch(run_id)
    try:
        return datetime.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def staging_name(run_id: str) -> str:
    """The name of a run's folder while this process prepares or removes it."""
    owner = Owner.current()
    return f".staging-{owner.boot}.{owner.pid}.{owner.started}.{run_id}"


def id_of(folder: Path) -> str:
    """The run's id, from its folder's name, in staging or published."""
    match = STAGING.fullmatch(folder.name)
    return match[4] if match else folder.name


def new_id(runs_dir: Path, command: str, name: str) -> str:
    """A unique id; it sorts after those in `runs_dir` even if the clock was set back by up to a day."""
    moment = now()
    # Later times also sort later as text, so only one name of thousands has to be parsed.
    newest = next((found for name in sorted(_names(runs_dir), reverse=True) if (found := time_of(name))), moment)
    if moment < newest < moment + FORGIVEN_CLOCK:
        moment = newest + timedelta(seconds=1)
    return f"{moment:%Y%m%dT%H%M%SZ}-{_short(command)}-{_short(name)}-{secrets.token_hex(2)}"


def _names(folder: Path) -> list[str]:
    """All names in a folder; empty if it can't be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _short(name: str) -> str:
    """`name` reduced to letters, digits and hyphens, valid on any file system."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters)[:LONGEST_NAME].strip("-") or "unnamed"


def make_staging(runs_dir: Path, command: str, name: str) -> tuple[Path, list[Path]]:
    """Create the folder for preparing a run; returns it, and the folders created above it. Raises RunError."""
    for attempt in range(ATTEMPTS):
        made = files.make_folder(runs_dir)
        folder = runs_dir / staging_name(new_id(runs_dir, command, name))
        with files.explained("create", folder):
            try:
                folder.mkdir()
                break
            except (FileNotFoundError, FileExistsError):
                # A discarded run removed the folder above, or another process drew the same digits in that second.
                if attempt == ATTEMPTS - 1:
                    raise
    return folder, made


def publish(folder: Path) -> Path:
    """Rename a staging folder to its id; returns the new path. Raises RunError.

    Draws other digits in the unlikely case that the name exists.
    """
    run_id = id_of(folder)
    while True:
        target = folder.with_name(run_id)
        try:
            # A rename silently replaces an empty folder, so check first. Only this package creates such names, and its
            # folders are never empty: if a run is published between the two lines, the rename fails.
            if not os.path.lexists(target):
                with files.explained("publish", folder):
                    files.move(folder, target)
                return target
        except RunError:
            # If our folder is gone, the rename succeeded and only flushing failed.
            if not os.path.lexists(target) or not os.path.lexists(folder):
                raise
        run_id = f"{run_id[:-4]}{secrets.token_hex(2)}"


def clean_stale_staging(runs_dir: Path) -> None:
    """Clean up after processes that died: publish finished runs, remove unfinished ones."""
    for folder in stale_staging(runs_dir):
        with suppress(OSError):  # of the move: the run stays for the next time
            with suppress(RunError):
                target = folder.with_name(id_of(folder))
                if read_record(folder).status != "running" and time_of(target.name) and not os.path.lexists(target):
                    files.move(folder, target)
                    continue
            shutil.rmtree(folder, ignore_errors=True)


def stale_staging(runs_dir: Path) -> list[Path]:
    """Staging folders of processes that died; one that can't be checked from here counts only after a day."""
    found = []
    for name in _names(runs_dir):
        if match := STAGING.fullmatch(name):
            alive = Owner(pid=int(match[2]), boot=match[1], started=int(match[3])).alive()
            with suppress(OSError):
                age = abs(time.time() - (runs_dir / name).lstat().st_mtime)
                if not (age < UNSEEN_STAGING_SECONDS if alive is None else alive):
                    found.append(runs_dir / name)
    return found
