"""Laws of run folders: complete or plainly marked, never in each other's way, found again."""

import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistexp.errors import BadInput, DataError, Interrupted, MnistexpError, RunError, TrialsFailed
from mnistexp.runs import files, run_folder, staging
from mnistexp.runs.history_csv import history_to_csv
from mnistexp.runs.layout import HEARTBEAT, PROGRESS, STATUS
from mnistexp.runs.locks import lock
from mnistexp.runs.references import one
from mnistexp.runs.results import History
from mnistexp.runs.run_folder import Run, add_file, remove_file
from mnistexp.runs.staging import clean_stale_staging, time_of
from mnistexp.runs.status import STALE_SECONDS, Owner, Status, read_record, read_status, write_status
from mnistexp.runs.stored_runs import list_runs, load

CONFIG = "seed: 2\n"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def create(runs: Path, *, visible: bool = False, command: str = "train", name: str = "sgd-150") -> Run:
    return Run.create(runs, command, name, CONFIG, visible=visible)


def store(runs: Path, run_id: str, started: str | None = None) -> Path:
    """A finished run of a given name, such as the clock may have made it."""
    moment = datetime.fromisoformat(started) if started else time_of(run_id) or datetime.now(UTC)
    folder = runs / run_id
    folder.mkdir(parents=True)
    write_status(folder, Status("train", "x", "done", moment, Owner.current()))
    return folder


def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
    head = "import sys, time\nfrom pathlib import Path\nfrom mnistexp.runs.run_folder import Run\n"
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def hidden(runs: Path) -> list[str]:
    return sorted(path.name for path in runs.iterdir() if path.name.startswith("."))


# A run from beginning to end


@pytest.mark.parametrize("visible", [False, True])
def test_what_is_stored_is_loaded(runs: Path, visible: bool) -> None:
    history = History((2.3, 1.0 / 3), (0.1, 0.9), (2.2, 0.4), (0.2, 0.8))
    with create(runs, visible=visible, name="Größe 150!") as run:
        run.add("metrics.json", {"test_accuracy": 0.925, "minimum": float("nan")})
        run.add("history.csv", history_to_csv(history))
        run.add("trials/17.json", {"score": 0.5})
        run.add("loss_curves.png", b"\x89PNG")
        with run.writing("model.keras") as path:
            path.write_bytes(b"weights")
        run.log("epoch 1\nepoch 2")
        run.log("last")
    stored = load(run.path)
    assert stored.config_text == CONFIG
    assert stored.metrics == {"schema_version": 1, "test_accuracy": 0.925, "minimum": None}
    assert stored.history == history
    assert stored.read_json("trials/17.json")["score"] == 0.5
    assert stored.read_bytes("model.keras") == b"weights"
    assert stored.environment["python"]
    assert set(stored.files()) - {"code.patch"} == {
        "config.yaml",
        "environment.json",
        "history.csv",
        "loss_curves.png",
        "metrics.json",
        "model.keras",
        "run.log",
        "status.json",
        "trials/17.json",
    }
    assert (stored.command, stored.name, stored.status) == ("train", "Größe 150!", "done")
    assert (stored.exit_code, stored.error) == (0, None)
    assert stored.seconds is not None
    first, second, third = stored.read_text("run.log").splitlines()
    assert datetime.fromisoformat(first.split()[0]).tzinfo == UTC
    assert (first.split(maxsplit=1)[1], second, third.split(maxsplit=1)[1]) == ("epoch 1", "    epoch 2", "last")
    assert hidden(runs) == []
    assert list_runs(runs) == [stored]


@pytest.mark.parametrize("patch", ["--- a\n+++ b\n", None])
def test_uncommitted_changes_are_stored_with_the_run(
    runs: Path, monkeypatch: pytest.MonkeyPatch, patch: str | None
) -> None:
    monkeypatch.setattr(run_folder, "dirty_diff", lambda: patch)
    with create(runs) as run:
        pass
    assert (load(run.path).read_text("code.patch") if patch else None) == patch
    assert (run.path / "code.patch").exists() == bool(patch)


def test_the_log_has_utc_times_to_the_millisecond_and_takes_any_text(runs: Path) -> None:
    with create(runs) as run:
        run.log("a \udcff b")
    line = load(run.path).read_text("run.log")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z a \\udcff b\n", line)


@pytest.mark.parametrize("name", ["sgd 150", "../../etc/passwd", "数字", "", "x" * 500, "a\x00b", "CON", ".hidden"])
def test_ids_are_fit_for_every_file_system(runs: Path, name: str) -> None:
    with create(runs, name=name) as run:
        pass
    assert run.path.parent == runs
    assert time_of(run.id)
    assert len(run.id) < 100
    assert load(run.path).name == name


def test_the_duration_of_a_run_does_not_depend_on_the_wall_clock(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder.time, "monotonic", lambda: 12.3456)
    with create(runs) as run:
        monkeypatch.setattr(run_folder.time, "monotonic", lambda: 20.0)
    record = read_record(run.path)
    assert record.seconds == 7.654
    assert record.finished is not None
    assert abs(record.finished - datetime.now(UTC)) < timedelta(hours=1)


def test_a_run_in_staging_is_not_listed_until_it_ends(runs: Path) -> None:
    with Run.create(runs, "train", "x", CONFIG) as run:
        assert run.add("metrics.json", {}) == run.path / "metrics.json"
        assert (run.status, list_runs(runs)) == ("running", [])
    assert run.status == "done"
    assert [info.id for info in list_runs(runs)] == [run.id]


def test_a_visible_run_is_complete_from_its_first_moment(runs: Path) -> None:
    with create(runs, visible=True) as run:
        stored = load(one(runs, "latest").path)
        assert stored.status == "running"
        assert stored.config_text == CONFIG
        assert (run.path / HEARTBEAT).exists()
    assert not (run.path / HEARTBEAT).exists()


def test_a_running_run_updates_its_heartbeat(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnistexp.runs.status.BEAT_SECONDS", 0.001)
    with create(runs, visible=True) as run:
        os.utime(run.path / HEARTBEAT, (0, 0))
        while (run.path / HEARTBEAT).stat().st_mtime == 0:
            time.sleep(0.001)


# How a run ends


def raised(run: Run, error: BaseException, *, added: bool) -> None:
    def work() -> None:
        with run:
            if added:
                run.add("trials/0.json", {"score": 0.5})
            raise error

    with pytest.raises(type(error)):
        work()


ERRORS = [BadInput("no such digit"), DataError("no digits"), ValueError("a bug"), KeyboardInterrupt()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_nothing_remains_of_a_run_that_fails_in_staging_before_it_had_anything(
    tmp_path: Path, error: BaseException
) -> None:
    raised(create(tmp_path / "some" / "where" / "runs"), error, added=False)
    assert list(tmp_path.iterdir()) == []


def test_nothing_remains_of_a_visible_run_that_bad_input_ends(tmp_path: Path) -> None:
    raised(create(tmp_path / "runs", visible=True), BadInput("no such digit"), added=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "status"), [(DataError("no digits"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_visible_run_that_was_announced_is_kept_even_if_empty(runs: Path, error: BaseException, status: str) -> None:
    raised(create(runs, visible=True), error, added=False)
    assert [info.status for info in list_runs(runs)] == [status]


def test_a_run_interrupted_while_it_is_started_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, "dirty_diff", interrupt)
    with pytest.raises(KeyboardInterrupt):
        create(tmp_path / "some" / "runs")
    assert list(tmp_path.iterdir()) == []


def test_a_file_written_by_a_library_makes_a_run_worth_keeping(runs: Path) -> None:
    run = create(runs)
    with run.writing("model.keras") as path:
        path.write_bytes(b"weights")
    raised(run, DataError("no digits"), added=False)
    assert [info.status for info in list_runs(runs)] == ["failed"]


def test_progress_ends_with_the_run(runs: Path) -> None:
    with create(runs, visible=True) as run:
        (run.path / PROGRESS).write_text("{}")
    assert not (run.path / PROGRESS).exists()


def test_a_run_ends_once(runs: Path) -> None:
    with create(runs) as run:
        run.fail(DataError("no digits"))
        (info,) = list_runs(runs)
    assert list_runs(runs) == [info]
    with create(runs) as other:
        other.discard()
    assert list_runs(runs) == [info]


def test_a_discarded_run_is_hidden_and_unlocked(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(runs, visible=True)
    removed: list[Path] = []
    remove = shutil.rmtree

    def watch(folder: Path, **options: bool) -> None:
        removed.append(folder)
        assert list_runs(runs) == []
        remove(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", watch)
    run.discard()
    assert [staging.id_of(folder) for folder in removed] == [run.id]
    assert hearts() == 0
    run.discard()


def hearts() -> int:
    """How many runs of this process show that they are alive."""
    return sum(thread.name == "mnistexp-heartbeat" for thread in threading.enumerate())


def test_discarding_leaves_other_runs_alone(runs: Path) -> None:
    first = create(runs, visible=True)
    with create(runs) as other:
        pass
    first.discard()
    assert [path.name for path in runs.iterdir()] == [other.id]


@pytest.mark.parametrize(
    ("error", "status", "code", "text"),
    [
        (BadInput("no such digit"), "failed", 2, "no such digit"),
        (DataError("no digits"), "failed", 1, "no digits"),
        (ValueError("a bug"), "failed", 1, "ValueError: a bug"),
        (KeyboardInterrupt(), "interrupted", 130, None),
        (Interrupted("stopped"), "interrupted", 130, None),
        (TrialsFailed("every trial"), "failed", 3, "every trial"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("visible", [False, True])
def test_a_failed_run_with_files_is_kept_and_marked(
    runs: Path, error: BaseException, status: str, code: int, text: str | None, visible: bool
) -> None:
    raised(create(runs, visible=visible), error, added=True)
    (info,) = list_runs(runs)
    assert (info.status, info.exit_code, info.error) == (status, code, text)
    assert load(info.path).read_json("trials/0.json")["score"] == 0.5
    assert hidden(runs) == []


def test_a_bug_leaves_its_traceback_in_the_log_and_a_known_failure_does_not(runs: Path) -> None:
    for error in (ValueError("a bug"), DataError("no digits")):
        run = create(runs, visible=True)
        run.log("started")
        raised(run, error, added=True)
        (info,) = (info for info in list_runs(runs) if info.error and str(error) in info.error)
        log = load(info.path).read_text("run.log")
        assert ("Traceback" in log) == (not isinstance(error, MnistexpError))


def test_a_folder_removed_during_a_run_is_explained_and_not_recreated(runs: Path) -> None:
    def work() -> None:
        with create(runs, visible=True) as run:
            shutil.rmtree(run.path)
            run.add("trials/0.json", {})

    with pytest.raises(RunError, match="no such file or folder"):
        work()
    assert list_runs(runs) == []


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "a//b", ".hidden", "a/.b", "", ".", "a\\b", "c:x", "a\0", "x.", STATUS]
)
def test_no_file_leaves_its_run_or_replaces_its_record(runs: Path, name: str) -> None:
    with create(runs) as run:
        pass
    for action in (lambda: add_file(run.path, name, b"x"), lambda: remove_file(run.path, name)):
        with pytest.raises(BadInput, match="can't be the name of a file in a run"):
            action()


def test_files_can_be_added_to_a_finished_run_and_removed(runs: Path) -> None:
    with create(runs) as run:
        pass
    path = add_file(run.path, "report.html", "<html>")
    assert load(run.path).read_text("report.html") == "<html>"
    remove_file(run.path, "report.html")
    remove_file(run.path, "report.html")
    assert not path.exists()


# Where runs can't be written


def test_a_file_in_place_of_the_runs_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match="a file is where a folder should be"):
        create(tmp_path / "runs")


def test_a_path_that_is_too_long_shows_before_anything_is_computed(tmp_path: Path) -> None:
    deep = tmp_path
    while len(str(deep)) < 4096 - 255:
        deep = deep / ("d" * 200)
    deep = deep / ("e" * (4096 - len(str(deep)) - 30))
    with pytest.raises(RunError, match="the name or the path is too long"):
        create(deep)


def test_paths_of_runs_may_contain_spaces_and_any_letters(tmp_path: Path) -> None:
    runs = tmp_path / "my runs ß 数字 \udcff"
    with create(runs) as run:
        pass
    assert one(runs, "latest").id == run.id


def test_a_rename_that_fails_at_the_end_loses_nothing(runs: Path) -> None:
    """The finished run waits in staging, and the next process gives it its name."""
    code = (
        "import errno, os\n"
        "run = Run.create(Path(sys.argv[1]), 'train', 'x', 'seed: 2', visible=False)\n"
        "run.add('metrics.json', {'a': 1})\n"
        "really = os.replace\n"
        "def broken(source, target):\n"
        "    if Path(source).is_dir(): raise OSError(errno.EIO, 'broken')\n"
        "    really(source, target)\n"
        "os.replace = broken\n"
        "try: run.finish()\n"
        "except Exception as error: print(error)\n"
    )
    message, _ = start(code, runs).communicate()
    assert "input/output error" in message
    assert list_runs(runs) == []
    clean_stale_staging(runs)
    (info,) = list_runs(runs)
    assert load(info.path).metrics == {"schema_version": 1, "a": 1}
    assert info.id in message


def test_failing_to_mark_a_failure_does_not_hide_it(runs: Path) -> None:
    def work() -> None:
        with create(runs, visible=True) as run:
            run.add("trials/0.json", {})
            shutil.rmtree(runs)
            raise DataError("no digits")

    with pytest.raises(DataError, match="no digits"):
        work()
    assert hearts() == 0


def test_failed_file_operations_are_explained(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(runs)
    run.add("trials/0.json", {})
    with pytest.raises(RunError, match=r"^can't create .*: the name or the path is too long$"):
        run.add("/".join(["d" * 200] * 25), b"")
    with pytest.raises(RunError, match=r"^can't remove .*trials: "):
        remove_file(run.path, "trials")
    run.log("on the disk at the end")

    def fail(path: Path) -> None:
        raise OSError(errno.EIO, path.name)

    monkeypatch.setattr(files, "sync", fail)
    with pytest.raises(RunError, match=r"^can't create .*figures: .*input/output error"):
        run.add("figures/loss.png", b"")
    with pytest.raises(RunError, match=r"^can't write .*run\.log: .*input/output error"):
        run.finish()
    shutil.rmtree(run.path)
    with pytest.raises(RunError, match=r"^can't write .*run\.log: "):
        run.log("to nowhere")


# Killed at any moment, many at once


PUBLISH = """
runs = Path(sys.argv[1])
while True:
    with Run.create(runs, "train", "same", "seed: 2", visible=sys.argv[2] == "visible") as run:
        run.add("metrics.json", {"numbers": list(range(1000))})
        run.add("trials/0.json", {"score": 0.5})
    print("published", flush=True)
"""


@pytest.mark.parametrize("kind", ["visible", "staged"])
def test_killed_at_random_moments_every_run_is_complete_or_plainly_marked(runs: Path, kind: str) -> None:
    moments = random.Random(1)
    for _ in range(10):
        process = start(PUBLISH, runs, kind)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0.0, 0.15))
        kill(process)
        for info in list_runs(runs):
            stored = load(info.path)
            assert stored.config_text == "seed: 2"
            if info.status == "done":
                assert stored.metrics == {"schema_version": 1, "numbers": list(range(1000))}
                assert stored.read_json("trials/0.json")["score"] == 0.5
            else:
                assert (info.status, kind) == ("interrupted", "visible")
    assert sum(info.status == "done" for info in list_runs(runs)) >= 10
    with create(runs):
        assert len(hidden(runs)) == 1
    assert hidden(runs) == []


def test_eight_processes_in_the_same_second_never_clash(runs: Path) -> None:
    code = (
        "runs = Path(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for number in range(5):\n"
        "    with Run.create(runs, 'train', 'same', 'seed: 2', visible=number % 2 == 0) as run:\n"
        "        run.add('metrics.json', {'from': sys.argv[2], 'number': number})\n"
    )
    processes = [start(code, runs, index) for index in range(8)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        process.communicate("go\n")
        assert process.returncode == 0
    found = [load(info.path) for info in list_runs(runs)]
    assert {info.status for info in found} == {"done"}
    numbers = {(run.metrics["from"], run.metrics["number"]) for run in found if run.metrics}
    assert numbers == {(str(index), number) for index in range(8) for number in range(5)}
    assert hidden(runs) == []


@pytest.mark.parametrize("taken", ["an empty folder", "a run", "a file", "a broken link"])
def test_a_name_that_is_taken_is_left_alone(runs: Path, taken: str) -> None:
    run = create(runs)
    there = runs / run.id
    match taken:
        case "an empty folder":
            there.mkdir()
        case "a run":
            store(runs, run.id)
        case "a file":
            there.write_text("mine")
        case _:
            there.symlink_to("nowhere")
    before = there.lstat().st_ino
    run.finish()
    assert run.path != there
    assert run.path.name[:-4] == there.name[:-4]
    assert there.lstat().st_ino == before
    assert load(run.path).status == "done"


def test_a_name_that_could_not_be_flushed_says_why_and_is_given_once(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create(runs)
    sync = files.sync

    def fail(path: Path) -> None:
        if path == runs:
            raise OSError(errno.EIO, "no")
        sync(path)

    monkeypatch.setattr(files, "sync", fail)
    with pytest.raises(RunError, match="input/output error"):
        run.finish()
    assert [info.status for info in list_runs(runs)] == ["done"]


def test_a_random_ending_that_is_taken_is_drawn_again(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one digit left to chance instead of four hex ones, eight runs at once must clash, and still be eight."""
    monkeypatch.setattr(staging.secrets, "token_hex", lambda size: f"{random.randrange(10):0{2 * size}x}")
    open_runs = [create(runs) for _ in range(8)]
    for run in open_runs:
        run.finish()
    assert len({run.id for run in open_runs}) == len(list_runs(runs)) == 8


def test_staging_of_living_processes_is_left_alone(runs: Path) -> None:
    process = start(
        "run = Run.create(Path(sys.argv[1]), 'train', 'x', '', visible=False)\nprint(run.path, flush=True)\ninput()",
        runs,
    )
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    with create(runs) as own:
        clean_stale_staging(runs)
        assert path.is_dir()
        assert own.path.is_dir()
    kill(process)
    clean_stale_staging(runs)
    assert not path.exists()


def test_staging_of_an_unknown_owner_is_kept_for_a_day(runs: Path) -> None:
    elsewhere = runs / ".staging-0123456789abcdef.77.1234.20261124T053712Z-train-x-1a2b"
    elsewhere.mkdir(parents=True)
    clean_stale_staging(runs)
    assert elsewhere.is_dir()
    os.utime(elsewhere, (0, 0))
    with create(runs):
        assert not elsewhere.exists()


# Alive or dead


def running(runs: Path, owner: Owner, age: float | None) -> Path:
    """The folder of a run whose process is `owner` and whose last heartbeat is `age` seconds ago."""
    folder = store(runs, f"20261124T053712Z-train-x-{random.randrange(16**4):04x}")
    write_status(folder, Status("train", "x", "running", datetime.now(UTC), owner))
    if age is not None:
        (folder / HEARTBEAT).touch()
        os.utime(folder / HEARTBEAT, (time.time() - age,) * 2)
    return folder


def test_a_killed_run_reads_interrupted_although_its_record_says_running(runs: Path) -> None:
    process = start(
        "run = Run.create(Path(sys.argv[1]), 'train', 'x', '', visible=True)\nprint(run.path, flush=True)\ninput()",
        runs,
    )
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    assert read_status(path).status == "running"
    process.send_signal(signal.SIGKILL)
    # Not yet waited for: what is left of the process is still in the process table.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert read_status(path).status == "interrupted"
    process.communicate()
    assert read_status(path).status == "interrupted"
    assert json.loads((path / STATUS).read_text())["status"] == "running"


def test_a_later_process_of_the_same_number_is_another_one(runs: Path) -> None:
    own = Owner.current()
    assert read_status(running(runs, own, age=None)).status == "running"
    assert read_status(running(runs, replace(own, started=own.started - 1), age=0)).status == "interrupted"


@pytest.mark.parametrize("boot", ["of another machine", ""])
def test_a_process_that_can_not_be_seen_is_judged_by_its_heartbeat(runs: Path, boot: str) -> None:
    elsewhere = replace(Owner.current(), boot=boot)
    assert read_status(running(runs, elsewhere, age=STALE_SECONDS / 2)).status == "running"
    assert read_status(running(runs, elsewhere, age=STALE_SECONDS * 2)).status == "interrupted"
    assert read_status(running(runs, elsewhere, age=-3600)).status == "interrupted"
    assert read_status(running(runs, elsewhere, age=None)).status == "interrupted"


@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**80])
def test_a_record_with_an_impossible_process_counts_as_not_running(runs: Path, pid: int) -> None:
    assert read_status(running(runs, replace(Owner.current(), pid=pid), age=0)).status == "interrupted"


# Taken up again


def test_a_killed_run_is_resumed_in_its_folder(runs: Path) -> None:
    process = start(
        "run = Run.create(Path(sys.argv[1]), 'train', 'x', 'seed: 2', visible=True)\n"
        "run.add('checkpoint.json', {'epoch': 7})\n"
        "with run.writing('trials/1.json') as path:\n"
        "    path.write_text('half')\n"
        "    print(run.path, flush=True)\n"
        "    input()",
        runs,
    )
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    with pytest.raises(RunError, match=f"in use by another process .process {process.pid}"):
        Run.resume(path)
    kill(process)
    assert any(file.name.startswith(".tmp-") for file in path.rglob("*"))

    with Run.resume(path) as run:
        assert run.path == path
        assert load(path).status == "running"
        assert load(path).read_json("checkpoint.json")["epoch"] == 7
        assert not any(file.name.startswith(".tmp-") for file in path.rglob("*"))
        with pytest.raises(RunError, match="in use"):
            Run.resume(path)
    assert load(path).status == "done"
    with pytest.raises(BadInput, match="is done, allowed: an interrupted or failed run"):
        Run.resume(path)


def test_a_resumed_run_belongs_to_this_process(runs: Path) -> None:
    raised(create(runs, visible=True), DataError("no digits"), added=True)
    (folder,) = (info.path for info in list_runs(runs))
    write_status(folder, replace(read_record(folder), owner=Owner(1, "another machine", 1)))
    (folder / "trials" / f"{files.TEMPORARY}half.json").write_text("half")
    with Run.resume(folder) as run:
        assert (run.path, run.status) == (folder, "running")
        record = read_record(folder)
        assert (record.status, record.owner) == ("running", Owner.current())
        assert (record.finished, record.exit_code, record.error) == (None, None, None)
        assert (folder / HEARTBEAT).exists()
        assert hearts() == 1
        assert [path.name for path in (folder / "trials").iterdir()] == ["0.json"]
        with pytest.raises(RunError, match="in use"), lock(folder):
            pass
    with lock(folder):
        assert hearts() == 0
    assert load(folder).status == "done"
    assert load(folder).read_text("run.log").endswith("Z resumed\n")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_resumed_run_is_kept_however_it_ends(runs: Path, error: BaseException) -> None:
    raised(create(runs, visible=True), KeyboardInterrupt(), added=True)
    (info,) = list_runs(runs)
    raised(Run.resume(info.path), error, added=False)
    (again,) = list_runs(runs)
    assert (again.path, again.status) == (
        info.path,
        "interrupted" if isinstance(error, KeyboardInterrupt) else "failed",
    )


def test_finished_and_running_runs_are_not_resumed(runs: Path) -> None:
    run = create(runs, visible=True)
    with pytest.raises(RunError, match=rf"is in use by another process \(process {os.getpid()}\)$"):
        Run.resume(run.path)
    run.finish()
    with pytest.raises(BadInput, match=r"is done, allowed: an interrupted or failed run$"):
        Run.resume(run.path)


def test_a_run_that_cannot_be_resumed_stays_unchanged(runs: Path) -> None:
    raised(create(runs, visible=True), KeyboardInterrupt(), added=True)
    (info,) = list_runs(runs)
    (info.path / f"{files.TEMPORARY}folder").mkdir()
    with pytest.raises(RunError, match=r"^can't write "):
        Run.resume(info.path)
    with lock(info.path):
        assert list_runs(runs) == [info]


def test_a_run_that_another_process_resumes_is_not_touched(runs: Path) -> None:
    raised(create(runs, visible=True), KeyboardInterrupt(), added=True)
    (info,) = list_runs(runs)
    with lock(info.path), pytest.raises(RunError, match="in use"):
        Run.resume(info.path)
    assert list_runs(runs) == [info]
    assert hearts() == 0


def test_two_processes_never_resume_the_same_run(runs: Path) -> None:
    raised(create(runs, visible=True), KeyboardInterrupt(), added=True)
    (info,) = list_runs(runs)
    with lock(info.path), pytest.raises(RunError, match="in use"):
        Run.resume(info.path)
    code = (
        "sys.stdin.readline()\n"
        "try:\n"
        "    run = Run.resume(Path(sys.argv[1]))\n"
        "    print('mine', flush=True)\n"
        "    sys.stdin.readline()\n"
        "except Exception as error: print(type(error).__name__, flush=True)\n"
    )
    processes = [start(code, info.path) for _ in range(4)]
    answers = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout is not None
        answers.append(process.stdout.readline().strip())
    for process in processes:
        kill(process)
    assert sorted(answers) == ["RunError", "RunError", "RunError", "mine"]


def test_resuming_something_that_is_not_a_run_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        Run.resume(tmp_path)
    assert list(tmp_path.iterdir()) == []


# Found again


IDS = [
    "20261124T053712Z-train-sgd-1a2b",
    "20261124T053712Z-train-sgd-1a9f",
    "20261125T000000Z-sweep-optimizer-adam-0000",
]


@pytest.fixture
def three(runs: Path) -> Path:
    store(runs, IDS[2])
    store(runs, IDS[0], "2026-11-24T05:37:12.900000Z")
    store(runs, IDS[1], "2026-11-24T05:37:12.100000Z")
    return runs


def test_runs_are_listed_by_time_then_start_then_id(three: Path) -> None:
    assert [info.id for info in list_runs(three)] == [IDS[1], IDS[0], IDS[2]]


def test_foreign_and_hidden_folders_are_skipped_and_renamed_runs_are_not(three: Path) -> None:
    (three / "notes").mkdir()
    (three / "file.txt").write_text("")
    (three / ".trash" / IDS[0]).mkdir(parents=True)
    (three / "loop").symlink_to("loop")
    (three / IDS[0]).rename(three / "my-favourite")
    assert {info.id for info in list_runs(three)} == {"my-favourite", IDS[1], IDS[2]}
    assert one(three, "my-fav").id == "my-favourite"


def test_the_latest_run_is_the_last_of_the_list(three: Path) -> None:
    (three / IDS[2]).rename(three / "my-favourite")
    assert one(three, "latest") == list_runs(three)[-1]
    shutil.rmtree(three / "my-favourite")
    assert one(three, "latest") == list_runs(three)[-1]
    assert one(three, "latest").id == IDS[0]


def test_a_missing_folder_holds_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "nowhere") == []
    with pytest.raises(BadInput, match=r"there are no runs in .* yet"):
        one(tmp_path / "nowhere", "latest")
    with pytest.raises(BadInput, match=r"there are no runs in .* yet"):
        one(tmp_path / "nowhere", "2026")


@pytest.mark.parametrize(
    ("reference", "index"),
    [("latest", 2), (IDS[0], 0), ("20261124T053712Z-train-sgd-1a9", 1), ("20261125", 2), (IDS[2][:-1], 2)],
)
def test_references_are_resolved(three: Path, reference: str, index: int) -> None:
    assert one(three, reference).id == IDS[index]


def test_a_path_is_a_reference_wherever_it_is(three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(tmp_path / "elsewhere", str(three / IDS[1])).path == three / IDS[1]
    monkeypatch.chdir(three / IDS[1])
    assert one(tmp_path / "elsewhere", "./../" + IDS[0]).id == IDS[0]


def test_an_ambiguous_reference_lists_the_candidates_and_an_unknown_one_the_nearest(three: Path) -> None:
    with pytest.raises(BadInput) as caught:
        one(three, "20261124T")
    assert all(run_id in str(caught.value) for run_id in IDS[:2])
    assert IDS[2] not in str(caught.value)
    with pytest.raises(BadInput, match=f"did you mean '{IDS[0]}'"):
        one(three, "20261124T053712Z-train-sgd-1a2c")


@pytest.mark.parametrize("reference", ["", ".", "..", "/", "../../etc", "x" * 5000, "a\0b", "*", "\udcff"])
def test_a_reference_to_nothing_is_bad_input(three: Path, reference: str) -> None:
    with pytest.raises(BadInput, match="no run"):
        one(three, reference)


@given(text=st.text(max_size=30))
def test_any_text_finds_a_run_or_is_bad_input(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    runs = tmp_path_factory.getbasetemp() / "any"
    if not runs.exists():
        store(runs, IDS[0])
    try:
        assert one(runs, text).id == IDS[0]
    except BadInput:
        counts = text.isdecimal() and len(text) <= 3  # from the newest, though an id begins with these digits
        assert not text or counts or (not IDS[0].startswith(text) and text not in ("x", "1", "latest"))


def test_a_later_run_sorts_later_though_the_clock_was_set_back(runs: Path) -> None:
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
    store(runs, f"{ahead:%Y%m%dT%H%M%SZ}-train-x-0000")
    with create(runs) as run:
        pass
    assert time_of(run.id) == ahead + timedelta(seconds=1)
    assert one(runs, "latest").id == run.id
    assert abs(load(run.path).started - datetime.now(UTC)) < timedelta(hours=1)


def test_one_clock_that_was_wrong_by_years_does_not_rule_all_later_names(runs: Path) -> None:
    store(runs, "20991231T235959Z-train-x-0000")
    with create(runs) as run:
        pass
    found = time_of(run.id)
    assert found is not None
    assert found.year < 2099


# Damaged


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema_version": 1}',
        b'{"schema_version": 2, "status": "done"}',
        b'{"schema_version": 1, "status": "asleep", "command": "", "name": ""}',
    ],
)
def test_a_damaged_record_is_listed_as_damaged_and_loading_says_why(three: Path, content: bytes) -> None:
    (three / IDS[0] / STATUS).write_bytes(content)
    damaged = next(info for info in list_runs(three) if info.id == IDS[0])
    assert damaged.status == "damaged"
    assert damaged.started == datetime(2026, 11, 24, 5, 37, 12, tzinfo=UTC)
    with pytest.raises(RunError, match=STATUS):
        load(three / IDS[0])


KEYS = ["status", "started", "finished", "seconds", "pid", "boot", "process_started", "name", "error"]
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)


@given(key=st.sampled_from(KEYS), value=VALUES)
def test_any_value_in_a_record_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    runs = tmp_path_factory.getbasetemp() / "values"
    if not runs.exists():
        write_status(
            running(runs, Owner.current(), None), Status("a", "b", "running", datetime.now(UTC), Owner.current())
        )
    (folder,) = runs.iterdir()
    record = folder / STATUS
    before = record.read_bytes()
    files.write_json(record, json.loads(before) | {key: value})
    (info,) = list_runs(runs)
    assert info.status != "damaged" or (info.error and str(record) in info.error)
    record.write_bytes(before)


PARTS = {"metrics.json": "metrics", "environment.json": "environment", "history.csv": "histories", "data.json": "data"}


@pytest.mark.parametrize("name", PARTS)
def test_a_damaged_part_is_named_when_it_is_asked_for(runs: Path, name: str) -> None:
    with create(runs) as run:
        run.add("metrics.json", {})
        run.add("history.csv", history_to_csv(History((1.0,), (0.5,))))
    (run.path / name).write_bytes(b'{"schema_version": 9}')
    stored = load(run.path)
    assert stored.status == "done"
    with pytest.raises(RunError, match=name):
        getattr(stored, PARTS[name])


def test_a_folder_that_is_not_a_run_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not the folder of a run: status.json is missing"):
        load(tmp_path)


def test_runs_can_be_written_without_file_locks(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", without_locks)
    with create(runs, visible=True) as run:
        assert "running without a lock" in (run.path / "run.log").read_text()
        with pytest.raises(RunError, match="is in use by another process"):
            Run.resume(run.path)
    assert load(run.path).status == "done"
