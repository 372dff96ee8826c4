"""Each number that the notebook reported beside ours: value, interval, and whether the two agree."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from mnistexp import data, statistics
from mnistexp.commands.assignment.assignment import BEST, WITH_DROPOUT
from mnistexp.commands.assignment.comparison_row import ROUNDED, ComparisonRow, Done, compared, finite
from mnistexp.commands.assignment.curves import curve_rows
from mnistexp.commands.assignment.grids import submitted_rows
from mnistexp.commands.assignment.reported import ACCURACIES, CLASS_COUNTS, FAULTS, PARAMETERS, reported_rows
from mnistexp.config import shown
from mnistexp.runs.results import Outcome


def table_of(done: Done, digits: data.Digits) -> list[ComparisonRow]:
    """The rows in the order of the assignment. Raises RunError if a run can't be read."""
    first = len(digits) == sum(CLASS_COUNTS)
    parts = _data_rows(done, digits, comparable=first), curve_rows(done), submitted_rows(done), _intended_rows(done)
    return [finite(row) for rows in parts for row in rows]


def _data_rows(done: Done, digits: data.Digits, *, comparable: bool) -> Iterator[ComparisonRow]:
    examples, network = done["data", "example digits"], done["data", "network"]
    other = "not comparable: other digits than the notebook's 1,000"
    shown = examples.metrics["examples"]
    places = ", ".join(str(example["index"]) for example in shown)
    printed = [int(digits.labels[example["index"]]) for example in shown]
    for what, reported, ours, outcome, how, fault in (
        ("digits of each class, 0 to 9", list(CLASS_COUNTS), data.class_counts(digits.labels).tolist(), examples,
         "equal counts" if comparable else other, ""),
        (f"labels printed for the pictures {places}", printed if comparable else None,
         [example["label"] for example in shown], examples, "equal; ours are the labels of the images shown", "labels"),
        ("parameters of the network", PARAMETERS, network.metrics["parameters"], network, "equal", ""),
    ):  # fmt: skip
        agrees = reported == ours if comparable or outcome is network else None
        yield ComparisonRow("data", what, reported, ours, None, agrees, how, FAULTS.get(fault), outcome.run_dir.name)


def _intended_rows(done: Done) -> Iterator[ComparisonRow]:
    reported = reported_rows()
    for (part, family), outcome in done.items():
        if part != "as intended" or family not in reported:
            continue
        best = max(reported[family], key=lambda row: row.mean)
        found = outcome.metrics
        own, theirs = map(shown.settings, (found["best_params"], best.params))
        row = partial(compared, "as intended", f"{family}: best score of the grid", best.mean, found["best_score"])
        how = f"settings applied: {own}; the notebook's best: {theirs}"
        yield row(None, how, fault="settings", run=outcome.run_dir.name)
    yield from _best_rows(done["as intended", BEST])


def _best_rows(outcome: Outcome) -> Iterator[ComparisonRow]:
    found, row = outcome.metrics, partial(compared, "as intended", run=outcome.run_dir.name)
    selection, notebook = found["representative"]["selection"], found["better"]["notebook"]
    for name in ("best", "worst", "average"):
        interval, how = None, "not comparable: the notebook's grids did not apply their settings, ours did"
        if name == "best":
            interval = tuple(selection["interval"])
            how = "95% interval of our highest score, corrected for selection"
        numbers = notebook["reported"][name], notebook["ours"][name]
        yield row(f'the notebook\'s "{name} model"', *numbers, interval, how, fault="arithmetic")
    wilson, reported = statistics.wilson(found["test_correct"], found["test_digits"]), ACCURACIES[WITH_DROPOUT]
    how = f'95% Wilson interval on {found["test_digits"]} digits; reported as "about {reported}"'
    numbers, ends = (reported, found["test_accuracy"]), (wilson.low, wilson.high)
    yield row("test accuracy of the best model", *numbers, ends, how, tolerance=ROUNDED)
    unseen = found["representative"]["unseen"]
    how = f"the notebook had no unseen digits. {unseen['sentence']}"
    shown = row("accuracy of the best model on unseen digits", None, unseen["accuracy"], None, how)
    yield replace(shown, interval=tuple(unseen["interval"]))
