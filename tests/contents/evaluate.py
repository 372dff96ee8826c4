"""An evaluation: what the model says of the digits, and where the page and the terminal tell it."""

from typing import Any

import numpy as np
from scipy import stats

from . import training
from .best import ledger
from .claims import table
from .records import PACKAGE, Record

BINS = 15


def quantities(record: Record) -> dict[str, Any]:
    """Everything that may be told of an evaluation, by name; of foreign digits what its confusion matrix implies."""
    metrics, run = record.metrics, Record(record.path.parent / record.metrics["run"])
    counts = np.array(metrics["confusion_matrix"])
    right, n = int(np.trace(counts)), int(counts.sum())
    found: dict[str, Any] = {
        "counts": counts, "counts of all": counts, "correct": right, "digits": n, "accuracy": right / n,
        "interval": training.wilson(right, n), "settings": training.numbers_of(record.config),
        "environment": training.numbers_of(record.json("environment.json")),
        "seconds": record.json("status.json").get("seconds"), "missed": n - right,
    }  # fmt: skip
    cells = training.class_cells(counts)
    scores = [cells[f"precision, recall and f1 of each class / {digit} / f1"] for digit in range(len(counts))]
    shown = counts.sum(axis=1)
    found["macro F1"] = float(np.mean([score[0] for score, many in zip(scores, shown, strict=True) if score and many]))
    recalls = np.where(shown > 0, counts.diagonal() / np.maximum(shown, 1), np.inf)
    found["worst"] = [int(recalls.argmin()), float(recalls.min())]
    of_run = run.metrics
    asked = metrics["trained_on"]["others"] or {"digits": n, "correct": right}
    found["asked"] = [asked["digits"], asked["correct"] / asked["digits"], metrics["trained_on"]["digits"] or 0, n]
    found["asked"] += training.wilson(asked["correct"], asked["digits"])
    found["ahead"] = training.predicted(of_run["test_correct"], of_run["test_digits"], asked["digits"])
    if (sure := probabilities(record, run)) is not None:
        labels, p = sure
        assert (np.abs(np.bincount(labels * len(counts) + p.argmax(1), minlength=counts.size)
                       - counts.ravel()).sum()) <= 4, "confusion_matrix is not that of the model"  # fmt: skip
        found |= calibrated(labels, p)
    if metrics["own_test_digits"]:
        found |= ledger(record)
    return found | cells


def probabilities(record: Record, run: Record) -> tuple[np.ndarray, np.ndarray] | None:
    """Labels and probabilities (n, classes) of the digits: those of the run, or of the packaged unseen ones."""
    if record.metrics["own_test_digits"]:
        return run.tested[0]
    if record.metrics["source"] != "unseen":
        return None
    with np.load(PACKAGE / "data" / "digits" / "unseen_4000.npz") as arrays:
        return arrays["labels"], run.read_by_model(arrays["images"])


def calibrated(labels: np.ndarray, p: np.ndarray) -> dict[str, Any]:
    """The calibration error with its bins, the loss, and the most confident mistakes."""
    sure, right = p.max(axis=1).astype(float), p.argmax(axis=1) == labels
    where = stats.binned_statistic(-sure, sure, "count", bins=np.linspace(-1, 0, BINS + 1))[2]  # (low, high]
    bins = [(sure[where == one].mean(), right[where == one].mean(), (where == one).sum()) for one in np.unique(where)]
    error = sum(abs(confidence - share) * many for confidence, share, many in bins) / len(labels)
    wrong = np.flatnonzero(~right)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:24]
    told = [value for row in worst for value in (labels[row], p[row].argmax(), min(sure[row], 0.999))]
    return {
        "bins": sorted(bins), "calibration error": float(error),
        "points off": 100 * float(error), "mistakes": told,
        "loss": float(-np.log(p[np.arange(len(labels)), labels].astype(float)).mean()),
    }  # fmt: skip


RULES = table(
    r"""
^headline|accurate is it|^terminal|^figure .*confusion :: classifie.*correctly :: correct, digits, accuracy, interval
^lead|^tile accuracy|^terminal / accuracy :: . :: accuracy, interval
^lead|^terminal :: ^The model of :: accuracy, interval
^tile macro|^terminal / macro :: . :: macro F1
^tile calibration|^terminal / calibration :: . :: calibration error
accurate is it|^terminal :: prediction interval :: asked, ahead
accurate is it|^terminal :: was trained on|on the other :: asked
accurate is it|^terminal :: test digits were (?:read|used)|epochs of|runs folder :: test readings
which classes :: lowest recall :: worst
calibrated|^terminal|^figure reliability :: calibration error|points from :: calibration error, points off
which digits :: misread|most confident :: missed, digits, mistakes
^figure mistakes :: . :: mistakes
how was this made :: . :: settings, environment, seconds
"""
)
