"""Which of several runs is better on the same test digits, by their predictions.npz and scipy."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from scipy import stats

from .claims import About
from .records import Record
from .sweep import bootstrap

Own = Mapping[str, Any]
"""What two runs' predictions say, by the keys of `runs compare --json`, and the `smallest_drop` of `runs check`."""


def compared(records: Sequence[Record]) -> list[Own | None]:
    """Each run after the first against it, with Holm's p-values; None where they have no predictions of one test."""
    first, *others = records
    found = [paired(first, other) if same_test(first, other) else None for other in others]
    p, told = 0.0, sorted((one for one in found if one), key=lambda one: float(one["p_value"]))
    for place, one in enumerate(told):
        p, better = min(1.0, max(p, one["p_value"] * (len(told) - place))), ["worse", "better"][one["difference"] > 0]
        one |= {"adjusted_p_value": p, "verdict": better if p <= 0.05 else "not told apart"}
    return [*found]


def same_test(first: Record, second: Record) -> bool:
    """Whether two trainings keep predictions of the same test digits."""
    if not all(run.command in ("train", "best") and (run.path / "predictions.npz").exists() for run in (first, second)):
        return False
    one, other = first.json("data.json"), second.json("data.json")
    return all(one[key] == other[key] for key in ("sha256", "test"))


def paired(first: Record, second: Record) -> dict[str, Any]:
    """The comparison of two runs alone."""
    right = [np.array([p.argmax(1) == labels for labels, p in run.tested]) for run in (first, second)]
    trainings, (a, b) = [len(one) for one in right], [float(one.mean()) for one in right]
    labels = first.tested[0][0]
    columns = [labels, *(_mostly([p.argmax(1) for _, p in run.tested]) for run in (first, second))]
    digits = [
        {"row": row, "label": str(label), "first": str(one), "second": str(other)}
        for row, label, one, other in zip(first.json("data.json")["test"], *columns, strict=True)
    ]
    read = [(one["first"] == one["label"], one["second"] == one["label"]) for one in digits]
    return {
        "digits": len(labels), "trainings": trainings, "first_accuracy": a, "second_accuracy": b, "difference": b - a,
        "only_first": [one for one, only in zip(digits, read, strict=True) if only == (True, False)],
        "only_second": [one for one, only in zip(digits, read, strict=True) if only == (False, True)],
    } | (_networks(right[0][0], right[1][0]) if max(trainings) == 1 else _settings(right))  # fmt: skip


def _mostly(readings: Sequence[np.ndarray]) -> np.ndarray:
    """What most trainings read each digit as; of equals, the first training's."""
    columns = [list(column) for column in zip(*readings, strict=True)]
    return np.array([max(column, key=column.count) for column in columns])


def _networks(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Of one training each: McNemar's exact test, and the net loss of digits that it would have told from none."""
    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    low, high, within = bootstrap(second.astype(float) - first)

    def p(lost: int) -> float:
        return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0

    noticed = next(n for n in count(gained + 1) if p(n) <= 0.05) - gained
    return {
        "p_value": p(lost), "interval": [About(low, within), About(high, within)], "test": "exact McNemar test",
        "smallest_drop": noticed / len(first),
    }  # fmt: skip


def _settings(right: Sequence[np.ndarray]) -> dict[str, Any]:
    """Of several trainings: Student's t with digits and seeds as crossed random effects, Satterthwaite's freedom."""
    n, free, share = right[0].shape[1], sum(len(run) - 1 for run in right), sum(1 / len(run) for run in right)
    gain = np.append(right[1].mean(axis=0) - right[0].mean(axis=0), [1, -1])  # two digits that nobody has seen
    weights = np.append(np.ones(n), [share / 4, share / 4])
    of_digits = float(np.cov(gain, aweights=weights, ddof=0)) / (weights.sum() + 1)
    of_seeds = share * sum(len(run) * run.mean(axis=1).var() for run in right) / free
    rest = sum(run.size * (run.var() - run.mean(axis=0).var() - run.mean(axis=1).var()) for run in right)
    of_answers = share * rest / (free * (n - 1) * n)
    variance, freedom = of_digits, float(n)
    if of_seeds > of_answers:
        variance += of_seeds - of_answers
        freedom = variance**2 / (of_digits**2 / n + of_seeds**2 / free + of_answers**2 / (free * (n - 1)))
    error, difference = variance**0.5, float(right[1].mean() - right[0].mean())
    reach = float(stats.t.ppf(0.975, freedom)) * error
    return {
        "p_value": 2 * float(stats.t.sf(abs(difference) / error, freedom)), "smallest_drop": reach,
        "interval": [difference - reach, difference + reach], "test": "t test over seeds and digits",
    }  # fmt: skip
