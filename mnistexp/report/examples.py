"""The reports of `show-examples` and `summary`: the digits, and the network."""

from typing import Any

from mnistexp.config import shown
from mnistexp.config.networks import LayerRow
from mnistexp.figures import drawings
from mnistexp.report.origin import how_it_was_made
from mnistexp.report.page import Cell, Fact, Facts, Paragraph, Picture, RunReport, Section, Table, number
from mnistexp.runs.stored_runs import StoredRun

__all__ = ["examples_report", "summary_report"]

DASH = "\N{EN DASH}"


def examples_report(stored: StoredRun) -> RunReport:
    """What the digits look like."""
    found = stored.metrics or {}
    examples = found["examples"]
    labels = ", ".join(f"{example['label']} at {example['index']}" for example in examples)
    arrays = tuple(
        (Cell(name), *(Cell(str(about[key])) for key in ("type", "shape", "dtype", "values")))
        for name, about in found["arrays"].items()
    )
    rows = tuple(
        (number(example["index"]), number(example["label"]), Cell(" ".join(map(str, example["one_hot"]))))
        for example in examples
    )
    counts = tuple((number(digit), number(count)) for digit, count in enumerate(found["class_counts"]))
    total = sum(found["class_counts"])
    looks = Section(
        "What does the data look like?",
        (
            Paragraph(
                f"{total:,} training digits; the classes have {min(found['class_counts'])} to "
                f"{max(found['class_counts'])} digits each.",
                "answer",
            ),
            Picture(
                f"{len(examples)} of the training digits",
                f"Images of handwritten digits with their labels: {labels}.",
                stored.read_bytes("examples.png"),
            ),
            Table("The arrays", ("array", "type", "shape", "dtype", "values"), arrays),
            *map(Paragraph, found.get("preparation", ())),
            Table("Training digits per class", ("digit", "count"), counts, folded=True),
        ),
    )
    one_hot = Section(
        "How is a label one-hot encoded?",
        (
            Paragraph("As a row of ten numbers: 1 in the column of the digit (counted from 0), 0 elsewhere."),
            Table("Labels and their rows", ("index", "label", "one-hot row"), rows),
        ),
    )
    return RunReport(
        id=stored.id,
        kind="examples",
        headline=f"{total:,} training digits, {len(examples)} of them shown",
        lead=f"Each label belongs to the image it is shown with: {labels}.",
        sections=(looks, one_hot, how_it_was_made(stored)),
    )


def summary_report(stored: StoredRun) -> RunReport:
    """What the network looks like."""
    found = stored.metrics or {}
    layers = [LayerRow(**{**layer, "output_shape": tuple(layer["output_shape"])}) for layer in found["layers"]]
    rows = tuple(
        (
            Cell(layer.name),
            Cell(layer.kind),
            Cell(" \N{MULTIPLICATION SIGN} ".join(map(str, layer.output_shape))),
            number(layer.parameters, ","),
            Cell(layer.arithmetic or DASH),
            Cell(layer.activation or DASH),
        )
        for layer in layers
    )
    network = Section(
        "What kind of network is it?",
        (
            Paragraph(f"A {found['network']}, with {found['parameters']:,} trainable parameters.", "answer"),
            Picture(
                "The network, layer by layer",
                f"Boxes from the input to the {len(layers)}th layer with output shapes and parameter counts.",
                drawings.network(layers),
            ),
            Table(
                "Layers",
                ("layer", "kind", "output", "parameters", "arithmetic", "activation"),
                rows,
            ),
        ),
    )
    return RunReport(
        id=stored.id,
        kind="network",
        headline=f"A network of {found['parameters']:,} parameters",
        lead=f"{len(layers)} layers; {found['updates_per_epoch']} weight updates per epoch.",
        facts=Facts(
            (
                Fact("parameters", f"{found['parameters']:,}"),
                Fact("updates per epoch", f"{found['updates_per_epoch']}", f"batches of {found['batch_size']} digits"),
                Fact("updates in total", f"{found['updates']:,}"),
            )
        ),
        sections=(network, _learning(found), how_it_was_made(stored)),
    )


def _learning(found: dict[str, Any]) -> Section:
    optimizer = dict(found["optimizer"])
    name = optimizer.pop("name")
    values = ", ".join(f"{shown.name(key)} {value:g}" for key, value in optimizer.items())
    return Section(
        "How is it trained?",
        (
            Paragraph(
                f"Optimizer {name} ({values}). {found['training_digits']} digits in batches of {found['batch_size']}: "
                f"{found['updates_per_epoch']} weight updates per epoch.",
                "answer",
            ),
            Paragraph(f"The loss is {found['loss']}."),
        ),
    )
