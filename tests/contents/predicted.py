"""`predict`, on a terminal and as JSON: the probabilities that Keras computes by the saved network."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from .claims import About, is_rounded
from .records import Record

WITHIN = 2e-5
"""How far two computations of a probability in float32 may be apart."""


def probabilities(record: Record, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of images uint8 (n, 28, 28): the probabilities float32 (n, classes), and which are dark ink, bool (n,)."""
    inside = np.zeros((28, 28), bool)
    inside[1:-1, 1:-1] = True
    dark = np.median(images[:, ~inside], axis=1) > 127.5
    return record.read_by_model(np.where(dark[:, None, None], 255 - images, images)), dark


def document_faults(record: Record, images: np.ndarray, document: Mapping[str, Any]) -> list[str]:
    """What `predict --json` tells wrongly of the images of one file."""
    found = [] if document["run"] == record.path.name else [f"predict --json: {document['run']} is another run"]
    for index, (row, p, dark) in enumerate(zip(document["predictions"], *probabilities(record, images), strict=True)):
        place, likeliest = f"predict --json: image {index}", np.argsort(-p, kind="stable")[: len(row["top"])]
        told = [[one["digit"], one["probability"]] for one in row["top"]]
        if [digit for digit, _ in told] != likeliest.tolist() or told[0] != [row["digit"], row["probability"]]:
            found.append(f"{place}: {row['digit']} of {told}, the network reads {likeliest.tolist()}")
        if told != [[digit, row["probabilities"][digit]] for digit, _ in told]:
            found.append(f"{place}: {told} are not among its probabilities")
        if not np.allclose(row["probabilities"], p, rtol=0, atol=WITHIN):
            found.append(f"{place}: probabilities are {row['probabilities']}, the network has {p.tolist()}")
        if [row["index"], row["inverted"], row["centred"]] != [index, bool(dark), False]:
            found.append(f"{place}: is told to be {row['index']}, inverted {row['inverted']}, centred {row['centred']}")
    return found


def text_faults(record: Record, images: np.ndarray, text: str) -> list[str]:
    """What `predict` prints wrongly of the images of one file."""
    head, *rows = text.splitlines()
    found = [] if len(rows) == len(images) else [f"predict: {len(rows)} rows of {len(images)} images"]
    for index, (row, p) in enumerate(zip(rows, probabilities(record, images)[0], strict=False)):
        name, digit, probability, *others = re.split(r"\s{2,}", row)
        told = [f"{digit} {probability}", *(others[0].split(", ") if others else ())]
        pairs, likeliest = [one.split(" ") for one in told], np.argsort(-p, kind="stable")[: len(told)].tolist()
        if not name.endswith(f"[{index}]") or [one for one, _ in pairs] != list(map(str, likeliest)):
            found.append(f"predict: {row!r} of image {index}, the network reads {likeliest}")
        found += [f"predict: {value} of {read} in {row!r}, the network has {p[int(read)]:.5f}"
                  for read, value in pairs if not is_rounded(value, About(float(p[int(read)]), WITHIN))]  # fmt: skip
    return found if head.split() == ["image", "digit", "probability", "next"] else [*found, f"predict: heads {head!r}"]
