"""Reports: what they say is what the run folder holds, nothing in them is fetched, and nothing in a folder can act."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from mnistexp.commands.assignment.comparison_row import ComparisonRow
from mnistexp.config.shown import percent, signed_points
from mnistexp.errors import BadInput, RunError
from mnistexp.figures import plots
from mnistexp.report import pdf, reports
from mnistexp.report.html import page_to_html
from mnistexp.report.svg import draw
from mnistexp.runs import stored_runs
from mnistexp.runs.results import History
from mnistexp.runs.run_folder import Run

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
SHORT = "</script><b>"
VOID = {"meta", "link", "img", "br", "input"}


class Reader(HTMLParser):
    """The elements of a page with their attributes and own text, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[list[str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(self.elements[-1][2])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for text in self._open:
            text.append(data)

    def texts(self, tag: str) -> list[str]:
        return [" ".join("".join(text).split()) for name, _, text in self.elements if name == tag]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]


def html_of(*folders: Path) -> str:
    return page_to_html(reports.read_page([stored_runs.load(folder) for folder in folders]))


finished_html = cache(html_of)
"""Of the runs that tests share, which no test changes: each page is drawn once."""


def metrics_of(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture
def hostile(finished: dict[str, Path], tmp_path: Path) -> Path:
    """A sweep's folder in which every text that somebody could have written tries to become markup."""
    folder = tmp_path / finished["sweep"].name
    shutil.copytree(finished["sweep"], folder)
    for name in ("status.json", "metrics.json", "environment.json", "sweep.json"):
        document = json.loads((folder / name).read_text())
        document |= {"name": HOSTILE, "error": HOSTILE, "warnings": [HOSTILE], "cpu": HOSTILE, "notes": [HOSTILE]}
        (folder / name).write_text(json.dumps(document))
    for path in (folder / "trials").glob("*.json"):
        document = json.loads(path.read_text())
        document["params"]["optimizer.name"] = SHORT + str(document["trial"])
        path.write_text(json.dumps(document))
    with (folder / "config.yaml").open("a") as config:
        config.write(yaml.safe_dump({"note": HOSTILE}))
    return folder


# --- What is said ------------------------------------------------------------------------------------------------


def test_a_training_answers_with_its_own_numbers(finished: dict[str, Path]) -> None:
    found, page = metrics_of(finished["train"]), Reader(finished_html(finished["train"]))
    assert page.texts("h1") == [f"{found['test_correct']} of {found['test_digits']} test digits classified correctly"]
    words = " ".join(page.texts("p"))
    low, high = found["test_accuracy_interval"]
    assert f"{found['test_accuracy']:.1%}" in words
    assert f"{100 * low:.1f}% to {100 * high:.1f}%" in words
    assert found["best_epochs"]["sentence"] in words
    assert all(warning in words for warning in found["warnings"])


def test_the_misread_digits_are_shown_with_what_was_read(finished: dict[str, Path]) -> None:
    with np.load(finished["train"] / "predictions.npz") as kept:
        labels, shares, rows = kept["labels"], kept["probabilities"], kept["rows"]
    read = shares.argmax(axis=1)
    wrong = np.flatnonzero(read != labels)
    worst = wrong[np.argsort(-shares[wrong].max(axis=1), kind="stable")]
    page = Reader(finished_html(finished["train"]))
    told = [f"{rows[i]} {labels[i]} {read[i]} {percent(float(shares[i].max()))}" for i in worst]
    shown = [row for row in page.texts("tr") if row in told]
    assert shown == told[: len(shown)]
    assert len(shown) == min(len(told), 24) > 3
    pictures = [figure for figure in page.texts("figure") if "The misread digits" in figure]
    assert len(pictures) == 1
    assert pictures[0].count(" read as ") == pictures[0].count(" sure") == len(shown)


def test_a_run_of_an_earlier_version_reports_without_the_digits_that_it_did_not_keep(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished["train"], tmp_path / finished["train"].name))
    with np.load(folder / "predictions.npz") as kept:
        np.savez(folder / "predictions.npz", **{name: kept[name] for name in ("probabilities", "labels", "rows")})
    page = Reader(html_of(folder))
    assert "The misread digits in numbers" in page.texts("caption")
    assert not any("read as" in figure for figure in page.texts("figure"))
    (folder / "predictions.npz").unlink()
    page = Reader(html_of(folder))
    assert "Which digits are misread?" not in page.texts("h2")
    assert "Precision, recall and F1 of each class" in page.texts("caption")


def test_repeats_are_labelled_by_their_seeds(finished: dict[str, Path]) -> None:
    found, page = metrics_of(finished["repeats"]), Reader(finished_html(finished["repeats"]))
    assert found["repeats"]["sentence"] in page.texts("p")
    mean = f"{found['repeats']['mean']:.1%}"
    assert page.texts("h1") == [f"{mean} test accuracy, mean of 2 trainings"]
    assert page.texts("dd")[0].startswith(mean)
    assert found["repeats"]["best_epochs"]["sentence"] in page.texts("p")
    assert found["best_epochs"]["sentence"] not in page.texts("p")
    shown = page.texts("td")
    assert all(f"{100 * accuracy:.1f}%" in shown for accuracy in found["repeats"]["test_accuracies"])


def test_a_sweep_ranks_its_trials(finished: dict[str, Path]) -> None:
    found, page = metrics_of(finished["sweep"]), Reader(finished_html(finished["sweep"]))
    assert page.texts("h1")[0].startswith(f"{found['best_score']:.1%} with ")
    rows = [row for row in page.texts("tr") if re.match(r"\d", row)]
    assert [row.split()[0] for row in rows] == [str(row["rank"]) for row in found["ranking"]]
    for shown, row in zip(rows, found["ranking"], strict=True):
        assert f"{100 * row['mean']:.1f}%" in shown


def test_examples_and_summary_answer_theirs(finished: dict[str, Path]) -> None:
    examples = Reader(finished_html(finished["show-examples"]))
    shown = metrics_of(finished["show-examples"])["examples"]
    assert all(str(example["label"]) in examples.attributes("img")[0]["alt"] for example in shown)
    assert "0 0 0 0 1 0 0 0 0 0" in examples.texts("td")
    told = Reader(finished_html(finished["summary"])).texts("td")
    assert all(
        layer["arithmetic"] in told for layer in metrics_of(finished["summary"])["layers"] if layer["parameters"]
    )


def test_the_report_of_best_says_how_it_was_chosen_and_how_accurate_it_is(finished: dict[str, Path]) -> None:
    found, page = metrics_of(finished["best"]), Reader(finished_html(finished["best"]))
    assert page.texts("h1") == [
        f"Best model: {found['test_correct']} of {found['test_digits']} test digits classified correctly"
    ]
    words = page.texts("p")
    assert set(found["representative"]["sentences"]) <= set(words)
    assert found["better"]["sentence"] in words
    assert f"{100 * found['representative']['unseen']['accuracy']:.1f}%" in " ".join(page.texts("dd"))
    rows = page.texts("tr")
    for row in found["better"]["families"]:
        if row["trials"] == 1:  # compared with no other
            continue
        for other in ("worst", "average"):
            accuracy = row["worst"]["accuracy"] if other == "worst" else row["average"]
            lead = signed_points(row["best"]["accuracy"], accuracy)
            assert any(f"{lead:.1f} " in text and percent(accuracy) in text for text in rows)


def test_a_reproduction_shows_each_reported_figure_beside_ours(finished: dict[str, Path], tmp_path: Path) -> None:
    row = ComparisonRow(
        "curves", "lowest validation loss", 0.3083, 0.3172, (0.28, 0.35), True, "by 3 seeds", "a fault", "run-1"
    )
    rows = [
        row,
        replace(row, part="data", what="parameters", reported=108618, ours=108617, interval=None, agrees=False),
    ]
    document = {
        "label": "The assignment.",
        "table": [vars(each) for each in rows],
        "agreements": {"yes": 1, "no": 1, "not_comparable": 0},
        "steps": [{"name": "network", "part": "data", "run": "run-1", "reused": True, "seconds": 0.5}],
        "sentences": ["1 of 2 agree."],
        "seconds": {"total": 90.0},
    }
    with Run.create(tmp_path, "reproduce", "assignment", "seed: 2\n") as run:
        run.add("metrics.json", document)
        run.add("reported_rows.png", (finished["train"] / "loss_curves.png").read_bytes())
    page = Reader(html_of(run.path))
    assert page.texts("h1") == ["1 of 2 reported numbers agree with ours"]
    shown = page.texts("tr")
    assert "lowest validation loss 0.3083 0.3172 0.2800 to 0.3500 yes by 3 seeds" in shown
    assert "parameters 108,618 108,617 \N{EN DASH} no by 3 seeds" in shown
    assert "Note: Bug of the notebook: a fault." in page.texts("p")
    assert [image["alt"] for image in page.attributes("img")] != []


def test_tooltips_of_a_figure_show_the_measured_values(finished: dict[str, Path]) -> None:
    page = Reader(finished_html(finished["train"]))
    loss, accuracy, confusion = (
        json.loads(text)
        for attributes, text in zip(page.attributes("script"), page.texts("script"), strict=True)
        if attributes.get("type") == "application/json"
    )
    history = stored_runs.load(finished["train"]).history
    assert history is not None
    for panel, scale, fields in ((loss, 1, ("loss", "val_loss")), (accuracy, 100, ("accuracy", "val_accuracy"))):
        assert [line["name"] for line in panel[0]["lines"]] == ["training", "validation (test digits)"]
        for line, field in zip(panel[0]["lines"], fields, strict=True):
            assert [x for _, _, x, _ in line["points"]] == list(range(1, history.epochs + 1))
            expected = [scale * value for value in getattr(history, field)]
            assert [y for _, _, _, y in line["points"]] == pytest.approx(expected, rel=1e-3)
            left, top, right, bottom = panel[0]["box"]
            assert all(left <= x <= right and top <= y <= bottom for x, y, _, _ in line["points"])
    counts = metrics_of(finished["train"])["confusion_matrix"]
    told = {text for *_, text in confusion[0]["cells"]}
    assert told == {
        f"correct digit {row}, predicted digit {column}: {counts[row][column]}"
        for row in range(10)
        for column in range(10)
    }


@pytest.mark.parametrize("flat", [None, (2, 2), (1, 3)])
def test_the_band_of_the_best_epochs_does_not_block_the_pointer(flat: tuple[int, int] | None) -> None:
    history = History(
        loss=(0.9, 0.5, 0.3), accuracy=(0.7, 0.8, 0.9), val_loss=(0.8, 0.4, 0.6), val_accuracy=(0.7, 0.8, 0.8)
    )
    _, (panel,) = draw(plots.loss_curves([history], flat=flat), "loss", "f-")
    assert [y for *_, y in panel["lines"][1]["points"]] == [0.8, 0.4, 0.6]


def test_cells_of_a_heat_map_have_their_settings_as_tooltips(finished: dict[str, Path]) -> None:
    html = finished_html(finished["sweep"])
    for row in metrics_of(finished["sweep"])["ranking"]:
        dropout, beta = row["params"]["model.dropout"], row["params"]["optimizer.beta_1"]
        assert f"dropout {dropout:g}, beta_1 {beta:g}: {100 * row['mean']:.1f}" in html


@pytest.mark.parametrize("form", reports.FORMATS)
def test_a_diverged_training_is_reported_without_numbers_that_it_lacks(
    finished: dict[str, Path], tmp_path: Path, form: str
) -> None:
    folder = tmp_path / finished["train"].name
    shutil.copytree(finished["train"], folder)
    lines = (folder / "history.csv").read_text().splitlines()
    lines[3:] = [f"{epoch},nan,0.1,nan,0.1" for epoch in (3, 4, 5)]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    none = dict.fromkeys(("final_loss", "final_val_loss", "test_loss"))
    (folder / "metrics.json").write_text(json.dumps(metrics_of(folder) | none | {"diverged_at": 3}))
    path = reports.write_report([stored_runs.load(folder)], form)
    if form in ("html", "md"):
        text = path.read_text()
        assert "in epoch 2, and is not a number after the training diverged" in text
        assert not re.search(r"\bnan\b", text)


def test_a_run_of_unknown_kind_shows_its_sentences_and_numbers(finished: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / finished["summary"].name
    shutil.copytree(finished["summary"], folder)
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps(status | {"command": "later"}))
    found = {"schema_version": 1, "part": {"sentence": "It went well.", "accuracy": 0.875}, "warnings": ["Careful."]}
    (folder / "metrics.json").write_text(json.dumps(found))
    page = Reader(html_of(folder))
    assert {"It went well.", "Note: Careful."} <= set(page.texts("p"))
    assert "part.accuracy 0.875" in page.texts("tr")


def test_several_runs_share_one_page(finished: dict[str, Path]) -> None:
    page = Reader(finished_html(finished["train"], finished["sweep"]))
    assert page.texts("h1") == ["2 runs side by side"]
    assert len(page.texts("article")) == 2
    ids = [attributes["id"] for _, attributes, _ in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = [str(link["href"]) for link in page.attributes("a")]
    assert all(target[1:] in ids for target in targets)


# --- What is in the file -------------------------------------------------------------------------------------------


def test_nothing_is_fetched(finished: dict[str, Path]) -> None:
    for folder in finished.values():
        page = Reader(finished_html(folder))
        for _, attributes, _ in page.elements:
            for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                assert re.match(r"#|data:", attributes.get(name) or "#"), attributes
            assert "style" not in attributes
            assert not any(name.startswith("on") for name in attributes)


def test_the_content_policy_allows_this_style_and_script_only(finished: dict[str, Path]) -> None:
    html = finished_html(finished["train"])
    policy = next(
        str(meta["content"])
        for meta in Reader(html).attributes("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("form", reports.FORMATS)
def test_the_same_run_gives_the_same_bytes(finished: dict[str, Path], tmp_path: Path, form: str) -> None:
    moved = tmp_path / "elsewhere" / finished["repeats"].name
    shutil.copytree(finished["repeats"], moved)
    first = reports.write_report([stored_runs.load(finished["repeats"])], form, tmp_path / f"report.{form}")
    before = first.read_bytes()
    second = reports.write_report([stored_runs.load(moved)], form)
    assert second == moved / f"report.{form}"
    assert second.read_bytes() == before


def test_values_are_text_whatever_they_hold(hostile: Path) -> None:
    page = Reader(html_of(hostile))
    assert SHORT in " ".join(page.texts("text"))
    assert not page.attributes("b")[len(page.texts("dd")) :]
    assert HOSTILE in " ".join(page.texts("td"))
    scripts = page.attributes("script")
    assert [attributes for attributes in scripts if not attributes.get("type")] == [{}]
    assert not any(attributes.get("src") for attributes in scripts)
    assert not any("onerror" in attributes for _, attributes, _ in page.elements)
    for attributes, text in zip(scripts, page.texts("script"), strict=True):
        if attributes.get("type"):
            assert isinstance(json.loads(text), list)


def test_markdown_shows_values_as_text_and_has_its_figures(hostile: Path, tmp_path: Path) -> None:
    path = reports.write_report([stored_runs.load(hostile)], "md", tmp_path / "deep.md")
    text = path.read_text()
    code = re.findall(r"^```text$.*?^```$", text, re.DOTALL | re.MULTILINE)
    assert HOSTILE in "".join(code)
    outside = text
    for block in code:
        outside = outside.replace(block, "")
    assert not re.search(r"(?<!\\)<(?!deep_files/)", outside)
    pictures = re.findall(r"\]\(<(.+?)>\)", text)
    assert len(pictures) == 4
    for name in pictures:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def printer() -> None:
    """Skip the test where no browser can print."""
    if not any(map(shutil.which, pdf.BROWSERS)):
        pytest.skip("needs the Debian package chromium")


@pytest.mark.usefixtures("printer")
def test_pdf_has_pages_with_described_figures(hostile: Path, tmp_path: Path) -> None:
    content = reports.write_report([stored_runs.load(hostile)], output=tmp_path / "Report.PDF").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.count(b"<</Type /Page\n") >= 3
    assert content.count(b"/Alt (") >= 4
    assert b"/Lang (en)" in content


def test_without_a_browser_pdf_is_refused_with_what_to_install(
    finished: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match=r"needs Chromium .*: install one, or print the HTML report"):
        reports.write_report([stored_runs.load(finished["summary"])], "pdf")


@pytest.mark.usefixtures("printer")
def test_a_browser_that_fails_leaves_no_report(
    finished: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mnistexp.report.pdf.OPTIONS", ("--version",))
    with pytest.raises(RunError, match="could not print the report"):
        reports.write_report([stored_runs.load(finished["summary"])], "pdf", tmp_path / "report.pdf")
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(finished: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run = stored_runs.load(finished["summary"])
    monkeypatch.setitem(sys.modules, "nbformat", None)
    with pytest.raises(BadInput, match=re.escape("pip install 'mnistexp[notebook]'")):
        reports.write_report([run], "ipynb")


@pytest.mark.slow
def test_jupyter_runs_the_notebook(finished: dict[str, Path], tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    path = reports.write_report([stored_runs.load(finished["train"])], "ipynb", tmp_path / "again.ipynb")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=None, startup_timeout=3600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    found = metrics_of(finished["train"])
    assert f"{found['test_correct']} of {found['test_digits']}" in said
    assert found["best_epochs"]["sentence"] in said
    (again,) = (tmp_path / "runs").iterdir()
    assert (again / "history.csv").read_bytes() == (finished["train"] / "history.csv").read_bytes()
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 5


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("kind", "table"), [("train", "history.csv"), ("sweep", "trials.csv")])
def test_the_notebook_computes_the_same_numbers_again(
    kind: str, table: str, finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = reports.write_report([stored_runs.load(finished[kind])], "ipynb", tmp_path / "again.ipynb")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    (again,) = (tmp_path / "runs").glob("[!.]*")
    assert (again / table).read_bytes() == (finished[kind] / table).read_bytes()


def test_notebooks_of_every_kind_are_python(finished: dict[str, Path], hostile: Path, tmp_path: Path) -> None:
    runs = [stored_runs.load(folder) for folder in (*finished.values(), hostile)]
    path = reports.write_report(runs, "ipynb", tmp_path / "all.ipynb")
    cells = json.loads(path.read_text())["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            compile("".join(cell["source"]), "cell", "exec")
    assert HOSTILE in "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code").replace(
        "\\'", "'"
    )


# --- Where it goes -------------------------------------------------------------------------------------------------


def test_a_report_is_written_whole_or_not_at_all(finished: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / finished["train"].name
    shutil.copytree(finished["train"], folder)
    before = {path.name for path in folder.iterdir()}
    written = reports.write_report([stored_runs.load(folder)])
    assert {path.name for path in folder.iterdir()} - before == {"report.html"}
    good = written.read_bytes()
    metrics = metrics_of(folder)
    del metrics["confusion_matrix"]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(RunError, match=r"damaged.*confusion_matrix"):
        reports.write_report([stored_runs.load(folder)])
    assert written.read_bytes() == good
    assert {path.name for path in folder.iterdir()} - before == {"report.html"}


def test_the_ending_of_the_output_decides_the_format(finished: dict[str, Path], tmp_path: Path) -> None:
    path = reports.write_report([stored_runs.load(finished["summary"])], output=tmp_path / "Report.MD")
    assert path.read_text().startswith("# ")


def mnistexp(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys\nfrom mnistexp.cli.app import main\n"
        "try:\n    main()\nfinally:\n    assert 'tensorflow' not in sys.modules, 'TensorFlow was loaded'"
    )
    command = [sys.executable, "-c", code, "report", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_the_command_writes_into_the_run_without_tensorflow(finished: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "runs" / finished["sweep"].name
    shutil.copytree(finished["sweep"], folder)
    done = mnistexp("latest", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"report": f"runs/{folder.name}/report.html", "runs": [folder.name]}
    assert (folder / "report.html").exists()
