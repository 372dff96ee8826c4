"""The plan of `reproduce`: finished tasks, and the fits and epochs of the others."""

from pathlib import Path

from mnistexp.commands.assignment.assignment import FULL, Size, Task, tasks_of
from mnistexp.commands.best.plan import plan_best
from mnistexp.commands.best.work import Work
from mnistexp.config.models import ExperimentConfig
from mnistexp.runs.layout import Kind, is_sweep
from mnistexp.sweeps import reuse
from mnistexp.sweeps.plan import Plan, Row, counts_document, together


def plan_reproduce(config: ExperimentConfig, runs_dir: Path, size: Size = FULL) -> Plan:
    """The plan of `run_reproduce`, made without training. Raises what it raises before it writes.

    `document`: `steps` (`name`, `part`, `command`, `run`, `fits`, `fits_cached`, `epochs`, `seconds`), and the counts.
    """
    work = Work(config, runs_dir)
    rows = tuple(_ahead(task, work) for task in tasks_of(work.config, size))
    steps = [
        {**row.what, "run": row.run, "fits": row.fits, "fits_cached": row.cached}
        | {"epochs": row.epochs, "seconds": row.seconds}
        for row in rows
    ]
    return Plan(rows, *together(rows), {"steps": steps, **counts_document(*together(rows))})


def _ahead(task: Task, work: Work) -> Row:
    what = {"name": task.name, "part": task.part, "command": task.command}
    if task.command == "best":
        plan = plan_best(task.config, work.runs_dir)
        epochs = task.config.repeats * task.config.training.epochs
        after = [row for row in plan.rows if not (row.run or "trials" in row.what)]  # its sweeps are steps of their own
        fits, cached, seconds = together(after)
        return Row(what, None, fits, cached, epochs, seconds)
    info = reuse.finished(work.runs_dir, task.command, work.dataset.under(task.config))
    if info is not None:
        return Row(what, info.id)
    if is_sweep(task.command):
        return work.plan(task.config).row(what)
    epochs = task.config.training.epochs * task.config.repeats if task.command == Kind.TRAIN else 0
    return Row(what, epochs=epochs, seconds=work.seconds(epochs) if epochs else 0.0)
