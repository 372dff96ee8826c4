"""The commands that sweep."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnistexp.cli import completion, console, console_report
from mnistexp.cli.call import Call
from mnistexp.cli.options import SEARCH, OptimizersOption, option
from mnistexp.cli.parsing import TRAIN, Commands
from mnistexp.config import settings, yaml_source
from mnistexp.config.settings import Settings
from mnistexp.config.yaml_source import Source
from mnistexp.errors import BadInput, ConfigError, Problem, TrialsFailed
from mnistexp.runs.layout import Kind

if TYPE_CHECKING:  # it loads pydantic, which --help can do without
    from mnistexp.config.models import SweepConfig


commands = Commands()
SHARES = (
    "config sets ... epochs folds shuffle_folds stratified repeats seed select as_submitted data executor workers"
    " scheduler cache fail_fast max_time name tag note runs_dir dry_run json quiet verbose"
)
LISTS = "model.filters"
"""The key whose values are lists themselves."""


@commands.add(
    "sweep-dropout",
    shares=SHARES,
    panel=TRAIN,
    about="""Search dropout rates by cross-validation.

    mnistexp sweep-dropout  # compare five dropout rates with the assignment's Adam
    mnistexp sweep-dropout --opt nadam --grid dropout=0,0.2,0.4 --repeats 3  # three rates, three seeds each
    """,
)
@commands.add(
    "sweep-optimizer",
    shares=SHARES,
    panel=TRAIN,
    about="""Search optimizer settings by cross-validation.

    mnistexp sweep-optimizer --opt adam  # search Adam's grid: 36 settings, 3 folds each
    mnistexp sweep-optimizer --opt all --dry-run  # count the fits for all optimizers
    mnistexp sweep-optimizer --opt adam --grid learning_rate=0.003,0.01 --grid beta_1=0.5  # search your own grid
    mnistexp sweep-optimizer --opt all --max-time 10m  # stop after 10 minutes; repeat it to continue
    """,
)
def sweep(
    call: Call,
    opt: OptimizersOption = None,
    grid: Annotated[
        list[str] | None,
        option(
            SEARCH,
            "--grid",
            "Values to try, in place of the configured grid; repeatable",
            metavar="KEY=V1,V2",
            autocompletion=completion.swept,
        ),
    ] = None,
) -> None:
    """Search settings by cross-validation on the training digits; the test digits are not used."""
    layers = call.layers()
    layers += [*_what_to_try(call.command, layers, opt or [], grid or []), *call.flag_layers()]
    found = settings.resolve(layers)
    _check_sweep(call.command, found, grid)
    try:
        if call.dry_run:
            from mnistexp import data
            from mnistexp.sweeps.plan import plan_sweep
            from mnistexp.sweeps.trial_cache import cache_of

            known = data.Dataset.load(found.config)
            plan = plan_sweep(known, cache_of(known.config, call.runs_dir))
            call.plan(found, plan.document, *console.plan_report(plan))
            return
        from mnistexp.commands.sweep import run_sweep

        with call.working() as watch:
            outcome = run_sweep(found.config, call.command, call.runs_dir, watch)
    except ConfigError as error:
        raise found.placed(error) from None
    call.result(outcome.document(), *console_report.answer(outcome))
    if failed := outcome.metrics["fits_failed"]:
        call.error(f"{failed} fits failed; their tracebacks are in {outcome.run_dir / 'trials'}")
        raise typer.Exit(TrialsFailed.exit_code)


def _check_sweep(command: str, found: Settings, grid: list[str] | None) -> None:
    """Raise `BadInput` where there is nothing to try, something else than asked for, or a setting is also fixed."""
    if found.config.sweep is None:
        raise BadInput("the configuration has no sweep section, so there is nothing to search: use --grid")
    right = commands_for(found.config.sweep)
    if right and command not in right and not grid:
        told = ", ".join(found.config.sweep.keys)
        raise BadInput(
            f"the configuration sweeps {told}: use mnistexp {right[0]}, or name the values to try with --grid"
        )
    for key in found.config.sweep.keys:
        origin = found.origins.get(key, "")
        if origin.startswith("--") and not origin.startswith("--opt"):
            raise BadInput(
                f"{origin}: {key} is swept, so it can't be fixed too; use --grid to choose the values to try"
            )


def commands_for(sweep: "SweepConfig") -> list[Kind]:
    """The commands for the settings that a sweep tries."""
    of_optimizers = any(key.startswith("optimizer.") and key != "optimizer.name" for key in sweep.keys)
    return [Kind.SWEEP_OPTIMIZER] * of_optimizers + [Kind.SWEEP_DROPOUT] * ("model.dropout" in sweep.keys)


def _what_to_try(command: str, layers: list[Source], opt: list[str], grid: list[str]) -> list[Source]:
    """The grid that `--opt` and `--grid` ask for, as a layer; none where neither is given.

    A `--grid` stands alone, for each optimizer named. Without it `sweep-optimizer` takes each optimizer's own grid. Any
    other sweep, and one that draws or pairs its settings, has its configured grid for each of them.
    """
    if not opt and not grid:
        return []
    from mnistexp.sweeps.space import default_grid

    own_grids = default_grid(opt) if opt else ()
    optimizers = [str(own["optimizer.name"][0]) for own in own_grids]
    grids = [_grid_of(grid)] if grid else [{}]
    found = settings.resolve(layers)
    if grid:
        not_set_too(found, "--grid")
    elif configured := found.config.sweep:
        if command == Kind.SWEEP_OPTIMIZER and not (configured.zip or configured.random):
            not_set_too(found, "--opt")
            return [settings.flag("--opt", "sweep.grid", own_grids)]
        grids = [dict(grid) for grid in configured.grids]
    named = [{"optimizer.name": [name]} | one for name in optimizers for one in grids] or grids
    base = [settings.flag("--opt", "optimizer.name", optimizers[0])] if len(optimizers) == 1 else []
    return [*base, settings.flag("--grid" if grid else "--opt", "sweep.grid", named)]


def not_set_too(found: Settings, flag: str) -> None:
    """Raise `BadInput` if `--set` gives the grid that a flag would replace."""
    if (origin := found.origins.get("sweep.grid", "")).startswith("--set"):
        raise BadInput(f"{origin} and {flag} both choose the values to try, allowed: one of them")


def _grid_of(texts: list[str]) -> dict[str, Any]:
    """`KEY=V1,V2` as values to try. Raises `ConfigError` with every one that can't be read."""
    from mnistexp.sweeps.space import swept_key

    found: dict[str, Any] = {}
    problems = []
    for text in texts:
        key, equals, values = text.partition("=")
        try:
            if not equals or not values.strip():
                raise BadInput(f"{text!r} isn't a list of values, allowed: key=value,value")
            key = swept_key(key.strip())
            if key in found:
                raise BadInput(f"{key} is given twice, allowed: once, with all its values")
            listed = yaml_source.parse_value(f"[{values}]", f"--grid {key}")
            in_brackets = len(listed) == 1 and isinstance(listed[0], list) and key != LISTS
            found[key] = listed[0] if in_brackets else listed
        except BadInput as error:
            problems.append(Problem("--grid", "", str(error).removeprefix("--grid: ")))
    if problems:
        raise ConfigError(problems)
    return found
