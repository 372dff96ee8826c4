"""One repeat of an experiment's training: fitted on the training digits, scored on the test digits."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mnistexp.data import Dataset, Rows
from mnistexp.runs.predictions import Predictions
from mnistexp.runs.results import EpochDone, Watch, Working
from mnistexp.training.fitting import Fit, fit
from mnistexp.training.model import Seed
from mnistexp.training.predicting import evaluate, predict
from mnistexp.training.state import EpochRow, TrainingState


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A finished training: the fit, and its network's predictions of the test digits with their mean loss."""

    fit: Fit
    test: Predictions
    test_loss: float
    repeat: int = 0

    @property
    def correct(self) -> int:
        """The number of test digits classified correctly."""
        return int(self.test.correct.sum())

    @property
    def test_accuracy(self) -> float:
        """Share of the test digits classified correctly, 0 to 1."""
        return self.correct / len(self.test.labels)


def fit_repeat(
    dataset: Dataset,
    held_out: Rows | None,
    repeat: int,
    watch: Watch,
    *,
    checkpoint: Callable[[TrainingState], None] | None = None,
    resume_from: TrainingState | None = None,
) -> Fit:
    """Train repeat `repeat`, from 0, on the training digits; see `fit`, whose Ctrl-C ends it with `interrupted` set.

    `held_out`: the rows that the curves are validated on; None for no validation.
    """
    config = dataset.config
    repeats, epochs = config.repeats, config.training.epochs

    def done(epoch: int, row: EpochRow) -> None:
        validation = (None, None) if math.isnan(row.val_loss) else (row.val_loss, row.val_accuracy)
        watch(EpochDone(repeat, repeats, epoch, epochs, row.loss, row.accuracy, *validation))

    return fit(
        config,
        *dataset.training,
        None if held_out is None else dataset.digits.at(held_out),
        Seed(config.seed, repeat=repeat),
        on_epoch=done,
        on_progress=lambda done: watch(Working(repeat * epochs + done, repeats * epochs)),
        checkpoint=checkpoint,
        resume_from=resume_from,
    )


def scored(dataset: Dataset, fitted: Fit, repeat: int = 0) -> TrainingResult:
    """The predictions and the mean loss of a finished fit's network on the test digits."""
    rows = dataset.split.test
    images, labels = dataset.digits.at(rows)
    loss, _ = evaluate(dataset.config, fitted.weights, images, labels)
    probabilities = predict(dataset.config, fitted.weights, images)
    return TrainingResult(fitted, Predictions(probabilities, labels, rows).with_images(images), loss, repeat)
