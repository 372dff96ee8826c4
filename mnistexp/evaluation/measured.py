"""The metrics of a model on labelled digits: accuracy, per-class results, calibration, and the worst mistakes."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp import statistics
from mnistexp.statistics.calibration import calibration

__all__ = ["MOST_MISTAKES", "measured"]

MOST_MISTAKES = 24


def measured(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, Any]:
    """The numbers of a `metrics.json`, of probabilities float32 (n, classes) and labels int64 (n,).

    `accuracy`, `interval` (95%, Wilson), `correct`, `digits`, `macro_f1`, `loss` (cross-entropy), `confusion_matrix`,
    `per_class` with recall and precision, `calibration`, and `mistakes`, the most confident first.
    """
    predictions = probabilities.argmax(axis=1)
    confusion = statistics.confusion_matrix(labels, predictions, probabilities.shape[1])
    correct, digits = int(confusion.trace()), len(labels)
    calibrated = calibration(probabilities, labels)
    given = probabilities[np.arange(digits), labels].astype(np.float64)
    return {
        "accuracy": correct / digits,
        "interval": _interval(correct, digits),
        "correct": correct,
        "digits": digits,
        "macro_f1": _macro_f1(confusion),
        "loss": float(-np.log(np.maximum(given, 1e-30)).mean()),
        "confusion_matrix": confusion.tolist(),
        "per_class": [_of_class(confusion, number) for number in range(len(confusion))],
        "calibration": asdict(calibrated) | {"sentence": calibrated.sentence},
        "mistakes": _mistakes(probabilities, labels, predictions),
    }


def _interval(right: int, of: int) -> list[float] | None:
    if not of:
        return None
    found = statistics.wilson(right, of)
    return [found.low, found.high]


def _of_class(confusion: NDArray[np.int64], number: int) -> dict[str, Any]:
    right, shown, named = int(confusion[number, number]), int(confusion[number].sum()), int(confusion[:, number].sum())
    return {
        "class": number,
        "digits": shown,
        "predicted": named,
        "correct": right,
        "recall": right / shown if shown else None,
        "recall_interval": _interval(right, shown),
        "precision": right / named if named else None,
        "precision_interval": _interval(right, named),
    }


def _macro_f1(confusion: NDArray[np.int64]) -> float:
    """The mean over the classes that were shown of F1, 2 right / (shown + named)."""
    right, both = confusion.diagonal(), confusion.sum(axis=0) + confusion.sum(axis=1)
    shown = confusion.sum(axis=1) > 0
    return float((2 * right[shown] / both[shown]).mean())


def _mistakes(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], predictions: NDArray[np.int64]
) -> list[dict[str, Any]]:
    wrong = np.flatnonzero(predictions != labels)
    worst = wrong[np.argsort(-probabilities[wrong, predictions[wrong]], kind="stable")][:MOST_MISTAKES]
    return [
        {
            "index": int(row),
            "label": int(labels[row]),
            "prediction": int(predictions[row]),
            "probability": float(probabilities[row, predictions[row]]),
        }
        for row in worst
    ]
