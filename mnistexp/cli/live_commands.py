"""The commands that show running work: in the terminal, and in a browser."""

import json as json_library
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mnistexp.cli import completion, console_live
from mnistexp.cli.call import Call
from mnistexp.cli.options import COUNT, EXECUTION, NUMBER, OUTPUT, REFERENCES, argument, option
from mnistexp.cli.parsing import USE, Commands
from mnistexp.errors import BadInput, Interrupted

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.live.following import Follower, Snapshot


commands = Commands()
SECONDS, PORT = NUMBER | {"metavar": "SECONDS"}, COUNT | {"metavar": "PORT"}
Show = Callable[["Snapshot"], None]


@commands.add("watch", shares="runs_dir ...", panel=USE)
def watch(
    call: Call,
    runs: Annotated[
        list[str] | None, argument("RUN", f"{REFERENCES} *[default: all that are running]*", completion.run_ids)
    ] = None,
    once: Annotated[bool, option(EXECUTION, "--once", "Print the current state and exit")] = False,
    interval: Annotated[float, option(EXECUTION, "--interval", "Time between updates", **SECONDS)] = 1.0,
    json: Annotated[
        bool, option(OUTPUT, "--json", "Print JSON: one line per change, or one document with --once")
    ] = False,
) -> None:
    """Follow running trainings and sweeps in the terminal.

    Ends when all named runs have ended; without names, at Ctrl-C, with exit code 130. If the output is not a terminal,
    prints one plain line per change.

    mnistexp watch  # follow all running work until Ctrl-C
    mnistexp watch latest  # follow the newest run until it ends
    mnistexp watch --once --json  # print the current state as JSON
    """
    if not 0.1 <= interval <= 3600:
        raise BadInput(f"--interval is {interval:g}, allowed: 0.1 <= value <= 3600")
    from mnistexp.live.following import Follower

    follower = Follower(call.runs_dir, runs or ())
    if once:
        _once(replace(call, json=json), follower.look())
        return
    try:
        with _shown(json, bool(runs)) as show:
            _follow(follower, show, interval, until_ended=bool(runs))
    except KeyboardInterrupt:
        # The usual way to end it, so without an error.
        raise SystemExit(Interrupted.exit_code) from None


def _once(call: Call, snapshot: "Snapshot") -> None:
    if call.json or sys.stdout.isatty():
        call.result(snapshot.document(), console_live.display(snapshot))
        return
    runs = (*snapshot.running, *snapshot.ended)
    for text in map(console_live.line, runs) if runs else [f"No runs in {snapshot.runs_dir}."]:
        print(text, flush=True)


def _follow(follower: "Follower", show: Show, interval: float, *, until_ended: bool) -> None:
    while True:
        snapshot = follower.look()
        show(snapshot)
        if until_ended and not snapshot.running:
            return
        time.sleep(interval)


@contextmanager
def _shown(json: bool, named: bool) -> Iterator[Show]:
    """What shows a snapshot, or as much of it as is new."""
    from mnistexp.commands.progress import cursor_kept

    if json:
        yield _JsonLines()
    elif not sys.stdout.isatty():
        yield _Lines(named)
    else:
        console = Console(highlight=False)
        with (
            cursor_kept(console),
            Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live,
        ):
            yield lambda snapshot: live.update(console_live.display(snapshot), refresh=True)


class _Lines:
    """Prints a line for each run that has got further, or has ended since the first look; `named` ones in any case."""

    def __init__(self, named: bool) -> None:
        self._named = named
        self._said: dict[str, str] = {}
        self._began: datetime | None = None

    def __call__(self, snapshot: "Snapshot") -> None:
        self._began = self._began or snapshot.moment
        for run in (*snapshot.running, *snapshot.ended):
            is_news = self._named or run.ended is None or run.ended >= self._began or run.id in self._said
            text = console_live.line(run)
            if is_news and self._said.get(run.id) != text:
                print(text, flush=True)
                self._said[run.id] = text


class _JsonLines:
    """Prints a snapshot as one line of JSON where more has changed than the time."""

    def __init__(self) -> None:
        self._said: list[str] | None = None

    def __call__(self, snapshot: "Snapshot") -> None:
        from mnistexp.runs.files import plain

        lines = [console_live.line(run) for run in (*snapshot.running, *snapshot.ended)]
        if lines != self._said:
            print(json_library.dumps(plain(snapshot.document()), ensure_ascii=False), flush=True)
            self._said = lines


@commands.add("serve", panel=USE)
def serve(
    call: Call,
    port: Annotated[int, option(EXECUTION, "--port", "Port to listen on; 0 picks a free one", **PORT)] = 0,
    open_browser: Annotated[bool, option(EXECUTION, "--open", "Open the page in the browser")] = False,
) -> None:
    """Serve a live page of runs, curves and reports.

    Prints the address of the page on 127.0.0.1. It contains a secret token: only those who know it, on this machine,
    can see the page, and nobody can change anything. Ctrl-C ends the command with exit code 0.

    mnistexp serve  # serve the page until Ctrl-C
    mnistexp serve --port 8080 --open  # choose the port and open the browser
    """
    if not 0 <= port <= 65_535:
        raise BadInput(f"--port is {port}, allowed: 0 <= value <= 65535")
    try:
        from mnistexp.live.server import Server
    except ImportError:
        raise BadInput("serve needs Tornado: pip install 'mnistexp[serve]'") from None
    server = Server(call.runs_dir, port)

    def ready() -> None:
        call.result({"url": server.url, "port": server.port, "runs_dir": str(call.runs_dir)}, Text(server.url))
        call.err.print("Press Ctrl-C to stop.")
        if open_browser:
            webbrowser.open(server.url)

    try:
        server.run(ready)
    except KeyboardInterrupt:
        return
