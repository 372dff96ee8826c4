"""`mnistexp runs list | show | compare | best | path`, on real runs."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from mnistexp.cli import app as command_line
from mnistexp.cli import console, console_runs
from mnistexp.errors import RunError
from mnistexp.runs import index, query, references
from mnistexp.runs.annotations import annotate
from mnistexp.runs.status import now


@pytest.fixture(scope="module")
def runs(finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands") / "my runs"
    shutil.copytree(finished["train"].parent, folder)
    annotate(folder / finished["train"].name, add=["baseline"], note="the first")
    return folder


@pytest.fixture
def ids(finished: dict[str, Path]) -> dict[str, str]:
    return {kind: path.name for kind, path in finished.items()}


def invoke(runs: Path, *words: str) -> Result:
    return CliRunner().invoke(command_line.app, ["runs", *words, "--runs-dir", str(runs)], catch_exceptions=False)


def said(runs: Path, *words: str) -> str:
    done = invoke(runs, *words)
    assert done.exit_code == 0
    return done.stdout


def document(runs: Path, *words: str) -> dict:  # type: ignore[type-arg]
    return json.loads(said(runs, *words, "--json"))


# list


def test_a_list_on_a_pipe_has_a_line_for_each_run_newest_first(runs: Path, ids: dict[str, str]) -> None:
    rows = [line.split("\t") for line in said(runs, "list").splitlines()]
    assert [row[0] for row in rows] == [run.id for run in query.select(runs)]
    assert {row[0] for row in rows} >= set(ids.values())
    assert {len(row) for row in rows} == {7}
    trained = next(row for row in rows if row[0] == ids["train"])
    metrics = json.loads((runs / ids["train"] / "metrics.json").read_text())
    assert trained[1] == "done"
    assert float(trained[4]) == metrics["test_accuracy"]
    assert trained[5:] == ["baseline", "the first"]
    assert next(row for row in rows if row[0] == ids["summary"])[4:] == ["-", "-", "-"]


def test_keys_of_filters_and_orders_are_columns(runs: Path, ids: dict[str, str]) -> None:
    words = [
        "--where",
        "command=train and training.epochs>=4",
        "--sort",
        "-training.epochs,min_val_loss",
        "--limit",
        "9",
    ]
    rows = [line.split("\t") for line in said(runs, "list", *words).splitlines()]
    assert [(row[0], *row[5:7]) for row in rows] == [(ids["train"], "train", "5"), (ids["repeats"], "train", "4")]
    assert float(rows[0][7]) > 0


def test_a_list_as_json_has_every_field(runs: Path, ids: dict[str, str]) -> None:
    found = document(runs, "list", "1:99", "--where", "tag=baseline")["runs"]
    assert [run["id"] for run in found] == [ids["train"]]
    assert found[0]["run_dir"] == str(runs / ids["train"])
    assert found[0]["config"]["training.epochs"] == 5
    assert found[0]["metrics"]["test_digits"] == 40
    assert (found[0]["tags"], found[0]["note"], found[0]["unread"]) == (["baseline"], "the first", [])
    assert not re.search(r'"\[\d', said(runs, "list", "--json"))  # lists are lists


def test_a_list_on_a_terminal_keeps_ids_whole(runs: Path, ids: dict[str, str]) -> None:
    text = io.StringIO()
    Console(file=text, width=80).print(console_runs.table(query.select(runs), ["training.epochs"], now(), 80))
    assert all(run_id in text.getvalue() for run_id in ids.values())
    assert re.search(r" (s|min|h)\b", text.getvalue())


def test_unreadable_runs_are_listed_with_the_reason(runs: Path, ids: dict[str, str], tmp_path: Path) -> None:
    for name, part in (("train", "status.json"), ("repeats", "metrics.json")):
        shutil.copytree(runs / ids[name], tmp_path / ids[name])
        (tmp_path / ids[name] / part).write_text('{"schema_version": 9}')
    rows = {line.split("\t")[0]: line.split("\t") for line in said(tmp_path, "list").splitlines()}
    assert rows[ids["train"]][1] == "damaged"
    assert rows[ids["repeats"]][1] == "done"
    assert all("has schema version 9, allowed with this version of mnistexp: 1" in row[-1] for row in rows.values())
    for name in ("train", "repeats"):
        assert "has schema version 9" in said(tmp_path, "show", ids[name])


def test_control_characters_reach_no_terminal(runs: Path, ids: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(runs / ids["summary"], tmp_path / "odd\x1b[31m\nname")
    assert said(tmp_path, "list").startswith("odd?[31m?name\tdone\t")
    assert "\x1b" not in said(tmp_path, "show")


# show


def test_show_prints_settings_metrics_curves_and_files(runs: Path, ids: dict[str, str]) -> None:
    lines = [line.split() for line in said(runs, "show", ids["train"]).splitlines()]
    assert ["training.epochs", "5"] in lines
    assert ["status", "done"] in lines
    assert ["test_digits", "40"] in lines
    assert ["model.keras"] in lines
    history = (runs / ids["train"] / "history.csv").read_text().splitlines()
    losses = [float(row.split(",")[3]) for row in history[1:]]
    curve = next(line for line in lines if line[:2] == ["validation", "loss"])
    assert len(curve[2]) == 5
    assert curve[2][losses.index(max(losses))] == "█"
    assert curve[2][losses.index(min(losses))] == "▁"
    assert curve[3:] == [f"{value:.4g}" for value in (losses[0], losses[-1], min(losses), max(losses))]


def test_show_as_json_has_every_curve(runs: Path, ids: dict[str, str]) -> None:
    found = document(runs, "show", ids["repeats"])
    assert [len(curve["val_loss"]) for curve in found["curves"]] == [4, 4]
    assert "repeats/1/history.csv" in found["files"]
    assert document(runs, "show")["id"] == references.one(runs, "latest").id


@pytest.mark.parametrize("kind", ["sweep", "best", "show-examples", "summary"])
def test_runs_of_every_kind_are_shown(runs: Path, ids: dict[str, str], kind: str) -> None:
    text = said(runs, "show", ids[kind])
    assert ids[kind] in text
    assert "config.yaml" in text


def test_settings_that_are_not_set_are_left_out(runs: Path, ids: dict[str, str]) -> None:
    assert document(runs, "show", ids["train"])["config"]["sweep"] is None
    text = said(runs, "show", ids["train"])
    assert not re.search(r"\b(null|None|nan)\b", text)


def test_a_damaged_curve_is_reported_and_the_rest_is_shown(runs: Path, ids: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(runs / ids["train"], tmp_path / ids["train"])
    (tmp_path / ids["train"] / "history.csv").write_text("epoch\n")
    text = said(tmp_path, "show")
    assert "history.csv is damaged" in text
    assert "training.epochs" in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([0.0, 1.0], "▁█"),
        ([0.0, float("nan"), float("inf"), 7.0, 3.0], "▁  █▄"),
        ([float("nan")] * 3, "   "),
        ([float("nan"), float("nan"), 1.0] * 60 + [float("nan"), float("nan"), 2.0] * 60, "▁" * 10 + "█" * 10),
    ],
)
def test_sparklines_go_from_low_to_high(values: list[float], expected: str) -> None:
    assert console.sparkline(values) == expected


def test_a_long_curve_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    assert console.sparkline([5.0], bounds=(0.0, 10.0)) in "▄▅"
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    line = console.sparkline([float(value) for value in range(1000)])
    assert len(line) == 20
    assert [console.SHADES.index(letter) for letter in line] == sorted(console.SHADES.index(letter) for letter in line)


# compare


def test_compare_shows_only_what_differs(runs: Path, ids: dict[str, str]) -> None:
    found = document(runs, "compare", ids["train"], ids["repeats"])
    assert found["runs"] == [ids["train"], ids["repeats"]]
    differences = found["differences"]
    assert differences["config"] == {
        "repeats": [1, 2],
        "training.epochs": [5, 4],
        "training.validation_fraction": [0.0, 0.2],
    }
    assert differences["environment"] == {}
    assert set(differences["data"]) == {"train", "validation"}
    assert differences["data"]["train"][0].startswith("160 rows, ")
    assert differences["run"]["tags"] == ["baseline", ""]
    assert {"epochs", "validated_on", "repeats.count"} <= set(differences["metrics"])
    assert "test_digits" not in differences["metrics"]
    text = said(runs, "compare", ids["train"], ids["repeats"])
    assert ["training.epochs", "5", "4"] in [line.split() for line in text.splitlines()]
    assert "model.filters" not in text


def test_a_copy_of_a_run_differs_in_nothing(runs: Path, ids: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(runs / ids["train"], tmp_path / "again")
    assert "Nothing differs." in said(runs, "compare", ids["train"], str(tmp_path / "again"))


def test_environments_and_uncommitted_changes_are_compared(runs: Path, ids: dict[str, str], tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(runs / ids["train"], tmp_path / name)
    path = tmp_path / "b" / "environment.json"
    environment = json.loads(path.read_text())
    environment["packages"]["numpy"] = "1.0"
    path.write_text(json.dumps(environment))
    (tmp_path / "b" / "code.patch").write_text("another")
    found = document(runs, "compare", str(tmp_path / "a"), str(tmp_path / "b"))["differences"]
    assert found["environment"]["packages.numpy"][1] == "1.0"
    assert set(found["environment"]) == {"packages.numpy", "uncommitted changes"}
    assert found["config"] == found["data"] == found["metrics"] == {}


def test_compare_overlays_curves_in_one_figure(runs: Path, ids: dict[str, str], tmp_path: Path) -> None:
    chosen = [ids["train"], ids["repeats"], ids["sweep"]]
    found = document(runs, "compare", *chosen, "--output", str(tmp_path / "curves.svg"))
    assert found["figure"] == str(tmp_path / "curves.svg")
    drawing = (tmp_path / "curves.svg").read_text()
    assert f"<!-- {ids['train']} -->" in drawing
    assert f"<!-- {ids['repeats']} -->" in drawing
    assert ids["sweep"] not in drawing
    said(runs, "compare", *chosen, "--output", str(tmp_path / "curves.png"))
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


# best, path


def test_the_best_run_is_printed_as_an_id_that_path_accepts(runs: Path, ids: dict[str, str]) -> None:
    accuracies = {
        kind: json.loads((runs / run_id / "metrics.json").read_text()).get("test_accuracy", 0)
        for kind, run_id in ids.items()
    }
    best = said(runs, "best", "--metric", "test_accuracy").strip()
    assert accuracies[next(kind for kind, run_id in ids.items() if run_id == best)] == max(accuracies.values())
    assert said(runs, "path", best) == f"{runs / best}\n"
    found = document(runs, "best", "--metric", "epochs", "--max", "--where", "command=train")
    assert (found["id"], found["metric"], found["value"]) == (ids["train"], "epochs", 5)
    assert said(runs, "best", "--metric", "epochs", "--min", "--where", "command=train").strip() == ids["repeats"]


def test_paths_are_printed_one_per_line(runs: Path, ids: dict[str, str]) -> None:
    assert said(runs, "path") == f"{references.one(runs, 'latest').path}\n"
    assert said(runs, "path", ids["train"], ids["repeats"], ids["train"]).splitlines() == [
        str(runs / ids["train"]),
        str(runs / ids["repeats"]),
    ]
    assert said(runs, "path", "--where", "command=nothing") == ""
    assert document(runs, "path", "--where", "tag=baseline") == {"paths": [str(runs / ids["train"])]}


def test_names_that_are_not_utf_8_are_printed_unchanged(runs: Path, ids: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(runs / ids["summary"], tmp_path / "run \udcff")
    done = invoke(tmp_path, "path", "latest")
    assert done.stdout_bytes == os.fsencode(tmp_path / "run \udcff") + b"\n"
    assert said(tmp_path, "list").startswith("run ?\tdone")
    assert document(tmp_path, "list")["runs"][0]["id"] == "run \udcff"


# The whole program


def mnistexp(runs: Path, script: str) -> subprocess.CompletedProcess[str]:
    """A shell's pipeline of real processes."""
    script = script.replace("mnistexp", f"'{sys.executable}' -m mnistexp")
    environment = os.environ | {"MNISTEXP_RUNS_DIR": str(runs)}
    command = ["bash", "-o", "pipefail", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_output_of_one_command_is_the_input_of_the_next(runs: Path) -> None:
    done = mnistexp(runs, "mnistexp runs path $(mnistexp runs best --metric test_accuracy)")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.rstrip("\n")).parent == runs


def test_an_empty_list_says_why(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, words, message in (
        (tmp_path / "empty", [], "there are no runs in"),
        (tmp_path / "wrong", [], "there is no folder"),
        (runs, ["--where", "test_accuracy>0.999"], f"no runs in {runs} match test_accuracy>0.999"),
    ):
        for command in ("list", "path") if words else ("list",):
            done = invoke(folder, command, *words)
            assert (done.exit_code, done.stdout) == (0, "")
            assert message in done.stderr
            assert done.stderr.count("\n") == 1
        assert json.loads(invoke(folder, "list", *words, "--json").stdout) == {"runs": []}


def test_asking_for_the_best_of_no_runs_fails_with_an_explanation(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no runs in .* match test_accuracy>0.999"):
        invoke(runs, "best", "--where", "test_accuracy>0.999")
    with pytest.raises(RunError, match="there is no folder"):
        invoke(tmp_path / "wrong", "best")
    assert RunError.exit_code == 1


def test_a_closed_pipe_is_not_an_error_for_a_list(runs: Path, ids: dict[str, str], tmp_path: Path) -> None:
    """More output than a pipe holds."""
    for number in range(40):
        shutil.copytree(
            runs / ids["summary"], tmp_path / f"run{number}", ignore=shutil.ignore_patterns("*.svg", "*.png")
        )
    done = mnistexp(tmp_path, "mnistexp runs list --json | head -c 10")
    assert done.stdout == '{\n  "runs"'
    assert done.stderr == ""


def test_listing_loads_neither_numpy_nor_pydantic(runs: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom mnistexp.runs import comparison, query\n"
        f"assert comparison.compare(query.select(Path({str(runs)!r}), ['1', '2'], where='command!=x'))\n"
        "assert not {'numpy', 'pydantic', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert index.read_all(runs)
