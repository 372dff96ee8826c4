"""Answers of `runs compare` for a terminal and as JSON: which run is better, and how groups of runs vary."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from mnistexp.cli.console import plain_table
from mnistexp.config.shown import counted, name, value

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.groups import Grouped
    from mnistexp.runs.paired import Digit, Paired

__all__ = ["grouped_document", "grouped_report", "paired_document", "paired_report"]

MOST_DIGITS = 12
"""How many digits that only one run reads are listed; --json has all."""


def grouped_document(found: "Grouped") -> dict[str, Any]:
    """Groups as JSON."""
    groups = [
        {
            "settings": group.settings,
            "runs": [run.id for run in group.runs],
            "seeds": [run.settings.get("seed") for run in group.runs],
            "values": group.values,
            "count": group.over_runs.n,
            "mean": group.over_runs.mean,
            "std": group.over_runs.std,
            "interval": [group.over_runs.interval.low, group.over_runs.interval.high]
            if group.over_runs.interval
            else None,
        }
        for group in found.groups
    ]
    return {"metric": found.metric, "groups": groups, "without_metric": found.without, "same_seed": found.again}


def grouped_report(found: "Grouped") -> Iterator[RenderableType]:
    """A row for each group: its settings, how many runs, mean, standard deviation, interval, the newest run."""
    table = plain_table("runs", f"mean {found.metric}", "std", "95% interval", "settings, and the newest run")
    for group in found.groups:
        told = group.over_runs
        interval = f"{told.interval.low:.4f} to {told.interval.high:.4f}" if told.interval else "-"
        std = "-" if told.std is None else f"{told.std:.4f}"
        told_apart = {key: item for key, item in group.settings.items() if item not in (None, "None")}
        settings = ", ".join(
            f"{name(key)} {value(item)}"
            for key, item in told_apart.items()
            if not key.startswith("sweep.")  # of `best`: its searches
        )
        newest = Text(f"{settings or 'all settings'}\n{group.runs[0].id}")
        table.add_row(str(told.n), f"{told.mean:.4f}", std, interval, newest)
    for column in table.columns[:-1]:
        column.min_width = len(str(column.header).split()[0])
    yield table
    if any(group.over_runs.interval is None for group in found.groups):
        yield Text("An interval needs three runs with different seeds.")
    if found.again:
        yield Text(f"Not counted: {counted(found.again, 'run')} with the settings and seed of a newer one.")
    if found.without:
        yield Text(f"Not counted: {counted(found.without, 'run')} without {found.metric}.")


def paired_document(answer: "Paired") -> dict[str, Any]:
    """A comparison with the first run as JSON."""
    found = answer.found
    numbers = {
        "first_accuracy": found.first,
        "second_accuracy": found.second,
        "difference": found.difference,
        "interval": [found.interval.low, found.interval.high],
        "p_value": found.p_value,
        "adjusted_p_value": answer.p_value,
        "test": found.test,
        "only_first": [asdict(digit) for digit in answer.only_first],
        "only_second": [asdict(digit) for digit in answer.only_second],
    } if found else {}  # fmt: skip
    about = {"first": answer.first, "second": answer.second, "verdict": answer.verdict, "reason": answer.reason}
    return about | {"digits": answer.digits, "trainings": answer.trainings} | numbers | {"sentence": answer.sentence}


def paired_report(answers: "Sequence[Paired]") -> Iterator[RenderableType]:
    """The answer for each run after the first, and the digits that only one of the two classifies correctly."""
    styles = {"better": "bold green", "worse": "bold red"}
    for number, answer in enumerate(answers, start=2):
        yield Text.assemble((f"\n{number} against 1  ", "bold"), (answer.sentence, styles.get(answer.verdict, "")))
        for reader, digits in ((number, answer.only_second), (1, answer.only_first)):
            if digits:
                listed = _listed(digits, of_second=reader == 1)
                yield Text(f"{counted(len(digits), 'digit')} that only {reader} classifies correctly: {listed}")
    if sum(answer.found is not None for answer in answers) > 1:
        yield Text("The p-values are adjusted for the number of comparisons (Holm).")


def _listed(digits: "Sequence[Digit]", *, of_second: bool) -> str:
    """Row, label, and the prediction of the run that misreads the digit."""
    shown = [
        f"{digit.label} (row {digit.row}, read as {digit.second if of_second else digit.first})"
        for digit in digits[:MOST_DIGITS]
    ]
    more = f" and {len(digits) - MOST_DIGITS} more" if len(digits) > MOST_DIGITS else ""
    return ", ".join(shown) + more
