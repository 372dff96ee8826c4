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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mnistexp.config import yaml_source
from mnistexp.errors import MnistexpError, RunError
from mnistexp.runs import files
from mnistexp.runs.annotations import Annotations, read_annotations
from mnistexp.runs.layout import ANNOTATIONS, CONFIG, METRICS, STATUS, Kind
from mnistexp.runs.stored_runs import RunInfo, order, read_info, run_names

__all__ = ["IndexedRun", "Value", "flat", "read", "read_all"]

T = TypeVar("T")
Value = str | int | float | bool | None
INDEX = ".cache/runs.jsonl"
FORMAT = b"mnistexp runs 2"
SOURCES = (STATUS, METRICS, ANNOTATIONS)
SETTLED_SECONDS = 2.0
# Longer texts are sentences, which tables and filters don't need.
LONGEST_TEXT = 100
MOST_VALUES = 2_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexedRun:
    """One run with the data for listings, filters and comparisons.

    `score`: its test accuracy (the mean of repeated trainings), or the best score of a sweep. `unread`: the reasons why
    parts of the run couldn't be read (damaged or of an unknown version). `config` and `metrics` are flat: dotted keys
    to text, numbers, true, false or None; their JSON is parsed on first use.
    """

    info: RunInfo
    tags: tuple[str, ...]
    note: str
    score: float | None
    unread: tuple[str, ...]
    _metrics: bytes
    _config: bytes

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.info.id

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.info.path

    @cached_property
    def config(self) -> Mapping[str, Value]:
        """Settings by dotted key; a list is its JSON as text."""
        return json.loads(self._config)  # type: ignore[no-any-return]

    @cached_property
    def metrics(self) -> Mapping[str, Value]:
        """Finite numbers, booleans and short texts of `metrics.json`, without lists; empty if the file is missing."""
        return json.loads(self._metrics)  # type: ignore[no-any-return]

    def metric(self, key: str) -> Value:
        """A number of `metrics.json` by its key, for repeated trainings that of all of them; None if missing."""
        return _told(self.info, self.metrics, key)


def read_all(runs_dir: Path) -> list[IndexedRun]:
    """All runs in the folder, in the order of `list_runs` (oldest first); updates the index. Raises RunError.

    If the index can't be written, the result is the same but slower.
    """
    stored = _stored(runs_dir / INDEX)
    found: list[IndexedRun] = []
    lines: list[bytes] = []
    reused = 0
    settled = time.time_ns() - int(SETTLED_SECONDS * 1e9)
    for name in run_names(runs_dir):
        stamp, changed = _stamp(f"{runs_dir}/{name}")
        entry = stored.get(name)
        if entry and entry.stamp == stamp and (known := _restored(runs_dir / name, entry)):
            found.append(known)
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
    """One run, read from its folder; None if it is not a run. Unreadable parts are missing; `unread` says why."""
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
    numbers = _comparable(metrics or {})
    score = _told(info, numbers, "test_accuracy" if "test_accuracy" in numbers else "best_score")
    return IndexedRun(
        info,
        annotations.tags,
        annotations.note,
        float(score) if isinstance(score, int | float) else None,
        tuple(unread),
        _json(numbers),
        _json(flat(config or {})),
    )


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


def _comparable(document: Mapping[str, Any]) -> dict[str, Value]:
    """The comparable values of `metrics.json`, without lists, sentences and nulls."""
    found = flat({key: value for key, value in document.items() if key != "schema_version"})
    return {key: value for key, value in found.items() if value is not None and not _is_prose(key, value)}


def _told(info: RunInfo, numbers: Mapping[str, Value], key: str) -> Value:
    """The value of a key over all trainings of a run: their mean, or the value of the mean curves."""
    if info.command != Kind.TRAIN:  # the numbers of `best` are those of its first training
        return numbers.get(key)
    return numbers.get("repeats.mean" if key == "test_accuracy" else f"repeats.{key}", numbers.get(key))


def _is_prose(key: str, value: Value) -> bool:
    if not isinstance(value, str):
        return False
    return len(value) > LONGEST_TEXT or value[:1] in ("[", "{") or key.rpartition(".")[2] == "sentence"


class _Entry(NamedTuple):
    """A line of the index, with only the JSON of the record parsed."""

    stamp: str
    record: list[Any]
    metrics: bytes
    config: bytes
    line: bytes


def _stamp(folder: str) -> tuple[str, int]:
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


def _lasting(run: IndexedRun) -> bool:
    """Whether the entry is valid until the run's files change: the run has ended, and all of it was read."""
    return run.info.finished is not None and not run.unread


def _line(run: IndexedRun, stamp: str) -> bytes:
    info = run.info
    times = [moment and moment.isoformat() for moment in (info.started, info.finished)]
    record = [info.command, info.name, info.status, *times, info.seconds, info.exit_code, info.error, info.part_of]
    head = _json([info.id, stamp, run.tags, run.note, run.score, *record])
    content = b"\t".join((head, run._metrics, run._config))
    return b"%08x %b" % (zlib.crc32(content), content)


def _restored(path: Path, entry: _Entry) -> IndexedRun | None:
    try:
        tags, note, score, command, name, status, started, finished, *others = entry.record
        times = datetime.fromisoformat(started), datetime.fromisoformat(finished)
        info = RunInfo(path.name, path, command, name, status, *times, *others)
        if not all(isinstance(text, str) for text in (note, *tags)):
            return None
    except (ValueError, TypeError):  # as in `_stored`
        return None
    return IndexedRun(info, tuple(tags), note, score, (), entry.metrics, entry.config)


def _json(value: Any) -> bytes:
    # Plain ASCII: no tab, line feed or half of a surrogate pair can be in it.
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _stored(path: Path) -> dict[str, _Entry]:
    """The entries of the index by folder name; empty if it is missing, damaged or of another format."""
    try:
        first, *lines = files.read_bytes(path).split(b"\n")
    except RunError:
        return {}
    sound = [line for line in lines if _sum_agrees(line)] if first == FORMAT else []
    parts = [line[9:].split(b"\t") for line in sound]
    try:
        # All at once: one call per entry takes twice as long.
        heads = json.loads(b"[" + b",".join(part[0] for part in parts) + b"]")
        return {
            name: _Entry(stamp, record, metrics, config, line)
            for (name, stamp, *record), (_, metrics, config), line in zip(heads, parts, sound, strict=True)
        }
    except (ValueError, TypeError, RecursionError):  # not written by this package, despite a valid checksum
        return {}


def _sum_agrees(line: bytes) -> bool:
    return line[:9] == b"%08x " % zlib.crc32(line[9:])


def _store(path: Path, lines: Sequence[bytes]) -> None:
    """Replace the index; if that fails, as in a read-only folder, the next listing reads all runs again."""
    try:
        files.make_folder(path.parent)
        files.write_bytes(path, b"\n".join((FORMAT, *lines)))
    except RunError as error:
        logger.debug("the index of runs can't be written: %s", error)
