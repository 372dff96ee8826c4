"""Learning curves as CSV, without rounding.

Columns `epoch,loss,accuracy,val_loss,val_accuracy`; epochs count from 1. Numbers are the shortest text that reads back
as the same float, or `nan` and `inf`; a column that was not measured is empty. Lines end with a line feed.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.layout import HISTORY, TIMINGS, of_repeats
from mnistexp.runs.results import CURVES, History

HEADER = ",".join(("epoch", *CURVES))


def history_to_csv(history: History) -> str:
    """The curves as text; equal numbers give equal bytes."""
    columns = [_cells(getattr(history, column), history.epochs) for column in CURVES]
    rows = [",".join((str(epoch), *cells)) for epoch, cells in enumerate(zip(*columns, strict=True), start=1)]
    return "\n".join((HEADER, *rows)) + "\n"


def _cells(values: Sequence[float], epochs: int) -> list[str]:
    return [repr(float(value)) for value in values] if values else [""] * epochs


def history_from_csv(text: str, source: str) -> History:
    """The curves from text, the inverse of `history_to_csv`. Raises RunError naming `source` and the bad line."""
    header, *rows = text.split("\n")
    if header != HEADER:
        raise RunError(f"{source} is damaged: its first line is not {HEADER}")
    if rows.pop() if rows else True:
        raise RunError(f"{source} is damaged: its last line is cut off")
    table = []
    for epoch, row in enumerate(rows, start=1):
        number, *cells = row.split(",")
        try:
            values = [float(cell) if cell else None for cell in cells]
        except ValueError as error:
            raise RunError(f"{source} is damaged: line {epoch + 1}: {error}") from error
        if number != str(epoch) or len(values) != len(CURVES):
            raise RunError(f"{source} is damaged: line {epoch + 1} is not epoch {epoch} with {len(CURVES)} numbers")
        table.append(values)
    return History(*(_column([row[index] for row in table], name, source) for index, name in enumerate(CURVES)))


def _column(cells: Sequence[float | None], name: str, source: str) -> tuple[float, ...]:
    values = tuple(cell for cell in cells if cell is not None)
    if len(values) not in (0, len(cells)):
        raise RunError(f"{source} is damaged: {name} is missing for some epochs")
    return values


def read_histories(folder: Path) -> tuple[History, ...]:
    """The curves of each training of a run, by repeat, with the times of `timings.csv`.

    Empty for a run without trainings. Raises RunError if a file is damaged.
    """
    times = _read_times(folder / TIMINGS) if (folder / TIMINGS).exists() else {}
    found = []
    for repeat, path in of_repeats(folder, HISTORY).items():
        history = history_from_csv(files.read_text(path), str(path))
        seconds = (times.get((repeat, epoch), math.nan) for epoch in range(1, history.epochs + 1))
        found.append(replace(history, seconds=tuple(seconds)))
    return tuple(found)


def _read_times(path: Path) -> dict[tuple[int, int], float]:
    """Seconds by repeat and epoch."""
    rows = csv.DictReader(files.read_text(path).splitlines())
    try:
        return {(int(row["repeat"]), int(row["epoch"])): float(row["seconds"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error!r}") from error
