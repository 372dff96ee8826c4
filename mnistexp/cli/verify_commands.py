"""The commands that put a stored run to use: train it again and compare, and ask its model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from mnistexp.cli import console
from mnistexp.cli.call import Call
from mnistexp.cli.evaluate_commands import InvertOption
from mnistexp.cli.option_kinds import DATA, EXECUTION, OUTPUT, count_option, number_option, option
from mnistexp.cli.options import RunArgument
from mnistexp.cli.parsing import USE, Commands
from mnistexp.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnistexp.commands.verify.story import Verification
    from mnistexp.data.reading import Picture

__all__ = ["commands"]

commands = Commands()
STYLES = {"identical": "bold green", "within tolerance": "bold yellow", "differs": "bold red"}
MOST_DRAWN = 20


@commands.add(
    "verify",
    {
        "mnistexp verify latest": "retrain and compare bit for bit",
        "mnistexp verify latest --tolerance 0.1 --json": "allow larger differences",
    },
    shares="... runs_dir json quiet verbose",
    panel=USE,
)
def verify(
    call: Call,
    run: RunArgument,
    tolerance: Annotated[
        float | None,
        number_option(
            EXECUTION,
            "--tolerance",
            "Largest relative difference of curves and accuracies",
            show_default="0.03",
        ),
    ] = None,
    fits: Annotated[
        int | None, count_option(EXECUTION, "--fits", "Number of fits of a sweep to retrain", show_default="3")
    ] = None,
    seed: Annotated[
        int | None, count_option(EXECUTION, "--seed", "Random seed that draws these fits", show_default="the sweep's")
    ] = None,
) -> None:
    """Retrain a run and check that the results agree.

    Exit code 0: identical, 4: within tolerance, 5: different. Nothing is written to the run. For a sweep, only
    some fits are retrained.
    """
    from mnistexp.commands.verify import story
    from mnistexp.runs import references, stored_runs

    stored = stored_runs.load(references.one(call.runs_dir, run).path)
    allowed = story.TOLERANCE if tolerance is None else tolerance
    with call.working() as watch:
        found = story.verify(stored, tolerance=allowed, fits=fits, seed=seed, watch=watch)
    call.result(found.document(), *_verification(found))
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
    return value if isinstance(value, str) else json.dumps(value)


@commands.add(
    "predict",
    {
        "mnistexp predict latest three.png seven.jpg": "classify two images",
        "mnistexp predict latest digits.npy --top 1 --json": "classify many; print JSON",
    },
    shares="... runs_dir json quiet verbose",
    panel=USE,
)
def predict(
    call: Call,
    run: RunArgument,
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Images: PNG, JPEG, .npy, .npz, IDX, CSV, Parquet or a folder."),
    ],
    invert: InvertOption = "auto",
    centre: Annotated[
        bool | None,
        option(
            DATA,
            "--centre/--no-centre",
            "Scale and centre each digit like MNIST",
            show_default="unless 28 x 28",
        ),
    ] = None,
    top: Annotated[int, count_option(OUTPUT, "--top", "Number of most likely digits to show")] = 3,
) -> None:
    """Classify images of digits with the model of a run."""
    import numpy as np

    from mnistexp.commands import prediction
    from mnistexp.data.reading import read_pictures

    info = prediction.run_with_model(call.runs_dir, run)
    network = prediction.network_of(info)
    if not 1 <= top <= len(network.classes):
        raise BadInput(f"--top is {top}, allowed: 1 to {len(network.classes)}")
    pictures = read_pictures(images, invert, centre, network.transposed)
    with call.waiting("loading the model"):
        seen = network.as_seen(np.stack([picture.pixels for picture in pictures]))
        probabilities = network.probabilities(seen)
    rows = [
        prediction.row(picture, values, top, network.classes)
        for picture, values in zip(pictures, probabilities, strict=True)
    ]
    terminal = Console().is_terminal
    table = predictions_table(rows, pictures, drawn=terminal and not call.quiet and len(rows) <= MOST_DRAWN)
    if not terminal:  # whatever reads this expects one line for each picture
        table.columns[0].min_width = max(cell_len(picture.name) for picture in pictures)
    call.result({"run": info.id, "run_dir": str(info.path), "predictions": rows}, table)


def predictions_table(rows: list[dict[str, Any]], pictures: "list[Picture]", *, drawn: bool) -> Table:
    table = console.plain_table("image", *(["as the network sees it"] if drawn else []), "digit", "probability", "next")
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
    from mnistexp.figures.drawings import terminal_digit

    unicode = "utf" in Console().encoding
    return Text("\n".join([*terminal_digit(pixels, 14, unicode=unicode), ""]), no_wrap=True)
