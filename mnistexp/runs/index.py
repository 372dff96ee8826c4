"""What is known of every run, from a rebuildable index: thousands are listed in a fraction of a second.

The index, `.cache/runs.jsonl` in the folder of runs, is never needed for a right answer. An entry counts only while the
files that it was made from (`SOURCES`) still have the same inode, size and time of change as then. All of them are
replaced by a rename, never written in place, so each version has an inode of its own; and as a clock's tick is coarse,
a run is kept only once its files have been left alone for `SETTLED_SECONDS`. Never kept: a run whose record says
`running`, since its process may die without a word, and one of which a part couldn't be read.

The first line names the format. Each other line is an entry: CRC-32 of the rest, then, between tabs, JSON of the
folder's name, the stamp of its files and the record; of metrics and annotations; of the settings. A line that doesn't
agree with its sum is as good as none. Writers replace the file whole, so that the last of several wins, and what it
didn't know is read afresh the next time.
"""

import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mnistexp import yaml_source
from mnistexp.errors import MnistexpError, RunError
from mnistexp.runs import files
from mnistexp.runs.annotations import ANNOTATIONS, Annotations, read_annotations
from mnistexp.runs.run_folder import CONFIG
from mnistexp.runs.status import STATUS
from mnistexp.runs.stored_runs import METRICS, RunInfo, order, read_info, run_names

__all__ = ["IndexedRun", "Value", "flat", "read", "read_all"]

T = TypeVar("T")
Value = str | int | float | bool | None
INDEX = ".cache/runs.jsonl"
FORMAT = b"mnistexp runs 1"
SOURCES = (STATUS, METRICS, ANNOTATIONS, CONFIG)
SETTLED_SECONDS = 2.0
# Longer texts are sentences for people, which a table or a filter has no use for.
LONGEST_TEXT = 100
MOST_VALUES = 2_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexedRun:
    """One run with what listings, filters and comparisons ask of it. The JSON of `_found` and `_config` is read late.

    `config` and `metrics` are flat: dotted keys to text, numbers, true, false or None.
    """

    info: RunInfo
    _found: bytes
    _config: bytes

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def path(self) -> Path:
        return self.info.path

    @cached_property
    def config(self) -> Mapping[str, Value]:
        """Settings by dotted key; a list is its JSON as text."""
        return json.loads(self._config)  # type: ignore[no-any-return]

    @property
    def metrics(self) -> Mapping[str, Value]:
        """Finite numbers, truth values and short texts of `metrics.json`, without lists; empty where there is none."""
        return self._details["metrics"]  # type: ignore[no-any-return]

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self._details["tags"])

    @property
    def note(self) -> str:
        return self._details["note"]  # type: ignore[no-any-return]

    @property
    def unread(self) -> tuple[str, ...]:
        """Why parts of the run couldn't be read: damaged files, or versions unknown here."""
        return tuple(self._details["unread"])

    @cached_property
    def _details(self) -> dict[str, Any]:
        return json.loads(self._found)  # type: ignore[no-any-return]


def read_all(runs_dir: Path) -> list[IndexedRun]:
    """All runs in the folder, oldest first as `list_runs` has them; renews the index. Raises RunError.

    Where the index can't be written the answer is the same, only later.
    """
    stored = _stored(runs_dir / INDEX)
    found: list[IndexedRun] = []
    lines: list[bytes] = []
    reused = 0
    settled = time.time_ns() - int(SETTLED_SECONDS * 1e9)
    for name in run_names(runs_dir):
        stamp, changed = _stamp(f"{runs_dir}/{name}")
        entry = stored.get(name)
        if entry and entry.stamp == stamp:
            found.append(_restored(runs_dir / name, entry))
            lines.append(entry.line)
            reused += 1
        elif run := read(runs_dir / name):
            found.append(run)
            if _lasting(run) and changed < settled:
                lines.append(_line(run, stamp))
    if not reused == len(lines) == len(stored):
        _store(runs_dir / INDEX, lines)
    return sorted(found, key=lambda run: order(run.info))


def read(path: Path) -> IndexedRun | None:
    """One run, from its folder alone; None where it is none. What can't be read is missing, and `unread` says why."""
    info = read_info(path)
    if info is None or (info.status == "damaged" and not files.is_folder(path)):
        return None
    unread = [str(info.error)] if info.status == "damaged" else []

    def attempt(reading: Callable[[], T]) -> T | None:
        try:
            return reading()
        except MnistexpError as error:
            unread.append(str(error))
            return None

    metrics = attempt(lambda: files.read_json(path / METRICS)) if (path / METRICS).exists() else None
    annotations = attempt(lambda: read_annotations(path)) or Annotations()
    config = attempt(lambda: yaml_source.parse_fast(files.read_text(path / CONFIG), str(path / CONFIG)))
    details = {"metrics": _metrics(metrics or {}), "tags": annotations.tags, "note": annotations.note, "unread": unread}
    return IndexedRun(info, _json(details), _json(flat(config or {})))


def flat(values: Mapping[str, Any]) -> dict[str, Value]:
    """Nested values by dotted key, at most `MOST_VALUES`; a list, or an empty mapping, is its JSON as text."""
    found: dict[str, Value] = {}
    for key, value in islice(_leaves(values, ""), MOST_VALUES):
        found.setdefault(key, value)
    return found


def _leaves(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, Value]]:
    for name, value in values.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{key}.")
        elif isinstance(value, list | Mapping):
            yield key, json.dumps(files.plain(value), ensure_ascii=False)
        else:
            yield key, files.plain(value)


def _metrics(document: Mapping[str, Any]) -> dict[str, Value]:
    """What of `metrics.json` can be compared: no lists, no sentences, nothing that is missing."""
    document = {key: value for key, value in document.items() if key != "schema_version"}
    return {
        key: value
        for key, value in flat(document).items()
        if value is not None and not (isinstance(value, str) and (len(value) > LONGEST_TEXT or value[:1] in ("[", "{")))
    }


class _Entry(NamedTuple):
    """A line of the index, its JSON read as far as the record."""

    stamp: str
    record: dict[str, Any]
    found: bytes
    config: bytes
    line: bytes


def _stamp(folder: str) -> tuple[str, int]:
    """What tells one version of a run's files from the next, and when the last of them was changed, in ns."""
    parts, changed = [], 0
    for name in SOURCES:
        try:
            about = os.stat(f"{folder}/{name}")  # noqa: PTH116 - a Path for each of 40,000 files takes as long again
        except OSError:
            parts.append("-")
            continue
        parts.append(f"{about.st_ino}.{about.st_size}.{about.st_mtime_ns}")
        changed = max(changed, about.st_mtime_ns)
    return " ".join(parts), changed


def _lasting(run: IndexedRun) -> bool:
    """Whether the run stays as it is until its files change: its record says that it has ended, and all was read."""
    return run.info.finished is not None and not run.unread


def _line(run: IndexedRun, stamp: str) -> bytes:
    info = run.info
    record = {
        "command": info.command,
        "name": info.name,
        "status": info.status,
        "started": info.started.isoformat(),
        "finished": info.finished.isoformat() if info.finished else None,
        "seconds": info.seconds,
        "exit_code": info.exit_code,
        "error": info.error,
    }
    content = b"\t".join((_json([info.id, stamp, record]), run._found, run._config))
    return b"%08x %b" % (zlib.crc32(content), content)


def _restored(path: Path, entry: _Entry) -> IndexedRun:
    record = entry.record
    times = {key: datetime.fromisoformat(record[key]) for key in ("started", "finished")}
    return IndexedRun(RunInfo(**{**record, **times, "id": path.name, "path": path}), entry.found, entry.config)


def _json(value: Any) -> bytes:
    # Plain ASCII: no tab, line feed or half of a surrogate pair can be in it.
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _stored(path: Path) -> dict[str, _Entry]:
    """The entries of the index by the name of the folder; none where it is missing, damaged or of another format."""
    try:
        first, *lines = files.read_bytes(path).split(b"\n")
    except RunError:
        return {}
    found: dict[str, _Entry] = {}
    for line in lines if first == FORMAT else ():
        try:
            total, content = int(line[:8], 16), line[9:]
            if zlib.crc32(content) != total:
                continue
            record, details, config = content.split(b"\t")
            name, stamp, values = json.loads(record)
        except ValueError:
            continue
        found[name] = _Entry(stamp, values, details, config, line)
    return found


def _store(path: Path, lines: Sequence[bytes]) -> None:
    """Replace the index; where that fails, as in a folder that can't be written, the next listing reads all again."""
    try:
        files.make_folder(path.parent)
        files.write_bytes(path, b"\n".join((FORMAT, *lines)))
    except RunError as error:
        logger.debug("the index of runs isn't kept: %s", error)
