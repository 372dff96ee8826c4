"""The network and its fast training loop as a scikit-learn classifier, for pipelines and searches."""

import math
import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from mnistexp.config import settings
from mnistexp.config.models import ExperimentConfig
from mnistexp.data.forms import MOST_CLASSES
from mnistexp.training import fitting
from mnistexp.training.model import Seed
from mnistexp.training.predicting import predict

__all__ = ["MnistCnnClassifier"]

SIDE = 28
BYTE = (0.0, 255.0)
UNIT = (0.0, 1.0)
PLENTY = 70_000
"""A nominal number of digits: the images come from the caller, so no batch size may be rejected as too large."""
KEYS = {
    "optimizer": "optimizer.name",
    **{
        name: f"optimizer.{name}"
        for name in ("learning_rate", "decay", "momentum", "rho", "beta_1", "beta_2", "epsilon", "weight_decay")
    },
    **{name: f"model.{name}" for name in ("filters", "kernel_size", "dense_units", "dropout")},
    **{name: f"training.{name}" for name in ("epochs", "batch_size", "shuffle")},
}
"""The setting of each parameter."""


class MnistCnnClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The convolutional network on images of at most 28 x 28 grey pixels and at most 100 classes.

    Images: (n, h, h), (n, h, h, 1), or rows of pixels (n, features); 28 x 28 is 784 features. Fewer pixels are laid out
    as the smallest square that holds them, each repeated in both directions as often as fits, and centred on black: the
    8 x 8 digits of `load_digits` become 24 x 24.

    Grey values: the loop uses 256 shades, so every pixel is rounded to one. `pixel_range` gives the values of black and
    white; values beyond are clipped. None means 0 and 255 for uint8, 0 and 1 if all of `X` lies between them, and
    otherwise the lowest and highest value of the fitted `X`.

    Labels may be of any kind. Training is that of `mnistexp train`, all parameters are its settings, and a number of
    the optimizer that is None has the default that it has there; one that the optimizer doesn't have is an error.
    `random_state`: an int gives the same bits each time, and those of `mnistexp train --seed` on the same digits.

    Attributes after `fit`: `classes_` (k,); `n_features_in_`; `pixel_range_`; `history_`, a
    `mnistexp.runs.results.History` of loss and accuracy after each epoch; `weights_`, float32 arrays in the order of
    Keras' `get_weights`; `config_`, the resolved settings; `feature_names_in_` where `X` was a data frame.
    """

    def __init__(
        self,
        *,
        optimizer: str = "nesterov",
        learning_rate: float | None = None,
        decay: float | None = None,
        momentum: float | None = None,
        rho: float | None = None,
        beta_1: float | None = None,
        beta_2: float | None = None,
        epsilon: float | None = None,
        weight_decay: float | None = None,
        filters: tuple[int, int] = (16, 32),
        kernel_size: int = 3,
        dense_units: int = 128,
        dropout: float = 0.0,
        epochs: int = 60,
        batch_size: int = 32,
        shuffle: bool = True,
        pixel_range: tuple[float, float] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.decay = decay
        self.momentum = momentum
        self.rho = rho
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.filters = filters
        self.kernel_size = kernel_size
        self.dense_units = dense_units
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.pixel_range = pixel_range
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Train on images `X`, see the class, and labels `y` (n,).

        Raises `ValueError` for images or labels that can't be used, `ConfigError` for a parameter, and
        `KeyboardInterrupt` on Ctrl-C, with nothing fitted. Warns with `ConvergenceWarning` if the loss becomes NaN or
        infinite.
        """
        config = self._config()
        pixels, labels = validate_data(self, _rows(X), y)
        check_classification_targets(labels)
        encoder = LabelEncoder().fit(labels)
        if len(encoder.classes_) > MOST_CLASSES:
            raise ValueError(f"y has {len(encoder.classes_)} classes, allowed: at most {MOST_CLASSES}")
        model = config.model.model_copy(update={"classes": max(2, len(encoder.classes_))})
        config = config.model_copy(update={"model": model})
        if pixels.shape[1] > SIDE**2:
            raise ValueError(
                f"X has {pixels.shape[1]} features, allowed: at most {SIDE**2}, an image of {SIDE} x {SIDE}"
            )
        self.classes_ = encoder.classes_
        self.pixel_range_ = self._range(pixels)
        fitted = fitting.fit(
            config, _images(pixels, self.pixel_range_), encoder.transform(labels), None, Seed(config.seed)
        )
        if fitted.interrupted:
            raise KeyboardInterrupt
        if fitted.diverged_at:
            message = f"the loss is not a number from epoch {fitted.diverged_at} on: try a lower learning_rate"
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        self.config_, self.history_, self.weights_ = config, fitted.history, fitted.weights
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Probabilities float32 (n, k) of the classes in the order of `classes_`; NaN from a training that diverged."""
        check_is_fitted(self)
        pixels = validate_data(self, _rows(X), reset=False)
        _check_scale(pixels, self.pixel_range_)
        found = predict(self.config_, self.weights_, _images(pixels, self.pixel_range_))
        found = found[:, : len(self.classes_)]
        shares: NDArray[np.float32] = found / found.sum(axis=1, keepdims=True)
        return shares

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The most probable label of each image, (n,), of the dtype of the fitted labels."""
        likeliest: NDArray[Any] = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[likeliest]
        return labels

    def _config(self) -> ExperimentConfig:
        """The settings of `mnistexp train`, changed by the parameters. Raises `ConfigError` with every problem."""
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**32, dtype=np.uint64)
        given = {key: value for name, key in KEYS.items() if (value := getattr(self, name)) is not None}
        changes = {"seed": seed, "data.digits": PLENTY, **given}
        flags = [settings.flag(type(self).__name__, key, _plain(value)) for key, value in changes.items()]
        return settings.resolve([settings.read_file("train"), *flags]).config

    def _range(self, pixels: NDArray[Any]) -> tuple[float, float]:
        if self.pixel_range is not None:
            low, high = self.pixel_range
            if not (math.isfinite(low) and math.isfinite(high) and low != high):
                raise ValueError(f"pixel_range is {self.pixel_range}, allowed: two different finite numbers")
            return float(low), float(high)
        if pixels.dtype == np.uint8:
            return BYTE
        low, high = float(pixels.min()), float(pixels.max())
        if low >= 0 and high <= 1:
            return UNIT
        return low, high


def _plain(value: Any) -> Any:
    """A parameter in Python's own types: searches pass numpy's."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def _rows(X: Any) -> Any:  # noqa: N803
    """Images (n, h, h) and (n, h, h, 1) as rows of pixels; anything else unchanged, for scikit-learn to check."""
    shape: tuple[int, ...] = np.shape(X) if isinstance(X, list | tuple) else getattr(X, "shape", ())
    if len(shape) < 3:
        return X
    if shape[1] != shape[2] or shape[3:] not in ((), (1,)):
        raise ValueError(
            f"X has the shape {shape}, allowed: square grey images (n, h, h), or rows of pixels (n, features)"
        )
    return np.asarray(X).reshape(shape[0], shape[1] * shape[2])


def _check_scale(pixels: NDArray[Any], pixel_range: tuple[float, float]) -> None:
    """Raise ValueError for images from 0 to 1 with a network trained on 0 to 255, or the reverse."""
    lit = pixels[pixels > 0]
    if not lit.size:
        return
    greatest = lit.max()
    faint = pixel_range == BYTE and pixels.dtype.kind == "f" and greatest <= 1
    # Single pixels may go far beyond the range: a scaler has no range for a pixel that was black in all images.
    glaring = pixel_range == UNIT and np.median(lit) > 1
    if faint or glaring:
        fitted = "{:g} to {:g}".format(*pixel_range)
        raise ValueError(
            f"X goes up to {greatest:g}, but the fitted values were from {fitted}: scale X in the same way"
        )


def _images(pixels: NDArray[Any], pixel_range: tuple[float, float]) -> NDArray[np.uint8]:
    """Rows of at most 784 pixels as images uint8 (n, 28, 28)."""
    low, high = pixel_range
    scale = 255 / (high - low) if high != low else 0.0
    shades = np.clip(np.rint((pixels.astype(np.float64) - low) * scale), 0, 255).astype(np.uint8)
    count, features = shades.shape
    side = math.isqrt(features - 1) + 1
    square = np.zeros((count, side**2), np.uint8)
    square[:, :features] = shades
    factor = SIDE // side
    enlarged = square.reshape(count, side, side).repeat(factor, axis=1).repeat(factor, axis=2)
    start, size = (SIDE - side * factor) // 2, side * factor
    images = np.zeros((count, SIDE, SIDE), np.uint8)
    images[:, start : start + size, start : start + size] = enlarged
    return images
