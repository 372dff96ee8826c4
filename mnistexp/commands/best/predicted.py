"""The accuracy to expect of the final model: its setting, cross-validated again in other folds with other seeds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnistexp.commands.best.choosing import confirming
from mnistexp.commands.best.work import Work
from mnistexp.config.models import ExperimentConfig
from mnistexp.errors import TrialsFailed
from mnistexp.runs.results import Watch
from mnistexp.statistics import FinalAccuracy, final_accuracy

FOLDS, REPEATS = 10, 2
FITS = FOLDS * REPEATS
"""Each is trained on nine tenths of the training digits. With a single repeat the noise of the seeds is as large as the
bias of the raw score; a third one gains little."""
PREDICTION = 1
"""The spawn key of the root seed, so that folds and fits have other seeds than those of the choice."""


@dataclass(frozen=True)
class Predicted:
    """The prediction; the `scores` of each repeat's folds, and the root `seed` of the folds and fits."""

    found: FinalAccuracy
    scores: list[list[float]]
    seed: int

    def document(self) -> dict[str, Any]:
        """The section `prediction` of `metrics.json`; accuracies are shares from 0 to 1.

        `accuracy` with its prediction `interval`; `cross_validated`: the mean of the `scores` (a list of folds for each
        repeat); `folds`, `repeats`, `fits`, `seed`, `sentence`.
        """
        found = self.found
        return {
            "accuracy": found.accuracy,
            "interval": found.interval.ends,
            "cross_validated": found.cross_validated,
            "scores": self.scores,
            "folds": found.folds,
            "repeats": found.repeats,
            "fits": found.folds * found.repeats,
            "seed": self.seed,
            "sentence": found.sentence,
        }


def predicting(work: Work, setting: ExperimentConfig) -> ExperimentConfig:
    """The sweep of one trial, the chosen `setting` with the epochs of the final model, that the prediction is from."""
    folds = {"folds": min(FOLDS, len(work.dataset.split.train)), "shuffle_folds": True, "stratified": False}
    training = work.config.training.model_copy(update={"validate_every": 0})
    seed = int(np.random.SeedSequence(work.config.seed, spawn_key=(PREDICTION,)).generate_state(1)[0])
    alone = confirming(setting, work.sweep.model_copy(update=folds), REPEATS)
    return alone.model_copy(update={"training": training, "seed": seed})


def predict_final(work: Work, setting: ExperimentConfig, watch: Watch) -> Predicted:
    """Predict the accuracy of one training of the chosen setting on all training digits.

    An interrupted call continues from the cache. Raises `TrialsFailed` if a fit failed, and what `fit_and_rank` raises.
    """
    config = predicting(work, setting)
    trial = work.cross_validated(config, watch)
    if errors := trial.errors:
        raise TrialsFailed(f"{len(errors)} of {len(trial.folds)} fits failed, the first with: {errors[0]}")
    scores = trial.scores.reshape(REPEATS, -1)
    return Predicted(final_accuracy(scores), scores.tolist(), config.seed)
