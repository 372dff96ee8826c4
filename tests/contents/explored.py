"""`summary` and `show-examples`: what the network's settings and the packaged digits say, and where it is told."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from .claims import table
from .drawings import Drawn
from .records import Record
from .training import numbers_of


def network(record: Record) -> dict[str, Any]:
    """Everything that may be told of the network `cnn`, by name."""
    config = record.config
    model, many, side, channels, number = config["model"], config["data"]["digits"], 28, 1, 0
    rows: dict[str, list[float]] = {}
    for number, filters in enumerate(model["filters"], start=1):
        size = model["kernel_size"]
        parts, side = [size, size, channels, 1, filters], side - size + 1
        rows[f"conv_{number}"] = [side, side, filters, (size * size * channels + 1) * filters, *parts]
        channels, side = filters, side // 2
        rows[f"pool_{number}"] = [side, side, channels, 0]
        if number == 1:
            rows["dropout_1"] = [side, side, channels, 0, model["dropout"]]
    flat, units, classes = side * side * channels, model["dense_units"], model["classes"]
    rows |= {"flatten": [flat, 0], "dense": [units, (flat + 1) * units, flat, 1, units]}
    rows |= {"dropout_2": [units, 0, model["dropout"]], "output": [classes, (units + 1) * classes, units, 1, classes]}
    shapes = {name: 1 if len(row) < 4 or name in ("dense", "output") else 3 for name, row in rows.items()}
    training = many - round(many * config["data"]["test_fraction"])
    updates = -(-training // config["training"]["batch_size"])
    found: dict[str, Any] = {
        "parameters": sum(row[shapes[name]] for name, row in rows.items()), "layers": len(rows), "digits": training,
        "updates": updates, "updates in total": updates * config["training"]["epochs"],
        "batch size": config["training"]["batch_size"], "optimizer": numbers_of(config["optimizer"]),
    }  # fmt: skip
    found["of layers"] = [0, 1, 28, *(number for row in rows.values() for number in row)]
    for name, row in rows.items():
        place, shape = f"layers / {name}", shapes[name]
        found |= {f"{place} / output": row[:shape], f"{place} / parameters": row[shape]}
        found |= {f"{place} / arithmetic": row[shape:], f"{place} / activation": row[shape + 1 :]}
    return found | _about(record)


def examples(record: Record) -> dict[str, Any]:
    """Everything that may be told of the digits, by name; which ones are shown is up to chance."""
    config, (images, labels) = record.config["data"], record.digits
    rows = np.arange(config["digits"])
    train, _ = train_test_split(rows, test_size=config["test_fraction"], random_state=config["split_seed"])
    counts, shown = np.bincount(labels[train], minlength=10), [one["index"] for one in record.metrics["examples"]]
    found: dict[str, Any] = {
        "training digits": len(train), "shown": len(shown), "all": len(rows), "counts": [counts.min(), counts.max()],
        "classes": len(counts), "bits": [0, 1], "grey": [0, 1, 255], "shape": [len(rows), *images.shape[1:], 1],
        "examples": [number for index in shown for number in (labels[train][index], index)],
    }  # fmt: skip
    ends = {"x": [0, 1], "y": [0, 9], "y_oh": [0, 1], "x_train": [0, 255], "y_train": [0, 9], "y_train one-hot": [0, 1]}
    for name, values in ends.items():
        many = len(train) if "train" in name else len(rows)
        last = [28, 28] if name.startswith("x") else [10] if "oh" in name or "one-hot" in name else []
        found |= {f"the arrays / {name} / shape": [many, *last, 1], f"the arrays / {name} / values": values}
        found[f"the arrays / {name} / dtype"] = [8, 32, 64]
    for digit, count in enumerate(counts):
        place = f"training digits per class / {digit}"
        found |= {f"{place} / digit": digit, f"{place} / count": count}
    for index in shown:
        place = f"labels and their rows / {index}"
        found |= {f"{place} / index": index, f"{place} / label": labels[train][index]}
        found[f"{place} / one-hot row"] = [0, 1]
    return found | _about(record)


def drawn_network(shown: Drawn, known: Mapping[str, Any]) -> Iterator[str]:
    """Shapes and sums of parameters that the figure of the network has otherwise than its settings give."""
    times = " \N{MULTIPLICATION SIGN} "
    planes = [value for name, value in known.items() if name.endswith(" / output") and len(value) == 3]
    sums = [value for name, value in known.items() if name.endswith(" / arithmetic") and len(value) > 2]
    own = [times.join(map(str, plane)) for plane in ([28, 28, 1], *planes)]
    own += [f"({times.join(map(str, row[1:-2]))} + 1){times}{row[-1]} = {row[0]:,}" for row in sums]
    told = [word for word in shown.words if "=" in word or word.count(times) == 2]
    if sorted(told) != sorted(own):
        yield f"the layers are drawn as {told}, by the settings {own}"


def _about(record: Record) -> dict[str, Any]:
    return {
        "settings": numbers_of(record.config), "environment": numbers_of(record.json("environment.json")),
        "seconds": record.json("status.json").get("seconds"), "seed": record.config["seed"],
    }  # fmt: skip


NETWORK = table(
    r"""
^headline|^tile parameters|^what kind.*answer :: . :: parameters
^lead|^how is it trained :: layers|updates per epoch :: layers, updates
^tile updates per epoch$ :: . :: updates
^tile updates per epoch / note :: . :: batch size
^tile updates in total :: . :: updates in total
^how is it trained.*answer :: ^Optimizer :: optimizer
^how is it trained.*answer :: digits in batches :: digits, batch size, updates
description$ :: Boxes from the input :: layers
^figure network :: in total :: parameters
^figure network :: grey values|\W\d|rate|^\s*[\d,]+\s*$ :: of layers
how was this made :: . :: settings, environment, seconds, seed
"""
)
EXAMPLES = table(
    r"""
^headline :: training digits :: training digits, shown
^lead|description$ :: index :: examples
^what does the data.*answer :: training digits :: training digits, counts
^what does the data.*plain :: Reshape|last axis|the shape that :: shape
^what does the data.*plain :: grey values|divided by|X is float32 :: grey
^what does the data.*plain :: labels in y :: all, classes, bits
^how is a label.*plain :: . :: bits
how was this made :: . :: settings, environment, seconds, seed
"""
)
