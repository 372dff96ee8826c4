"""A run's model judged by labelled digits: the numbers, what they are compared with, and what is kept."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digit_forms import npz
from programs import answer
from sklearn.metrics import f1_score, precision_score, recall_score

from mnistexp import api, data
from mnistexp.commands import prediction
from mnistexp.commands.best.ledger import LedgerEntry, read_ledger
from mnistexp.commands.evaluate.measured import measured
from mnistexp.report.reports import read_page
from mnistexp.runs import stored_runs
from mnistexp.statistics import predict_accuracy, wilson
from mnistexp.statistics.class_scores import calibration

UNSEEN = data.load_unseen()
GENERATOR = np.random.default_rng(0)


@pytest.fixture(scope="module")
def finished(finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copies of the finished runs, as each evaluation is a further run beside them."""
    runs = shutil.copytree(finished["train"].parent, tmp_path_factory.mktemp("evaluated") / "runs")
    return {kind: runs / path.name for kind, path in finished.items()}


def some_probabilities(count: int = 300, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a network that is often right, and the labels."""
    labels = GENERATOR.integers(0, classes, count)
    logits = GENERATOR.normal(size=(count, classes)) + 2 * np.eye(classes)[labels]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return shares.astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 10, 26])
def test_the_numbers_are_those_of_scikit_learn(classes: int) -> None:
    shares, labels = some_probabilities(classes=classes)
    found, predictions = measured(shares, labels), shares.argmax(axis=1)
    rows = found["per_class"]
    every = {"labels": np.arange(classes), "average": None, "zero_division": np.nan}
    assert found["accuracy"] == (predictions == labels).mean()
    assert found["interval"] == [wilson(found["correct"], 300).low, wilson(found["correct"], 300).high]
    assert [row["recall"] for row in rows] == pytest.approx(recall_score(labels, predictions, **every))
    assert [row["precision"] for row in rows] == pytest.approx(precision_score(labels, predictions, **every))
    assert [row["f1"] for row in rows] == pytest.approx(f1_score(labels, predictions, **every))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predictions, average="macro"))
    assert np.sum(found["confusion_matrix"]) == found["digits"] == 300
    assert all(row["recall_interval"][0] <= row["recall"] <= row["recall_interval"][1] for row in rows)


def test_the_most_confident_mistakes_come_first() -> None:
    shares, labels = some_probabilities()
    mistakes = measured(shares, labels)["mistakes"]
    assert all(one["label"] == labels[one["index"]] != one["prediction"] for one in mistakes)
    confident = [one["probability"] for one in mistakes]
    assert confident == sorted(confident, reverse=True)
    wrong = shares.argmax(axis=1) != labels
    assert confident[0] == pytest.approx(float(shares[wrong].max()))


def test_calibration_is_nearly_perfect_for_true_probabilities_and_not_for_overconfident_ones() -> None:
    confidence = GENERATOR.uniform(0.5, 1, 100_000)
    right = GENERATOR.uniform(size=100_000) < confidence
    shares = np.stack([confidence, 1 - confidence], axis=1)
    found = calibration(shares, np.where(right, 0, 1))
    assert found.error < 0.01
    assert sum(one.digits for one in found.bins) == 100_000
    braggart = calibration(np.tile([1.0, 0.0], (100, 1)), np.arange(100) % 2)
    assert braggart.error == 0.5
    assert "overconfident" in braggart.sentence


@pytest.mark.usefixtures("undrawn")
def test_evaluating_the_own_test_digits_counts_as_one_more_use(finished: dict[str, Path]) -> None:
    runs = finished["train"].parent
    outcome = api.evaluate(finished["train"], runs_dir=runs)
    stored = stored_runs.load(finished["train"])
    assert stored.metrics is not None
    for ours, theirs in (("accuracy", "test_accuracy"), ("confusion_matrix", "confusion_matrix")):
        assert outcome.metrics[ours] == stored.metrics[theirs]
    assert outcome.metrics["own_test_digits"]
    assert outcome.metrics["trained_on"]["digits"] == 0
    assert outcome.metrics["expected"] is None
    readings = {row["run"]: row["times"] for row in outcome.metrics["ledger"]["runs"]}
    assert readings[outcome.run_dir.name] == 1
    assert readings[finished["train"].name] == 5
    dataset = data.Dataset.load(stored_runs.load(finished["train"]).config)
    again = read_ledger(runs, dataset, LedgerEntry("now", "best", 1, False))
    assert outcome.run_dir.name in [reading.run for reading in again.entries]


@pytest.mark.usefixtures("undrawn")
def test_other_digits_are_compared_with_what_the_test_digits_predicted(finished: dict[str, Path]) -> None:
    runs = finished["train"].parent
    code, out, _ = answer("evaluate", finished["train"], "--data", "unseen", "--runs-dir", runs, "--json")
    document = json.loads(out)
    assert code == 0
    assert {"run_dir", "accuracy", "interval", "digits", "confusion_matrix", "metrics"} <= document.keys()
    assert document["digits"] == 4000
    metrics, stored = document["metrics"], stored_runs.load(finished["train"]).metrics
    assert stored is not None
    ahead = predict_accuracy(stored["test_correct"], stored["test_digits"], 4000)
    assert metrics["expected"]["interval"] == [ahead.low, ahead.high]
    assert metrics["expected"]["holds"] == (document["accuracy"] in ahead)
    assert metrics["ledger"] is None
    expected = api.load_run(finished["train"]).predict(UNSEEN.images)
    assert document["accuracy"] == (expected == UNSEEN.labels).mean()


@pytest.mark.usefixtures("undrawn")
def test_digits_that_the_run_was_trained_on_are_found_by_content(finished: dict[str, Path]) -> None:
    runs = finished["train"].parent
    outcome = api.evaluate(finished["train"], "embedded", runs_dir=runs)
    stored = stored_runs.load(finished["train"])
    assert stored.metrics is not None
    trained = outcome.metrics["trained_on"]
    assert trained["digits"] == 160
    assert trained["others"]["digits"] == 840
    assert trained["sentence"] in outcome.metrics["warnings"]


def test_the_folder_holds_what_a_report_shows(finished: dict[str, Path]) -> None:
    outcome = api.evaluate(finished["train"], "unseen", runs_dir=finished["train"].parent)
    stored = stored_runs.load(outcome.run_dir)
    drawn = {f"{name}.{kind}" for name in ("confusion_matrix", "reliability", "mistakes") for kind in ("png", "svg")}
    assert drawn | {"metrics.json", "data.json", "config.yaml"} <= set(stored.files())
    (report,) = read_page([stored]).runs
    assert report.story.kind == "evaluation"
    code, _, _ = answer("report", outcome.run_dir, "--format", "md")
    assert code == 0


@pytest.mark.usefixtures("undrawn")
def test_latest_is_the_newest_run_with_a_model(finished: dict[str, Path]) -> None:
    runs = finished["train"].parent
    api.evaluate(finished["train"], runs_dir=runs)
    found = prediction.run_with_model(runs, "latest")
    assert (found.path / "model.keras").exists()


@pytest.mark.usefixtures("undrawn")
def test_transposed_digits_get_a_warning_and_the_option_transposes_them(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    source = npz("x_test", "y_test")(tmp_path, UNSEEN.images[::8].transpose(0, 2, 1), UNSEEN.labels[::8])
    upright = npz("x_test", "y_test")
    (tmp_path / "upright").mkdir()
    plain = upright(tmp_path / "upright", UNSEEN.images[::8], UNSEEN.labels[::8])
    runs = str(tmp_path / "runs")

    def judged(*arguments: Any) -> dict[str, Any]:
        code, out, _ = answer("evaluate", finished["train"], "--runs-dir", runs, "--json", *arguments)
        assert code == 0
        found: dict[str, Any] = json.loads(out)["metrics"]
        return found

    assert "look transposed" in judged("--data", source)["warnings"][0]
    turned = judged("--data", source, "--transpose")
    assert not turned["warnings"]
    assert turned["confusion_matrix"] == judged("--data", plain)["confusion_matrix"]


def test_labels_unknown_to_the_run_are_bad_input(finished: dict[str, Path], tmp_path: Path) -> None:
    source = npz("x_test", "y_test")(tmp_path, UNSEEN.images[:20], np.full(20, 11))
    code, _, errors = answer("evaluate", finished["train"], "--data", source)
    assert code == 2
    assert "has the label '11', allowed: the 10 classes 0, 1, 2" in errors
