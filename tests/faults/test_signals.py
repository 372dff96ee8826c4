"""Signals, closed terminals and closed pipes: prompt, quiet, the right exit code, nothing left running."""

import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import sound
from conftest import Tried
from program import TINY, Forks, begin, environment, processes_of, program, wait_until

from mnistexp.runs import stored_runs
from mnistexp.runs.status import read_record

LONG_SWEEP = [
    *("sweep-optimizer", "--opt", "adam", "--epochs", "3000", "--workers", "2", "--executor", "processes"),
    *("--grid", "learning_rate=0.001,0.002,0.003,0.004", *TINY),
]
COMMANDS: dict[str, list[str]] = {
    "train": ["train", "--epochs", "100000", *TINY],
    "sweep": LONG_SWEEP,
    "serve": ["serve"],
    "watch": ["watch"],
}
STOPPED = 130
SHOW_CURSOR, HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"


class Terminal:
    """A command on a terminal of its own, whose both ends are ours."""

    def __init__(self, arguments: Sequence[str], cwd: Path) -> None:
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.shown = b""
        self.theirs: int | None = theirs
        self.process = subprocess.Popen(
            program(*arguments),
            cwd=cwd,
            env=environment(variables={"TERM": "xterm-256color"}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: _control(theirs),
        )
        os.set_blocking(self.ours, False)

    def read(self) -> bytes:
        """What has been shown so far."""
        while True:
            try:
                chunk = os.read(self.ours, 65_536)
            except OSError:
                return self.shown
            if not chunk:
                return self.shown
            self.shown += chunk

    def press_ctrl_c(self) -> None:
        os.write(self.ours, b"\x03")

    def close(self) -> None:
        """As a person closes the window: the terminal is gone, and the session is told by SIGHUP."""
        for handle in (self.theirs, self.ours):
            if handle is not None:
                os.close(handle)
        self.theirs = None

    def is_over(self) -> bool:
        if self.theirs is not None:
            self.read()
        return self.process.poll() is not None


def _control(handle: int) -> None:
    import fcntl

    fcntl.ioctl(handle, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal() -> Iterator[Callable[[Sequence[str], Path], Terminal]]:
    opened = []

    def start(arguments: Sequence[str], cwd: Path) -> Terminal:
        opened.append(Terminal(arguments, cwd))
        return opened[-1]

    yield start
    for one in opened:
        one.process.kill()
        one.process.wait()
        for pid in processes_of(one.process.pid):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def piped() -> Iterator[Callable[[Sequence[str], Path], "subprocess.Popen[bytes]"]]:
    started = []

    def start(arguments: Sequence[str], cwd: Path) -> "subprocess.Popen[bytes]":
        started.append(begin(program(*arguments), cwd))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def is_under_way(name: str, cwd: Path) -> bool:
    """Whether a command is in the midst of what it does."""
    runs = cwd / "runs"
    if name == "train":
        return bool(list(runs.glob("*-train-*/checkpoint.npz")))
    if name == "sweep":
        return bool(list(runs.glob("*-sweep-*/data.json")))
    return True


def wait_for_words(process: "subprocess.Popen[bytes]") -> bytes:
    """The first line that a command prints on standard output."""
    assert process.stdout is not None
    return process.stdout.readline()


def ended(process: "subprocess.Popen[bytes]", session: int, seconds: float = 30) -> None:
    """Wait, not for ever, for the command's end and that of all it started."""
    wait_until(lambda: process.poll() is not None, seconds)
    wait_until(lambda: not processes_of(session), seconds)


def recorded_as_interrupted(runs_dir: Path) -> None:
    """Raises AssertionError unless each run is interrupted by its own record, not only as its process is dead."""
    assert set(sound.check(runs_dir).values()) == {"interrupted"}
    assert {read_record(run.path).status for run in stored_runs.list_runs(runs_dir)} == {"interrupted"}


SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"]


@pytest.mark.parametrize("sign", SIGNALS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_ends_a_command_quietly(
    name: str,
    sign: str,
    forks: Forks,
    tmp_path: Path,
    piped: Callable[..., "subprocess.Popen[bytes]"],
    size: str,
    tried: Tried,
) -> None:
    if size == "small" and sign != {"train": "SIGHUP", "sweep": "SIGTERM", "serve": "SIGINT", "watch": "SIGTERM"}[name]:
        pytest.skip("the small battery tries one signal for each command")
    other = start_other(forks, tmp_path) if name == "watch" else None
    process = piped(COMMANDS[name], tmp_path)
    if name in ("serve", "watch"):
        assert wait_for_words(process)
    wait_until(lambda: is_under_way(name, tmp_path) or process.poll() is not None)
    process.send_signal(getattr(signal, sign))
    ended(process, process.pid)
    said = b"".join(process.communicate())
    if other:
        other()
    assert b"Traceback" not in said, said.decode()
    assert process.returncode == (0 if name == "serve" else STOPPED), said.decode()
    if name in ("train", "sweep"):
        recorded_as_interrupted(tmp_path / "runs")
        assert said.count(b"mnistexp: error: ") == 1
    tried(f"{sign} to {name}", 1, "quiet, exit code " + ("0" if name == "serve" else "130") + ", no process left")


def start_other(forks: Forks, cwd: Path) -> Callable[[], None]:
    """A training for `watch` to show; returns what ends it."""
    started = forks.start("train", "--epochs", "100000", *TINY, cwd=cwd)
    wait_until(lambda: is_under_way("train", cwd))

    def end() -> None:
        started.kill()
        started.done()

    return end


@pytest.mark.parametrize("presses", [1, 2])
@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_restores_the_terminal(
    name: str, presses: int, tmp_path: Path, terminal: Callable[..., Terminal], size: str, tried: Tried
) -> None:
    if size == "small" and (name, presses) not in (("train", 2), ("watch", 1)):
        pytest.skip("the small battery tries train and watch")
    one = terminal(COMMANDS[name], tmp_path)
    wait_until(lambda: (bool(one.read()) and is_under_way(name, tmp_path)) or one.is_over())
    for _ in range(presses):
        one.press_ctrl_c()
        time.sleep(0.01)
    wait_until(one.is_over, 30)
    wait_until(lambda: not processes_of(one.process.pid), 30)
    shown = one.read()
    assert b"Traceback" not in shown, shown.decode()
    # `serve` is done when it is told to stop; told once more meanwhile, it was stopped in that.
    codes = {"serve": [0, STOPPED][:presses]}.get(name, [STOPPED])
    assert one.process.returncode in codes, shown.decode()
    assert one.theirs is not None
    assert termios.tcgetattr(one.theirs) == one.before
    assert shown.rfind(SHOW_CURSOR) >= shown.rfind(HIDE_CURSOR)
    if name in ("train", "sweep"):
        assert set(sound.check(tmp_path / "runs").values()) == {"interrupted"}
    times = "once" if presses == 1 else "twice"
    tried(f"Ctrl-C {times} at a terminal: {name}", 1, "quiet, cursor and settings as before, no process left")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_closed_terminal_ends_a_command(
    name: str, tmp_path: Path, terminal: Callable[..., Terminal], size: str, tried: Tried
) -> None:
    if size == "small" and name != "train":
        pytest.skip("the small battery tries train")
    one = terminal(COMMANDS[name], tmp_path)
    wait_until(lambda: (bool(one.read()) and is_under_way(name, tmp_path)) or one.is_over())
    assert b"Traceback" not in one.read(), one.shown.decode()
    one.close()
    ended(one.process, one.process.pid)
    if name in ("train", "sweep"):
        recorded_as_interrupted(tmp_path / "runs")
    tried(f"terminal closed under {name}", 1, "ended, run marked interrupted, no process left")


def test_nohup_is_respected(tmp_path: Path, tried: Tried) -> None:
    process = begin(["nohup", *program("train", "--epochs", "40", *TINY)], tmp_path, subprocess.STDOUT)
    wait_until(lambda: is_under_way("train", tmp_path) or process.poll() is not None)
    process.send_signal(signal.SIGHUP)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    assert list(sound.check(tmp_path / "runs").values()) == ["done"]
    tried("SIGHUP to `nohup mnistexp train`", 1, "runs to its end")


def test_a_closed_pipe_is_no_error(
    forks: Forks, tmp_path: Path, piped: Callable[..., "subprocess.Popen[bytes]"], tried: Tried
) -> None:
    for _ in range(3):
        assert forks.run("summary", cwd=tmp_path).code == 0
    for command in (["runs", "list"], ["runs", "list", "--json"], ["config", "show"]):
        for lines in (0, 1):
            process = piped(command, tmp_path)
            assert process.stdout is not None
            for _ in range(lines):
                process.stdout.readline()
            process.stdout.close()
            assert process.stderr is not None
            said = process.stderr.read()
            ended(process, process.pid)
            assert said == b"", said.decode()
            assert process.returncode in (0, 1)
        tried(
            "pipe closed after a line, or none (`| head -1`), of runs list, config show", 2, "quiet, exit code 0 or 1"
        )


def test_a_closed_pipe_does_not_stop_a_training(
    tmp_path: Path, piped: Callable[..., "subprocess.Popen[bytes]"], tried: Tried
) -> None:
    process = piped(["train", "--epochs", "2", *TINY], tmp_path)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    ended(process, process.pid, 120)
    assert b"Traceback" not in said, said.decode()
    assert process.returncode in (0, 1)
    assert list(sound.check(tmp_path / "runs").values()) == ["done"]
    tried("pipe closed under train", 1, "the run is done, exit code 0 or 1")


def test_an_orphan_would_be_found(tried: Tried) -> None:
    """A killed parent whose child continues is distinguished from one without."""
    script = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    process = subprocess.Popen([program()[0], "-c", script], start_new_session=True)
    process.wait()
    orphans = processes_of(process.pid)
    assert len(orphans) == 1
    for pid in orphans:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(process.pid))
    tried("planted: a worker that outlives its parent", 1, "found by the checks")
