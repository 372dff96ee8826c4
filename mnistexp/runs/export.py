"""Tables of runs for other programs: CSV, JSON and Markdown.

Columns: those of a listing, tags and note, `config.<key>` for each setting that differs between the runs, and
`metrics.<key>` for each number and short text in their metrics.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mnistexp.config.shown import exact
from mnistexp.runs import files
from mnistexp.runs.comparison import differing
from mnistexp.runs.status import iso
from mnistexp.runs.stored_runs import RECORD, StoredRun
from mnistexp.runs.summary import Value, nested

# Characters that start a formula in spreadsheets, including full-width forms.
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def runs_document(runs: Sequence[StoredRun]) -> dict[str, Any]:
    """`runs`, in the order given, each with the fields of a listing, `tags`, `note`, `config` and `metrics`."""
    keys = differing([run.settings for run in runs])
    return {"runs": [listed(run) | _added(run, keys) for run in runs]}


def runs_csv(runs: Sequence[StoredRun]) -> str:
    """A header and a line for each run. Text that a spreadsheet would evaluate as a formula gets a `'` in front."""
    return files.csv_text([_cell(value) for value in row] for row in _table(runs))


def runs_markdown(runs: Sequence[StoredRun]) -> str:
    """A table in Markdown, a line for each run."""
    texts = (["" if value is None else exact(value) for value in row] for row in _table(runs))
    header, *rows = ([escaped(text) for text in row] for row in texts)
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def listed(run: StoredRun) -> dict[str, Any]:
    """The fields of a listing, times as ISO text."""
    found = {key: getattr(run, key) for key in RECORD}
    return {key: iso(value) if isinstance(value, datetime) else value for key, value in found.items()}


def _added(run: StoredRun, keys: Sequence[str]) -> dict[str, Any]:
    config = {key: run.settings[key] for key in keys if key in run.settings}
    about = {"part_of": run.part_of, "tags": list(run.tags), "note": run.note}
    return {**about, "config": nested(config), "metrics": dict(run.numbers)}


def _table(runs: Sequence[StoredRun]) -> list[list[Value]]:
    """The header, then a row for each run; None for missing values."""
    config = differing([run.settings for run in runs])
    metrics = list(dict.fromkeys(key for run in runs for key in run.numbers))
    names = (f"{part}.{key}" for part, keys in (("config", config), ("metrics", metrics)) for key in keys)
    table: list[list[Value]] = [[*RECORD, "tags", "note", *names]]
    for run in runs:
        settings, measured = (run.settings.get(key) for key in config), (run.numbers.get(key) for key in metrics)
        table.append([*listed(run).values(), " ".join(run.tags), run.note, *settings, *measured])
    return table


def _cell(value: Value) -> Value:
    if isinstance(value, str):
        return f"'{value}" if value.lstrip().startswith(FORMULA) else value
    return exact(value) if isinstance(value, bool) else value


def escaped(text: str) -> str:
    """Text escaped for Markdown, on one line; at the start of a paragraph it may still begin a list or a heading."""
    return re.sub(r"([\\`*_{}\[\]<>|~&])", r"\\\1", " ".join(text.split()))
