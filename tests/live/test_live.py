"""What is going on, seen from outside: trainings, sweeps, dead processes; and `mnistexp watch` in a pipe and a tty."""

import json
import math
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small import NETWORK
from typer.testing import CliRunner

from mnistexp import api
from mnistexp.cli.app import app
from mnistexp.cli.console_live import line
from mnistexp.config.shown import duration
from mnistexp.errors import BadInput
from mnistexp.live.following import Follower, LiveRun
from mnistexp.live.sweep_progress import SweepProgress
from mnistexp.runs.layout import HEARTBEAT, PROGRESS
from mnistexp.runs.progress import leave_progress, read_progress
from mnistexp.runs.results import EpochDone, Event
from mnistexp.runs.run_folder import Run

SMALL = {**NETWORK, "data.digits": 200}
DIES = """
import os, signal, sys
from pathlib import Path
from mnistexp.runs.progress import leave_progress
from mnistexp.runs.run_folder import Run
run = Run.create(Path(sys.argv[1]), "train", "dies", "", visible=True)
leave_progress(run.path, [(0.5, 0.8, 0.6, 0.7)], [1.0], repeat=0, repeats=1, epochs=9)
os.kill(os.getpid(), signal.SIGKILL)
"""


def leave(run: Run, epochs: int, *, of: int = 10, repeat: int = 0, repeats: int = 1) -> None:
    """Say that a training is so far."""
    rows = [(1 / epoch, epoch / of, 2 / epoch, epoch / of / 2) for epoch in range(1, epochs + 1)]
    leave_progress(run.path, rows, [9.0] + [2.0] * (epochs - 1), repeat=repeat, repeats=repeats, epochs=of)


def only(runs: tuple[LiveRun, ...]) -> LiveRun:
    (run,) = runs
    return run


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Run]:
    """A training under way, in this process."""
    with Run.create(tmp_path, "train", "sgd-10", "", visible=True) as run:
        yield run


@pytest.mark.usefixtures("undrawn")
def test_a_real_training_is_followed_from_its_folder_alone(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    seen: list[LiveRun] = []

    def look(event: Event) -> None:
        if isinstance(event, EpochDone):
            seen.append(only(follower.look().running))

    outcome = api.train("train", SMALL | {"training.epochs": 3}, runs_dir=tmp_path, watch=look)
    assert seen[0].training is None
    assert seen[1].training is not None
    assert (seen[1].training.epoch, seen[1].training.epochs) == (1, 3)
    assert seen[1].state == "running"
    ended = only(follower.look().ended)
    assert ended.state == "done"
    assert ended.result == {"test_accuracy": outcome.metrics["test_accuracy"]}
    assert follower.look().running == ()
    assert not (outcome.run_dir / PROGRESS).exists()


def test_progress_has_epochs_curves_and_the_time_left(running: Run, tmp_path: Path) -> None:
    leave(running, 4, repeat=1, repeats=3)
    written = (running.path / PROGRESS).stat().st_mtime
    found = read_progress(running.path, now=written + 5)
    assert found is not None
    assert (found.repeat, found.repeats, found.epoch, found.epochs) == (1, 3, 4, 10)
    assert found.at == (1, 2, 3, 4)
    assert found.curves["val_loss"] == (2, 1, 2 / 3, 0.5)
    assert found.seconds_left == 16 * 2.0 - 5  # the first epoch, of 9 s, is no measure
    leave(running, 1)
    assert only(Follower(tmp_path).look().running).seconds_left is None


def test_a_long_history_is_thinned_to_its_last_epoch(tmp_path: Path) -> None:
    for epochs in (199, 200, 201, 400, 401, 100_000):
        rows = [(float(epoch), 0.0, math.nan, math.inf) for epoch in range(1, epochs + 1)]
        leave_progress(tmp_path, rows, [1.0] * epochs, repeat=0, repeats=1, epochs=epochs)
        found = read_progress(tmp_path, now=0)
        assert found is not None
        assert len(found.at) <= 200
        assert found.at[-1] == found.epoch == epochs
        assert found.curves["loss"] == tuple(map(float, found.at))
        assert set(found.curves["val_loss"]) == set(found.curves["val_accuracy"]) == {None}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema_version": 1, "epoch": "x"}'])
def test_unreadable_progress_is_none(content: str, running: Run, tmp_path: Path) -> None:
    leave(running, 2)
    (running.path / PROGRESS).write_text(content)
    assert only(Follower(tmp_path).look().running).training is None


def test_progress_files_are_removed_at_the_end_and_never_stop_a_run(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "train", "stopped", "", visible=True)
    leave(run, 2)
    run.interrupt()
    assert not (run.path / PROGRESS).exists()
    assert only(Follower(tmp_path).look().ended).state == "interrupted"
    shutil.rmtree(run.path)
    leave(run, 3)
    assert not run.path.exists()


def test_a_killed_process_is_dead_and_its_progress_is_kept(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False)
    found = Follower(tmp_path).look()
    assert found.running == ()
    dead = only(found.ended)
    assert dead.state == "dead"
    assert dead.seconds_left is None
    assert dead.ended is not None
    assert dead.ended.timestamp() == pytest.approx((dead.path / HEARTBEAT).stat().st_mtime, abs=1e-5)
    told = "dead, epoch 1/9, loss 0.5000, accuracy 80.0%, validation loss 0.6000, validation accuracy 70.0%"
    assert line(dead) == f"{dead.id}: {told}, its process is gone"


def test_the_age_of_the_heartbeat_is_shown(running: Run, tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    beat = (running.path / HEARTBEAT).stat()
    os.utime(running.path / HEARTBEAT, (beat.st_atime, beat.st_mtime - 3600))
    silent = only(follower.look().running).silent_seconds
    assert silent is not None
    # The thread that beats may have been quicker.
    assert silent >= 3600 or (running.path / HEARTBEAT).stat().st_mtime > beat.st_mtime - 3600


@pytest.fixture
def sweeping(finished: dict[str, Path], tmp_path: Path) -> Iterator[Run]:
    """A sweep under way: the settings of a real one, whose fits are then copied in."""
    config = (finished["sweep"] / "config.yaml").read_text()
    with Run.create(tmp_path, "sweep-dropout", "sweep", config, visible=True) as run:
        yield run


def test_a_sweep_is_counted_by_the_files_of_its_fits(sweeping: Run, finished: dict[str, Path], tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    first = only(follower.look().running).sweep
    assert first is not None
    assert (first.done, first.total, first.best) == (0, 8, None)
    fits = sorted((finished["sweep"] / "trials").glob("*.json"))
    documents = [json.loads(fit.read_text()) for fit in fits]
    means: dict[int, float] = {}
    for number, (fit, document) in enumerate(zip(fits, documents, strict=True), start=1):
        sweeping.add(f"trials/{fit.name}", document | {"cached": number <= 2})
        found = only(follower.look().running).sweep
        assert found is not None
        if number % 2 == 0:
            means[document["trial"]] = (document["score"] + documents[number - 2]["score"]) / 2
        assert (found.done, found.cached, found.failed) == (number, min(number, 2), 0)
        assert found.best == (max(means.values()) if means else None)
        assert found.scores == tuple(means.values())
    best = max(means, key=means.__getitem__)
    assert found.best_params == next(one["params"] for one in documents if one["trial"] == best)
    assert line(only(follower.look().running)).startswith(
        f"{sweeping.id}: running, fit 8/8, 2 cached, best accuracy so far "
    )


def test_failed_and_damaged_fits(sweeping: Run, finished: dict[str, Path], tmp_path: Path) -> None:
    for number, fit in enumerate(sorted((finished["sweep"] / "trials").glob("*.json"))[:4]):
        failed = {"error": "MemoryError", "score": None} if number == 0 else {}
        sweeping.add(f"trials/{fit.name}", json.loads(fit.read_text()) | failed)
    damaged = sweeping.path / "trials" / "00003-0-0.json"
    damaged.write_text('{"schema_version": 1')
    follower = Follower(tmp_path)
    found = only(follower.look().running).sweep
    assert found is not None
    assert (found.done, found.failed, len(found.scores)) == (4, 1, 1)
    damaged.write_text(sorted((finished["sweep"] / "trials").glob("*.json"))[6].read_text())
    again = only(follower.look().running).sweep
    assert again is not None
    assert again.done == 5


def test_the_time_left_of_a_sweep_follows_from_its_pace() -> None:
    sweep = SweepProgress(done=7, total=12, cached=2, last=1050.0)
    assert sweep.seconds_left(1000.0, now=1052.0) == 10.0 * 5 - 2
    assert sweep.seconds_left(1000.0, now=9999.0) == 0
    assert sweep.seconds_left(1060.0, now=1061.0) is None  # the clock was set back
    assert replace(sweep, last=None).seconds_left(1000.0, now=1052.0) is None
    assert replace(sweep, total=None).seconds_left(1000.0, now=1052.0) is None


def test_a_run_that_vanishes_is_not_an_error(sweeping: Run, tmp_path: Path) -> None:
    follower, named = Follower(tmp_path), Follower(tmp_path, ["latest"])
    assert only(follower.look().running).id == only(named.look().running).id == sweeping.id
    shutil.move(sweeping.path, tmp_path / ".elsewhere")
    for one in (follower, named, Follower(tmp_path / "missing")):
        found = one.look()
        assert found.running == found.ended == ()
    shutil.move(tmp_path / ".elsewhere", sweeping.path)
    assert only(named.look().running).id == sweeping.id


def test_ended_runs_are_listed_newest_first_without_foreign_folders(finished: dict[str, Path], tmp_path: Path) -> None:
    runs = finished["train"].parent
    snapshot = Follower(runs, newest=4).look()
    assert len(snapshot.ended) == 4
    ends = [run.ended for run in snapshot.ended]
    assert ends == sorted(ends, reverse=True)  # type: ignore[type-var]
    (tmp_path / "foreign").mkdir()
    broken = tmp_path / "20260101T000000Z-train-sgd-60-abcd"
    broken.mkdir()
    (broken / "status.json").write_text("{")
    damaged = only(Follower(tmp_path).look().ended)
    assert damaged.state == "damaged"
    assert "damaged" in str(damaged.info.error)
    with pytest.raises(BadInput, match="no run 'latst'"):
        Follower(runs, ["latst"])


def test_a_resumed_run_is_seen_again(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "train", "again", "", visible=True)
    run.interrupt()
    follower = Follower(tmp_path)
    assert only(follower.look().ended).state == "interrupted"
    with Run.resume(run.path):
        assert only(follower.look().running).state == "running"
    assert only(follower.look().ended).state == "done"


def test_durations_are_shown_in_their_two_largest_units() -> None:
    said = [duration(seconds) for seconds in (0.4, 59.4, 60, 61, 3599.6, 7300, 90_000)]
    assert said == ["0 s", "59 s", "1 min", "1 min 1 s", "1 h", "2 h 1 min", "1 d 1 h"]


def test_names_cannot_send_escape_sequences_to_the_terminal(tmp_path: Path) -> None:
    with Run.create(tmp_path, "train", "x", "", visible=True) as run:
        pass
    status = json.loads((run.path / "status.json").read_text())
    status |= {"status": "failed", "error": "\x1b[2J\x1b]0;owned\x07[red]text"}
    (run.path / "status.json").write_text(json.dumps(status))
    done = CliRunner().invoke(app, ["watch", "--once", "--runs-dir", str(tmp_path)])
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "[red]text" in done.stdout


def test_watch_once_prints_the_current_state(finished: dict[str, Path], running: Run, tmp_path: Path) -> None:
    leave(running, 4)
    shutil.copytree(finished["sweep"], tmp_path / finished["sweep"].name)
    done = CliRunner().invoke(app, ["watch", "--once", "--runs-dir", str(tmp_path)])
    first, second = done.stdout.splitlines()
    assert done.exit_code == 0
    figures = "loss 0.2500, accuracy 40.0%, validation loss 0.5000, validation accuracy 20.0%"
    assert first == f"{running.id}: running, epoch 4/10, {figures}"
    score = json.loads((finished["sweep"] / "metrics.json").read_text())["best_score"]
    assert second == f"{finished['sweep'].name}: done, best score {score:.1%}"
    document = json.loads(CliRunner().invoke(app, ["watch", "--once", "--json", "--runs-dir", str(tmp_path)]).stdout)
    assert document["running"][0]["training"]["epoch"] == 4
    assert document["ended"][0]["result"] == {"best_score": score}


@pytest.mark.parametrize("arguments", [["--once"], ["--once", "--json"]])
def test_an_empty_folder_has_nothing_to_watch(arguments: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["watch", *arguments, "--runs-dir", str(tmp_path / "none")])
    assert done.exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--interval", "0"], "--interval is 0, allowed: 0.1 <= value <= 3600"),
        (["--interval", "nan"], "--interval is nan"),
        (["nothing"], "no run 'nothing'"),
    ],
)
def test_bad_requests(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["watch", *arguments, "--runs-dir", str(tmp_path)])
    assert isinstance(done.exception, BadInput)
    assert said in str(done.exception)


def watch(*arguments: str, **streams: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mnistexp", "watch", "--interval", "0.1", *arguments]
    return subprocess.Popen(command, text=True, **streams)


def test_a_pipe_gets_a_line_for_each_change_until_the_named_run_ends(running: Run, tmp_path: Path) -> None:
    with watch("latest", "--runs-dir", str(tmp_path), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{running.id}: running\n"
        for epoch in (1, 2):
            leave(running, epoch)
            assert process.stdout.readline().startswith(f"{running.id}: running, epoch {epoch}/10, loss ")
        running.add("metrics.json", {"test_accuracy": 0.925})
        running.finish()
        assert process.stdout.read() == f"{running.id}: done, test accuracy 92.5%\n"
    assert process.returncode == 0


def test_ctrl_c_restores_the_terminal_of_watch(running: Run, tmp_path: Path) -> None:
    leave(running, 3)
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm"}
    with watch("--runs-dir", str(tmp_path), stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        shown = b""
        while b"epoch 3/10" not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # once nobody holds the other end any more
            while piece := os.read(ours, 4096):
                shown += piece
        assert process.stderr is not None
        assert process.stderr.read() == ""
    os.close(ours)
    assert process.returncode == 130
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l") >= 0  # the cursor is back
    assert "▁".encode() in shown
