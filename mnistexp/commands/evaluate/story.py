"""`evaluate` step by step: read labelled digits, converted like the training digits, and score the model on them."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnistexp import statistics
from mnistexp.commands.best.ledger import LedgerEntry, read_ledger
from mnistexp.commands.evaluate.measured import measured
from mnistexp.commands.job import NOTHING_KEPT, add_figures, as_sentence, read_same_digits, run_job, unwatched
from mnistexp.commands.prediction import TrainedNetwork, network_of
from mnistexp.config import settings
from mnistexp.config.models import DataConfig
from mnistexp.config.shown import percent, span
from mnistexp.data import Dataset, Digits, Split
from mnistexp.data.dataset import find, read_labelled, suspicions
from mnistexp.data.forms import Classes
from mnistexp.data.part import opened
from mnistexp.errors import BadInput, MnistexpError
from mnistexp.figures import drawings, plots
from mnistexp.runs.layout import DATA, METRICS, Kind
from mnistexp.runs.predictions import Mistake
from mnistexp.runs.results import Noted, Outcome, Reading, Watch
from mnistexp.runs.run_folder import Run
from mnistexp.runs.stored_runs import StoredRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PartChoice = Literal["auto", "train", "test"]
PARTS: tuple[PartChoice, ...] = ("auto", "train", "test")


def evaluate(
    stored: StoredRun,
    runs_dir: Path,
    source: str | None = None,
    *,
    part: PartChoice = "auto",
    invert: bool | Literal["auto"] = "auto",
    transpose: bool | None = None,
    name: str | None = None,
    watch: Watch = unwatched,
) -> Outcome:
    """Evaluate the saved model of `stored` on the labelled digits of `source`, or on the run's own test digits.

    `source` is as `data.source`. `part` of a source with its own test part: that part, or with `train` the other.
    `invert` and `transpose` are as `data.invert` and `data.transpose`; with `transpose` None, sources of the same form
    are converted as the run recorded.

    `metrics.json` has the keys of `measured`, and `run`, `source`, `trained_on` (the digits that the run was trained
    on, found by content), `expected` (whether the accuracy is in the prediction interval of the run's test digits),
    `ledger` (of the run's own test digits), `converted` and `warnings`. Raises `BadInput`, `DataError` and `RunError`
    before anything is written, and `Interrupted` on Ctrl-C.
    """
    network = network_of(stored)
    config = network.config
    if source is None:
        judged = known = read_same_digits(stored, config, watch)
    else:
        data = config.data.model_copy(update={"source": source, "invert": invert, "transpose": False})
        digits, none = _other(data, network, part, transpose, watch), np.zeros(0, np.int64)
        judged = Dataset(digits, Split(none, none, np.arange(len(digits))), config)
        known = None
        with suppress(MnistexpError):  # the run's own digits can't be read any more
            known = read_same_digits(stored, config, unwatched)
    document = _document(stored, judged, network, known)
    evaluated = config.model_copy(update={"data": config.data.model_copy(update={"source": judged.digits.source})})
    new = Run.create(runs_dir, Kind.EVALUATE, name or stored.name, settings.to_yaml(evaluated))
    with run_job(new, NOTHING_KEPT) as run:
        run.add(DATA, judged.document())
        if judged is known:
            ledger = read_ledger(runs_dir, judged, LedgerEntry(run.id, Kind.EVALUATE, 1, False))
            document["ledger"] = ledger.document()
        run.add(METRICS, document)
        add_figures(run, of_evaluation(document, judged, network.classes))
    return Outcome(run.path, document)


def _other(data: DataConfig, network: TrainedNetwork, part: PartChoice, transpose: bool | None, watch: Watch) -> Digits:
    """All digits of a source, or of a part of it, converted like the training digits."""

    def tick(done: float) -> None:
        watch(Reading(done))

    found = find(data)
    turned = found.form == network.transposed if transpose is None else transpose
    data = data.model_copy(update={"transpose": turned})
    if part == "test" and found.test is None:
        raise BadInput(f"--part is test, and {data.source!r} has no test part of its own; allowed: auto, train")
    own = {"test": found.test, "auto": found.judged, "train": None}[part]
    told = (f"evaluated on its own test part, {found.test_name}",) if own and part == "auto" else ()
    read = opened(own or found.main, data.source, tick)
    digits = read_labelled(read, data, network.classes, found.form, tick)
    warnings = (*digits.warnings, *suspicions(digits, found, data))
    images = network.as_seen(digits.images)
    digits = replace(digits, images=images, told=(*digits.told, *told), warnings=warnings)
    if digits.notes:
        watch(Noted(digits.notes))
    return digits


def _document(stored: StoredRun, judged: Dataset, network: TrainedNetwork, known: Dataset | None) -> dict[str, Any]:
    images, labels = judged.digits.at(judged.split.test)
    probabilities = network.probabilities(images)
    found = measured(probabilities, labels)
    trained = _trained_on(images, known, probabilities.argmax(axis=1) == labels)
    document: dict[str, Any] = {
        "command": Kind.EVALUATE,
        "run": stored.id,
        "source": judged.digits.source,
        "own_test_digits": judged is known,
        **found,
        "trained_on": trained,
        "expected": None if judged is known else _expected(stored, trained, found),
        "ledger": None,
        "class_names": list(network.classes.names),
        "converted": list(judged.digits.told),
        "warnings": [as_sentence(text) for text in judged.digits.warnings],
    }
    if trained["digits"]:
        document["warnings"].append(trained["sentence"])
    return document


def _trained_on(images: NDArray[np.uint8], known: Dataset | None, right: NDArray[np.bool_]) -> dict[str, Any]:
    """How many of the digits the run was trained on, by their pixels, and the accuracy on the others."""
    if known is None:
        told = "Whether the run was trained on some of these digits is unknown: its own digits can't be read any more."
        return {"digits": None, "others": None, "sentence": told}
    rows = np.concatenate([known.split.train, known.split.validation])
    seen = {image.tobytes() for image in known.digits.images[rows]}
    familiar = np.array([image.tobytes() in seen for image in images], np.bool_)
    count, others = int(familiar.sum()), int((~familiar).sum())
    if not count:
        return {"digits": 0, "others": None, "sentence": "The run was trained on none of these digits."}
    correct = int(right[~familiar].sum())
    if not others:
        told = "The run was trained on all of these digits, so the accuracy is not an estimate for other digits."
        return {"digits": count, "others": None, "sentence": told}
    interval = statistics.wilson(correct, others)
    told = (
        f"The run was trained on {count:,} of these {len(right):,} digits, found by their pixels; on the other "
        f"{others:,} its accuracy is {percent(correct / others)} (95% interval {span(*interval.ends)})."
    )
    share = {"digits": others, "correct": correct, "accuracy": correct / others, "interval": interval.ends}
    return {"digits": count, "others": share, "sentence": told}


def _expected(stored: StoredRun, trained: dict[str, Any], found: dict[str, Any]) -> dict[str, Any] | None:
    """Whether the accuracy is in the prediction interval of the run's test digits."""
    metrics = stored.metrics or {}
    if not metrics.get("test_digits") or (trained["digits"] and not trained["others"]):
        return None
    of = trained["others"] or found
    ahead = statistics.predict_accuracy(metrics["test_correct"], metrics["test_digits"], of["digits"])
    holds = of["accuracy"] in ahead
    which = "digits that it was not trained on" if trained["others"] else "digits"
    place = "within" if holds else "above" if of["accuracy"] > ahead.high else "below"
    meaning = (
        "as expected for digits of the same kind"
        if holds
        else "these digits differ from its test digits, or the test accuracy was off by chance"
    )
    told = (
        f"The accuracy on {of['digits']:,} {which}, {percent(of['accuracy'])}, is {place} the 95% prediction interval "
        f"from the run's test digits, {span(*ahead.ends)}: {meaning}."
    )
    return {"interval": ahead.ends, "holds": holds, "sentence": told}


def of_evaluation(document: dict[str, Any], judged: Dataset, classes: Classes) -> dict[str, "Figure"]:
    """The figures of an evaluation, by name."""
    names = classes.names
    worst = [Mistake(**mistake) for mistake in document["mistakes"]]
    images = judged.digits.images[judged.split.test[[one.index for one in worst]]]
    return {
        "confusion_matrix": plots.confusion_matrix(np.array(document["confusion_matrix"]), names),
        "reliability": plots.reliability_diagram(document["calibration"]["bins"], document["calibration"]["error"]),
        "mistakes": drawings.mistakes(images, [one.captions(names) for one in worst]),
    }
