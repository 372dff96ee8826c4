"""A training: what its files say, and where the page, the terminal and `runs show` tell it."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .claims import table
from .records import Record

OTHERS = 4000
"""Further digits that an interval of prediction speaks of."""


def quantities(record: Record) -> dict[str, Any]:
    """Everything that may be told of a training, by name; of repeats by their mean."""
    metrics, config, about = record.metrics, record.config, record.json("data.json")
    found: dict[str, Any] = {
        "epochs": [history.epoch.iloc[-1] for history in record.histories],
        "asked": config["training"]["epochs"],
    }
    val_loss = record.curves("val_loss")
    for field in ("loss", "accuracy", "val_loss", "val_accuracy"):
        curves, means = record.curves(field), record.mean(field)
        if means.size:
            known = np.flatnonzero(np.isfinite(means))[[0, -1]] if np.isfinite(means).any() else []
            found |= {f"{field} by epoch": means, f"last {field}": means[-1]}
            found |= {f"ends of {field}": [*means[known], *np.add(known, 1)]}
            found |= {f"lasts {field}": [row[np.isfinite(row)][-1] for row in curves]}
    if val_loss.size and np.isfinite(val_loss).any():
        mean = record.mean("val_loss")
        lowest, at = float(np.nanmin(mean)), int(np.nanargmin(mean)) + 1
        found |= {"minimum": lowest, "epoch of minimum": np.flatnonzero(mean == lowest) + 1, "times": mean[-1] / lowest}
        found |= {"first minimum": np.nanmin(val_loss[0]), "first epoch of minimum": np.nanargmin(val_loss[0]) + 1}
        found |= {"minima": np.nanmin(val_loss, axis=1), "epochs of minima": np.nanargmin(val_loss, axis=1) + 1}
        # That of the digits' losses at the minimum, of several trainings their mean: no file holds these losses.
        error = metrics.get("repeats", metrics)["best_epochs"]["standard_error"]
        inside = np.flatnonzero(~(mean <= lowest + error)) + 1
        before, after = inside[inside < at], inside[inside > at]
        found["flat"] = [*(before[-1:] + 1 if len(before) else [1]), *(after[:1] - 1 if len(after) else [len(mean)])]
        found |= {"standard error": error, "loss there": record.mean("loss")[at - 1]}
        found["overfitting"] = _rise(mean, found["flat"][1], lowest + error)
    found |= _stopped(record)
    found |= _tested(record)
    found |= {"parts": [len(about[part]) for part in ("train", "validation", "test")], "all": about["digits"]}
    found["updates"] = -(-len(about["train"]) // config["training"]["batch_size"])
    found |= {
        "seed": config["seed"],
        "repeats": len(record.histories),
        "training": np.arange(len(record.histories)) + 1,
        "settings": numbers_of(config),
    }
    found |= {
        "seconds": [
            *metrics["seconds"].values(),
            *(value for value in [record.json("status.json").get("seconds")] if value),
        ]
    }
    environment = record.json("environment.json")
    found["environment"] = numbers_of(environment)
    return found | tables(found)


def _rise(mean: np.ndarray, flat: int, limit: float) -> int | None:
    """The first epoch after the flat range from which on the running median of 5 epochs stays above the limit."""
    after = pd.Series(mean, index=np.arange(1, len(mean) + 1)).dropna().loc[flat + 1 :]
    low = after[after.rolling(5, center=True, min_periods=1).median() <= limit]
    rise = after.loc[low.index[-1] + 1 :] if len(low) else after
    return int(rise.index[0]) if len(rise) >= 3 else None


def _stopped(record: Record) -> dict[str, Any]:
    """The patience of early stopping, and the epochs whose weights are kept, by the curves of each training."""
    stopping = record.config["training"].get("early_stopping")
    if not stopping:
        return {}
    patience, kept = stopping["patience"], []
    for curve in record.curves("val_loss"):
        epochs, lowest, at = int(np.isfinite(curve).sum()), np.inf, 0
        for epoch, loss in enumerate(curve[:epochs], start=1):
            lowest, at = (loss, epoch) if loss < lowest - stopping.get("min_delta", 0.0) else (lowest, at)
        assert epochs == record.config["training"]["epochs"] or epochs - at == patience, "stopped at another epoch"
        kept.append(at if stopping.get("restore_best_weights", True) else epochs)
    return {"patience": patience, "kept": kept, "least fall": stopping.get("min_delta", 0.0)}


def tables(found: dict[str, Any]) -> dict[str, Any]:
    """The cells of the tables, each under its table, row and column."""
    cells: dict[str, Any] = {}
    many = f", mean of {found['repeats']} trainings" if found["repeats"] > 1 else ""
    for epoch in range(1, min(found["epochs"]) + 1):
        row = f"the curves in numbers{many} / {epoch}"
        cells[f"{row} / epoch"] = epoch
        for field in ("loss", "accuracy", "val_loss", "val_accuracy"):
            if f"{field} by epoch" in found:
                head = field.replace("val_", "validation ")
                cells[f"{row} / {head}"] = found[f"{field} by epoch"][epoch - 1]
    cells |= class_cells(found["counts"])
    for row, label, read, sure in found["misread"]:
        place = f"the misread digits in numbers / {row}"
        cells |= {f"{place} / row": row, f"{place} / label": label, f"{place} / read as": read}
        cells[f"{place} / probability"] = sure
    for number, accuracy in enumerate(found["accuracy of each"], start=1):
        row = f"the same training with different seeds / {number}"
        cells |= {f"{row} / training": number, f"{row} / test accuracy": accuracy}
        if "minima" in found:
            cells |= {f"{row} / {word} validation loss": found["minima"][number - 1] for word in ("least", "lowest")}
    return cells


def class_cells(counts: np.ndarray) -> dict[str, Any]:
    """The cells of the table of classes, of counts (classes, classes)."""
    cells: dict[str, Any] = {}
    for digit, (shown, taken, right) in enumerate(zip(counts.sum(1), counts.sum(0), counts.diagonal(), strict=True)):
        row = f"precision, recall and f1 of each class / {digit}"
        cells |= {f"{row} / class": digit, f"{row} / digits": shown, f"{row} / correct": right}
        for name, of in (("recall", shown), ("precision", taken), ("f1", shown + taken - right)):
            ends = [right / of, *wilson(right, of)] if of else []
            cells[f"{row} / {name}"] = [2 * end / (1 + end) for end in ends] if name == "f1" else ends
    return cells


def _tested(record: Record) -> dict[str, Any]:
    """What follows from the predictions of the test digits, of every repeat; the first one's model is saved."""
    n = record.metrics["test_digits"]
    matrices = record.confusions
    accuracies = np.array([np.trace(counts) / counts.sum() for counts in matrices])
    assert all(counts.sum() == n for counts in matrices), f"{n} test digits, but other counts in predictions.npz"
    if record.predictions is not None:
        right = [float(np.mean(predicted == record.labels)) for predicted in record.predictions]
        # A digit between two classes may fall either way on another processor.
        assert np.allclose(right, accuracies, atol=1.5 / n), f"accuracies {accuracies} but the networks have {right}"
    mean, correct, counts = float(accuracies.mean()), accuracies * n, matrices[0]
    found: dict[str, Any] = {"test digits": n, "correct of each": correct, "accuracy of each": accuracies}
    found |= {"accuracy": mean, "correct": correct[0], "saved accuracy": accuracies[0], "counts": counts}
    found |= {"counts of all": sum(matrices), "correct of all": correct.sum(), "digits of all": n * len(matrices)}
    if len(accuracies) > 1:
        found["spread"] = accuracies.std(ddof=1)
    if len(accuracies) > 2:
        half = max(stats.t.ppf(0.975, len(accuracies) - 1) * accuracies.std(ddof=1) / len(accuracies) ** 0.5, 0.5 / n)
        found["interval"] = [mean - half, mean + half]
    elif len(accuracies) == 1:
        found["interval"] = wilson(correct[0], n)
    found["interval of digits"] = wilson(correct[0], n)
    found["predicted"] = predicted(correct[0], n, OTHERS)
    found["others"] = OTHERS
    found["test loss"] = record.test_loss
    found["confusions"] = counts[~np.eye(10, dtype=bool)]
    found["misread"] = misread(record)
    found["mistakes"] = [value for row in found["misread"] for value in row[1:]] + [n - int(correct[0]), 24]
    found["digits"] = np.arange(10)
    return found


def misread(record: Record) -> list[tuple[int, int, int, float]]:
    """Row, label, reading and probability of each digit that the saved model misreads."""
    if not (record.path / "predictions.npz").exists():
        return []
    with np.load(record.path / "predictions.npz") as kept:
        labels, shares, rows = kept["labels"], kept["probabilities"], kept["rows"]
    read = shares.argmax(axis=1)
    sure = [float(value) if value < 0.9995 else 0.999 for value in shares.max(axis=1)]  # told as more than 99.9%
    return [(rows[i], labels[i], read[i], sure[i]) for i in np.flatnonzero(read != labels)]


def wilson(right: float, n: float) -> list[float]:
    """Wilson's 95% interval as the solutions of (p - k/n)^2 = z^2 p (1 - p) / n."""
    z2, share = stats.norm.ppf(0.975) ** 2 / n, right / n
    roots = np.roots([1 + z2, -2 * share - z2, share**2]).real
    return sorted(float(root) for root in roots)


def predicted(right: float, n: float, m: float) -> list[float]:
    """Where the accuracy on m further digits falls, searched on a fine grid."""
    y = np.linspace(0, 1, 1_000_001)
    pooled = (right + m * y) / (n + m)
    inside = y[np.abs(right / n - y) <= stats.norm.ppf(0.975) * np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))]
    return [float(inside[0]), float(inside[-1])]


def numbers_of(value: Any) -> list[float]:
    """Every number anywhere in a document, those in its texts too."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers_of(item)]
    if isinstance(value, list | tuple):
        return [number for item in value for number in numbers_of(item)]
    try:
        return [] if value is None else [float(value)]
    except ValueError:
        return []


RULES = table(
    r"""
^headline :: . :: accuracy, correct, test digits, repeats
^lead|^tile (?:mean )?test accuracy :: ^(?!.*saved model) :: accuracy, interval, repeats
^lead :: saved model :: saved accuracy, correct, test digits
^terminal / saved model :: . :: saved accuracy, interval of digits, correct, test digits
^tile saved model$ :: . :: saved accuracy
^tile saved model / note :: . :: interval of digits
^tile .*epochs?\b :: . :: epochs, epoch of minimum, flat, last loss, repeats, standard error
^tile .*(?:least|lowest|validation loss) :: . :: minimum, last val_loss, epoch of minimum, standard error
^tile .*(?:loss) :: . :: last loss, last val_loss, minimum
data look like|network|^terminal :: handwritten|parts|filters|optimizer|dropout|drops|dense|batch :: all, parts
data look like|network|^terminal :: handwritten|parts|filters|optimizer|dropout|drops|dense|batch :: settings
data look like.*(?:part|training|validation|test) / :: . :: parts
.* :: training loss(?:, mean of \d+ trainings,)? (?:goes|falls|ends|rises) :: ends of loss, repeats
.* :: loss on the|validation loss (?:goes|falls) :: ends of val_loss, minimum, epoch of minimum, repeats
description :: over \d+ epochs|(?:means|mean) of|^Lines :: epochs, repeats
curves in numbers .*/ epoch$ :: . :: epoch
.* :: validation loss is lowest|lowest|minimum|equally low :: minimum, epoch of minimum, repeats, standard error
.* :: as good|within|standard error :: flat, standard error, minimum, repeats
.* :: overfit|stays|unstable|ends at|times the :: overfitting, last val_loss, times, epoch of minimum, minimum
.* :: overfit|stays|unstable|ends at|times the :: repeats, standard error
best number of epochs :: ^Mean of \d+ trainings:$ :: repeats
best number of epochs :: stopped early after epoch :: epochs, asked, patience, least fall
best number of epochs :: ran for all \d+ epochs :: asked
best number of epochs :: scored model has the weights :: kept
best number of epochs :: ^Training \d+ (?:stopped|ran) :: training
accurate is it :: correct|accura|are a sample :: saved accuracy, correct, test digits, interval of digits
^terminal :: correct|accura|are a sample :: saved accuracy, correct, test digits, interval of digits, accuracy
^terminal :: correct|accura|are a sample :: interval, test loss, repeats, spread
.* :: test loss :: test loss
description :: confusion :: digits, confusions
description :: \d as \d :: digits, confusions
seed :: mean|spread|standard deviation|seeds|trainings :: accuracy, spread, interval, repeats, correct of each
seed :: mean|spread|standard deviation|seeds|trainings :: accuracy of each, minima, repeats
seed.* / \d+ / |(?:first|other) training :: . :: correct of each, accuracy of each, minima, repeats
seed.* / \d+ / |(?:first|other) training :: . :: epochs of minima, training, test digits, lasts val_loss
^terminal :: ^mean|seeds|trainings :: accuracy, spread, interval, repeats, correct of each, accuracy of each, minima
^terminal :: ^mean|seeds|trainings :: repeats, test digits
unseen :: further digits|prediction|unseen digits :: others, predicted
.* :: has not learned|diverged|learning rate below :: lasts accuracy, settings, training, epochs
how was this made :: . :: settings, environment, seconds, seed
.* :: ^Training \d :: training, correct of each, accuracy of each, minima, repeats, lasts accuracy
confidence|confus|taken for :: . :: confusions, digits
digits are misread :: . :: mistakes, test digits
^figure :: mean and range of :: repeats
^figure accuracy :: training [\d.]+% at the end :: ends of accuracy
^figure accuracy :: validation .*at the end :: ends of val_accuracy
^figure .*confusion :: classified correctly :: correct of all, digits of all, accuracy
^figure mistakes :: . :: mistakes
"""
)
