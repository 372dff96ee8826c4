"""Training one network on one set of digits: epochs, validation, early stopping, and the state for resuming.

TensorFlow is loaded by the first call that needs it, not by importing this module.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.models import ExperimentConfig, TrainingConfig
from mnistexp.runs.results import History
from mnistexp.training import kernels
from mnistexp.training.model import DROPOUT, Seed, initial_weights
from mnistexp.training.predicting import compiled_loop, evaluated, parts_of
from mnistexp.training.state import EpochRow, TrainingState

Digits = tuple[NDArray[np.uint8], NDArray[Any]]
"""Images (n, 28, 28) and labels (n,), of any integer dtype."""
PIECE_SECONDS = 0.2
"""How long TensorFlow runs at a time, so that Python can show progress and handle Ctrl-C in between."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A finished, stopped or interrupted training.

    `weights`: float32 arrays in the order and shapes of Keras' `get_weights`. `probabilities`: float32 (n, 10) of the
    validation digits by those weights, None without validation. `seconds`: wall time of each epoch.
    `diverged_at`: the epoch, from 1, whose loss was not a number. `stopped_at`: the epoch after which early stopping
    ended. `kept_epoch`: the epoch, from 1, whose weights these are: the best one where early stopping restores it, or
    else the last. `interrupted`: not all epochs were trained; history and weights are those of the last whole one.
    """

    history: History
    weights: tuple[NDArray[np.float32], ...]
    probabilities: NDArray[np.float32] | None
    state: TrainingState = field(repr=False)
    seconds: tuple[float, ...] = ()
    diverged_at: int | None = None
    stopped_at: int | None = None
    kept_epoch: int = 0
    interrupted: bool = False

    @property
    def epochs(self) -> int:
        """How many epochs were trained, including one that diverged; the curves may continue with NaN."""
        return len(self.seconds)


def fit(
    config: ExperimentConfig,
    x: NDArray[np.uint8],
    y: NDArray[Any],
    validation: Digits | None,
    seed: Seed,
    *,
    on_epoch: Callable[[int, EpochRow], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
    checkpoint: Callable[[TrainingState], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    resume_from: TrainingState | None = None,
) -> Fit:
    """Train on images uint8 (n, 28, 28) and labels (n,), as `config.model`, `.optimizer` and `.training` say.

    `on_epoch(epoch, row)` is called after each epoch, from 1; `on_progress(epochs)` several times a second, with the
    fractional number of epochs done; `checkpoint(state)` after each epoch, with the state for resuming by
    `resume_from`; `should_stop()` several times a second. If it is true, or on Ctrl-C, the training ends
    with `interrupted` set and the results of all complete epochs.
    """
    run = _Run(config, (x, y), validation, seed)
    state = run.start() if resume_from is None else run.resumed(resume_from)
    interrupted = False
    try:
        while not run.finished(state):
            epoch = len(state.rows)
            after = run.epoch(state, on_progress, should_stop)
            if after is None:
                interrupted = True
                break
            state = after
            if on_epoch:
                on_epoch(epoch + 1, state.rows[-1])
            if checkpoint:
                checkpoint(state)
    except KeyboardInterrupt:
        interrupted = True
    fitted = run.result(state, interrupted)
    kernels.keep()
    return fitted


class _Run:
    """One training: its digits as tensors, its settings, and the compiled loop that serves it."""

    def __init__(self, config: ExperimentConfig, digits: Digits, validation: Digits | None, seed: Seed) -> None:
        self.config, self.seed = config, seed
        self.loop = compiled_loop(config)
        self.digits = self.loop.part(*digits)
        self.validation = parts_of(self.loop, validation) if validation is not None else None
        self.size = len(digits[0])
        self.batches = math.ceil(self.size / config.training.batch_size)
        values = np.array(list(config.optimizer.hyperparameters().values()), np.float64)
        rate = config.model.dropout
        self.settings = (
            np.stack([values, 1 - values]).astype(np.float32),
            np.array([rate, 1 / (1 - rate)], np.float32),
            seed.words(DROPOUT),
        )
        self.pace = 0.0
        self.seen: tuple[int, NDArray[np.float32]] | None = None
        """The last epoch, from 1, that was validated here, and the probabilities of its weights."""

    def start(self) -> TrainingState:
        return TrainingState(self.loop.start(initial_weights(self.config.model, self.seed)))

    def resumed(self, state: TrainingState) -> TrainingState:
        """A state of a training that may have been shorter, whose last epoch was validated because it was the last."""
        training, nothing = self.config.training, dict.fromkeys(("val_loss", "val_accuracy", "val_loss_se"), math.nan)
        rows = (
            row if _validates(training, epoch) else row._replace(**nothing)
            for epoch, row in enumerate(state.rows, start=1)
        )
        return replace(state, rows=tuple(rows))

    def finished(self, state: TrainingState) -> bool:
        training, done = self.config.training, len(state.rows)
        if done >= training.epochs or (done and not math.isfinite(state.rows[-1].loss)):
            return True
        return bool(training.early_stopping and state.best and done - state.best[0] >= training.early_stopping.patience)

    def epoch(
        self, state: TrainingState, on_progress: Callable[[float], None] | None, should_stop: Callable[[], bool] | None
    ) -> TrainingState | None:
        """The state after one more epoch, or None if it was stopped before the end."""
        began, training, number = perf_counter(), self.config.training, len(state.rows)
        order = self.seed.order(number, self.size) if training.shuffle else np.arange(self.size, dtype=np.int32)
        order = self.loop.order(order)
        tensors, sums, done = state.tensors, np.zeros(2), 0
        while done < self.batches:
            until = self._until(done)
            batches = np.array([done, until, number * self.batches], np.int32)
            piece = perf_counter()
            tensors, sums = self.loop.train(tensors, sums, self.digits, order, batches, *self.settings)
            sums = sums.numpy()
            self.pace = (perf_counter() - piece) / (until - done)
            done = until
            if on_progress:
                on_progress(number + done / self.batches)
            if should_stop and should_stop():
                return None
        loss, accuracy = (sums / self.size).tolist()
        validation = (math.nan, math.nan, math.nan)
        if self.validation is not None and _validates(training, number + 1):
            validation, probabilities = evaluated(self.loop, tensors, self.validation)
            self.seen = number + 1, probabilities
        row = EpochRow(loss, accuracy, *validation, perf_counter() - began)
        return TrainingState(tensors, (*state.rows, row), self._best(state, row, tensors[: self.loop.weights]))

    def result(self, state: TrainingState, interrupted: bool) -> Fit:
        rows, training = state.rows, self.config.training
        stopping, diverged = training.early_stopping, bool(rows) and not math.isfinite(rows[-1].loss)
        weights, kept = state.tensors[: self.loop.weights], len(rows)
        if stopping and stopping.restore_best_weights and state.best:
            kept, _, weights = state.best
        probabilities = None
        if self.seen and self.seen[0] == kept:
            probabilities = self.seen[1]
        elif self.validation is not None:
            _, probabilities = evaluated(self.loop, weights, self.validation)
        ended_early = len(rows) < training.epochs and not interrupted and not diverged
        return Fit(
            history=_history(rows, training.epochs if diverged else len(rows), self.validation is not None),
            weights=tuple(np.array(weight) for weight in weights),
            probabilities=probabilities,
            state=state,
            seconds=tuple(row.seconds for row in rows),
            diverged_at=len(rows) if diverged else None,
            stopped_at=len(rows) if ended_early else None,
            kept_epoch=kept,
            interrupted=interrupted,
        )

    def _until(self, done: int) -> int:
        """The batch to run to: about `PIECE_SECONDS` of work at the previous pace, and few batches at first."""
        pieces = max(1, int(PIECE_SECONDS / self.pace)) if self.pace else 1
        return min(self.batches, done + pieces)

    def _best(self, state: TrainingState, row: EpochRow, weights: tuple[Any, ...]) -> tuple[int, float, Any] | None:
        stopping = self.config.training.early_stopping
        if not stopping:
            return None
        if state.best is None or row.val_loss < state.best[1] - stopping.min_delta:
            return len(state.rows) + 1, row.val_loss, weights
        return state.best


def _validates(training: TrainingConfig, epoch: int) -> bool:
    every = training.validate_every
    return epoch == training.epochs or (every > 0 and epoch % every == 0)


def _history(rows: tuple[EpochRow, ...], length: int, validated: bool) -> History:
    """The rows as columns, padded with NaN to `length`."""
    rows = rows + (EpochRow(math.nan, math.nan),) * (length - len(rows))
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return History(columns[0], columns[1], *(columns[2:5] if validated else ()))
