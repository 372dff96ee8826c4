"""mnistexp called as a command: in this process, where one of its own would make no difference, or in a fork.

A fork is a process that doesn't wait for libraries to load: its parent has them. `forked("train", ...)` is a command
line for `subprocess`; what it starts has its own arguments, folder, variables, input and outputs. Signals don't reach
it: where these matter, `program` starts it as a person does. With the variable `MNISTEXP_COPY` it takes the package
from that folder, where the test has changed a copy.
"""

import atexit
import fcntl
import io
import os
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

# Started for each command: it imports nothing that takes time.
CLIENT = """#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(asked)
    code = int(server.recv(16) or 1)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""
LOADED = (
    "mnistexp.cli.app",
    "mnistexp.commands.sweep",
    "mnistexp.commands.train",
    "mnistexp.commands.assignment.story",
    "mnistexp.report",
    "PIL.Image",
)


def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Call the command line in this process: its exit code, and what it said on both outputs."""
    import pytest

    from mnistexp.cli import app
    from mnistexp.runs import standard_error

    out, errors, words = io.StringIO(), io.StringIO(), [str(argument) for argument in arguments]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.chdir(cwd)
        patch.setattr("sys.argv", ["mnistexp", *words])
        patch.setattr("sys.stdin", io.StringIO())
        patch.setattr("signal.signal", lambda *_: None)
        patch.delenv("MNISTEXP_RUNS_DIR", raising=False)
        with pytest.raises(SystemExit) as stopped:
            app.main()
        standard_error.give_back()
    return subprocess.CompletedProcess(words, int(str(stopped.value.code)), out.getvalue(), errors.getvalue())


def answer(*arguments: object) -> tuple[int, str, str]:
    """`call` in the folder where we are: exit code, output and errors."""
    done = call(*arguments, cwd=Path.cwd())
    return done.returncode, done.stdout, done.stderr


def program(*arguments: object) -> list[str]:
    """The command line that starts mnistexp as a person does."""
    return [sys.executable, "-m", "mnistexp", *map(str, arguments)]


def forked(*arguments: object) -> list[str]:
    """The command line of a mnistexp whose libraries are loaded."""
    return [str(forks() / "mnistexp"), *map(str, arguments)]


def on_terminal(command: list[str], width: int, variables: Mapping[str, str]) -> tuple[int, bytes]:
    """The exit code of a command, and all that it writes to a terminal of this width, escapes included."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (50, width))
    parts = []
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables) as process:
        os.close(theirs)
        with suppress(OSError):  # Linux' way to say that the other end is closed
            while part := os.read(ours, 2**16):
                parts.append(part)
    os.close(ours)
    return process.returncode, b"".join(parts)


def untouched() -> dict[str, str]:
    """The variables of this process without those that make TensorFlow quieter and faster in tests."""
    ours = ("COMPILED", "TF_XLA_FLAGS", "TF_CPP_MIN_LOG_LEVEL")
    return {name: value for name, value in os.environ.items() if name not in ours}


def share_graphs() -> None:
    """Keep the graphs of this process and its forks where the test run's compiled kernels are.

    As mnistexp does itself, but not where TensorFlow was given a folder for kernels.
    """
    from mnistexp.runs import files
    from mnistexp.training import kernels

    own_beside, own_leave_beside = kernels.beside, kernels.leave_beside

    def folder_for(name: str) -> str | None:
        return os.environ.get("COMPILED") if name.startswith("graph_") else None

    def beside(name: str) -> bytes | None:
        if (folder := folder_for(name)) is None:
            return own_beside(name)
        with suppress(OSError):
            return Path(folder, name).read_bytes()
        return None

    def leave_beside(name: str, content: bytes) -> None:
        if (folder := folder_for(name)) is None:
            own_leave_beside(name, content)
        else:
            files.write_bytes(Path(folder, name), content)

    kernels.beside, kernels.leave_beside = beside, leave_beside


def is_alive(process: int) -> bool:
    """Whether a process is there and not merely waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@cache
def forks() -> Path:
    """A folder for the PATH, with a program `mnistexp` in it that is forked; one for all processes of a test run."""
    folder = Path(os.environ["FORKS"])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "mnistexp").exists():
            _start(folder)
    return folder


def _start(folder: Path) -> None:
    """Start what forks, for as long as the test run lasts, and write the program that asks it to."""
    client, address = folder / "mnistexp", str(folder / "socket")
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        command = [sys.executable, __file__, str(listener.fileno()), str(run)]
        server = subprocess.Popen(command, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL)
    atexit.register(server.poll)  # which keeps it until then: Python complains of one that runs and is forgotten
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)


def _serve(listener: socket.socket, run: int) -> None:
    """Answer for as long as the process of the test run lives; returns in a fork, which has become a command."""
    import signal
    from importlib import import_module

    from mnistexp.training.runtime import import_tensorflow

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in LOADED:
        import_module(name)
    import_tensorflow()
    import_module("keras")  # which leaves TensorFlow unstarted too
    share_graphs()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener.settimeout(1)
    while is_alive(run):
        try:
            asking, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become(asking)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return
        asking.close()
    os._exit(0)


def _become(asking: socket.socket) -> None:
    """Take on what a command is started with, as a child of a process that stays to say how it ended."""
    import json

    size, handles, _, _ = socket.recv_fds(asking, 4, 3)
    content = b""
    while len(content) < int.from_bytes(size, "big"):
        content += asking.recv(2**16)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        asking.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    asking.close()
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
        os.close(handle)
    arguments, cwd, variables = json.loads(content)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["mnistexp", *arguments]
    if copy := os.environ.pop("MNISTEXP_COPY", ""):
        for name in [name for name in sys.modules if name.partition(".")[0] == "mnistexp"]:
            del sys.modules[name]
        sys.path.insert(0, copy)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        setattr(sys, name, io.TextIOWrapper(io.FileIO(number, "w" if number else "r", closefd=False), "utf-8"))


def _leave(code: int) -> NoReturn:
    """End as Python does, but for taking TensorFlow apart piece by piece, which takes longer than most commands."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as inherited:
        _serve(inherited, int(sys.argv[2]))
    from mnistexp.cli.app import main

    try:
        main()
    except SystemExit as stop:
        _leave(int(str(stop.code)))
