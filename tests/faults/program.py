"""The program in processes of its own: forked with everything loaded, or started as a person starts it."""

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TESTS = FOLDER.parent
INJECTED = FOLDER / "injected"
SECONDS = 300
LOADED = [
    "mnistexp.sweeps.executors.preloaded",
    "mnistexp.commands.sweep",
    "mnistexp.commands.train",
    "mnistexp.cli.app",
    "mnistexp.commands.assignment.story",
]
TINY = [
    *("--set", "data.digits=200", "--set", "model.filters=[2,4]", "--set", "model.dense_units=8"),
    *("--set", "training.batch_size=16"),
]
TRAIN = ["train", "--epochs", "3", "--repeats", "2", *TINY]
SWEEP = ["sweep-optimizer", "--opt", "adam", "--grid", "learning_rate=0.001,0.01", "--epochs", "1", *TINY]
"""6 fits."""
_STARTING = threading.Lock()
"""Starting a process asks for the exit codes of all others; of two threads that ask, one would get 255."""


@dataclass
class Done:
    """How a command ended. `code` is negative where a signal ended it."""

    code: int
    said: str
    seconds: float


class Started:
    """A command under way in a forked process."""

    def __init__(self, process: Any, output: Path) -> None:
        self.process, self.output, self.began = process, output, time.monotonic()

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    def ends_within(self, seconds: float) -> bool:
        wait([self.process.sentinel], seconds)
        return self._code() is not None

    def kill(self) -> None:
        self.process.kill()

    def done(self) -> Done:
        if not self.ends_within(SECONDS):
            self.process.kill()
            raise TimeoutError(f"no end after {SECONDS} s: {self.output.read_text()}")
        text = self.output.read_text("utf-8", "replace")
        return Done(self._code(), text, time.monotonic() - self.began)

    def _code(self) -> Any:
        with _STARTING:
            return self.process.exitcode


class Forks:
    """Starts commands as forks of a process that has loaded what they need, and started none of it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(LOADED)

    def start(self, *arguments: str, cwd: Path, variables: Mapping[str, str] | None = None, **faults: Any) -> Started:
        output = self._folder / f"output-{next(self._numbers)}"
        output.touch(mode=0o666)
        process = self._context.Process(
            target=_command, args=(list(arguments), str(output), str(cwd), dict(variables or {}), faults)
        )
        with _STARTING, _without_main():
            process.start()
        return Started(process, output)

    def run(self, *arguments: str, cwd: Path, variables: Mapping[str, str] | None = None, **faults: Any) -> Done:
        return self.start(*arguments, cwd=cwd, variables=variables, **faults).done()


@contextmanager
def _without_main() -> Iterator[None]:
    from mnistexp.sweeps.executors.processes import spawning

    with spawning():
        yield


def _command(
    arguments: Sequence[str], output: str, cwd: str, variables: Mapping[str, str], faults: Mapping[str, Any]
) -> None:
    import signal

    handle = os.open(output, os.O_RDWR | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.setsid()
    os.chdir(cwd)
    os.environ.update(variables)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sys.path.insert(0, str(INJECTED))
    import faults as injected

    injected.apply(**faults)
    if arguments[0] == "tiny-reproduce":
        reproduce(Path(arguments[1]))
        return
    sys.argv = ["mnistexp", *arguments]
    from mnistexp.cli.app import main

    main()


def reproduce(runs_dir: Path) -> None:
    """The whole assignment with the fewest epochs and settings that it can be told with."""
    sys.path.insert(0, str(TESTS))
    from dataclasses import replace

    from tiny_best import tiny

    from mnistexp.commands.assignment.assignment import QUICK
    from mnistexp.commands.assignment.story import run_reproduce

    grids = (
        {"optimizer.name": ("adam",), "optimizer.learning_rate": (0.001, 0.01)},
        {"model.dropout": (0.0, 0.3)},
    )
    size = replace(QUICK, short=1, long=2, epochs=1, final_repeats=1, values=None)
    run_reproduce(tiny({"grid": grids, "folds": 2}), runs_dir, size)


def environment(
    package: Path | None = None, variables: Mapping[str, str] | None = None, **faults: Any
) -> dict[str, str]:
    """The variables of a program with faults; `package`: a folder with a copy of mnistexp to be used instead."""
    found = {key: value for key, value in os.environ.items() if not key.startswith("MNISTEXP")}
    paths = [*([str(package)] if package else []), *([str(INJECTED)] if faults else [])]
    if paths:
        found["PYTHONPATH"] = os.pathsep.join(paths)
    if faults:
        found["MNISTEXP_FAULTS"] = json.dumps(faults)
    return found | dict(variables or {})


def program(*arguments: str) -> list[str]:
    """The command line that starts mnistexp as a person does."""
    return [sys.executable, "-m", "mnistexp", *arguments]


def begin(command: Sequence[str], cwd: Path, stderr: int = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    """Start a command line of the program in a session of its own, with its outputs on pipes."""
    return subprocess.Popen(
        command, cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
    )


def run(*arguments: str, cwd: Path, package: Path | None = None, **faults: Any) -> Done:
    """Run the program to its end; what it says on both outputs is in one text."""
    began = time.monotonic()
    variables = faults.pop("variables", None)
    done = subprocess.run(
        program(*arguments),
        cwd=cwd,
        env=environment(package, variables, **faults),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode("utf-8", "replace"), time.monotonic() - began)


def wait_until(happened: Callable[[], bool], seconds: float = 120) -> None:
    """Return once something happened; fail where it doesn't in time."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def processes_of(session: int) -> set[int]:
    """The living processes of a session; zombies are none."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state not in "ZX":
            found.add(int(path.parent.name))
    return found
