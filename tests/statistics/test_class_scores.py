"""Scores of each class: the values of scikit-learn, and intervals that cover the truth as often as they say."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from mnistexp.statistics import confusion_matrix
from mnistexp.statistics.class_scores import class_scores

GENERATOR = np.random.default_rng(5)


@pytest.mark.parametrize("classes", [2, 10, 26])
def test_the_scores_are_those_of_scikit_learn(classes: int) -> None:
    labels, predictions = GENERATOR.integers(0, classes, (2, 300))
    labels[:150] = predictions[:150]
    labels[labels == 1] = 0  # a class without digits
    theirs = precision_recall_fscore_support(labels, predictions, labels=np.arange(classes), zero_division=np.nan)
    ours = class_scores(confusion_matrix(labels, predictions, classes))
    for name, expected in zip(("precision", "recall", "f1"), theirs, strict=False):
        scores = [getattr(one, name) for one in ours]
        assert [np.nan if score is None else score.value for score in scores] == pytest.approx(expected, nan_ok=True)
        assert all(score is None or score.value in score.interval for score in scores)
    assert [one.digits for one in ours] == theirs[3].tolist()


def test_the_interval_of_f1_covers_the_true_score_in_95_of_100_samples() -> None:
    """Two classes of 30% and 70%, read with the probabilities below; 60 digits a sample."""
    joint = np.array([[0.24, 0.06], [0.09, 0.61]])
    truth = 2 * 0.24 / (0.3 + 0.33)
    samples = GENERATOR.multinomial(60, joint.ravel(), 4000).reshape(-1, 2, 2)
    scores = [class_scores(sample)[0].f1 for sample in samples]
    covered = np.mean([score is not None and truth in score.interval for score in scores])
    assert 0.94 < covered < 0.97


def test_a_class_that_is_never_shown_nor_predicted_has_no_scores() -> None:
    scores = class_scores(np.diag([3, 0]))[1]
    assert scores.precision is scores.recall is scores.f1 is None
