"""`mnistexp sweep-optimizer` and `sweep-dropout`: the trials of a sweep, from the digits to the run folder."""

from collections.abc import Iterator
from pathlib import Path

from mnistexp.commands import metrics
from mnistexp.commands.digits import note_digits, read_digits
from mnistexp.commands.job import new_run, run_job, unwatched
from mnistexp.config.models import ExperimentConfig
from mnistexp.errors import TrialsFailed
from mnistexp.figures import style, sweeps
from mnistexp.figures.heat_maps import Shown
from mnistexp.runs import files
from mnistexp.runs.layout import METRICS, TRIALS
from mnistexp.runs.results import Outcome, SweepResult, Watch
from mnistexp.runs.run_folder import Run
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.sweeps import reuse, sweeping
from mnistexp.sweeps.executors.processes import load_ahead
from mnistexp.sweeps.search import search
from mnistexp.sweeps.shares import accuracy_curves
from mnistexp.sweeps.trial_cache import cache_of

__all__ = ["run_sweep", "sweep_name"]

AGAIN = "run the same command again to continue"


def run_sweep(config: ExperimentConfig, command: str, runs_dir: Path, watch: Watch = unwatched) -> Outcome:
    """Score every setting of `config.sweep` by cross-validation, and keep trials, ranking and figures in a run folder.

    Fits in the cache of `runs_dir` are not repeated, so the same call continues an interrupted sweep. Raises `BadInput`
    and `DataError` before anything is written, `TrialsFailed` if every trial failed, `Interrupted` on Ctrl-C or if the
    time limit left no complete trial. A run that the limit ended with a ranking is marked interrupted.
    """
    dataset = read_digits(config, watch)
    config, digits, split = dataset.config, dataset.digits, dataset.split
    earlier = reuse.finished(runs_dir, command, config, digits)
    if earlier is None and config.search.executor == "processes":
        load_ahead()  # a finished sweep has most likely all its fits in the cache
    search(config)  # raises for every problem of the sweep, before anything is written
    cache = cache_of(config, runs_dir)
    stopped = f"stopped; finished fits are kept: {AGAIN}" if cache else "stopped"
    # Bad input, such as a scheduler that doesn't answer, removes the run: nothing has been computed.
    with run_job(new_run(runs_dir, command, config, sweep_name(config)), stopped, dataset) as run:
        run.log(f"{command}: started")
        found = sweeping.run_sweep(config, digits, split, cache=cache, run=run, watch=watch)
        document = metrics.sweep_metrics(config, command, found)
        note_digits(document, digits)
        run.add(METRICS, document)
        for name, content in _sweep_figures(run, found, earlier, config.search.heat_maps):
            run.add(name, content)
        (run.interrupt if found.fits_missing else run.finish)(TrialsFailed.exit_code if found.fits_failed else 0)
    return Outcome(run.path, document)


def _sweep_figures(
    run: Run, found: SweepResult, earlier: StoredRun | None, shown: Shown
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each figure; copied from an earlier run with the same table, because drawing is slow."""
    if earlier is not None and files.read_bytes(earlier.path / TRIALS) == files.read_bytes(run.path / TRIALS):
        for path in sorted(earlier.path.glob("*.[ps][nv]g")):
            yield path.name, files.read_bytes(path)
        return
    yield from style.rendered(sweeps.of_sweep(found, accuracy_curves(found), shown))


def sweep_name(config: ExperimentConfig) -> str:
    """The optimizers swept, or the last names of the swept keys: a short name for the run folder."""
    grids = config.search.grids
    optimizers = [str(name) for grid in grids for name in grid.get("optimizer.name", ())]
    keys = list(dict.fromkeys(key.rpartition(".")[2] for grid in grids for key in grid))
    return "-".join(optimizers or keys)[:40] or "sweep"
