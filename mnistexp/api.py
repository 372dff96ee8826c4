"""The stories of the command line as Python functions; `import mnistexp` offers them."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from mnistexp import experiments, settings
from mnistexp.best_model.story import run_best
from mnistexp.config import ExperimentConfig
from mnistexp.errors import BadInput
from mnistexp.evaluation.story import evaluate as judge
from mnistexp.experiments import unwatched
from mnistexp.prediction import run_with_model
from mnistexp.reproduction.story import run_reproduce, size_of
from mnistexp.results import Outcome, Watch
from mnistexp.runs import stored_runs
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.yaml_source import Source

__all__ = ["best", "configure", "evaluate", "load_run", "reproduce", "sweep", "train"]

Configuration = ExperimentConfig | Mapping[str, Any] | str | PathLike[str]
Folder = str | PathLike[str]


def configure(
    config: Configuration = "train", changes: Mapping[str, Any] | None = None, *, base: str = "train"
) -> ExperimentConfig:
    """A configuration from what a person would write.

    `config`: one that is finished already, nested values, a YAML file, or the name of a packaged configuration; what it
    leaves open comes from the packaged configuration `base`. `changes`: dotted keys to values, the strongest. Raises
    `ConfigError` with every problem.
    """
    if isinstance(config, ExperimentConfig):
        return settings.override(config, changes or {})
    given = Source("configuration", dict(config)) if isinstance(config, Mapping) else settings.read_file(str(config))
    layers = [settings.read_file(base), given]
    layers += [settings.flag("changes", key, value) for key, value in (changes or {}).items()]
    return settings.resolve(layers).config


def train(
    config: Configuration = "train",
    changes: Mapping[str, Any] | None = None,
    *,
    runs_dir: Folder = "runs",
    watch: Watch = unwatched,
) -> Outcome:
    """Train as `mnistexp train` does, and give back the run folder and the document of its `metrics.json`.

    `watch` is called with each `EpochDone`. Raises `BadInput` for the configuration of a sweep, and `ConfigError`,
    `DataError`, `RunError`, `Interrupted`.
    """
    found = configure(config, changes)
    if found.sweep:
        raise BadInput("the configuration has a sweep section: call sweep")
    return experiments.run_training(found, Path(runs_dir), watch)


def sweep(
    config: Configuration = "sweep-optimizer",
    changes: Mapping[str, Any] | None = None,
    *,
    runs_dir: Folder = "runs",
    watch: Watch = unwatched,
) -> Outcome:
    """Sweep as `mnistexp sweep-optimizer` and `sweep-dropout` do; `watch` is called with each `FitDone`.

    Worker processes import the calling script: a script keeps this call under `if __name__ == "__main__":`, or sets
    `sweep.executor` to `serial`. Raises `BadInput` for a configuration without a sweep, and `ConfigError`, `DataError`,
    `RunError`, `TrialsFailed`, `Interrupted`.
    """
    found = configure(config, changes)
    if found.sweep is None:
        raise BadInput("the configuration has no sweep section: call train")
    return experiments.run_sweep(found, "sweep", Path(runs_dir), watch)


def best(
    config: Configuration = "best",
    changes: Mapping[str, Any] | None = None,
    *,
    sweeps: Sequence[str] = (),
    nested: bool = False,
    unseen: bool = False,
    runs_dir: Folder = "runs",
    watch: Watch = unwatched,
) -> Outcome:
    """Combine the sweeps' winners and train the final model as `mnistexp best` does; see `best_model.run_best`.

    Raises `ConfigError`, `BadInput`, `DataError`, `RunError`, `TrialsFailed`, `Interrupted`.
    """
    found = configure(config, changes, base="best")
    return run_best(found, Path(runs_dir), sweeps, with_nested=nested, unseen=unseen, watch=watch)


def reproduce(
    config: Configuration = "best",
    changes: Mapping[str, Any] | None = None,
    *,
    quick: bool = False,
    runs_dir: Folder = "runs",
    watch: Watch = unwatched,
) -> Outcome:
    """Do the whole assignment as `mnistexp reproduce` does; see `reproduction.run_reproduce`.

    Raises `ConfigError`, `BadInput`, `DataError`, `RunError`, `TrialsFailed`, `Interrupted`.
    """
    size = size_of(quick=quick, all_rows=False)
    return run_reproduce(configure(config, changes, base="best"), Path(runs_dir), size, watch)


def evaluate(run: Folder = stored_runs.LATEST, data: str | None = None, *, runs_dir: Folder = "runs") -> Outcome:
    """Judge a run's model as `mnistexp evaluate` does, by the labelled digits of `data` or its own test digits.

    Raises `BadInput`, `DataError`, `RunError`, `Interrupted`.
    """
    info = run_with_model(Path(runs_dir), str(run))
    return judge(stored_runs.load(info.path), Path(runs_dir), data)


def load_run(reference: Folder = stored_runs.LATEST, *, runs_dir: Folder = "runs") -> StoredRun:
    """A stored run by its folder, its id, the beginning of its id, or `latest`. Raises `BadInput` and `RunError`."""
    return stored_runs.load(stored_runs.find(Path(runs_dir), str(reference)).path)
