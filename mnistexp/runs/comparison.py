"""Differences between runs: command, settings, environment, digits and results."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnistexp.errors import RunError
from mnistexp.runs.layout import ENVIRONMENT, PATCH
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.runs.summary import Value, flat

PARTS = ("run", "config", "environment", "data", "metrics")


@dataclass(frozen=True)
class Difference:
    """A key whose value differs between runs: a value for each run, None if the run lacks it."""

    part: str
    key: str
    values: tuple[Value, ...]


def compare(runs: Sequence[StoredRun]) -> list[Difference]:
    """The differences between runs, by part in the order of `PARTS`. Raises RunError if a file can't be read.

    `run`: command, name, status, tags, note. `config`: settings, of a `best` the chosen ones. `environment`: of
    environment.json, and a digest of the uncommitted changes. `data`: of data.json, the rows of each part as their
    number and a digest of them.
    """
    described: dict[str, Sequence[Mapping[str, Value]]] = {
        "run": [_about(run) for run in runs],
        "config": [run.settings_used for run in runs],
        "environment": [_environment(run) for run in runs],
        "data": [flat({key: _rows(value) for key, value in _without_version(run.data or {}).items()}) for run in runs],
        "metrics": [run.numbers for run in runs],
    }
    return [
        Difference(part, key, tuple(values.get(key) for values in described[part]))
        for part in PARTS
        for key in differing(described[part])
    ]


def differing(described: Sequence[Mapping[str, Value]]) -> list[str]:
    """The keys whose values differ, including keys that only some runs have; null is as good as missing."""
    keys = dict.fromkeys(key for values in described for key in values)
    # With its type, as True is not 1.
    return [key for key in keys if len({(type(values.get(key)) is bool, values.get(key)) for values in described}) > 1]


def _about(run: StoredRun) -> dict[str, Value]:
    if run.unread:
        raise RunError(f"the run {run.id} can't be compared: {run.unread[0]}")
    tags = ", ".join(run.tags)
    return {"command": run.command, "name": run.name, "status": run.status, "tags": tags, "note": run.note}


def _environment(run: StoredRun) -> dict[str, Value]:
    found = flat(_without_version(run.environment if run.has(ENVIRONMENT) else {}))
    if run.has(PATCH):
        found["uncommitted changes"] = hashlib.sha256(run.read_bytes(PATCH)).hexdigest()[:12]
    return found


def _rows(value: Any) -> Any:
    """A list of rows as their number and a digest; other values unchanged."""
    if not isinstance(value, list):
        return value
    if not value:
        return "0 rows"
    return f"{len(value)} rows, {hashlib.sha256(json.dumps(value).encode()).hexdigest()[:8]}"


def _without_version(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "schema_version"}
