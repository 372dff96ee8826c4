"""The tables of `runs compare`: what differs between runs, and the ends of their losses, from the runs' own files."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import yaml

from .claims import four_digits
from .records import Record, leaves

LONGEST = 100
"""Letters of a text of `metrics.json`; a longer one is a sentence."""
Parts = Mapping[str, Mapping[str, Any]]


def parts_of(record: Record) -> Parts:
    """What may differ, by part and key; lists as their JSON, lists of rows as their number and a digest."""
    status, marks = record.json("status.json"), record.json("annotations.json") or {}
    environment, patch = record.json("environment.json") or {}, record.path / "code.patch"
    changes = {"uncommitted changes": sha256(patch.read_bytes()).hexdigest()[:12]} if patch.exists() else {}
    rows = {key: _rows(value) for key, value in (record.json("data.json") or {}).items()}
    metrics = {key: value for key, value in _flat(record.metrics).items() if not _is_prose(key, value)}
    about = {key: status.get(key) or "" for key in ("command", "name", "status")}
    parts = {
        "run": about | {"tags": ", ".join(marks.get("tags", ())), "note": marks.get("note", "")},
        "config": settings_of(record), "environment": _flat(environment) | changes, "data": _flat(rows),
        "metrics": metrics,
    }  # fmt: skip
    return {part: {key: value for key, value in own.items() if key != "schema_version"} for part, own in parts.items()}


def settings_of(record: Record) -> dict[str, Any]:
    """Its settings by dotted key; of a `best` with the network, optimizer and training that it chose."""
    final = record.path / "final.yaml"
    if not final.exists():
        return _flat(record.config)
    chosen = yaml.safe_load(final.read_text("utf-8"))
    return _flat(record.config | {section: chosen[section] for section in ("model", "optimizer", "training")})


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    return {key: json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
            for key, value in leaves(document).items() if key}  # fmt: skip


def _rows(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return f"{len(value)} rows, {sha256(json.dumps(value).encode()).hexdigest()[:8]}" if value else "0 rows"


def _is_prose(key: str, value: Any) -> bool:
    return isinstance(value, str) and (len(value) > LONGEST or value[:1] in ("[", "{") or key.endswith("sentence"))


def different(records: Sequence[Record]) -> dict[str, dict[str, list[Any]]]:
    """The values of each run, by part and key, where they differ; None where a run has none."""
    own = [parts_of(record) for record in records]
    found: dict[str, dict[str, list[Any]]] = {}
    for part in own[0]:
        keys = dict.fromkeys(key for parts in own for key in parts[part])
        rows = {key: [parts[part].get(key) for parts in own] for key in keys}
        found[part] = {key: row for key, row in rows.items() if any(value != row[0] for value in row)}
    return found


def document_faults(records: Sequence[Record], told: Parts) -> list[str]:
    """Differences in the JSON that the files don't have, and that it lacks."""
    own = different(records)
    return [
        f"runs compare --json: {part} {key} is {told.get(part, {}).get(key)}, the files have {own[part].get(key)}"
        for part in own
        for key in sorted(own[part].keys() | told.get(part, {}).keys())
        if list(map(str, told.get(part, {}).get(key, ()))) != list(map(str, own[part].get(key, ())))
    ]


def text_faults(records: Sequence[Record], text: str) -> list[str]:
    """Cells of the tables that the files don't have, and rows that are missing."""
    found, tables = [], dict(_tables(text, len(records)))
    for part, rows in different(records).items():
        cells = tables.pop(part, {})
        for key in sorted(rows.keys() | cells.keys()):
            own, printed = [_forms(value) for value in rows.get(key, ())], cells.get(key, [])
            right = len(own) == len(printed) and all(cell in forms for cell, forms in zip(printed, own, strict=True))
            if not right or len({*printed}) < 2:
                found.append(f"runs compare: {part} {key} is {printed}, the files have {rows.get(key)}")
    return found + list(_ends(records, text)) + [f"runs compare: an unknown table of {part}" for part in tables]


def _tables(text: str, count: int) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Each part with its rows: a heading of the part and the numbers of the runs, with the cells below these."""
    numbers = " +".join(str(number) for number in range(1, count + 1))
    for heading, rows in re.findall(rf"^(\w+ +{numbers})\n((?:.+(?:\n|\Z))*)", text, re.M):
        starts = [found.start() for found in re.finditer(r"\S+", heading)]
        cells = ([row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
                 for row in rows.splitlines())  # fmt: skip
        yield heading.split()[0], {key: values for key, *values in cells}


def _forms(value: Any) -> set[str]:
    """How a value may be printed: in full, and with four digits where it is a number with a fraction."""
    if value is None or isinstance(value, bool):
        return {{None: "", True: "true", False: "false"}[value]}
    return {str(value), *four_digits(value)} if isinstance(value, float) else {str(value)}


def _ends(records: Sequence[Record], text: str) -> Iterator[str]:
    """What is wrong with first, last, lowest and highest loss of each run, the validation loss if it has one."""
    table = text.partition("loss over the epochs")[2].splitlines()[1:]
    printed = {row.split()[0]: row.split()[-4:] for row in table if row.strip()}
    for number, record in enumerate(records, start=1):
        means = (record.mean(field) for field in ("val_loss", "loss"))
        mean = next((mean[np.isfinite(mean)] for mean in means if np.isfinite(mean).any()), np.zeros(0))
        own = [mean[0], mean[-1], mean.min(), mean.max()] if len(mean) else []
        cells = printed.get(str(number), [])
        if len(cells) != len(own) or not all(cell in four_digits(end) for cell, end in zip(cells, own, strict=True)):
            yield f"runs compare: the loss of {record.path.name} is {cells}, in history.csv {own}"
