"""The trash: runs are moved there by a rename, restored by a rename, and deleted permanently by `empty`.

runs/
  .trash/
    20261124T054500.123456Z.<id>/     a run that was moved here at that time, in UTC
    .removing-<random>/               a run being deleted; the next emptying of the trash continues
"""

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mnistexp.errors import BadInput, RunError
from mnistexp.runs import files, stored_runs
from mnistexp.runs.layout import STATUS
from mnistexp.runs.locks import lock
from mnistexp.runs.references import ReferenceTarget, meant_by
from mnistexp.runs.staging import time_of
from mnistexp.runs.status import now, read_status

TRASH = ".trash"
ENTRY = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)\.([^.].*)", re.DOTALL)
STAMP = "%Y%m%dT%H%M%S.%fZ"
REMOVING = ".removing-"


@dataclass(frozen=True)
class Trashed:
    """A run in the trash: its id, its current path, and when it was moved there, in UTC."""

    id: str
    path: Path
    moved: datetime


def discard(folders: Iterable[Path]) -> list[Trashed]:
    """Move runs to the trash of their runs folders. None is moved if one of them is in use.

    Raises RunError if a run is in use, or can't be moved; then those before it are in the trash. BadInput for a folder
    that is hidden or in the trash.
    """
    places = list(dict.fromkeys(_place(folder) for folder in folders))
    for place in places:
        if place.name.startswith(".") or place.parent.name == TRASH:
            raise BadInput(f"{place} can't be moved to the trash: it is in the trash already, or is not a run")
        _refuse_running(place)
    return [_move(place) for place in places]


def list_trash(runs_dir: Path) -> list[Trashed]:
    """The content of the trash, oldest first. Raises RunError if it can't be read."""
    trash = runs_dir / TRASH
    with files.explained("list", trash):
        try:
            names = os.listdir(trash)  # noqa: PTH208 - only names are needed
        except FileNotFoundError:
            return []
    found = []
    for match in filter(None, map(ENTRY.fullmatch, names)):
        with suppress(ValueError):  # digits that are no time
            moved = datetime.strptime(match[1], STAMP).replace(tzinfo=UTC)
            found.append(Trashed(match[2], trash / match[0], moved))
    return sorted(found, key=lambda entry: (entry.moved, entry.id))


def find_trashed(runs_dir: Path, references: Iterable[str]) -> list[Trashed]:
    """The runs in the trash of some references, each once; see references.py. The newest is the one moved there last.

    A name in the trash (time and id) is a reference too, for runs with the same id. Raises BadInput if one means no
    run, or is ambiguous.
    """
    candidates = []
    for entry in list_trash(runs_dir)[::-1]:
        run = stored_runs.read(entry.path)
        candidates.append(ReferenceTarget(entry, (entry.id, entry.path.name), (run.name, *run.tags) if run else ()))
    found = (entry for text in references for entry in meant_by(text, candidates, f"the trash of {runs_dir}"))
    return list(dict.fromkeys(found))


def restore(entries: Sequence[Trashed]) -> list[Path]:
    """Restore runs to their folders, which are returned.

    Raises BadInput, before any is moved, if an id exists already; RunError if one can't be moved.
    """
    targets = [entry.path.parent.parent / entry.id for entry in entries]
    for target in targets:
        if os.path.lexists(target) or targets.count(target) > 1:
            raise BadInput(f"can't restore {target.name}: a run with that id exists in {target.parent}")
    for entry, target in zip(entries, targets, strict=True):
        # If two processes restore a run at once, the second finds nothing to rename; nothing else creates this name.
        with files.explained("restore", entry.path):
            files.move(entry.path, target)
    return targets


def empty(runs_dir: Path, entries: Sequence[Trashed]) -> None:
    """Delete these runs in the trash permanently, and leftovers of an earlier emptying. Raises RunError.

    Links are removed, not followed. Each run is renamed before it is deleted, so a partial run can't be restored.
    """
    trash = runs_dir / TRASH
    if trash.is_symlink():
        raise RunError(f"{trash} is a link: nothing is removed through it")
    if not files.is_folder(trash):
        return
    with lock(trash, wait=True), files.explained("empty", trash):
        for entry in entries:
            with suppress(FileNotFoundError):  # another process removed or restored it meanwhile
                files.move(entry.path, trash / f"{REMOVING}{secrets.token_hex(8)}")
        for leftover in trash.glob(f"{REMOVING}*"):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def _place(folder: Path) -> Path:
    """The canonical path of a run's folder; if the folder is a link, that of the link."""
    with files.explained("find", folder):
        named = folder.name not in ("", "..")
        return folder.parent.resolve(strict=True) / folder.name if named else folder.resolve(strict=True)


def _refuse_running(folder: Path) -> None:
    try:
        status = read_status(folder)
    except RunError:
        if time_of(folder.name) or os.path.lexists(folder / STATUS):
            return  # a damaged run may be removed
        raise
    if status.status == "running":
        raise RunError(f"{folder} is in use by another process (process {status.owner.pid})")


def _move(folder: Path) -> Trashed:
    trash = folder.parent / TRASH
    with ExitStack() as held:
        held.enter_context(lock(folder))
        # Again, now that no process can resume the run.
        _refuse_running(folder)
        files.make_folder(trash)
        if sys.platform == "win32":
            held.close()  # Windows can't rename a folder with an open file
        moved = now()
        target = trash / f"{moved:{STAMP}}.{folder.name}"
        with files.explained("move to the trash", folder):
            files.move(folder, target)
            files.sync(folder.parent)
    return Trashed(folder.name, target, moved)
