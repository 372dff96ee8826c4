"""The learning curves of every training of a run, with the time of each epoch."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.layout import HISTORY, TIMINGS, of_repeats
from mnistexp.runs.results import History
from mnistexp.runs.stored_runs import read_history

__all__ = ["Curve", "read_curves"]


@dataclass(frozen=True)
class Curve:
    """One training of a run. `seconds`: wall time of each epoch, NaN where none was recorded."""

    repeat: int
    history: History
    seconds: tuple[float, ...]


def read_curves(folder: Path) -> list[Curve]:
    """The trainings of a run by repeat, from 0, not including the fits of a sweep.

    Empty for a run without trainings. Raises RunError if a file is damaged.
    """
    times = _read_times(folder / TIMINGS) if (folder / TIMINGS).exists() else {}
    found = []
    for repeat, path in of_repeats(folder, HISTORY).items():
        history = read_history(path)
        seconds = (times.get((repeat, epoch), math.nan) for epoch in range(1, history.epochs + 1))
        found.append(Curve(repeat, history, tuple(seconds)))
    return found


def _read_times(path: Path) -> dict[tuple[int, int], float]:
    """Seconds by repeat and epoch."""
    rows = csv.DictReader(files.read_text(path).splitlines())
    try:
        return {(int(row["repeat"]), int(row["epoch"])): float(row["seconds"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error!r}") from error
