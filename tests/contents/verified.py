"""`verify`, in its JSON and its lines: each comparison of a training whose files were changed with the unchanged run.

The unchanged run is what the training gives when it is repeated.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .claims import near
from .records import Record

EXIT_CODES = {"identical": 0, "within tolerance": 4, "differs": 5}


def document_faults(then: Record, now: Record, document: Mapping[str, Any], code: int) -> list[str]:
    """What `verify --json` tells wrongly of the changed run `then`, its exit code too."""
    rows = {row["what"]: row for row in document["compared"]}
    expected = dict(_expected(then, now))
    found = [] if list(rows) == list(expected) else [f"verify: compared are {list(rows)}, expected {list(expected)}"]
    for what in {*rows} & {*expected}:
        (identical, difference, said), row = expected[what], rows[what]
        told = row["difference"]
        if row["identical"] != identical or not (told is difference is None or near(told, difference)):
            found.append(f"verify: {what} is {row['identical']}, {told}; by the files {identical}, {difference}")
        if row["detail"] != said:
            found.append(f"verify: {what}: {row['detail']!r}; by the files {said!r}")
    furthest = max(difference or 0 for _, difference, _ in expected.values())
    verdict = "within tolerance" if furthest <= document["tolerance"] else "differs"
    verdict = "identical" if all(identical for identical, _, _ in expected.values()) else verdict
    told = document["verdict"], document["exit_code"], code
    if told != (verdict, EXIT_CODES[verdict], EXIT_CODES[verdict]):
        found.append(f"verify: verdict and exit codes are {told}; by the files {verdict}")
    if document["changed"] or (document["run"], document["command"]) != (then.path.name, then.command):
        found.append(f"verify: {document['run']}, {document['command']}, {document['changed']}")
    return found


def text_faults(document: Mapping[str, Any], text: str) -> list[str]:
    """Lines that `verify` prints otherwise than its JSON has them."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    expected = []
    for row in document["compared"]:
        far = "" if row["difference"] is None else f"{row['difference']:.2g}"
        told = (row["what"], "same" if row["identical"] else "differs", far, row["detail"])
        expected.append(" ".join(filter(None, told)))
    allowed = "" if document["verdict"] == "identical" else f" (tolerance {document['tolerance']:g})"
    expected.append(f"Verdict {document['verdict']}{allowed}")
    found = [f"verify: prints no {line!r}: {lines}" for line in expected if line not in lines]
    others = [line for line in lines if re.search(r"\b(same|differs)\b", line) and line not in expected]
    return found + [f"verify: prints {line!r}" for line in others]


def _expected(then: Record, now: Record) -> Iterator[tuple[str, tuple[bool, float | None, str]]]:
    """Of each comparison its name, whether both are identical, how far they differ, and the words."""
    repeats = len(now.histories)
    stored = then.metrics.get("repeats", {}).get("test_accuracies") or [then.metrics["test_accuracy"]]
    for repeat in range(repeats):
        before = f"training {repeat + 1}: " if repeats > 1 else ""
        far = {name: _far(old, new) for name, old, new in _columns(then.histories[repeat], now.histories[repeat])}
        curve = max(far, key=lambda name: far[name])
        same = not far[curve]
        yield f"{before}history.csv", (same, far[curve], "" if same else f"{curve} differs most")
        yield f"{before}weights", (True, None, "")
        yield f"{before}predictions", (True, 0.0, "")
        labels, p = now.tested[repeat]
        old, new = stored[repeat], float((p.argmax(1) == labels).mean())
        said = f"{new:.4f}" if old == new else f"{old:.4f} then, {new:.4f} now"
        yield f"{before}test accuracy", (old == new, abs(old - new) / max(old, new), said)


def _columns(then: pd.DataFrame, now: pd.DataFrame) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for name in now.columns.drop("epoch"):
        yield name, then[name].to_numpy(float), now[name].to_numpy(float)


def _far(then: np.ndarray, now: np.ndarray) -> float:
    return float(np.nanmax(np.abs(then - now)) / max(np.nanmax(np.abs(then)), np.nanmax(np.abs(now))))
