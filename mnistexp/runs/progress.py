"""The progress of a training, written to its run folder for other processes.

The file is replaced atomically, but not flushed to the disk, which would slow down the training; nothing depends on it.
It is removed when the run ends, and stays if the process dies.
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.layout import PROGRESS
from mnistexp.runs.results import CURVES

MOST_POINTS = 200
RECENT = 10

Column = tuple[float | None, ...]


@dataclass(frozen=True)
class Progress:
    """A running training: `epoch` of `epochs` is done, of the repeat numbered `repeat` from 0.

    `at`: the epochs, from 1, of the numbers in `curves`, at most 200; the last is `epoch`. `curves`: a column as long
    as `at` for each name in `CURVES`, None where not measured or not finite. `epoch_seconds`: median wall time of the
    last epochs; None after the first, which takes longer. `age`: seconds since it was written.
    """

    repeat: int
    repeats: int
    epoch: int
    epochs: int
    epoch_seconds: float | None
    at: tuple[int, ...]
    curves: Mapping[str, Column]
    age: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the last epochs, for all repeats; None before the second epoch. Ignores early stopping."""
        if self.epoch_seconds is None:
            return None
        total, done = self.repeats * self.epochs, self.repeat * self.epochs + self.epoch
        return max(0.0, (total - done) * self.epoch_seconds - self.age)


def leave_progress(
    folder: Path, rows: Sequence[Sequence[float]], seconds: Sequence[float], *, repeat: int, repeats: int, epochs: int
) -> None:
    """Write the progress. `rows`: loss, accuracy, val_loss and val_accuracy of each epoch so far, at least one.

    Never raises: if the folder is missing or the disk full, writing the run's own files reports it.
    """
    step = math.ceil(len(rows) / MOST_POINTS)
    at = range(len(rows) % step or step, len(rows) + 1, step)
    document = {
        "schema_version": 1,
        "repeat": repeat,
        "repeats": repeats,
        "epoch": len(rows),
        "epochs": epochs,
        "epoch_seconds": median(seconds[1:][-RECENT:]) if len(seconds) > 1 else None,
        "at": list(at),
        "curves": {name: [rows[epoch - 1][column] for epoch in at] for column, name in enumerate(CURVES)},
    }
    temporary = folder / f"{files.TEMPORARY}progress.json"
    with suppress(OSError):
        temporary.write_text(json.dumps(files.plain(document)), encoding="utf-8")
        temporary.replace(folder / PROGRESS)


def read_progress(folder: Path, now: float) -> Progress | None:
    """The last written progress, at the time `now` in seconds since 1970; None if missing or unreadable."""
    path = folder / PROGRESS
    try:
        age = now - path.stat().st_mtime
        document = files.read_json(path)
        curves = {name: _column(document["curves"][name]) for name in CURVES}
        numbers = {name: int(document[name]) for name in ("repeat", "repeats", "epoch", "epochs")}
        (pace,), at = _column([document["epoch_seconds"]]), tuple(map(int, document["at"]))
    except (OSError, RunError, KeyError, TypeError, ValueError):
        return None
    return Progress(**numbers, epoch_seconds=pace, at=at, curves=curves, age=max(0.0, age))


def _column(cells: Sequence[float | None]) -> Column:
    return tuple(None if cell is None else float(cell) for cell in cells)
