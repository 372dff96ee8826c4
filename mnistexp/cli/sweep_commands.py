"""The commands that sweep."""

from typing import Annotated, Any

import typer

from mnistexp import settings, yaml_source
from mnistexp.cli import completion, console
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
    count_option,
    examples,
    flag_layers,
    layers_for,
)
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput, ConfigError, Problem, TrialsFailed
from mnistexp.settings import Settings
from mnistexp.yaml_source import Source

__all__ = ["sweep"]

GridOption = Annotated[
    list[str] | None,
    typer.Option(
        "--grid",
        metavar="KEY=V1,V2",
        help="Try these values, all combined, and no others; repeatable.",
        autocompletion=completion.grids,
    ),
]
FoldsOption = Annotated[int | None, count_option("--folds", "Parts of the training digits, each held out once.")]
ShuffleFoldsOption = Annotated[
    bool | None, typer.Option("--shuffle-folds/--no-shuffle-folds", help="Shuffle before cutting the folds.")
]
StratifiedOption = Annotated[
    bool | None, typer.Option("--stratified/--no-stratified", help="Spread each class evenly over the folds.")
]
AsSubmittedOption = Annotated[
    bool | None, typer.Option("--as-submitted", help="Repeat the notebook's fault: rows differ by their seed only.")
]
CacheOption = Annotated[bool | None, typer.Option("--cache/--no-cache", help="Reuse fits that were done before.")]
FailFastOption = Annotated[bool | None, typer.Option("--fail-fast", help="Stop at the first fit that fails.")]

OPTIMIZER_EXAMPLES = examples(
    {
        "mnistexp sweep-optimizer --opt adam": "Adam's grid: 36 settings, 3 folds each",
        "mnistexp sweep-optimizer --opt all --dry-run": "how much work every optimizer's grid would be",
        "mnistexp sweep-optimizer --opt adam --grid learning_rate=0.003,0.01 --grid beta_1=0.5": "a grid of your own",
    }
)
DROPOUT_EXAMPLES = examples(
    {
        "mnistexp sweep-dropout": "five rates with the assignment's Adam",
        "mnistexp sweep-dropout --opt nadam --grid dropout=0,0.2,0.4 --repeats 3": "three rates, three seeds each",
    }
)


def sweep(
    context: typer.Context,
    config: ConfigOption = None,
    sets: SetOption = None,
    opt: OptimizersOption = None,
    grid: GridOption = None,
    epochs: EpochsOption = None,
    folds: FoldsOption = None,
    shuffle_folds: ShuffleFoldsOption = None,
    stratified: StratifiedOption = None,
    repeats: RepeatsOption = None,
    seed: SeedOption = None,
    select: SelectOption = None,
    as_submitted: AsSubmittedOption = None,
    data: DataOption = None,
    executor: ExecutorOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    cache: CacheOption = None,
    fail_fast: FailFastOption = None,
    name: NameOption = None,
    runs_dir: RunsOption = RUNS,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Search settings by cross-validation on the training digits; the test digits take no part."""
    command = str(context.info_name)
    voice = Voice(json, quiet, verbose)
    given = {
        "epochs": epochs, "folds": folds, "shuffle_folds": shuffle_folds, "stratified": stratified, "repeats": repeats,
        "seed": seed, "select": select, "as_submitted": as_submitted, "data": data, "executor": executor,
        "workers": workers, "scheduler": scheduler, "cache": cache, "fail_fast": fail_fast, "name": name,
    }  # fmt: skip
    layers = layers_for(command, config, sets)
    layers += [*_what_to_try(command, layers, opt or [], grid or []), *flag_layers(given)]
    found = settings.resolve(layers)
    if found.config.sweep is None:
        raise BadInput("the configuration has no sweep section, and without one there is nothing to try")
    if dry_run:
        _dry_run(found, runs_dir, voice)
        return
    from mnistexp import experiments
    from mnistexp.cli.progress import watching

    with watching(voice.err, quiet=quiet) as watch:
        outcome = experiments.run_sweep(found.config, command, runs_dir, watch)
    voice.result(outcome.document(), *console.sweep_report(outcome))
    if failed := outcome.metrics["fits_failed"]:
        voice.error(f"{failed} fits failed; their tracebacks are in {outcome.run_dir / 'trials'}")
        raise typer.Exit(TrialsFailed.exit_code)


def _what_to_try(command: str, layers: list[Source], opt: list[str], grid: list[str]) -> list[Source]:
    """The grid that `--opt` and `--grid` ask for, as a layer; none where neither is given.

    A `--grid` stands alone, for each optimizer named. Without it `sweep-optimizer` takes each optimizer's own grid, and
    any other sweep its configured grid for each of them.
    """
    if not opt and not grid:
        return []
    from mnistexp.sweeps.space import default_grid

    optimizers = [str(own["optimizer.name"][0]) for own in default_grid(opt)] if opt else []
    grids: list[dict[str, Any]]
    if grid:
        grids = [_grid_of(grid)]
    elif command == "sweep-optimizer":
        return [settings.flag("--opt", "sweep.grid", [_listed(own) for own in default_grid(opt)])]
    else:
        configured = settings.resolve(layers).config.sweep
        grids = [_listed(one) for one in configured.grids] if configured else [{}]
    named = [{"optimizer.name": [name]} | one for name in optimizers for one in grids] or grids
    base = [settings.flag("--opt", "optimizer.name", optimizers[0])] if len(optimizers) == 1 else []
    return [*base, settings.flag("--grid" if grid else "--opt", "sweep.grid", named)]


def _listed(grid: Any) -> dict[str, Any]:
    return {key: list(values) for key, values in grid.items()}


def _grid_of(texts: list[str]) -> dict[str, Any]:
    """`KEY=V1,V2` as values to try. Raises `ConfigError` with every one that can't be read."""
    from mnistexp.sweeps.space import full_key

    found: dict[str, Any] = {}
    problems = []
    for text in texts:
        key, equals, values = text.partition("=")
        try:
            if not equals or not values.strip():
                raise BadInput(f"{text!r} is no list of values, allowed: key=value,value")
            key = full_key(key.strip())
            if key in found:
                raise BadInput(f"{key} is given twice, allowed: once, with all its values")
            found[key] = yaml_source.parse_value(f"[{values}]", f"--grid {key}")
        except BadInput as error:
            problems.append(Problem("--grid", "", str(error).removeprefix("--grid: ")))
    if problems:
        raise ConfigError(problems)
    return found


def _dry_run(found: Settings, runs_dir: Any, voice: Voice) -> None:
    from mnistexp import data
    from mnistexp.sweeps.plan import plan_sweep
    from mnistexp.sweeps.trial_cache import cache_of

    dataset = data.Dataset.load(found.config)
    cache = cache_of(dataset.config, runs_dir)
    plan = plan_sweep(dataset.config, dataset.digits, dataset.split, cache)
    document = {
        "trials": len(plan.trials),
        "fits": plan.fits,
        "fits_cached": plan.cached,
        "fits_to_run": plan.to_run,
        "seconds": plan.seconds,
    }
    voice.plan(found, document, *console.sweep_plan_report(plan))
