"""The commands that put a stored run to use: train it again and compare, and ask its model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from mnistexp.cli import completion, console, console_report
from mnistexp.cli.call import Call
from mnistexp.cli.options import COUNT, DATA, EXECUTION, NUMBER, OUTPUT, RunArgument, argument, choice, option
from mnistexp.cli.parsing import USE, Commands
from mnistexp.config import shown
from mnistexp.errors import BadInput

if TYPE_CHECKING:
    from mnistexp.commands.verify.story import Verification
    from mnistexp.data.reading import DigitPicture


commands = Commands()
STYLES = {"identical": "bold green", "within tolerance": "bold yellow", "differs": "bold red"}
MOST_DRAWN = 20
WITH_MODEL = "Run: `latest` (newest with a model), an id or its beginning, a path, a name or a tag."
DECISIONS: dict[str, bool | Literal["auto"]] = {"auto": "auto", "yes": True, "no": False}
PARTS = ("auto", "train", "test")
InvertOption = Annotated[
    Literal["auto", "yes", "no"],
    choice(DATA, "--invert", "Invert dark ink on bright paper: auto, yes or no", list(DECISIONS), metavar="WHEN"),
]


@commands.add("verify", shares="... runs_dir json quiet verbose", panel=USE)
def verify(
    call: Call,
    run: RunArgument,
    tolerance: Annotated[
        float | None,
        option(
            EXECUTION,
            "--tolerance",
            "Largest relative difference of curves and accuracies",
            **NUMBER,
            show_default="0.03",
        ),
    ] = None,
    fits: Annotated[
        int | None, option(EXECUTION, "--fits", "Number of fits of a sweep to retrain", **COUNT, show_default="3")
    ] = None,
    seed: Annotated[
        int | None,
        option(EXECUTION, "--seed", "Random seed that draws these fits", **COUNT, show_default="the sweep's"),
    ] = None,
) -> None:
    """Retrain a run and check that the results agree.

    Exit code 0: identical, 4: within tolerance, 5: different. Nothing is written to the run. For a sweep, only
    some fits are retrained.

    mnistexp verify latest  # retrain and compare bit for bit
    mnistexp verify latest --tolerance 0.1 --json  # allow larger differences
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
    sides = ((change.what, change.then, change.now) for change in found.changed)
    rows = (["-" if value is None else shown.exact(value) for value in side] for side in sides)
    changed = console.plain_table("changed since", "then", "now", rows=rows)
    nothing = "Nothing that is recorded has changed since: code, packages, processor, digits."
    verdict = Text.assemble(
        ("Verdict       ", "bold"),
        (found.verdict, STYLES[found.verdict]),
        f" (tolerance {found.tolerance:g})" if found.verdict != "identical" else "",
    )
    told: list[RenderableType] = [compared, "", changed if found.changed else nothing, ""]
    return [*told, *(line for line in (found.note, found.reason) if line), verdict]


@commands.add("predict", shares="... runs_dir json quiet verbose", panel=USE)
def predict(
    call: Call,
    run: RunArgument,
    images: Annotated[
        list[Path], argument("IMAGE...", "Images: PNG, JPEG, .npy, .npz, IDX, CSV, Parquet or a folder.")
    ],
    invert: InvertOption = "auto",
    centre: Annotated[
        bool | None,
        option(DATA, "--centre/--no-centre", "Scale and centre each digit like MNIST", show_default="unless 28 x 28"),
    ] = None,
    top: Annotated[int, option(OUTPUT, "--top", "Number of most likely digits to show", **COUNT)] = 3,
) -> None:
    """Classify images of digits with the model of a run.

    mnistexp predict latest three.png seven.jpg  # classify two images
    mnistexp predict latest digits.npy --top 1 --json  # classify many; print JSON
    """
    import numpy as np

    from mnistexp.commands import prediction
    from mnistexp.data.reading import read_pictures

    info = prediction.run_with_model(call.runs_dir, run)
    network = prediction.network_of(info)
    if not 1 <= top <= len(network.classes):
        raise BadInput(f"--top is {top}, allowed: 1 to {len(network.classes)}")
    pictures = read_pictures(images, DECISIONS[invert], centre, network.transposed)
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


def predictions_table(rows: list[dict[str, Any]], pictures: "list[DigitPicture]", *, drawn: bool) -> Table:
    """A row for each picture: the digit and its probability, and the next likely ones; with the picture if `drawn`."""
    table = console.plain_table("image", *["as the network sees it"] * drawn, "digit", "probability", "next")
    for row, picture in zip(rows, pictures, strict=True):
        names = [str(likely.get("name", likely["digit"])) for likely in row["top"]]
        chances = [f"{likely['probability']:.4f}" for likely in row["top"]]
        cells = [Text(picture.name)]
        if drawn:
            from mnistexp.figures.drawings import terminal_digit

            lines = terminal_digit(picture.pixels, 14, unicode=console.shows_unicode())
            cells.append(Text("\n".join([*lines, ""]), no_wrap=True))
        then = ", ".join(f"{name} {chance}" for name, chance in zip(names[1:], chances[1:], strict=True))
        table.add_row(*cells, Text(names[0], "bold green"), chances[0], then)
    return table


@commands.add("evaluate", shares="... name runs_dir json quiet verbose", panel=USE)
def evaluate(
    call: Call,
    run: Annotated[str, argument("RUN", WITH_MODEL, completion.run_ids)],
    data: Annotated[
        str | None,
        option(
            DATA,
            "--data",
            "Labelled digits: embedded, openml, unseen, or a path",
            metavar="SOURCE",
            show_default="the run's test digits",
            autocompletion=lambda: completion.choices("data.source"),
        ),
    ] = None,
    part: Annotated[
        str,
        choice(DATA, "--part", "Part to use: auto (test part if any, else all), train or test", PARTS, metavar="PART"),
    ] = "auto",
    invert: InvertOption = "auto",
    transpose: Annotated[
        bool | None,
        option(DATA, "--transpose/--no-transpose", "Swap rows and columns", show_default="as in the run"),
    ] = None,
) -> None:
    """Evaluate the model of a run on labelled digits.

    mnistexp evaluate latest --data t10k/  # evaluate on your own labelled digits
    mnistexp evaluate latest --data unseen  # evaluate on 4,000 unseen packaged digits
    mnistexp evaluate latest  # evaluate on the test digits of the run
    """
    from mnistexp.commands import prediction
    from mnistexp.commands.evaluate import story
    from mnistexp.runs import stored_runs

    stored = stored_runs.load(prediction.run_with_model(call.runs_dir, run).path)
    asked: dict[str, Any] = {"part": part, "invert": DECISIONS[invert], "transpose": transpose}
    with call.working() as watch:
        outcome = story.evaluate(stored, call.runs_dir, data, name=call.flags.get("name"), watch=watch, **asked)
    found = outcome.metrics
    first = {key: found[key] for key in ("run", "accuracy", "interval", "digits", "confusion_matrix")}
    call.result({"run_dir": str(outcome.run_dir), **first, "metrics": found}, *console_report.answer(outcome))
