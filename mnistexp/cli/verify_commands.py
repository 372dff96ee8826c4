"""The commands that put a stored run to use: train it again and compare, and ask its model."""

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from mnistexp.cli import console
from mnistexp.cli.options import (
    RUNS,
    JsonOption,
    QuietOption,
    RunArgument,
    RunsOption,
    VerboseOption,
    count_option,
    examples,
    number_option,
)
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistexp.data.reading import Picture
    from mnistexp.verification.story import Verification

__all__ = ["predict", "verify"]

VERIFY_EXAMPLES = examples(
    {
        "mnistexp verify latest": "train it again: are curves, weights and predictions the same bits?",
        "mnistexp verify latest --tolerance 0.1 --json": "allow more, as between processors of different makes",
    }
)
PREDICT_EXAMPLES = examples(
    {
        "mnistexp predict latest three.png seven.jpg": "which digits are these, and how sure is the model?",
        "mnistexp predict latest digits.npy --top 1 --json": "many at once, in any form that --data takes",
    }
)
STYLES = {"identical": "bold green", "within tolerance": "bold yellow", "differs": "bold red"}
MOST_DRAWN = 20


def verify(
    run: RunArgument,
    tolerance: Annotated[
        float | None,
        number_option(
            "--tolerance",
            "How far curves and accuracies may lie apart, relative to their greatest value; 0.03 if not given.",
        ),
    ] = None,
    fits: Annotated[int | None, count_option("--fits", "Fits of a sweep to do again; 3 if not given.")] = None,
    seed: Annotated[int | None, count_option("--seed", "Draws these fits; the sweep's own seed if not given.")] = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Do a run's training again, say whether the same came out, and what has changed since.

    Exit code 0 for identical, 4 for within tolerance, 5 for differs. Nothing is written to the run. Of a sweep some
    fits are done again.
    """
    voice = Voice(json, quiet, verbose)
    from mnistexp.cli.progress import watching
    from mnistexp.runs import references, stored_runs
    from mnistexp.verification import story

    stored = stored_runs.load(references.one(runs_dir, run).path)
    allowed = story.TOLERANCE if tolerance is None else tolerance
    with watching(voice.err, quiet=quiet) as watch:
        found = story.verify(stored, tolerance=allowed, fits=fits, seed=seed, watch=watch)
    voice.result(found.document(), *_verification(found))
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _verification(found: "Verification") -> list[RenderableType]:
    compared = console.plain_table("compared", "", "difference", "")
    for item in found.compared:
        far = "" if item.difference is None else f"{item.difference:.2g}"
        compared.add_row(item.what, "same" if item.identical else "differs", far, Text(item.detail))
    changed = console.plain_table("changed since", "then", "now")
    for change in found.changed:
        changed.add_row(Text(change.what), *(Text(_value(value)) for value in (change.then, change.now)))
    verdict = Text.assemble(
        ("Verdict       ", "bold"),
        (found.verdict, STYLES[found.verdict]),
        f" (tolerance {found.tolerance:g})" if found.verdict != "identical" else "",
    )
    nothing = Text("Nothing that is recorded has changed since: code, packages, processor, digits.")
    shown: list[RenderableType] = [compared, Text(), changed if found.changed else nothing, Text()]
    return [*shown, *(Text(line) for line in (found.note, found.reason) if line), verdict]


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json_text.dumps(value)


def predict(
    run: RunArgument,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="PNG, JPEG, or whatever --data takes: .npy, .npz, IDX, CSV, Parquet."),
    ],
    invert: Annotated[
        str,
        typer.Option("--invert", metavar="WHEN", help="Dark ink on bright paper: auto looks at the edge, or yes, no."),
    ] = "auto",
    centre: Annotated[
        bool | None,
        typer.Option(
            "--centre/--no-centre",
            show_default=False,
            help="Scale and centre the digit as MNIST's were; otherwise whatever isn't 28 x 28 already.",
        ),
    ] = None,
    top: Annotated[int, count_option("--top", "How many of the likeliest digits to show.")] = 3,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Have the saved model of a run read pictures of digits, one digit in each."""
    voice = Voice(json, quiet, verbose)
    from mnistexp import prediction
    from mnistexp.data.pictures import Invert
    from mnistexp.data.reading import read_pictures

    ways: tuple[Invert, ...] = get_args(Invert)
    way = next((way for way in ways if way == invert), None)
    if way is None:
        raise BadInput(f"--invert is {invert!r}, allowed: {', '.join(ways)}{nearest(invert, ways)}")
    info = prediction.run_with_model(runs_dir, run)
    path = prediction.model_path(info)
    learnt = prediction.learnt_by(info.path)
    if not 1 <= top <= len(learnt.classes):
        raise BadInput(f"--top is {top}, allowed: 1 to {len(learnt.classes)}")
    pictures = read_pictures(images, way, centre, learnt.transposed)
    probabilities = prediction.probabilities(prediction.load_model(path), pictures, learnt)
    rows = [
        prediction.row(picture, values, top, learnt.classes)
        for picture, values in zip(pictures, probabilities, strict=True)
    ]
    terminal = Console().is_terminal
    table = _predictions(rows, pictures, drawn=terminal and not quiet and len(rows) <= MOST_DRAWN)
    if not terminal:  # whatever reads this expects one line for each picture
        table.columns[0].min_width = max(cell_len(picture.name) for picture in pictures)
    voice.result({"run": info.id, "run_dir": str(info.path), "predictions": rows}, table)


def _predictions(rows: list[dict[str, Any]], pictures: "list[Picture]", *, drawn: bool) -> Table:
    table = console.plain_table("image", *(["as the network sees it"] if drawn else []), "digit", "probability", "then")
    for row, picture in zip(rows, pictures, strict=True):
        first, *others = row["top"]
        then = ", ".join(f"{_called(other)} {other['probability']:.4f}" for other in others)
        cells = [_drawing(picture.pixels)] if drawn else []
        table.add_row(
            Text(picture.name), *cells, Text(_called(first), "bold green"), f"{first['probability']:.4f}", then
        )
    return table


def _called(likely: dict[str, Any]) -> str:
    return str(likely.get("name", likely["digit"]))


def _drawing(pixels: "NDArray[Any]") -> Text:
    from mnistexp.drawings import terminal_digit

    unicode = "utf" in Console().encoding
    return Text("\n".join([*terminal_digit(pixels, 14, unicode=unicode), ""]), no_wrap=True)
