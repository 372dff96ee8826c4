"""The commands `best` and `reproduce`, with which the assignment ends."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistexp.cli import console, console_report
from mnistexp.cli.call import Call
from mnistexp.cli.options import DATA, RUN, SEARCH, TRAINING, OptimizersOption, option
from mnistexp.cli.parsing import TRAIN, Commands
from mnistexp.cli.sweep_commands import not_set_too
from mnistexp.config import settings
from mnistexp.config.yaml_source import Source
from mnistexp.errors import BadInput, TrialsFailed

if TYPE_CHECKING:
    from mnistexp.runs.results import Outcome


commands = Commands()


@commands.add(
    "best",
    shares="config sets ... select epochs batch_size repeats seed data executor workers scheduler name tag note"
    " runs_dir dry_run json quiet verbose",
    panel=TRAIN,
)
def best(
    call: Call,
    sweep: Annotated[
        list[str] | None,
        option(SEARCH, "--sweep", "Choose only from this sweep; repeatable", **RUN, show_default="all matching sweeps"),
    ] = None,
    opt: OptimizersOption = None,
    nested: Annotated[
        bool, option(SEARCH, "--nested", "Estimate the accuracy by nested cross-validation as well")
    ] = False,
    predict: Annotated[
        bool, option(SEARCH, "--predict/--no-predict", "Predict the accuracy of the final model, by 20 further fits")
    ] = True,
    unseen: Annotated[bool, option(DATA, "--unseen", "Also evaluate the final model on 4,000 unseen digits")] = False,
) -> None:
    """Train the best setting of all sweeps and evaluate it.

    mnistexp best --dry-run  # list the sweeps it would use and run
    mnistexp best --unseen  # also evaluate on 4,000 unseen digits
    mnistexp best --opt adam --opt nadam --select one-se --repeats 5  # choose the cheapest good setting
    """
    layers = call.layers()
    config = settings.resolve([*layers, *_optimizers(layers, opt or []), *call.flag_layers()])
    from mnistexp.commands.best import story
    from mnistexp.commands.best.plan import plan_best

    asked: dict[str, Any] = {"listed_only": bool(opt), "with_nested": nested, "predict": predict}
    if call.dry_run:
        plan = plan_best(config.config, call.runs_dir, sweep or [], **asked)
        call.plan(config, plan.document, *console.plan_report(plan))
        return
    with call.working() as watch:
        outcome = story.run_best(config.config, call.runs_dir, sweep or [], unseen=unseen, watch=watch, **asked)
    _write_report(outcome)
    call.result(outcome.document(), *console_report.answer(outcome))
    call.end(outcome)
    if failed := outcome.metrics["failed"]:
        call.error(f"done, but a fit of a part failed: {', '.join(failed)}; see the warnings")
        raise typer.Exit(TrialsFailed.exit_code)


@commands.add(
    "reproduce",
    shares="config sets ... seed data executor workers scheduler name runs_dir dry_run json quiet verbose",
    panel=TRAIN,
)
def reproduce(
    call: Call,
    quick: Annotated[
        bool, option(TRAINING, "--quick", "Run a few epochs and rows as a smoke test; compare no trainings")
    ] = False,
    all_rows: Annotated[
        bool,
        option(TRAINING, "--all-rows", "Reproduce the notebook's bug on all 93 rows; takes minutes longer"),
    ] = False,
) -> None:
    """Run the whole assignment; compare with its notebook.

    mnistexp reproduce --dry-run  # list the steps and the time they take
    mnistexp reproduce --quick  # test everything in a minute or two
    mnistexp reproduce  # reproduce the assignment
    """
    if quick and all_rows:
        raise BadInput("--quick and --all-rows exclude each other: give only one")
    packaged, *own = call.layers("best")
    serial = [settings.flag("--quick", "sweep.executor", "serial")] if quick else []
    found = settings.resolve([packaged, *serial, *own, *call.flag_layers()])
    from mnistexp.commands.assignment import story
    from mnistexp.commands.assignment.plan import plan_reproduce

    size = story.size_of(quick=quick, all_rows=all_rows)
    if call.dry_run:
        plan = plan_reproduce(found.config, call.runs_dir, size)
        call.plan(found, plan.document, *console.plan_report(plan))
        return
    with call.working() as watch:
        outcome = story.run_reproduce(found.config, call.runs_dir, size, watch)
    _write_report(outcome)
    call.result(outcome.document(), *console_report.answer(outcome))


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

    found = settings.resolve(layers)
    not_set_too(found, "--opt")
    others = [grid for grid in found.config.search.grids if "model.dropout" in grid]
    return [settings.flag("--opt", "sweep.grid", [*default_grid(opt), *others])]
