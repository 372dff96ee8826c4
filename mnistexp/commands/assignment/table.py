"""Each number that the notebook reported beside ours: value, interval, and whether the two agree."""

from collections.abc import Iterator, Mapping
from typing import Any

from mnistexp import data, statistics
from mnistexp.commands.assignment.assignment import BEST, WITH_DROPOUT
from mnistexp.commands.assignment.comparison_row import ROUNDED, Done, Row, finite
from mnistexp.commands.assignment.curves import curve_rows
from mnistexp.commands.assignment.grids import submitted_rows
from mnistexp.commands.assignment.reported import ACCURACIES, CLASS_COUNTS, FAULTS, PARAMETERS, reported_rows
from mnistexp.runs.results import Outcome

__all__ = ["table_of"]


def table_of(done: Done, digits: data.Digits) -> list[Row]:
    """The rows in the order of the assignment. Raises RunError if a run can't be read."""
    first = len(digits) == sum(CLASS_COUNTS)
    parts = _data_rows(done, digits, comparable=first), curve_rows(done), submitted_rows(done), _intended_rows(done)
    return [finite(row) for rows in parts for row in rows]


def _data_rows(done: Done, digits: data.Digits, *, comparable: bool) -> Iterator[Row]:
    examples, network = done["data", "example digits"], done["data", "network"]
    counts = data.class_counts(digits.labels).tolist()
    yield Row(
        "data",
        "digits of each class, 0 to 9",
        list(CLASS_COUNTS),
        counts,
        None,
        counts == list(CLASS_COUNTS) if comparable else None,
        "equal counts" if comparable else "not comparable: other digits than the notebook's 1,000",
        run=examples.run_dir.name,
    )
    shown = examples.metrics["examples"]
    places = ", ".join(str(example["index"]) for example in shown)
    printed = [int(digits.labels[example["index"]]) for example in shown]
    ours = [example["label"] for example in shown]
    yield Row(
        "data",
        f"labels printed for the pictures {places}",
        printed if comparable else None,
        ours,
        None,
        printed == ours if comparable else None,
        "equal; ours are the labels of the images shown",
        FAULTS["labels"],
        examples.run_dir.name,
    )
    parameters = network.metrics["parameters"]
    yield Row(
        "data",
        "parameters of the network",
        PARAMETERS,
        parameters,
        None,
        parameters == PARAMETERS,
        "equal",
        run=network.run_dir.name,
    )


def _intended_rows(done: Done) -> Iterator[Row]:
    reported = reported_rows()
    for (part, family), outcome in done.items():
        if part != "as intended" or family == BEST or family not in reported:
            continue
        best = max(reported[family], key=lambda row: row.mean)
        yield Row(
            "as intended",
            f"{family}: best score of the grid",
            best.mean,
            outcome.metrics["best_score"],
            None,
            None,
            f"settings applied: {_words(outcome.metrics['best_params'])}; the notebook's best: {_words(best.params)}",
            FAULTS["settings"],
            outcome.run_dir.name,
        )
    yield from _best_rows(done["as intended", BEST])


def _words(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in params.items())


def _best_rows(outcome: Outcome) -> Iterator[Row]:
    found, run = outcome.metrics, outcome.run_dir.name
    selection, notebook = found["representative"]["selection"], found["better"]["notebook"]
    low, high = selection["interval"]
    for name in ("best", "worst", "average"):
        corrected = (low, high) if name == "best" else None
        yield Row(
            "as intended",
            f'the notebook\'s "{name} model"',
            notebook["reported"][name],
            notebook["ours"][name],
            corrected,
            low <= notebook["reported"][name] <= high if corrected else None,
            "95% interval of our highest score, corrected for selection"
            if corrected
            else "not comparable: with the settings applied, the worst settings score far lower",
            FAULTS["arithmetic"],
            run,
        )
    interval = statistics.wilson(found["test_correct"], found["test_digits"])
    reported = ACCURACIES[WITH_DROPOUT]
    yield Row(
        "as intended",
        "test accuracy of the best model",
        reported,
        found["test_accuracy"],
        (interval.low, interval.high),
        interval.low - ROUNDED <= reported <= interval.high + ROUNDED,
        f'95% Wilson interval on {found["test_digits"]} digits; reported as "about {reported}"',
        run=run,
    )
    unseen = found["representative"]["unseen"]
    yield Row(
        "as intended",
        "accuracy of the best model on unseen digits",
        None,
        unseen["accuracy"],
        tuple(unseen["interval"]),
        None,
        f"the notebook had no unseen digits. {unseen['sentence']}",
        run=run,
    )
