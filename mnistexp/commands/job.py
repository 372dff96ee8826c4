"""What the commands that make a run folder have in common: its digits, its status, and the answer to Ctrl-C."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistexp.config import settings
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset, Digits
from mnistexp.data.forms import Classes
from mnistexp.errors import Interrupted, RunError
from mnistexp.figures.style import rendered
from mnistexp.runs import files
from mnistexp.runs.layout import DATA
from mnistexp.runs.results import Event, Noted, Reading, Watch
from mnistexp.runs.run_folder import Run, add_file
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.sweeps import reuse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTHING_KEPT = "stopped; nothing was kept"


def unwatched(event: Event) -> None:
    """For callers that don't need progress."""


def new_run(runs_dir: Path, kind: str, config: ExperimentConfig, name: str, *, visible: bool = True) -> Run:
    """The run folder of a command with these settings; `name` unless they have one. See `Run.create`."""
    return Run.create(runs_dir, kind, config.name or name, settings.to_yaml(config), visible=visible)


def continued_run(
    runs_dir: Path, kind: str, dataset: Dataset, name: str, file: str, content: Mapping[str, object]
) -> Run:
    """The interrupted run of this work whose JSON file `file` holds `content`, resumed; else a `new_run`."""
    begun = reuse.unfinished(runs_dir, kind, dataset)
    if begun is not None and files.holds(begun.path / file, content):
        return Run.resume(begun.path)
    return new_run(runs_dir, kind, dataset.config, name)


@contextmanager
def run_job(run: Run, stopped: str, dataset: Dataset | None = None) -> Iterator[Run]:
    """The work of a command in its run, which is finished at the end or marked by what ends the block.

    `dataset`: the digits to record. `stopped`: the message of the `Interrupted` that Ctrl-C raises; `{run}` in it
    stands for the path of the run's folder.
    """
    try:
        with run:
            if dataset is not None:
                add_file(run.path, DATA, dataset.document())  # not `add`: bad input still removes the run
                if dataset.digits.notes:
                    run.log(dataset.digits.notes)
            yield run
    except KeyboardInterrupt:
        raise Interrupted(stopped.format(run=shlex.quote(str(run.path)))) from None


def read_digits(config: ExperimentConfig, watch: Watch) -> Dataset:
    """The digits of an experiment, `watch` told of the reading and of what was converted. See `Dataset.load`."""
    dataset = Dataset.load(config, lambda done: watch(Reading(done)))
    if dataset.digits.notes:
        watch(Noted(dataset.digits.notes))
    return dataset


def read_same_digits(run: StoredRun, config: ExperimentConfig, watch: Watch) -> Dataset:
    """The digits of a run, read again. Raises `RunError` if they have changed, and what `read_digits` raises."""
    dataset = read_digits(config, watch)
    # A run without their document was stopped before training began.
    if run.data is not None and not dataset.digits.match(run.data):
        raise RunError(f"{run.id} was trained on other digits than {config.data.source} now contains")
    return dataset


def add_figures(run: Run, figures: "Mapping[str, Figure]") -> None:
    """Store figures by name in the run, each as PNG and as SVG. Raises `RunError`."""
    for name, content in rendered(figures):
        run.add(name, content)


def note_digits(document: dict[str, Any], digits: Digits) -> None:
    """Add the names of the classes and the warnings about the digits to the document of a `metrics.json`."""
    if (names := digits.classes.names) != Classes().names:
        document["class_names"] = list(names)
    document["warnings"] = [*document["warnings"], *map(as_sentence, digits.warnings)]


def as_sentence(text: str) -> str:
    """Words that follow a colon elsewhere, as a sentence of their own."""
    return f"{text[0].upper()}{text[1:]}."
