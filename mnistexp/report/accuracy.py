"""What a report says of accuracies: of the test digits, of several seeds, of the best trial, and on other digits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp import figures, shown, statistics
from mnistexp.ranking import fold_weights
from mnistexp.report.page import (
    Block,
    Cell,
    Paragraph,
    Picture,
    Section,
    Table,
    number,
    percent,
    percent_range,
    points,
)
from mnistexp.results import SweepResult, TrialResult
from mnistexp.statistics import PairedDifference, intervals
from mnistexp.statistics.intervals import Interval

__all__ = ["gaps_section", "test_sections", "unseen_section", "worth_section"]

MORE_DIGITS = 4000


def test_sections(found: Mapping[str, Any]) -> list[Section]:
    """How far the seeds decide what is recognised, where there are several, and what the saved network recognises."""
    repeats = found.get("repeats")
    return [*([_seeds_section(repeats)] if repeats else []), _test_section(found)]


def _test_section(found: Mapping[str, Any]) -> Section:
    """The test accuracy and its meaning, the confusions, and each digit's share."""
    counts = np.array(found["confusion_matrix"], dtype=np.int64)
    missed = [(row, column) for row, column in np.argwhere(counts) if row != column]
    missed.sort(key=lambda pair: -counts[pair])
    names = found.get("class_names") or [str(digit) for digit in range(len(counts))]
    common = ", ".join(f"{names[row]} taken for {names[column]} ({counts[row, column]})" for row, column in missed[:3])
    rows = []
    for digit, (row, right) in enumerate(zip(counts, counts.diagonal(), strict=True)):
        total = int(row.sum())
        share = percent(int(right) / total if total else None)
        held = intervals.wilson(int(right), total) if total else None
        span = percent_range((held.low, held.high)) if held else "\N{EN DASH}"
        name = Cell(names[digit]) if "class_names" in found else number(digit)
        rows.append((name, number(total), number(int(right)), share, Cell(span)))
    which = "The saved model, of the first training," if "repeats" in found else "It"
    blocks: list[Block] = [
        Paragraph(
            f"{which} recognises {found['test_correct']} of the {found['test_digits']} test digits, "
            f"{shown.percent(found['test_accuracy'])}, with a test loss of {found['test_loss']:.4f}."
            if found["test_loss"] is not None
            else f"{which} recognises {found['test_correct']} of the {found['test_digits']} test digits.",
            "answer",
        ),
        Paragraph(
            f"What the number means: {found['test_digits']} digits are a sample. Accuracies from "
            f"{percent_range(found['test_accuracy_interval'])} agree with it (95% Wilson interval), so a difference of "
            "a point or two between two networks tells nothing by itself. It is the accuracy of this one network, on "
            "digits drawn like these; it says nothing of other handwriting, and nothing of another seed."
        ),
        Picture(
            "Which digits are taken for which",
            f"Confusion matrix of the test digits, rows the correct digit, columns what it was taken for. "
            f"{'Most frequent confusions: ' + common + '.' if common else 'No digit is confused.'}",
            figures.confusion_matrix(counts, found.get("class_names")),
        ),
        Table(
            "Accuracy for each digit",
            ("digit", "shown", "recognised", "accuracy", "95% interval"),
            tuple(rows),
            more="Each class has few digits, so that its interval is wide.",
        ),
    ]
    return Section("How good is it on the test digits, and what does this number mean?", tuple(blocks))


def _seeds_section(repeats: Mapping[str, Any]) -> Section:
    """The spread of several trainings."""
    rows = tuple(
        (number(index + 1), percent(accuracy), number(loss, ".4f"))
        for index, (accuracy, loss) in enumerate(
            zip(repeats["test_accuracies"], repeats["min_val_losses"], strict=True)
        )
    )
    return Section(
        "How much depends on the seed?",
        (
            Paragraph(repeats["sentence"], "answer"),
            Table(
                "The same training with other seeds",
                ("training", "test accuracy", "lowest validation loss"),
                rows,
                more="The first training's model is the one saved, and the one described below.",
            ),
            *_confused(repeats),
        ),
    )


def _confused(repeats: Mapping[str, Any]) -> tuple[Picture, ...]:
    """The confusions of all trainings; runs of earlier versions have only the first one's."""
    if "confusion_matrix" not in repeats:
        return ()
    return (
        Picture(
            f"Confusion matrix of all {repeats['count']} trainings",
            "The sum of their confusion matrices: rows the correct digit, columns what it was taken for.",
            figures.confusion_matrix(np.array(repeats["confusion_matrix"], dtype=np.int64)),
        ),
    )


def unseen_section(found: Mapping[str, Any]) -> Section:
    """What the test accuracy lets one expect on other digits."""
    ahead = intervals.predict_accuracy(found["test_correct"], found["test_digits"], MORE_DIGITS)
    if not found["validated_on"]:
        honest = "The test digits were read once, after the training: nothing was chosen by them."
    elif found["validated_on"] == "validation":
        honest = "The number of epochs can be chosen by the validation digits; the test digits took no part in it."
    else:
        honest = (
            "The curves above were validated on the test digits. As long as the number of epochs was fixed beforehand, "
            "the accuracy is honest; once the epoch is chosen by these curves, it flatters."
        )
    return Section(
        "Is the test accuracy representative of unseen data?",
        (
            Paragraph(
                f"Of {MORE_DIGITS:,} further digits of the same kind, {shown.span(ahead.low, ahead.high)} should be "
                "recognised (95% prediction interval).",
                "answer",
            ),
            Paragraph(honest),
        ),
    )


def gaps_section(whole: Sequence[TrialResult], correct: NDArray[np.bool_], families: Sequence[str]) -> Section:
    """The best trial against the worst and the average, overall and in each family of several.

    `correct`: bool (trials, repeats, digits), of the trials in `whole`. `families`: one for each of these.
    """
    weights = fold_weights(whole[0], correct.shape[-1])
    gaps = statistics.compare_trials(correct, families if len(set(families)) > 1 else (), weights=weights)
    rows = []
    for gap in gaps:
        name = "all trials" if gap.family == "all" else gap.family
        for other, versus in (("worst", gap.versus_worst), ("average", gap.versus_average)):
            rows.append(
                (
                    Cell(f"{name}: best against {other}"),
                    percent(versus.first),
                    percent(versus.second),
                    points(versus.first, versus.second),
                    Cell(_ends(versus.interval)),
                    percent(versus.error_reduction),
                )
            )
    overall = gaps[0]
    return Section(
        "How much better is the best than the worst and the average?",
        (
            Paragraph(
                f"The best trial is {_lead(overall.versus_worst)} points of accuracy better than the worst of "
                f"{len(whole)} and {_lead(overall.versus_average)} better than their average.",
                "answer",
            ),
            Table(
                "Differences on the same digits",
                ("comparison", "best", "other", "points", "95% interval", "fewer errors"),
                tuple(rows),
                more="Paired bootstrap over the digits. The best was chosen by these digits, so that its lead is "
                "overstated, the more the smaller it is.",
            ),
        ),
    )


def _lead(versus: PairedDifference) -> str:
    return shown.points(versus.first, versus.second)


def _ends(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def worth_section(whole: Sequence[TrialResult], correct: NDArray[np.bool_], sweep: SweepResult) -> Section:
    """What the winning score is worth on digits that didn't choose it; `correct`: bool (trials, repeats, digits)."""
    bias = statistics.bbc_cv(correct, weights=fold_weights(whole[0], correct.shape[-1]))
    digits = len(sweep.labels)
    return Section(
        "Is the winning score representative of unseen data?",
        (
            Paragraph(bias.sentence, "answer"),
            Paragraph(
                f"The winner of {len(whole)} trials was chosen for its score on these {digits} digits. The correction "
                "draws the digits anew many times, chooses on those drawn, and scores on those left out (BBC-CV, "
                "Tsamardinos, Greasidou and Borboudakis 2018)."
            ),
            Table(
                "The score before and after correction",
                ("score", "accuracy", "95% interval"),
                (
                    (Cell("as chosen"), percent(bias.raw), Cell("\N{EN DASH}")),
                    (
                        Cell("corrected for being chosen"),
                        percent(bias.corrected),
                        Cell(percent_range((bias.interval.low, bias.interval.high))),
                    ),
                ),
            ),
        ),
    )
