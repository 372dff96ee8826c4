"""The commands that look at runs: list, show, best, path."""

import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.text import Text

from mnistexp.cli import console_compare, console_report, console_runs
from mnistexp.cli.console import json_text
from mnistexp.cli.options import (
    RUN_SELECTION,
    RUNS,
    JsonOption,
    RunArgument,
    RunsArgument,
    RunsOption,
    WhereOption,
    count_option,
    examples,
    option,
)
from mnistexp.cli.parsing import Commands
from mnistexp.cli.printable import Printable
from mnistexp.cli.voice import WIDE, Voice
from mnistexp.errors import RunError

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.index import IndexedRun

__all__ = ["runs_app"]

runs_app = Commands(help="List, show, compare and manage runs.")

ON_A_SCREEN = 50
"""How many runs a list on a terminal has unless --limit says so: rich lays out a few thousand rows a second."""


@runs_app.command(
    "list",
    epilog=examples(
        {
            "mnistexp runs list": "list all runs, newest first",
            "mnistexp runs list --where 'command=train and started>-6h' --sort -test_accuracy": "recent, best first",
            "mnistexp runs list 1:5 --json": "print the newest five in full as JSON",
        }
    ),
)
def list_(
    runs: RunsArgument = None,
    where: WhereOption = None,
    sort: Annotated[
        str | None,
        option(RUN_SELECTION, "--sort", "Sort by keys, comma-separated; - for descending", metavar="KEYS"),
    ] = None,
    limit: Annotated[int | None, count_option(RUN_SELECTION, "--limit", "Maximum number of runs")] = None,
    group: Annotated[
        bool, option(RUN_SELECTION, "--group", "Group by all settings but the seed; show each group's mean")
    ] = False,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """List runs, newest first.

    Prints a table on a terminal, tab-separated lines on a pipe. Keys of --where and --sort become columns.
    """
    from mnistexp.runs import query, status

    found = query.select(runs_dir, runs or (), where=where, sort=sort, limit=limit)
    _say_if_none(found, runs_dir, where)
    if group and found:
        from mnistexp.runs import groups

        grouped = groups.group(found)
        Voice(json).result(console_compare.grouped_document(grouped), *console_compare.grouped_report(grouped))
        return
    if json:
        _print([json_text({"runs": [_document(run) for run in found]})])
        return
    usual = ("id", "status", "started", "seconds", "tag", "test_accuracy")
    keys = [key for key in query.keys_of(where, sort) if key not in usual]
    if not sys.stdout.isatty():
        _print(console_runs.lines(found, keys))
        return
    cut = found if limit or runs else found[:ON_A_SCREEN]
    _show([console_runs.table(cut, keys, status.now())] if found else [])
    if len(cut) < len(found):
        _show([Text(f"... and {len(found) - len(cut):,} more; show all with --limit {len(found)}")])


@runs_app.command(
    epilog=examples(
        {
            "mnistexp runs show": "show the newest run",
            "mnistexp runs show 2 --json": "print the second newest as JSON",
        }
    )
)
def show(
    run: RunArgument = "latest",
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Show settings, metrics, curves and files of a run."""
    from mnistexp.runs import references, stored_runs
    from mnistexp.runs.curves import read_curves

    found = references.one(runs_dir, run)
    notes = list(found.unread)
    names = stored_runs.file_names(found.path)
    try:
        curves = [curve.history for curve in read_curves(found.path)]
    except RunError as error:
        curves, notes = [], [*notes, str(error)]
    tested = [] if found.unread or "test_digits" not in found.metrics else [stored_runs.load(found.path)]
    if json:
        columns = [{name: getattr(curve, name) for name in console_runs.CURVES} for curve in curves]
        _print([json_text(_document(found) | {"unread": notes, "curves": columns, "files": names})])
    else:
        terminal = Console()
        width, unicode = terminal.width if terminal.is_terminal else None, "utf" in terminal.encoding
        told = [block for run in tested for block in console_report.classes_report(run, width, unicode=unicode)]
        _show([*console_runs.run_report(found, notes, curves, names), *told])


@runs_app.command(
    epilog=examples(
        {
            "mnistexp runs best": "print the run with the highest test accuracy",
            "mnistexp runs best --metric min_val_loss --where optimizer.name=adam": "lowest loss with Adam",
        }
    )
)
def best(
    metric: Annotated[str, option(RUN_SELECTION, "--metric", "Metric to compare", metavar="KEY")] = "test_accuracy",
    highest: Annotated[
        bool | None,
        option(RUN_SELECTION, "--max/--min", "Choose the highest or lowest value", show_default="by the metric"),
    ] = None,
    where: WhereOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Print the id of the best run."""
    from mnistexp.runs import query
    from mnistexp.runs.conditions import value_of

    found = query.select(runs_dir, where=where)
    if not found:
        raise RunError(query.none_found(runs_dir, where))
    run = query.best(found, metric, highest=highest)
    if json:
        _print([json_text({"metric": metric, "value": value_of(run, metric)} | _document(run))])
    else:
        _print([run.id], "surrogateescape")


@runs_app.command(
    epilog=examples(
        {
            "mnistexp runs path": "print the folder of the newest run",
            "mnistexp runs path --where tag=baseline": "print the folders of all that match",
        }
    )
)
def path(
    runs: RunsArgument = None, where: WhereOption = None, runs_dir: RunsOption = RUNS, json: JsonOption = False
) -> None:
    """Print the folders of runs, one per line.

    Without a selection: of the newest run.
    """
    from mnistexp.runs import query

    found = query.select(runs_dir, runs or (["latest"] if where is None else ()), where=where)
    _say_if_none(found, runs_dir, where)
    if json:
        _print([json_text({"paths": [str(run.path) for run in found]})])
    else:
        # The bytes of a folder's name as the system has them, be they UTF-8 or not.
        _print((str(run.path) for run in found), "surrogateescape")


def _say_if_none(found: "Sequence[IndexedRun]", runs_dir: Path, where: str | None) -> None:
    """Print on standard error why a list is empty; the exit code stays 0."""
    from mnistexp.runs.query import none_found

    if not found:
        print(f"mnistexp: {none_found(runs_dir, where)}", file=sys.stderr, flush=True)


def _document(run: "IndexedRun") -> dict[str, Any]:
    """A run as JSON; `run_dir` is its folder."""
    from mnistexp.runs.export import listed

    added = {"tags": run.tags, "note": run.note, "config": run.config, "metrics": run.metrics, "unread": run.unread}
    return listed(run) | {"part_of": run.info.part_of, "run_dir": str(run.path)} | added


def _show(renderables: Iterable[Any]) -> None:
    """Tables and text: as wide as a terminal is, or on a pipe as wide as they are."""
    if sys.stdout.isatty():
        terminal = Console(highlight=False)
        for renderable in renderables:
            terminal.print(Printable(renderable))
        return
    text = io.StringIO()
    out = Console(highlight=False, width=WIDE, file=text)
    for renderable in renderables:
        out.print(Printable(renderable))
    _print(line.rstrip() for line in text.getvalue().splitlines())


def _print(lines: Iterable[str], errors: str = "backslashreplace") -> None:
    """Lines to standard output. `errors`: what becomes of halves of surrogate pairs, which UTF-8 lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=errors)
    text = "\n".join(lines)
    if text:
        print(text, flush=True)
