"""What is going on, as a terminal shows it: a block for each running run, a table of ended ones, or plain lines."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mnistexp.cli.console import STATUS, plain_table, sparkline
from mnistexp.cli.printable import one_line
from mnistexp.config import shown

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.live.following import LiveRun, Snapshot
    from mnistexp.live.sweep_progress import SweepProgress
    from mnistexp.runs.progress import Progress


SPARK_WIDTH = 40
LATE_SECONDS = 15.0


def display(snapshot: "Snapshot") -> RenderableType:
    """All of it, for a terminal."""
    blocks = [block for run in snapshot.running for block in (*_block(run), Text())]
    if not blocks:
        blocks = [Text(f"Nothing is running in {one_line(str(snapshot.runs_dir))}.", style="dim"), Text()]
    return Group(*blocks, *([_ended(snapshot)] if snapshot.ended else []))


def line(run: "LiveRun") -> str:
    """One run in one line, for output that isn't a terminal; it changes with the run, not with the clock alone."""
    parts = [run.state, *_so_far(run), *_result(run)]
    return one_line(f"{run.id}: {', '.join(parts)}")


def _block(run: "LiveRun") -> Iterator[RenderableType]:
    yield Text.assemble((one_line(run.id), "bold"), "  ", (run.state, STATUS[run.state]), "  ", _beat(run))
    done, total = _done(run)
    row = Table.grid(padding=(0, 2))
    left = f"{shown.duration(run.seconds_left)} left" if run.seconds_left is not None else ""
    row.add_row(ProgressBar(total=total or 1, completed=done, width=SPARK_WIDTH), Text(left, style="cyan"))
    yield row
    yield Text(one_line(", ".join(_so_far(run)) or "starting"))
    for name, values in _curves(run):
        yield Text.assemble((f"{name:<20}", "dim"), sparkline(values, width=SPARK_WIDTH))


def _beat(run: "LiveRun") -> Text:
    if run.silent_seconds is None:
        return Text()
    said = f"heartbeat {shown.duration(run.silent_seconds)} ago"
    return Text(said, style="yellow" if run.silent_seconds > LATE_SECONDS else "dim")


def _done(run: "LiveRun") -> tuple[float, float | None]:
    if run.training:
        training = run.training
        return training.repeat * training.epochs + training.epoch, training.repeats * training.epochs
    return (run.sweep.done, run.sweep.total) if run.sweep else (0, None)


def _curves(run: "LiveRun") -> Iterator[tuple[str, Sequence[float]]]:
    if run.training:
        for name in ("loss", "val_loss", "val_accuracy"):
            values = [value for value in run.training.curves[name] if value is not None]
            if values:
                yield shown.name(name), values
    elif run.sweep and run.sweep.scores:
        yield "scores of trials", run.sweep.scores
        yield "best so far", list(accumulate(run.sweep.scores, max))


def _so_far(run: "LiveRun") -> Iterator[str]:
    if run.training:
        yield from _training(run.training)
    elif run.sweep and (run.sweep.done or run.sweep.total):
        yield from _sweep(run.sweep)


def _training(training: "Progress") -> Iterator[str]:
    if training.repeats > 1:
        yield f"training {training.repeat + 1}/{training.repeats}"
    yield f"epoch {training.epoch}/{training.epochs}"
    for name, values in training.curves.items():
        if values and values[-1] is not None:
            yield f"{shown.name(name)} {shown.number(name, values[-1])}"


def _sweep(sweep: "SweepProgress") -> Iterator[str]:
    yield f"fit {sweep.done}/{sweep.total or '?'}"
    if sweep.cached:
        yield f"{sweep.cached} cached"
    if sweep.failed:
        yield f"{sweep.failed} failed"
    if sweep.best is not None:
        setting = shown.settings(sweep.best_params or {}) or "as configured"
        yield f"best accuracy so far {shown.percent(sweep.best)} ({setting})"


def _result(run: "LiveRun") -> Iterator[str]:
    for key, number in (run.result or {}).items():
        yield f"{shown.name(key)} {shown.number(key, number)}"
    if run.info.error:
        yield run.info.error
    elif run.state == "dead":
        yield "its process is gone"


def _ended(snapshot: "Snapshot") -> Table:
    table = plain_table("ended", "run", "status", "result")
    table.title, table.title_justify, table.title_style = "Ended, most recent first", "left", "dim"
    for run in snapshot.ended:
        ago = shown.duration((snapshot.moment - run.ended).total_seconds()) if run.ended else ""
        outcome = one_line(", ".join((*_so_far(run), *_result(run))))
        table.add_row(f"{ago} ago", Text(one_line(run.id)), Text(run.state, style=STATUS[run.state]), Text(outcome))
    return table
