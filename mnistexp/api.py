"""The commands as Python functions, available from `import mnistexp`.

Where `runs_dir` is not given, it is the folder that the variable MNISTEXP_RUNS_DIR names, or else `runs`.
"""

from __future__ import annotations  # help() then shows `Configuration` and `Watch` by their names

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.commands import prediction
from mnistexp.commands.assignment.story import run_reproduce, size_of
from mnistexp.commands.best.story import run_best
from mnistexp.commands.evaluate.story import evaluate as judge
from mnistexp.commands.job import unwatched
from mnistexp.commands.sweep import run_sweep
from mnistexp.commands.train import continue_training, run_training
from mnistexp.config import settings
from mnistexp.config.catalogue import dotted_keys, full_key
from mnistexp.config.models import ExperimentConfig
from mnistexp.data.forms import grey
from mnistexp.errors import BadInput
from mnistexp.runs import references, stored_runs
from mnistexp.runs.frames import trials_of
from mnistexp.runs.references import LATEST
from mnistexp.runs.results import Outcome, Watch
from mnistexp.runs.stored_runs import StoredRun, runs_folder
from mnistexp.sweeps.swept import kind_of

__all__ = ["best", "configure", "evaluate", "load_run", "progress", "reproduce", "sweep", "train"]

Configuration = ExperimentConfig | Mapping[str, Any] | str | PathLike[str]
Folder = str | PathLike[str]


def configure(
    config: Configuration = "train", changes: Mapping[str, Any] | None = None, *, base: str = "train"
) -> ExperimentConfig:
    """A configuration from a file, a packaged name, or Python values.

    `config`: a complete one, nested values or dotted keys, a YAML file, or the name of a packaged
    configuration; what it leaves open comes from the packaged configuration `base`. `changes`: keys to values, the
    strongest; dotted, or an unambiguous end of a key, as for `--set`. Raises `ConfigError` with every
    problem.
    """
    dotted = {full_key(key, dotted_keys()): value for key, value in (changes or {}).items()}
    if isinstance(config, ExperimentConfig):
        return settings.override(config, dotted, "changes")
    if isinstance(config, Mapping):
        given = [settings.flag("configuration", str(key), value) for key, value in config.items()]
    else:
        given = [settings.read_file(str(config))]
    changed = [settings.flag("changes", key, value) for key, value in dotted.items()]
    return settings.resolve([settings.read_file(base), *given, *changed]).config


def train(
    config: Configuration = "train",
    changes: Mapping[str, Any] | None = None,
    *,
    resume: Folder | int | None = None,
    runs_dir: Folder | None = None,
    watch: Watch = unwatched,
) -> Outcome:
    """Train as `mnistexp train` does, and give back the run folder and the document of its `metrics.json`.

    `resume`: an unfinished training to resume, by any reference; with `changes={"training.epochs": 100}` a finished one
    to lengthen in a new run, to which `changes` may also give a `name`. `watch` is called with each `EpochDone`. Raises
    `BadInput` for the configuration of a sweep and for other settings with `resume`, and `ConfigError`, `DataError`,
    `RunError`, `Interrupted`.
    """
    found = configure(config, changes)
    if resume is not None:
        asked = {full_key(key, dotted_keys()) for key in changes or {}}
        if config != "train" or (asked and asked | {"name"} != {"training.epochs", "name"}):
            raise BadInput("resume uses the settings of its run, allowed: changes of training.epochs, also with a name")
        epochs = found.training.epochs if asked else None
        return continue_training(runs_folder(runs_dir), str(resume), epochs, watch, name=found.name)
    if found.sweep:
        raise BadInput("the configuration has a sweep section: call sweep")
    return run_training(found, runs_folder(runs_dir), watch)


def sweep(
    config: Configuration = "sweep-optimizer",
    changes: Mapping[str, Any] | None = None,
    *,
    runs_dir: Folder | None = None,
    watch: Watch = unwatched,
) -> Outcome:
    """Sweep as `mnistexp sweep-optimizer` and `sweep-dropout` do; `watch` is called with each `FitDone`.

    Worker processes don't import the calling script: it needs no `if __name__ == "__main__":`. Raises `BadInput` for a
    configuration without a sweep, and `ConfigError`, `DataError`, `RunError`, `TrialsFailed`, `Interrupted`.
    """
    found = configure(config, changes)
    if found.sweep is None:
        raise BadInput("the configuration has no sweep section: call train")
    return run_sweep(found, kind_of(found), runs_folder(runs_dir), watch)


@contextmanager
def progress() -> Iterator[Watch]:
    """A `watch` that shows on standard error how far the work is, as the commands do, until the block ends.

    with mnistexp.progress() as watch:
        mnistexp.train(watch=watch)
    """
    from rich.console import Console

    from mnistexp.commands.progress import watching

    with watching(Console(stderr=True, highlight=False), quiet=False) as watch:
        yield watch


def best(
    config: Configuration = "best",
    changes: Mapping[str, Any] | None = None,
    *,
    sweeps: Sequence[str] = (),
    nested: bool = False,
    predict: bool = True,
    unseen: bool = False,
    runs_dir: Folder | None = None,
    watch: Watch = unwatched,
) -> Outcome:
    """Choose the best setting of the sweeps and train it as `mnistexp best` does; see `commands.best`.

    Raises `ConfigError`, `BadInput`, `DataError`, `RunError`, `TrialsFailed`, `Interrupted`.
    """
    found = configure(config, changes, base="best")
    options = {"with_nested": nested, "predict": predict, "unseen": unseen}
    return run_best(found, runs_folder(runs_dir), sweeps, **options, watch=watch)


def reproduce(
    config: Configuration = "best",
    changes: Mapping[str, Any] | None = None,
    *,
    quick: bool = False,
    runs_dir: Folder | None = None,
    watch: Watch = unwatched,
) -> Outcome:
    """Do the whole assignment as `mnistexp reproduce` does; see `commands.assignment`.

    Raises `ConfigError`, `BadInput`, `DataError`, `RunError`, `TrialsFailed`, `Interrupted`.
    """
    size = size_of(quick=quick, all_rows=False)
    return run_reproduce(configure(config, changes, base="best"), runs_folder(runs_dir), size, watch)


def evaluate(run: Folder | int = LATEST, data: str | None = None, *, runs_dir: Folder | None = None) -> Outcome:
    """Evaluate a run's model as `mnistexp evaluate` does, on the labelled digits of `data` or its own test digits.

    Raises `BadInput`, `DataError`, `RunError`, `Interrupted`.
    """
    folder = runs_folder(runs_dir)
    return judge(stored_runs.load(prediction.run_with_model(folder, str(run)).path), folder, data)


class LoadedRun(StoredRun):
    """A stored run, and its network's predictions for other digits."""

    def probabilities(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """The probability of each class for images: float32 (n, classes), by the network of the first training.

        `images`: (n, 28, 28), (n, 28, 28, 1) or (n, 784), or (28, 28) of one; bright ink on black, 0 to 255 or 0 to 1.
        Raises `BadInput` for others and where the run has no model, and `RunError` where its model is damaged.
        """
        array = np.asarray(images)
        if array.shape == (28, 28):
            array = array[np.newaxis]
        if array.dtype != np.uint8 or array.shape[1:] != (28, 28):
            array = np.asarray(grey(array, "images")[0])
        if array.shape[1:] != (28, 28):
            raise BadInput(f"images has the shape {np.shape(images)}, allowed: (n, 28, 28), (n, 28, 28, 1) or (n, 784)")
        return self._network.probabilities(self._network.as_seen(array))

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        """The most probable class of each image, (n,), as the labels write it: int64 where these are numbers.

        `images` and errors: as `probabilities`.
        """
        keys = self._network.classes.keys
        known = np.array([int(key) for key in keys] if all(map(str.isdecimal, keys)) else keys)
        likeliest: NDArray[Any] = known[self.probabilities(images).argmax(axis=1)]
        return likeliest

    def trials(self) -> Any:
        """The ranked trials of a sweep as a `pandas.DataFrame`; see `runs.trials`."""
        return trials_of(self)

    @cached_property
    def _network(self) -> prediction.TrainedNetwork:
        return prediction.network_of(self)


def load_run(reference: Folder | int = LATEST, *, runs_dir: Folder | None = None) -> LoadedRun:
    """A stored run by any reference to one that the command line takes; see `runs.references`.

    Its folder, its id or the beginning of it, `latest`, a number such as 3 for the third newest, its name or a tag.
    Raises `BadInput` and `RunError`.
    """
    found = stored_runs.load(references.one(runs_folder(runs_dir), str(reference)).path)
    return LoadedRun(**{field.name: getattr(found, field.name) for field in fields(found)})
