"""Our sweep and scikit-learn's grid search of a plain Keras model: the same folds, the same scores."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV, KFold
from tiny_sweep import run_tiny

from mnistexp import data
from mnistexp.config.models import DataConfig, ExperimentConfig, ModelConfig, SweepConfig, TrainingConfig
from mnistexp.config.optimizers import Adam
from mnistexp.data import as_input
from mnistexp.sweeps.ranking import ranks
from mnistexp.training.model import Seed, build_model, build_optimizer

CONFIG = ExperimentConfig(
    data=DataConfig(digits=400),
    model=ModelConfig(filters=(4, 8), dense_units=16),
    training=TrainingConfig(epochs=3, batch_size=16, shuffle=False),
    optimizer=Adam(name="adam"),
    sweep=SweepConfig(grid={"optimizer.learning_rate": [0.0005, 0.002]}, folds=2, executor="serial"),
)


class KerasCnn(ClassifierMixin, BaseEstimator):
    """Trains with Keras' own `fit` from the weights that our fold starts with, and knows its fold by its rows."""

    def __init__(self, learning_rate: float = 0.001) -> None:
        self.learning_rate = learning_rate

    def fit(self, rows: Any, labels: Any) -> Self:
        fold = [learn.tolist() for learn, _ in KFold(2).split(IMAGES)].index(rows.ravel().tolist())
        self.classes_ = np.unique(labels)
        self.model_ = build_model(CONFIG.model, Seed(CONFIG.seed, fold))
        optimizer = build_optimizer(Adam(name="adam", learning_rate=self.learning_rate))
        loss, metrics = "sparse_categorical_crossentropy", ["accuracy"]
        self.model_.compile(optimizer, loss, metrics=metrics, jit_compile=False)  # each model would be compiled anew
        self.model_.fit(IMAGES[rows.ravel()], labels, batch_size=16, epochs=3, shuffle=False, verbose=0)
        return self

    def predict(self, rows: Any) -> Any:
        return self.model_.predict(IMAGES[rows.ravel()], verbose=0).argmax(axis=1)


DIGITS = data.load(CONFIG.data)
TRAIN = data.split(DIGITS.labels, CONFIG.data).train
IMAGES = as_input(DIGITS.images[TRAIN])


def test_grid_search_over_keras_gives_the_same_folds_and_scores() -> None:
    rows = np.arange(len(TRAIN))[:, np.newaxis]
    grid = {"learning_rate": [0.0005, 0.002]}
    theirs = GridSearchCV(KerasCnn(), grid, cv=KFold(2), refit=False, error_score="raise", scoring="accuracy")
    theirs.fit(rows, DIGITS.labels[TRAIN])
    ours = run_tiny(CONFIG)
    found = theirs.cv_results_
    assert [trial.params["optimizer.learning_rate"] for trial in ours.trials] == list(found["param_learning_rate"])
    for fold, (_, held_out) in enumerate(KFold(2).split(rows)):
        assert all(trial.folds[fold].rows.tolist() == held_out.tolist() for trial in ours.trials)
        assert [trial.scores[fold] for trial in ours.trials] == found[f"split{fold}_test_score"].tolist()
    assert [trial.mean for trial in ours.trials] == found["mean_test_score"].tolist()
    assert [trial.std for trial in ours.trials] == found["std_test_score"].tolist()
    assert ranks(ours.trials) == found["rank_test_score"].tolist()
    assert len(set(found["mean_test_score"])) == 2
