"""What `runs list`, `runs show` and `runs compare` print, and numbers of `metrics.json`, against the runs' files."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from .claims import About, flat
from .records import Record

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
        if told and own and not (len(told) <= len(own) and all(map(_near, told, own))):
            found.append(f"metrics.json: {path} is {value}, but {name} is {known[name]}")
    return found


def _near(told: float, own: Any) -> bool:
    value, within = (own.value, own.within) if isinstance(own, About) else (own, 0.0)
    return abs(told - value) <= within + 2e-6 * max(1.0, abs(told))


def shown_faults(record: Record, text: str) -> list[str]:
    """Values of `runs show` that are not in `metrics.json` or `config.yaml`, or not those of the curves."""
    found, metrics = [], _leaves(record.metrics)
    leaves = _leaves(record.config) | {
        name: f"{leaf:.4g}" if isinstance(leaf, float) else leaf for name, leaf in metrics.items()
    }
    own = text.partition("\nFiles\n")[0]
    for line in (own.partition("\nSettings\n")[2] or own).splitlines():  # the answer before it is that of the page
        name, _, value = re.sub(r"\s{2,}", "\t", line.strip()).partition("\t")
        cells = value.split("\t")
        if name in CURVES and len(cells) > 3:
            mean = record.mean(CURVES[name])
            mean = mean[np.isfinite(mean)]
            own = [f"{one:.4g}" for one in (mean[0], mean[-1], mean.min(), mean.max())]
            if cells[-4:] != own:
                found.append(f"runs show: {name} has {cells[-4:]}, history.csv {own}")
        elif name in leaves and not isinstance(leaves[name], list) and name not in ("name", "command"):
            told = value.replace("null", "None").replace("true", "True").replace("false", "False")
            found += [f"runs show: {name} is {value!r}, not {leaves[name]!r}"] if told != str(leaves[name]) else []
        if re.search(r"\b(nan|None|inf)\b", line):
            found.append(f"runs show: {line.strip()}")
    return found


def _leaves(value: Any, place: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {place: value}
    return {key: leaf for name, one in value.items()
            for key, leaf in _leaves(one, f"{place}.{name}" if place else str(name)).items()}  # fmt: skip


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


def score_of(record: Record) -> float | None:
    """The mean test accuracy of a training, the best score of a sweep; None of other runs."""
    if record.command.startswith("sweep"):
        return float(record.trials.mean_test_score.max())
    if record.command not in ("train", "best"):
        return None
    return float(np.mean([np.trace(one) / one.sum() for one in record.confusions]))


def compared_faults(first: Record, second: Record, text: str) -> list[str]:
    """Numbers of `runs compare` of two trainings on the same test digits that their predictions don't have."""
    right = [np.array([p.argmax(1) == labels for labels, p in record.tested]) for record in (first, second)]
    accuracies = [100 * one.mean() for one in right]
    answer = next((line for line in text.splitlines() if line.startswith("2 against 1")), "")
    told = re.search(r"([\d.]+)% against ([\d.]+)% of the same (\d+) test digits: ([+-][\d.]+) points", answer)
    if not told:
        return [f"runs compare: no comparison in {answer!r}"]
    own = [round(accuracies[1] + 1e-9, 1), round(accuracies[0] + 1e-9, 1), float(right[0].shape[1])]
    values = [float(one) for one in told.groups()]
    found = [] if values[:3] == own else [f"runs compare: tells {values[:3]}, the predictions have {own}"]
    if abs(values[3] - (values[0] - values[1])) > 0.051:
        found.append(f"runs compare: {values[0]} less {values[1]} is told as {values[3]}")
    if len(right[0]) == len(right[1]) == 1:
        a, b = right[0][0], right[1][0]
        n = int((a != b).sum())
        p = stats.binomtest(int((a & ~b).sum()), n).pvalue if n else 1.0
        said = re.search(r"p = ([\d.e-]+)", answer)
        if said and abs(float(said[1]) - p) > 0.06 * p:
            found.append(f"runs compare: p is told as {said[1]}, McNemar's is {p:.3g}")
    mostly = [_mostly([p.argmax(1) for _, p in record.tested]) == record.tested[0][0] for record in (first, second)]
    counts = {number: int((one & ~other).sum()) for number, one, other in ((1, *mostly), (2, *mostly[::-1]))}
    for count, number in re.findall(r"^(\d+) digits? that only (\d) classifies correctly:", text, re.M):
        if counts[int(number)] != int(count):
            found.append(
                f"runs compare: only {number} classifies {count} correctly, by the predictions {counts[int(number)]}"
            )
    return found


def _mostly(readings: Sequence[np.ndarray]) -> np.ndarray:
    """What most trainings read each digit as; of equals, the first training's."""
    columns = [list(column) for column in zip(*readings, strict=True)]
    return np.array([max(column, key=column.count) for column in columns])


def commands_faults(records: Sequence[Record]) -> list[str]:
    """What `runs list`, `runs show` and `runs compare` print wrongly of some runs of one folder."""
    from programs import call

    folder = records[0].path.parent
    listed = call("runs", "list", "--runs-dir", folder, cwd=folder)
    found = listed_faults(folder, listed.stdout)
    for record in records:
        found += shown_faults(record, call("runs", "show", record.path, cwd=folder).stdout)
    trained = [one for one in records if one.command in ("train", "best") and one.metrics]
    for first, second in pairwise(trained):
        if all((one.path / "predictions.npz").exists() for one in (first, second)) and _same_digits(first, second):
            found += compared_faults(first, second, call("runs", "compare", first.path, second.path, cwd=folder).stdout)
    return found


def _same_digits(first: Record, second: Record) -> bool:
    a, b = first.json("data.json"), second.json("data.json")
    return bool(a["sha256"] == b["sha256"] and a["test"] == b["test"])
