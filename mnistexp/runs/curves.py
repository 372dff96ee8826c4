"""The learning curves of every training of a run, with the time of each epoch."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.results import History
from mnistexp.runs.stored_runs import HISTORY, read_history

__all__ = ["Curve", "read_curves"]

TIMINGS = "timings.csv"


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
    repeats = [path for path in (folder / "repeats").glob(f"*/{HISTORY}") if path.parent.name.isdecimal()]
    paths = {0: folder / HISTORY} | {int(path.parent.name): path for path in repeats}
    found = []
    for repeat, path in sorted(paths.items()):
        if path.exists():
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
