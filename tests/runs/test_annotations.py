"""Tags and notes of runs."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small import NETWORK, options
from typer.testing import CliRunner

from mnistexp.cli.app import app
from mnistexp.errors import BadInput, RunError
from mnistexp.runs.annotations import Annotations, annotate, launched, read_annotations
from mnistexp.runs.layout import ANNOTATIONS
from mnistexp.runs.locks import lock
from mnistexp.runs.run_folder import Run


def test_tags_and_note_are_read_back(tmp_path: Path) -> None:
    assert read_annotations(tmp_path) == Annotations()
    assert annotate(tmp_path, add=["paper", "b"], note="Größe: 数字 😀") == read_annotations(tmp_path)
    assert read_annotations(tmp_path) == Annotations(("b", "paper"), "Größe: 数字 😀")
    annotate(tmp_path, add=["a", "b"], remove=["paper", "never-there"])
    assert read_annotations(tmp_path) == Annotations(("a", "b"), "Größe: 数字 😀")
    annotate(tmp_path, note="")
    assert read_annotations(tmp_path) == Annotations(("a", "b"))


def test_a_running_run_can_be_annotated(tmp_path: Path) -> None:
    with lock(tmp_path):
        annotate(tmp_path, add=["now"])
    assert read_annotations(tmp_path).tags == ("now",)


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def write(writer: int) -> None:
        together.wait()
        for turn in range(3):
            annotate(tmp_path, add=[f"{writer}-{turn}"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert len(read_annotations(tmp_path).tags) == 24


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"add": [""]}, "'' can't be a tag"),
        ({"add": ["two words"]}, "'two words' can't be a tag"),
        ({"add": ["-x"]}, "a letter or digit first"),
        ({"add": ["größe"]}, "allowed: up to 40 of"),
        ({"add": ["x" * 41]}, "allowed: up to 40 of"),
        ({"remove": ["a\n"]}, "can't be a tag"),
        ({"add": [f"t{n}" for n in range(51)]}, "allowed: 50"),
        ({"add": ["a"], "remove": ["a"]}, "both added and removed"),
        ({"note": "x" * 4001}, "allowed: 4,000"),
        ({"note": "a\x1b[2J"}, "'\\x1b' can't be in it"),
        ({"note": "a\nb"}, "one line of text"),
        ({"note": "\udcff"}, "can't be in it"),
    ],
)
def test_what_is_not_allowed_is_refused_and_nothing_is_written(
    tmp_path: Path, change: dict[str, list[str]], expected: str
) -> None:
    with pytest.raises(BadInput) as caught:
        annotate(tmp_path, **change)  # type: ignore[arg-type]
    assert expected in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema_version": 2, "tags": [], "note": ""}',
        '{"schema_version": 1, "tags": "a", "note": ""}',
        '{"schema_version": 1, "tags": [1], "note": ""}',
        '{"schema_version": 1, "tags": ["two words"], "note": ""}',
        '{"schema_version": 1, "tags": [], "note": null}',
        '{"schema_version": 1, "tags": []}',
    ],
)
def test_a_damaged_file_is_named_and_not_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / ANNOTATIONS).write_text(text)
    for use in (read_annotations, lambda folder: annotate(folder, add=["a"])):
        with pytest.raises(RunError) as caught:
            use(tmp_path)
        assert str(tmp_path / ANNOTATIONS) in str(caught.value)
    assert (tmp_path / ANNOTATIONS).read_text() == text


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    annotate(tmp_path, add=["a"], note="why")
    document = json.loads((tmp_path / ANNOTATIONS).read_text())
    assert document == {"schema_version": 1, "tags": ["a"], "note": "why"}


# At launch


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("command", ["train", "sweep-dropout"])
def test_a_run_is_tagged_and_noted_when_it_is_launched(command: str, tmp_path: Path) -> None:
    small = options({**NETWORK, "data.digits": 60, "training.epochs": 1})
    sweep = ["--grid", "dropout=0", "--executor", "serial"] if command != "train" else []
    words = [command, *small, *sweep, "--runs-dir", str(tmp_path)]
    marks = ["--tag", "nightly", "--tag", "a.b", "--note", "the first"]
    done = CliRunner().invoke(app, [*words, *marks, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    run = Path(json.loads(done.stdout)["run_dir"])
    assert read_annotations(run) == Annotations(("a.b", "nightly"), "the first")
    with pytest.raises(BadInput, match="can't be a tag"):
        CliRunner().invoke(app, [*words, "--tag", "no tag"], catch_exceptions=False)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [run.name]


def test_only_runs_of_the_launched_command_are_marked(tmp_path: Path) -> None:
    added = Annotations(("nightly",), "")
    with launched("best", added):
        made = [Run.create(tmp_path, command, "x", "seed: 2\n") for command in ("sweep-dropout", "best")]
    with made[0], made[1]:
        for run in made:
            run.add("notes.txt", "x")
    assert [read_annotations(run.path) for run in made] == [Annotations(), added]


def test_the_settings_of_a_run_are_taken_by_its_tag_its_id_or_its_folder(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished["train"], tmp_path / finished["train"].name))  # others have no such tag
    annotate(run, add=["again"])
    for reference in ("again", run.name, str(run)):
        words = ["train", "--config", reference, "--epochs", "3", "--runs-dir", str(run.parent), "--dry-run", "--json"]
        config = json.loads(CliRunner().invoke(app, words, catch_exceptions=False).stdout)["config"]
        assert (config["training"]["epochs"], config["data"]["digits"], config["model"]["filters"]) == (3, 200, [4, 8])
