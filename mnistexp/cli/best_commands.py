"""The commands that end the assignment: the best model, and everything reproduced."""

from typing import TYPE_CHECKING, Annotated, Any

from mnistexp.cli import completion, console_best, console_report
from mnistexp.cli.options import (
    DATA,
    RUNS,
    SEARCH,
    TRAINING,
    BatchSizeOption,
    ConfigOption,
    DataOption,
    DryRunOption,
    EpochsOption,
    ExecutorOption,
    JsonOption,
    NameOption,
    NoteOption,
    OptimizersOption,
    QuietOption,
    RepeatsOption,
    RunsOption,
    SchedulerOption,
    SeedOption,
    SelectOption,
    SetOption,
    TagOption,
    VerboseOption,
    WorkersOption,
    examples,
    flag_layers,
    layers_for,
    option,
)
from mnistexp.cli.voice import Voice
from mnistexp.config import settings
from mnistexp.config.yaml_source import Source
from mnistexp.errors import BadInput
from mnistexp.runs.layout import Kind

if TYPE_CHECKING:
    from mnistexp.runs.results import Outcome

__all__ = ["best", "reproduce"]

SweepsOption = Annotated[
    list[str] | None,
    option(
        SEARCH,
        "--sweep",
        "Choose only from this sweep; repeatable",
        metavar="RUN",
        show_default="all matching sweeps",
        autocompletion=completion.run_ids,
    ),
]
NestedOption = Annotated[bool, option(SEARCH, "--nested", "Estimate the accuracy by nested cross-validation as well")]
PredictOption = Annotated[
    bool, option(SEARCH, "--predict/--no-predict", "Predict the accuracy of the final model, by 20 further fits")
]
UnseenOption = Annotated[bool, option(DATA, "--unseen", "Also evaluate the final model on 4,000 unseen digits")]

BEST_EXAMPLES = examples(
    {
        "mnistexp best --dry-run": "list the sweeps it would use and run",
        "mnistexp best --unseen": "also evaluate on 4,000 unseen digits",
        "mnistexp best --opt adam --opt nadam --select one-se --repeats 5": "choose the cheapest good setting",
    }
)
REPRODUCE_EXAMPLES = examples(
    {
        "mnistexp reproduce --dry-run": "list the steps and the time they take",
        "mnistexp reproduce --quick": "test everything in a minute or two",
        "mnistexp reproduce": "reproduce the assignment",
    }
)


def best(
    config: ConfigOption = None,
    sets: SetOption = None,
    sweep: SweepsOption = None,
    opt: OptimizersOption = None,
    select: SelectOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    repeats: RepeatsOption = None,
    seed: SeedOption = None,
    nested: NestedOption = False,
    predict: PredictOption = True,
    unseen: UnseenOption = False,
    data: DataOption = None,
    executor: ExecutorOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    name: NameOption = None,
    tag: TagOption = None,
    note: NoteOption = None,
    runs_dir: RunsOption = RUNS,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train the best setting of all sweeps and evaluate it."""
    voice = Voice(json, quiet, verbose)
    from mnistexp.runs.annotations import checked, launched

    added = checked(tag or (), note or "")
    given = {
        "select": select, "epochs": epochs, "batch_size": batch_size, "repeats": repeats, "seed": seed,
        "data": data, "executor": executor, "workers": workers, "scheduler": scheduler, "name": name,
    }  # fmt: skip
    layers = layers_for("best", config, sets, runs_dir)
    found = settings.resolve([*layers, *_optimizers(layers, opt or []), *flag_layers(given)])
    from mnistexp.cli.progress import watching
    from mnistexp.commands.best import story
    from mnistexp.commands.best.plan import plan_best

    references = sweep or []
    if dry_run:
        plan = plan_best(found.config, runs_dir, references, listed_only=bool(opt), with_nested=nested)
        voice.plan(found, console_best.best_plan_document(plan), *console_best.best_plan_report(plan))
        return
    with watching(voice.err, quiet=quiet) as watch, launched(Kind.BEST, added):
        outcome = story.run_best(
            found.config,
            runs_dir,
            references,
            listed_only=bool(opt),
            with_nested=nested,
            predict=predict,
            unseen=unseen,
            watch=watch,
        )
    _write_report(outcome)
    voice.result(outcome.document(), *console_report.answer(outcome))
    voice.end(outcome)


def reproduce(
    config: ConfigOption = None,
    sets: SetOption = None,
    quick: Annotated[
        bool, option(TRAINING, "--quick", "Run a few epochs and rows as a smoke test; compare no trainings")
    ] = False,
    all_rows: Annotated[
        bool,
        option(TRAINING, "--all-rows", "Reproduce the notebook's bug on all 93 rows; takes minutes longer"),
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
    """Run the whole assignment; compare with its notebook."""
    voice = Voice(json, quiet, verbose)
    given = {
        "seed": seed, "data": data, "executor": executor, "workers": workers, "scheduler": scheduler, "name": name,
    }  # fmt: skip
    if quick and all_rows:
        raise BadInput("--quick and --all-rows exclude each other: give only one")
    packaged, *own = layers_for("best", config, sets)
    serial = [settings.flag("--quick", "sweep.executor", "serial")] if quick else []
    found = settings.resolve([packaged, *serial, *own, *flag_layers(given)])
    from mnistexp.cli.progress import watching
    from mnistexp.commands.assignment import story

    size = story.size_of(quick=quick, all_rows=all_rows)
    if dry_run:
        ahead = story.plan_reproduce(found.config, runs_dir, size)
        voice.plan(found, console_best.reproduce_plan_document(ahead), *console_best.reproduce_plan_report(ahead))
        return
    with watching(voice.err, quiet=quiet) as watch:
        outcome = story.run_reproduce(found.config, runs_dir, size, watch)
    _write_report(outcome)
    voice.result(outcome.document(), *console_report.answer(outcome))


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
