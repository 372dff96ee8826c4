"""The commands of a single training: train, and a look at the digits and at the network."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from mnistexp.cli import completion, console
from mnistexp.cli.options import (
    RUNS,
    BatchSizeOption,
    ConfigOption,
    DataOption,
    DropoutOption,
    DryRunOption,
    EpochsOption,
    JsonOption,
    LearningRateOption,
    NameOption,
    OptimizerOption,
    QuietOption,
    RepeatsOption,
    RunsOption,
    SeedOption,
    SetOption,
    VerboseOption,
    count_option,
    examples,
    number_option,
    settings_for,
)
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput

__all__ = ["show_examples", "summary", "train"]

ValidationOption = Annotated[
    float | None, number_option("--validation-fraction", "Validate on this share of the training part.")
]
ResumeOption = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="RUN",
        help="Go on with an interrupted or failed training: a reference to it; `latest` is the newest of these.",
        autocompletion=completion.run_ids,
    ),
]

TRAIN_EXAMPLES = examples(
    {
        "mnistexp train": "60 epochs of SGD, the curves validated on the test digits, as in the assignment",
        "mnistexp train --epochs 150 --validation-fraction 0.2": "choose the epochs by 160 other digits",
        "mnistexp train --opt adam --lr 0.003 --dropout 0.4 --repeats 3": "three seeds of another setting",
        "mnistexp train --resume latest": "go on with a training that was interrupted, to the same bits",
    }
)
DIGITS_EXAMPLES = examples(
    {
        "mnistexp show-examples": "the assignment's three digits",
        "mnistexp show-examples --index 0 --index 799": "the first and the last of the training part",
        "mnistexp show-examples --count 5 --seed 7": "five at random, the same five every time",
    }
)
SUMMARY_EXAMPLES = examples(
    {
        "mnistexp summary": "the network of the assignment",
        "mnistexp summary --set model.dense_units=64": "a smaller one",
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
    resume: ResumeOption = None,
    runs_dir: RunsOption = RUNS,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train the network, draw its loss curves, and say how many epochs were best and how good it is."""
    voice = Voice(json, quiet, verbose)
    given = {
        "epochs": epochs, "opt": opt, "seed": seed, "repeats": repeats, "learning_rate": learning_rate,
        "batch_size": batch_size, "dropout": dropout,
        "validation_fraction": validation_fraction, "data": data, "name": name,
    }  # fmt: skip
    refused = ["--config"] * bool(config) + ["--set"] * bool(sets) + ["--dry-run"] * dry_run
    if resume is not None and (refused := [*_flags(given), *refused]):
        raise BadInput(f"--resume goes on with the settings of its run, so it can't be given with {refused[0]}")
    found = settings_for("train", config, sets, **given)
    if found.config.sweep:
        raise BadInput(
            "the configuration has a sweep section, and train runs one setting: use mnistexp sweep-optimizer"
        )
    if dry_run:
        voice.result(
            console.dry_run_document(found), console.settings_table(found), console.training_plan(found.config)
        )
        return
    from mnistexp import experiments
    from mnistexp.cli.progress import watching

    with watching(voice.err, quiet=quiet or json) as watch:
        if resume is not None:
            outcome = experiments.resume_training(experiments.unfinished_training(runs_dir, resume), watch)
        else:
            outcome = experiments.run_training(found.config, runs_dir, watch)
    voice.result(outcome.document(), *console.training_report(outcome))
    voice.end(outcome.metrics)


def _flags(given: Mapping[str, Any]) -> list[str]:
    """The flags among the options that were given."""
    return [f"--{key.replace('_', '-')}" for key, value in given.items() if value is not None]


def show_examples(
    config: ConfigOption = None,
    sets: SetOption = None,
    index: Annotated[list[int] | None, count_option("--index -i", "Position in the training part; repeatable.")] = None,
    count: Annotated[int | None, count_option("--count", "Draw so many at random instead.")] = None,
    seed: SeedOption = None,
    data: DataOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show some training digits with their labels, the one-hot rows, and what the arrays look like."""
    voice = Voice(json, quiet, verbose)
    found = settings_for("train", config, sets, seed=seed, data=data)
    from mnistexp import examples

    outcome = examples.run_examples(found.config, runs_dir, indices=index, count=count)
    terminal = Console()
    pictures: list[str] = []
    if terminal.is_terminal and not (quiet or json):
        unicode = "utf" in terminal.encoding
        pictures = examples.terminal_pictures(found.config, outcome, terminal.width, unicode)
    voice.result(outcome.document(), *pictures, *console.examples_report(outcome))


def summary(
    config: ConfigOption = None,
    sets: SetOption = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show the network layer by layer: output shapes, and the arithmetic of each parameter count."""
    voice = Voice(json, quiet, verbose)
    found = settings_for("train", config, sets)
    from mnistexp import examples

    outcome = examples.run_summary(found.config, runs_dir)
    voice.result(outcome.document(), *console.summary_report(outcome))
