"""The report's sections on accuracy: on the test digits, over seeds, of the best trial, and on unseen digits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp import statistics
from mnistexp.config import shown
from mnistexp.figures import plots
from mnistexp.report.page import Block, Cell, Paragraph, Picture, Section, Table, number, percent, percent_range, points
from mnistexp.runs.results import SweepResult, TrialResult
from mnistexp.statistics import PairedDifference, intervals
from mnistexp.statistics.intervals import Interval
from mnistexp.sweeps.ranking import fold_weights

__all__ = ["gaps_section", "test_sections", "unseen_section", "worth_section"]

MORE_DIGITS = 4000


def test_sections(found: Mapping[str, Any]) -> list[Section]:
    """The spread over seeds, if there are several, and the test accuracy of the saved model."""
    repeats = found.get("repeats")
    return [*([_seeds_section(repeats)] if repeats else []), _test_section(found)]


def _test_section(found: Mapping[str, Any]) -> Section:
    """The test accuracy and its interval, the confusion matrix, and the accuracy of each class."""
    counts = np.array(found["confusion_matrix"], dtype=np.int64)
    missed = [(row, column) for row, column in np.argwhere(counts) if row != column]
    missed.sort(key=lambda pair: -counts[pair])
    names = found.get("class_names") or [str(digit) for digit in range(len(counts))]
    common = ", ".join(f"{names[row]} as {names[column]} ({counts[row, column]})" for row, column in missed[:3])
    rows = []
    for digit, (row, right) in enumerate(zip(counts, counts.diagonal(), strict=True)):
        total = int(row.sum())
        share = percent(int(right) / total if total else None)
        held = intervals.wilson(int(right), total) if total else None
        span = percent_range((held.low, held.high)) if held else "\N{EN DASH}"
        name = Cell(names[digit]) if "class_names" in found else number(digit)
        rows.append((name, number(total), number(int(right)), share, Cell(span)))
    which = "The saved model, that of the first training," if "repeats" in found else "The model"
    loss = "" if found["test_loss"] is None else f" Test loss {found['test_loss']:.4f}."
    blocks: list[Block] = [
        Paragraph(
            f"{which} classifies {found['test_correct']} of {found['test_digits']} test digits correctly, an accuracy "
            f"of {shown.percent(found['test_accuracy'])}.{loss}",
            "answer",
        ),
        Paragraph(
            f"The test digits are a sample of {found['test_digits']}; the 95% confidence interval of the accuracy is "
            f"{percent_range(found['test_accuracy_interval'])} (Wilson). A difference of a point or two between two "
            "networks is therefore no evidence by itself. The interval covers digits drawn like these and this one "
            "trained network, not other handwriting or other seeds."
        ),
        Picture(
            "Confusion matrix",
            "Confusion matrix of the test digits: rows are the correct digits, columns the predicted ones. "
            f"{'Most frequent confusions: ' + common + '.' if common else 'No digit is misclassified.'}",
            plots.confusion_matrix(counts, found.get("class_names")),
        ),
        Table(
            "Accuracy of each digit",
            ("digit", "test digits", "correct", "accuracy", "95% interval"),
            tuple(rows),
            more="Each class has few test digits, so its interval is wide.",
        ),
    ]
    return Section("How accurate is it on the test digits?", tuple(blocks))


def _seeds_section(repeats: Mapping[str, Any]) -> Section:
    """The spread over several trainings."""
    rows = tuple(
        (number(index + 1), percent(accuracy), number(loss, ".4f"))
        for index, (accuracy, loss) in enumerate(
            zip(repeats["test_accuracies"], repeats["min_val_losses"], strict=True)
        )
    )
    return Section(
        "How much does the seed matter?",
        (
            Paragraph(repeats["sentence"], "answer"),
            Table(
                "The same training with different seeds",
                ("training", "test accuracy", "lowest validation loss"),
                rows,
                more="The model of the first training is saved and described below.",
            ),
            *_confused(repeats),
        ),
    )


def _confused(repeats: Mapping[str, Any]) -> tuple[Picture, ...]:
    """The confusion matrix of all trainings; runs of earlier versions have only that of the first."""
    if "confusion_matrix" not in repeats:
        return ()
    return (
        Picture(
            f"Confusion matrix of all {repeats['count']} trainings",
            "The sum of their confusion matrices: rows are the correct digits, columns the predicted ones.",
            plots.confusion_matrix(np.array(repeats["confusion_matrix"], dtype=np.int64)),
        ),
    )


def unseen_section(found: Mapping[str, Any]) -> Section:
    """The accuracy to expect on unseen digits."""
    ahead = intervals.predict_accuracy(found["test_correct"], found["test_digits"], MORE_DIGITS)
    if not found["validated_on"]:
        honest = "The test digits were read once, after training, so nothing was chosen on them."
    elif found["validated_on"] == "validation":
        honest = "The number of epochs can be chosen on the validation digits; the test digits were not used for it."
    else:
        honest = (
            "The curves above were validated on the test digits. If the number of epochs was fixed beforehand, the "
            "accuracy is unbiased; if it is chosen from these curves, the accuracy is optimistic."
        )
    return Section(
        "Is the test accuracy representative of unseen data?",
        (
            Paragraph(
                f"On {MORE_DIGITS:,} further digits of the same kind, expect an accuracy of "
                f"{shown.span(ahead.low, ahead.high)} (95% prediction interval).",
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
        "How much better is the best trial than the worst and the average?",
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
                more="Paired bootstrap over the digits. The best trial was chosen on these digits, so its lead is "
                "overestimated; the smaller the lead, the larger the bias.",
            ),
        ),
    )


def _lead(versus: PairedDifference) -> str:
    return shown.points(versus.first, versus.second)


def _ends(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def worth_section(whole: Sequence[TrialResult], correct: NDArray[np.bool_], sweep: SweepResult) -> Section:
    """The winning score corrected for selection; `correct`: bool (trials, repeats, digits)."""
    bias = statistics.bbc_cv(correct, weights=fold_weights(whole[0], correct.shape[-1]))
    digits = len(sweep.labels)
    return Section(
        "Is the winning score representative of unseen data?",
        (
            Paragraph(bias.sentence, "answer"),
            Paragraph(
                f"The best of {len(whole)} trials was chosen by its score on these {digits} digits, so the score is "
                "optimistic. The correction resamples the digits many times, chooses on those drawn, and scores on "
                "those left out (BBC-CV, Tsamardinos, Greasidou and Borboudakis 2018)."
            ),
            Table(
                "Score before and after correction",
                ("score", "accuracy", "95% interval"),
                (
                    (Cell("as chosen"), percent(bias.raw), Cell("\N{EN DASH}")),
                    (
                        Cell("corrected for selection"),
                        percent(bias.corrected),
                        Cell(percent_range((bias.interval.low, bias.interval.high))),
                    ),
                ),
            ),
        ),
    )
