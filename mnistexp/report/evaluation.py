"""The report of an evaluation: the accuracy of a model on labelled digits, and its mistakes."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mnistexp.figures import plots
from mnistexp.report.origin import how_it_was_made, warnings
from mnistexp.report.page import (
    Block,
    Fact,
    Facts,
    Paragraph,
    Picture,
    RunReport,
    Section,
    Story,
    percent_range,
)
from mnistexp.report.tested import class_table
from mnistexp.runs.predictions import Mistake
from mnistexp.runs.stored_runs import StoredRun


def evaluation_report(stored: StoredRun) -> RunReport:
    """A finished evaluation. Raises RunError where its files are missing or damaged."""
    found = stored.metrics or {}
    return RunReport(
        stored.id,
        evaluation_story(found),
        (
            Section("How accurate is it on these digits?", tuple(_accuracy(found))),
            _classes(found),
            _calibration(found),
            Section(
                "Which mistakes were most confident?",
                (
                    Paragraph(_mistakes(found), "answer"),
                    Picture(
                        "The most confident mistakes",
                        "Misclassified digits, each with its label, predicted class and predicted probability.",
                        stored.read_bytes("mistakes.png"),
                    ),
                ),
            ),
            how_it_was_made(stored),
        ),
    )


def evaluation_story(found: Mapping[str, Any]) -> Story:
    """What the metrics of `evaluate` tell."""
    source = "the unseen digits" if found["source"] == "unseen" else found["source"]
    whose = "its own test digits" if found["own_test_digits"] else source
    classes = class_table(np.array(found["confusion_matrix"]), found["class_names"])
    return Story(
        kind="evaluation",
        headline=f"{found['correct']:,} of {found['digits']:,} digits classified correctly",
        lead=(
            f"The model of {found['run']} on {whose}: an accuracy of {found['accuracy']:.1%}, 95% interval "
            f"{percent_range(found['interval'])}."
        ),
        facts=Facts(
            (
                Fact("accuracy", f"{found['accuracy']:.1%}", percent_range(found["interval"])),
                Fact("macro F1", f"{found['macro_f1']:.3f}", "mean over the classes"),
                Fact("calibration error", f"{found['calibration']['error']:.3f}", "0 is perfect"),
            )
        ),
        answers=(*_accuracy(found), Paragraph(found["calibration"]["sentence"]), classes),
    )


def _accuracy(found: Mapping[str, Any]) -> Iterator[Block]:
    yield Paragraph(
        f"The model classifies {found['correct']:,} of {found['digits']:,} digits correctly, an accuracy of "
        f"{found['accuracy']:.1%} (95% confidence interval {percent_range(found['interval'])}, Wilson).",
        "answer",
    )
    for section in ("expected", "trained_on", "ledger"):
        if found[section]:
            yield Paragraph(found[section]["sentence"])
    if found["converted"]:
        yield Paragraph(f"Converted while reading: {'; '.join(found['converted'])}.")
    yield from warnings(found)


def _classes(found: Mapping[str, Any]) -> Section:
    names = found["class_names"]
    counts = np.array(found["confusion_matrix"], dtype=np.int64)
    known = [row for row in found["per_class"] if row["recall"] is not None]
    worst = min(known, key=lambda row: row["recall"])
    shown = None if names == [str(place) for place in range(10)] else names
    return Section(
        "Which classes does it confuse?",
        (
            Paragraph(f"The lowest recall is that of {names[worst['class']]}: {worst['recall']:.1%}.", "answer"),
            Picture(
                "Confusion matrix",
                "Rows are the correct classes, columns the predicted ones.",
                plots.confusion_matrix(counts, shown),
            ),
            class_table(counts, names),
        ),
    )


def _calibration(found: Mapping[str, Any]) -> Section:
    calibration = found["calibration"]
    return Section(
        "Are its probabilities calibrated?",
        (
            Paragraph(calibration["sentence"], "answer"),
            Picture(
                "Reliability diagram",
                "Accuracy by the probability of the predicted class; the diagonal is perfect calibration.",
                plots.reliability_diagram(calibration["bins"], calibration["error"]),
            ),
        ),
    )


def _mistakes(found: Mapping[str, Any]) -> str:
    names, missed = found["class_names"], found["digits"] - found["correct"]
    if not missed:
        return "No digit was misclassified."
    first = found["mistakes"][0]
    return (
        f"{missed:,} digits were misclassified. The most confident mistake is a {names[first['label']]} predicted as "
        f"{names[first['prediction']]} with a probability of {Mistake(**first).certainty}."
    )
