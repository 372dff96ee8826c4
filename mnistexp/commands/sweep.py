"""`mnistexp sweep-optimizer` and `sweep-dropout`: the trials of a sweep, from the digits to the run folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mnistexp.commands.job import new_run, note_digits, read_digits, run_job, unwatched
from mnistexp.commands.stored_repeats import AFTERWARDS
from mnistexp.config.models import ExperimentConfig
from mnistexp.errors import TrialsFailed
from mnistexp.figures import style, sweeps
from mnistexp.runs import files
from mnistexp.runs.layout import METRICS, TRIALS
from mnistexp.runs.results import Outcome, SweepResult, TrialResult, Watch
from mnistexp.sweeps import reuse, sweeping
from mnistexp.sweeps.executors.processes import load_ahead
from mnistexp.sweeps.ranking import ranked
from mnistexp.sweeps.search import search
from mnistexp.sweeps.shares import more_digits_of
from mnistexp.sweeps.trial_cache import cache_of
from mnistexp.training.runtime import load_beside

AGAIN = "run the same command again to continue"


def run_sweep(config: ExperimentConfig, command: str, runs_dir: Path, watch: Watch = unwatched) -> Outcome:
    """Score every setting of `config.sweep` by cross-validation, and keep trials, ranking and figures in a run folder.

    Fits in the cache of `runs_dir` are not repeated, so the same call continues an interrupted sweep. Raises `BadInput`
    and `DataError` before anything is written, `TrialsFailed` if every trial failed, `OutOfTime` if the time limit left
    no complete trial, and `Interrupted` on Ctrl-C. A run that the limit ended is marked interrupted.
    """
    dataset = read_digits(config, watch)
    config = dataset.config
    earlier = reuse.finished(runs_dir, command, dataset)
    if earlier is None and config.search.executor == "processes":
        load_ahead()  # a finished sweep has most likely all its fits in the cache
    search(config)  # raises for every problem of the sweep, before anything is written
    cache = cache_of(config, runs_dir)
    stopped = f"stopped; finished fits are kept: {AGAIN}" if cache else "stopped"
    # Bad input, such as a scheduler that doesn't answer, removes the run: nothing has been computed.
    with run_job(new_run(runs_dir, command, config, sweep_name(config)), stopped, dataset) as run:
        run.log(f"{command}: started")
        if earlier is None:
            load_beside(*AFTERWARDS)  # workers start meanwhile
        found = sweeping.fit_and_rank(dataset, cache=cache, run=run, watch=watch)
        document = sweep_metrics(config, command, found)
        note_digits(document, dataset.digits)
        run.add(METRICS, document)
        figures: Iterable[tuple[str, bytes]]
        if earlier is not None and earlier.read_bytes(TRIALS) == files.read_bytes(run.path / TRIALS):
            # Copied from a run with the same table, because drawing is slow.
            figures = ((path.name, files.read_bytes(path)) for path in sorted(earlier.path.glob("*.[ps][nv]g")))
        else:
            figures = style.rendered(sweeps.of_sweep(found, config.search.heat_maps))
        for name, content in figures:
            run.add(name, content)
        (run.interrupt if found.fits_missing else run.finish)(TrialsFailed.exit_code if found.fits_failed else 0)
    return Outcome(run.path, document)


def sweep_name(config: ExperimentConfig) -> str:
    """The optimizers swept, or the last names of the swept keys: a short name for the run folder."""
    grids = config.search.grids
    optimizers = [str(name) for grid in grids for name in grid.get("optimizer.name", ())]
    keys = list(dict.fromkeys(key.rpartition(".")[2] for grid in grids for key in grid))
    return "-".join(optimizers or keys)[:40] or "sweep"


def sweep_metrics(config: ExperimentConfig, command: str, sweep: SweepResult) -> dict[str, Any]:
    """The document `metrics.json` of a sweep. `trials` and `fits_*` are counts; `ranking` has a row for each trial."""
    best = sweep.winner
    diverged = [trial.index for trial in sweep.trials if any(fold.diverged_at for fold in trial.folds)]
    settings = config.search
    warnings = list(sweep.notes)
    document = {
        "command": command,
        "seed": config.seed,
        "epochs": config.training.epochs,
        "folds": settings.folds,
        "repeats": config.repeats,
        "select": settings.select,
        "as_submitted": settings.as_submitted,
        "best_params": best.params,
        "best_score": best.mean,
        "best_std": best.std,
        "best_standard_error": best.standard_error,
        "trials": len(sweep.trials),
        "trials_missing": sweep.trials_missing,
        "fits_run": sweep.fits_run,
        "fits_cached": sweep.fits_cached,
        "fits_failed": sweep.fits_failed,
        "fits_missing": sweep.fits_missing,
        "tied": list(sweep.tied),
        "diverged": diverged,
        "ranking": [_ranking_row(rank, trial, sweep) for rank, trial in ranked(sweep)],
        "warnings": warnings,
        "seconds": {"total": round(sweep.seconds, 3)},
    }
    if diverged:
        warnings.append(
            f"{len(diverged)} of {len(sweep.trials)} trials diverged in at least one fit; their score is that of the "
            "last weights."
        )
    if (more := more_digits_of(sweep)) is not None:
        document["more_digits"] = more.document()
    return document


def _ranking_row(rank: int, trial: TrialResult, sweep: SweepResult) -> dict[str, Any]:
    return {
        "rank": rank,
        "trial": trial.index,
        "params": trial.params,
        "mean": trial.mean,
        "std": trial.std,
        "standard_error": trial.standard_error,
        "scores": trial.scores,
        "tied": trial.index in sweep.tied,
        "diverged": any(fold.diverged_at for fold in trial.folds),
        "error": next((fold.error for fold in trial.folds if fold.error), None),
    }
