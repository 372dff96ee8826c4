"""The commands that end the assignment: the best model, and everything reproduced."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistexp import settings
from mnistexp.cli import completion, console_best
from mnistexp.cli.options import (
    RUNS,
    ConfigOption,
    DataOption,
    DryRunOption,
    EpochsOption,
    ExecutorOption,
    JsonOption,
    NameOption,
    OptimizersOption,
    QuietOption,
    RepeatsOption,
    RunsOption,
    SchedulerOption,
    SeedOption,
    SelectOption,
    SetOption,
    VerboseOption,
    WorkersOption,
    examples,
    flag_layers,
    layers_for,
)
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput
from mnistexp.yaml_source import Source

if TYPE_CHECKING:
    from mnistexp.results import Outcome

__all__ = ["best", "reproduce"]

SweepsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sweep",
        metavar="RUN",
        help="Choose from this sweep only, not from all that match: an id, its beginning; repeatable.",
        autocompletion=completion.run_ids,
    ),
]
NestedOption = Annotated[
    bool, typer.Option("--nested", help="Repeat the whole selection without each fold, and score it there.")
]
UnseenOption = Annotated[
    bool, typer.Option("--unseen", help="Score the final model on 4,000 digits that nothing touched.")
]

BEST_EXAMPLES = examples(
    {
        "mnistexp best --dry-run": "which sweeps it would take, and which it would run first",
        "mnistexp best --unseen": "also score the final model on 4,000 digits that nothing touched",
        "mnistexp best --opt adam --opt nadam --select one-se --repeats 5": "the cheapest good setting, five seeds",
    }
)
REPRODUCE_EXAMPLES = examples(
    {
        "mnistexp reproduce --dry-run": "what there is to do, and how long it takes",
        "mnistexp reproduce --quick": "see that everything works, in a minute or two",
        "mnistexp reproduce": "the assignment",
    }
)


def best(
    config: ConfigOption = None,
    sets: SetOption = None,
    sweep: SweepsOption = None,
    opt: OptimizersOption = None,
    select: SelectOption = None,
    epochs: EpochsOption = None,
    repeats: RepeatsOption = None,
    seed: SeedOption = None,
    nested: NestedOption = False,
    unseen: UnseenOption = False,
    data: DataOption = None,
    executor: ExecutorOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    name: NameOption = None,
    runs_dir: RunsOption = RUNS,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Choose the best setting of all sweeps, train the final model, and say what its accuracy is worth."""
    voice = Voice(json, quiet, verbose)
    given = {
        "select": select, "epochs": epochs, "repeats": repeats, "seed": seed, "data": data, "executor": executor,
        "workers": workers, "scheduler": scheduler, "name": name,
    }  # fmt: skip
    layers = layers_for("best", config, sets)
    found = settings.resolve([*layers, *_optimizers(layers, opt or []), *flag_layers(given)])
    from mnistexp.best_model import story
    from mnistexp.best_model.plan import plan_best
    from mnistexp.cli.progress import watching

    references = sweep or []
    if dry_run:
        plan = plan_best(found.config, runs_dir, references, listed_only=bool(opt), with_nested=nested)
        voice.plan(found, console_best.best_plan_document(plan), *console_best.best_plan_report(plan))
        return
    with watching(voice.err, quiet=quiet) as watch:
        outcome = story.run_best(
            found.config,
            runs_dir,
            references,
            listed_only=bool(opt),
            with_nested=nested,
            unseen=unseen,
            watch=watch,
        )
    _write_report(outcome)
    voice.result(outcome.document(), *console_best.best_report(outcome))
    voice.end(outcome.metrics)


def reproduce(
    config: ConfigOption = None,
    sets: SetOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few epochs and rows only: shows that all works, compares nothing.")
    ] = False,
    all_rows: Annotated[
        bool,
        typer.Option("--all-rows", help="Repeat the notebook's fault on all its 93 rows; takes minutes more."),
    ] = False,
    seed: SeedOption = None,
    data: DataOption = None,
    executor: ExecutorOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    name: NameOption = None,
    runs_dir: RunsOption = RUNS,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Do the whole assignment, and set each figure that its notebook reported beside ours."""
    voice = Voice(json, quiet, verbose)
    given = {
        "seed": seed, "data": data, "executor": executor, "workers": workers, "scheduler": scheduler, "name": name,
    }  # fmt: skip
    if quick and all_rows:
        raise BadInput("--quick leaves rows out and --all-rows leaves none out: only one of the two can be given")
    packaged, *own = layers_for("best", config, sets)
    serial = [settings.flag("--quick", "sweep.executor", "serial")] if quick else []
    found = settings.resolve([packaged, *serial, *own, *flag_layers(given)])
    from mnistexp.cli.progress import watching
    from mnistexp.reproduction import story

    size = story.size_of(quick=quick, all_rows=all_rows)
    if dry_run:
        ahead = story.plan_reproduce(found.config, runs_dir, size)
        voice.plan(found, console_best.reproduce_plan_document(ahead), *console_best.reproduce_plan_report(ahead))
        return
    with watching(voice.err, quiet=quiet) as watch:
        outcome = story.run_reproduce(found.config, runs_dir, size, watch)
    _write_report(outcome)
    voice.result(outcome.document(), *console_best.reproduce_report(outcome))


def _write_report(outcome: "Outcome") -> None:
    """Put `report.html` into the run folder."""
    from mnistexp.report import reports
    from mnistexp.runs import stored_runs

    reports.write_report([stored_runs.load(outcome.run_dir)])


def _optimizers(layers: list[Source], opt: list[str]) -> list[Source]:
    """The grids of the optimizers that `--opt` names, in place of the configured ones; the dropout grid stays."""
    if not opt:
        return []
    from mnistexp.sweeps.space import default_grid

    configured = settings.resolve(layers).config.sweep
    others = [grid for grid in (configured.grids if configured else ()) if "model.dropout" in grid]
    grids: list[dict[str, Any]] = [
        {key: list(values) for key, values in grid.items()} for grid in (*default_grid(opt), *others)
    ]
    return [settings.flag("--opt", "sweep.grid", grids)]
