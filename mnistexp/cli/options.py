"""Options: what they take, and those that commands share, each declared once and named by the commands that have it."""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from mnistexp.cli import completion
from mnistexp.config.settings import packaged_names
from mnistexp.errors import BadInput, nearest, show

PANELS = ("Training", "Data", "Search", "Selection", "Changes", "Execution", "Output")
"""Panels of options in the help of commands, in their order."""
TRAINING, DATA, SEARCH, RUN_SELECTION, CHANGES, EXECUTION, OUTPUT = PANELS

RUNS = Path("runs")
SPAN = r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        with suppress(ValueError, OverflowError):
            if "e" in text.lower() and (value := float(text)).is_integer():
                return int(value)
        raise typer.BadParameter(f"{show(text)} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        share = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)
        instead = f"; write {float(share[1]) / 100:g}" if share else ""
        raise typer.BadParameter(f"{show(text)} is not a number{instead}") from None


def _age(text: str) -> float:
    if not re.fullmatch(f"(?:{SPAN})+", text):
        raise BadInput(f"{text!r} is not an age, allowed: a number and s, m, h, d or w, such as 30d")
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(SPAN, text))


def _time_limit(text: str) -> float:
    seconds = 0.0
    with suppress(BadInput, ValueError):
        seconds = float(text) if re.fullmatch(r"[\d.]+", text) else _age(text)
    if not 0 < seconds < math.inf:
        allowed = "allowed: more than 0, such as 90s, 10m, 1h30m or 600"
        raise typer.BadParameter(f"{show(text)} is not a time limit, {allowed}")
    return seconds


def _folder(text: str) -> Path:
    if not text:
        raise typer.BadParameter("'' is not a folder; write . for the current one")
    with suppress(OSError, ValueError):  # whoever uses it says why it can't be used
        if Path(text).is_file():
            raise typer.BadParameter(f"{show(text)} is a file, allowed: a folder")
    return Path(text)


def _file(path: Path | None) -> Path | None:
    from mnistexp.runs.files import is_folder

    if path is not None and is_folder(path):
        raise BadInput(f"--output {path} is a folder, allowed: the name of a file")
    return path


COUNT = {"metavar": "N", "parser": _whole}
"""What an option takes: a whole number, such as 1000, 1_000 or 1e3."""
NUMBER, RATE, SHARE = ({"metavar": name, "parser": _number} for name in ("NUMBER", "RATE", "SHARE"))
AGE = {"metavar": "AGE", "parser": _age}
"""An age such as `30d`, in seconds."""
TIME = {"metavar": "TIME", "parser": _time_limit, "show_default": "no limit"}
FOLDER: dict[str, Any] = {"metavar": "DIR", "parser": _folder}
FILE = {"metavar": "FILE", "callback": _file, "show_default": "standard output"}
RUN = {"metavar": "RUN", "autocompletion": completion.run_ids}
CONFIG: dict[str, Any] = {"metavar": "FILE", "autocompletion": packaged_names}
KEY: dict[str, Any] = {"metavar": "KEY=VAL", "autocompletion": completion.settings}


def option(panel: str, flags: str, explanation: str, **more: Any) -> Any:
    """An option in a panel of the help; `flags` are its names, with blanks between. `more` goes to `typer.Option`."""
    return typer.Option(*flags.split(), help=explanation, rich_help_panel=panel, **more)


def choice(panel: str, flags: str, explanation: str, choices: Sequence[str], **more: Any) -> Any:
    """An option that takes one of these words. Anything else raises `BadInput`."""

    def chosen(text: str) -> str:
        if text not in choices:
            allowed = f"allowed: {', '.join(choices)}{nearest(text, choices)}"
            raise BadInput(f"{flags.split()[0]} is {show(text)}, {allowed}")
        return text

    return option(panel, flags, explanation, parser=chosen, autocompletion=lambda: list(choices), **more)


def argument(metavar: str, explanation: str, completed: Any = None) -> Any:
    """An argument by the name that the help gives it; `completed` gives what a shell offers."""
    return typer.Argument(metavar=metavar, help=explanation, autocompletion=completed)


REFERENCES = "Runs: `latest`, `3` (third newest), `1:5` (newest five), an id or its beginning, a path, a name or a tag."
REFERENCE = "Run: `latest`, `3` (third newest), an id or its beginning, a path, a name or a tag."
MATCHING = "Select the runs that match, e.g. `command=train and test_accuracy>0.92`"
RunArgument = Annotated[str, argument("RUN", REFERENCE, completion.run_ids)]
RunsArgument = Annotated[list[str] | None, argument("RUN", REFERENCES, completion.run_ids)]
WhereOption = Annotated[str | None, option(RUN_SELECTION, "--where", MATCHING, metavar="CONDITION")]
OutputOption = Annotated[Path | None, option(OUTPUT, "--output -o", "File to write", **FILE)]
OptimizersOption = Annotated[
    list[str] | None,
    option(
        SEARCH,
        "--opt",
        "Optimizers to try, comma-separated, or all; repeatable",
        metavar="NAMES",
        autocompletion=lambda: [*completion.choices("optimizer.name"), "all"],
    ),
]


def _shared(panel: str, flags: str, explanation: str, key: str = "", kind: Any = bool, **more: Any) -> tuple[str, Any]:
    """A shared option and its type; `key`: the dotted key that it sets, whose choices a shell then offers."""
    if key:
        kind = str | None if "metavar" in more else bool | None
        more["autocompletion"] = lambda: completion.choices(key)
    return key, Annotated[kind, option(panel, flags, explanation, **more)]


TEXTS = list[str] | None
_SHARED: dict[str, tuple[str, Any]] = {
    "config": _shared(
        TRAINING, "--config -c", "YAML file, packaged name or run; repeatable, last wins", kind=TEXTS, **CONFIG
    ),
    "sets": _shared(TRAINING, "--set -s", "Set any key, e.g. training.batch_size=16; repeatable", kind=TEXTS, **KEY),
    "epochs": _shared(TRAINING, "--epochs", "Number of training epochs", "training.epochs", **COUNT),
    "opt": _shared(TRAINING, "--opt", "Optimizer", "optimizer.name", metavar="NAME", parser=str.lower),
    "seed": _shared(TRAINING, "--seed", "Random seed", "seed", **COUNT),
    "repeats": _shared(TRAINING, "--repeats", "Number of trainings, one seed each", "repeats", **COUNT),
    "learning_rate": _shared(TRAINING, "--learning-rate --lr", "Learning rate", "optimizer.learning_rate", **RATE),
    "batch_size": _shared(TRAINING, "--batch-size", "Batch size", "training.batch_size", **COUNT),
    "dropout": _shared(TRAINING, "--dropout", "Dropout rate", "model.dropout", **RATE),
    "validation_fraction": _shared(
        TRAINING, "--validation-fraction", "Share of digits held out", "training.validation_fraction", **SHARE
    ),
    "data": _shared(DATA, "--data", "Digits: embedded, openml, or a path", "data.source", metavar="SOURCE"),
    "folds": _shared(SEARCH, "--folds", "Number of cross-validation folds", "sweep.folds", **COUNT),
    "shuffle_folds": _shared(
        SEARCH, "--shuffle-folds/--no-shuffle-folds", "Shuffle the digits before splitting", "sweep.shuffle_folds"
    ),
    "stratified": _shared(SEARCH, "--stratified/--no-stratified", "Stratify the folds by class", "sweep.stratified"),
    "select": _shared(SEARCH, "--select", "Selection rule: best, one-se or cheapest", "sweep.select", metavar="RULE"),
    "as_submitted": _shared(
        SEARCH, "--as-submitted", "Reproduce the notebook's bug: trials differ only by seed", "sweep.as_submitted"
    ),
    "executor": _shared(
        EXECUTION, "--executor", "Where fits run: serial, processes or dask", "sweep.executor", metavar="KIND"
    ),
    "workers": _shared(
        EXECUTION,
        "--workers",
        "Number of fits to run in parallel",
        "sweep.workers",
        **COUNT,
        show_default="one per physical core",
    ),
    "scheduler": _shared(
        EXECUTION,
        "--scheduler",
        "Running Dask scheduler, e.g. tcp://host:8786",
        "sweep.scheduler",
        metavar="ADDRESS",
        show_default="start a local one",
    ),
    "cache": _shared(EXECUTION, "--cache/--no-cache", "Reuse cached fits", "sweep.cache"),
    "fail_fast": _shared(EXECUTION, "--fail-fast", "Stop at the first failed fit", "sweep.fail_fast"),
    "max_time": _shared(
        EXECUTION, "--max-time", "Start no fit after this time, e.g. 90s, 10m or 1h30m", "sweep.max_seconds", **TIME
    ),
    "name": _shared(OUTPUT, "--name", "Short name, added to the run's id", "name", metavar="NAME"),
    "tag": _shared(OUTPUT, "--tag", "Tag the run; repeatable", kind=TEXTS, metavar="TAG"),
    "note": _shared(OUTPUT, "--note", "Note on the run: one line of text", kind=str | None, metavar="TEXT"),
    "runs_dir": _shared(
        OUTPUT,
        "--runs-dir",
        "Folder that holds the runs; or set $MNISTEXP_RUNS_DIR",
        kind=Path,
        **FOLDER,
        envvar="MNISTEXP_RUNS_DIR",
        show_envvar=False,
    ),
    "dry_run": _shared(EXECUTION, "--dry-run", "Show the settings and the work ahead without running anything"),
    "json": _shared(OUTPUT, "--json", "Print one JSON document; progress goes to standard error"),
    "quiet": _shared(OUTPUT, "--quiet -q", "Print only the result"),
    "verbose": _shared(OUTPUT, "--verbose -v", "Print more: settings, and tracebacks of bugs"),
}
"""Every option that commands share by its name: the dotted key that it sets or "", and its type with the option."""
FLAGS = {name: key for name, (key, _) in _SHARED.items() if key}
"""The dotted key that each dedicated flag sets."""


def shared(name: str) -> Parameter:
    """A shared option as a parameter of a command."""
    annotation = _SHARED[name][1]
    default = {bool: False, Path: RUNS}.get(get_args(annotation)[0])
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
