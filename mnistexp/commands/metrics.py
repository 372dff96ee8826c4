"""The document `metrics.json` of a training: numbers, sentences and warnings."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp import statistics
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.shown import counted
from mnistexp.runs.layout import Kind
from mnistexp.runs.results import CURVES, History
from mnistexp.training.repeats import TrainingResult

OPTIMISTIC = (
    "The curves are validated on the test digits, as in the assignment. If the number of epochs is chosen from these "
    "curves, the test accuracy is optimistic; --validation-fraction 0.2 validates on held-out training digits and "
    "uses the test digits once."
)


def training_metrics(config: ExperimentConfig, results: Sequence[TrainingResult]) -> dict[str, Any]:
    """The document of `metrics.json` without times. Top-level numbers are of the first result, whose model is saved.

    With several results, `repeats` describes all of them: `mean`, `std` and 95% `interval` of the test accuracy, the
    sum of the confusion matrices, and, under the same keys as at the top level, the numbers of the mean curves.
    """
    first = results[0]
    document: dict[str, Any] = {
        "command": Kind.TRAIN,
        "seed": config.seed,
        "epochs": first.fit.epochs,
        "validated_on": _validated_on(config, first),
        "diverged_at": first.fit.diverged_at,
        "stopped_at": first.fit.stopped_at,
        "kept_epoch": first.fit.kept_epoch,
        "early_stopping": _early_stopping(config, results),
    }
    digits = config.validation_digits if config.training.validation_fraction else len(first.test.labels)
    classes = config.model.classes
    document |= _test(first) | _curves(first.fit.history, digits, classes)
    if len(results) > 1:
        document["repeats"] = _repeats(results, digits, classes)
    document["warnings"] = _warnings(config, results)
    return document


def _validated_on(config: ExperimentConfig, result: TrainingResult) -> str | None:
    if not result.fit.history.val_loss:
        return None
    return "validation" if config.training.validation_fraction else "test"


def _test(result: TrainingResult) -> dict[str, Any]:
    """The results on the test digits."""
    confusion = _confusion(result)
    interval = statistics.wilson(result.correct, len(result.test.labels))
    return {
        "test_accuracy": result.test_accuracy,
        "test_accuracy_interval": interval.ends,
        "test_correct": result.correct,
        "test_digits": len(result.test.labels),
        "test_loss": result.test_loss,
        "confusion_matrix": confusion.tolist(),
        "per_class_accuracy": statistics.per_class_accuracy(confusion),
    }


def _curves(history: History, digits: int, classes: int, trainings: int = 1) -> dict[str, Any]:
    """The last values and the minimum of the curves, and the best number of epochs; None where not a number.

    `trainings`: how many the curves are the mean of.
    """
    best = statistics.best_epochs(
        history.loss,
        history.val_loss,
        history.val_loss_se or None,
        val_accuracy=history.val_accuracy,
        digits=digits,
        classes=classes,
    )
    last, said = (best.diverged_at or history.epochs) - 1, best.sentence
    ends = {
        f"final_{name}": curve[last] if (curve := getattr(history, name)) and math.isfinite(curve[last]) else None
        for name in CURVES
    }
    return ends | {
        "min_val_loss": best.minimum,
        "min_val_loss_epoch": best.epoch,
        "min_val_loss_epochs": list(best.ties),
        "best_epochs": {
            "first": best.flat_first,
            "last": best.flat_last,
            "standard_error": best.standard_error,
            "shape": best.shape,
            "overfitting_from": best.overfitting_from,
            "sentence": f"Mean of {trainings} trainings: {said[0].lower()}{said[1:]}" if trainings > 1 else said,
        },
    }


def _repeats(results: Sequence[TrainingResult], digits: int, classes: int) -> dict[str, Any]:
    """The spread over seeds, and the mean of the curves."""
    accuracies = [result.test_accuracy for result in results]
    spread = statistics.over_repeats(accuracies, resolution=1 / len(results[0].test.labels))
    return {
        "count": len(results),
        "test_accuracies": accuracies,
        "mean": spread.mean,
        "std": spread.std,
        "interval": spread.interval and spread.interval.ends,
        "min_val_losses": [min(filter(math.isfinite, result.fit.history.val_loss), default=None) for result in results],
        "sentence": spread.sentence,
        "confusion_matrix": np.sum([_confusion(result) for result in results], axis=0).tolist(),
        "diverged_at": min((result.fit.diverged_at for result in results if result.fit.diverged_at), default=None),
    } | _curves(History.mean([result.fit.history for result in results]), digits, classes, len(results))


def _early_stopping(config: ExperimentConfig, results: Sequence[TrainingResult]) -> dict[str, Any] | None:
    """The epoch at which each training stopped and whose weights it kept, in words too; None without early stopping."""
    stopping = config.training.early_stopping
    if stopping is None:
        return None
    less = f" by more than {stopping.min_delta:g}" if stopping.min_delta else ""
    span = counted(stopping.patience, "epoch")
    sentences = []
    for result in results:
        which, fit = f"Training {result.repeat + 1}" if len(results) > 1 else "Training", result.fit
        if fit.stopped_at:
            ended = (
                f"stopped early after epoch {fit.stopped_at} of {config.training.epochs}: the validation loss had "
                f"not fallen{less} for {span}"
            )
        elif fit.diverged_at:
            ended = f"diverged in epoch {fit.diverged_at}"
        else:
            ended = f"ran for all {config.training.epochs} epochs: early stopping did not trigger"
        best = "the best one" if stopping.restore_best_weights else "the last one"
        sentences.append(f"{which} {ended}. The scored model has the weights of epoch {fit.kept_epoch}, {best}.")
    return {
        "stopped_at": [result.fit.stopped_at for result in results],
        "kept_epochs": [result.fit.kept_epoch for result in results],
        "sentence": " ".join(sentences),
    }


def lengthened(origin: Mapping[str, Any]) -> dict[str, Any]:
    """The training that this one lengthens: `run`, `epochs` and a `sentence`."""
    run, epochs = origin["run"], origin["epochs"]
    return {
        "run": run,
        "epochs": epochs,
        "sentence": f"Lengthens {run}, whose {epochs} epoch{'s were' if epochs > 1 else ' was'} not trained again.",
    }


def _confusion(result: TrainingResult) -> NDArray[np.int64]:
    return statistics.confusion_matrix(result.test.labels, result.test.read, result.test.probabilities.shape[1])


def _warnings(config: ExperimentConfig, results: Sequence[TrainingResult]) -> list[str]:
    warnings = [OPTIMISTIC] if _validated_on(config, results[0]) == "test" else []
    for result in results:
        fit = result.fit
        if fit.diverged_at:
            which = f"Training {result.repeat + 1}" if len(results) > 1 else "Training"
            warnings.append(
                f"{which} diverged in epoch {fit.diverged_at}: its loss is not a number. Try a learning rate below "
                f"{config.optimizer.learning_rate:g}."
            )
        elif fit.history.accuracy[-1] <= statistics.guessing(config.training_digits, config.model.classes):
            warnings.append(
                f"The network has not learned: the training accuracy after the last epoch, "
                f"{fit.history.accuracy[-1]:.0%}, is about that of guessing. Try a learning rate below "
                f"{config.optimizer.learning_rate:g}, or more epochs."
            )
    return warnings


def seconds(results: Sequence[TrainingResult], total: float) -> dict[str, float]:
    """Wall times in seconds: of the whole command, and the median of an epoch."""
    epochs = [second for result in results for second in result.fit.seconds]
    return {"total": round(total, 3), "training": round(sum(epochs), 3), "epoch_median": round(median(epochs), 6)}


def timings(results: Sequence[TrainingResult]) -> str:
    """The text of `timings.csv`: the wall seconds of every epoch of every repeat."""
    rows = [
        f"{result.repeat},{epoch},{second:.6f}"
        for result in results
        for epoch, second in enumerate(result.fit.seconds, start=1)
    ]
    return "\n".join(["repeat,epoch,seconds", *rows]) + "\n"
