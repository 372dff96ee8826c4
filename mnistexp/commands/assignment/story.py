"""`reproduce` step by step: run every task of the assignment, reuse finished ones, and compare the numbers."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnistexp.commands import examples
from mnistexp.commands.assignment.assignment import BEST, FULL, QUICK, TITLES, Size, Task, assignment, tasks_of
from mnistexp.commands.assignment.comparison_row import ComparisonRow, shown_only
from mnistexp.commands.assignment.figures import of_reproduction
from mnistexp.commands.assignment.table import table_of
from mnistexp.commands.best.story import STOPPED, run_best, unseen_digits
from mnistexp.commands.job import add_figures, continued_run, run_job, unwatched
from mnistexp.commands.sweep import run_sweep
from mnistexp.commands.train import begin_trainings, resume_training, run_training
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset
from mnistexp.errors import Interrupted, TrialsFailed
from mnistexp.runs import files
from mnistexp.runs.layout import METRICS, PLAN, Kind
from mnistexp.runs.results import Event, Outcome, Step, Watch
from mnistexp.runs.run_folder import Run
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.sweeps import reuse
from mnistexp.sweeps.executors.processes import workers_kept

LABEL = {
    False: "The assignment reproduced, as submitted and as intended.",
    True: "QUICK RUN: a few epochs and rows, to check that everything works. Trainings are not compared.",
}
UNTRAINED = "data"
"""The part whose numbers don't depend on training: they are compared in a quick run too."""
NOT_COMPARED = "not compared: a quick run trains too few epochs and rows"


def size_of(*, quick: bool, all_rows: bool) -> Size:
    """The size of a reproduction. With `all_rows` the sweeps as submitted have as many rows as the notebook's."""
    if quick:
        return QUICK
    return replace(FULL, keys=None) if all_rows else FULL


def run_reproduce(config: ExperimentConfig, runs_dir: Path, size: Size = FULL, watch: Watch = unwatched) -> Outcome:
    """Run the whole assignment, each task in its own run folder, and compare every reported number with ours.

    `config` is that of `best`. A finished task in `runs_dir` with the same settings, digits and code is reused, and
    unfinished ones continue: sweeps from the cache, trainings from their checkpoints. So the same call continues after
    any interruption.

    `metrics.json`: `quick` and `label`; `table`, a row for each reported number (`part`, `what`, `reported`, `ours`,
    `interval`, `agrees`: true, false or null if not comparable, `how`, `fault`, `run`); `agreements` (counts of `yes`,
    `no`, `not_comparable`); `steps` (`name`, `part`, `command`, `run`, `reused`, `seconds`); `sentences`; `warnings`;
    `seconds`. `table.csv` has the same table.

    Raises `BadInput`, `DataError` and `RunError` before anything is written; later `TrialsFailed` and `Interrupted`.
    """
    began = time.perf_counter()
    dataset = Dataset.load(config)
    tasks, cut = tasks_of(dataset.config, size), assignment(dataset.config, size)
    dataset = dataset.under(cut)
    unseen_digits(dataset.digits)
    plan = {"tasks": [vars(task) | {"config": task.config.model_dump(mode="json")} for task in tasks]}
    name = "quick" if size.quick else "assignment"
    continued = continued_run(runs_dir, Kind.REPRODUCE, dataset, name, PLAN, plan)
    with run_job(continued, STOPPED) as run, workers_kept():
        run.add(PLAN, plan)
        done, steps = _do_all(tasks, runs_dir, dataset, run, watch)
        rows = table_of(done, dataset.digits)
        if size.quick:
            rows = [row if row.part == UNTRAINED else shown_only(row, NOT_COMPARED) for row in rows]
        document = _document(cut, size, rows, steps, time.perf_counter() - began)
        run.add("table.csv", _csv(rows))
        add_figures(run, of_reproduction(done))
        run.add(METRICS, document)
    return Outcome(run.path, document)


def _do_all(
    tasks: Sequence[Task], runs_dir: Path, dataset: Dataset, run: Run, watch: Watch
) -> tuple[dict[tuple[str, str], Outcome], list[dict[str, Any]]]:
    """The outcome of each task by part and name, and what `metrics.json` says of its step."""
    done: dict[tuple[str, str], Outcome] = {}
    steps: list[dict[str, Any]] = []
    waiting = [task for task in tasks if task.command == Kind.TRAIN]
    for number, task in enumerate(tasks, start=1):
        watch(Step(number, len(tasks), f"{TITLES.get(task.name, task.name)} ({task.part})"))
        started = time.perf_counter()
        try:
            with run.steps():
                if task in waiting:  # the first: all of them beside each other, then each by itself to its end
                    new = [one.config for one in waiting if _finished(one, runs_dir, dataset) is None]
                    begin_trainings(new, runs_dir, dataset.config.search, _without_steps(watch))
                    waiting = []
                outcome, reused = _do(task, runs_dir, dataset, done, watch)
        except Interrupted:  # the task says how to continue it alone
            raise Interrupted(STOPPED) from None
        done[task.part, task.name] = outcome
        about = {"name": task.name, "part": task.part, "command": task.command, "run": outcome.run_dir.name}
        steps.append(about | {"reused": reused, "seconds": round(time.perf_counter() - started, 3)})
        run.log(f"{task.part}, {task.name}: {outcome.run_dir.name}{' (reused)' if reused else ''}")
    return done, steps


def _finished(task: Task, runs_dir: Path, dataset: Dataset) -> StoredRun | None:
    return reuse.finished(runs_dir, task.command, dataset.under(task.config))


def _do(
    task: Task, runs_dir: Path, dataset: Dataset, done: dict[tuple[str, str], Outcome], watch: Watch
) -> tuple[Outcome, bool]:
    """The outcome of a task, and whether a finished run was reused."""
    info = _finished(task, runs_dir, dataset)
    sweeps = [one.run_dir.name for (part, name), one in done.items() if part == "as intended" and name != BEST]
    if info is not None:
        assert info.metrics is not None
        if task.command != Kind.BEST or _chose_from(info.metrics, sweeps):
            return Outcome(info.path, info.metrics), True
    return _run(task, runs_dir, dataset, sweeps, watch), False


def _chose_from(metrics: dict[str, Any], sweeps: Sequence[str]) -> bool:
    """Whether a finished `best` used exactly these sweeps and was scored on the unseen digits."""
    used = {sweep["run"] for sweep in metrics["choice"]["sweeps"]}
    return used == set(sweeps) and metrics["representative"]["unseen"] is not None


def _run(task: Task, runs_dir: Path, dataset: Dataset, sweeps: Sequence[str], watch: Watch) -> Outcome:
    if task.command == Kind.EXAMPLES:
        return examples.run_examples(task.config, runs_dir)
    if task.command == Kind.SUMMARY:
        return examples.run_summary(task.config, runs_dir)
    if task.command == Kind.BEST:
        outcome = run_best(task.config, runs_dir, sweeps, unseen=True, watch=_without_steps(watch))
        if outcome.metrics["failed"]:
            raise TrialsFailed(f"fits of {task.name} failed: see {outcome.run_dir}")
        return outcome
    if task.command == Kind.TRAIN:
        begun = reuse.unfinished(runs_dir, Kind.TRAIN, dataset.under(task.config))
        if begun is not None:
            return resume_training(begun, watch)
        return run_training(task.config, runs_dir, watch)
    outcome = run_sweep(task.config, task.command, runs_dir, watch)
    if outcome.metrics["fits_failed"]:
        raise TrialsFailed(f"{outcome.metrics['fits_failed']} fits of {task.name} failed: see {outcome.run_dir}")
    return outcome


def _without_steps(watch: Watch) -> Watch:
    """A watch that ignores the steps of a task, so that only the steps of `reproduce` are counted."""

    def told(event: Event) -> None:
        if not isinstance(event, Step):
            watch(event)

    return told


def _document(
    config: ExperimentConfig, size: Size, rows: Sequence[ComparisonRow], steps: Sequence[dict[str, Any]], seconds: float
) -> dict[str, Any]:
    counts = {name: sum(row.agrees is value for row in rows) for name, value in AGREES.items()}
    return {
        "command": Kind.REPRODUCE,
        "quick": size.quick,
        "label": LABEL[size.quick],
        "seed": config.seed,
        "table": [vars(row) for row in rows],
        "agreements": counts,
        "steps": list(steps),
        "sentences": [_sentence(counts, quick=size.quick)],
        "warnings": [LABEL[True]] if size.quick else [],
        "seconds": {"total": round(seconds, 3)},
    }


def _sentence(counts: dict[str, int], *, quick: bool) -> str:
    told = f"{counts['yes']} of {counts['yes'] + counts['no']}"
    if quick:
        return f"Data and network: {told} numbers agree. The other {counts['not_comparable']} are shown, not compared."
    return f"{told} comparable reported numbers agree with ours; {counts['not_comparable']} are not comparable."


AGREES = {"yes": True, "no": False, "not_comparable": None}


def _csv(rows: Sequence[ComparisonRow]) -> str:
    table: list[list[Any]] = [["part", "what", "reported", "ours", "low", "high", "agrees", "how", "fault", "run"]]
    for row in rows:
        ends = row.interval or ("", "")
        agrees = next(name for name, value in AGREES.items() if row.agrees is value)
        table.append([row.part, row.what, row.reported, row.ours, *ends, agrees, row.how, row.fault or "", row.run])
    return files.csv_text(table)
