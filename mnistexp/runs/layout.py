"""A run's folder: the kinds of runs, the names of their files, and the places of repeated trainings.

    runs/
      20261124T053712Z-train-sgd-150-1a2b/     a run: UTC start, kind, short name, four random hex digits
        history.csv, model.keras, ...          of the first training
        repeats/<n>/                           the same files of repeat n, from 1
      .staging-...<id>/                        a run that is not published yet

Names that start with a dot are internal: listings, reports and archives skip them.
"""

from enum import StrEnum
from pathlib import Path

STATUS = "status.json"  # see status.py
CONFIG = "config.yaml"  # the resolved settings, re-runnable as they are
FINAL = "final.yaml"  # the chosen setting of a `best`
ENVIRONMENT = "environment.json"  # versions, processor, commit
PATCH = "code.patch"  # the code's difference from the commit
LOG = "run.log"  # with UTC times
ANNOTATIONS = "annotations.json"  # tags and note
METRICS = "metrics.json"
DATA = "data.json"  # source, SHA-256, split
HISTORY = "history.csv"
TIMINGS = "timings.csv"
MODEL = "model.keras"
PREDICTIONS = "predictions.npz"
CHECKPOINT = "checkpoint.npz"  # the state of an unfinished training, to resume from
STATE = "state.npz"  # the state after the last epoch of a finished training, to lengthen it from
ORIGIN = "origin.json"  # the training that a run lengthens: `run`, its id, and `epochs`, how many it had
SWEEP = "sweep.json"
TRIALS = "trials.csv"
FITS = "trials"  # the folder of a sweep's fits
CHOICE = "choice.json"
COMBINED = "combination.npz"  # the out-of-fold predictions of a combination that no sweep tried
PLAN = "plan.json"
HEARTBEAT = ".heartbeat"
PROGRESS = ".progress.json"
REPEATS = "repeats"


class Kind(StrEnum):
    """What a run is, as its `status.json` records it: the name of its command."""

    TRAIN = "train"
    SWEEP_OPTIMIZER = "sweep-optimizer"
    SWEEP_DROPOUT = "sweep-dropout"
    BEST = "best"
    REPRODUCE = "reproduce"
    EVALUATE = "evaluate"
    EXAMPLES = "show-examples"
    SUMMARY = "summary"


def is_sweep(command: str) -> bool:
    """Whether a run of this kind is a sweep; earlier versions recorded `sweep` for those made from Python."""
    return command in (Kind.SWEEP_OPTIMIZER, Kind.SWEEP_DROPOUT, "sweep")


def in_repeat(repeat: int, name: str) -> str:
    """The name, within the run, of a file of a repeated training, from 0."""
    return f"{REPEATS}/{repeat}/{name}" if repeat else name


def of_repeats(folder: Path, name: str) -> dict[int, Path]:
    """The paths of the file `name` of each training of a run that has it, by repeat from 0, in order."""
    found = {int(path.parent.name): path for path in folder.glob(f"{REPEATS}/*/{name}") if path.parent.name.isdecimal()}
    first = {0: folder / name} if (folder / name).exists() else {}
    return first | dict(sorted(found.items()))
