"""The commands of a single training: train, and a look at the digits and at the network."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console

from mnistexp.cli import completion, console, console_report
from mnistexp.cli.options import (
    DATA,
    EXECUTION,
    RUNS,
    TRAINING,
    BatchSizeOption,
    ConfigOption,
    DataOption,
    DropoutOption,
    DryRunOption,
    EpochsOption,
    JsonOption,
    LearningRateOption,
    NameOption,
    NoteOption,
    OptimizerOption,
    QuietOption,
    RepeatsOption,
    RunsOption,
    SeedOption,
    SetOption,
    TagOption,
    VerboseOption,
    count_option,
    examples,
    number_option,
    option,
    settings_for,
)
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput
from mnistexp.runs.layout import Kind

if TYPE_CHECKING:
    from mnistexp.runs.results import Outcome

__all__ = ["show_examples", "summary", "train"]

ValidationOption = Annotated[
    float | None,
    number_option(TRAINING, "--validation-fraction", "Share of digits held out", metavar="SHARE"),
]
ResumeOption = Annotated[
    str | None,
    option(
        EXECUTION,
        "--resume",
        "Resume an unfinished training; with --epochs lengthen a finished one",
        metavar="RUN",
        autocompletion=completion.run_ids,
    ),
]

TRAIN_EXAMPLES = examples(
    {
        "mnistexp train": "the assignment: 60 epochs of SGD",
        "mnistexp train --epochs 150 --validation-fraction 0.2": "validate on 160 held-out digits",
        "mnistexp train --opt adam --lr 0.003 --repeats 3": "three seeds",
        "mnistexp train --resume latest": "resume the newest interrupted training",
        "mnistexp train --resume latest --epochs 100": "lengthen the newest finished training",
    }
)
DIGITS_EXAMPLES = examples(
    {
        "mnistexp show-examples": "the assignment's three digits",
        "mnistexp show-examples --index 0 --index 799": "the first and the last training digit",
        "mnistexp show-examples --count 5 --seed 7": "five random digits; the same five for the same seed",
    }
)
SUMMARY_EXAMPLES = examples(
    {
        "mnistexp summary": "the network of the assignment",
        "mnistexp summary --set model.dense_units=64": "a smaller network",
    }
)


def train(
    config: ConfigOption = None,
    sets: SetOption = None,
    epochs: EpochsOption = None,
    opt: OptimizerOption = None,
    seed: SeedOption = None,
    repeats: RepeatsOption = None,
    learning_rate: LearningRateOption = None,
    batch_size: BatchSizeOption = None,
    dropout: DropoutOption = None,
    validation_fraction: ValidationOption = None,
    data: DataOption = None,
    name: NameOption = None,
    tag: TagOption = None,
    note: NoteOption = None,
    resume: ResumeOption = None,
    runs_dir: RunsOption = RUNS,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train the network and plot its loss curves."""
    voice = Voice(json, quiet, verbose)
    from mnistexp.runs.annotations import checked, launched

    added = checked(tag or (), note or "")
    given = {
        "epochs": epochs, "opt": opt, "seed": seed, "repeats": repeats, "learning_rate": learning_rate,
        "batch_size": batch_size, "dropout": dropout,
        "validation_fraction": validation_fraction, "data": data, "name": name,
    }  # fmt: skip
    if resume is not None:
        lengthens = {"epochs", "name", "tag", "note"} if epochs is not None else set()
        others = {"tag": tag or None, "note": note, "config": config or None, "set": sets or None}
        _refuse({**given, **others, "dry-run": dry_run or None}, lengthens)
    found = settings_for("train", config, sets, runs_dir, **given)
    if found.config.sweep:
        raise BadInput(
            "the configuration has a sweep section, but train runs a single setting: use mnistexp sweep-optimizer"
        )
    if dry_run:
        voice.result(
            console.dry_run_document(found), console.settings_table(found), console.training_plan(found.config)
        )
        return
    from mnistexp.cli.progress import watching
    from mnistexp.commands.train import lengthen_training, resume_training, run_training, training_named

    def answer(outcome: "Outcome") -> None:
        voice.result(outcome.document(), *console_report.answer(outcome))

    # A program reads the answer when everything is there; a person need not wait for the figures.
    with (
        watching(voice.err, quiet=quiet or json, answer=None if json else answer) as watch,
        launched(Kind.TRAIN, added),
    ):
        if resume is None:
            outcome = run_training(found.config, runs_dir, watch)
        elif epochs is None:
            outcome = resume_training(training_named(runs_dir, resume), watch)
        else:
            stored = training_named(runs_dir, resume, finished=True)
            outcome = lengthen_training(stored, epochs, runs_dir, watch, name=name)
    if json:
        answer(outcome)
    voice.end(outcome)


def _refuse(given: Mapping[str, Any], allowed: set[str]) -> None:
    """Raise `BadInput` if an option was given beside `--resume` that isn't among the allowed ones."""
    for key, value in given.items():
        if value is not None and key not in allowed:
            flag = f"--{key.replace('_', '-')}"
            raise BadInput(f"--resume uses the settings of its run and can't be combined with {flag}")


def show_examples(
    config: ConfigOption = None,
    sets: SetOption = None,
    index: Annotated[
        list[int] | None,
        count_option(DATA, "--index -i", "Index of a training digit; repeatable", show_default="37, 235, 72"),
    ] = None,
    count: Annotated[int | None, count_option(DATA, "--count", "Number of random digits to show instead")] = None,
    seed: SeedOption = None,
    data: DataOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show training digits, their labels and one-hot rows."""
    voice = Voice(json, quiet, verbose)
    found = settings_for("train", config, sets, seed=seed, data=data)
    from mnistexp.commands import examples

    outcome = examples.run_examples(found.config, runs_dir, indices=index, count=count)
    terminal = Console()
    pictures: list[str] = []
    if terminal.is_terminal and not (quiet or json):
        unicode = "utf" in terminal.encoding
        pictures = examples.terminal_pictures(found.config, outcome, terminal.width, unicode)
    voice.result(outcome.document(), *pictures, *console_report.answer(outcome))


def summary(
    config: ConfigOption = None,
    sets: SetOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the layers, output shapes and parameter counts."""
    voice = Voice(json, quiet, verbose)
    found = settings_for("train", config, sets)
    from mnistexp.commands import examples

    outcome = examples.run_summary(found.config, runs_dir)
    voice.result(outcome.document(), *console_report.answer(outcome))
