"""Runs moved to the trash and back; nothing is lost by accident, and nothing outside the trash is ever removed."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from programs import answer
from stored_run import store

from mnistexp.errors import BadInput, RunError
from mnistexp.runs import trash
from mnistexp.runs.annotations import annotate, read_annotations
from mnistexp.runs.locks import lock
from mnistexp.runs.run_folder import Run
from mnistexp.runs.stored_runs import list_runs, load


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def ids(runs: Path) -> list[str]:
    return [info.id for info in list_runs(runs)]


def in_trash(runs: Path) -> list[str]:
    return [entry.id for entry in trash.list_trash(runs)]


def moved(entry: trash.Trashed, ago: timedelta) -> trash.Trashed:
    """The entry as if it had been moved to the trash so long ago."""
    moment = datetime.now(UTC) - ago
    path = entry.path.rename(entry.path.with_name(f"{moment:%Y%m%dT%H%M%S.%fZ}.{entry.id}"))
    return trash.Trashed(entry.id, path, moment)


def test_removed_runs_are_restored_unchanged(runs: Path) -> None:
    first, second = store(runs), store(runs)
    annotate(first, add=["kept"])
    before = load(first)
    trash.discard([first])
    assert (ids(runs), in_trash(runs)) == ([second.name], [first.name])
    assert trash.restore(trash.find_trashed(runs, [first.name[:-2]])) == [first]
    assert load(first) == before
    assert read_annotations(first).tags == ("kept",)
    assert in_trash(runs) == []


def test_runs_in_use_are_not_removed_nor_those_listed_with_them(runs: Path) -> None:
    done = store(runs)
    with Run.create(runs, "train", "y", "seed: 2\n", visible=True) as running:
        with pytest.raises(RunError, match="is in use"):
            trash.discard([done, running.path])
        assert set(ids(runs)) == {done.name, running.id}
        running.add("metrics.json", {})
    interrupted = store(runs, error=KeyboardInterrupt())
    with lock(interrupted), pytest.raises(RunError, match="is in use"):
        trash.discard([interrupted])
    assert in_trash(runs) == []


def test_a_run_in_the_trash_cannot_be_resumed(runs: Path) -> None:
    path = store(runs, error=KeyboardInterrupt())
    trash.discard([path])
    with pytest.raises(RunError):
        Run.resume(path)
    assert not path.exists()


def test_damaged_runs_can_be_removed_and_foreign_folders_cannot(runs: Path) -> None:
    damaged = store(runs)
    (damaged / "status.json").write_text("{")
    lost = store(runs)
    (lost / "status.json").unlink()
    (runs / "photos").mkdir()
    trash.discard([damaged, lost])
    assert in_trash(runs) == [damaged.name, lost.name]
    with pytest.raises(RunError):
        trash.discard([runs / "photos"])
    with pytest.raises(BadInput, match="in the trash already"):
        trash.discard([trash.list_trash(runs)[0].path])


def test_one_run_by_two_paths_is_one(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store(runs)
    monkeypatch.chdir(path)
    assert [entry.id for entry in trash.discard([path, Path("../") / path.name, Path()])] == [path.name]


def test_a_taken_id_is_not_overwritten(runs: Path) -> None:
    path = store(runs)
    trash.discard([path])
    path.mkdir()
    with pytest.raises(BadInput, match="a run with that id exists"):
        trash.restore(trash.list_trash(runs))
    assert in_trash(runs) == [path.name]


def test_runs_of_one_id_have_different_names_in_the_trash(runs: Path) -> None:
    path = store(runs, "older")
    first = trash.discard([path])[0]
    again = store(runs, "newer").rename(path)
    trash.discard([again])
    with pytest.raises(BadInput, match=first.path.name):
        trash.find_trashed(runs, [path.name])
    with pytest.raises(BadInput, match="a run with that id exists"):
        trash.restore(trash.list_trash(runs))
    trash.restore(trash.find_trashed(runs, [first.path.name]))
    assert load(path).name == "older"


def test_the_trash_takes_the_same_references_as_the_folder(runs: Path) -> None:
    paths = [store(runs, name) for name in ("a", "b", "c")]
    annotate(paths[0], add=["kept"])
    entries = {path.name: trash.discard([path])[0] for path in paths}
    a, b, c = (entries[path.name] for path in paths)
    for references, expected in (
        (["latest"], [c]), (["3"], [a]), (["1:2"], [c, b]), (["2:"], [b, a]), (["kept"], [a]), (["b"], [b]),
        ([paths[1].name], [b]), ([paths[1].name[:-1], "b"], [b]),
    ):  # fmt: skip
        assert trash.find_trashed(runs, references) == expected
    with pytest.raises(BadInput, match=r"no run 'kepd' in the trash of .*; did you mean 'kept'"):
        trash.find_trashed(runs, ["kepd"])


def test_removing_a_link_keeps_its_target(runs: Path, tmp_path: Path) -> None:
    elsewhere = store(tmp_path / "elsewhere")
    runs.mkdir()
    (runs / "linked").symlink_to(Path("..") / "elsewhere" / elsewhere.name)
    trash.discard([runs / "linked"])
    trash.restore(trash.list_trash(runs))
    assert ids(runs) == ["linked"]
    trash.discard([runs / "linked"])
    trash.empty(runs, trash.list_trash(runs))
    assert load(elsewhere).status == "done"


def test_emptying_follows_no_links(runs: Path, tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "gold").write_text("gold")
    path = store(runs)
    (path / "way out").symlink_to(treasure)
    trash.discard([path])
    (runs / ".trash" / ".removing-0").symlink_to(treasure)
    (runs / ".trash" / ".removing-1").mkdir()
    trash.empty(runs, trash.list_trash(runs))
    assert [name.name for name in (runs / ".trash").iterdir()] == [".lock"]
    assert (treasure / "gold").read_text() == "gold"

    (runs / ".trash").rename(tmp_path / "moved")
    (runs / ".trash").symlink_to(tmp_path / "moved")
    with pytest.raises(RunError, match="is a link"):
        trash.empty(runs, [])


# From the command line


def mnistexp(runs: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command of `mnistexp runs`."""
    return answer("runs", *arguments, "--runs-dir", runs)


def test_removing_several_needs_yes_without_a_terminal(runs: Path) -> None:
    store(runs), store(runs), store(runs)
    code, _, said = mnistexp(runs, "rm", "1:2")
    assert (code, len(ids(runs))) == (2, 3)
    assert "add --yes" in said
    code, out, _ = mnistexp(runs, "rm", "latest", "--json")
    assert (code, len(ids(runs))) == (0, 2)
    assert [run["id"] for run in json.loads(out)["moved"]] == in_trash(runs)
    assert mnistexp(runs, "rm", "--where", "command=train", "--yes")[0] == 0
    assert ids(runs) == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
def test_on_a_terminal_the_user_is_asked(runs: Path) -> None:
    path = store(runs)

    def answer(keys: bytes) -> int:
        ours, theirs = os.openpty()
        os.write(ours, keys)
        command = [sys.executable, "-m", "mnistexp", "runs", "rm", "latest", "--runs-dir", str(runs)]
        code = subprocess.run(command, stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL).returncode
        os.close(theirs)
        said = os.read(ours, 10_000).decode()
        os.close(ours)
        assert f"Move {path.name} to the trash? [y/N]:" in said
        assert "Traceback" not in said
        return code

    end_of_input = b"\x04"
    assert [answer(b"n\n"), answer(end_of_input), ids(runs)] == [130, 130, [path.name]]
    assert [answer(b"y\n"), in_trash(runs)] == [0, [path.name]]


def test_restore_lists_and_restores(runs: Path) -> None:
    path = store(runs)
    trash.discard([path])
    assert path.name in mnistexp(runs, "restore")[1]
    assert json.loads(mnistexp(runs, "restore", "--json")[1])["trash"][0]["id"] == path.name
    code, _, said = mnistexp(runs, "restore", path.name[:-1] + "?")
    assert (code, f"did you mean '{path.name}'?" in said) == (2, True)
    assert mnistexp(runs, "restore", "latest", path.name)[0] == 0
    assert ids(runs) == [path.name]


def test_prune_removes_what_is_requested_and_never_what_is_in_use(runs: Path) -> None:
    done, failed = store(runs), store(runs, error=ValueError("no"))
    interrupted = store(runs, error=KeyboardInterrupt())
    with Run.create(runs, "train", "y", "seed: 2\n", visible=True) as running:
        running.add("metrics.json", {})
        out = mnistexp(runs, "prune", "--failed", "--interrupted", "--dry-run", "--json")[1]
        assert {run["id"] for run in json.loads(out)["moved"]} == {failed.name, interrupted.name}
        assert len(ids(runs)) == 4
        assert mnistexp(runs, "prune", "--failed", "--older-than", "1h")[0] == 0
        assert len(ids(runs)) == 4
        assert mnistexp(runs, "prune", "--failed")[0] == 0
        assert in_trash(runs) == [failed.name]
        assert mnistexp(runs, "prune", "--older-than", "0s", "--yes")[0] == 0
        assert ids(runs) == [running.id]
    assert set(in_trash(runs)) == {done.name, failed.name, interrupted.name}


def test_the_trash_is_emptied_by_the_time_in_the_trash(runs: Path) -> None:
    old, young = trash.discard([store(runs), store(runs)])
    moved(old, timedelta(days=31))
    out = mnistexp(runs, "prune", "--trash", "--older-than", "30d", "--dry-run", "--json")[1]
    assert [entry["id"] for entry in json.loads(out)["removed"]] == [old.id]
    code, _, said = mnistexp(runs, "prune", "--trash", "--older-than", "30d")
    assert (code, "add --yes" in said) == (2, True)
    assert in_trash(runs) == [old.id, young.id]
    assert mnistexp(runs, "prune", "--trash", "--older-than", "30d", "--yes")[0] == 0
    assert in_trash(runs) == [young.id]
    assert mnistexp(runs, "prune", "--trash", "--yes")[0] == 0
    assert in_trash(runs) == []


def test_tags_and_notes_from_the_command_line(runs: Path) -> None:
    first, second = store(runs, "a"), store(runs, "b")
    assert mnistexp(runs, "tag", "1:2", "--add", "base", "--add", "x")[0] == 0
    assert mnistexp(runs, "tag", "--where", "name=a", "--remove", "x")[0] == 0
    assert json.loads(mnistexp(runs, "tag", "--json")[1]) == {"tags": {"base": 2, "x": 1}}
    shown = json.loads(mnistexp(runs, "tag", second.name, "--json")[1])
    assert shown == {"runs": [{"id": second.name, "tags": ["base", "x"]}]}
    assert mnistexp(runs, "note", first.name, "für die Arbeit")[0] == 0
    assert mnistexp(runs, "note", first.name)[1] == "für die Arbeit\n"
    assert mnistexp(runs, "note", first.name, "--clear")[0] == 0
    assert json.loads(mnistexp(runs, "note", first.name, "--json")[1]) == {"id": first.name, "note": ""}
