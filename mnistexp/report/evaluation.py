"""The report of an evaluation: the accuracy of a model on labelled digits, and its mistakes."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mnistexp.config import shown
from mnistexp.figures import plots
from mnistexp.report.origin import warnings
from mnistexp.report.page import Block, Fact, Paragraph, Picture, Section, Story
from mnistexp.report.tested import MISREAD, MISREAD_TITLE, class_table, misread_sentence
from mnistexp.runs.predictions import Mistake
from mnistexp.runs.stored_runs import StoredRun


def evaluation_sections(stored: StoredRun) -> list[Section]:
    """Of a finished evaluation. Raises RunError where its files are missing or damaged."""
    found = stored.metrics or {}
    names, digits = found["class_names"], f"{found['digits']:,} digits"
    mistakes, wrong = [Mistake(**one) for one in found["mistakes"]], found["digits"] - found["correct"]
    return [
        Section("How accurate is it on these digits?", *_accuracy(found)),
        _classes(found),
        _calibration(found),
        Section(
            MISREAD,
            Paragraph(misread_sentence(mistakes, names, wrong, digits, "The model"), "answer"),
            Picture(MISREAD_TITLE, f"{MISREAD_TITLE}, each with its label.", stored.read_bytes("mistakes.png")),
        ),
    ]


def evaluation_story(found: Mapping[str, Any]) -> Story:
    """What the metrics of `evaluate` tell."""
    source = "the unseen digits" if found["source"] == "unseen" else found["source"]
    whose = "its own test digits" if found["own_test_digits"] else source
    classes = class_table(np.array(found["confusion_matrix"]), found["class_names"])
    return Story(
        kind="evaluation",
        headline=f"{found['correct']:,} of {found['digits']:,} digits classified correctly",
        lead=(
            f"The model of {found['run']} on {whose}: an accuracy of {shown.percent(found['accuracy'])}, 95% interval "
            f"{shown.span(*found['interval'])}."
        ),
        facts=(
            Fact("accuracy", shown.percent(found["accuracy"]), shown.span(*found["interval"])),
            Fact("macro F1", f"{found['macro_f1']:.3f}", "mean over the classes"),
            Fact("calibration error", f"{found['calibration']['error']:.3f}", "0 is perfect"),
        ),
        answers=(*_accuracy(found), Paragraph(found["calibration"]["sentence"]), classes),
    )


def _accuracy(found: Mapping[str, Any]) -> Iterator[Block]:
    yield Paragraph(
        f"The model classifies {found['correct']:,} of {found['digits']:,} digits correctly, an accuracy of "
        f"{shown.percent(found['accuracy'])} (95% confidence interval {shown.span(*found['interval'])}, Wilson).",
        "answer",
    )
    for section in ("expected", "trained_on", "ledger"):
        if found[section] and (told := found[section]["sentence"]) not in found["warnings"]:
            yield Paragraph(told)
    if found["converted"]:
        yield Paragraph(f"Converted while reading: {'; '.join(found['converted'])}.")
    yield from warnings(found)


def _classes(found: Mapping[str, Any]) -> Section:
    names = found["class_names"]
    counts = np.array(found["confusion_matrix"], dtype=np.int64)
    known = [row for row in found["per_class"] if row["recall"] is not None]
    worst = min(known, key=lambda row: row["recall"])
    return Section(
        "Which classes does it confuse?",
        Paragraph(f"The lowest recall is that of {names[worst['class']]}: {shown.percent(worst['recall'])}.", "answer"),
        Picture(
            "Confusion matrix",
            "Rows are the correct classes, columns the predicted ones.",
            plots.confusion_matrix(counts, names),
        ),
        class_table(counts, names),
    )


def _calibration(found: Mapping[str, Any]) -> Section:
    calibration = found["calibration"]
    return Section(
        "Are its probabilities calibrated?",
        Paragraph(calibration["sentence"], "answer"),
        Picture(
            "Reliability diagram",
            "Accuracy by the probability of the predicted class; the diagonal is perfect calibration.",
            plots.reliability_diagram(calibration["bins"], calibration["error"]),
        ),
    )
