"""The command that evaluates the saved model of a run on labelled digits."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnistexp.cli import completion, console_report
from mnistexp.cli.options import (
    DATA,
    RUNS,
    JsonOption,
    NameOption,
    QuietOption,
    RunsOption,
    VerboseOption,
    examples,
    option,
)
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput, nearest

if TYPE_CHECKING:
    pass

__all__ = ["EVALUATE_EXAMPLES", "evaluate"]

EVALUATE_EXAMPLES = examples(
    {
        "mnistexp evaluate latest --data t10k/": "evaluate on your own labelled digits",
        "mnistexp evaluate latest --data unseen": "evaluate on 4,000 unseen packaged digits",
        "mnistexp evaluate latest": "evaluate on the test digits of the run",
    }
)
DECISIONS: dict[str, bool | Literal["auto"]] = {"auto": "auto", "yes": True, "no": False}


def evaluate(
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
            autocompletion=completion.data_sources,
        ),
    ] = None,
    part: Annotated[
        str,
        option(DATA, "--part", "Part to use: auto (test part if any, else all), train or test", metavar="PART"),
    ] = "auto",
    invert: Annotated[
        str,
        option(DATA, "--invert", "Invert dark ink on bright paper: auto, yes or no", metavar="WHEN"),
    ] = "auto",
    transpose: Annotated[
        bool | None,
        option(DATA, "--transpose/--no-transpose", "Swap rows and columns", show_default="as in the run"),
    ] = None,
    name: NameOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Evaluate the model of a run on labelled digits."""
    voice = Voice(json, quiet, verbose)
    from mnistexp.cli.progress import watching
    from mnistexp.commands import prediction
    from mnistexp.commands.evaluate import story
    from mnistexp.runs import stored_runs

    if part not in story.PARTS:
        raise BadInput(f"--part is {part!r}, allowed: {', '.join(story.PARTS)}{nearest(part, story.PARTS)}")
    if invert not in DECISIONS:
        raise BadInput(f"--invert is {invert!r}, allowed: {', '.join(DECISIONS)}{nearest(invert, DECISIONS)}")
    stored = stored_runs.load(prediction.run_with_model(runs_dir, run).path)
    with watching(voice.err, quiet=quiet) as watch:
        outcome = story.evaluate(
            stored,
            runs_dir,
            data,
            part=part,
            invert=DECISIONS[invert],
            transpose=transpose,
            name=name,
            watch=watch,
        )
    found = outcome.metrics
    first = {key: found[key] for key in ("run", "accuracy", "interval", "digits", "confusion_matrix")}
    voice.result({"run_dir": str(outcome.run_dir), **first, "metrics": found}, *console_report.answer(outcome))
