"""Training one network on one set of digits: epochs, validation, early stopping, and the state for resuming.

TensorFlow is loaded by the first call that needs it, not by importing this module.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnistexp import kernels
from mnistexp.config import ExperimentConfig, TrainingConfig
from mnistexp.model import DROPOUT, Seed, build_model, build_optimizer, initial_weights
from mnistexp.results import History

if TYPE_CHECKING:
    from mnistexp.loop import Loop, Part

__all__ = ["EpochRow", "Fit", "Seed", "State", "evaluate", "fit", "keras_model", "predict"]

Digits = tuple[NDArray[np.uint8], NDArray[Any]]
"""Images (n, 28, 28) and labels (n,), of any integer dtype."""
PIECE_SECONDS = 0.2
"""How long TensorFlow runs at a time, so that Python can show progress and handle Ctrl-C in between."""
EVALUATED_AT_ONCE = 4096


class EpochRow(NamedTuple):
    """One epoch of a `History`; the `val_` numbers are NaN where the epoch was not validated."""

    loss: float
    accuracy: float
    val_loss: float = math.nan
    val_accuracy: float = math.nan
    val_loss_se: float = math.nan
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class State:
    """The full state of a training after an epoch, for resuming with bit-identical results.

    `tensors`: float32, the weights and then the optimizer's slots. `best`: epoch, validation loss and weights of the
    best epoch so far, with early stopping.
    """

    tensors: tuple[Any, ...]
    rows: tuple[EpochRow, ...] = ()
    best: tuple[int, float, tuple[Any, ...]] | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that `fit` resumes from: float32 in the tensors' shapes, `rows` float64 (epochs, 6)."""
        arrays = {f"tensor_{index}": np.array(tensor) for index, tensor in enumerate(self.tensors)}
        arrays["rows"] = np.array(self.rows, np.float64).reshape(len(self.rows), len(EpochRow._fields))
        if self.best:
            arrays["best"] = np.array(self.best[:2], np.float64)
            arrays |= {f"best_{index}": np.array(weight) for index, weight in enumerate(self.best[2])}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "State":
        """The inverse of `arrays`, to the same shapes and dtypes."""

        def family(prefix: str) -> tuple[NDArray[Any], ...]:
            names = (f"{prefix}_{index}" for index in count())
            return tuple(arrays[name] for name in takewhile(arrays.__contains__, names))

        best = (int(arrays["best"][0]), float(arrays["best"][1]), family("best")) if "best" in arrays else None
        return cls(family("tensor"), tuple(EpochRow(*map(float, row)) for row in arrays["rows"]), best)


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
    state: State = field(repr=False)
    seconds: tuple[float, ...] = ()
    diverged_at: int | None = None
    stopped_at: int | None = None
    kept_epoch: int = 0
    interrupted: bool = False


def fit(
    config: ExperimentConfig,
    x: NDArray[np.uint8],
    y: NDArray[Any],
    validation: Digits | None,
    seed: Seed,
    *,
    on_epoch: Callable[[int, EpochRow], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
    checkpoint: Callable[[State], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    resume_from: Mapping[str, NDArray[Any]] | None = None,
) -> Fit:
    """Train on images uint8 (n, 28, 28) and labels (n,), as `config.model`, `.optimizer` and `.training` say.

    `on_epoch(epoch, row)` is called after each epoch, from 1; `on_progress(epochs)` several times a second, with the
    fractional number of epochs done; `checkpoint(state)` after each epoch, with the state for resuming by
    `resume_from=state.arrays()`; `should_stop()` several times a second. If it is true, or on Ctrl-C, the training ends
    with `interrupted` set and the results of all complete epochs.
    """
    run = _Run(config, (x, y), validation, seed)
    state = State.from_arrays(resume_from) if resume_from is not None else run.start()
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


def predict(
    config: ExperimentConfig, weights: Sequence[NDArray[np.float32]], x: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Probabilities float32 (n, 10) of images uint8 (n, 28, 28), by weights in the shapes of Keras' `get_weights`."""
    loop = _loop(config)
    return _evaluate(loop, loop.start(weights), _parts(loop, (x, np.zeros(len(x)))))[1]


def evaluate(
    config: ExperimentConfig, weights: Sequence[NDArray[np.float32]], x: NDArray[np.uint8], y: NDArray[Any]
) -> tuple[float, float]:
    """Mean loss (sparse categorical cross-entropy) and accuracy on images uint8 (n, 28, 28) and labels (n,)."""
    loop = _loop(config)
    (loss, accuracy, _), _ = _evaluate(loop, loop.start(weights), _parts(loop, (x, y)))
    return loss, accuracy


def keras_model(config: ExperimentConfig, weights: Sequence[NDArray[np.float32]], seed: Seed | int = 0) -> Any:
    """The trained network as a compiled `keras.Model` of Keras' own layers.

    Its `evaluate` on images float32 (n, 28, 28, 1) from 0 to 1 gives the loss and accuracy that `evaluate` here gives.
    """
    model = build_model(config.model, seed)
    model.set_weights(list(weights))
    model.compile(build_optimizer(config.optimizer), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


class _Run:
    """One training: its digits as tensors, its settings, and the compiled loop that serves it."""

    def __init__(self, config: ExperimentConfig, digits: Digits, validation: Digits | None, seed: Seed) -> None:
        self.config, self.seed = config, seed
        self.loop = _loop(config)
        self.digits = self.loop.part(*digits)
        self.validation = _parts(self.loop, validation) if validation is not None else None
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

    def start(self) -> State:
        return State(self.loop.start(initial_weights(self.config.model, self.seed)))

    def finished(self, state: State) -> bool:
        training, done = self.config.training, len(state.rows)
        if done >= training.epochs or (done and not math.isfinite(state.rows[-1].loss)):
            return True
        return bool(training.early_stopping and state.best and done - state.best[0] >= training.early_stopping.patience)

    def epoch(
        self, state: State, on_progress: Callable[[float], None] | None, should_stop: Callable[[], bool] | None
    ) -> State | None:
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
            validation, _ = _evaluate(self.loop, tensors, self.validation)
        row = EpochRow(loss, accuracy, *validation, perf_counter() - began)
        return State(tensors, (*state.rows, row), self._best(state, row, tensors[: self.loop.weights]))

    def result(self, state: State, interrupted: bool) -> Fit:
        rows, training = state.rows, self.config.training
        stopping, diverged = training.early_stopping, bool(rows) and not math.isfinite(rows[-1].loss)
        weights, kept = state.tensors[: self.loop.weights], len(rows)
        if stopping and stopping.restore_best_weights and state.best:
            kept, _, weights = state.best
        probabilities = None
        if self.validation is not None:
            _, probabilities = _evaluate(self.loop, weights, self.validation)
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

    def _best(self, state: State, row: EpochRow, weights: tuple[Any, ...]) -> tuple[int, float, Any] | None:
        stopping = self.config.training.early_stopping
        if not stopping:
            return None
        if state.best is None or row.val_loss < state.best[1] - stopping.min_delta:
            return len(state.rows) + 1, row.val_loss, weights
        return state.best


def _loop(config: ExperimentConfig) -> "Loop":
    from mnistexp.loop import loop_for

    shape = config.model.model_copy(update={"dropout": 0.0})
    return loop_for(shape, config.optimizer.name, config.training.batch_size, config.model.dropout > 0)


def _validates(training: TrainingConfig, epoch: int) -> bool:
    every = training.validate_every
    return epoch == training.epochs or (every > 0 and epoch % every == 0)


def _parts(loop: "Loop", digits: Digits) -> list["Part"]:
    """Digits in parts that take well under a second to evaluate."""
    starts = range(0, len(digits[0]), EVALUATED_AT_ONCE)
    return [loop.part(*(part[start : start + EVALUATED_AT_ONCE] for part in digits)) for start in starts]


def _evaluate(
    loop: "Loop", tensors: tuple[Any, ...], parts: list["Part"]
) -> tuple[tuple[float, float, float], NDArray[np.float32]]:
    """Mean loss, accuracy and the standard error of that mean; and the probabilities."""
    done = [loop.evaluate(tensors[: loop.weights], part) for part in parts]
    probabilities = np.concatenate([part.numpy() for _, part in done])
    n = len(probabilities)
    loss, accuracy, squares = (np.sum([sums.numpy() for sums, _ in done], axis=0) / n).tolist()
    error = math.sqrt(max(0.0, squares - loss**2) / (n - 1)) if n > 1 and math.isfinite(squares) else math.nan
    return (loss, accuracy, error), probabilities


def _history(rows: tuple[EpochRow, ...], length: int, validated: bool) -> History:
    """The rows as columns, padded with NaN to `length`."""
    rows = rows + (EpochRow(math.nan, math.nan),) * (length - len(rows))
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return History(columns[0], columns[1], *(columns[2:5] if validated else ()))
