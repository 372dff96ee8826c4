"""Every row of a reproduction's table, computed from the runs that it names and from the notebook's numbers."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from . import best, training
from .claims import About
from .records import Record

NOTEBOOK = {"sgd_150_epochs": 0.925, "adam_dropout_50_epochs": 0.96, "best": 0.96, "parameters": 108_618}
"""Numbers that the notebook printed outside its tables."""
ABOUT = 0.005
"""How far "about 0.96" may be off."""
DRAWS = 20_000
Steps = Mapping[tuple[str, str], Record]
"""The run of each task by its part and name."""


def steps_of(record: Record) -> Steps:
    """The runs of a reproduction."""
    return {(step["part"], step["name"]): Record(record.path.parent / step["run"]) for step in record.metrics["steps"]}


def rows_of(record: Record) -> list[dict[str, Any]]:
    """Of each row what is reported, ours, the range, and the numbers of its words; only what can be computed."""
    every = steps_of(record)
    final = every.get(("as intended", "best model"))
    kinds: dict[str, Callable[[Record, str, Steps], dict[str, Any]]] = {
        "data": _data, "curves": _curves, "as submitted": _submitted,
        "as intended": partial(_intended, own=best.quantities(final) if final else {}),
    }  # fmt: skip
    return [kinds[row["part"]](record, row["what"], every) for row in record.metrics["table"]]


def _data(record: Record, row: str, every: Steps) -> dict[str, Any]:
    _, labels = record.digits
    if "parameters" in row:
        kernel, filters, dense = 9, (16, 32), 128
        layers = [kernel * filters[0] + filters[0], kernel * filters[0] * filters[1] + filters[1]]
        layers += [5 * 5 * filters[1] * dense + dense, dense * 10 + 10]
        return {"reported": NOTEBOOK["parameters"], "ours": sum(layers)}
    if row.startswith("labels"):
        places = [int(place) for place in re.findall(r"\d+", row)]
        train = sorted_rows(every["data", "example digits"])
        return {"reported": labels[places].tolist(), "ours": labels[train[places]].tolist()}
    counts = np.bincount(labels).tolist()
    return {"reported": counts, "ours": counts}


def sorted_rows(own: Record) -> np.ndarray:
    """The rows of the training digits in the order in which scikit-learn's split gives them."""
    from sklearn.model_selection import train_test_split

    data = own.config["data"]
    rows, _ = train_test_split(np.arange(1000), test_size=data["test_fraction"], random_state=data["split_seed"])
    return np.asarray(rows)


def _curves(record: Record, row: str, every: Steps) -> dict[str, Any]:
    name, _, what = row.partition(": ")
    reported = record.reported_curves[record.reported_curves.run == name]
    own = every["curves", "sgd_150_epochs" if name == "sgd_60_epochs" else name]
    field = "loss" if "training loss" in what else "val_loss"
    theirs, ours = reported[field].to_numpy(float), own.curves(field)[:, : len(reported)]
    seeds: dict[str, Any] = {"words": [len(ours)]}
    if field == "loss":
        theirs, ours = np.log(theirs), np.log(ours)
    if "share of" in what:
        alone = [_inside(np.delete(ours, seed, axis=0), ours[seed]) for seed in range(len(ours))]
        share = _inside(ours, theirs[: ours.shape[1]])
        return seeds | {"reported": share, "ours": np.mean(alone), "range": [min(alone), 1.0]}
    if what.endswith("test accuracy"):
        values = np.array([np.trace(one) / one.sum() for one in own.confusions])
        low, high = predicted(values, 0.5 / own.metrics["test_digits"])
        about = {"about": ABOUT, "words": [len(ours), ABOUT, NOTEBOOK[name]]} if NOTEBOOK[name] == 0.96 else {}
        return seeds | {"reported": NOTEBOOK[name], "ours": values.mean(), "range": [low, high]} | about
    if "epoch of the lowest" in what:
        values, given, step = np.argmin(ours, axis=1) + 1.0, float(np.argmin(theirs) + 1), 0.5
    elif "lowest" in what:
        values, given, step = ours.min(axis=1), theirs.min(), 0.0
    else:
        at = int(re.findall(r"epoch (\d+)", what)[0]) - 1
        values, given, step = ours[:, at], theirs[at], 0.0
    back: Callable[[float], float] = np.exp if field == "loss" else float
    ends = [back(end) for end in predicted(values, step)] if len(values) > 2 else None
    if ends:  # no loss is below 0, no epoch before 1
        ends[0] = max(ends[0], 1.0 if "epoch of the lowest" in what else 0.0)
    return seeds | {"reported": back(given), "ours": back(values.mean())} | ({"range": ends} if ends else {})


def predicted(values: np.ndarray, least: float = 0.0) -> list[float]:
    """Student's prediction interval of one more value; `least`: its least half."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / len(values))
    return [values.mean() - max(half, least), values.mean() + max(half, least)]


def _inside(curves: np.ndarray, other: np.ndarray) -> float:
    low, high = np.transpose([predicted(at) for at in curves.T])
    return float(np.mean((low <= other) & (other <= high)))


def _rows_of(own: Record) -> np.ndarray:
    return own.trials.mean_test_score.to_numpy()


def of_seeds(every: Steps) -> np.ndarray:
    """The mean score of the folds in each repeat of the dropout sweep's optimizer, without dropout."""
    own = every["as submitted", "the dropout sweep's optimizer, without dropout"]
    folds = own.trials.filter(regex=r"^split\d+_test_score").to_numpy()
    return np.asarray(folds.reshape(own.correct.shape[1], -1).mean(axis=1))


def _submitted(record: Record, row: str, every: Steps) -> dict[str, Any]:
    theirs = {name: rows.mean_test_accuracy.to_numpy() for name, rows in record.reported_rows.groupby("sweep")}
    ours = {name: _rows_of(own) for (part, name), own in every.items() if part == "as submitted" and name in theirs}
    ours["dropout"] = ours["adam"]
    if "model" in row:
        return _arithmetic(re.findall(r'"(\w+) model"', row)[0], theirs, ours)
    family = row.partition(":")[0]
    own = of_seeds(every)
    x, y = theirs[family], own if "if its optimizer" in row else ours[family]
    low, high = predicted(y)
    adjusted, smallest = permuted(x, y)
    words = [x.mean(), y.mean(), x.std(ddof=1), y.std(ddof=1), len(x), len(y), np.sum((low <= x) & (x <= high))]
    within = 3 * (smallest * (1 - smallest) * (1 / 5000 + 1 / 10_000)) ** 0.5
    words += [About(smallest, within), About(adjusted, 3 * within)]
    rows = {adjusted > 0.05} | ({adjusted <= 0.05} if abs(adjusted - 0.05) < 3 * within else set())
    return {"reported": x.mean(), "ours": y.mean(), "range": [low, high], "words": words, "rows": rows}


def permuted(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Of permutation tests of means, spreads and shapes the least p-value, after Holm's correction and before."""
    points = np.unique([*x, *y])

    def means(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.abs(a.mean(axis=1) - b.mean(axis=1))

    def spreads(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.abs(np.log(a.std(axis=1, ddof=1) / b.std(axis=1, ddof=1)))

    def shapes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.abs((a[:, None] <= points[:, None]).mean(-1) - (b[:, None] <= points[:, None]).mean(-1)).max(axis=1)

    values = []
    for a, b, statistic in ((x, y, means), (x - x.mean(), y - y.mean(), spreads), (x, y, shapes)):
        both = np.concatenate([a, b])
        drawn = np.random.default_rng(3).permuted(np.tile(both, (5000, 1)), axis=1)
        far = statistic(drawn[:, : len(a)], drawn[:, len(a) :]) >= statistic(a[None], b[None]) - 1e-12
        values.append((1 + far.sum()) / 5001)
    return min(1.0, 3 * min(values)), min(values)


def _arithmetic(name: str, theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> dict[str, Any]:
    """The highest of as many further normal scores for each sweep: the best, worst or mean of these."""
    random, highest = np.random.default_rng(9), []
    for family, rows in theirs.items():
        own = ours[family]
        spread = own.std(ddof=1) * np.sqrt((len(own) - 1) / random.chisquare(len(own) - 1, (DRAWS, 1)))
        middle = own.mean() + spread / len(own) ** 0.5 * random.standard_normal((DRAWS, 1))
        highest.append(np.minimum(1, (middle + spread * random.standard_normal((DRAWS, len(rows)))).max(axis=1)))
    join = {"best": np.max, "worst": np.min, "average": np.mean}[name]
    drawn, best = join(highest, axis=0), [rows.max() for rows in theirs.values()]
    low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975])
    within = 0.06 * float(drawn.std()) + 2e-4
    return {
        "reported": float(join(best)), "ours": About(middle, within), "words": [10_000],
        "range": [About(low, 3 * within), About(high, 3 * within)],
    }  # fmt: skip


def _intended(record: Record, row: str, every: Steps, own: dict[str, Any]) -> dict[str, Any]:
    if "best score of the grid" in row:
        family = row.partition(":")[0]
        rows = record.reported_rows[record.reported_rows.sweep == family]
        theirs = rows.loc[rows.mean_test_accuracy.idxmax()]
        trials = every["as intended", family].trials
        first = trials.loc[trials.mean_test_score.idxmax()]
        words = training.numbers_of([*theirs.drop("sweep").dropna(), *first.filter(like="param_")])
        return {"reported": theirs.mean_test_accuracy, "ours": first.mean_test_score, "words": words}
    if "notebook's" in row:
        name = re.findall(r'"(\w+) model"', row)[0]
        cell = f"the notebook's own arithmetic / {name}"
        ends = {"range": own["corrected interval"]} if name == "best" else {}
        return {"reported": own[f"{cell} / reported"], "ours": own[f"{cell} / ours"]} | ends
    if "unseen" in row:
        words = [own[name] for name in ("unseen", "unseen digits")] + own["unseen interval"] + own["predicted"]
        return {"ours": own["unseen"], "range": own["unseen interval"], "words": words}
    words = [own["test digits"], NOTEBOOK["best"], own["accuracy"]]
    known = {"reported": NOTEBOOK["best"], "ours": own["saved accuracy"], "range": own["interval of digits"]}
    return known | {"words": words, "about": ABOUT}
