"""The report's sections on the test digits: seeds, accuracy, classes, and the digits that are misread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config import shown
from mnistexp.figures import plots
from mnistexp.figures.drawings import mistakes
from mnistexp.report.page import DASH, Block, Cell, Paragraph, Picture, Section, Table, number, percent
from mnistexp.runs.predictions import Mistake
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.statistics import predict_accuracy
from mnistexp.statistics.class_scores import METHOD, Score, class_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MORE_DIGITS = 4000
MISREAD = "Which digits are misread?"
MISREAD_TITLE = "The misread digits, the most confident mistakes first"


def test_sections(stored: StoredRun) -> list[Section]:
    """The spread over seeds, if there are several, the test accuracy of the saved model, and what it misreads."""
    found = stored.metrics or {}
    seeds = [_seeds_section(found["repeats"], found.get("class_names"))] if "repeats" in found else []
    return [*seeds, _test_section(stored), *_misread_section(stored)]


def _test_section(stored: StoredRun) -> Section:
    """The test accuracy and its interval, the confusion matrix, and the accuracy of each class."""
    found, (counts, names) = stored.metrics or {}, confusions(stored)
    missed = [(row, column) for row, column in np.argwhere(counts) if row != column]
    missed.sort(key=lambda pair: -counts[pair])
    common = ", ".join(f"{names[row]} as {names[column]} ({counts[row, column]})" for row, column in missed[:3])
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
            f"{shown.span(*found['test_accuracy_interval'])} (Wilson). A difference of a point or two between two "
            "networks is therefore no evidence by itself. The interval covers digits drawn like these and this one "
            "trained network, not other handwriting or other seeds."
        ),
        Picture(
            "Confusion matrix of the saved model" if "repeats" in found else "Confusion matrix",
            "Confusion matrix of the test digits: rows are the correct digits, columns the predicted ones. "
            f"{'Most frequent confusions: ' + common + '.' if common else 'No digit is misclassified.'}",
            plots.confusion_matrix(counts, found.get("class_names")),
        ),
        class_table(counts, names),
    ]
    return Section("How accurate is it on the test digits?", *blocks)


def unseen_section(found: Mapping[str, Any]) -> Section:
    """The accuracy to expect on unseen digits."""
    ahead = predict_accuracy(found["test_correct"], found["test_digits"], MORE_DIGITS)
    if not found["validated_on"]:
        honest = "Yes: the test digits were used once, after training, so nothing was chosen on them."
    elif found["validated_on"] == "validation":
        honest = "Yes: the number of epochs can be chosen on the validation digits, which are not test digits."
    else:
        honest = (
            "Yes if the number of epochs was fixed beforehand; if it is chosen from the curves above, which are "
            "validated on the test digits, the test accuracy is optimistic."
        )
    return Section(
        "Is the test accuracy representative of unseen data?",
        Paragraph(
            f"{honest} On {MORE_DIGITS:,} further digits of the same kind, expect an accuracy of "
            f"{shown.span(*ahead.ends)} (95% prediction interval).",
            "answer",
        ),
        Paragraph(
            "To measure it: mnistexp evaluate RUN --data unseen scores this model, and mnistexp best --unseen the "
            f"best one, on {MORE_DIGITS:,} unseen digits."
        ),
    )


def class_table(counts: NDArray[np.int64], names: Sequence[str], whose: str = "") -> Table:
    """Precision, recall and F1 of each class with their intervals, of counts int64 (classes, classes)."""
    rows = tuple(
        (
            number(int(name)) if name.isdecimal() else Cell(name),
            number(scores.digits, ","),
            number(scores.correct, ","),
            *(_score(score) for score in (scores.precision, scores.recall, scores.f1)),
        )
        for name, scores in zip(names, class_scores(counts), strict=True)
    )
    return Table(
        f"Precision, recall and F1 of each class{whose}",
        ("class", "digits", "correct", "precision", "recall", "F1"),
        rows,
        more="Precision: of the digits predicted as the class, the share that belong to it. Recall: of the digits of "
        f"the class, the share predicted as it. F1: their harmonic mean. {METHOD}",
    )


def _score(score: Score | None) -> Cell:
    if score is None:
        return Cell(DASH)
    low, high = (shown.percent(end).rstrip("%") for end in score.interval.ends)
    return Cell(f"{shown.percent(score.value)} ({low}{DASH}{high})", score.value)


@dataclass(frozen=True, eq=False)
class Misread:
    """The digits that a network misreads, the most confident mistakes first, in words, as rows and as pictures.

    `captions`: two lines for each of `images`, uint8 (n, 28, 28); a run that kept no images has none of both.
    """

    sentence: str
    table: Table | None = None
    figure: "Figure | None" = None
    captions: Sequence[tuple[str, str]] = ()
    images: Sequence[NDArray[np.uint8]] = ()


def misread(stored: StoredRun) -> Misread | None:
    """The digits that the saved network misreads; None for runs of earlier versions, which keep no predictions."""
    kept = stored.predictions[:1]
    if not kept:
        return None
    found, names, wrong = kept[0].mistakes, confusions(stored)[1], int((~kept[0].correct).sum())
    which = "The saved model" if len(stored.predictions) > 1 else "The model"
    sentence = misread_sentence(found, names, wrong, f"{len(kept[0].labels):,} test digits", which)
    if not found:
        return Misread(sentence)
    captions = [one.captions(names) for one in found]
    rows = tuple(
        (
            number(int(kept[0].rows[one.index])),
            Cell(names[one.label]),
            Cell(names[one.prediction]),
            Cell(one.certainty, 100 * one.probability),
        )
        for one in found
    )
    more = f"The {len(found)} most confident of {wrong}. " * (len(found) < wrong)
    images = kept[0].misread
    return Misread(
        sentence,
        Table(
            "The misread digits in numbers",
            ("row", "label", "read as", "probability"),
            rows,
            folded=True,
            more=f"{more}Row: the position among the digits of the experiment, from 0.",
        ),
        None if images is None else mistakes(images, captions, columns=4),
        captions,
        () if images is None else tuple(images),
    )


def misread_sentence(found: Sequence[Mistake], names: Sequence[str], wrong: int, of: str, which: str) -> str:
    """How many digits a model misreads, and its most confident mistake; `of`: all of them, as `200 test digits`."""
    if not found:
        return f"None: all {of} are classified correctly."
    return f"{which} misreads {wrong:,} of {of}. The most confident mistake: a {', '.join(found[0].captions(names))}."


def _misread_section(stored: StoredRun) -> list[Section]:
    found = misread(stored)
    if found is None:
        return []
    blocks: list[Block] = [Paragraph(found.sentence, "answer")]
    if found.figure:
        said = f"{MISREAD_TITLE}: {'; '.join(map(', '.join, found.captions))}."
        blocks.append(Picture(MISREAD_TITLE, said, found.figure))
    return [Section(MISREAD, *blocks, *filter(None, [found.table]))]


def confusions(stored: StoredRun) -> tuple[NDArray[np.int64], list[str]]:
    """The confusion matrix of the saved model, int64 (classes, classes), and the names of the classes."""
    found = stored.metrics or {}
    counts = np.array(found["confusion_matrix"], dtype=np.int64)
    return counts, [str(name) for name in found.get("class_names") or range(len(counts))]


def _seeds_section(repeats: Mapping[str, Any], names: Sequence[str] | None) -> Section:
    """The spread over several trainings."""
    rows = tuple(
        (number(index + 1), percent(accuracy), number(loss, ".4f"))
        for index, (accuracy, loss) in enumerate(
            zip(repeats["test_accuracies"], repeats["min_val_losses"], strict=True)
        )
    )
    return Section(
        "How much does the seed matter?",
        Paragraph(repeats["sentence"], "answer"),
        Table(
            "The same training with different seeds",
            ("training", "test accuracy", "lowest validation loss"),
            rows,
            more="The model of the first training is saved and described below.",
        ),
        *_confused(repeats, names),
    )


def _confused(repeats: Mapping[str, Any], names: Sequence[str] | None) -> tuple[Picture, ...]:
    """The confusion matrix of all trainings; runs of earlier versions have only that of the first."""
    if "confusion_matrix" not in repeats:
        return ()
    return (
        Picture(
            f"Confusion matrix of all {repeats['count']} trainings",
            "The sum of their confusion matrices: rows are the correct digits, columns the predicted ones.",
            plots.confusion_matrix(np.array(repeats["confusion_matrix"], dtype=np.int64), names),
        ),
    )
