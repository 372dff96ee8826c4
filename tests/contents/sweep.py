"""A sweep: what its trials and predictions say, and where the page, the terminal and `runs show` tell it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mnistexp.config import shown

from .claims import About, Rule
from .records import Record
from .training import numbers_of, wilson

DRAWS = 4000


def quantities(record: Record) -> dict[str, Any]:
    """Everything that may be told of a sweep, by name."""
    trials, config, status = record.trials, record.config, record.json("status.json")
    best = trials[trials.selected].iloc[0]
    whole = trials[trials.failed == 0].sort_values("trial")
    scores = record.scores[whole.trial]
    tied = ties(record.correct[whole.trial], list(whole.trial).index(trials.mean_test_score.idxmax()))
    names = [name for name in trials if name.startswith("param_")]
    folds = trials.filter(regex=r"split\d+_test_score").to_numpy()
    found: dict[str, Any] = {
        "best": best.mean_test_score,
        "best folds": folds[list(trials.trial).index(best.trial)],
        "standard error": 100 * best.sem_test_score,
        "deviation": best.std_test_score,
        "trials": len(trials),
        "whole": len(whole),
        "folds": config["sweep"]["folds"],
        "epochs": config["training"]["epochs"],
        "tied": len(tied),
        "fits": folds.size,
        "digits": record.correct.shape[-1],
        "settings": numbers_of(config),
        "params": [value for name in names for value in numbers_of(trials[name].tolist())],
        "chosen": numbers_of([best[name] for name in names]),
        "environment": numbers_of(record.json("environment.json")),
        "seconds": [status.get("seconds") or 0, record.metrics["seconds"]["total"]],
        "scores": trials.mean_test_score.to_numpy(),
        "fits run": [record.metrics[f"fits_{name}"] for name in ("run", "cached", "failed")],
        "diverged": int((trials.diverged > 0).sum()),
    }
    assert sum(found["fits run"][:2]) in (folds.size, folds.size - found["fits run"][2]), "fits don't add up"
    assert np.allclose(scores.mean(axis=1), whole.mean_test_score, atol=1e-6), "predictions and trials.csv differ"
    families = trials.get("param_optimizer.name", pd.Series(config["optimizer"]["name"], index=trials.index))
    found |= gaps(scores, [str(families[number]) for number in whole.trial]) | corrected(scores)
    found |= {
        "family trials": families.value_counts().to_numpy(),
        "family averages": trials.groupby(families.to_numpy()).mean_test_score.mean(),
    }
    levels = [trials.groupby(name).mean_test_score.max().to_numpy() for name in names]
    found["level bests"] = np.concatenate(levels)
    found["level gaps"] = [np.ptp(np.round(100 * each, 1)) for each in levels]
    tops = np.sort(np.round(100 * trials.groupby(families.to_numpy()).mean_test_score.max(), 1))
    found |= {"family bests": tops / 100, "family gaps": tops[-1] - tops}
    return found | _cells(trials, names, folds)


def _cells(trials: pd.DataFrame, names: Sequence[str], folds: np.ndarray) -> dict[str, Any]:
    """The cells of the ranked table, by rank; trials of one rank have one row in `found`, with the values of all."""
    cells: dict[str, Any] = {}
    for rank, rows in trials.groupby("rank_test_score"):
        place = f"all trials, the best first / {rank}"
        cells[f"{place} / rank"] = rank
        cells[f"{place} / accuracy"] = rows.mean_test_score.to_numpy()
        cells[f"{place} / std"] = rows.std_test_score.to_numpy()
        cells[f"{place} / folds"] = 100 * folds[[list(trials.trial).index(number) for number in rows.trial]].ravel()
        for name in names:
            cells[f"{place} / {shown.name(name)}"] = numbers_of(rows[name].tolist())
    return cells


def ties(correct: np.ndarray, best: int) -> list[int]:
    """Trials whose Holm-adjusted p-value of the exact McNemar test against the best exceeds 0.05; of one repeat."""
    if correct.shape[1] > 1:
        return list(range(len(correct)))
    right = correct[:, 0].astype(int)
    gained, lost = ((right[best] > right).sum(axis=1), (right[best] < right).sum(axis=1))
    p = np.array(
        [stats.binomtest(int(k), int(k + m)).pvalue if k + m else 1.0 for k, m in zip(gained, lost, strict=True)]
    )
    order = [index for index in np.argsort(p, kind="stable") if index != best]
    adjusted = np.maximum.accumulate([p[index] * (len(order) - place) for place, index in enumerate(order)])
    return sorted([best, *(index for index, value in zip(order, adjusted, strict=True) if value > 0.05)])


def gaps(correct: np.ndarray, families: Sequence[str]) -> dict[str, Any]:
    """The best trial of each family against its worst and their average; `correct`: as `Record.scores`."""
    cells: dict[str, Any] = {}
    groups = {"all": np.arange(len(correct))} | {name: np.flatnonzero(np.array(families) == name) for name in families}
    for name, members in groups.items():
        shares = correct[members]
        means = shares.mean(axis=1)
        first = shares[means.argmax()]
        for other, second in (("worst", shares[means.argmin()]), ("average", shares.mean(axis=0))):
            a, b = first.mean(), second.mean()
            low, high, within = _bootstrap(first - second)
            for row in (f"{'all trials' if name == 'all' else name}: best against {other}",
                        f"best of {'all trials' if name == 'all' else name} against the {other}"):  # fmt: skip
                cells |= {f"{row} / {head}": value for head, value in {
                    "trials": len(members), "best": a, "better": a, "other": b, "points": About(100 * (a - b), 0.06),
                    "95% interval": [About(100 * low, 100 * within), About(100 * high, 100 * within)],
                    "fewer errors": (a - b) / (1 - b) if b < 1 else None}.items()}  # fmt: skip
            cells[f"points over the {other} of {name}"] = About(100 * (a - b), 0.06)
    return {
        f"differences on the same digits / {key}".lower() if " / " in key else key: value
        for key, value in cells.items()
    }


def _bootstrap(differences: np.ndarray) -> tuple[float, float, float]:
    """The middle 95% of the mean difference over resampled digits, and how far another computation may be off."""
    draws = np.random.default_rng(5).exponential(size=(DRAWS, len(differences)))
    unseen = np.random.default_rng(6).gamma(0.5, size=(DRAWS, 2))
    means = (draws @ differences + unseen[:, 0] - unseen[:, 1]) / (draws.sum(axis=1) + unseen.sum(axis=1))
    low, high = np.quantile(means, [0.025, 0.975])
    return min(low, differences.mean()), max(high, differences.mean()), 0.25 * float(means.std()) + 1e-3


def corrected(counts: np.ndarray) -> dict[str, Any]:
    """The winning score after a bootstrap that chooses on the digits drawn and scores on the others."""
    random = np.random.default_rng(7)
    scores, same, winner = [], 0, int(counts.mean(axis=1).argmax())
    for _ in range(1000):
        drawn = random.integers(counts.shape[1], size=counts.shape[1])
        left = np.setdiff1d(np.arange(counts.shape[1]), drawn)
        chosen = int(counts[:, drawn].mean(axis=1).argmax())
        scores.append(counts[chosen, left].mean())
        same += chosen == winner
    raw, value, spread = float(counts[winner].mean()), float(np.mean(scores)), float(np.std(scores))
    share = len(left) / counts.shape[1]
    scaled = spread**2 * share / (1 - share)
    ends = (
        wilson(value * (n := value * (1 - value) / scaled), n) if scaled > 0 else wilson(value * len(left), len(left))
    )
    within = 0.2 * spread + 5e-4
    return {
        "raw": raw,
        "score before and after correction / as chosen / accuracy": raw,
        "corrected": About(value, within),
        "bias": About(100 * (raw - value), 100 * within),
        "corrected interval": [About(end, 2 * within) for end in ends],
        "wins": About(same / 1000, 0.08),
    }


SCORED = "best, best folds, raw"
CORRECTED = "raw, best, corrected, bias, corrected interval, wins, trials, whole, digits"
RULES = [
    Rule(r"^headline", r".", "best, chosen"),
    Rule(
        r"^lead|^tile best|^tile trials|^tile fits|optimizer and settings|which dropout",
        r"best of|fold|epochs|digits|accuracy|%",
        f"{SCORED}, standard error, trials, folds, epochs, digits, chosen",
    ),
    Rule(r"^tile .*accura|^tile .*score", r".", "best, standard error"),
    Rule(r"^tile trials", r".", "trials, folds, epochs"),
    Rule(r"^tile fits", r".", "fits, fits run"),
    Rule(r"^tile tied", r".", "tied"),
    Rule(r"", r"told apart|tied|differ significantly", "tied"),
    Rule(r"settings|dropout|^terminal", r"dropout \d|beta|rate|setting|best trial", "chosen"),
    Rule(r"chosen settings", r".", "chosen"),
    Rule(r"optimizers by|optimizers compare", r".", "scores, family trials, family averages, params"),
    Rule(r"all trials", r".", "params"),
    Rule(r"how much better", r"points", "points over the worst of all, points over the average of all, whole"),
    Rule(r"representative|corrected", r".", CORRECTED),
    Rule(r"", r"diverged", "diverged, trials"),
    Rule(r"how was this made", r".", "settings, environment, seconds"),
    Rule(r"^terminal / best", r".", "best, chosen"),
    Rule(r"^terminal / fits", r".", "fits run, fits"),
    Rule(r"settings matter.* / answer", r".", "level bests, level gaps, params"),
    Rule(r"optimizers compare.* / answer", r".", "family bests, family gaps"),
    Rule(r"^terminal / (?:rank|\d+)", r".", "scores, params"),
]
