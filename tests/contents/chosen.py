"""The choice of `best`: every setting of its sweeps once, with scores from their `trials.csv` and predictions."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import sweep
from .records import Record

Key = tuple[tuple[str, Any], ...]


@dataclass
class Tried:
    """A setting of the choice: its families, the scores of its folds, and what each digit adds (`Record.scores`)."""

    families: list[str]
    folds: list[float]
    scores: np.ndarray
    correct: np.ndarray
    """bool (repeats, digits)."""

    @property
    def score(self) -> float:
        return float(np.mean(self.folds))


def tried(record: Record) -> dict[Key, Tried]:
    """Every setting that the sweeps of a `best` tried, and their combination where its predictions were kept."""
    found: dict[Key, Tried] = {}
    choice, several = record.metrics["choice"], {}
    for one in sorted(choice["sweeps"], key=lambda one: one["family"] == "dropout"):
        own = several.setdefault(one["run"], Record(record.path.parent / one["run"]))
        for key, folds, number in _of_family(own, one["family"]):
            families = [*found[key].families, one["family"]] if key in found else [one["family"]]
            found[key] = Tried(list(dict.fromkeys(families)), folds, own.scores[number], own.correct[number])
    if (record.path / "combination.npz").exists():
        own = Record(record.path, "combination.npz")
        folds = choice["combination"]["scores"]
        assert np.isclose(own.scores[0].mean(), np.mean(folds)), "combination.npz has other scores than metrics.json"
        found[key_of(choice["combination"]["params"])] = Tried(["combination"], folds, own.scores[0], own.correct[0])
    return found


def _of_family(own: Record, family: str) -> list[tuple[Key, list[float], int]]:
    """The settings of a sweep that belong to a family, with the scores of the folds and the number of the trial."""
    trials, config, found = own.trials, own.config, []
    names = [name for name in trials if name.startswith("param_")]
    for row in trials.to_dict("records"):
        params = {name.removeprefix("param_"): row[name] for name in names if row[name] == row[name]}
        optimizer = params.get("optimizer.name", config["optimizer"]["name"])
        base = {f"optimizer.{name}": value for name, value in config["optimizer"].items()}
        base = base if optimizer == config["optimizer"]["name"] else {}
        key = key_of({"model.dropout": config["model"]["dropout"], **base, **params, "optimizer.name": optimizer})
        folds = [row[name] for name in trials if name.startswith("split") and name.endswith("_test_score")]
        if not row["failed"] and family == ("dropout" if "model.dropout" in params else optimizer):
            found.append((key, folds, int(own.placed(row["trial"]))))
    return found


def key_of(params: dict[str, Any]) -> Key:
    """A setting without what is 0 or a default of every optimizer, so that equal ones are equal."""
    return tuple(sorted((name, value) for name, value in params.items() if value not in (0, 1e-7)))


def quantities(record: Record) -> dict[str, Any]:
    """Everything that may be told of a choice, by name."""
    choice, everyone = record.metrics["choice"], tried(record)
    own, combined = everyone[key_of(choice["chosen"]["params"])], key_of(choice["combination"]["params"])
    swept = {dict(key)["optimizer.name"] for key, one in everyone.items() if one.families != ["dropout"]}
    pool = [one for key, one in everyone.items() if not swept or dict(key)["optimizer.name"] in swept]
    kept = combined in everyone
    trials = [len(_of_family(Record(record.path.parent / one["run"]), one["family"])) for one in choice["sweeps"]]
    found: dict[str, Any] = {
        "score": own.score, "score folds": own.folds, "settings compared": len(everyone) + (not kept),
        "combined score": everyone[combined].score if kept else float(np.mean(choice["combination"]["scores"])),
        "sweep trials": trials, "chosen settings": sweep.numbers_of(choice["chosen"]["params"]),
    }  # fmt: skip
    scores = [one.score for one in everyone.values()] + [found["combined score"]] * (not kept)
    found |= {"mean of all settings": np.mean(scores), "winner": max(one.score for one in pool)}
    found["repeated"] = sum(trials) - sum(one.families != ["combination"] for one in everyone.values())
    for family in dict.fromkeys(one["family"] for one in choice["sweeps"]):
        own_trials = [n for n, one in zip(trials, choice["sweeps"], strict=True) if one["family"] == family]
        found[f"the sweeps compared / {family} / trials"] = found[f"trials of {family}"] = own_trials
    found |= sweep.corrected(np.array([one.scores for one in pool]))
    found |= {"pool": len(pool) + (not kept), "raw": found["winner"]}
    found |= _decided(choice, everyone, pool, exact=kept) | _better(everyone, own)
    found["terminal / chosen"] = [found["terminal / chosen"], found["chosen settings"]]
    for family in {one["family"] for one in choice["sweeps"]}:
        found[f"terminal / {family}"] = [found.get(f"terminal / {family}", []), found[f"trials of {family}"]]
    return found


def _families(everyone: dict[Key, Tried]) -> list[str]:
    """Optimizers in order, then dropout, then the combination."""
    found = dict.fromkeys(family for one in everyone.values() for family in one.families)
    return sorted(found, key=lambda family: (family == "combination", family == "dropout"))


def _decided(choice: dict[str, Any], everyone: dict[Key, Tried], pool: list[Tried], *, exact: bool) -> dict[str, Any]:
    """The cells of the table of the best optimizer, the best dropout, both, and the chosen setting."""
    cells: dict[str, Any] = {}
    head = "best optimizer, best dropout and the chosen setting"
    groups = {
        "optimizer": [one for one in everyone.values() if one.families not in (["dropout"], ["combination"])],
        "dropout": [one for one in everyone.values() if "dropout" in one.families],
        "chosen": pool,
    }
    for column in ("optimizer", "dropout", "both", "chosen"):
        told = choice["combination" if column == "both" else column]
        if not told:
            continue
        group = groups.get(column, [])
        for name, value in told["params"].items():
            cells[f"{head} / {sweep.words(name)} / {column}"] = sweep.numbers_of([value])
        one = everyone.get(key_of(told["params"]))
        cells[f"{head} / accuracy / {column}"] = one.score if one else float(np.mean(told["scores"]))
        if group and (exact or column != "chosen"):
            best = int(np.argmax([one.score for one in group]))
            cells[f"{head} / tied / {column}"] = len(sweep.ties(np.array([one.correct for one in group]), best))
        elif group:
            cells[f"{head} / tied / {column}"] = told["tied"]
    cells["tied"] = cells[f"{head} / tied / chosen"]
    return cells


def _better(everyone: dict[Key, Tried], own: Tried) -> dict[str, Any]:
    """The chosen setting, and the best of each family, against the worst and the average."""
    scores = np.array([one.scores for one in everyone.values()])
    groups = {"all settings": list(range(len(scores)))} | {
        family: [place for place, one in enumerate(everyone.values()) if family in one.families]
        for family in _families(everyone)
    }
    named = {"chosen": (own.scores, scores)}
    for name, members in groups.items():
        named[name] = scores[members][scores[members].mean(axis=1).argmax()], scores[members]
    cells: dict[str, Any] = {}
    for name, (first, group) in named.items():
        for other, told in sweep.differences(first, group).items():
            row = f"differences on the same digits / {name} against {other}"
            cells |= {f"{row} / {head}": value for head, value in told.items()}
            cells |= {f"better than {other}": list(told.values())} if name == "chosen" else {}
            line = f"terminal / {re.sub('^best of |^the | settings?$', '', name)}"
            cells[line] = [*cells.get(line, []), *told.values(), -(told["fewer errors"] or 0.0)]
    best = [float(scores[members].mean(axis=1).max()) for name, members in groups.items()
            if name not in ("all settings", "combination")]  # fmt: skip
    ours = {"best": max(best), "worst": min(best), "average": float(np.mean(best))}
    cells |= {f"the notebook's own arithmetic / {name} / ours": value for name, value in ours.items()}
    return cells | {"arithmetic": list(ours.values())}
