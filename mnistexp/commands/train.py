"""`mnistexp train`: one training and its repeats, from the digits to the run folder."""

import math
import shlex
import time
from pathlib import Path
from typing import Any

from mnistexp.commands import metrics
from mnistexp.commands.digits import DATA, note_digits, read_digits
from mnistexp.commands.job import unwatched
from mnistexp.config import settings
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset, Digits, Rows, Split
from mnistexp.errors import BadInput, Interrupted, RunError
from mnistexp.figures import plots
from mnistexp.runs import files, references
from mnistexp.runs.history_csv import history_to_csv
from mnistexp.runs.predictions import PREDICTIONS, Predictions
from mnistexp.runs.progress import CURVES, leave_progress
from mnistexp.runs.references import LATEST
from mnistexp.runs.results import EpochDone, Outcome, TrainingResult, Watch, Working, over_all
from mnistexp.runs.run_folder import Run, remove_file
from mnistexp.runs.stored_runs import StoredRun, load, read_config
from mnistexp.training import fitting
from mnistexp.training.fitting import EpochRow, Fit, State
from mnistexp.training.model import Seed
from mnistexp.training.runtime import load_beside

__all__ = [
    "finish_training",
    "resume_training",
    "run_training",
    "train_repeats",
    "unfinished_training",
]

CHECKPOINT = "checkpoint.npz"
AFTERWARDS = (
    "scipy.special",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
)
"""Modules that metrics and figures of a training use."""
CHECKPOINT_SECONDS = 5.0
PROGRESS_SECONDS = 1.0


def run_training(config: ExperimentConfig, runs_dir: Path, watch: Watch = unwatched) -> Outcome:
    """Train as configured, `config.repeats` times, and keep curves, metrics, figures and model in a new run folder.

    Raises `BadInput` and `DataError` before anything is written, `Interrupted` with what was trained kept.
    """
    dataset = read_digits(config, watch)
    config = dataset.config
    name = config.name or f"{config.optimizer.name}-{config.training.epochs}"
    with Run.create(runs_dir, "train", name, settings.to_yaml(config), visible=True) as run:
        run.log(f"train: {config.repeats} of {config.training.epochs} epochs with {config.optimizer.name}")
        return _train(run, dataset, watch)


def unfinished_training(runs_dir: Path, reference: str) -> StoredRun:
    """The training to resume; `latest` is the newest interrupted or failed one.

    Raises `BadInput` if there is none, and `RunError`.
    """
    if reference != LATEST:
        return load(references.one(runs_dir, reference).path)
    for run in references.started(runs_dir):
        if run.info.command == "train" and run.info.status in ("interrupted", "failed"):
            return load(run.path)
    raise BadInput(f"no training to resume in {runs_dir}; to resume a step of another command, run that command again")


def resume_training(stored: StoredRun, watch: Watch = unwatched) -> Outcome:
    """Resume an interrupted training; the result is bit-identical to an uninterrupted one.

    Raises `BadInput` if the run is not an unfinished training, `RunError` if its digits have changed.
    """
    if stored.info.command != "train":
        raise BadInput(f"{stored.info.id} is a {stored.info.command} run, allowed: a train run")
    dataset = read_digits(read_config(stored.path), watch)
    # If it is missing, the run was stopped before training began.
    if DATA in stored.files() and not dataset.digits.match(stored.read_json(DATA)):
        raise RunError(f"{stored.info.id} was trained on other digits than {dataset.config.data.source} now gives")
    with Run.resume(stored.path) as run:
        return _train(run, dataset, watch)


def _train(run: Run, dataset: Dataset, watch: Watch) -> Outcome:
    config, digits, split = dataset.config, dataset.digits, dataset.split
    began = time.perf_counter()
    run.add(DATA, dataset.document())
    if digits.notes:
        run.log(digits.notes)
    held_out = split.validation if len(split.validation) else split.test
    try:
        results = train_repeats(run, config, digits, split, held_out, watch)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; resume with: mnistexp train --resume {shlex.quote(str(run.path))}") from None
    document = metrics.training_metrics(config, results)
    note_digits(document, digits)
    document["seconds"] = metrics.seconds(results, time.perf_counter() - began)
    return finish_training(run, config, results, document)


def train_repeats(
    run: Run, config: ExperimentConfig, digits: Digits, split: Split, held_out: Rows | None, watch: Watch
) -> list[TrainingResult]:
    """Train `config.repeats` times, storing the results of each in `run`; continues from its checkpoints.

    `held_out`: the rows that the curves are validated on; with None there is no validation, and each finished network
    reads the test digits once. Raises `KeyboardInterrupt`, keeping finished work.
    """
    load_beside(*AFTERWARDS)
    return [_repeat(run, config, digits, split, held_out, repeat, watch) for repeat in range(config.repeats)]


def finish_training(
    run: Run, config: ExperimentConfig, results: list[TrainingResult], document: dict[str, Any]
) -> Outcome:
    """Store metrics, times and figures of finished trainings, remove the checkpoints, and finish the run."""
    run.add("metrics.json", document)
    run.add("timings.csv", metrics.timings(results))
    _draw(run, results, document)
    for repeat in range(config.repeats):
        remove_file(run.path, _place(repeat, CHECKPOINT))
    run.finish(exit_code=1 if over_all(document)["diverged_at"] else 0)
    return Outcome(run.path, document)


def _draw(run: Run, results: list[TrainingResult], document: dict[str, Any]) -> None:
    best = over_all(document)["best_epochs"]
    flat = (best["first"], best["last"]) if best["first"] else None
    for name, content in plots.rendered(plots.of_training(results, flat, document.get("class_names"))):
        run.add(name, content)


def _repeat(
    run: Run,
    config: ExperimentConfig,
    digits: Digits,
    split: Split,
    held_out: Rows | None,
    repeat: int,
    watch: Watch,
) -> TrainingResult:
    """One training; curves, model and predictions are stored when it is done."""
    test = digits.images[split.test], digits.labels[split.test]
    epochs = config.training.epochs
    fit = fitting.fit(
        config,
        digits.images[split.train],
        digits.labels[split.train],
        None if held_out is None else (digits.images[held_out], digits.labels[held_out]),
        Seed(config.seed, repeat=repeat),
        on_epoch=lambda epoch, row: watch(_epoch_done(config, repeat, epoch, row)),
        on_progress=lambda done: watch(Working(repeat * epochs + done, config.repeats * epochs)),
        checkpoint=_Checkpoints(run, config, repeat),
        resume_from=_checkpoint(run, repeat),
    )
    _store_state(run, repeat, fit.state)
    run.add(_place(repeat, "history.csv"), history_to_csv(fit.history))
    if fit.interrupted:
        run.log(f"training {repeat + 1}: stopped after epoch {fit.history.epochs}")
        raise KeyboardInterrupt
    with run.writing(_place(repeat, "model.keras")) as path:
        fitting.keras_model(config, fit.weights).save(path)
    result = _result(config, fit, test, repeat)
    run.add(_place(repeat, PREDICTIONS), Predictions(result.probabilities, result.labels, split.test).archive())
    run.log(f"training {repeat + 1}: {result.epochs_trained} epochs, test accuracy {result.test_accuracy:.4f}")
    return result


def _result(config: ExperimentConfig, fit: Fit, test: tuple[Any, Any], repeat: int) -> TrainingResult:
    loss, _ = fitting.evaluate(config, fit.weights, *test)
    return TrainingResult(
        history=fit.history,
        weights=fit.weights,
        probabilities=fitting.predict(config, fit.weights, test[0]),
        labels=test[1],
        test_loss=loss,
        repeat=repeat,
        seconds=fit.seconds,
        diverged_at=fit.diverged_at,
        stopped_at=fit.stopped_at,
        kept_epoch=fit.kept_epoch,
    )


def _place(repeat: int, name: str) -> str:
    """The name of a file of one repeat; those of the first are at the top level, like those of a single training."""
    return f"repeats/{repeat}/{name}" if repeat else name


class _Checkpoints:
    """Store the state of a training after its first epoch and then every few seconds, and its progress."""

    def __init__(self, run: Run, config: ExperimentConfig, repeat: int) -> None:
        self._run, self._config, self._repeat = run, config, repeat
        self._stored = self._said = -math.inf

    def __call__(self, state: State) -> None:
        now = time.monotonic()
        if now - self._said > PROGRESS_SECONDS:
            self._say(state.rows)
            self._said = now
        if now - self._stored > CHECKPOINT_SECONDS:
            _store_state(self._run, self._repeat, state)
            self._stored = time.monotonic()

    def _say(self, rows: tuple[EpochRow, ...]) -> None:
        repeats, epochs = self._config.repeats, self._config.training.epochs
        curves, seconds = [row[: len(CURVES)] for row in rows], [row.seconds for row in rows]
        leave_progress(self._run.path, curves, seconds, repeat=self._repeat, repeats=repeats, epochs=epochs)


def _store_state(run: Run, repeat: int, state: State) -> None:
    run.add(_place(repeat, CHECKPOINT), files.archive(state.arrays()))


def _checkpoint(run: Run, repeat: int) -> dict[str, Any] | None:
    """The stored state of one repeat; None if it is missing or unreadable: the repeat then starts again."""
    path = run.path / _place(repeat, CHECKPOINT)
    if not path.exists():
        return None
    try:
        return files.arrays(files.read_bytes(path))
    except (ValueError, RunError) as error:
        run.log(f"{path.name} can't be read, training starts again: {error}")
        return None


def _epoch_done(config: ExperimentConfig, repeat: int, epoch: int, row: EpochRow) -> EpochDone:
    validated = not math.isnan(row.val_loss)
    return EpochDone(
        repeat=repeat,
        repeats=config.repeats,
        epoch=epoch,
        epochs=config.training.epochs,
        loss=row.loss,
        accuracy=row.accuracy,
        val_loss=row.val_loss if validated else None,
        val_accuracy=row.val_accuracy if validated else None,
    )
