"""Numbers of runs for other programs: the JSON of `runs list`, `show` and `best`, `runs export`, and `watch --once`."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .claims import is_rounded, near
from .commands import CURVES, score_of, value_of
from .differences import parts_of
from .records import Record, leaves


def numbers_of(record: Record) -> dict[str, Any]:
    """The numbers and short texts of its `metrics.json`, by dotted key."""
    return {key: value for key, value in parts_of(record)["metrics"].items() if value is not None}


def run_faults(record: Record, document: Mapping[str, Any]) -> list[str]:
    """What the JSON of a run tells wrongly, in a list, alone or as the best; alone with its curves."""
    curves = [{field: history[field].tolist() if field in history else [] for field in CURVES.values()}
              for history in record.histories]  # fmt: skip
    status = {key: record.json("status.json")[key] for key in ("command", "status", "seconds")}
    own = {"id": record.path.name, **status, "config": leaves(record.config), "metrics": numbers_of(record)}
    own |= {"curves": curves} if "curves" in document else {}
    return [f"runs --json: {key} of {record.path.name} is {document[key]}, in its files {value}"
            for key, value in own.items() if not _same(document[key], value)]  # fmt: skip


def _same(told: Any, own: Any) -> bool:
    """Equal, NaN and null too: a value that was not measured."""
    if isinstance(own, list):
        return isinstance(told, list) and len(told) == len(own) and all(map(_same, told, own))
    if isinstance(own, dict):
        return isinstance(told, dict) and told.keys() == own.keys() and all(_same(told[key], own[key]) for key in own)
    return bool(told is None if isinstance(own, float) and np.isnan(own) else told == own)


def export_faults(records: Sequence[Record], rows: Sequence[Mapping[str, str]]) -> list[str]:
    """What the rows of an exported table tell wrongly: numbers in full, settings that differ between the runs."""
    settings = [leaves(record.config) for record in records]
    keys = {key for one in settings for key in one if len({str(other.get(key)) for other in settings}) > 1}
    found = [] if len(rows) == len(records) else [f"runs export: {len(rows)} rows of {len(records)} runs"]
    for record, config, row in zip(records, settings, rows, strict=False):
        own = {"id": record.path.name, "seconds": record.json("status.json")["seconds"]}
        own |= {f"config.{key}": config.get(key) for key in keys}
        own |= {f"metrics.{key}": value for key, value in numbers_of(record).items()}
        told = {
            key: cell for key, cell in row.items() if key in own or (key.startswith(("config.", "metrics.")) and cell)
        }
        different = [key for key in sorted(own.keys() | told.keys()) if _cell(told.get(key)) != _cell(own.get(key))]
        found += [f"runs export: {key} of {record.path.name} is {told.get(key)!r}, in its files {own.get(key)!r}"
                  for key in different]  # fmt: skip
    return found


def _cell(value: Any) -> Any:
    """A cell as a value: a number, or text without the spaces and signs in which its forms differ."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    try:
        return float(value)
    except (TypeError, ValueError):
        return re.sub(r"[\s'\"]", "", str(value))


def rows_of(text: str, form: str) -> list[dict[str, str]]:
    """The rows of an exported table, by the heads of their columns."""
    if form == "csv":
        return [*csv.DictReader(text.splitlines())]
    heads, _, *rows = (
        [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
    )
    return [dict(zip(heads, row, strict=True)) for row in rows]


def best_faults(records: Sequence[Record], metric: str, document: Mapping[str, Any], text: str) -> list[str]:
    """What `runs best` tells wrongly: another run than the one with the best value, or another value."""
    found = {record.path.name: value for record in records if (value := value_of(record, metric)) is not None}
    best, name = (min if "loss" in metric else max)(found.values()), document["id"]
    place = f"runs best --metric {metric}"
    wrong = [] if text.split() == [name] else [f"{place}: prints {text!r}, --json has {name}"]
    if document["metric"] != metric or not near(document["value"], found[name]) or not near(found[name], best):
        wrong.append(f"{place}: {name} with {document['value']}; it has {found[name]}, the best {best}")
    return wrong + run_faults(next(record for record in records if record.path.name == name), document)


def watched_faults(records: Sequence[Record], document: Mapping[str, Any], text: str) -> list[str]:
    """Results that `watch --once` tells wrongly of finished runs."""
    own, lines = {record.path.name: dict(_result(record)) for record in records}, text.splitlines()
    results = {run["id"]: run["result"] or {} for run in document["ended"] if run["id"] in own}
    found = [f"watch --json: {name} has {results.get(name)}, by its files {result}" for name, result in own.items()
             if results.get(name, {}).keys() != result.keys()
             or not all(near(results[name][key], value) for key, value in result.items())]  # fmt: skip
    for name, result in own.items():
        told = next((line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")), "")
        numbers = [re.fullmatch(rf"{key.replace('_', ' ')} (\d+\.\d%)", part)
                   for key, part in zip(result, told.split(", ")[1:], strict=False)]  # fmt: skip
        if told.count(", ") != len(result) or not all(
            number and is_rounded(number[1], value, 100)
            for number, value in zip(numbers, result.values(), strict=True)):  # fmt: skip
            found.append(f"watch: {name} is {told!r}, by its files {result}")
    return found


def _result(record: Record) -> Iterator[tuple[str, float]]:
    if record.command == "evaluate":
        counts = np.array(record.metrics["confusion_matrix"])
        yield "accuracy", float(counts.trace() / counts.sum())
    elif (score := score_of(record)) is not None:
        repeated = "mean_" if len(record.histories) > 1 else ""
        yield "best_score" if record.command.startswith("sweep") else f"{repeated}test_accuracy", score
