"""A sweep: what its trials and predictions say, and where the page, the terminal and `runs show` tell it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .claims import About, table
from .digits import more_digits
from .records import Record
from .training import numbers_of, wilson

DRAWS = 4000


def quantities(record: Record) -> dict[str, Any]:
    """Everything that may be told of a sweep, by name."""
    trials, config, status = record.trials, record.config, record.json("status.json")
    best = trials[trials.selected].iloc[0]
    whole = trials[trials.failed == 0].sort_values("trial")
    scores = record.scores[record.placed(whole.trial)]
    tied = ties(record.correct[record.placed(whole.trial)], list(whole.trial).index(trials.mean_test_score.idxmax()))
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
        "listed": min(20, len(trials)),
        "most shown": min(5, len(trials)),
        "curves shown": 6,
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
    missing = [record.metrics.get(f"{name}_missing", 0) for name in ("trials", "fits")]
    found |= {"missing": missing[1], "planned": (len(trials) + missing[0]) * np.array([1, folds.shape[1]])}
    found["fits"] = planned = found["planned"][1] - missing[1]
    assert sum(found["fits run"][:2]) in (planned, planned - found["fits run"][2]), "fits don't add up"
    train = len(record.json("data.json")["train"])
    found |= more_digits(whole, scores, train - -(-train // found["folds"]))
    assert np.allclose(scores.mean(axis=1), whole.mean_test_score, atol=1e-6), "predictions and trials.csv differ"
    families = trials.get("param_optimizer.name", pd.Series(config["optimizer"]["name"], index=trials.index))
    found |= gaps(scores, families_of([str(families[number]) for number in whole.trial])) | corrected(scores)
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
        params = {words(name): numbers_of(rows[name].tolist()) for name in names}
        cells |= {f"{place} / {name}": values for name, values in params.items()}
        own = folds[[list(trials.trial).index(number) for number in rows.trial]]
        cells[f"terminal / {rank}"] = [rank, *rows.mean_test_score, *rows.std_test_score, *own.ravel(),
                                       *(value for values in params.values() for value in values)]  # fmt: skip
    return cells


def words(key: str) -> str:
    """A setting as it is printed: `learning rate`, `beta_1`."""
    return re.sub(r"_(?!\d)", " ", key.rpartition(".")[2])


def ties(correct: np.ndarray, best: int) -> list[int]:
    """Trials whose Holm-adjusted p-value of the exact test against the best exceeds 0.05.

    `correct`: bool (trials, repeats, digits). A digit's net count of repeats may have either sign where both are equal;
    of one repeat that is McNemar's test.
    """
    net = (correct[best].astype(int) - correct).sum(axis=1)
    p = np.array([_sign_flips(row) for row in net])
    order = [index for index in np.argsort(p, kind="stable") if index != best]
    adjusted = np.maximum.accumulate([p[index] * (len(order) - place) for place, index in enumerate(order)])
    return sorted([best, *(index for index, value in zip(order, adjusted, strict=True) if value > 0.05)])


def _sign_flips(net: np.ndarray) -> float:
    """The share of all patterns of signs whose sum is at least as far from 0 as that of `net`."""
    shares = np.ones(1)
    for size, times in zip(*np.unique(np.abs(net[net != 0]), return_counts=True), strict=True):
        step = np.zeros(2 * int(size) * int(times) + 1)
        step[:: 2 * int(size)] = stats.binom.pmf(np.arange(times + 1), times, 0.5)
        shares = np.convolve(shares, step)
    sums = np.arange(len(shares)) - len(shares) // 2
    return float(min(1.0, shares[np.abs(sums) >= abs(net.sum())].sum()))


def families_of(names: Sequence[str]) -> dict[str, np.ndarray]:
    """All trials, and those of each family."""
    own = np.array(names)
    return {"all": np.arange(len(own))} | {name: np.flatnonzero(own == name) for name in dict.fromkeys(names)}


def gaps(scores: np.ndarray, groups: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The best trial of each group against its worst and their average; `scores`: as `Record.scores`."""
    cells: dict[str, Any] = {}
    for name, members in groups.items():
        shares, every = scores[members], "all trials" if name == "all" else name
        for other, told in differences(shares[shares.mean(axis=1).argmax()], shares).items():
            row = f"{every}: best against {other}"
            cells |= {f"differences on the same digits / {row} / {head}": value for head, value in told.items()}
            cells[f"points over the {other} of {name}"] = told["points"]
    return cells


def differences(first: np.ndarray, shares: np.ndarray) -> dict[str, dict[str, Any]]:
    """Cells of the comparison of one trial with the worst of a group and with its average, by the name of these."""
    found = {}
    for other, second in (("worst", shares[shares.mean(axis=1).argmin()]), ("average", shares.mean(axis=0))):
        a, b = first.mean(), second.mean()
        low, high, within = bootstrap(first - second)
        found[other] = {
            "trials": len(shares), "settings": len(shares), "best": a, "better": a, "other": b,
            "points": About(100 * (a - b), 0.06), "fewer errors": (a - b) / (1 - b) if b < 1 else None,
            "95% interval": [About(100 * low, 100 * within), About(100 * high, 100 * within)],
        }  # fmt: skip
    return found


def bootstrap(differences: np.ndarray) -> tuple[float, float, float]:
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


RULES = table(
    r"""
^headline :: . :: best, chosen
.* :: time limit :: settings, trials, missing, planned
more digits|^terminal|^lead :: twice the .* digits would :: sizes, curves, doubling, tuning
more digits :: after training on :: sizes
^lead|^tile (?:best|trials|fits) :: best of|fold|epochs|digits|accuracy|% :: best, best folds, raw
^lead|^tile (?:best|trials|fits) :: best of|fold|epochs|digits|accuracy|% :: standard error, trials, folds, epochs
^lead|^tile (?:best|trials|fits) :: best of|fold|epochs|digits|accuracy|% :: digits, chosen
optimizer and settings|which dropout :: best of|fold|epochs|digits|accuracy|% :: best, best folds
optimizer and settings|which dropout :: best of|fold|epochs|digits|accuracy|% :: raw, standard error
optimizer and settings|which dropout :: best of|fold|epochs|digits|accuracy|% :: trials, folds, epochs
optimizer and settings|which dropout :: best of|fold|epochs|digits|accuracy|% :: digits, chosen
^tile .*accura|^tile .*score :: . :: best, standard error
^tile trials :: . :: trials, folds, epochs
^tile fits :: . :: fits, fits run
^tile tied :: . :: tied
.* :: told apart|tied|differ significantly :: tied
settings|dropout|^terminal :: dropout \d|beta|rate|setting|best trial :: chosen
chosen settings :: . :: chosen
optimizers by|optimizers compare :: . :: scores, family trials, family averages, params
all trials :: . :: params
how much better :: points :: points over the worst of all, points over the average of all, whole
representative|corrected :: . :: raw, best, corrected, bias, corrected interval, wins, trials, whole, digits
.* :: diverged :: diverged, trials
how was this made :: . :: settings, environment, seconds
^terminal / best :: . :: best, chosen
^terminal / fits :: . :: fits run, fits
^terminal :: ^The best \d+ :: listed, trials
settings matter.* / answer :: . :: level bests, level gaps, params
optimizers compare.* / answer :: . :: family bests, family gaps
^terminal / (?:rank|\d+) :: . :: scores, params
^figure top :: . :: most shown, trials, scores, params
^figure accuracy_by_digits :: . :: curves shown, curves, params
"""
)
