"""How often the test digits were read in a runs folder, found from the run folders themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnistexp.config.shown import counted
from mnistexp.data import Dataset
from mnistexp.errors import MnistexpError, RunError
from mnistexp.runs import files, stored_runs
from mnistexp.runs.layout import CHECKPOINT, DATA, HISTORY, MODEL, Kind, is_sweep, of_repeats
from mnistexp.runs.stored_runs import StoredRun


@dataclass(frozen=True)
class LedgerEntry:
    """A run, and how many `times` it read the test digits; `watched`: after each epoch, for its curves."""

    run: str
    command: str
    times: int
    watched: bool


@dataclass(frozen=True)
class Ledger:
    """Every use of the same test digits, oldest run first; `unreadable` runs may have used them too."""

    entries: tuple[LedgerEntry, ...]
    unreadable: int = 0

    @property
    def times(self) -> int:
        """How often all runs together read the test digits."""
        return sum(entry.times for entry in self.entries)

    @property
    def sentence(self) -> str:
        """How often they were read, and whether learning curves were validated on them; without `unreadable`."""
        watching = [entry for entry in self.entries if entry.watched]
        runs, often = len(self.entries), self.times
        said = f"The test digits were used {_often(often)} in this runs folder, by {counted(runs, 'run')}"
        if not watching:
            return f"{said}, each time by a finished network, so no learning curve was validated on them."
        times = sum(entry.times for entry in watching)
        return (
            f"{said}; {times} of these uses are the epochs of {counted(len(watching), 'training')} "
            "whose curves are validated on them. Choosing anything from such curves makes the test accuracy "
            "optimistic; this command chose nothing from them."
        )

    def document(self) -> dict[str, Any]:
        """`times`, `runs` (run, command, times, watched each), `unreadable` and `sentence`."""
        return {
            "times": self.times,
            "runs": [vars(entry) for entry in self.entries],
            "unreadable": self.unreadable,
            "sentence": self.sentence,
        }


def _often(times: int) -> str:
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


def read_ledger(runs_dir: Path, dataset: Dataset, now: LedgerEntry) -> Ledger:
    """The uses of the test digits of `dataset` by all runs in `runs_dir`, and by the current run, `now`.

    A training whose curves are validated on the test digits reads them in each epoch, even if it failed or was
    interrupted; one with its own validation part, or the final training of `best`, reads them once per finished
    repeat; an evaluation once. Sweeps validate on their own folds and never read them. Raises RunError.
    """
    found, unreadable = [], 0
    for info in stored_runs.list_runs(runs_dir):
        if info.id == now.run or not (info.path / DATA).exists():
            continue
        try:
            if _same_test_digits(info, dataset) and (entry := _entry(info)):
                found.append(entry)
        except (MnistexpError, KeyError, TypeError, ValueError):
            unreadable += 1
    return Ledger((*found, now), unreadable)


def _same_test_digits(info: StoredRun, dataset: Dataset) -> bool:
    about, test = info.read_json(DATA), dataset.split.test.tolist()
    if info.command == Kind.EVALUATE:  # of a whole source, perhaps, with the test digits among its digits
        return dataset.digits.match(about) and set(about["test"]) >= set(test)
    return dataset.digits.match(about) and sorted(about["test"]) == sorted(test)


def _entry(info: StoredRun) -> LedgerEntry | None:
    if is_sweep(info.command):
        return None
    if info.command == Kind.EVALUATE:
        return LedgerEntry(info.id, info.command, 1, False)
    config = info.config
    watched = info.command == Kind.TRAIN and not config.training.validation_fraction
    if watched:
        finished = of_repeats(info.path, HISTORY)
        times = sum(int(np.isfinite(history.val_loss).sum()) for history in info.histories)
        times += sum(
            _epochs(path) for repeat, path in of_repeats(info.path, CHECKPOINT).items() if repeat not in finished
        )
    else:
        times = len(of_repeats(info.path, MODEL))
    return LedgerEntry(info.id, info.command, times, watched) if times else None


def _epochs(checkpoint: Path) -> int:
    """The epochs of a training that was killed before it wrote its curves."""
    try:
        return len(files.arrays(files.read_bytes(checkpoint))["rows"])
    except (ValueError, KeyError, TypeError, RunError):
        return 0
