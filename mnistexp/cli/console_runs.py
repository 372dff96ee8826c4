"""Lists of runs, one run, and what differs between several, for a terminal or a pipe. Nothing here prints."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mnistexp.cli.console import STATUS, cut, plain_table, sparkline, whole_columns
from mnistexp.cli.printable import one_line
from mnistexp.config import shown
from mnistexp.config.shown import counted, duration, percent
from mnistexp.runs.results import History
from mnistexp.runs.status import iso

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.comparison import Difference
    from mnistexp.runs.groups import Grouped
    from mnistexp.runs.stored_runs import StoredRun


ENDS = ("first", "last", "lowest", "highest")
CURVES = ("loss", "val_loss", "accuracy", "val_accuracy")
WITH_TIME = 100
"""Columns of the terminal from which a list also has the time that each run took."""


def lines(runs: "Sequence[StoredRun]", keys: Sequence[str]) -> Iterator[str]:
    """A line for each run, tabs between: id, status, start, seconds, score, each of the keys, tags, what to know."""
    for run in runs:
        cells = [_clean(run.id), run.status, _plain(run.started), _plain(run.seconds), _plain(run.score)]
        yield "\t".join([cell or "-" for cell in (*cells, *_added(run, keys, _plain))])


def table(runs: "Sequence[StoredRun]", keys: Sequence[str], now: datetime, width: int) -> Table:
    """The same as a table, with ages instead of starts; on a narrow terminal without the time that a run took."""
    timed = width >= WITH_TIME
    added = [_added(run, keys, _short) for run in runs]
    names = (*keys, "tags", "note")
    shown = [place for place, name in enumerate(names) if name in keys or any(row[place] for row in added)]
    found = plain_table("id", "status", "age", *["time"] * timed, "score", *(names[place] for place in shown))
    for run, row in zip(runs, added, strict=True):
        age = _age((now - run.started).total_seconds())
        took = [cut("" if run.seconds is None else _age(run.seconds))] * timed
        added_cells = (cut(row[place]) for place in shown)
        status = Text(run.status, style=STATUS[run.status])
        score = "" if run.score is None else percent(run.score)
        found.add_row(Text(_clean(run.id)), status, age, *took, score, *added_cells)
    return whole_columns(found, *["time"] * timed, *keys, "tags", "note")


def _age(seconds: float) -> str:
    """A time in its largest unit."""
    return " ".join(duration(seconds).split()[:2])


def _added(run: "StoredRun", keys: Sequence[str], show: Callable[[Any], str]) -> list[str]:
    """What a row ends with: the values of the keys asked for, tags, and what to know of the run."""
    from mnistexp.runs.conditions import MISSING, value_of

    values = [value_of(run, key) for key in keys]
    step = f"step of {run.part_of}" if run.part_of else ""
    what = run.unread[0] if run.unread else run.error or run.note or step
    return [*("" if value is MISSING else _clean(show(value)) for value in values), " ".join(run.tags), _clean(what)]


def run_report(
    run: "StoredRun", notes: Sequence[str], curves: "Sequence[History]", files: Sequence[str]
) -> Iterator[RenderableType]:
    """All that a run's folder says: what it was, settings, metrics, the curves (of repeats their mean), files."""
    about = {
        "run": run.id, "folder": str(run.path), "command": run.command, "status": run.status, "started": run.started,
        "time": "" if run.seconds is None else duration(run.seconds), "tags": " ".join(run.tags), "note": run.note,
        "step of": run.part_of, "error": run.error if run.status != "damaged" else "",
    }  # fmt: skip
    yield Text()
    yield _pairs({key: value for key, value in about.items() if value})
    for note in notes:
        yield Text(f"Note: {note}", style="yellow")
    for heading, values, show in (
        ("Settings", {key: value for key, value in run.settings.items() if value is not None}, _plain),
        ("Metrics", run.numbers, _short),
    ):
        if values:
            yield Text(f"\n{heading}", style="bold")
            yield _pairs(values, show)
    if curves:
        yield Text()
        yield _curves(curves)
    yield Text("\nFiles", style="bold")
    for name in files:
        yield Text(_clean(name))


def comparison_report(
    runs: "Sequence[StoredRun]", answers: Iterable[RenderableType], differences: "Sequence[Difference]"
) -> Iterator[RenderableType]:
    """Answers; what differs, a table for each part; and the loss of each run, of repeats the mean, on one scale."""
    numbers = [str(number) for number in range(1, len(runs) + 1)]
    yield _pairs({number: run.id for number, run in zip(numbers, runs, strict=True)})
    yield from answers
    if not differences:
        yield Text("\nNothing differs.")
    for part in dict.fromkeys(difference.part for difference in differences):
        found = plain_table(part, *numbers)
        for difference in differences:
            if difference.part == part:
                found.add_row(Text(difference.key), *map(cut, _told_apart(difference.values)))
        yield Text()
        yield whole_columns(found, *numbers)
    means = [(n, History.mean(run.histories)) for n, run in zip(numbers, runs, strict=True) if run.histories]
    curves = [(number, mean.val_loss or mean.loss) for number, mean in means]
    finite = [value for _, curve in curves for value in curve if isfinite(value)]
    if curves:
        found = plain_table("loss over the epochs", "", *ENDS)
        for number, curve in curves:
            found.add_row(number, *_curve(curve, (min(finite, default=0.0), max(finite, default=0.0))))
        yield Text()
        yield found


def _told_apart(values: Sequence[Any]) -> list[str]:
    """Values in short, or in full where that would make different ones look the same."""
    shown = [_short(value) for value in values]
    return shown if len(set(shown)) == len(set(values)) else [_plain(value) for value in values]


def _curves(histories: "Sequence[History]") -> Table:
    history = History.mean(histories)
    of = f", mean of {len(histories)} trainings" if len(histories) > 1 else ""
    found = plain_table(f"over {history.epochs} epochs{of}", "", *ENDS)
    for name in CURVES:
        if values := getattr(history, name):
            found.add_row(shown.name(name), *_curve(values))
    return found


def _curve(values: Sequence[float], bounds: tuple[float, float] | None = None) -> list[Text]:
    """A curve's picture, then its first, last, lowest and highest value that is a number."""
    finite = [value for value in values if isfinite(value)]
    ends = (finite[0], finite[-1], min(finite), max(finite)) if finite else ()
    return [Text(sparkline(values, bounds)), *(Text(_short(value)) for value in ends)]


def _clean(text: str) -> str:
    """Text that stays in its line and its column, and that a terminal shows as it is."""
    return one_line(text, "?")


def _plain(value: Any) -> str:
    """A value in full."""
    if isinstance(value, datetime):
        return iso(value, "seconds")
    return "" if value is None else shown.exact(value)


def _short(value: Any) -> str:
    """A value with four digits where it is a number with a fraction."""
    return f"{value:.4g}" if isinstance(value, float) else _plain(value)


def _pairs(values: Mapping[str, Any], show: Callable[[Any], str] = _plain) -> Table:
    """Names and values beside each other, without a heading."""
    found = plain_table("", "", rows=((key, _clean(show(item))) for key, item in values.items()))
    found.show_header = False
    return found


def grouped_document(found: "Grouped") -> dict[str, Any]:
    """Groups as JSON."""
    groups = [
        {
            "settings": group.settings,
            "runs": [run.id for run in group.runs],
            "seeds": [run.settings.get("seed") for run in group.runs],
            "values": group.values,
            "count": group.over_runs.n,
            "mean": group.over_runs.mean,
            "std": group.over_runs.std,
            "interval": [span.low, span.high] if (span := group.over_runs.interval) else None,
        }
        for group in found.groups
    ]
    return {"metric": found.metric, "groups": groups, "without_metric": found.without, "same_seed": found.again}


def grouped_report(found: "Grouped") -> Iterator[RenderableType]:
    """A row for each group: its settings, how many runs, mean, standard deviation, interval, the newest run."""
    table = plain_table("runs", f"mean {found.metric}", "std", "95% interval", "settings, and the newest run")
    as_told = partial(shown.number, found.metric)
    for group in found.groups:
        told = group.over_runs
        interval = " to ".join(map(as_told, told.interval.ends)) if told.interval else "-"
        std = "-" if told.std is None else as_told(told.std)
        own = {key: item for key, item in group.settings.items() if item not in (None, "None")}
        told_apart = {key: item for key, item in own.items() if not key.startswith("sweep.")}  # of `best`: its searches
        newest = Text(f"{shown.settings(told_apart) or 'all settings'}\n{group.runs[0].id}")
        table.add_row(str(told.n), as_told(told.mean), std, interval, newest)
    for column in table.columns[:-1]:
        column.min_width = len(str(column.header).split()[0])
    yield table
    if any(group.over_runs.interval is None for group in found.groups):
        yield Text("An interval needs three runs with different seeds.")
    if found.again:
        yield Text(f"Not counted: {counted(found.again, 'run')} with the settings and seed of a newer one.")
    if found.without:
        yield Text(f"Not counted: {counted(found.without, 'run')} without {found.metric}.")
