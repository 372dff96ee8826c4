"""The command that evaluates the saved model of a run on labelled digits."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mnistexp.cli import completion, console_report
from mnistexp.cli.call import Call
from mnistexp.cli.option_kinds import DATA, choice_option, option
from mnistexp.cli.parsing import USE, Commands

if TYPE_CHECKING:
    pass

__all__ = ["InvertOption", "commands"]

commands = Commands()
DECISIONS: dict[str, bool | Literal["auto"]] = {"auto": "auto", "yes": True, "no": False}
PARTS = ("auto", "train", "test")
InvertOption = Annotated[
    Literal["auto", "yes", "no"],
    choice_option(
        DATA, "--invert", "Invert dark ink on bright paper: auto, yes or no", list(DECISIONS), metavar="WHEN"
    ),
]


@commands.add(
    "evaluate",
    {
        "mnistexp evaluate latest --data t10k/": "evaluate on your own labelled digits",
        "mnistexp evaluate latest --data unseen": "evaluate on 4,000 unseen packaged digits",
        "mnistexp evaluate latest": "evaluate on the test digits of the run",
    },
    shares="... name runs_dir json quiet verbose",
    panel=USE,
)
def evaluate(
    call: Call,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Run: `latest` (newest with a model), an id or its beginning, a path, a name or a tag.",
            autocompletion=completion.run_ids,
        ),
    ],
    data: Annotated[
        str | None,
        option(
            DATA,
            "--data",
            "Labelled digits: embedded, openml, unseen, or a path",
            metavar="SOURCE",
            show_default="the run's test digits",
            autocompletion=lambda: completion.SOURCES,
        ),
    ] = None,
    part: Annotated[
        str,
        choice_option(
            DATA, "--part", "Part to use: auto (test part if any, else all), train or test", PARTS, metavar="PART"
        ),
    ] = "auto",
    invert: InvertOption = "auto",
    transpose: Annotated[
        bool | None,
        option(DATA, "--transpose/--no-transpose", "Swap rows and columns", show_default="as in the run"),
    ] = None,
) -> None:
    """Evaluate the model of a run on labelled digits."""
    from mnistexp.commands import prediction
    from mnistexp.commands.evaluate import story
    from mnistexp.runs import stored_runs

    stored = stored_runs.load(prediction.run_with_model(call.runs_dir, run).path)
    asked: dict[str, Any] = {"part": part, "invert": DECISIONS[invert], "transpose": transpose}
    with call.working() as watch:
        name = call.flags.get("name")
        outcome = story.evaluate(stored, call.runs_dir, data, name=name, watch=watch, **asked)
    found = outcome.metrics
    first = {key: found[key] for key in ("run", "accuracy", "interval", "digits", "confusion_matrix")}
    call.result({"run_dir": str(outcome.run_dir), **first, "metrics": found}, *console_report.answer(outcome))
