"""`runs check` in all its formats: the values of its conditions, and the comparison with a baseline."""

import operator
import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from .claims import is_rounded, near
from .commands import value_of
from .paired import Own, compared
from .records import Record

HOLDS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq}
CONDITION = re.compile(r"([\w.]+)(>=|<=|>|<|=)([\w.+-]+)")
NUMBERS = r"([\d.]+)% against ([\d.]+)%"
UNEXPLAINED = re.compile(NUMBERS + r", p = ([\d.e-]+); a drop of ([\d.]+) points or more would have been noticed")


def document_faults(
    record: Record, baseline: Record | None, document: Mapping[str, Any], code: int, tolerance: float = 0.0
) -> list[str]:
    """What `runs check --json` tells wrongly of a run, its exit code too."""
    place, rows = "runs check --json", document["requirements"]
    own = compared([baseline, record])[0] if baseline else None
    found = [fault for row in rows for fault in _row_faults(record, row, baseline, own, tolerance)]
    names = [document["run"], document["baseline"]]
    if names != [record.path.name, baseline.path.name if baseline else None]:
        found.append(f"{place}: {names} are not the runs")
    if document["met"] != all(row["met"] for row in rows) or code != (0 if document["met"] else 6):
        found.append(f"{place}: met is {document['met']}, with exit code {code}: {[row['met'] for row in rows]}")
    drop = document["smallest_drop"]
    if drop is not None and not (own and near(drop, own["smallest_drop"])):
        found.append(f"{place}: smallest_drop is {drop}, the predictions have {own and own['smallest_drop']}")
    return found


def _row_faults(
    record: Record, row: Mapping[str, Any], baseline: Record | None, own: Own | None, tolerance: float
) -> list[str]:
    place = f"runs check: {row['text']}"
    if condition := CONDITION.fullmatch(row["text"]):
        key, holds, bound = condition.groups()
        value = value_of(record, key)
        assert value is not None
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
        both = [value_of(run, "test_accuracy") or 0 for run in (record, baseline)]
        told, allowed = re.fullmatch(NUMBERS, row["found"]), re.search(r"([\d.]+) points", row["text"])
        if not told or not allowed:
            return [f"{place}: no comparison in {row['found']!r}"]
        met = both[1] - both[0] <= tolerance + 1e-9
        numbers = [*zip((*told.groups(), allowed[1]), (*both, tolerance), (100, 100, 100), strict=True)]
    found = [] if row["met"] == met else [f"{place}: met is {row['met']}, by the files {met}"]
    return found + [f"{place}: {told} in {row['found']!r} is {scale * value}, by the files"
                    for told, value, scale in numbers if not is_rounded(told, value, scale)]  # fmt: skip


def text_faults(document: Mapping[str, Any], text: str) -> list[str]:
    """Lines that `runs check` prints otherwise than its JSON has them."""
    lines = [f"{'met' if row['met'] else 'NOT MET'}  {row['text']}  ({row['found']})"
             for row in document["requirements"]]  # fmt: skip
    printed = text.splitlines()
    return [] if printed == lines else [f"runs check: prints {printed}, --json has {lines}"]


def markdown_faults(document: Mapping[str, Any], text: str) -> list[str]:
    """What `runs check --format md` has otherwise than its JSON."""
    answer = f"**{document['run']}**: {'' if document['met'] else 'not '}all requirements are met"
    heads = [answer, "", "| requirement | met | found |", "|---|---|---|"]
    rows = [f"| {row['text']} | {'yes' if row['met'] else '**no**'} | {row['found']} |"
            for row in document["requirements"]]  # fmt: skip
    printed = re.sub(r"\\([^\w\s]|_)", r"\1", text).splitlines()
    return [] if printed == heads + rows else [f"runs check --format md: {printed}, --json has {heads + rows}"]


def junit_faults(document: Mapping[str, Any], text: str) -> list[str]:
    """What `runs check --format junit` has otherwise than its JSON, as a CI server reads it."""
    suite, rows = ElementTree.fromstring(text), document["requirements"]
    cases = [(one.get("classname"), one.get("name"), one.find("failure"), one.find("system-out")) for one in suite]
    told = [[run, name, failure is None, (said.text if said is not None else "") if failure is None
             else failure.get("message")] for run, name, failure, said in cases]  # fmt: skip
    own = [[document["run"], row["text"], row["met"], row["found"]] for row in rows]
    failed = sum(not row["met"] for row in rows)
    heads = [f"mnistexp runs check {document['run']}", str(len(rows)), str(failed)]
    found = [] if told == own else [f"runs check --format junit: {told}, --json has {own}"]
    if [suite.get(key) for key in ("name", "tests", "failures")] != heads:
        found.append(f"runs check --format junit: {suite.attrib}, --json has {heads}")
    return found


FORMATS = {"text": text_faults, "md": markdown_faults, "junit": junit_faults}
