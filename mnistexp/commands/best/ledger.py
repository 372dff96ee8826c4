"""How often the test digits were read in a runs folder, found from the run folders themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnistexp import data
from mnistexp.errors import MnistexpError, RunError
from mnistexp.runs import files, stored_runs
from mnistexp.runs.layout import CHECKPOINT, DATA, HISTORY, MODEL, REPEATS, Kind, is_sweep
from mnistexp.runs.stored_runs import RunInfo, read_config

__all__ = ["Ledger", "Reading", "read_ledger"]


@dataclass(frozen=True)
class Reading:
    """A run, and how many `times` it read the test digits; `watched`: after each epoch, for its curves."""

    run: str
    command: str
    times: int
    watched: bool


@dataclass(frozen=True)
class Ledger:
    """Every reading of the same test digits, oldest run first; `unreadable` runs may have read them too."""

    readings: tuple[Reading, ...]
    unreadable: int = 0

    @property
    def times(self) -> int:
        """How often all runs together read the test digits."""
        return sum(reading.times for reading in self.readings)

    @property
    def sentence(self) -> str:
        """How often they were read, and whether learning curves were validated on them; without `unreadable`."""
        watching = [reading for reading in self.readings if reading.watched]
        runs, often = len(self.readings), self.times
        said = f"The test digits were read {_often(often)} in this runs folder, by {runs} run{'s' * (runs != 1)}"
        if not watching:
            return f"{said}, each time by a finished network, so no learning curve was validated on them."
        times = sum(reading.times for reading in watching)
        return (
            f"{said}; {times} of these are the epochs of {len(watching)} training{'s' * (len(watching) != 1)} whose "
            "curves are validated on them. Choosing anything from such curves makes the test accuracy optimistic; this "
            "command did not use them."
        )

    def document(self) -> dict[str, Any]:
        """`times`, `runs` (run, command, times, watched each), `unreadable` and `sentence`."""
        return {
            "times": self.times,
            "runs": [vars(reading) for reading in self.readings],
            "unreadable": self.unreadable,
            "sentence": self.sentence,
        }


def _often(times: int) -> str:
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


def read_ledger(runs_dir: Path, digits: data.Digits, split: data.Split, now: Reading) -> Ledger:
    """The readings of the test digits of `split` by all runs in `runs_dir`, and by the current run, `now`.

    A training whose curves are validated on the test digits reads them in each epoch, even if it failed or was
    interrupted; one with its own validation part, or the final training of `best`, reads them once per finished
    repeat; an evaluation once. Sweeps validate on their own folds and never read them. Raises RunError.
    """
    found, unreadable = [], 0
    for info in stored_runs.list_runs(runs_dir):
        if info.id == now.run or not (info.path / DATA).exists():
            continue
        try:
            if _same_test_digits(info, digits, split) and (reading := _reading(info)):
                found.append(reading)
        except (MnistexpError, KeyError, TypeError, ValueError):
            unreadable += 1
    return Ledger((*found, now), unreadable)


def _same_test_digits(info: RunInfo, digits: data.Digits, split: data.Split) -> bool:
    about = files.read_json(info.path / DATA)
    if info.command == Kind.EVALUATE:  # of a whole source, perhaps, with the test digits among its digits
        return digits.match(about) and set(about["test"]) >= set(split.test.tolist())
    return digits.match(about) and sorted(about["test"]) == sorted(split.test.tolist())


def _reading(info: RunInfo) -> Reading | None:
    if is_sweep(info.command):
        return None
    if info.command == Kind.EVALUATE:
        return Reading(info.id, info.command, 1, False)
    config = read_config(info.path)
    watched = info.command == Kind.TRAIN and not config.training.validation_fraction
    if watched:
        times = sum(_epochs(folder) for folder in _repeats(info.path))
    else:
        times = sum((folder / MODEL).exists() for folder in _repeats(info.path))
    return Reading(info.id, info.command, times, watched) if times else None


def _repeats(folder: Path) -> list[Path]:
    """The folders of a training's repeats; the first is that of the run."""
    return [folder, *sorted((folder / REPEATS).glob("*"))]


def _epochs(folder: Path) -> int:
    """The epochs trained, from the curves or, if the training was killed before it wrote them, from its checkpoint."""
    if (folder / HISTORY).exists():
        history = stored_runs.read_history(folder / HISTORY)
        return int(np.isfinite(history.val_loss).sum())
    if not (folder / CHECKPOINT).exists():
        return 0
    try:
        return len(files.arrays(files.read_bytes(folder / CHECKPOINT))["rows"])
    except (ValueError, KeyError, TypeError, RunError):
        return 0
