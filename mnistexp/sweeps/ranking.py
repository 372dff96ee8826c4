"""The ranking of a sweep: the best trial, the trials tied with it, and the ranked table."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.grids import Value
from mnistexp.runs import files
from mnistexp.runs.results import SweepResult, TrialResult
from mnistexp.statistics import SelectionRule, select, tied_with_best


def ranks(trials: Sequence[TrialResult]) -> list[int]:
    """The rank of each trial by its mean score, from 1, as in scikit-learn's `rank_test_score`.

    Equal means share the best of their ranks; failed trials share the last.
    """
    means = np.nan_to_num([trial.mean for trial in trials], nan=-1.0)
    at_most = np.searchsorted(np.sort(means), means, side="right")
    return [1 + len(means) - int(count) for count in at_most]


def ranked(sweep: SweepResult) -> list[tuple[int, TrialResult]]:
    """Rank and trial, the best first; ties in the grid's order."""
    return sorted(zip(ranks(sweep.trials), sweep.trials, strict=True), key=lambda pair: (pair[0], pair[1].index))


def probabilities(trials: Sequence[TrialResult], digits: int) -> NDArray[np.float32]:
    """Out-of-fold probabilities float32 (trials, repeats, digits, classes); NaN for failed fits."""
    repeats = 1 + max(fold.repeat for trial in trials for fold in trial.folds)
    classes = max(fold.probabilities.shape[1] for trial in trials for fold in trial.folds)
    found = np.full((len(trials), repeats, digits, classes), np.nan, np.float32)
    for number, trial in enumerate(trials):
        for fold in trial.folds:
            found[number, fold.repeat, fold.rows] = fold.probabilities
    return found


def correct_matrix(trials: Sequence[TrialResult], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which out-of-fold predictions equal labels (digits,): bool (trials, repeats, digits); False for failed fits."""
    repeats = 1 + max(fold.repeat for trial in trials for fold in trial.folds)
    found = np.zeros((len(trials), repeats, len(labels)), np.bool_)
    for number, trial in enumerate(trials):
        for fold in trial.folds:
            found[number, fold.repeat, fold.rows] = fold.probabilities.argmax(axis=1) == labels[fold.rows]
    return found


def fold_weights(trial: TrialResult, digits: int) -> NDArray[np.float64]:
    """The weight of each out-of-fold prediction in the score of a trial, the mean of its folds: (repeats, digits).

    The folds of a sweep are the same for all its trials; each has a total weight of 1. `trial` must not have failed.
    """
    found = np.zeros((1 + max(fold.repeat for fold in trial.folds), digits))
    for fold in trial.folds:
        found[fold.repeat, fold.rows] = 1 / len(fold.rows)
    return found


def choose(
    rule: SelectionRule, trials: Sequence[TrialResult], labels: NDArray[np.int64], costs: Sequence[float]
) -> tuple[int, tuple[int, ...]]:
    """Index of the trial that the rule selects, and of those tied with the best.

    Failed trials are ignored. `labels`: int64 (digits,). `costs`: one per trial. Raises `BadInput` if every trial has
    failed.
    """
    means = [trial.mean for trial in trials]
    errors = [trial.standard_error for trial in trials]
    best = select("best", means, errors, costs)
    whole = [number for number, trial in enumerate(trials) if not trial.failed]
    tied = tied_with_best(correct_matrix([trials[number] for number in whole], labels), whole.index(best))
    near = tuple(whole[number] for number in tied)
    chosen = select(rule, means, errors, costs, near)
    return trials[chosen].index, tuple(trials[number].index for number in near)


def trials_csv(sweep: SweepResult) -> str:
    """The ranked table, a line per trial, with the names of scikit-learn's `cv_results_` where they apply.

    `split<i>_test_score` numbers the folds of the first repeat, then those of the second, as `RepeatedKFold` does.
    `sem_test_score` is the standard error of the mean. `diverged` and `failed` count fits; `tied` and `selected` are
    true or false. Floats are the shortest text that reads back the same; the same work gives the same bytes.
    """
    keys = list(dict.fromkeys(key for trial in sweep.trials for key in trial.params))
    splits = max(len(trial.folds) for trial in sweep.trials)
    header = ["rank_test_score", "trial", *(f"param_{key}" for key in keys)]
    header += [*(f"split{number}_test_score" for number in range(splits)), "mean_test_score", "std_test_score"]
    header += ["sem_test_score", "diverged", "failed", "tied", "selected"]
    table, tied = [header], set(sweep.tied)
    for rank, trial in ranked(sweep):
        row = [str(rank), str(trial.index), *(cell(trial.params[key]) if key in trial.params else "" for key in keys)]
        row += [repr(float(score)) for score in (*trial.scores, trial.mean, trial.std, trial.standard_error)]
        row += [str(sum(fold.diverged_at is not None for fold in trial.folds))]
        row += [str(sum(fold.error is not None for fold in trial.folds))]
        table.append([*row, cell(trial.index in tied), cell(trial.index == sweep.best)])
    return files.csv_text(table)


def cell(value: Value) -> str:
    """A setting as text: text unchanged, other values as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
