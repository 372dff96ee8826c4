"""References to runs, with the same meaning in every command and in the Python API: docs/runs.md lists them.

A number of up to three digits always counts from the newest, because ids begin with a year. A longer one is the
beginning of an id if any id begins with it; `2026:2026` is always a range.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf
from operator import itemgetter
from pathlib import Path
from typing import Generic, TypeVar

from mnistexp.config.shown import counted
from mnistexp.errors import BadInput, nearest, show
from mnistexp.runs import files, index, stored_runs
from mnistexp.runs.layout import STATUS
from mnistexp.runs.staging import time_of
from mnistexp.runs.stored_runs import StoredRun, order, run_names

T = TypeVar("T")
LATEST = "latest"
NUMBER = re.compile(r"[0-9]{1,9}")
RANGE = re.compile(r"([0-9]{0,9}):([0-9]{0,9})")
SHORT = 3
# Up to this many newest runs are read one by one; for more the index is faster.
FEW = 50
MOST_SHOWN = 8


@dataclass(frozen=True)
class ReferenceTarget(Generic[T]):
    """A run that a reference may mean.

    `ids`: found by the whole id or its beginning; the last one is unique. `labels`: tags and names, which other runs
    may share.
    """

    item: T
    ids: tuple[str, ...]
    labels: tuple[str, ...]


def several(runs_dir: Path, references: Iterable[str]) -> list[StoredRun]:
    """The runs of some references, in their order and each once.

    Raises BadInput if one means no run or is the beginning of several ids; RunError if the folder can't be read.
    """
    found = (run for reference in references for run in _resolve(runs_dir, reference))
    return list({run.path.absolute(): run for run in found}.values())


def one(runs_dir: Path, reference: str) -> StoredRun:
    """The run of a reference. Raises BadInput if it means no run or several, RunError as `several` does."""
    found = _resolve(runs_dir, reference)
    if len(found) > 1:
        raise BadInput(f"{show(reference)} means {len(found)} runs, allowed: a reference to one")
    return found[0]


def started(runs_dir: Path) -> list[StoredRun]:
    """The runs started by the user (not steps of others), newest first. Raises RunError."""
    return _started(runs_dir, run_names(runs_dir), inf)


def meant_by(reference: str, candidates: Sequence[ReferenceTarget[T]], place: str) -> list[T]:
    """The candidates that a reference means, at least one; all are counted, newest first.

    `place`: where they are, for messages. Raises BadInput.
    """
    span = _span(reference, [name for candidate in candidates for name in candidate.ids])
    if span is not None:
        return _counted(reference, span, [candidate.item for candidate in candidates], place)
    return [_named(reference, candidates, place)]


def _resolve(runs_dir: Path, reference: str) -> list[StoredRun]:
    """The runs of a reference, at least one."""
    names = run_names(runs_dir)
    if reference in names and reference != LATEST and (run := stored_runs.read(runs_dir / reference)):
        return [run]
    place = str(runs_dir)
    if span := _span(reference, names):
        first, last = span
        # An invalid range is reported without reading a run.
        runs = [] if first < 1 or last < first else _started(runs_dir, names, last)
        return _counted(reference, span, runs, place)
    if run := _at_path(reference):
        return [run]
    runs = index.read_all(runs_dir)[::-1]
    candidates = [ReferenceTarget(run, (run.id,), (run.name, *run.tags)) for run in runs]
    return [_named(reference, candidates, place)]


def _span(reference: str, names: Sequence[str]) -> tuple[int, float] | None:
    """The first and last position, from 1 for the newest, of a range or number; None for other references."""
    if reference == LATEST:
        return 1, 1
    if match := RANGE.fullmatch(reference):
        return int(match[1] or 1), int(match[2]) if match[2] else inf
    if not NUMBER.fullmatch(reference) or reference in names:
        return None
    number, begins = int(reference), any(name.startswith(reference) for name in names)
    return (number, number) if len(reference) <= SHORT or (not begins and number <= len(names)) else None


def _started(runs_dir: Path, names: Sequence[str], count: float) -> list[StoredRun]:
    """As `started`, at most `count`. For a few, reads only folders without a time in their name, and the newest."""
    known = set(names)

    def own(runs: Iterable[StoredRun | None]) -> list[StoredRun]:
        return [run for run in runs if run and run.part_of not in known]

    if count > FEW:
        return own(reversed(index.read_all(runs_dir)))[: None if count == inf else int(count)]
    times = {name: time_of(name) for name in names}
    found = own(stored_runs.read(runs_dir / name) for name, moment in times.items() if moment is None)
    dated = sorted(((moment, name) for name, moment in times.items() if moment), reverse=True)
    enough = len(found) + count
    for _, group in groupby(dated, key=itemgetter(0)):
        if len(found) >= enough:
            break
        found += own(stored_runs.read(runs_dir / name) for _, name in group)
    return sorted(found, key=order, reverse=True)[: int(count)]


def _counted(reference: str, span: tuple[int, float], items: Sequence[T], place: str) -> list[T]:
    first, last = span
    if first < 1 or last < first:
        raise BadInput(f"{show(reference)} is not a range of runs, allowed: for example 1:5, where 1 is the newest")
    if not items and reference == LATEST:
        raise BadInput(f"there are no runs in {place} yet")
    if first > len(items):
        raise BadInput(
            f"no run {show(reference)}, counting from the newest, of {counted(len(items), 'run')} in {place}"
        )
    return list(items[first - 1 : None if last == inf else int(last)])


def _named(reference: str, candidates: Sequence[ReferenceTarget[T]], place: str) -> T:
    """The newest candidate with that tag or name, or the only one whose id starts with the reference."""
    named = candidates if reference else ()  # a run may have no name
    exact = [candidate for candidate in named if reference in candidate.ids]
    labelled = [candidate for candidate in named if reference in candidate.labels]
    begun = [candidate for candidate in named if any(name.startswith(reference) for name in candidate.ids)]
    found = exact or labelled[:1] or begun
    if len(found) == 1:
        return found[0].item
    if found:
        more = f"\n  ... and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
        shown = "".join(f"\n  {candidate.ids[-1]}" for candidate in found[:MOST_SHOWN])
        what = "the id" if exact else "the beginning"
        raise BadInput(f"{show(reference)} is {what} of {len(found)} runs; which one?{shown}{more}")
    if Path(reference).suffix and os.path.isfile(reference):  # noqa: PTH113 - a name may be too long
        raise BadInput(f"{show(reference)} is a file, allowed: the folder of a run, its id, its name or a tag")
    if not candidates:
        raise BadInput(f"no run {show(reference)}: there are no runs in {place} yet")
    known = [LATEST, *(name for candidate in candidates for name in (*candidate.ids, *candidate.labels))]
    hint = nearest(Path(reference).name or reference, dict.fromkeys(known))
    raise BadInput(f"no run {show(reference)} in {place}{hint}")


def _at_path(reference: str) -> StoredRun | None:
    """The run whose folder is at a path; None for a name without a separator, or if there is no run."""
    separators = [separator for separator in (os.sep, os.altsep) if separator]
    if reference not in (".", "..") and not any(separator in reference for separator in separators):
        return None
    path = Path(reference)
    if not files.is_folder(path):
        return None
    run = stored_runs.read(path)
    if run is None:
        raise BadInput(f"no run {show(reference)}: this folder has no {STATUS}")
    return run
