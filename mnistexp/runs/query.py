"""Which runs a person means: references, filters, an order.

References, all of which `select` takes:

    latest                     the newest run
    20261124T053712Z-...       an id, or the beginning of just one id
    runs/20261124T...          the path of a run's folder, here or elsewhere
    3                          the third newest; 1 is the newest
    1:5   3:   :5              a range of these, both ends included: the five newest

A number of up to three digits counts from the newest: ids begin with a year, which nobody abbreviates so far. A longer
one is the beginning of an id where any id begins so, and counts only otherwise; `2026:2026` always counts. A folder
that was renamed to the very number comes before all of this.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf
from pathlib import Path
from typing import TypeGuard

from mnistexp.errors import BadInput, RunError, nearest, show
from mnistexp.runs import index
from mnistexp.runs.conditions import FIELDS, MISSING, Condition, comparisons, malformed, value_of
from mnistexp.runs.index import IndexedRun
from mnistexp.runs.staging import time_of
from mnistexp.runs.status import STATUS
from mnistexp.runs.stored_runs import find, newest, run_names
from mnistexp.runs.where import parse

__all__ = ["best", "highest_is_best", "keys_of", "known_ids", "known_keys", "one", "select"]

NUMBER = re.compile(r"[0-9]{1,9}")
RANGE = re.compile(r"([0-9]{0,9}):([0-9]{0,9})")
SHORT = 3
# Up to so many newest runs are read by themselves; for more the index is the shorter way.
FEW = 50
MORE_IS_BETTER = {"accuracy", "accuracies", "score", "correct"}
LESS_IS_BETTER = {"loss", "error", "std", "seconds", "failed"}
NEITHER = {"epoch", "epochs"}


def select(
    runs_dir: Path,
    references: Sequence[str] = (),
    *,
    where: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
) -> list[IndexedRun]:
    """The runs that the references mean, in their order and each once, or all, newest first.

    `where` keeps those that match (see where.py). `sort`: keys, separated by commas, `-` before one for descending;
    runs that lack the key come last. `limit` cuts off what comes after so many. Raises BadInput for what can't be
    understood, or a reference that means no run or several; RunError where the folder can't be read.
    """
    condition = parse(where) if where is not None else None
    keys = _sort_keys(sort)
    if limit is not None and limit < 1:
        raise BadInput(f"--limit is {limit}, allowed: 1 or more")
    if references:
        found = list({run.path.absolute(): run for text in references for run in _resolve(runs_dir, text)}.values())
    else:
        found = index.read_all(runs_dir)[::-1]
    if found:
        _check_keys(condition, keys, found)
    if condition:
        found = [run for run in found if condition.matches(run)]
    for key, descending in reversed(keys):
        found = _sorted(found, key, descending=descending)
    return found[:limit]


def one(runs_dir: Path, reference: str) -> IndexedRun:
    """The run that a reference means. Raises BadInput where it means none or several, RunError as `select`."""
    found = _resolve(runs_dir, reference)
    if len(found) > 1:
        raise BadInput(f"{show(reference)} means {len(found)} runs, allowed: a reference to one")
    return found[0]


def best(runs: Sequence[IndexedRun], metric: str, *, highest: bool | None = None) -> IndexedRun:
    """The run with the best value of a number, the first of several with the same.

    `highest`: whether the best is the largest; None goes by the metric's name. Raises BadInput where the name doesn't
    say, or no run has the metric.
    """
    found = [(value, run) for run in runs if _is_number(value := value_of(run, metric))]
    if not found:
        known = {key for run in runs for key, value in run.metrics.items() if _is_number(value)}
        among = f"none of {len(runs)} runs" if runs else "no run"
        raise BadInput(f"--metric: {among} has a number {show(metric)}{nearest(metric, known)}")
    if highest is None:
        highest = highest_is_best(metric)
    # `max` and `min` take the first of equals.
    return (max if highest else min)(found, key=lambda pair: pair[0])[1]


def highest_is_best(metric: str) -> bool:
    """Whether more of a metric is better, from the words in its name. Raises BadInput where they don't say."""
    words = set(re.split(r"[^a-z]+", metric.lower()))
    if not words & NEITHER:
        if words & LESS_IS_BETTER:
            return False
        if words & MORE_IS_BETTER:
            return True
    raise BadInput(f"--metric: is more or less of {show(metric)} better? say --max or --min")


def keys_of(where: str | None, sort: str | None) -> list[str]:
    """The keys that a condition and an order ask for, each once. Raises BadInput as `select`."""
    compared = [part.key for part in comparisons(parse(where))] if where is not None else []
    return list(dict.fromkeys((*compared, *(key for key, _ in _sort_keys(sort)))))


def known_ids(runs_dir: Path) -> list[str]:
    """The ids of all runs, newest first by their names; reads no file of a run whose folder wasn't renamed."""
    names = [name for name in run_names(runs_dir) if time_of(name) or (runs_dir / name / STATUS).exists()]
    return sorted(names, key=lambda name: (time_of(name) is not None, name), reverse=True)


def known_keys(runs: Iterable[IndexedRun]) -> list[str]:
    """Every key that filters and orders take: fields, what the runs' metrics and settings hold, and all settings."""
    from mnistexp.problems import dotted_keys

    held = (key for run in runs for part in (run.metrics, run.config) for key in part)
    return list(dict.fromkeys((*FIELDS, *dotted_keys(), *held)))


def _resolve(runs_dir: Path, reference: str) -> list[IndexedRun]:
    """The runs, at least one, that a reference means."""
    if match := RANGE.fullmatch(reference):
        return _counted(runs_dir, reference, int(match[1] or 1), int(match[2]) if match[2] else None)
    if NUMBER.fullmatch(reference):
        names = run_names(runs_dir)
        begins = any(name.startswith(reference) for name in names)
        if reference not in names and (len(reference) <= SHORT or (not begins and int(reference) <= len(names))):
            return _counted(runs_dir, reference, int(reference), int(reference))
    run = index.read(find(runs_dir, reference).path)
    if run is None:
        raise RunError(f"the run {show(reference)} was removed while it was read")
    return [run]


def _counted(runs_dir: Path, reference: str, first: int, last: int | None) -> list[IndexedRun]:
    """The runs from the `first` newest to the `last`, both included, counted from 1; to the oldest for None."""
    if first < 1 or (last is not None and last < first):
        raise BadInput(f"{show(reference)} is no range of runs, allowed: such as 1:5, the newest being 1")
    if last is not None and last <= FEW:
        recent = (index.read(info.path) for info in newest(runs_dir, last))
        found = [run for run in recent if run]
    else:
        found = index.read_all(runs_dir)[::-1]
    if first > len(found):
        raise BadInput(f"no run {show(reference)}, counted from the newest: there are {len(found)} runs in {runs_dir}")
    return found[first - 1 : last]


def _check_keys(condition: Condition | None, keys: Sequence[tuple[str, bool]], runs: Sequence[IndexedRun]) -> None:
    """Raise BadInput for the first key that neither a run nor any configuration has."""
    compared = [(part.key, part) for part in comparisons(condition)] if condition else []
    for key, part in (*compared, *((key, None) for key, _ in keys)):
        if key in FIELDS or any(value_of(run, key) is not MISSING for run in runs):
            continue
        known = known_keys(runs)
        if key in known:
            continue
        message = f"unknown key {show(key)}{nearest(key, known)}"
        if part:
            malformed(part.text, part.at, message)
        raise BadInput(f"--sort: {message}")


def _sort_keys(sort: str | None) -> list[tuple[str, bool]]:
    """Each key, and whether from the largest down."""
    if sort is None:
        return []
    keys = [key.strip() for key in sort.split(",")]
    if not all(key.removeprefix("-") for key in keys):
        raise BadInput(f"--sort {show(sort)}: a key is missing, allowed: such as -test_accuracy, or command,-started")
    return [(key.removeprefix("-"), key.startswith("-")) for key in keys]


def _sorted(runs: Sequence[IndexedRun], key: str, *, descending: bool) -> list[IndexedRun]:
    """Numbers before text; runs that lack the key last in any case."""
    values = [(value_of(run, key), run) for run in runs]
    held = [(value, run) for value, run in values if value is not MISSING and value is not None]
    lacking = [run for value, run in values if value is MISSING or value is None]
    held.sort(key=lambda pair: _rank(pair[0]), reverse=descending)
    return [*(run for _, run in held), *lacking]


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rank(value: object) -> tuple[float, str]:
    if isinstance(value, datetime):
        return value.timestamp(), ""
    return (float(value), "") if isinstance(value, int | float) else (inf, str(value))
