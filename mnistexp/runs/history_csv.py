"""Learning curves as CSV, without rounding.

Columns `epoch,loss,accuracy,val_loss,val_accuracy`; epochs count from 1. Numbers are the shortest text that reads back
as the same float, or `nan` and `inf`; a column that was not measured is empty. Lines end with a line feed.
"""

import csv
import math
from dataclasses import replace
from pathlib import Path

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.layout import HISTORY, TIMINGS, of_repeats
from mnistexp.runs.results import CURVES, History

HEADER = ",".join(("epoch", *CURVES))


def history_to_csv(history: History) -> str:
    """The curves as text; equal numbers give equal bytes."""
    columns = [[repr(float(value)) for value in getattr(history, name)] or [""] * history.epochs for name in CURVES]
    rows = [",".join((str(epoch), *cells)) for epoch, cells in enumerate(zip(*columns, strict=True), start=1)]
    return "\n".join((HEADER, *rows)) + "\n"


def history_from_csv(text: str, source: str) -> History:
    """The curves from text, the inverse of `history_to_csv`. Raises RunError naming `source` and the bad line."""
    header, *rows = text.split("\n")
    if header != HEADER:
        raise RunError(f"{source} is damaged: its first line is not {HEADER}")
    if rows.pop() if rows else True:
        raise RunError(f"{source} is damaged: its last line is cut off")
    columns: dict[str, list[float]] = {name: [] for name in CURVES}
    for epoch, row in enumerate(rows, start=1):
        number, *cells = row.split(",")
        if number != str(epoch) or len(cells) != len(CURVES):
            raise RunError(f"{source} is damaged: line {epoch + 1} is not epoch {epoch} with {len(CURVES)} numbers")
        try:
            for name, cell in zip(CURVES, cells, strict=True):
                columns[name] += [float(cell)] if cell else []
        except ValueError as error:
            raise RunError(f"{source} is damaged: line {epoch + 1}: {error}") from error
    for name, values in columns.items():
        if len(values) not in (0, len(rows)):
            raise RunError(f"{source} is damaged: {name} is missing for some epochs")
    return History(*map(tuple, columns.values()))


def read_histories(folder: Path) -> tuple[History, ...]:
    """The curves of each training of a run, by repeat, with the times of `timings.csv`.

    Empty for a run without trainings. Raises RunError if a file is damaged.
    """
    times: dict[tuple[int, int], float] = {}
    if (path := folder / TIMINGS).exists():
        rows = csv.DictReader(files.read_text(path).splitlines())
        with files.damage_named(path):
            times = {(int(row["repeat"]), int(row["epoch"])): float(row["seconds"]) for row in rows}
    found = []
    for repeat, path in of_repeats(folder, HISTORY).items():
        history = history_from_csv(files.read_text(path), str(path))
        seconds = (times.get((repeat, epoch), math.nan) for epoch in range(1, history.epochs + 1))
        found.append(replace(history, seconds=tuple(seconds)))
    return tuple(found)
