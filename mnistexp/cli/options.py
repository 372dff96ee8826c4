"""The options that commands share, and the settings that these make."""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from mnistexp import settings
from mnistexp.cli import completion
from mnistexp.errors import BadInput, ConfigError, Problem, show
from mnistexp.settings import Settings
from mnistexp.yaml_source import Source

ConfigOption = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="YAML file, or name of a packaged configuration; repeatable, the last one decides.",
        autocompletion=completion.config_files,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Set a key, such as `training.batch_size=16` or `batch_size=16`; repeatable.",
        autocompletion=completion.assignments,
    ),
]


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
    """`30d`, `12h`, `90m`, `45s` or `2w` in seconds. Raises `BadInput` for anything else."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", text)
    if not match or not math.isfinite(float(match[1])):
        raise BadInput(f"{text!r} is no age, allowed: a number and s, m, h, d or w, such as 30d")
    return float(match[1]) * SECONDS[match[2]]


def count_option(flag: str, explanation: str) -> Any:
    """An option that takes a whole number."""
    return typer.Option(*flag.split(), parser=whole, metavar="N", help=explanation)


def number_option(flag: str, explanation: str) -> Any:
    """An option that takes a number."""
    return typer.Option(*flag.split(), parser=number, metavar="X", help=explanation)


SeedOption = Annotated[int | None, count_option("--seed", "Root of every random draw.")]
EpochsOption = Annotated[int | None, count_option("--epochs", "How often the digits are gone through.")]
RepeatsOption = Annotated[
    int | None, count_option("--repeats", "Independent trainings, their seeds derived from --seed.")
]
OptimizerOption = Annotated[
    str | None,
    typer.Option(
        "--opt",
        metavar="NAME",
        parser=str.lower,
        help="Optimizer, with Keras' defaults.",
        autocompletion=completion.optimizers,
    ),
]
LearningRateOption = Annotated[float | None, number_option("--learning-rate --lr", "Learning rate of the optimizer.")]
BatchSizeOption = Annotated[int | None, count_option("--batch-size", "Batch size.")]
DropoutOption = Annotated[float | None, number_option("--dropout", "Dropout rate.")]
NameOption = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Short name of the run folder.")]
RunsOption = Annotated[
    Path,
    typer.Option("--runs-dir", metavar="DIR", envvar="MNISTEXP_RUNS_DIR", parser=folder, help="Where run folders go."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, the rest on stderr.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what came out.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more: settings, and tracebacks of bugs.")]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        help="embedded, openml, or a path: .npz, IDX, CSV, Parquet, .npy, folders of pictures.",
        autocompletion=completion.data_sources,
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the settings and the work ahead; do nothing.")]

ExecutorOption = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="KIND",
        help="serial, processes (the default) or dask.",
        autocompletion=completion.executors,
    ),
]
SelectOption = Annotated[
    str | None,
    typer.Option(
        "--select",
        metavar="RULE",
        help="best, one-se, or cheapest of those tied with best.",
        autocompletion=completion.rules,
    ),
]
WorkersOption = Annotated[int | None, count_option("--workers", "Fits at once; otherwise one per physical core.")]
SchedulerOption = Annotated[
    str | None, typer.Option("--scheduler", metavar="ADDRESS", help="A running Dask scheduler, tcp://host:8786.")
]

OptimizersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--opt",
        metavar="NAME",
        help="Optimizers, with commas between, each with its own grid; repeatable, or `all`.",
        autocompletion=completion.optimizers_or_all,
    ),
]
REFERENCES = "`latest`, `3` (the third newest), `1:5` (the newest five), ids or their beginnings, paths, names or tags."
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="`latest`, `3` (the third newest), an id or its beginning, a path, a name or a tag.",
        autocompletion=completion.run_ids,
    ),
]
RunsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="RUN", help=REFERENCES, autocompletion=completion.run_ids)
]
WhereOption = Annotated[
    str | None, typer.Option("--where", metavar="CONDITION", help="Runs that match, such as `test_accuracy>0.9`.")
]
RUNS = Path("runs")
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
}
"""The dotted key that each dedicated flag sets."""


def examples(explained: Mapping[str, str]) -> str:
    """The end of a command's help, in Markdown: command lines, each with what it does."""
    return "**Examples**\n\n" + "\n".join(f"- `{line}`: {what}" for line, what in explained.items()) + "\n"


def layers_for(command: str, config: list[str] | None, sets: list[str] | None) -> list[Source]:
    """The packaged configuration of a command, the files and `--set`. Raises `ConfigError` with the problems of all."""
    layers: list[Source] = [settings.read_file(command)]
    problems: list[Problem] = []
    for file in config or []:
        try:
            layers.append(settings.read_file(file))
        except ConfigError as error:
            problems.extend(error.problems)
    try:
        layers += settings.assignments(sets or [])
    except ConfigError as error:
        problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)
    return layers


def flag_layers(given: Mapping[str, Any]) -> list[Source]:
    """The dedicated flags that were given, by their names in Python; None is a flag that was not."""
    return [
        settings.flag(f"--{name.replace('_', '-')}", FLAGS[name], value)
        for name, value in given.items()
        if value is not None
    ]


def settings_for(command: str, config: list[str] | None, sets: list[str] | None, **flags: Any) -> Settings:
    """The packaged configuration of a command, then the files, `--set` and the flags given, strongest last."""
    return settings.resolve([*layers_for(command, config, sets), *flag_layers(flags)])
