"""Statistics of accuracies and learning curves. `docs/statistics.md` explains each.

intervals.py         intervals of one accuracy, two accuracies, a future accuracy, repeats
learning_curves.py   the best number of epochs, and the start of overfitting
comparison.py        two trials or two runs on the same digits; many tests at once
class_scores.py      confusion matrix; precision, recall and F1 of each class; calibration
more_digits.py       accuracy by the number of digits; more digits against more tuning
trials.py            ties with the best trial, best against worst and average
selection_bias.py    choosing a trial, its score corrected for the choice; nested cross-validation
final_accuracy.py    the accuracy to expect of a final model
seed_noise.py        the band of curves over seeds; whether reported accuracies agree with our seeds
"""

from mnistexp.statistics.class_scores import confusion_matrix, per_class_accuracy
from mnistexp.statistics.comparison import (
    McNemar,
    PairedDifference,
    PairedRuns,
    compare_paired,
    holm,
    mcnemar,
    paired_difference,
)
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
