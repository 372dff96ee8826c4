"""The grids as the notebook ran them, compared with our training of the same fixed settings over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mnistexp import statistics
from mnistexp.commands.assignment.assignment import FIXED
from mnistexp.commands.assignment.comparison_row import Done, Floats, Row
from mnistexp.commands.assignment.reported import FAULTS, NOTEBOOK, reported_rows
from mnistexp.sweeps.sweep_files import read_sweep
from mnistexp.sweeps.swept import DROPOUT

__all__ = ["best_of", "row_scores", "seed_scores", "submitted_rows"]


def submitted_rows(done: Done) -> Iterator[Row]:
    """The rows of the grids as the notebook ran them. Raises RunError."""
    reported = reported_rows()
    ours = {
        name: row_scores(outcome.run_dir)
        for (part, name), outcome in done.items()
        if part == "as submitted" and name != FIXED
    }
    if "adam" in ours and DROPOUT in ours:
        ours[DROPOUT] = ours["adam"]  # the same network: its dropout rows repeat the first of these rows
    for family in ours:
        means = [row.mean for row in reported.get(family, [])]
        if means:
            run = done["as submitted", family].run_dir.name
            yield _compatible_row(f"{family}: mean of {len(means)} rows", means, ours[family], run)
    fixed = done["as submitted", FIXED]
    means = [row.mean for row in reported[DROPOUT]]
    yield _compatible_row(
        f"{DROPOUT}: mean of {len(means)} rows, if its optimizer settings applied but not its rates",
        means,
        seed_scores(fixed.run_dir),
        fixed.run_dir.name,
    )
    yield from _arithmetic_rows({family: len(rows) for family, rows in reported.items()}, ours)


def _compatible_row(what: str, reported: Sequence[float], ours: Floats, run: str) -> Row:
    mean = float(np.mean(reported))
    if len(ours) < 3 or not np.isfinite(ours).all():
        odd = int((~np.isfinite(ours)).sum())
        how = f"{odd} of our rows have no score" if odd else f"only {len(ours)} of our rows, at least 3 are needed"
        own = None if odd else float(ours.mean())
        return Row("as submitted", what, mean, own, None, None, f"not comparable: {how}", FAULTS["settings"], run)
    found = statistics.compatible(reported, ours)
    interval = found.interval.low, found.interval.high
    return Row(
        "as submitted", what, mean, found.our_mean, interval, found.agrees, found.sentence, FAULTS["settings"], run
    )


def _arithmetic_rows(rows: Mapping[str, int], ours: Mapping[str, Floats]) -> Iterator[Row]:
    """The notebook's best, worst and average, with their prediction intervals for other seeds."""
    if not set(rows) <= set(ours) or not all(len(own) >= 3 and np.isfinite(own).all() for own in ours.values()):
        return
    drawn = np.array([best_of(count, ours[family], seed) for seed, (family, count) in enumerate(rows.items())])
    ends = {"best": drawn.max(axis=0), "worst": drawn.min(axis=0), "average": drawn.mean(axis=0)}
    for name, values in ends.items():
        low, high = np.quantile(values, [0.025, 0.975])
        reported = float(getattr(NOTEBOOK, name))
        yield Row(
            "as submitted",
            f'the notebook\'s "{name} model"',
            reported,
            float(np.median(values)),
            (float(low), float(high)),
            bool(low <= reported <= high),
            "95% prediction interval of the same arithmetic on as many rows with other seeds: 10,000 draws from the "
            "predictive distribution of normal scores",
            FAULTS["arithmetic"],
        )


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
    repeats = sorted({fold.repeat for fold in trial.folds})
    return np.array([np.mean([fold.score for fold in trial.folds if fold.repeat == repeat]) for repeat in repeats])
