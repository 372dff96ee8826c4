"""Selecting runs: by references, filters, order, and the best by a metric."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import inf
from pathlib import Path

from mnistexp.errors import BadInput, nearest, show
from mnistexp.runs import index
from mnistexp.runs.conditions import FIELDS, MISSING, Condition, malformed, value_of
from mnistexp.runs.files import is_folder
from mnistexp.runs.layout import STATUS
from mnistexp.runs.references import several
from mnistexp.runs.staging import time_of
from mnistexp.runs.stored_runs import StoredRun, run_names
from mnistexp.runs.summary import is_number
from mnistexp.runs.where import parse

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
) -> list[StoredRun]:
    """The runs of the references (see references.py), in their order and each once, or all runs, newest first.

    `where` keeps those that match (see where.py). `sort`: keys separated by commas, `-` before a key for descending
    order; runs that lack the key come last. `limit`: the maximum number of runs. Raises BadInput for invalid arguments,
    or a reference to no run or several; RunError if the folder can't be read.
    """
    condition = parse(where) if where is not None else None
    keys = _sort_keys(sort)
    if limit is not None and limit < 1:
        raise BadInput(f"--limit is {limit}, allowed: 1 or more")
    found = several(runs_dir, references) if references else index.read_all(runs_dir)[::-1]
    if found:
        _check_keys(condition, keys, found)
    if condition:
        found = [run for run in found if condition.matches(run)]
    for key, descending in reversed(keys):
        found = _sorted(found, key, descending=descending)
    return found[:limit]


def none_found(runs_dir: Path, where: str | None) -> str:
    """Why a selection is empty: the folder is missing, has no runs, or none matches."""
    if not is_folder(runs_dir):
        return f"there is no folder {runs_dir}; give the runs folder with --runs-dir"
    if where is None or not known_ids(runs_dir):
        return f"there are no runs in {runs_dir}"
    return f"no runs in {runs_dir} match {where}"


def best(runs: Sequence[StoredRun], metric: str, *, highest: bool | None = None) -> StoredRun:
    """The run with the best value of a metric, the first of several equal ones.

    `highest`: whether the largest value is the best; None decides by the metric's name. Raises BadInput if the name
    doesn't tell, or no run has the metric.
    """
    found = [(value, run) for run in runs if is_number(value := value_of(run, metric))]
    if not found:
        raise none_has(metric, runs)
    if highest is None:
        highest = highest_is_best(metric)
    # `max` and `min` return the first of equal values.
    return (max if highest else min)(found, key=lambda pair: pair[0])[1]


def none_has(metric: str, runs: Sequence[StoredRun]) -> BadInput:
    """The error for a metric that none of some runs has."""
    known = {key for run in runs for key, value in run.numbers.items() if is_number(value)}
    return BadInput(f"--metric: none of {len(runs)} runs has a number {show(metric)}{nearest(metric, known)}")


def highest_is_best(metric: str) -> bool:
    """Whether a higher value of a metric is better, from its name. Raises BadInput if the name doesn't tell."""
    words = set(re.split(r"[^a-z]+", metric.lower()))
    if not words & NEITHER:
        if words & LESS_IS_BETTER:
            return False
        if words & MORE_IS_BETTER:
            return True
    raise BadInput(f"--metric: give --max or --min, as the name {show(metric)} doesn't tell which is better")


def keys_of(where: str | None, sort: str | None) -> list[str]:
    """The keys used by a condition and an order, each once. Raises BadInput as `select` does."""
    compared = [part.key for part in parse(where).comparisons] if where is not None else []
    return list(dict.fromkeys((*compared, *(key for key, _ in _sort_keys(sort)))))


def known_ids(runs_dir: Path) -> list[str]:
    """The ids of all runs, newest first by name; reads files only of runs whose folder was renamed."""
    names = [name for name in run_names(runs_dir) if time_of(name) or (runs_dir / name / STATUS).exists()]
    return sorted(names, key=lambda name: (time_of(name) is not None, name), reverse=True)


def known_keys(runs: Iterable[StoredRun]) -> list[str]:
    """Every key for filters and orders: fields, the runs' metrics and settings, and all settings."""
    from mnistexp.config.catalogue import dotted_keys

    held = (key for run in runs for part in (run.numbers, run.settings) for key in part)
    return list(dict.fromkeys((*FIELDS, *dotted_keys(), *held)))


def _check_keys(condition: Condition | None, keys: Sequence[tuple[str, bool]], runs: Sequence[StoredRun]) -> None:
    """Raise BadInput for the first key that no run and no configuration has."""
    compared = [(part.key, part) for part in condition.comparisons] if condition else []
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
    """Each key, and whether its order is descending."""
    if sort is None:
        return []
    keys = [key.strip() for key in sort.split(",")]
    if not all(key.removeprefix("-") for key in keys):
        raise BadInput(f"--sort {show(sort)}: a key is missing, for example -test_accuracy, or command,-started")
    return [(key.removeprefix("-"), key.startswith("-")) for key in keys]


def _sorted(runs: Sequence[StoredRun], key: str, *, descending: bool) -> list[StoredRun]:
    """Numbers before text; runs that lack the key always come last."""
    values = [(value_of(run, key), run) for run in runs]
    held = [(value, run) for value, run in values if value is not MISSING and value is not None]
    lacking = [run for value, run in values if value is MISSING or value is None]
    held.sort(key=lambda pair: _rank(pair[0]), reverse=descending)
    return [*(run for _, run in held), *lacking]


def _rank(value: object) -> tuple[float, str]:
    if isinstance(value, datetime):
        return value.timestamp(), ""
    return (float(value), "") if isinstance(value, int | float) else (inf, str(value))
