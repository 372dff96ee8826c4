"""The options that commands share, and the settings that these make."""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from mnistexp.cli import completion
from mnistexp.config import settings
from mnistexp.config.settings import Settings
from mnistexp.config.yaml_source import Source
from mnistexp.errors import BadInput, ConfigError, Problem, show

PANELS = ("Training", "Data", "Search", "Selection", "Changes", "Execution", "Output")
"""Panels of options in the help of commands, in their order."""
TRAINING, DATA, SEARCH, RUN_SELECTION, CHANGES, EXECUTION, OUTPUT = PANELS


def option(panel: str, flags: str, explanation: str, **more: Any) -> Any:
    """An option in a panel of the help; `flags` are its names, with blanks between. `more` goes to `typer.Option`."""
    return typer.Option(*flags.split(), help=explanation, rich_help_panel=panel, **more)


def whole(text: str) -> int:
    """What follows an option as a whole number, such as 1000, 1_000 or 1e3. Raises `BadParameter` for anything else."""
    try:
        return int(text)
    except ValueError:
        with suppress(ValueError, OverflowError):
            if "e" in text.lower() and (value := float(text)).is_integer():
                return int(value)
        raise typer.BadParameter(f"{show(text)} is not a whole number") from None


def folder(text: str) -> Path:
    """What follows an option as the path of a folder. Raises `BadParameter` for nothing, which would be `.`."""
    if not text:
        raise typer.BadParameter("'' is not a folder; write . for the current one")
    return Path(text)


def a_file(path: Path | None) -> Path | None:
    """Where `--output` is to be written. Raises `BadInput` for a folder, as which `''` and `.` count."""
    from mnistexp.runs.files import is_folder

    if path is not None and is_folder(path):
        raise BadInput(f"--output {path} is a folder, allowed: the name of a file")
    return path


def number(text: str) -> float:
    """What follows an option, as a number. Raises `BadParameter`."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{show(text)} is not a number") from None


def age(text: str) -> float:
    """`30d`, `12h`, `90m`, `45s`, `2w` or `1h30m` in seconds. Raises `BadInput` for anything else."""
    if not re.fullmatch(f"(?:{SPAN})+", text):
        raise BadInput(f"{text!r} is no age, allowed: a number and s, m, h, d or w, such as 30d")
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(SPAN, text))


def time_limit(text: str) -> float:
    """What follows an option as a time in seconds: an `age`, or a number of seconds. Raises `BadParameter`."""
    try:
        seconds = float(text) if re.fullmatch(r"[\d.]+", text) else age(text)
    except (BadInput, ValueError):
        seconds = 0
    if not 0 < seconds < math.inf:
        raise typer.BadParameter(f"{show(text)} is no time limit, allowed: more than 0, such as 90s, 10m, 1h30m or 600")
    return seconds


def count_option(panel: str, flags: str, explanation: str, **more: Any) -> Any:
    """An option that takes a whole number."""
    return option(panel, flags, explanation, parser=whole, **{"metavar": "N", **more})


def number_option(panel: str, flags: str, explanation: str, **more: Any) -> Any:
    """An option that takes a number."""
    return option(panel, flags, explanation, parser=number, **{"metavar": "NUMBER", **more})


ConfigOption = Annotated[
    list[str] | None,
    option(
        TRAINING,
        "--config -c",
        "YAML file, packaged name or run; repeatable, last wins",
        metavar="FILE",
        autocompletion=completion.config_files,
    ),
]
SetOption = Annotated[
    list[str] | None,
    option(
        TRAINING,
        "--set -s",
        "Set any key, e.g. training.batch_size=16; repeatable",
        metavar="KEY=VAL",
        autocompletion=completion.assignments,
    ),
]
SeedOption = Annotated[int | None, count_option(TRAINING, "--seed", "Random seed")]
EpochsOption = Annotated[int | None, count_option(TRAINING, "--epochs", "Number of training epochs")]
RepeatsOption = Annotated[int | None, count_option(TRAINING, "--repeats", "Number of trainings, one seed each")]
OptimizerOption = Annotated[
    str | None,
    option(TRAINING, "--opt", "Optimizer", metavar="NAME", parser=str.lower, autocompletion=completion.optimizers),
]
LearningRateOption = Annotated[
    float | None, number_option(TRAINING, "--learning-rate --lr", "Learning rate", metavar="RATE")
]
BatchSizeOption = Annotated[int | None, count_option(TRAINING, "--batch-size", "Batch size")]
DropoutOption = Annotated[float | None, number_option(TRAINING, "--dropout", "Dropout rate", metavar="RATE")]
DataOption = Annotated[
    str | None,
    option(
        DATA,
        "--data",
        "Digits: embedded, openml, or a path",
        metavar="SOURCE",
        autocompletion=completion.data_sources,
    ),
]
TagOption = Annotated[list[str] | None, option(OUTPUT, "--tag", "Tag the run; repeatable", metavar="TAG")]
NoteOption = Annotated[str | None, option(OUTPUT, "--note", "Note on the run: one line of text", metavar="TEXT")]
NameOption = Annotated[str | None, option(OUTPUT, "--name", "Short name, added to the run's id", metavar="NAME")]
RunsOption = Annotated[
    Path,
    option(
        OUTPUT,
        "--runs-dir",
        "Folder that holds the runs; or set $MNISTEXP_RUNS_DIR",
        metavar="DIR",
        envvar="MNISTEXP_RUNS_DIR",
        show_envvar=False,
        parser=folder,
    ),
]
JsonOption = Annotated[bool, option(OUTPUT, "--json", "Print one JSON document; progress goes to standard error")]
QuietOption = Annotated[bool, option(OUTPUT, "--quiet -q", "Print only the result")]
VerboseOption = Annotated[bool, option(OUTPUT, "--verbose -v", "Print more: settings, and tracebacks of bugs")]
DryRunOption = Annotated[
    bool, option(EXECUTION, "--dry-run", "Show the settings and the work ahead without running anything")
]
ExecutorOption = Annotated[
    str | None,
    option(
        EXECUTION,
        "--executor",
        "Where fits run: serial, processes or dask",
        metavar="KIND",
        autocompletion=completion.executors,
    ),
]
WorkersOption = Annotated[
    int | None,
    count_option(EXECUTION, "--workers", "Number of fits to run in parallel", show_default="one per physical core"),
]
SchedulerOption = Annotated[
    str | None,
    option(
        EXECUTION,
        "--scheduler",
        "Running Dask scheduler, e.g. tcp://host:8786",
        metavar="ADDRESS",
        show_default="start a local one",
    ),
]
SelectOption = Annotated[
    str | None,
    option(
        SEARCH,
        "--select",
        "Selection rule: best, one-se or cheapest",
        metavar="RULE",
        autocompletion=completion.rules,
    ),
]
OptimizersOption = Annotated[
    list[str] | None,
    option(
        SEARCH,
        "--opt",
        "Optimizers to try, comma-separated, or all; repeatable",
        metavar="NAMES",
        autocompletion=completion.optimizers_or_all,
    ),
]
REFERENCES = "Runs: `latest`, `3` (third newest), `1:5` (newest five), an id or its beginning, a path, a name or a tag."
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Run: `latest`, `3` (third newest), an id or its beginning, a path, a name or a tag.",
        autocompletion=completion.run_ids,
    ),
]
RunsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="RUN", help=REFERENCES, autocompletion=completion.run_ids)
]
WhereOption = Annotated[
    str | None,
    option(
        RUN_SELECTION,
        "--where",
        "Select the runs that match, e.g. `command=train and test_accuracy>0.92`",
        metavar="CONDITION",
    ),
]
RUNS = Path("runs")
SPAN = r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
FLAGS = {
    "seed": "seed",
    "epochs": "training.epochs",
    "learning_rate": "optimizer.learning_rate",
    "batch_size": "training.batch_size",
    "dropout": "model.dropout",
    "validation_fraction": "training.validation_fraction",
    "repeats": "repeats",
    "name": "name",
    "opt": "optimizer.name",
    "data": "data.source",
    "folds": "sweep.folds",
    "shuffle_folds": "sweep.shuffle_folds",
    "stratified": "sweep.stratified",
    "select": "sweep.select",
    "as_submitted": "sweep.as_submitted",
    "executor": "sweep.executor",
    "workers": "sweep.workers",
    "scheduler": "sweep.scheduler",
    "cache": "sweep.cache",
    "fail_fast": "sweep.fail_fast",
    "max_time": "sweep.max_seconds",
}
"""The dotted key that each dedicated flag sets."""


def examples(explained: Mapping[str, str]) -> str:
    """The end of a command's help, in Markdown: command lines, each with what it does."""
    return "**Examples**\n\n" + "\n".join(f"- `{line}`: {what}" for line, what in explained.items()) + "\n"


def layers_for(
    command: str, config: list[str] | None, sets: list[str] | None, runs_dir: Path | None = None
) -> list[Source]:
    """The packaged configuration of a command, the files or runs and `--set`.

    `runs_dir`: where `--config` looks for runs; None for a command that takes only files. Raises `ConfigError` with the
    problems of all.
    """
    layers: list[Source] = [settings.read_file(command)]
    problems: list[Problem] = []
    for file in config or []:
        try:
            layers.append(settings.read_file(file if runs_dir is None else _of_run(file, runs_dir)))
        except ConfigError as error:
            problems.extend(error.problems)
    try:
        layers += settings.assignments(sets or [])
    except ConfigError as error:
        problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    return layers


def _of_run(reference: str, runs_dir: Path) -> str:
    """The settings of the run that `--config` names; a YAML file or a packaged name is returned unchanged."""
    path = Path(reference)
    if path.suffix in {".yaml", ".yml"} or path.is_file() or reference in settings.packaged_names():
        return reference
    from mnistexp.runs import references
    from mnistexp.runs.layout import CONFIG

    try:
        return str(references.one(runs_dir, reference).path / CONFIG)
    except BadInput:  # reading it as a file says what is allowed
        return reference


def flag_layers(given: Mapping[str, Any]) -> list[Source]:
    """The dedicated flags that were given, by their names in Python; None is a flag that was not."""
    return [
        settings.flag(f"--{name.replace('_', '-')}", FLAGS[name], value)
        for name, value in given.items()
        if value is not None
    ]


def settings_for(
    command: str, config: list[str] | None, sets: list[str] | None, runs_dir: Path | None = None, **flags: Any
) -> Settings:
    """The packaged configuration of a command, then the files or runs, `--set` and the flags given, strongest last."""
    return settings.resolve([*layers_for(command, config, sets, runs_dir), *flag_layers(flags)])
