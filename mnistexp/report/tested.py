"""The report's sections on the test digits: seeds, accuracy, classes, and the digits that are misread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config import shown
from mnistexp.figures import plots
from mnistexp.figures.drawings import mistakes
from mnistexp.report.page import Block, Cell, Paragraph, Picture, Section, Table, number, percent, percent_range
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.statistics.class_scores import METHOD, Score, class_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISREAD = "Which digits are misread?"
DASH = "\N{EN DASH}"


def test_sections(stored: StoredRun) -> list[Section]:
    """The spread over seeds, if there are several, the test accuracy of the saved model, and what it misreads."""
    found = stored.metrics or {}
    seeds = [_seeds_section(found["repeats"])] if "repeats" in found else []
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
            f"{percent_range(found['test_accuracy_interval'])} (Wilson). A difference of a point or two between two "
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
    return Section("How accurate is it on the test digits?", tuple(blocks))


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
    low, high = (shown.percent(end).rstrip("%") for end in (score.interval.low, score.interval.high))
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
    if not found:
        return Misread("None: all test digits are classified correctly.")
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
    images, which = kept[0].misread, "The saved model" if len(stored.predictions) > 1 else "The model"
    return Misread(
        f"{which} misreads {wrong:,} of {len(kept[0].labels):,} test digits. The most confident mistake: a "
        f"{', '.join(captions[0])}.",
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


def _misread_section(stored: StoredRun) -> list[Section]:
    found = misread(stored)
    if found is None:
        return []
    blocks: list[Block] = [Paragraph(found.sentence, "answer")]
    if found.figure:
        title = "The misread digits, the most confident mistakes first"
        said = f"{title}: {'; '.join(map(', '.join, found.captions))}."
        blocks.append(Picture(title, said, found.figure))
    return [Section(MISREAD, (*blocks, *filter(None, [found.table])))]


def confusions(stored: StoredRun) -> tuple[NDArray[np.int64], list[str]]:
    """The confusion matrix of the saved model, int64 (classes, classes), and the names of the classes."""
    found = stored.metrics or {}
    counts = np.array(found["confusion_matrix"], dtype=np.int64)
    return counts, [str(name) for name in found.get("class_names") or range(len(counts))]


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
