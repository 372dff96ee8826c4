"""The index gives what the folders say, whatever became of it or of them."""

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_run import store

from mnistexp.runs import files, index, stored_runs
from mnistexp.runs.annotations import annotate
from mnistexp.runs.index import INDEX
from mnistexp.runs.run_folder import add_file
from mnistexp.runs.status import Owner, Status, now, read_record, write_status
from mnistexp.runs.stored_runs import StoredRun, list_runs
from mnistexp.runs.summary import Summary


def left_alone(runs: Path, **metrics: object) -> Path:
    """A finished run whose files have been left alone for an hour, so that the index keeps it."""
    folder = store(runs, config="seed: 2\nmodel: {filters: [16, 32], dropout: 0.0}\n", **metrics)
    settle(folder)
    return folder


def settle(folder: Path) -> None:
    for path in folder.iterdir():
        os.utime(path, (path.stat().st_atime - 3600, path.stat().st_mtime - 3600))


def all_of(runs: Iterable[StoredRun]) -> list[tuple[StoredRun, Summary]]:
    return [(run, run.summary) for run in runs]


def read_all(runs: Path) -> list[tuple[StoredRun, Summary]]:
    return all_of(index.read_all(runs))


def true(runs: Path) -> list[tuple[StoredRun, Summary]]:
    return all_of(list_runs(runs))


def entries(runs: Path) -> set[str]:
    return {json.loads(line[9:].split(b"\t")[0])[0] for line in (runs / INDEX).read_bytes().split(b"\n")[1:]}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def three(runs: Path) -> Path:
    annotate(left_alone(runs, test_accuracy=0.5, seconds={"total": 1.5}), add=["b", "a"], note='ä "quoted"')
    left_alone(runs, test_accuracy=0.25, text="t" * 101, diverged=True, matrix=[[1]], missing=None)
    left_alone(runs)
    for folder in runs.iterdir():
        settle(folder)
    return runs


def test_real_runs_are_read_from_the_index_as_from_their_folders(finished: dict[str, Path], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(finished["train"].parent, runs)
    for folder in list(runs.iterdir()):
        settle(folder)
    first, second = read_all(runs), read_all(runs)
    assert first == second == true(runs)
    assert entries(runs) >= {folder.name for folder in finished.values()}
    trained = next(run for run, _ in second if run.id == finished["train"].name)
    metrics = json.loads((trained.path / "metrics.json").read_text())
    assert trained.score == trained.numbers["test_accuracy"] == metrics["test_accuracy"]
    assert trained.numbers["seconds.total"] == metrics["seconds"]["total"]
    assert trained.settings["model.filters"] == "[4, 8]"
    assert trained.settings["training.epochs"] == 5
    assert trained.settings["sweep"] is None


def test_lists_sentences_and_missing_values_are_not_metrics(three: Path) -> None:
    metrics = [dict(run.numbers) for run in index.read_all(three)]
    assert {"test_accuracy": 0.5, "seconds.total": 1.5} in metrics
    assert {"test_accuracy": 0.25, "diverged": True} in metrics
    assert {} in metrics


def test_an_entry_is_used_while_the_files_are_the_same(three: Path) -> None:
    before = read_all(three)
    # The settings of a run never change; where they did, the index wouldn't look.
    (before[0][0].path / "config.yaml").write_text("seed: 3\n")
    assert index.read_all(three)[0].settings["seed"] == 2


def replaced(run: Path) -> None:
    add_file(run, "metrics.json", {"test_accuracy": 0.75})


def overwritten(run: Path) -> None:
    """In place, as many bytes, and long ago by its time."""
    path = run / "metrics.json"
    text = path.read_text()
    path.write_text(text.replace("0.", "1.") if "0." in text else text.replace("}", " "))
    os.utime(path, (1e9, 1e9))


def resumed(run: Path) -> None:
    record = read_record(run)
    write_status(run, Status("train", "x", "running", record.started, Owner.current()))


def broken(run: Path) -> None:
    (run / "status.json").write_text("{")


CHANGES: list[Callable[[Path], object]] = [
    replaced,
    overwritten,
    resumed,
    broken,
    shutil.rmtree,
    lambda run: (run / "metrics.json").unlink(),
    lambda run: annotate(run, add=["new"]),
    lambda run: run.rename(run.with_name("renamed")),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_after_indexing_is_seen(three: Path, change: Callable[[Path], object]) -> None:
    before = read_all(three)
    change(before[1][0].path)
    after = read_all(three)
    assert after == true(three) != before


def test_changes_in_quick_succession_are_seen(runs: Path) -> None:
    """All within one tick of the file system's clock, perhaps, and all of one size."""
    folder = left_alone(runs, test_accuracy=0.0)
    for value in range(10):
        add_file(folder, "metrics.json", {"test_accuracy": float(value)})
        assert index.read_all(runs)[0].score == value


def test_only_unchanging_files_are_kept_in_the_index(three: Path) -> None:
    done, gone, going = (run.path for run in index.read_all(three))
    dead = Owner(2**22 + 1, Owner.current().boot, 1)
    for folder, owner in ((gone, dead), (going, Owner.current())):
        write_status(folder, Status("train", "x", "running", now(), owner))
        settle(folder)
    assert {run.id: run.status for run in index.read_all(three)} == {
        done.name: "done",
        gone.name: "interrupted",
        going.name: "running",
    }
    assert entries(three) == {done.name}
    shutil.rmtree(done)
    assert len(index.read_all(three)) == 2
    assert (three / INDEX).read_bytes().count(b"\n") == 0


@pytest.mark.parametrize("name", ["metrics.json", "annotations.json"])
def test_parts_of_unknown_versions_are_named_and_the_rest_is_read(three: Path, name: str) -> None:
    folder = index.read_all(three)[0].path
    (folder / name).write_text('{"schema_version": 9}')
    settle(folder)
    for run in (index.read_all(three)[0], index.read_all(three)[0]):
        assert run.settings["seed"] == 2
        assert run.unread == (f"{folder / name} has schema version 9, allowed with this version of mnistexp: 1",)


def test_a_record_of_an_unknown_version_is_listed_and_says_so(three: Path) -> None:
    folder = index.read_all(three)[0].path
    (folder / "status.json").write_text('{"schema_version": 9, "status": "done"}')
    run = index.read_all(three)[0]
    assert run.status == "damaged"
    assert run.unread == (f"{folder / 'status.json'} has schema version 9, allowed with this version of mnistexp: 1",)


@pytest.mark.parametrize("text", ["a: [", "- 1", "a: &a [*a]", "\0", "a: " + "[" * 1000, "x" * 200_000])
def test_unknown_settings_are_reported(three: Path, text: str) -> None:
    folder = index.read_all(three)[0].path
    (folder / "config.yaml").write_text(text)
    run = stored_runs.read(folder)
    assert run is not None
    assert dict(run.settings) == {}
    assert "config.yaml" in run.unread[0]


# The index itself


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_index_changes_nothing(three: Path, data: st.DataObject) -> None:
    expected = read_all(three)
    path = three / INDEX
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(["cut", "flip", "insert", "remove"])):
        case "cut":
            del content[place:]
        case "flip":
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        case "insert":
            content[place:place] = data.draw(st.binary(min_size=1, max_size=20))
        case "remove":
            del content[place : place + data.draw(st.integers(1, 50))]
    path.write_bytes(content)
    assert read_all(three) == expected


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"mnistexp runs 0\n", b"\xff" * 1000, b"mnistexp runs 1\n[]\n{}\n\t\t"]
)
def test_an_index_of_another_format_is_replaced(three: Path, content: bytes) -> None:
    expected = read_all(three)
    good = (three / INDEX).read_bytes()
    (three / INDEX).write_bytes(content)
    assert read_all(three) == expected
    assert sorted((three / INDEX).read_bytes().split(b"\n")) == sorted(good.split(b"\n"))


def test_a_lost_index_is_made_again(three: Path) -> None:
    expected = read_all(three)
    shutil.rmtree(three / ".cache")
    assert read_all(three) == expected
    assert entries(three) == {run.id for run, _ in expected}


def test_runs_are_listed_where_no_index_can_be_written(three: Path) -> None:
    (three / ".cache").write_text("in the way")
    assert read_all(three) == true(three)
    (three / ".cache").unlink()
    (three / INDEX).mkdir(parents=True)
    assert read_all(three) == true(three)


def test_listing_nothing_writes_nothing(tmp_path: Path) -> None:
    assert index.read_all(tmp_path / "nowhere") == []
    assert read_all(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_writers_at_the_same_time_leave_a_sound_index(three: Path) -> None:
    def work(number: int) -> set[str]:
        own = {left_alone(three, test_accuracy=number / 10).name for _ in range(3)}
        return own - {run.id for run in index.read_all(three)}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [set()] * 8
    assert len(index.read_all(three)) == 27
    assert read_all(three) == true(three)
    assert not list((three / ".cache").glob(f"{files.TEMPORARY}*"))


@pytest.mark.parametrize("head", [b"5", b"[[], 1]", b'["x", 1, 2]', b'[["x"], "y"]', b"[" * 5000, b"{"])
def test_an_entry_with_a_valid_checksum_and_wrong_content_changes_nothing(head: bytes, tmp_path: Path) -> None:
    folder = left_alone(tmp_path, test_accuracy=0.5)
    expected = read_all(tmp_path)
    stamp = json.dumps([folder.name, index.stamp_of(str(folder))[0]]).encode()
    for first in (head, stamp, stamp[:-1] + b", 1, 2, 3]"):
        content = b"\t".join((first, b"{}", b"{}"))
        (tmp_path / INDEX).write_bytes(b"%b\n%08x %b" % (index.FORMAT, zlib.crc32(content), content))
        assert read_all(tmp_path) == expected
