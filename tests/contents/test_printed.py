"""What commands print of finished runs is that of the runs' files; and the faults planted in it are found."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from programs import answer, call

from contents import checked, commands, compare, planned, predicted, printed, verified
from contents.passages import Page
from contents.planted import more, negated, plus, replaced, spoilt, told
from contents.reader import together_faults
from contents.records import Record
from mnistexp.report.reports import write_report
from mnistexp.runs import stored_runs


@pytest.fixture(scope="module")
def trained(finished: dict[str, Path]) -> list[Record]:
    """A training, a best model and a training with repeats, of the same test digits."""
    return [Record(finished[kind]) for kind in ("train", "best", "repeats")]


def test_what_list_and_show_print_is_that_of_the_files(finished: dict[str, Path]) -> None:
    assert printed.listed_and_shown([Record(finished[kind]) for kind in ("train", "repeats", "sweep", "best")]) == []


def test_what_compare_and_check_print_and_draw_is_that_of_the_files(trained: list[Record]) -> None:
    assert printed.compared_runs(trained) == []


def test_what_predict_prints_is_what_the_network_reads(trained: list[Record]) -> None:
    assert printed.predictions(trained[0]) == []


def test_a_wrong_score_in_a_list_and_another_curve_are_found(trained: list[Record]) -> None:
    record = trained[0]
    line = "\t".join([record.path.name, "done", "2026-01-01T00:00:00Z", "1.0", "{}"])
    accuracy = record.metrics["test_accuracy"]
    assert commands.listed_faults(record.path.parent, line.format(accuracy)) == []
    assert commands.listed_faults(record.path.parent, line.format(accuracy + 0.025))
    losses = record.curves("val_loss")[0]
    ends = f"validation loss  ***  {losses[0]:.4g}  {losses[-1]:.4g}  {losses.min():.4g}  {losses.max():.4g}"
    assert commands.shown_faults(record, ends) == []
    assert commands.shown_faults(record, ends.replace(f"{losses.min():.4g}", "0.001"))
    assert commands.shown_faults(record, f"test_accuracy  {accuracy + 0.025}")


def test_faults_in_the_json_of_a_comparison_are_found(trained: list[Record]) -> None:
    document, _ = told(trained, "compare")
    only = "only_first" if document["paired"][1]["only_first"] else "only_second"
    assert compare.document_faults(trained, document) == []
    for changed in (
        spoilt(document, "paired", 0, "p_value", by=lambda p: p / 2),
        spoilt(document, "paired", 1, "adjusted_p_value", by=lambda p: p / 2),
        spoilt(document, "paired", 1, "interval", 0, by=plus(-0.01)),
        spoilt(document, "paired", 1, "verdict", by=lambda verdict: verdict + "?"),
        spoilt(document, "paired", 1, only, 0, "row", by=plus(1)),
        spoilt(document, "paired", 0, "sentence", by=lambda text: replaced(text, r"[+-][\d.]+ points", more)),
        spoilt(document, "differences", "config", "training.epochs", 0, by=plus(1)),
        spoilt(document, "differences", "metrics", by=lambda part: {**part, "test_correct": [1, 2, 3]}),
        spoilt(document, "differences", "metrics", by=lambda part: dict([*part.items()][1:])),
    ):
        assert len(compare.document_faults(trained, changed)) == 1


def test_faults_in_the_text_of_a_comparison_are_found(trained: list[Record]) -> None:
    _, text = told(trained, "compare")
    assert compare.text_faults(trained, text) == []
    for pattern in (
        r"[\d.]+% against", r"[+-][\d.]+ points", r"^3 against 1  .*interval [+-][\d.]+", r"p = [\d.e-]+",
        r"^\d+ digits? that only", r"\(row \d+", r"^training.epochs +\d+", r"^min_val_loss +[\d.]+", r"^3  .*\d$",
    ):  # fmt: skip
        assert compare.text_faults(trained, replaced(text, pattern, more)), pattern
    for pattern in (r"^\d+ digits? that only .*\n", r"^training.epochs .*\n", "No significant difference|Better|Worse"):
        assert compare.text_faults(trained, replaced(text, pattern, "")), pattern


def test_faults_on_a_page_that_compares_runs_are_found(trained: list[Record], tmp_path: Path) -> None:
    both = trained[::2]
    runs = [stored_runs.load(record.path) for record in both]
    page = write_report(runs, "html", tmp_path / "page.html").read_text("utf-8")
    assert together_faults(both, page) == []
    answer = re.search(r'<p class="answer">[^<]*% against.*?</p>', page, re.S)
    assert answer
    for other in (
        page.replace(answer[0], replaced(answer[0], r"[+-][\d.]+ points", more), 1),
        page.replace(answer[0], "", 1),
        replaced(page, r"<td[^>]*>[\d.]+%</td>", more),
    ):
        assert compare.page_faults(both, Page(other))
    assert together_faults(both, replaced(page, r"<b>[\d.]+%</b>", more))


def test_faults_in_a_check_are_found(trained: list[Record]) -> None:
    first, last, *_ = trained
    document, text = told([last], "check", "--require", "test_accuracy>=0.99", "--baseline", first.path)
    code = 0 if document["met"] else 6
    assert checked.document_faults(last, first, document, code) == checked.text_faults(document, text) == []
    for changed in (
        spoilt(document, "requirements", 0, "met", by=negated),
        spoilt(document, "requirements", 0, "found", by=lambda found: replaced(found, r"[\d.]+$", more)),
        spoilt(document, "requirements", 1, "met", by=negated),
        spoilt(document, "requirements", 1, "found", by=lambda found: replaced(found, r"against [\d.]+", more)),
        spoilt(document, "requirements", 1, "found", by=lambda found: replaced(found, r"p = [\d.e-]+", more)),
        spoilt(document, "smallest_drop", by=plus(0.025)),
        spoilt(document, "met", by=negated),
    ):
        assert checked.document_faults(last, first, changed, code)
    assert checked.document_faults(last, first, document, 6 - code)
    assert checked.text_faults(document, replaced(text, "^NOT MET", "met"))


def test_faults_in_predictions_are_found(trained: list[Record], tmp_path: Path) -> None:
    record = trained[0]
    images = record.digits[0][record.json("data.json")["test"][:2]]
    np.save(tmp_path / "digits.npy", images)
    words = ("predict", record.path, "digits.npy")
    document = json.loads(call(*words, "--json", cwd=tmp_path).stdout)
    assert predicted.document_faults(record, images, document) == []
    for changed in (
        spoilt(document, "predictions", by=lambda rows: rows[::-1]),
        spoilt(document, "predictions", 0, "digit", by=plus(1)),
        spoilt(document, "predictions", 0, "top", by=lambda top: [top[0], *top[:0:-1]]),
        spoilt(document, "predictions", 1, "probabilities", 3, by=plus(0.001)),
        spoilt(document, "predictions", 1, "inverted", by=negated),
    ):
        assert predicted.document_faults(record, images, changed)
    text = call(*words, cwd=tmp_path).stdout
    assert predicted.text_faults(record, images, text) == []
    for pattern in (r"\]  +\d", r"\]  +\d  +0.\d\d\d", r"\d 0.\d\d\d"):
        assert predicted.text_faults(record, images, replaced(text, pattern, more)), pattern


def test_the_score_of_a_repeated_best_in_a_list_is_the_mean_of_its_trainings(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    own = Path(shutil.copytree(finished["best"], tmp_path / finished["best"].name))
    metrics = {"repeats": {"count": 2, "mean": 0.125}} | json.loads((own / "metrics.json").read_text())
    (own / "metrics.json").write_text(json.dumps(metrics))
    listed = call("runs", "list", "--runs-dir", tmp_path, cwd=tmp_path).stdout
    assert listed.split("\t")[4] == "0.125"


@pytest.mark.parametrize("factor", [1.0, 1.02], ids=["identical", "within tolerance"])
def test_what_verify_prints_is_what_differs_in_the_files(trained: list[Record], tmp_path: Path, factor: float) -> None:
    now = trained[2]
    then = Record(Path(shutil.copytree(now.path, tmp_path / now.path.name)))
    (file,) = then.path.glob("repeats/*/history.csv")
    history, metrics = pd.read_csv(file, dtype=str), then.path / "metrics.json"
    if factor != 1:
        history.loc[1, "val_loss"] = repr(float(history.loc[1, "val_loss"]) * factor)
        file.write_text(history.to_csv(index=False, lineterminator="\n"))
        document = json.loads(metrics.read_text())
        document["repeats"]["test_accuracies"][0] *= 0.99
        metrics.write_text(json.dumps(document))
    code, out, _ = answer("verify", then.path, "--json")
    document, text = json.loads(out), answer("verify", then.path)[1]
    assert document["verdict"] == ("identical" if factor == 1 else "within tolerance")
    assert verified.document_faults(then, now, document, code) == []
    assert verified.text_faults(document, text) == []
    for changed in (
        spoilt(document, "compared", 4, "difference", by=plus(0.01)),
        spoilt(document, "compared", 4, "identical", by=negated),
        spoilt(document, "compared", 3, "detail", by=lambda detail: f"1{detail}"),
        spoilt(document, "verdict", by=lambda verdict: "differs" if verdict == "identical" else "identical"),
        spoilt(document, "exit_code", by=plus(1)),
    ):
        assert verified.document_faults(then, now, changed, code), changed
    assert verified.text_faults(document, re.sub(r"same\b", "differs", text, count=1))
    assert verified.text_faults(document, text.replace("Verdict       ", "Verdict       not "))


def test_what_a_plan_announces_is_what_the_sweep_did(finished: dict[str, Path], tmp_path: Path) -> None:
    record = Record(finished["sweep"])
    words = (record.command, "--config", record.path / "config.yaml", "--dry-run", "--runs-dir", tmp_path)
    document, text = json.loads(answer(*words, "--json")[1]), answer(*words)[1]
    assert planned.document_faults(record, document) == []
    assert planned.text_faults(record, text) == []
    assert planned.document_faults(record, spoilt(document, "fits_to_run", by=plus(-1)))
    assert planned.document_faults(record, spoilt(document, "trials", by=plus(1)))
    assert planned.text_faults(record, replaced(text, r"\d+ to run", "1 to run"))
    assert planned.text_faults(record, replaced(text, r"0\.9", "0.8"))
    assert planned.text_faults(record, text + text.splitlines()[1])
