"""`evaluate` step by step: read labelled digits, converted like the training digits, and score the model on them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnistexp import statistics
from mnistexp.commands.best.ledger import Reading, read_ledger
from mnistexp.commands.digits import as_sentence, read_digits
from mnistexp.commands.evaluate.measured import measured
from mnistexp.commands.job import NOTHING_KEPT, run_job, unwatched
from mnistexp.commands.prediction import Network, network_of
from mnistexp.config import settings
from mnistexp.config.models import DataConfig
from mnistexp.config.shown import percent, span
from mnistexp.data import Dataset, Digits, Split
from mnistexp.data.dataset import find, read_labelled, suspicions
from mnistexp.data.forms import Classes
from mnistexp.data.part import opened
from mnistexp.errors import BadInput, MnistexpError, RunError
from mnistexp.figures import drawings, plots, style
from mnistexp.runs.layout import DATA, METRICS, Kind
from mnistexp.runs.predictions import Mistake
from mnistexp.runs.results import Noted, Outcome, Watch
from mnistexp.runs.results import Reading as ReadingDone
from mnistexp.runs.run_folder import Run
from mnistexp.runs.stored_runs import StoredRun

PartChoice = Literal["auto", "train", "test"]
PARTS: tuple[PartChoice, ...] = ("auto", "train", "test")


@dataclass(frozen=True, eq=False)
class _Judged:
    """The digits of the evaluation, as the network sees them; `own`: the run's own test digits, with their split."""

    digits: Digits
    rows: NDArray[np.int64]
    own: Split | None = None

    @property
    def images(self) -> NDArray[np.uint8]:
        return self.digits.images[self.rows]

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.digits.labels[self.rows]


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
    judged, known = _digits(stored, network, source, part, invert, transpose, watch)
    document = _document(stored, judged, network, known)
    evaluated = config.model_copy(update={"data": config.data.model_copy(update={"source": judged.digits.source})})
    new = Run.create(runs_dir, Kind.EVALUATE, name or stored.name, settings.to_yaml(evaluated))
    with run_job(new, NOTHING_KEPT) as run:
        _store(run, runs_dir, document, judged, network.classes)
    return Outcome(run.path, document)


def _digits(
    stored: StoredRun,
    network: Network,
    source: str | None,
    part: PartChoice,
    invert: bool | Literal["auto"],
    transpose: bool | None,
    watch: Watch,
) -> tuple[_Judged, Dataset | None]:
    """The digits of the evaluation, and those of the run, None if they can't be read any more."""
    config = network.config
    if source is None:
        dataset = read_digits(config, watch)
        if not dataset.digits.match(stored.read_json(DATA)):
            raise RunError(f"{stored.id} was trained on other digits than {config.data.source} now contains")
        return _Judged(dataset.digits, dataset.split.test, dataset.split), dataset
    data = config.data.model_copy(update={"source": source, "invert": invert, "transpose": False})
    digits = _other(data, network, part, transpose, watch)
    try:
        known = Dataset.load(config)
        same = known.digits.match(stored.read_json(DATA))
    except MnistexpError:
        same = False
    return _Judged(digits, np.arange(len(digits))), known if same else None


def _other(data: DataConfig, network: Network, part: PartChoice, transpose: bool | None, watch: Watch) -> Digits:
    """All digits of a source, or of a part of it, converted like the training digits."""

    def tick(done: float) -> None:
        watch(ReadingDone(done))

    found = find(data)
    turned = found.form == network.transposed if transpose is None else transpose
    data = data.model_copy(update={"transpose": turned})
    if part == "test" and found.test is None:
        raise BadInput(f"--part is test, and {data.source!r} has no test part of its own; allowed: auto, train")
    own = found.test if part == "test" or (part == "auto" and not found.named) else None
    told = (f"evaluated on its own test part, {found.test_name}",) if own and part == "auto" else ()
    read = opened(own or found.main, data.source, tick)
    digits = read_labelled(read, data, network.classes, found.form, tick)
    warnings = (*digits.warnings, *suspicions(digits, found, data))
    images = network.as_seen(digits.images)
    digits = replace(digits, images=images, told=(*digits.told, *told), warnings=warnings)
    if digits.notes:
        watch(Noted(digits.notes))
    return digits


def _document(stored: StoredRun, judged: _Judged, network: Network, known: Dataset | None) -> dict[str, Any]:
    labels, probabilities = judged.labels, network.probabilities(judged.images)
    found = measured(probabilities, labels)
    right = probabilities.argmax(axis=1) == labels
    trained = _trained_on(judged, known, right)
    document: dict[str, Any] = {
        "command": Kind.EVALUATE,
        "run": stored.id,
        "source": judged.digits.source,
        "own_test_digits": judged.own is not None,
        **found,
        "trained_on": trained,
        "expected": _expected(stored, judged, trained, found),
        "ledger": None,
        "class_names": list(network.classes.names),
        "converted": list(judged.digits.told),
        "warnings": [as_sentence(text) for text in judged.digits.warnings],
    }
    if trained["digits"]:
        document["warnings"].append(trained["sentence"])
    return document


def _trained_on(judged: _Judged, known: Dataset | None, right: NDArray[np.bool_]) -> dict[str, Any]:
    """How many of the digits the run was trained on, by their pixels, and the accuracy on the others."""
    if known is None:
        told = "Whether the run was trained on some of these digits is unknown: its own digits can't be read any more."
        return {"digits": None, "others": None, "sentence": told}
    rows = np.concatenate([known.split.train, known.split.validation])
    seen = {image.tobytes() for image in known.digits.images[rows]}
    familiar = np.array([image.tobytes() in seen for image in judged.images], np.bool_)
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
        f"{others:,} its accuracy is {percent(correct / others)} (95% interval {span(interval.low, interval.high)})."
    )
    share = {
        "digits": others,
        "correct": correct,
        "accuracy": correct / others,
        "interval": [interval.low, interval.high],
    }
    return {"digits": count, "others": share, "sentence": told}


def _expected(
    stored: StoredRun, judged: _Judged, trained: dict[str, Any], found: dict[str, Any]
) -> dict[str, Any] | None:
    """Whether the accuracy is in the prediction interval of the run's test digits; None for those digits."""
    metrics = stored.metrics or {}
    if judged.own is not None or not metrics.get("test_digits") or (trained["digits"] and not trained["others"]):
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
        f"from the run's test digits, {span(ahead.low, ahead.high)}: {meaning}."
    )
    return {"interval": [ahead.low, ahead.high], "holds": holds, "sentence": told}


def _store(run: Run, runs_dir: Path, document: dict[str, Any], judged: _Judged, classes: Classes) -> None:
    digits = judged.digits
    empty = np.zeros(0, np.int64)
    split = judged.own or Split(empty, empty, judged.rows)
    run.add(DATA, digits.document(split))
    if judged.own is not None:
        ledger = read_ledger(runs_dir, digits, split, Reading(run.id, Kind.EVALUATE, 1, False))
        document["ledger"] = ledger.document()
    names = classes.names
    worst = [Mistake(**mistake) for mistake in document["mistakes"]]
    drawn = {
        "confusion_matrix": plots.confusion_matrix(np.array(document["confusion_matrix"]), names),
        "reliability": plots.reliability_diagram(document["calibration"]["bins"], document["calibration"]["error"]),
        "mistakes": drawings.mistakes(
            judged.images[[one.index for one in worst]], [one.captions(names) for one in worst]
        ),
    }
    run.add(METRICS, document)
    for file, content in style.rendered(drawn):
        run.add(file, content)
    run.finish()
