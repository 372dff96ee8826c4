"""An index of all runs, which makes listing thousands of runs fast.

The index, `.cache/runs.jsonl` in the runs folder, is only a cache. An entry is valid while the files that change after
a run's start (`SOURCES`) have the same inode, size and modification time as when it was made. These files are replaced
by a rename, never written in place, so each version has its own inode. Because clock ticks are coarse, a run is stored
only once its files have been unchanged for `SETTLED_SECONDS`. The settings don't change once a run is visible. Not
stored: runs with status `running`, whose process may die unnoticed, and runs that can't be read completely.

The first line names the format. Each other line is an entry: CRC-32 of the rest, then, separated by tabs, JSON of the
folder's name, the stamp of its files and the fields of a listing; of the metrics; of the settings. A line with a wrong
checksum is ignored. Writers replace the whole file, so the last of several wins; entries it lacks are read again next
time.
"""

import json
import logging
import os
import time
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from mnistexp.errors import RunError
from mnistexp.runs import files, stored_runs
from mnistexp.runs.layout import ANNOTATIONS, METRICS, STATUS
from mnistexp.runs.stored_runs import StoredRun, order, run_names
from mnistexp.runs.summary import Summary, compact

INDEX = ".cache/runs.jsonl"
FORMAT = b"mnistexp runs 3"
SOURCES = (STATUS, METRICS, ANNOTATIONS)
SETTLED_SECONDS = 2.0

logger = logging.getLogger(__name__)


def read_all(runs_dir: Path) -> list[StoredRun]:
    """All runs in the folder, in the order of `list_runs` (oldest first); updates the index. Raises RunError.

    If the index can't be written, the result is the same but slower.
    """
    stored = _stored(runs_dir / INDEX)
    found: list[StoredRun] = []
    lines: list[bytes] = []
    reused = 0
    settled = time.time_ns() - int(SETTLED_SECONDS * 1e9)
    for name in run_names(runs_dir):
        stamp, changed = stamp_of(f"{runs_dir}/{name}")
        entry = stored.get(name)
        if entry and entry.stamp == stamp and (known := _restored(runs_dir / name, entry)):
            found.append(known)
            lines.append(entry.line)
            reused += 1
        elif run := stored_runs.read(runs_dir / name):
            found.append(run)
            if run.finished is not None and not run.unread and changed < settled:
                lines.append(_line(run, stamp))
    if not reused == len(lines) == len(stored):
        _store(runs_dir / INDEX, lines)
    return sorted(found, key=order)


class _Entry(NamedTuple):
    """A line of the index, with only the JSON of the record parsed."""

    stamp: str
    record: list[Any]
    numbers: bytes
    settings: bytes
    line: bytes


def stamp_of(folder: str) -> tuple[str, int]:
    """The stamp of the current version of a run's files, and the time of their last change in ns."""
    stamp, changed = "", 0
    for name in SOURCES:
        try:
            about = os.stat(f"{folder}/{name}")  # noqa: PTH116 - a Path for each of 30,000 files doubles the time
        except OSError:
            stamp += "- "
            continue
        moment = about.st_mtime_ns
        stamp += f"{about.st_ino}.{about.st_size}.{moment} "
        if moment > changed:
            changed = moment
    return stamp, changed


def _line(run: StoredRun, stamp: str) -> bytes:
    about = run.summary
    record = [run.command, run.name, run.status, run.started.isoformat(), run.finished and run.finished.isoformat()]
    others = [run.seconds, run.exit_code, run.error, run.part_of]
    head = compact([run.id, stamp, about.tags, about.note, about.score, *record, *others])
    content = b"\t".join((head, about.numbers, about.settings))
    return b"%08x %b" % (zlib.crc32(content), content)


def _restored(path: Path, entry: _Entry) -> StoredRun | None:
    try:
        tags, note, score, command, name, status, *times, seconds, exit_code, error, part_of = entry.record
        started, finished = map(datetime.fromisoformat, times)
        if not all(isinstance(text, str) for text in (note, *tags)):
            return None
        summary = Summary(tuple(tags), note, score, (), entry.numbers, entry.settings)
        record = command, name, status, started, finished, seconds, exit_code, error, part_of
        return StoredRun(path.name, path, *record, summary)
    except (ValueError, TypeError):  # as in `_stored`
        return None


def _stored(path: Path) -> dict[str, _Entry]:
    """The entries of the index by folder name; empty if it is missing, damaged or of another format."""
    try:
        first, *lines = files.read_bytes(path).split(b"\n")
    except RunError:
        return {}
    if first != FORMAT:
        return {}
    sound = [line for line in lines if line[:9] == b"%08x " % zlib.crc32(line[9:])]
    parts = [line[9:].split(b"\t") for line in sound]
    try:
        # All at once: one call per entry takes twice as long.
        heads = json.loads(b"[" + b",".join(part[0] for part in parts) + b"]")
        return {
            name: _Entry(stamp, record, numbers, settings, line)
            for (name, stamp, *record), (_, numbers, settings), line in zip(heads, parts, sound, strict=True)
        }
    except (ValueError, TypeError, RecursionError):  # not written by this package, despite a valid checksum
        return {}


def _store(path: Path, lines: Sequence[bytes]) -> None:
    """Replace the index; if that fails, as in a read-only folder, the next listing reads all runs again."""
    try:
        files.make_folder(path.parent)
        files.write_bytes(path, b"\n".join((FORMAT, *lines)))
    except RunError as error:
        logger.debug("the index of runs can't be written: %s", error)
