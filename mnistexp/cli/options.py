"""The options that commands share: each is declared once here, and named by the commands that have it."""

from collections.abc import Mapping
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from mnistexp.cli import completion
from mnistexp.cli.option_kinds import (
    DATA,
    EXECUTION,
    OUTPUT,
    RUN_SELECTION,
    SEARCH,
    TRAINING,
    count_option,
    folder,
    number_option,
    option,
    time_limit,
)  # fmt: skip
from mnistexp.errors import BadInput

RUNS = Path("runs")


def _file(path: Path | None) -> Path | None:
    from mnistexp.runs.files import is_folder

    if path is not None and is_folder(path):
        raise BadInput(f"--output {path} is a folder, allowed: the name of a file")
    return path


OutputOption = Annotated[
    Path | None,
    option(OUTPUT, "--output -o", "File to write", metavar="FILE", callback=_file, show_default="standard output"),
]
OptimizersOption = Annotated[
    list[str] | None,
    option(
        SEARCH,
        "--opt",
        "Optimizers to try, comma-separated, or all; repeatable",
        metavar="NAMES",
        autocompletion=lambda: [*completion.optimizers(), "all"],
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
WORDS, WORD, COUNT, NUMBER, SWITCH = list[str] | None, str | None, int | None, float | None, bool | None
SHARED: dict[str, Any] = {
    "config": Annotated[
        WORDS,
        option(
            TRAINING,
            "--config -c",
            "YAML file, packaged name or run; repeatable, last wins",
            metavar="FILE",
            autocompletion=completion.packaged,
        ),
    ],
    "sets": Annotated[
        WORDS,
        option(
            TRAINING,
            "--set -s",
            "Set any key, e.g. training.batch_size=16; repeatable",
            metavar="KEY=VAL",
            autocompletion=completion.settings,
        ),
    ],
    "epochs": Annotated[COUNT, count_option(TRAINING, "--epochs", "Number of training epochs")],
    "opt": Annotated[
        WORD,
        option(TRAINING, "--opt", "Optimizer", metavar="NAME", parser=str.lower, autocompletion=completion.optimizers),
    ],
    "seed": Annotated[COUNT, count_option(TRAINING, "--seed", "Random seed")],
    "repeats": Annotated[COUNT, count_option(TRAINING, "--repeats", "Number of trainings, one seed each")],
    "learning_rate": Annotated[
        NUMBER, number_option(TRAINING, "--learning-rate --lr", "Learning rate", metavar="RATE")
    ],
    "batch_size": Annotated[COUNT, count_option(TRAINING, "--batch-size", "Batch size")],
    "dropout": Annotated[NUMBER, number_option(TRAINING, "--dropout", "Dropout rate", metavar="RATE")],
    "validation_fraction": Annotated[
        NUMBER, number_option(TRAINING, "--validation-fraction", "Share of digits held out", metavar="SHARE")
    ],
    "data": Annotated[
        WORD,
        option(
            DATA,
            "--data",
            "Digits: embedded, openml, or a path",
            metavar="SOURCE",
            autocompletion=lambda: completion.SOURCES,
        ),
    ],
    "folds": Annotated[COUNT, count_option(SEARCH, "--folds", "Number of cross-validation folds")],
    "shuffle_folds": Annotated[
        SWITCH, option(SEARCH, "--shuffle-folds/--no-shuffle-folds", "Shuffle the digits before splitting")
    ],
    "stratified": Annotated[SWITCH, option(SEARCH, "--stratified/--no-stratified", "Stratify the folds by class")],
    "select": Annotated[
        WORD,
        option(
            SEARCH,
            "--select",
            "Selection rule: best, one-se or cheapest",
            metavar="RULE",
            autocompletion=lambda: completion.choices("sweep.select"),
        ),
    ],
    "as_submitted": Annotated[
        SWITCH, option(SEARCH, "--as-submitted", "Reproduce the notebook's bug: trials differ only by seed")
    ],
    "executor": Annotated[
        WORD,
        option(
            EXECUTION,
            "--executor",
            "Where fits run: serial, processes or dask",
            metavar="KIND",
            autocompletion=lambda: completion.choices("sweep.executor"),
        ),
    ],
    "workers": Annotated[
        COUNT,
        count_option(EXECUTION, "--workers", "Number of fits to run in parallel", show_default="one per physical core"),
    ],
    "scheduler": Annotated[
        WORD,
        option(
            EXECUTION,
            "--scheduler",
            "Running Dask scheduler, e.g. tcp://host:8786",
            metavar="ADDRESS",
            show_default="start a local one",
        ),
    ],
    "cache": Annotated[SWITCH, option(EXECUTION, "--cache/--no-cache", "Reuse cached fits")],
    "fail_fast": Annotated[SWITCH, option(EXECUTION, "--fail-fast", "Stop at the first failed fit")],
    "max_time": Annotated[
        NUMBER,
        option(
            EXECUTION,
            "--max-time",
            "Start no fit after this time, e.g. 90s, 10m or 1h30m",
            metavar="TIME",
            parser=time_limit,
            show_default="no limit",
        ),
    ],
    "name": Annotated[WORD, option(OUTPUT, "--name", "Short name, added to the run's id", metavar="NAME")],
    "tag": Annotated[WORDS, option(OUTPUT, "--tag", "Tag the run; repeatable", metavar="TAG")],
    "note": Annotated[WORD, option(OUTPUT, "--note", "Note on the run: one line of text", metavar="TEXT")],
    "runs_dir": Annotated[
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
    ],
    "dry_run": Annotated[
        bool, option(EXECUTION, "--dry-run", "Show the settings and the work ahead without running anything")
    ],
    "json": Annotated[bool, option(OUTPUT, "--json", "Print one JSON document; progress goes to standard error")],
    "quiet": Annotated[bool, option(OUTPUT, "--quiet -q", "Print only the result")],
    "verbose": Annotated[bool, option(OUTPUT, "--verbose -v", "Print more: settings, and tracebacks of bugs")],
}
"""Name to type and option of every option that commands share."""


def shared(name: str) -> Parameter:
    """A shared option as a parameter of a command."""
    default = {bool: False, Path: RUNS}.get(get_args(SHARED[name])[0])
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=SHARED[name])


def examples(explained: Mapping[str, str]) -> str:
    """The end of a command's help, in Markdown: command lines, each with what it does."""
    return "**Examples**\n\n" + "\n".join(f"- `{line}`: {what}" for line, what in explained.items()) + "\n"
