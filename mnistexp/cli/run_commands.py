"""The commands that look at runs: list, show, best, path."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console

from mnistexp.cli import console_report, console_runs
from mnistexp.cli.call import Call
from mnistexp.cli.console import shows_unicode
from mnistexp.cli.options import COUNT, RUN_SELECTION, RunArgument, RunsArgument, WhereOption, option
from mnistexp.cli.parsing import Commands
from mnistexp.errors import RunError

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.stored_runs import StoredRun


commands = Commands()

ON_A_SCREEN = 50
"""How many runs a list on a terminal has unless --limit says so: rich lays out a few thousand rows a second."""


@commands.add("list")
def list_(
    call: Call,
    runs: RunsArgument = None,
    where: WhereOption = None,
    sort: Annotated[
        str | None,
        option(RUN_SELECTION, "--sort", "Sort by keys, comma-separated; - for descending", metavar="KEYS"),
    ] = None,
    limit: Annotated[int | None, option(RUN_SELECTION, "--limit", "Maximum number of runs", **COUNT)] = None,
    group: Annotated[
        bool, option(RUN_SELECTION, "--group", "Group by all settings but the seed; show each group's mean")
    ] = False,
) -> None:
    """List runs, newest first.

    Prints a table on a terminal, tab-separated lines on a pipe. Keys of --where and --sort become columns.

    mnistexp runs list  # list all runs, newest first
    mnistexp runs list --where 'command=train and started>-6h' --sort -test_accuracy  # recent, best first
    mnistexp runs list 1:5 --json  # print the newest five in full as JSON
    """
    from mnistexp.runs import query, status

    found = call.runs(runs, where, sort=sort, limit=limit)
    if not found:
        call.remark(query.none_found(call.runs_dir, where))
    if group and found:
        from mnistexp.runs import groups

        grouped = groups.group(found)
        call.result(console_runs.grouped_document(grouped), *console_runs.grouped_report(grouped))
        return
    if call.json:
        call.result({"runs": [_document(run) for run in found]})
        return
    usual = ("id", "status", "started", "seconds", "tag", "test_accuracy")
    keys = [key for key in query.keys_of(where, sort) if key not in usual]
    if not sys.stdout.isatty():
        call.write(*console_runs.lines(found, keys))
        return
    cut = found if limit or runs else found[:ON_A_SCREEN]
    if found:
        call.result({}, console_runs.table(cut, keys, status.now(), Console().width))
    if len(cut) < len(found):
        call.result({}, f"... and {len(found) - len(cut):,} more; show all with --limit {len(found)}")


@commands.add("show")
def show(call: Call, run: RunArgument = "latest") -> None:
    """Show settings, metrics, curves and files of a run.

    mnistexp runs show  # show the newest run
    mnistexp runs show 2 --json  # print the second newest as JSON
    """
    from mnistexp.runs import references

    found = references.one(call.runs_dir, run)
    notes = list(found.unread)
    names = found.files()
    try:
        curves = found.histories
    except RunError as error:
        curves, notes = (), [*notes, str(error)]
    columns = [{name: getattr(curve, name) for name in console_runs.CURVES} for curve in curves]
    document = _document(found) | {"unread": notes, "curves": columns, "files": names}
    tested = [] if found.unread or "test_digits" not in found.numbers else [found]
    width = Console().width if sys.stdout.isatty() else None
    told = [block for run in tested for block in console_report.classes_report(run, width, unicode=shows_unicode())]
    first = [] if found.unread else console_report.headline(found)
    call.result(document, *first, *console_runs.run_report(found, notes, curves, names), *told)


@commands.add("best")
def best(
    call: Call,
    metric: Annotated[str, option(RUN_SELECTION, "--metric", "Metric to compare", metavar="KEY")] = "test_accuracy",
    highest: Annotated[
        bool | None,
        option(RUN_SELECTION, "--max/--min", "Choose the highest or lowest value", show_default="by the metric"),
    ] = None,
    where: WhereOption = None,
) -> None:
    """Print the id of the best run.

    mnistexp runs best  # print the run with the highest test accuracy
    mnistexp runs best --metric min_val_loss --where optimizer.name=adam  # lowest loss with Adam
    """
    from mnistexp.runs import query
    from mnistexp.runs.conditions import value_of

    found = call.runs((), where, otherwise=RunError)
    run = query.best(found, metric, highest=highest)
    if call.json:
        call.result({"metric": metric, "value": value_of(run, metric)} | _document(run))
    else:
        call.write(run.id, errors="surrogateescape")


@commands.add("path")
def path(call: Call, runs: RunsArgument = None, where: WhereOption = None) -> None:
    """Print the folders of runs, one per line.

    Without a selection: of the newest run.

    mnistexp runs path  # print the folder of the newest run
    mnistexp runs path --where tag=baseline  # print the folders of all that match
    """
    from mnistexp.runs import query

    found = call.runs(runs or (["latest"] if where is None else ()), where)
    if not found:
        call.remark(query.none_found(call.runs_dir, where))
    paths = [str(run.path) for run in found]
    if call.json:
        call.result({"paths": paths})
    else:
        # The bytes of a folder's name as the system has them, be they UTF-8 or not.
        call.write(*paths, errors="surrogateescape")


def _document(run: "StoredRun") -> dict[str, Any]:
    """A run as JSON; `run_dir` is its folder."""
    from mnistexp.runs.export import listed
    from mnistexp.runs.summary import nested

    added = {
        "tags": run.tags,
        "note": run.note,
        "config": nested(run.settings),
        "metrics": run.numbers,
        "unread": run.unread,
    }
    return listed(run) | {"part_of": run.part_of, "run_dir": str(run.path)} | added
