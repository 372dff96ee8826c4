"""The commands that sweep."""

from typing import Annotated, Any

import typer

from mnistexp.cli import completion, console, console_report
from mnistexp.cli.options import (
    EXECUTION,
    RUNS,
    SEARCH,
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
    count_option,
    examples,
    flag_layers,
    layers_for,
    option,
    time_limit,
)
from mnistexp.cli.voice import Voice
from mnistexp.config import settings, yaml_source
from mnistexp.config.settings import Settings
from mnistexp.config.yaml_source import Source
from mnistexp.errors import BadInput, ConfigError, Problem, TrialsFailed
from mnistexp.runs.layout import Kind

__all__ = ["sweep"]

GridOption = Annotated[
    list[str] | None,
    option(
        SEARCH,
        "--grid",
        "Values to try, in place of the configured grid; repeatable",
        metavar="KEY=V1,V2",
        autocompletion=completion.grids,
    ),
]
FoldsOption = Annotated[int | None, count_option(SEARCH, "--folds", "Number of cross-validation folds")]
ShuffleFoldsOption = Annotated[
    bool | None, option(SEARCH, "--shuffle-folds/--no-shuffle-folds", "Shuffle the digits before splitting")
]
StratifiedOption = Annotated[bool | None, option(SEARCH, "--stratified/--no-stratified", "Stratify the folds by class")]
AsSubmittedOption = Annotated[
    bool | None, option(SEARCH, "--as-submitted", "Reproduce the notebook's bug: trials differ only by seed")
]
CacheOption = Annotated[bool | None, option(EXECUTION, "--cache/--no-cache", "Reuse cached fits")]
MaxTimeOption = Annotated[
    float | None,
    option(
        EXECUTION,
        "--max-time",
        "Start no fit after this time, e.g. 90s, 10m or 1h30m",
        metavar="TIME",
        parser=time_limit,
        show_default="no limit",
    ),
]
FailFastOption = Annotated[bool | None, option(EXECUTION, "--fail-fast", "Stop at the first failed fit")]

OPTIMIZER_EXAMPLES = examples(
    {
        "mnistexp sweep-optimizer --opt adam": "search Adam's grid: 36 settings, 3 folds each",
        "mnistexp sweep-optimizer --opt all --dry-run": "count the fits for all optimizers",
        "mnistexp sweep-optimizer --opt adam --grid learning_rate=0.003,0.01 --grid beta_1=0.5": "search your own grid",
        "mnistexp sweep-optimizer --opt all --max-time 10m": "stop after 10 minutes; repeat it to continue",
    }
)
DROPOUT_EXAMPLES = examples(
    {
        "mnistexp sweep-dropout": "compare five dropout rates with the assignment's Adam",
        "mnistexp sweep-dropout --opt nadam --grid dropout=0,0.2,0.4 --repeats 3": "three rates, three seeds each",
    }
)


LISTS = "model.filters"
"""The key whose values are lists themselves."""


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
    max_time: MaxTimeOption = None,
    name: NameOption = None,
    tag: TagOption = None,
    note: NoteOption = None,
    runs_dir: RunsOption = RUNS,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Search settings by cross-validation on the training digits; the test digits are not used."""
    command = str(context.info_name)
    voice = Voice(json, quiet, verbose)
    from mnistexp.runs.annotations import checked, launched

    added = checked(tag or (), note or "")
    given = {
        "epochs": epochs, "folds": folds, "shuffle_folds": shuffle_folds, "stratified": stratified, "repeats": repeats,
        "seed": seed, "select": select, "as_submitted": as_submitted, "data": data, "executor": executor,
        "workers": workers, "scheduler": scheduler, "cache": cache, "fail_fast": fail_fast, "max_time": max_time,
        "name": name,
    }  # fmt: skip
    layers = layers_for(command, config, sets, runs_dir)
    layers += [*_what_to_try(command, layers, opt or [], grid or []), *flag_layers(given)]
    found = settings.resolve(layers)
    _check_sweep(command, found, grid)
    if dry_run:
        _dry_run(found, runs_dir, voice)
        return
    from mnistexp.cli.progress import watching
    from mnistexp.commands.sweep import run_sweep

    with watching(voice.err, quiet=quiet) as watch, launched(command, added):
        outcome = run_sweep(found.config, command, runs_dir, watch)
    voice.result(outcome.document(), *console_report.answer(outcome))
    if failed := outcome.metrics["fits_failed"]:
        voice.error(f"{failed} fits failed; their tracebacks are in {outcome.run_dir / 'trials'}")
        raise typer.Exit(TrialsFailed.exit_code)


def _check_sweep(command: str, found: Settings, grid: list[str] | None) -> None:
    """Raise `BadInput` where there is nothing to try, something else than asked for, or a setting is also fixed."""
    if found.config.sweep is None:
        raise BadInput("the configuration has no sweep section, so there is nothing to search: use --grid")
    sweep = found.config.sweep
    keys = list(dict.fromkeys([*(key for one in sweep.grids for key in one), *sweep.zip, *sweep.random]))
    own = {name: bool(swept & set(keys)) for name, swept in _subjects().items()}
    other = next((name for name, there in own.items() if there and name != command), None)
    if other and not own[command] and not grid:
        told = ", ".join(keys)
        raise BadInput(f"the configuration sweeps {told}: use mnistexp {other}, or name the values to try with --grid")
    for key in keys:
        origin = found.origins.get(key, "")
        if origin.startswith("--") and not origin.startswith("--opt"):
            raise BadInput(
                f"{origin}: {key} is swept, so it can't be fixed too; use --grid to choose the values to try"
            )


def _subjects() -> dict[str, set[str]]:
    """The settings that each command is for."""
    from mnistexp.config.problems import sweepable_keys

    optimizers = {key for key in sweepable_keys() if key.startswith("optimizer.")} - {"optimizer.name"}
    return {Kind.SWEEP_OPTIMIZER: optimizers, Kind.SWEEP_DROPOUT: {"model.dropout"}}


def _what_to_try(command: str, layers: list[Source], opt: list[str], grid: list[str]) -> list[Source]:
    """The grid that `--opt` and `--grid` ask for, as a layer; none where neither is given.

    A `--grid` stands alone, for each optimizer named. Without it `sweep-optimizer` takes each optimizer's own grid. Any
    other sweep, and one that draws or pairs its settings, has its configured grid for each of them.
    """
    if not opt and not grid:
        return []
    from mnistexp.sweeps.space import default_grid

    optimizers = [str(own["optimizer.name"][0]) for own in default_grid(opt)] if opt else []
    grids: list[dict[str, Any]]
    if grid:
        grids = [_grid_of(grid)]
    else:
        configured = settings.resolve(layers).config.sweep
        if command == Kind.SWEEP_OPTIMIZER and not (configured and (configured.zip or configured.random)):
            return [settings.flag("--opt", "sweep.grid", [_listed(own) for own in default_grid(opt)])]
        grids = [_listed(one) for one in configured.grids] if configured else [{}]
    named = [{"optimizer.name": [name]} | one for name in optimizers for one in grids] or grids
    base = [settings.flag("--opt", "optimizer.name", optimizers[0])] if len(optimizers) == 1 else []
    return [*base, settings.flag("--grid" if grid else "--opt", "sweep.grid", named)]


def _listed(grid: Any) -> dict[str, Any]:
    return {key: list(values) for key, values in grid.items()}


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
