"""`runs check`, on a terminal and as JSON: the values of its conditions, and the comparison with a baseline."""

import operator
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from .claims import is_rounded, near
from .commands import score_of
from .paired import Own, compared
from .records import Record, leaves

HOLDS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq}
CONDITION = re.compile(r"([\w.]+)(>=|<=|>|<|=)([\w.+-]+)")
NUMBERS = r"([\d.]+)% against ([\d.]+)%"
UNEXPLAINED = re.compile(NUMBERS + r", p = ([\d.e-]+); a drop of ([\d.]+) points or more would have been noticed")


def value_of(record: Record, key: str) -> float:
    """A number of a run: accuracy and lowest loss over all its trainings, by their files."""
    if key == "test_accuracy":
        return float(score_of(record) or 0)
    if key == "min_val_loss":
        return float(np.nanmin(record.mean("val_loss")))
    return float({**leaves(record.config), **leaves(record.metrics)}[key])


def document_faults(record: Record, baseline: Record | None, document: Mapping[str, Any], code: int) -> list[str]:
    """What `runs check --json` tells wrongly of a run, its exit code too."""
    place, rows = "runs check --json", document["requirements"]
    own = compared([baseline, record])[0] if baseline else None
    found = [fault for row in rows for fault in _row_faults(record, row, baseline, own)]
    names = [document["run"], document["baseline"]]
    if names != [record.path.name, baseline.path.name if baseline else None]:
        found.append(f"{place}: {names} are not the runs")
    if document["met"] != all(row["met"] for row in rows) or code != (0 if document["met"] else 6):
        found.append(f"{place}: met is {document['met']}, with exit code {code}: {[row['met'] for row in rows]}")
    drop = document["smallest_drop"]
    if drop is not None and not (own and near(drop, own["smallest_drop"])):
        found.append(f"{place}: smallest_drop is {drop}, the predictions have {own and own['smallest_drop']}")
    return found


def _row_faults(record: Record, row: Mapping[str, Any], baseline: Record | None, own: Own | None) -> list[str]:
    place = f"runs check: {row['text']}"
    if condition := CONDITION.fullmatch(row["text"]):
        key, holds, bound = condition.groups()
        value = value_of(record, key)
        met, own_text = bool(HOLDS[holds](value, float(bound))), f"{key} is {value:.6g}"
        numbers = []
        if row["found"] != own_text:
            return [f"{place}: found is {row['found']!r}, by the files {own_text!r}"]
    elif unexplained := UNEXPLAINED.fullmatch(row["found"]):
        assert own
        met = own["verdict"] != "worse"
        values = (own["second_accuracy"], own["first_accuracy"], own["adjusted_p_value"], own["smallest_drop"])
        numbers = [*zip(unexplained.groups(), values, (100, 100, 1, 100), strict=True)]
    else:
        assert baseline
        both = [value_of(run, "test_accuracy") for run in (record, baseline)]
        told, allowed = re.fullmatch(NUMBERS, row["found"]), re.search(r"[\d.]+", row["text"])
        assert told
        assert allowed
        met = 100 * (both[1] - both[0]) <= float(allowed[0]) + 1e-9
        numbers = [*zip(told.groups(), both, (100, 100), strict=True)]
    found = [] if row["met"] == met else [f"{place}: met is {row['met']}, by the files {met}"]
    return found + [f"{place}: {told} in {row['found']!r} is {scale * value}, by the files"
                    for told, value, scale in numbers if not is_rounded(told, value, scale)]  # fmt: skip


def text_faults(document: Mapping[str, Any], text: str) -> list[str]:
    """Lines that `runs check` prints otherwise than its JSON has them."""
    lines = [f"{'met' if row['met'] else 'NOT MET'}  {row['text']}  ({row['found']})"
             for row in document["requirements"]]  # fmt: skip
    printed = text.splitlines()
    return [] if printed == lines else [f"runs check: prints {printed}, --json has {lines}"]
