"""The command that evaluates the saved model of a run on labelled digits."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType
from rich.text import Text

from mnistexp.cli import completion, console
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
    from mnistexp.runs.results import Outcome

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
    voice.result({"run_dir": str(outcome.run_dir), **first, "metrics": found}, *_report(outcome))


def _report(outcome: "Outcome") -> Iterator[RenderableType]:
    found: dict[str, Any] = outcome.metrics
    low, high = found["interval"]
    yield Text.assemble(
        ("Accuracy      ", "bold"),
        (f"{found['accuracy']:.4f}", "bold green"),
        f"  95% interval {low:.4f} to {high:.4f} ({found['correct']:,} of {found['digits']:,} digits)",
    )
    yield Text(f"Macro F1      {found['macro_f1']:.4f}")
    for section in ("expected", "ledger"):
        if found[section]:
            yield Text(found[section]["sentence"])
    yield Text(found["calibration"]["sentence"])
    for warning in found["warnings"]:
        yield Text(f"Note: {warning}", style="yellow")
    yield Text()
    table = console.plain_table("class", "digits", "recall", "95% interval", "precision", "95% interval")
    for row in found["per_class"]:
        cells = [_share(row[key], row[f"{key}_interval"]) for key in ("recall", "precision")]
        table.add_row(Text(found["class_names"][row["class"]]), f"{row['digits']:,}", *cells[0], *cells[1])
    yield table
    yield Text()
    yield Text.assemble(("Run folder    ", "bold"), str(outcome.run_dir))


def _share(value: float | None, interval: list[float] | None) -> tuple[str, str]:
    if value is None or interval is None:
        return "-", "-"
    return f"{value:.4f}", f"{interval[0]:.4f} to {interval[1]:.4f}"
