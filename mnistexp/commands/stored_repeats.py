"""The repeats of a training in a run folder: each is trained, checkpointed on the way, and stored when it is done."""

import math
import time
from collections.abc import Callable
from pathlib import Path

from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset, Rows
from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.history_csv import history_to_csv
from mnistexp.runs.layout import CHECKPOINT, HISTORY, MODEL, PREDICTIONS, STATE, in_repeat
from mnistexp.runs.progress import leave_progress
from mnistexp.runs.results import CURVES, Watch
from mnistexp.runs.run_folder import Run, add_file, remove_file
from mnistexp.training.repeats import TrainingResult, fit_repeat, scored
from mnistexp.training.runtime import load_beside, start_tensorflow
from mnistexp.training.saved_model import library_for_saving, save_model
from mnistexp.training.state import EpochRow, TrainingState

AFTERWARDS = "scipy.special", "matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"
"""Modules that metrics and figures use."""
CHECKPOINT_SECONDS = 5.0
PROGRESS_SECONDS = 1.0


def train_repeats(run: Run, dataset: Dataset, held_out: Rows | None, watch: Watch) -> list[TrainingResult]:
    """Train `repeats` times, storing the results of each in `run`; continues from its checkpoints.

    `held_out`: the rows that the curves are validated on; with None there is no validation, and each finished network
    reads the test digits once. Raises `KeyboardInterrupt`, keeping finished work.
    """
    start_tensorflow()
    load_beside(library_for_saving(dataset.config), *AFTERWARDS)
    return [_repeat(run, dataset, held_out, repeat, watch) for repeat in range(dataset.config.repeats)]


def end_checkpoints(run: Run, config: ExperimentConfig, *, keep: bool) -> None:
    """Remove the checkpoints of a finished run, or keep each as the final state of its training."""
    for repeat in range(config.repeats):
        checkpoint = run.path / in_repeat(repeat, CHECKPOINT)
        if keep and checkpoint.exists():
            files.move(checkpoint, checkpoint.with_name(STATE))
        else:
            remove_file(run.path, in_repeat(repeat, CHECKPOINT))


def _repeat(run: Run, dataset: Dataset, held_out: Rows | None, repeat: int, watch: Watch) -> TrainingResult:
    """One training; curves, model and predictions are stored when it is done."""
    checkpoints = Checkpoints(run.path, dataset.config, repeat)
    stored = checkpoints.stored(run.log)
    fit = fit_repeat(dataset, held_out, repeat, watch, checkpoint=checkpoints, resume_from=stored)
    checkpoints.store(fit.state)
    run.add(in_repeat(repeat, HISTORY), history_to_csv(fit.history))
    if fit.interrupted:
        run.log(f"training {repeat + 1}: stopped after epoch {fit.history.epochs}")
        raise KeyboardInterrupt
    with run.writing(in_repeat(repeat, MODEL)) as path:
        save_model(dataset.config, fit.weights, path)
    result = scored(dataset, fit, repeat)
    run.add(in_repeat(repeat, PREDICTIONS), result.test.archive())
    run.log(f"training {repeat + 1}: {fit.epochs} epochs, test accuracy {result.test_accuracy:.4f}")
    return result


class Checkpoints:
    """Store the state of a training after its first epoch and then every few seconds, and its progress."""

    def __init__(self, folder: Path, config: ExperimentConfig, repeat: int) -> None:
        self._folder, self._config, self._repeat = folder, config, repeat
        self._at = self._said = -math.inf

    def __call__(self, state: TrainingState) -> None:
        """Called after each epoch; stores its state where it is time to. Raises RunError."""
        now = time.monotonic()
        if now - self._said > PROGRESS_SECONDS:
            self._say(state.rows)
            self._said = now
        if now - self._at > CHECKPOINT_SECONDS:
            self.store(state)
            self._at = time.monotonic()

    def store(self, state: TrainingState) -> None:
        """Store a state now. Raises RunError."""
        add_file(self._folder, in_repeat(self._repeat, CHECKPOINT), files.archive(state.arrays()))

    def stored(self, log: Callable[[str], None] = lambda _: None) -> TrainingState | None:
        """The stored state; None if it is missing or unreadable, which goes to `log`: the repeat then starts again."""
        # A final state is there alone where the process died while it finished the run.
        places = (self._folder / in_repeat(self._repeat, name) for name in (CHECKPOINT, STATE))
        path = next(filter(Path.exists, places), None)
        if path is None:
            return None
        try:
            return TrainingState.from_arrays(files.arrays(files.read_bytes(path)))
        except (LookupError, ValueError, RunError) as error:
            log(f"{path.name} can't be read, training starts again: {error}")
            return None

    def _say(self, rows: tuple[EpochRow, ...]) -> None:
        repeats, epochs = self._config.repeats, self._config.training.epochs
        curves, seconds = [row[: len(CURVES)] for row in rows], [row.seconds for row in rows]
        leave_progress(self._folder, curves, seconds, repeat=self._repeat, repeats=repeats, epochs=epochs)
