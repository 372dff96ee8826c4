"""The grids as the notebook ran them, compared with our training of the same fixed settings over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mnistexp import statistics
from mnistexp.commands.assignment.assignment import FIXED
from mnistexp.commands.assignment.comparison_row import ComparisonRow, Done, Floats, compared
from mnistexp.commands.assignment.reported import NOTEBOOK, reported_rows
from mnistexp.sweeps.sweep_files import read_sweep
from mnistexp.sweeps.swept import DROPOUT


def submitted_rows(done: Done) -> Iterator[ComparisonRow]:
    """The rows of the grids as the notebook ran them. Raises RunError."""
    reported = {family: [row.mean for row in rows] for family, rows in reported_rows().items()}
    runs = {name: outcome.run_dir for (part, name), outcome in done.items() if part == "as submitted"}
    fixed = runs.pop(FIXED)
    ours = {name: row_scores(folder) for name, folder in runs.items()}
    if "adam" in ours and DROPOUT in ours:
        ours[DROPOUT] = ours["adam"]  # the same network: its dropout rows repeat the first of these rows
    for family in (family for family in ours if family in reported):
        what = f"{family}: mean of {len(reported[family])} rows"
        yield _compatible_row(what, reported[family], ours[family], runs[family].name)
    what = f"{DROPOUT}: mean of {len(reported[DROPOUT])} rows, if its optimizer settings applied but not its rates"
    yield _compatible_row(what, reported[DROPOUT], seed_scores(fixed), fixed.name)
    yield from _arithmetic_rows({family: len(means) for family, means in reported.items()}, ours)


def _compatible_row(what: str, reported: Sequence[float], ours: Floats, run: str) -> ComparisonRow:
    row = partial(compared, "as submitted", what, float(np.mean(reported)), fault="settings", run=run)
    if (odd := int((~np.isfinite(ours)).sum())) > 0:
        return row(None, None, f"not comparable: {odd} of our rows have no score")
    if len(ours) < 3:
        return row(float(ours.mean()), None, f"not comparable: only {len(ours)} of our rows, at least 3 are needed")
    found = statistics.compatible(reported, ours)
    told = row(found.our_mean, (found.interval.low, found.interval.high), found.sentence)
    return replace(told, agrees=found.agrees)


def _arithmetic_rows(rows: Mapping[str, int], ours: Mapping[str, Floats]) -> Iterator[ComparisonRow]:
    """The notebook's best, worst and average, with their prediction intervals for other seeds."""
    if not set(rows) <= set(ours) or not all(len(own) >= 3 and np.isfinite(own).all() for own in ours.values()):
        return
    drawn = np.array([best_of(count, ours[family], seed) for seed, (family, count) in enumerate(rows.items())])
    how = (
        "95% prediction interval of the same arithmetic on as many rows with other seeds: 10,000 draws from the "
        "predictive distribution of normal scores"
    )
    for name, values in {"best": drawn.max(axis=0), "worst": drawn.min(axis=0), "average": drawn.mean(axis=0)}.items():
        low, middle, high = (float(value) for value in np.quantile(values, [0.025, 0.5, 0.975]))
        what, reported = f'the notebook\'s "{name} model"', float(getattr(NOTEBOOK, name))
        yield compared("as submitted", what, reported, middle, (low, high), how, fault="arithmetic")


def best_of(count: int, scores: Floats, seed: int, draws: int = 10_000) -> Floats:
    """The highest of `count` further scores, in each of `draws` draws: float64 (draws,).

    Scores are assumed normal, mean and variance unknown with the prior 1/variance: the variance is
    (n - 1) s^2 / chi2(n - 1), the mean normal around ours with that variance over n. Source: Gelman et al. (2013),
    Bayesian Data Analysis, section 3.2.
    """
    rng, n = np.random.default_rng(seed), len(scores)
    spread = np.sqrt((n - 1) * scores.var(ddof=1) / rng.chisquare(n - 1, draws))
    mean = scores.mean() + spread / np.sqrt(n) * rng.standard_normal(draws)
    highest: Floats = (mean[:, None] + spread[:, None] * rng.standard_normal((draws, count))).max(axis=1)
    return np.minimum(highest, 1.0)


def row_scores(folder: Path) -> Floats:
    """The mean score of each trial of a sweep: float64 (trials,). Raises RunError."""
    return np.array([trial.mean for trial in read_sweep(folder).trials])


def seed_scores(folder: Path) -> Floats:
    """The mean score over the folds of each repeat of a sweep's single trial: float64 (repeats,). Raises RunError."""
    [trial] = read_sweep(folder).trials
    scores: Floats = trial.scores.reshape(trial.folds[-1].repeat + 1, -1).mean(axis=1)
    return scores
