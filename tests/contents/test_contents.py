"""What a finished run tells agrees with what its files hold; and the reader of it finds the faults it is there for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from contents.claims import difference_faults, faults_of
from contents.passages import Page, Passage
from contents.reader import confusion_faults, faults, show
from contents.records import Record
from contents.sweep import RULES, quantities
from contents.training import RULES as TRAINING_RULES
from contents.training import quantities as training_quantities
from mnistexp.report.reports import write_report
from mnistexp.runs import stored_runs


@pytest.fixture
def copied(finished: dict[str, Path], tmp_path: Path) -> Path:
    """A training's folder that a test may spoil."""
    return Path(shutil.copytree(finished["train"], tmp_path / finished["train"].name))


def page_of(folder: Path) -> str:
    return write_report([stored_runs.load(folder)], "html", folder.parent / "page.html").read_text("utf-8")


@pytest.mark.parametrize("kind", ["train", "repeats", "sweep", "best", "summary"])
def test_every_number_told_of_a_run_is_that_of_its_files(finished: dict[str, Path], kind: str) -> None:
    assert show(finished[kind]) == []


def test_a_sweep_of_one_trial_compares_it_with_no_other(finished: dict[str, Path]) -> None:
    alone = [run for run in finished["best"].parent.glob("*-sweep-*") if len(Record(run).trials) == 1]
    assert alone
    for run in alone:
        assert show(run) == []
        lead = next(text for place, text in Page(page_of(run)).passages if place == "lead")
        assert lead.startswith("The only trial in 2-fold cross-validation")
        assert "No other trial has a score to compare it with." in lead


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_swapped_figure_is_found(copied: Path, kind: str) -> None:
    loss, accuracy = copied / f"loss_curves.{kind}", copied / f"accuracy_curves.{kind}"
    content = loss.read_bytes()
    loss.write_bytes(accuracy.read_bytes())
    accuracy.write_bytes(content)
    found = faults(copied)
    assert any(loss.name in fault for fault in found), found


def test_a_nan_is_found_on_a_page_and_in_the_metrics(copied: Path) -> None:
    page = page_of(copied)
    last = Record(copied).curves("val_loss")[0, -1]
    spoilt = page.replace(f">{last:.4f}<", ">nan<", 1)
    assert spoilt != page
    assert any("'nan' reaches a reader" in fault for fault in faults(copied, spoilt))
    document = json.loads((copied / "metrics.json").read_text())
    (copied / "metrics.json").write_text(json.dumps(document | {"final_loss": float("nan")}))
    assert any("final_loss is nan" in fault for fault in faults(copied))


def test_another_value_of_one_score_is_found_and_a_number_that_nothing_claims(copied: Path) -> None:
    page, accuracy = page_of(copied), Record(copied).metrics["test_accuracy"]
    lowered = page.replace(f"{accuracy:.1%}", f"{accuracy - 0.001:.1%}", 1)
    assert any("is none of" in fault for fault in faults(copied, lowered))
    added = page.replace("</main>", "<p class='plain'>Bananas: 77.25</p></main>")
    assert any("'77.25'" in fault for fault in faults(copied, added))


def test_a_headline_of_the_first_seed_is_found(finished: dict[str, Path]) -> None:
    record = Record(finished["repeats"])
    known, first = training_quantities(record), record.metrics["repeats"]["test_accuracies"][0]
    assert first != known["accuracy"]
    told = [Passage("headline", f"{first:.2%} test accuracy")]
    assert any("is none of" in fault for fault in faults_of(told, TRAINING_RULES, known))
    mean = [Passage("headline", f"{known['accuracy']:.2%} test accuracy")]
    assert faults_of(mean, TRAINING_RULES, known) == []


def test_the_mean_told_as_the_saved_models_accuracy_is_found(finished: dict[str, Path]) -> None:
    record = Record(finished["repeats"])
    known = training_quantities(record)
    assert known["saved accuracy"] != known["accuracy"]
    for place in ("lead", "tile saved model", "How accurate is it on the test digits? / answer"):
        for name in ("saved accuracy", "accuracy"):
            told = [Passage(place, f"The saved model has an accuracy of {known[name]:.2%}.")]
            assert (faults_of(told, TRAINING_RULES, known) == []) is (name == "saved accuracy"), place


def test_an_epoch_told_off_by_one_after_early_stopping_is_found(copied: Path) -> None:
    config, lowest = Record(copied).config, int(Record(copied).curves("val_loss")[0].argmin()) + 1
    config["training"]["early_stopping"] = {"patience": 3, "min_delta": 0.0, "restore_best_weights": True}
    (copied / "config.yaml").write_text(json.dumps(config))
    known = training_quantities(Record(copied))
    for epoch in (lowest, lowest + 1):
        told = [
            Passage("What is the best number of epochs? / plain", f"The scored model has the weights of epoch {epoch}.")
        ]
        assert (faults_of(told, TRAINING_RULES, known) == []) is (epoch == lowest)


def test_a_confusion_told_wrongly_is_found(copied: Path) -> None:
    record = Record(copied)
    counts = record.confusions[0] * ~np.eye(10, dtype=bool)
    shown, taken = (int(index) for index in np.unravel_index(counts.argmax(), counts.shape))
    times = int(counts.max())
    assert times
    for said, right in ((times, True), (times + 1, False)):
        told = [Passage("description", f"Most frequent confusions: {shown} as {taken} ({said}).")]
        assert (confusion_faults(told, record) == []) is right
    told = [Passage("description", f"Most frequent confusions: {taken} as {taken} ({times}).")]
    assert confusion_faults(told, record)


def test_another_accuracy_of_the_best_model_on_unseen_digits_is_found(finished: dict[str, Path]) -> None:
    page, unseen = page_of(finished["best"]), Record(finished["best"]).metrics["representative"]["unseen"]["accuracy"]
    spoilt = page.replace(f"{unseen:.1%}", f"{unseen + 0.002:.1%}")
    assert spoilt != page
    assert sum("is none of" in fault for fault in faults(finished["best"], spoilt)) >= 3


def test_a_count_of_ties_that_is_off_by_one_is_found(finished: dict[str, Path]) -> None:
    known = quantities(Record(finished["sweep"]))
    for count, right in ((known["tied"], True), (known["tied"] + 1, False)):
        told = [Passage("plain", f"{count} trials are tied, including the best.")]
        assert (faults_of(told, RULES, known) == []) is right


def test_a_rounded_difference_that_contradicts_is_found() -> None:
    head = "Differences on the same digits / all trials: best against worst"
    row = [
        Passage(f"{head} / {name}", text) for name, text in (("best", "82.0%"), ("other", "83.5%"), ("points", "-1.6"))
    ]
    assert difference_faults(row)
    assert not difference_faults([*row[:2], Passage(f"{head} / points", "-1.5")])
    said = "The best score is 23.8%; corrected for selection, about {} points lower, it is 21.8%."
    assert difference_faults([Passage("answer", said.format("1.9"))])
    assert not difference_faults([Passage("answer", said.format("2.0"))])


def reproduction_of(training: Path, what: str, reported: float, ours: float) -> Path:
    """A reproduction whose table has one row, about a training."""
    own = training.parent / "20260101T000000Z-reproduce-x-0000"
    own.mkdir()
    (own / "status.json").write_text('{"command": "reproduce", "seconds": 1.0}')
    (own / "config.yaml").write_text("seed: 2")
    row = {"part": "curves", "what": what, "reported": reported, "ours": ours, "interval": None, "how": ""}
    step = {"name": "sgd_150_epochs", "part": "curves", "run": training.name, "seconds": 1.0}
    document = {
        "table": [row | {"agrees": None, "run": training.name}],
        "agreements": {"yes": 0, "no": 0, "not_comparable": 1},
        "steps": [step],
        "seconds": {"total": 1.0},
    }
    (own / "metrics.json").write_text(json.dumps(document))
    return own


def test_a_reproduction_that_validated_every_fifth_epoch_is_found(copied: Path) -> None:
    record = Record(copied)
    curves = record.reported_curves
    reported = float(curves[curves.run == "sgd_150_epochs"].val_loss[: record.metrics["epochs"]].min())
    lowest = float(record.curves("val_loss").min())
    own = reproduction_of(copied, "sgd_150_epochs: lowest validation loss", reported, lowest)
    assert faults(own) == []
    lines = (copied / "history.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    for row in rows[:-1]:
        row[3:] = ["nan", "nan"]
    (copied / "history.csv").write_text("\n".join([lines[0], *map(",".join, rows)]) + "\n")
    assert any("was validated in 1 epochs of 5" in fault for fault in faults(own))


def test_a_number_of_a_reproduction_that_its_training_does_not_have_is_found(copied: Path) -> None:
    record = Record(copied)
    curves = record.reported_curves
    reported = float(curves[curves.run == "sgd_150_epochs"].val_loss[: record.metrics["epochs"]].min())
    last = float(record.curves("val_loss")[0, -1]) + 0.01
    own = reproduction_of(copied, "sgd_150_epochs: lowest validation loss", reported, last)
    assert any("ours is told as" in fault for fault in faults(own))
