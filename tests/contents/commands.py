"""What `runs list` and `runs show` print, and the numbers of `metrics.json`, against the runs' files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from .claims import flat, four_digits, is_rounded, near
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


def listed_faults(runs_dir: Path, text: str) -> list[str]:
    """Scores of `runs list`, a line for each run with tabs between, that are not those of the runs."""
    found = []
    for line in text.splitlines():
        run, status, _, _, score = line.split("\t")[:5]
        record = Record(runs_dir / run)
        scored = status == "done" or (status == "interrupted" and (runs_dir / run / "metrics.json").exists())
        own = score_of(record) if scored else None
        if (score == "-") != (own is None) or (own is not None and abs(float(score) - own) > 1e-9):
            found.append(f"runs list: {run} scores {score}, but its files say {own}")
    return found


def grouped_faults(runs_dir: Path, document: Mapping[str, Any], text: str) -> list[str]:
    """Numbers of `runs list --group` that are not those of the groups' runs: the mean of each run's trainings."""
    found, rows = [], [re.split(r"\s{2,}", line) for line in text.splitlines() if line[:1].isdecimal()]
    for row, group in zip(rows, document["groups"], strict=True):
        records = [Record(runs_dir / run) for run in group["runs"]]
        values = np.array([score_of(record) for record in records], float)
        own: dict[str, Any] = {"values": values, "count": len(values), "mean": values.mean()}
        if len(values) > 1:
            own["std"] = values.std(ddof=1)
        if len(values) > 2:
            half = stats.t.ppf(0.975, len(values) - 1) * own["std"] / len(values) ** 0.5
            half = max(half, 0.5 / records[0].metrics["test_digits"])
            own["interval"] = [values.mean() - half, values.mean() + half]
        for key in ("values", "count", "mean", "std", "interval"):
            told, value = flat(group[key]), flat(own.get(key))
            if len(told) != len(value) or not all(map(near, told, value)):
                found.append(f"runs list --group --json: {key} is {group[key]}, of the runs {value}")
        printed = [token for cell in row[1:4] for token in cell.split(" to ") if token != "-"]
        of_runs = [value for key in ("mean", "std", "interval") for value in flat(own.get(key))]
        if row[0] != str(len(values)) or len(printed) != len(of_runs) or not all(map(_percent, printed, of_runs)):
            found.append(f"runs list --group: {row[:4]}, of the runs {of_runs}")
    return found


def _percent(token: str, value: float) -> bool:
    return token.endswith("%") and is_rounded(token, value, 100)


def score_of(record: Record) -> float | None:
    """The mean test accuracy of a training, the best score of a sweep; None of other runs."""
    if record.command.startswith("sweep"):
        return float(record.trials.mean_test_score.max())
    if record.command not in ("train", "best"):
        return None
    return float(np.mean([np.trace(one) / one.sum() for one in record.confusions]))
