"""Reading the digits of an experiment, and reporting conversions and warnings."""

from typing import TYPE_CHECKING, Any

from mnistexp.data.dataset import Dataset, Digits
from mnistexp.data.forms import Classes
from mnistexp.errors import RunError
from mnistexp.runs.results import Noted, Reading, Watch
from mnistexp.runs.stored_runs import StoredRun

if TYPE_CHECKING:
    from mnistexp.config.models import ExperimentConfig


def read_digits(config: "ExperimentConfig", watch: Watch) -> Dataset:
    """The digits of an experiment, `watch` told of the reading and of what was converted. See `Dataset.load`."""
    dataset = Dataset.load(config, lambda done: watch(Reading(done)))
    if dataset.digits.notes:
        watch(Noted(dataset.digits.notes))
    return dataset


def read_same_digits(run: StoredRun, config: "ExperimentConfig", watch: Watch) -> Dataset:
    """The digits of a run, read again. Raises `RunError` if they have changed, and what `read_digits` raises."""
    dataset = read_digits(config, watch)
    # A run without their document was stopped before training began.
    if run.data is not None and not dataset.digits.match(run.data):
        raise RunError(f"{run.id} was trained on other digits than {config.data.source} now contains")
    return dataset


def note_digits(document: dict[str, Any], digits: Digits) -> None:
    """Add the names of the classes and the warnings about the digits to the document of a `metrics.json`."""
    if (names := digits.classes.names) != Classes().names:
        document["class_names"] = list(names)
    document["warnings"] = [*document["warnings"], *map(as_sentence, digits.warnings)]


def as_sentence(text: str) -> str:
    """Words that follow a colon elsewhere, as a sentence of their own."""
    return f"{text[0].upper()}{text[1:]}."
