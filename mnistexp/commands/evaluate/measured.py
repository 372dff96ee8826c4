"""The metrics of a model on labelled digits: accuracy, per-class results, calibration, and the worst mistakes."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp import statistics
from mnistexp.runs.predictions import mistakes
from mnistexp.statistics.class_scores import ClassScores, calibration, class_scores


def measured(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, Any]:
    """The numbers of a `metrics.json`, of probabilities float32 (n, classes) and labels int64 (n,).

    `accuracy`, `interval` (95%, Wilson), `correct`, `digits`, `macro_f1`, `loss` (cross-entropy), `confusion_matrix`,
    `per_class` with recall, precision and F1, `calibration`, and `mistakes`, the most confident first.
    """
    confusion = statistics.confusion_matrix(labels, probabilities.argmax(axis=1), probabilities.shape[1])
    classes = class_scores(confusion)
    correct, digits = int(confusion.trace()), len(labels)
    interval = statistics.wilson(correct, digits)
    calibrated = calibration(probabilities, labels)
    given = probabilities[np.arange(digits), labels].astype(np.float64)
    return {
        "accuracy": correct / digits,
        "interval": interval.ends,
        "correct": correct,
        "digits": digits,
        "macro_f1": float(np.mean([one.f1.value for one in classes if one.digits and one.f1])),
        "loss": float(-np.log(np.maximum(given, 1e-30)).mean()),
        "confusion_matrix": confusion.tolist(),
        "per_class": [_of_class(number, scores) for number, scores in enumerate(classes)],
        "calibration": asdict(calibrated) | {"sentence": calibrated.sentence},
        "mistakes": [asdict(one) for one in mistakes(probabilities, labels)],
    }


def _of_class(number: int, scores: ClassScores) -> dict[str, Any]:
    found: dict[str, Any] = {"class": number} | asdict(scores)
    for name in ("recall", "precision", "f1"):
        score = getattr(scores, name)
        found[name] = score.value if score else None
        found[f"{name}_interval"] = score.interval.ends if score else None
    return found
