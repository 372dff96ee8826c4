"""The command that judges a run's saved model by labelled digits."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType
from rich.text import Text

from mnistexp.cli import completion, console
from mnistexp.cli.options import (
    RUNS,
    JsonOption,
    NameOption,
    QuietOption,
    RunsOption,
    VerboseOption,
    examples,
)
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput, nearest

if TYPE_CHECKING:
    from mnistexp.results import Outcome

__all__ = ["EVALUATE_EXAMPLES", "evaluate"]

EVALUATE_EXAMPLES = examples(
    {
        "mnistexp evaluate latest --data t10k/": "how good is the model on labelled digits of your own?",
        "mnistexp evaluate latest --data unseen": "on 4,000 packaged digits that no training has seen",
        "mnistexp evaluate latest": "on the test digits of the run, in detail",
    }
)
DECISIONS: dict[str, bool | Literal["auto"]] = {"auto": "auto", "yes": True, "no": False}


def evaluate(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="An id, the beginning of one, the path of a run folder, or `latest`: the newest with a model.",
            autocompletion=completion.run_ids,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="SOURCE",
            help="Labelled digits: whatever train takes, or unseen; otherwise the run's own test digits.",
            autocompletion=completion.data_sources,
        ),
    ] = None,
    part: Annotated[
        str,
        typer.Option(
            "--part", metavar="PART", help="auto (the source's own test part if it has one, or else all), train, test."
        ),
    ] = "auto",
    invert: Annotated[
        str,
        typer.Option("--invert", metavar="WHEN", help="Dark ink on a bright ground: auto looks at the edges; yes, no."),
    ] = "auto",
    transpose: Annotated[
        bool | None,
        typer.Option(
            "--transpose/--no-transpose",
            show_default=False,
            help="Exchange rows and columns; otherwise as the run did with sources of the same form.",
        ),
    ] = None,
    name: NameOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Judge the saved model of a run by labelled digits: accuracy, each class, calibration, worst mistakes."""
    voice = Voice(json, quiet, verbose)
    from mnistexp import prediction
    from mnistexp.cli.progress import watching
    from mnistexp.evaluation import story
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
