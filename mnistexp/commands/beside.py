"""Repeats of trainings, of one run or of several, trained beside each other in worker processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistexp.commands.job import unwatched
from mnistexp.commands.stored_repeats import Checkpoints
from mnistexp.config.models import SweepConfig
from mnistexp.data import Dataset, Rows
from mnistexp.runs.results import Watch, Working
from mnistexp.sweeps.executors.cores import usable_cores
from mnistexp.sweeps.executors.executors import outcomes
from mnistexp.sweeps.executors.processes import Processes
from mnistexp.training.repeats import fit_repeat


@dataclass(frozen=True, eq=False)
class Ahead:
    """A repeat to train, whose checkpoints are in the run's `folder`; `held_out` as in `fit_repeat`."""

    folder: Path
    dataset: Dataset
    held_out: Rows | None
    repeat: int


def repeats_of(folder: Path, dataset: Dataset, held_out: Rows | None) -> list[Ahead]:
    """All repeats of the training of a run's folder."""
    return [Ahead(folder, dataset, held_out, repeat) for repeat in range(dataset.config.repeats)]


def beside(sweep: SweepConfig, repeats: int) -> int:
    """How many of some repeats are trained at a time: 1, in this process, unless the sweeps have worker processes."""
    return max(1, min(sweep.workers or usable_cores(), repeats)) if sweep.executor == "processes" else 1


def train_beside(ahead: Sequence[Ahead], sweep: SweepConfig, watch: Watch) -> None:
    """Train repeats in worker processes, each up to a checkpoint of its last epoch, where `train_repeats` continues.

    Does nothing where `beside` is 1. What fails here is left to `train_repeats`, which says why. Ctrl-C ends the
    workers; the checkpoints stay.
    """
    workers = beside(sweep, len(ahead))
    if workers == 1:
        return
    done, total = 0, sum(one.dataset.config.training.epochs for one in ahead)
    longest_first = sorted(ahead, key=lambda one: -one.dataset.config.training.epochs)
    with Processes(workers, _ready, ()) as executor:
        for one, _ in outcomes(executor, _train, longest_first, retries=0):
            done += one.dataset.config.training.epochs
            watch(Working(done, total))


def _ready() -> None:
    """Workers need no preparation."""


def _train(one: Ahead) -> None:
    """Called in a worker. An error is raised again by the command, which trains what has no checkpoint."""
    checkpoints = Checkpoints(one.folder, one.dataset.config, one.repeat)
    try:
        stored = checkpoints.stored()
        fitted = fit_repeat(
            one.dataset, one.held_out, one.repeat, unwatched, checkpoint=checkpoints, resume_from=stored
        )
        checkpoints.store(fitted.state)
    except Exception:
        return
