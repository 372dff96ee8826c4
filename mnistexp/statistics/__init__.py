"""Statistics of accuracies and learning curves. `docs/statistics.md` explains each.

intervals.py         intervals of one accuracy, two accuracies, a future accuracy, repeats
learning_curves.py   the best number of epochs, and the start of overfitting
comparison.py        two trials on the same digits; many tests at once
trials.py            ties with the best trial, best against worst and average
selection_bias.py    choosing a trial, its score corrected for the choice; nested cross-validation
final_accuracy.py    the accuracy to expect of a final model
seed_noise.py        the band of curves over seeds; whether reported accuracies agree with our seeds
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.statistics.comparison import McNemar, PairedDifference, holm, mcnemar, paired_difference
from mnistexp.statistics.final_accuracy import FinalAccuracy, final_accuracy
from mnistexp.statistics.intervals import (
    Interval,
    Repeats,
    accuracy_difference,
    over_repeats,
    predict_accuracy,
    prediction_interval,
    wilson,
)
from mnistexp.statistics.learning_curves import BestEpochs, best_epochs, guessing
from mnistexp.statistics.seed_noise import Band, Compatibility, compatible, seed_band
from mnistexp.statistics.seeds_and_digits import PairedRuns, compare_paired
from mnistexp.statistics.selection_bias import (
    NestedScore,
    SelectionBias,
    SelectionRule,
    bbc_cv,
    nested_summary,
    one_standard_error,
    select,
)
from mnistexp.statistics.trials import Gap, NotebookFigures, compare_trials, notebook_figures, tied_with_best

__all__ = [
    "Band",
    "BestEpochs",
    "Compatibility",
    "FinalAccuracy",
    "Gap",
    "Interval",
    "McNemar",
    "NestedScore",
    "NotebookFigures",
    "PairedDifference",
    "PairedRuns",
    "Repeats",
    "SelectionBias",
    "SelectionRule",
    "accuracy_difference",
    "bbc_cv",
    "best_epochs",
    "compare_paired",
    "compare_trials",
    "compatible",
    "confusion_matrix",
    "final_accuracy",
    "guessing",
    "holm",
    "mcnemar",
    "nested_summary",
    "notebook_figures",
    "one_standard_error",
    "over_repeats",
    "paired_difference",
    "per_class_accuracy",
    "predict_accuracy",
    "prediction_interval",
    "seed_band",
    "select",
    "tied_with_best",
    "wilson",
]


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int = 10) -> NDArray[np.int64]:
    """Counts of each true and predicted class: int64 (classes, classes), row = true label, column = prediction.

    `labels`, `predictions`: (digits,), from 0 to below `classes`. Source: as scikit-learn's `confusion_matrix`.
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (np.asarray(labels, np.int64), np.asarray(predictions, np.int64)), 1)
    return counts


def per_class_accuracy(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of each class's digits that were classified correctly, float64 (classes,); NaN for a class without digits.

    `confusion`: int64 (classes, classes), see `confusion_matrix`. Also called recall. With 200 test digits a class has
    about 20: `wilson` on that few is 20 to 30 points wide. Source: as scikit-learn's `recall_score` without averaging.
    """
    totals = confusion.sum(axis=1)
    shares: NDArray[np.float64] = np.divide(
        confusion.diagonal(), totals, out=np.full(len(totals), np.nan), where=totals > 0
    )
    return shares
