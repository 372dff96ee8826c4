"""Commands without training: show digits, and summarise the network."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from mnistexp import data
from mnistexp.commands.job import NOTHING_KEPT, add_figures, as_sentence, new_run, run_job
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.networks import layer_table
from mnistexp.errors import BadInput
from mnistexp.figures import drawings, style
from mnistexp.runs.layout import METRICS, Kind
from mnistexp.runs.results import Outcome

DEFAULT_EXAMPLES = (37, 235, 72)
"""The assignment's three digits, by position in the training part."""


def run_examples(
    config: ExperimentConfig, runs_dir: Path, indices: Sequence[int] | None = None, count: int | None = None
) -> Outcome:
    """Show digits of the training part: at `indices`, or `count` drawn by `config.seed`, or the assignment's three.

    Raises `BadInput` if a position is not in the training part.
    """
    digits = data.load(config.data)
    rows = data.split(digits, config.data).train
    images, labels = digits.at(rows)
    chosen = _chosen(config, len(rows), indices, count)
    one_hot = data.one_hot(labels, len(digits.classes))
    document = {
        "command": Kind.EXAMPLES,
        "arrays": {
            "X": data.describe(data.as_input(digits.images)),
            "y": data.describe(digits.labels),
            "y_oh": data.describe(data.one_hot(digits.labels, len(digits.classes))),
            "x_train": data.describe(images),
            "y_train": data.describe(labels),
            "y_train one-hot": data.describe(one_hot),
        },
        "preparation": list(_preparation(digits)),
        "warnings": [as_sentence(text) for text in digits.warnings],
        "examples": [
            {"index": index, "label": int(labels[index]), "one_hot": one_hot[index].tolist()} for index in chosen
        ],
        "class_counts": data.class_counts(labels, len(digits.classes)).tolist(),
        "sha256": digits.sha256,
    }
    with run_job(new_run(runs_dir, Kind.EXAMPLES, config, "digits", visible=False), NOTHING_KEPT) as run:
        run.add(METRICS, document)
        run.add("examples.png", style.render(drawings.examples(images, labels, chosen), "png"))
    return Outcome(run.path, document)


def _preparation(digits: data.Digits) -> Iterator[str]:
    """How the arrays come from the digits as they were read, in sentences."""
    yield from map(as_sentence, digits.told)
    images, prepared, classes = digits.images, data.as_input(digits.images), len(digits.classes)
    yield (
        f"Reshape: the images, {images.dtype} {images.shape}, get a last axis for their one grey channel: "
        f"{prepared.shape}, the shape that a convolution takes."
    )
    yield (
        f"Scaling: the grey values, {images.min()} to {images.max()}, are divided by 255: X is {prepared.dtype}, "
        f"{prepared.min():g} to {prepared.max():g}."
    )
    yield (
        f"One-hot: each of the {len(images):,} labels in y becomes a row of {classes} numbers in y_oh, with a 1 in "
        "the column of its class and 0 elsewhere."
    )


def _chosen(config: ExperimentConfig, size: int, indices: Sequence[int] | None, count: int | None) -> list[int]:
    if indices and count is not None:
        raise BadInput("--index and --count can't be combined: --index names the digits, --count draws them")
    if count is not None:
        if not 1 <= count <= min(100, size):
            raise BadInput(f"--count is {count}, allowed: 1 to {min(100, size)}")
        generator = np.random.default_rng(config.seed)
        return [int(index) for index in generator.choice(size, count, replace=False)]
    chosen = list(indices or [index for index in DEFAULT_EXAMPLES if index < size])
    for index in chosen:
        if not 0 <= index < size:
            raise BadInput(f"--index is {index}, allowed: 0 to {size - 1}, the {size} digits of the training part")
    if len(chosen) > 100:
        raise BadInput(f"--index is given {len(chosen)} times, allowed: 100")
    return chosen


def terminal_pictures(config: ExperimentConfig, outcome: Outcome, width: int, unicode: bool) -> list[str]:
    """The digits of `run_examples` as text for a terminal of `width` columns, side by side if they fit."""
    digits = data.load(config.data)
    images = digits.images[data.split(digits, config.data).train]
    pictures = []
    for example in outcome.metrics["examples"]:
        lines = drawings.terminal_digit(images[example["index"]], unicode=unicode)
        title = f"digit {example['index']}: label {example['label']}"
        pictures.append([title.ljust(max(map(len, lines), default=0)), *lines])
    return drawings.side_by_side(pictures, width)


def run_summary(config: ExperimentConfig, runs_dir: Path) -> Outcome:
    """The network layer by layer, with its parameters, optimizer and a drawing."""
    if config.data.source != "embedded":  # whose classes decide the last layer
        config = data.Dataset.load(config).config
    layers = layer_table(config.model)
    updates = ceil(config.training_digits / config.training.batch_size)
    document: dict[str, Any] = {
        "command": Kind.SUMMARY,
        "network": f"{config.model.kind}, sequential",
        "layers": [asdict(layer) for layer in layers],
        "parameters": sum(layer.parameters for layer in layers),
        "activations": [f"{layer.name}: {layer.activation}" for layer in layers if layer.parameters],
        "loss": "sparse categorical cross-entropy: -log of the probability of the correct class, averaged",
        "optimizer": config.optimizer.model_dump(),
        "batch_size": config.training.batch_size,
        "training_digits": config.training_digits,
        "updates_per_epoch": updates,
        "updates": updates * config.training.epochs,
    }
    with run_job(new_run(runs_dir, Kind.SUMMARY, config, config.model.kind, visible=False), NOTHING_KEPT) as run:
        run.add(METRICS, document)
        add_figures(run, {"network": drawings.network(layers)})
    return Outcome(run.path, document)
