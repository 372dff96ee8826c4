"""The accuracy to expect of a final model, from the cross-validation of its setting."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mnistexp.config.shown import percent, span
from mnistexp.errors import BadInput
from mnistexp.statistics.intervals import Interval, check_level, score_ends, t_quantile

EXPONENT = 1 / 3
"""The error is taken to fall as (training digits)^-EXPONENT from a fold's training part to all digits."""


@dataclass(frozen=True)
class FinalAccuracy:
    """The expected accuracy of one training on all digits, as a fraction, and its prediction `interval`.

    `cross_validated`: the mean over the `folds` of each of the `repeats`, whose networks are trained on fewer digits.
    """

    accuracy: float
    interval: Interval
    cross_validated: float
    folds: int
    repeats: int

    @property
    def sentence(self) -> str:
        """The prediction, and where it comes from, as a sentence."""
        low, high = self.interval.low, self.interval.high
        return (
            f"The final model is expected to classify {percent(self.accuracy)} of further digits correctly "
            f"({self.interval.level:.0%} prediction interval {span(low, high)}). Its setting scores "
            f"{percent(self.cross_validated)} in {self.folds}-fold cross-validation, repeated {self.repeats} times "
            f"with other folds and seeds. Those networks trained on {1 - 1 / self.folds:.0%} of the training digits; "
            "the final one, trained on all, is expected to be slightly better."
        )


def final_accuracy(scores: ArrayLike, level: float = 0.95) -> FinalAccuracy:
    """The accuracy on further digits of one training on all digits, from a repeated cross-validation of its setting.

    `scores`: (repeats, folds), the accuracy of each fold, from fits that played no part in choosing the setting, or the
    luck of the choice would be in them. With k folds and the mean error e, the expected error is
    e ((k - 1) / k)^EXPONENT. With the variance s^2 (ddof 1) of J = repeats * k scores, that of the prediction is

        V = (1 / J + 1 / (k - 1)) s^2

    where 1 / (k - 1) is the ratio of a fold's digits to those trained on: the scores share their digits, and the final
    model is a single training. Wilson's interval around the accuracy a has n = a (1 - a) / V digits, and
    Student's quantile with J - 1 degrees of freedom. Assumes digits drawn independently, further ones from the same
    source, and seeds that change an accuracy by less than about a point. Covers too much, 97-99% instead of 95%, where
    seeds matter less. Raises `BadInput` unless there are two folds or more of scores from 0 to 1.

    Source: Nadeau & Bengio (2003), Inference for the Generalization Error, Machine Learning 52; for repeated folds,
    Bouckaert & Frank (2004), PAKDD; the power law: Hestness et al. (2017), arXiv:1712.00409.
    """
    check_level(level)
    values = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    repeats, folds = values.shape if values.ndim == 2 else (0, 0)
    if folds < 2 or not ((values >= 0) & (values <= 1)).all():
        raise BadInput(f"scores: shape {values.shape}, allowed: (repeats, folds) from 0 to 1, with 2 folds or more")
    mean, count = float(values.mean()), values.size
    accuracy = 1 - (1 - mean) * (1 - 1 / folds) ** EXPONENT
    variance = (1 / count + 1 / (folds - 1)) * float(values.var(ddof=1))
    digits = accuracy * (1 - accuracy) / variance if variance > 0 else float(count)
    ends = score_ends(accuracy, digits, t_quantile(level, count - 1))
    interval = Interval(*ends, level, "corrected repeated cross-validation, score interval")
    return FinalAccuracy(accuracy, interval, mean, folds, repeats)
