"""`runs compare`, on a terminal, as JSON and on a page of several runs: which is better on the same test digits."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import differences
from .claims import About, is_rounded, near
from .curves import mean_and_range, measured
from .drawings import Drawn
from .paired import Own, compared
from .passages import Page
from .records import Record

DASH = "\N{EN DASH}"
HEADING = "How do the runs compare?"
MOST_DIGITS = 12
"""Digits that a terminal lists."""
ANSWER = re.compile(
    r"(Better|Worse|No significant difference): (?P<second>[\d.]+)% against (?P<first>[\d.]+)% of the same "
    r"(?P<digits>\d+) test digits: (?P<points>[+-][\d.]+) points, 95% interval (?P<low>[+-][\d.]+) to "
    r"(?P<high>[+-][\d.]+); p = (?P<p>[\d.e-]+) \((?P<test>[^)]*)\)\. The comparison is of (these two networks|the two)"
)
VERDICTS = {"Better": "better", "Worse": "worse", "No significant difference": "not told apart"}


def answer_faults(place: str, text: str, own: Own | None) -> list[str]:
    """What a sentence tells wrongly of a comparison."""
    if own is None:
        return [] if "The runs can't be compared: " in text else [f"{place}: these can't be compared: {text[:160]}"]
    if not (told := ANSWER.search(text)):
        return [f"{place}: no comparison in {text[:160]!r}"]
    low, high = own["interval"]
    numbers = {
        "second": (own["second_accuracy"], 100), "first": (own["first_accuracy"], 100), "digits": (own["digits"], 1),
        "low": (low, 100), "high": (high, 100), "p": (own["adjusted_p_value"], 1),
    }  # fmt: skip
    found = [f"{place}: {name} is told as {told[name]}, the predictions have {value}"
             for name, (value, scale) in numbers.items() if not is_rounded(told[name], value, scale)]  # fmt: skip
    if abs(float(told["second"]) - float(told["first"]) - float(told["points"])) > 0.051:
        found.append(f"{place}: {told['second']} less {told['first']} is told as {told['points']}")
    who = "these two networks" if max(own["trainings"]) == 1 else "the two"
    words = [VERDICTS[told[1]], told["test"], told[10]]
    if words != [own["verdict"], own["test"], who]:
        found.append(f"{place}: told are {', '.join(words)}; by the predictions {own['verdict']}, {own['test']}, {who}")
    return found


def document_faults(records: Sequence[Record], document: Mapping[str, Any]) -> list[str]:
    """What `runs compare --json` tells wrongly."""
    names = [record.path.name for record in records]
    found = [] if document["runs"] == names else [f"runs compare --json: {document['runs']} are not {names}"]
    for name, told, own in zip(names[1:], document["paired"], compared(records), strict=True):
        place = f"runs compare --json: {name}"
        found += answer_faults(place, told["sentence"], own)
        if own is None and (told["verdict"] != "not comparable" or not told["reason"] or "p_value" in told):
            found.append(f"{place}: not comparable, but {told['verdict']}")
        keys = own.keys() - {"smallest_drop"} if own else ()
        found += [f"{place}: {key} is {told.get(key)}, the predictions have {own[key]}"
                  for key in sorted(keys) if own and not _alike(told.get(key), own[key])]  # fmt: skip
    return found + differences.document_faults(records, document["differences"])


def _alike(told: Any, own: Any) -> bool:
    if isinstance(own, list):
        return isinstance(told, list) and len(told) == len(own) and all(map(_alike, told, own))
    if isinstance(own, About | float) and isinstance(told, int | float):
        return near(told, own) and (isinstance(own, About) or bool(np.isclose(told, own, rtol=1e-5, atol=1e-12)))
    return bool(told == own)


def text_faults(records: Sequence[Record], text: str) -> list[str]:
    """What `runs compare` prints wrongly."""
    blocks = re.findall(r"^(\d+ against 1)  (.*)((?:\n\d+ digits? that only .*)*)", text, re.M)
    own = compared(records)
    found = [] if len(blocks) == len(own) else [f"runs compare: {len(blocks)} answers about {len(own)} runs"]
    names = [f"{number}  {record.path.name}" for number, record in enumerate(records, start=1)]
    if (heads := text.splitlines()[: len(names)]) != names:
        found.append(f"runs compare: begins with {heads}, the runs are {names}")
    for number, ((place, answer, lists), one) in enumerate(zip(blocks, own, strict=False), start=2):
        found += answer_faults(f"runs compare: {place}", answer, one)
        if one:
            of_both = {str(number): (one["only_second"], "first"), "1": (one["only_first"], "second")}
            printed = _printed(lists)
            for reader, (digits, other) in of_both.items():
                listed, told = _listed(digits, other) if digits else None, printed.get(reader)
                if told != listed:
                    found.append(f"runs compare: {place}: only {reader} reads {told}, by the predictions {listed}")
    return found + differences.text_faults(records, text)


def _listed(digits: Sequence[Mapping[str, Any]], other: str) -> tuple[Any, ...]:
    shown = [(one["label"], str(one["row"]), one[other]) for one in digits[:MOST_DIGITS]]
    return str(len(digits)), shown, str(len(digits) - MOST_DIGITS) if len(digits) > MOST_DIGITS else ""


def _printed(lists: str) -> dict[str, tuple[Any, ...]]:
    found = {}
    for number, reader, listed in re.findall(r"(\d+) digits? that only (\d+) classifies correctly: (.*)", lists):
        digits = re.findall(r"(\w+) \(row (\d+), read as (\w+)\)", listed)
        found[reader] = number, digits, (re.findall(r" and (\d+) more$", listed) or [""])[0]
    return found


def page_faults(records: Sequence[Record], page: Page) -> list[str]:
    """What a page of several runs tells wrongly where it compares them; `tiles_of` has the numbers of each."""
    tested = [record for record in records if record.command in ("train", "best")]
    answers = [text for place, text in page.passages if place == f"{HEADING} / answer"]
    found = [] if len(answers) == len(tested) - 1 else [f"{HEADING}: {len(answers)} answers about {len(tested)} runs"]
    for text, other, own in zip(answers, tested[1:], compared(tested), strict=False):
        found += answer_faults(f"{HEADING} {other.path.name}", text, own)
        if not text.startswith(f"{other.path.name} against {tested[0].path.name}: "):
            found.append(f"{HEADING}: another run in place of {other.path.name}: {text[:160]}")
    rows = [f"{number}: {record.path.name}" for number, record in enumerate(records, start=1)]
    for place, text in page.passages:
        *above, row, label = ["", *place.split(" / ")]
        if above[-2:] == [HEADING, "The runs side by side"] and label != "run":
            tiles = tiles_of(page)[rows.index(row)]
            below = tiles.get(f"tile mean {label}", tiles.get(f"tile {label}", DASH))
            found += [f"{place}: {text}, but below it is {below}"] if text != below else []
    return found


def tiles_of(page: Page) -> list[dict[str, str]]:
    """The leads and tiles of each run on a page of several, by their places on a page of that run alone."""
    found: list[dict[str, str]] = []
    for place, text in page.passages:
        if told := re.search(r"(?:^| / )(lead|tile .*)$", place):
            found += [{}] if told[1] == "lead" else []
            found[-1][told[1]] = text
    return found


def curves_faults(shown: Drawn, records: Sequence[Record]) -> list[str]:
    """What a figure of the learning curves of several runs shows otherwise than their files."""
    legend = next(panel for panel in shown.panels if panel.texts and not panel.ticks["x"])
    inks = [colour for _, colour in [*legend.lines, *legend.marks][: len(records)]]
    names, own = [text for _, text in legend.texts], [record.path.name for record in records]
    found = [] if names == own else [f"the legend has {names}, the runs are {own}"]
    for record, colour in zip(records, inks, strict=True):
        for panel in shown.axes:
            field, scale = measured(panel)
            curves = scale * record.curves(field)
            if np.isfinite(curves).any():
                found += mean_and_range(panel, curves, colour, f"{field} of {record.path.name}")
    return found
