"""A sweep as a person writes it, with `GridSearchCV(n_jobs=-1)` over Keras: `python keras_grid_search.py EPOCHS NPZ`.

Four learning rates of Adam on three unshuffled folds of the 800 training digits.
"""

import sys
from typing import Any

import numpy as np
from keras_train import cnn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV, KFold, train_test_split

__all__ = ["FITS", "RATES", "KerasCnn"]

RATES = [0.001, 0.01, 0.1, 1.0]
FITS = 3 * len(RATES)


class KerasCnn(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A Keras model for scikit-learn."""

    def __init__(self, learning_rate: float = 0.001, epochs: int = 50) -> None:
        self.learning_rate, self.epochs = learning_rate, epochs

    def fit(self, x: Any, y: Any) -> Any:
        """Train a new network."""
        import keras

        self.classes_ = list(range(10))
        self.model_ = cnn(keras.optimizers.Adam(self.learning_rate))
        self.model_.fit(x, y, batch_size=32, epochs=self.epochs, verbose=0)
        return self

    def predict(self, x: Any) -> Any:
        """The likeliest class of each digit."""
        return self.model_.predict(x, verbose=0).argmax(axis=1)


def main(epochs: int, digits: str) -> None:
    stored = np.load(digits)
    x, y = stored["images"][..., np.newaxis] / np.float32(255), stored["labels"]
    x, _, y, _ = train_test_split(x, y, test_size=0.2, random_state=1)
    folds, model = KFold(3), KerasCnn(epochs=epochs)
    search = GridSearchCV(model, {"learning_rate": RATES}, cv=folds, n_jobs=-1, refit=False, scoring="accuracy")
    print(search.fit(x, y).cv_results_["mean_test_score"])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
