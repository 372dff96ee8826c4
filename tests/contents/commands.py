"""What `runs list` and `runs show` print, and the numbers of `metrics.json`, against the runs' files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .claims import flat, four_digits, near
from .records import Record, leaves

STORED = {
    "train": """
test_accuracy :: saved accuracy
test_accuracy_interval :: interval of digits
test_correct :: correct
test_digits :: test digits
test_loss :: test loss
confusion_matrix :: counts
min_val_loss :: first minimum
min_val_loss_epoch :: first epoch of minimum
repeats.test_accuracies :: accuracy of each
repeats.mean :: accuracy
repeats.std :: spread
repeats.interval :: interval
repeats.min_val_loss :: minimum
""",
    "sweep": """
best_score :: best
trials :: whole
epochs :: epochs
folds :: folds
""",
    "evaluate": """
accuracy :: accuracy
interval :: interval
correct :: correct
macro_f1 :: macro F1
loss :: loss
calibration.error :: calibration error
expected.interval :: ahead
""",
    "best": """
test_accuracy :: saved accuracy
test_accuracy_interval :: interval of digits
confusion_matrix :: counts
repeats.mean :: accuracy
best_score :: score
choice.settings :: settings compared
choice.repeated :: repeated
choice.chosen.accuracy :: score
choice.chosen.tied :: tied
choice.combination.accuracy :: combined score
representative.test.accuracy :: saved accuracy
representative.cross_validation.accuracy :: score
representative.selection.raw :: raw
representative.selection.corrected :: corrected
representative.selection.interval :: corrected interval
representative.nested.accuracy :: nested
representative.unseen.accuracy :: unseen
representative.unseen.predicted :: predicted
representative.ledger.times :: test reads
predicted_accuracy :: prediction
""",
}
"""Places in `metrics.json` and the quantities that they hold, by kind."""
CURVES = {"loss": "loss", "validation loss": "val_loss", "accuracy": "accuracy", "validation accuracy": "val_accuracy"}


def stored_faults(record: Record, known: Mapping[str, Any]) -> list[str]:
    """Numbers of `metrics.json` that are not those of the run's other files."""
    kind, found = "sweep" if record.command.startswith("sweep") else record.command, []
    for line in STORED.get(kind, "").split("\n")[1:-1]:
        path, name = line.split(" :: ")
        value: Any = record.metrics
        for key in path.split("."):
            value = value.get(key) if value else None
        told, own = np.ravel(value).tolist() if value is not None else [], flat(known.get(name))
        if told and own and not (len(told) <= len(own) and all(map(near, told, own))):
            found.append(f"metrics.json: {path} is {value}, but {name} is {known[name]}")
    return found


def shown_faults(record: Record, text: str) -> list[str]:
    """Values of `runs show` that are not in `metrics.json` or `config.yaml`, or not those of the curves."""
    found, metrics = [], leaves(record.metrics)
    known = leaves(record.config) | {
        name: f"{leaf:.4g}" if isinstance(leaf, float) else leaf for name, leaf in metrics.items()
    }
    own = text.partition("\nFiles\n")[0]
    for line in (own.partition("\nSettings\n")[2] or own).splitlines():  # the answer before it is that of the page
        name, _, value = re.sub(r"\s{2,}", "\t", line.strip()).partition("\t")
        cells = value.split("\t")
        if name in CURVES and len(cells) > 3:
            mean = record.mean(CURVES[name])
            mean = mean[np.isfinite(mean)]
            ends = (mean[0], mean[-1], mean.min(), mean.max())
            if not all(cell in four_digits(end) for cell, end in zip(cells[-4:], ends, strict=True)):
                found.append(f"runs show: {name} has {cells[-4:]}, history.csv {ends}")
        elif name in known and not isinstance(known[name], list) and name not in ("name", "command"):
            told = value.replace("null", "None").replace("true", "True").replace("false", "False")
            found += [f"runs show: {name} is {value!r}, not {known[name]!r}"] if told != str(known[name]) else []
        if re.search(r"\b(nan|None|inf)\b", line):
            found.append(f"runs show: {line.strip()}")
    return found


def listed_faults(runs_dir: Path, text: str, *keys: str) -> list[str]:
    """Scores and values of keys in `runs list`, a line for each run with tabs between, that its files don't have."""
    found = []
    for line in text.splitlines():
        run, status, _, _, score, *values = line.split("\t")
        record = Record(runs_dir / run)
        for key, told in zip(keys, values, strict=False):
            value = value_of(record, key)
            if (told == "-") != (value is None) or (value is not None and not near(float(told), value)):
                found.append(f"runs list: {key} of {run} is {told}, by its files {value}")
        scored = status == "done" or (status == "interrupted" and (runs_dir / run / "metrics.json").exists())
        own = score_of(record) if scored else None
        if (score == "-") != (own is None) or (own is not None and abs(float(score) - own) > 1e-9):
            found.append(f"runs list: {run} scores {score}, but its files say {own}")
    return found


def score_of(record: Record) -> float | None:
    """The mean test accuracy of a training, the best score of a sweep; None of other runs."""
    if record.command.startswith("sweep"):
        return float(record.trials.mean_test_score.max())
    if record.command not in ("train", "best"):
        return None
    return float(np.mean([np.trace(one) / one.sum() for one in record.confusions]))


def value_of(record: Record, key: str) -> float | None:
    """A number of a run, accuracy, lowest and last values over all its trainings, by its files; None if it has none."""
    if not record.metrics:
        return None  # it has no results yet
    if key == "test_accuracy":
        return None if record.command.startswith("sweep") else score_of(record)
    if key == "min_val_loss" or (field := key.removeprefix("final_")) in CURVES.values():
        mean = record.mean("val_loss" if key == "min_val_loss" else field)
        finite = mean[np.isfinite(mean)]
        return (float(finite.min()) if key == "min_val_loss" else float(mean[-1])) if len(finite) else None
    value = {**leaves(record.config), **leaves(record.metrics)}.get(key)
    return float(value) if isinstance(value, int | float) else None
