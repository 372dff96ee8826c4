"""Every command, and Python, reads a reference to a run in the same way; steps of other runs are passed over."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from programs import call

import mnistexp
from mnistexp.commands.train import resume_training, training_named
from mnistexp.errors import BadInput
from mnistexp.live.following import Follower
from mnistexp.runs import references, trials
from mnistexp.runs.annotations import annotate
from mnistexp.runs.query import select
from mnistexp.runs.run_folder import Run
from mnistexp.runs.status import read_record, write_status


def made(runs: Path, name: str, **status: Any) -> str:
    """A finished run of that name, changed in its record."""
    with Run.create(runs, "train", name, "seed: 2\n") as run:
        run.add("metrics.json", {"test_accuracy": 0.5})
    write_status(run.path, replace(read_record(run.path), **status))
    return run.path.name


# Steps


@pytest.fixture
def stepped(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A run of one's own, then a parent with two steps of which the last is the newest run in the folder."""
    runs = tmp_path / "runs"
    ids = {"own": made(runs, "own")}
    with Run.create(runs, "reproduce", "parent", "seed: 2\n", visible=True) as parent:
        ids["parent"] = parent.id
        with parent.steps():
            ids |= {name: made(runs, name) for name in ("first", "second")}
        assert read_record(runs / made(runs, "after")).part_of is None
        shutil.rmtree(runs / references.one(runs, "after").id)
    return runs, ids


def test_a_step_names_its_run_and_is_never_the_latest_nor_counted(stepped: tuple[Path, dict[str, str]]) -> None:
    runs, ids = stepped
    records = {name: read_record(runs / run_id).part_of for name, run_id in ids.items()}
    assert records == {"own": None, "parent": None, "first": ids["parent"], "second": ids["parent"]}
    counted = [references.one(runs, reference).id for reference in ("latest", "1", "2")]
    assert counted == [ids["parent"], ids["parent"], ids["own"]]
    for span in (":", "1:60", "1:2"):  # many are read from the index, few by themselves
        assert [run.id for run in references.several(runs, [span])] == [ids["parent"], ids["own"]]
    with pytest.raises(BadInput, match="of 2 runs"):
        references.one(runs, "3")
    for reference in (ids["second"], ids["second"][:-1], str(runs / ids["second"]), "second"):
        assert references.one(runs, reference).id == ids["second"]
    assert [run.id for run in select(runs, where=f"part_of={ids['parent']}")] == [ids["second"], ids["first"]]
    assert {run.id for run in select(runs, where="part_of=null")} == {ids["own"], ids["parent"]}


def test_a_step_counts_where_its_parent_is_missing(stepped: tuple[Path, dict[str, str]]) -> None:
    runs, ids = stepped
    shutil.rmtree(runs / ids["parent"])
    assert references.one(runs, "latest").id == ids["second"]
    assert [run.id for run in references.several(runs, [":"])] == [ids["second"], ids["first"], ids["own"]]


def test_lists_mark_steps(stepped: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    _, ids = stepped
    rows = [line.split("\t") for line in call("runs", "list", cwd=tmp_path).stdout.splitlines()]
    marks = {row[0]: row[-1] for row in rows}
    assert marks[ids["second"]] == f"step of {ids['parent']}"
    assert (marks[ids["own"]], marks[ids["parent"]]) == ("-", "-")
    assert re.search(rf"step of +{ids['parent']}", call("runs", "show", "second", cwd=tmp_path).stdout)
    document = json.loads(call("runs", "list", "--json", cwd=tmp_path).stdout)
    assert {run["id"]: run["part_of"] for run in document["runs"]}[ids["second"]] == ids["parent"]


def test_a_record_without_the_key_is_a_run_of_its_own(tmp_path: Path) -> None:
    run_id = made(tmp_path, "old")
    path = tmp_path / run_id / "status.json"
    document = json.loads(path.read_text())
    del document["part_of"]
    path.write_text(json.dumps(document))
    assert read_record(tmp_path / run_id).part_of is None
    assert references.one(tmp_path, "latest").id == run_id


# Names and tags


def test_a_tag_or_a_name_means_the_newest_run_that_has_it(tmp_path: Path) -> None:
    first, second, third = (made(tmp_path, name) for name in ("mine", "other", "mine"))
    annotate(tmp_path / first, add=["kept"])
    annotate(tmp_path / second, add=["kept", "mine-too"])
    for reference, expected in (("mine", third), ("kept", second), ("other", second), ("mine-too", second)):
        assert references.one(tmp_path, reference).id == expected
    with pytest.raises(BadInput, match="did you mean 'kept'"):
        references.one(tmp_path, "kpet")
    annotate(tmp_path / first, add=["latest", "2"])
    assert references.one(tmp_path, "latest").id == third
    assert references.one(tmp_path, "2").id == second
    annotate(tmp_path / first, add=[third[:8]])
    assert references.one(tmp_path, third[:8]).id == first, "a whole tag comes before the beginning of an id"


# Every command


@pytest.fixture(scope="module")
def kinds(finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real runs: the training is named `nesterov-5` by itself, and tagged."""
    folder = tmp_path_factory.mktemp("kinds") / "runs"
    shutil.copytree(finished["train"].parent, folder)
    runs = {kind: folder / path.name for kind, path in finished.items()}
    annotate(runs["train"], add=["baseline"])
    annotate(runs["sweep"], add=["swept"])
    return runs


COMMANDS: dict[str, list[str]] = {
    "report": ["report", "{}", "--output", "{out}/report.md"],
    "show": ["runs", "show", "{}"],
    "path": ["runs", "path", "{}"],
    "list": ["runs", "list", "{}"],
    "tag": ["runs", "tag", "{}"],
    "note": ["runs", "note", "{}"],
    "export": ["runs", "export", "{}", "--format", "json"],
    "watch": ["watch", "{}", "--once"],
    "tensorboard": ["bridge", "tensorboard", "{}", "--output", "{out}/events"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_takes_each_kind_of_reference(kinds: dict[str, Path], tmp_path: Path, name: str) -> None:
    folder = kinds["train"]
    number = next(place for place in range(1, 99) if references.one(folder.parent, str(place)).id == folder.name)
    for reference in (str(number), f"{number}:{number}", folder.name, folder.name[:-1], str(folder), "baseline"):
        words = [word.format(reference, out=tmp_path) for word in COMMANDS[name]]
        done = call(*words, "--json", "--runs-dir", folder.parent, cwd=tmp_path)
        assert done.returncode == 0, (reference, done.stderr)
        assert folder.name in done.stdout, reference
    words = [word.format("baselime", out=tmp_path) for word in COMMANDS[name]]
    done = call(*words, "--runs-dir", folder.parent, cwd=tmp_path)
    assert done.returncode == 2
    assert "no run 'baselime'" in done.stderr
    assert "did you mean 'baseline'" in done.stderr


SINGLE: dict[str, Callable[[Path, str], object]] = {
    "load_run": lambda runs, text: mnistexp.load_run(text, runs_dir=runs),
    "resume": lambda runs, text: training_named(runs, text),
    "trials": lambda runs, text: trials(text, runs_dir=runs),
    "best": lambda runs, text: mnistexp.best("best", sweeps=[text], runs_dir=runs),
}


@pytest.mark.parametrize("name", SINGLE)
def test_where_one_run_is_asked_for_several_are_refused_once(kinds: dict[str, Path], name: str) -> None:
    with pytest.raises(BadInput) as caught:
        SINGLE[name](kinds["train"].parent, "1:2")
    assert str(caught.value) == "'1:2' means 2 runs, allowed: a reference to one"


def test_python_takes_the_same_references(kinds: dict[str, Path]) -> None:
    folder = kinds["train"]
    for reference in (folder, folder.name, folder.name[:-1], "baseline"):
        assert mnistexp.load_run(reference, runs_dir=folder.parent).path.name == folder.name
    assert mnistexp.load_run(1, runs_dir=folder.parent).path.name == references.one(folder.parent, "1").id
    assert len(trials("swept", runs_dir=folder.parent)) == 4
    snapshot = Follower(folder.parent, ["baseline", "1:2"]).look()
    assert {run.id for run in snapshot.ended} >= {folder.name, references.one(folder.parent, "2").id}


def test_a_folder_that_is_not_a_run_is_reported(kinds: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for text in (str(tmp_path / "notes"), f"{tmp_path}/"):
        with pytest.raises(BadInput, match=re.escape("this folder has no status.json")):
            references.one(kinds["train"].parent, text)
    with pytest.raises(BadInput, match=f"did you mean '{kinds['train'].name}'"):
        references.one(kinds["train"].parent, f"elsewhere/{kinds['train'].name}")


# Resume


def test_the_latest_training_to_resume_is_the_newest_that_did_not_finish(tmp_path: Path) -> None:
    older, wanted = (made(tmp_path, name, status="interrupted") for name in ("older", "wanted"))
    done = made(tmp_path, "done")
    summary = made(tmp_path, "x", command="summary", status="failed")
    with pytest.raises(BadInput, match="is a summary run, allowed: a train run"):
        resume_training(training_named(tmp_path, summary))
    assert training_named(tmp_path, "latest").id == wanted
    assert training_named(tmp_path, older[:-1]).id == older
    for run_id in (older, wanted):
        shutil.rmtree(tmp_path / run_id)
    made(tmp_path, "step", status="interrupted", part_of=done)
    with pytest.raises(BadInput, match=r"no training to resume in .*; to resume a step of another command"):
        training_named(tmp_path, "latest")
