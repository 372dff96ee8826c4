"""What a finished run tells agrees with what its files hold; and the reader of it finds the faults it is there for."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from contents import best, chosen, sweep
from contents.claims import difference_faults, faults_of
from contents.commands import stored_faults
from contents.passages import Page, Passage
from contents.reader import confusion_faults, faults, show, unlike_page
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
    with TemporaryDirectory() as made:
        return write_report([stored_runs.load(folder)], "html", Path(made) / "page.html").read_text("utf-8")


@pytest.mark.parametrize("kind", ["train", "repeats", "sweep", "best", "summary", "show-examples"])
def test_every_number_reported_of_a_run_is_that_of_its_files(finished: dict[str, Path], kind: str) -> None:
    assert show(finished[kind]) == []


def test_a_sweep_of_one_trial_compares_it_with_no_other(finished: dict[str, Path]) -> None:
    alone = [run for run in finished["best"].parent.glob("*-sweep-*") if len(Record(run).trials) == 1]
    assert alone
    for run in alone:
        assert show(run) == []
        lead = next(text for place, text in Page(page_of(run)).passages if place == "lead")
        assert lead.startswith("The only trial in 2-fold cross-validation")
        assert "No other trial has a score to compare it with." in lead


@pytest.mark.parametrize(
    ("kind", "cell", "others"),
    [
        ("summary", "4,640", ("4,641", "160", "nan", "4640%")),
        ("summary", "26 \u00d7 26 \u00d7 16", ("13 \u00d7 13 \u00d7 16",)),
        ("summary", "108,618", ("108,619", "nan")),
        ("show-examples", "86", ("83", "nan", "86%")),
        ("show-examples", "(800, 28, 28)", ("(1000, 28, 28)",)),
    ],
)
def test_another_number_of_the_network_or_of_the_digits_is_found(
    finished: dict[str, Path], kind: str, cell: str, others: tuple[str, ...]
) -> None:
    page = page_of(finished[kind])
    assert page.count(f">{cell}<")
    for other in others:
        assert faults(finished[kind], page.replace(f">{cell}<", f">{other}<", 1)), other


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


def test_the_mean_reported_as_the_saved_models_accuracy_is_found(finished: dict[str, Path]) -> None:
    record = Record(finished["repeats"])
    known = training_quantities(record)
    assert known["saved accuracy"] != known["accuracy"]
    for place in ("lead", "tile saved model", "How accurate is it on the test digits? / answer"):
        for name in ("saved accuracy", "accuracy"):
            told = [Passage(place, f"The saved model has an accuracy of {known[name]:.2%}.")]
            assert (faults_of(told, TRAINING_RULES, known) == []) is (name == "saved accuracy"), place


def test_an_epoch_reported_off_by_one_after_early_stopping_is_found(copied: Path) -> None:
    config, lowest = Record(copied).config, int(Record(copied).curves("val_loss")[0].argmin()) + 1
    config["training"]["early_stopping"] = {"patience": 3, "min_delta": 0.0, "restore_best_weights": True}
    (copied / "config.yaml").write_text(json.dumps(config))
    known = training_quantities(Record(copied))
    for epoch in (lowest, lowest + 1):
        told = [
            Passage("What is the best number of epochs? / plain", f"The scored model has the weights of epoch {epoch}.")
        ]
        assert (faults_of(told, TRAINING_RULES, known) == []) is (epoch == lowest)


def test_a_wrongly_reported_confusion_is_found(copied: Path) -> None:
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
    said = "The best score is 23.8%; corrected for selection it is about {} points lower, 21.8%."
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
    reported = float(curves[curves.run == "sgd_150_epochs"].val_loss.min())
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
    reported = float(curves[curves.run == "sgd_150_epochs"].val_loss.min())
    last = float(record.curves("val_loss")[0, -1]) + 0.01
    own = reproduction_of(copied, "sgd_150_epochs: lowest validation loss", reported, last)
    assert any("ours is told as" in fault for fault in faults(own))


@pytest.fixture(scope="module")
def of_best(finished: dict[str, Path]) -> dict[str, Any]:
    """What the files of a `best` say, computed once."""
    return best.quantities(Record(finished["best"]))


def told_of_best(place: str, text: str, known: dict[str, Any]) -> list[str]:
    return faults_of([Passage(place, text)], best.RULES, known)


def test_the_runner_ups_score_reported_as_the_winners_is_found(
    of_best: dict[str, Any], finished: dict[str, Path]
) -> None:
    scores = sorted({round(one.score, 4) for one in chosen.tried(Record(finished["best"])).values()})
    winner, second = scores[-1], scores[-2]
    place = "Which optimizer and dropout are best? / answer"
    for score in (winner, second):
        said = f"adam: cross-validation accuracy {score:.2%} on the training digits, chosen from several settings."
        assert (told_of_best(place, said, of_best) == []) is (score == winner)
        assert (told_of_best("tile cross-validation", f"{score:.2%}", of_best) == []) is (score == winner)


def test_the_corrected_score_of_another_choice_is_found(of_best: dict[str, Any], finished: dict[str, Path]) -> None:
    everyone = list(chosen.tried(Record(finished["best"])).values())
    worst = sorted(everyone, key=lambda one: one.score)[:2]
    other = sweep.corrected(np.array([one.scores for one in worst]))["corrected"].value
    assert abs(other - of_best["corrected"].value) > 0.02
    for corrected in (other, of_best["corrected"].value):
        told = told_of_best("tile corrected for selection", f"{corrected:.1%}", of_best)
        assert bool(told) is (corrected == other)


def test_a_number_of_the_terminal_that_the_page_does_not_have_is_found(finished: dict[str, Path]) -> None:
    record = Record(finished["repeats"])
    page, accuracies = page_of(record.path), record.metrics["repeats"]["test_accuracies"]
    mean = float(np.mean(accuracies))
    for told in (mean, accuracies[0]):
        said = f"{told:.1%} test accuracy, mean of 2 trainings"
        assert (unlike_page(Page(page), said) == []) is (told == mean)
    assert any("'nan' reaches a reader" in fault for fault in faults(record.path, said="Test accuracy nan"))


@pytest.mark.parametrize(
    ("kind", "path"),
    [("best", "best_score"), ("best", "choice.settings"), ("best", "representative.selection.corrected"),
     ("train", "test_accuracy"), ("train", "min_val_loss"), ("sweep", "best_score")],
)  # fmt: skip
def test_metrics_that_other_files_contradict_are_found(
    finished: dict[str, Path], of_best: dict[str, Any], kind: str, path: str
) -> None:
    record = Record(finished[kind])
    known = {"best": of_best, "train": {}, "sweep": {}}[kind] or (
        training_quantities(record) if kind == "train" else quantities(record)
    )
    assert stored_faults(record, known) == []
    stale = json.loads(json.dumps(record.metrics))
    *above, last = path.split(".")
    section = stale
    for key in above:
        section = section[key]
    section[last] += 0.125 if isinstance(section[last], float) else 1
    vars(record)["metrics"] = stale
    assert any(path in fault for fault in stored_faults(record, known))
