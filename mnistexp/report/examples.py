"""The reports of `show-examples` and `summary`: the digits, and the network."""

from collections.abc import Mapping
from typing import Any

from mnistexp.config import shown
from mnistexp.config.networks import LayerRow
from mnistexp.figures import drawings
from mnistexp.report.origin import warnings
from mnistexp.report.page import DASH, Cell, Fact, Paragraph, Picture, Section, Story, Table, number
from mnistexp.runs.stored_runs import StoredRun


def examples_sections(stored: StoredRun) -> list[Section]:
    """What the digits look like."""
    found = stored.metrics or {}
    examples = found["examples"]
    labels = _labels(found)
    counts = tuple((number(digit), number(count)) for digit, count in enumerate(found["class_counts"]))
    total = sum(found["class_counts"])
    looks = Section(
        "What does the data look like?",
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
        _arrays(found),
        *map(Paragraph, found.get("preparation", ())),
        Table("Training digits per class", ("digit", "count"), counts, folded=True),
    )
    one_hot = Section(
        "How is a label one-hot encoded?",
        Paragraph("As a row of ten numbers: 1 in the column of the digit (counted from 0), 0 elsewhere."),
        _one_hot(found),
    )
    return [looks, one_hot]


def examples_story(found: Mapping[str, Any]) -> Story:
    """What the metrics of `show-examples` tell."""
    return Story(
        "examples",
        f"{sum(found['class_counts']):,} training digits, {len(found['examples'])} of them shown",
        f"Their labels: {_labels(found)}.",
        answers=(_arrays(found), *map(Paragraph, found.get("preparation", ())), *warnings(found), _one_hot(found)),
    )


def _labels(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{example['label']} (index {example['index']})" for example in found["examples"])


def _arrays(found: Mapping[str, Any]) -> Table:
    columns = ("type", "shape", "dtype", "values")
    rows = ((Cell(name), *(Cell(str(about[key])) for key in columns)) for name, about in found["arrays"].items())
    return Table("The arrays", ("array", *columns), tuple(rows))


def _one_hot(found: Mapping[str, Any]) -> Table:
    rows = (
        (number(example["index"]), number(example["label"]), Cell(" ".join(map(str, example["one_hot"]))))
        for example in found["examples"]
    )
    return Table("Labels and their rows", ("index", "label", "one-hot row"), tuple(rows))


def summary_sections(stored: StoredRun) -> list[Section]:
    """What the network looks like."""
    found = stored.metrics or {}
    layers = [LayerRow(**{**layer, "output_shape": tuple(layer["output_shape"])}) for layer in found["layers"]]
    network = Section(
        "What kind of network is it?",
        Paragraph(f"A {found['network']}, with {found['parameters']:,} trainable parameters.", "answer"),
        Picture(
            "The network, layer by layer",
            f"Boxes from the input to the {len(layers)}th layer with output shapes and parameter counts.",
            drawings.network(layers),
        ),
        _layers(found),
    )
    return [network, _learning(found)]


def summary_story(found: Mapping[str, Any]) -> Story:
    """What the metrics of `summary` tell."""
    return Story(
        "network",
        f"A network of {found['parameters']:,} parameters",
        f"{len(found['layers'])} layers; {found['updates_per_epoch']} weight updates per epoch.",
        facts=(
            Fact("parameters", f"{found['parameters']:,}"),
            Fact("updates per epoch", f"{found['updates_per_epoch']}", f"batches of {found['batch_size']} digits"),
            Fact("updates in total", f"{found['updates']:,}"),
        ),
        answers=(_layers(found), *_learning(found).blocks),
    )


def _layers(found: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            Cell(layer["name"]),
            Cell(layer["kind"]),
            Cell(" \N{MULTIPLICATION SIGN} ".join(map(str, layer["output_shape"]))),
            number(layer["parameters"], ","),
            Cell(layer["arithmetic"] or DASH),
            Cell(layer["activation"] or DASH),
        )
        for layer in found["layers"]
    )
    return Table("Layers", ("layer", "kind", "output", "parameters", "arithmetic", "activation"), rows)


def _learning(found: Mapping[str, Any]) -> Section:
    optimizer = dict(found["optimizer"])
    name = optimizer.pop("name")
    return Section(
        "How is it trained?",
        Paragraph(
            f"Optimizer {name} ({shown.settings(optimizer)}). {found['training_digits']} digits in batches of "
            f"{found['batch_size']}: {found['updates_per_epoch']} weight updates per epoch.",
            "answer",
        ),
        Paragraph(f"The loss is {found['loss']}."),
    )
