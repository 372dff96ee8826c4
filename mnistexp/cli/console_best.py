"""The best model and the reproduced assignment as tables and sentences for a terminal. Nothing here prints."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from mnistexp.cli.console import plain_table
from mnistexp.config import shown
from mnistexp.config.shown import counted, duration

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from collections.abc import Sequence

    from mnistexp.commands.assignment.story import TaskAhead
    from mnistexp.commands.best.plan import BestPlan

__all__ = [
    "best_plan_document",
    "best_plan_report",
    "reproduce_plan_document",
    "reproduce_plan_report",
]

VERDICTS = {True: Text("yes", style="green"), False: Text("no", style="red"), None: Text("-")}


def best_plan_document(plan: "BestPlan") -> dict[str, Any]:
    """What `best --dry-run --json` adds to the settings."""
    return {
        "sweeps": [vars(sweep) for sweep in plan.sweeps],
        "left_aside": [vars(one) for one in plan.left_aside],
        "missing": [sweep.family for sweep in plan.missing],
        "fits": sum(sweep.fits for sweep in plan.missing),
        "fits_cached": sum(sweep.cached for sweep in plan.missing),
        "fits_to_run": sum(sweep.fits - sweep.cached for sweep in plan.missing),
        "confirming_fits": plan.confirming,
        "nested": vars(plan.nested) if plan.nested else None,
        "trainings": plan.repeats,
        "epochs": plan.epochs,
        "chosen": plan.chosen,
        "seconds": plan.total_seconds,
    }


def best_plan_report(plan: "BestPlan") -> Iterator[RenderableType]:
    """Which sweeps are there and which are not, the fits and trainings ahead, and how long they take."""
    table = plain_table("sweep", "run", "trials", "fits", "cached", "to run", "time")
    for sweep in (*plan.sweeps, *([plan.nested] if plan.nested else [])):
        if sweep.run is not None:
            table.add_row(sweep.family, sweep.run, str(sweep.trials), "", "", "0", "")
            continue
        counts = (sweep.trials, sweep.fits, sweep.cached, sweep.fits - sweep.cached)
        what = "missing" if sweep.family != "nested" else ""
        table.add_row(sweep.family, Text(what, style="yellow"), *map(str, counts), _seconds(sweep.seconds))
    yield table
    for one in plan.left_aside:
        yield Text(f"Not used      {one.run} ({one.why})", style="yellow")
    if plan.chosen:
        yield Text(f"Chosen        {shown.setting(plan.chosen)}")
    yield Text(f"Combination   at most {plan.confirming} fits to cross-validate it")
    many = f"{counted(plan.repeats, 'training')} of {counted(plan.epochs, 'epoch')}"
    yield Text(f"Final model   {many}, {_seconds(plan.seconds)}")
    why = " (no fit timed yet)" if plan.total_seconds is None else ""
    yield Text(f"Together      {_seconds(plan.total_seconds)}{why}")


def _seconds(seconds: float | None) -> str:
    return "time unknown" if seconds is None else f"about {duration(seconds)}"


def reproduce_plan_document(ahead: "Sequence[TaskAhead]") -> dict[str, Any]:
    """What `reproduce --dry-run --json` adds to the settings."""
    steps = [
        {
            "name": one.task.name,
            "part": one.task.part,
            "command": one.task.command,
            "run": one.run,
            "fits": one.fits,
            "fits_cached": one.cached,
            "epochs": one.epochs,
            "seconds": one.seconds,
        }
        for one in ahead
    ]
    return {
        "steps": steps,
        "fits": sum(one.fits for one in ahead),
        "fits_cached": sum(one.cached for one in ahead),
        "fits_to_run": sum(one.fits - one.cached for one in ahead),
        "seconds": _together(ahead),
    }


def reproduce_plan_report(ahead: "Sequence[TaskAhead]") -> Iterator[RenderableType]:
    """The tasks of the assignment: those that are done, and the fits and epochs of the others."""
    table = plain_table("step", "part", "command", "run", "fits", "cached", "epochs", "time")
    for one in ahead:
        if one.run is not None:
            table.add_row(one.task.name, one.task.part, one.task.command, one.run, "", "", "", "")
            continue
        counts = [str(count) if count else "" for count in (one.fits, one.cached, one.epochs)]
        table.add_row(one.task.name, one.task.part, one.task.command, "", *counts, _seconds(one.seconds))
    yield table
    fits, cached = sum(one.fits for one in ahead), sum(one.cached for one in ahead)
    why = " (no fit timed yet)" if _together(ahead) is None else ""
    yield Text(f"{fits} fits: {cached} cached, {fits - cached} to run; together {_seconds(_together(ahead))}{why}")


def _together(ahead: "Sequence[TaskAhead]") -> float | None:
    known = [one.seconds for one in ahead if one.seconds is not None]
    return sum(known) if len(known) == len(ahead) else None
