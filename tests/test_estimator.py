"""The scikit-learn classifier: scikit-learn's own checks, its images and labels, and the loop behind it."""

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from small import NETWORK

import mnistexp
from mnistexp import MnistCnnClassifier, data
from mnistexp.errors import ConfigError
from mnistexp.training import fitting
from mnistexp.training.model import Seed

SMALL = {
    "filters": (4, 8), "kernel_size": 5, "dense_units": 16, "batch_size": 16, "epochs": 6, "optimizer": "adam",
}  # fmt: skip
"""5x5 kernels: with 3x3, the step of each number of classes is compiled as a whole, for two seconds."""
FAILS = {
    "check_methods_sample_order_invariance": "asks for 1e-7, and float32 sums differ by that with the place in a batch"
}


def small(**changes: object) -> MnistCnnClassifier:
    return MnistCnnClassifier(**{**SMALL, "learning_rate": 0.01, "random_state": 7, **changes})


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    found = data.load(mnistexp.configure("train", {"data.digits": 200}).data)
    return found.images, found.labels


@parametrize_with_checks([small()], expected_failed_checks=lambda _: FAILS)
def test_the_estimator_passes_the_checks_of_scikit_learn(estimator, check) -> None:
    check(estimator)


def test_the_order_of_rows_changes_no_more_than_rounding(digits) -> None:
    images, labels = digits
    fitted = small(kernel_size=3).fit(images, labels)
    order = np.random.default_rng(0).permutation(len(images))
    one, other = fitted.predict_proba(images)[order], fitted.predict_proba(images[order])
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(fitted.predict(images)[order], fitted.predict(images[order]))


def test_it_trains_the_bits_of_a_run(digits) -> None:
    images, labels = digits
    config = mnistexp.configure("train", {**NETWORK, "training.epochs": 3, "seed": 11})
    run = fitting.fit(config, images, labels, None, Seed(11))
    plain = MnistCnnClassifier(filters=(4, 8), dense_units=16, batch_size=16, epochs=3, random_state=11)
    fitted = plain.fit(images, labels)
    assert fitted.config_.optimizer == config.optimizer
    assert fitted.history_ == run.history
    assert all(np.array_equal(*pair) for pair in zip(fitted.weights_, run.weights, strict=True))


@pytest.mark.parametrize(
    "shown",
    [
        lambda images: images.reshape(-1, 784),
        lambda images: images[..., np.newaxis],
        lambda images: images / np.float32(255),
        lambda images: (images / 255).reshape(-1, 784),
        lambda images: images.astype(np.int64).reshape(-1, 784),
        lambda images: images * 3.5 - 100,
    ],
    ids=["rows", "channel", "float32 to 1", "float64 rows to 1", "integer rows", "any floats"],
)
def test_every_form_of_the_images_trains_the_same_network(digits, shown) -> None:
    images, labels = digits[0][:64], digits[1][:64]
    plain, other = small(epochs=1).fit(images, labels), small(epochs=1).fit(shown(images), labels)
    assert all(np.array_equal(*pair) for pair in zip(plain.weights_, other.weights_, strict=True))
    np.testing.assert_array_equal(plain.predict_proba(images), other.predict_proba(shown(images)))
    assert plain.n_features_in_ == other.n_features_in_ == 784


def test_small_images_are_enlarged_and_centred() -> None:
    images, labels = load_digits(return_X_y=True)
    images, labels = images[:64], labels[:64]
    large = np.zeros((64, 28, 28))
    large[:, 2:26, 2:26] = np.kron(images.reshape(-1, 8, 8), np.ones((3, 3)))
    fits = [small(epochs=1).fit(shown, labels) for shown in (images, images.reshape(-1, 8, 8), large)]
    assert [fit.n_features_in_ for fit in fits] == [64, 64, 784]
    assert {fit.pixel_range_ for fit in fits} == {(0.0, 16.0)}
    assert all(
        np.array_equal(a, b) and np.array_equal(a, c) for a, b, c in zip(*(f.weights_ for f in fits), strict=True)
    )


def test_pixel_range_clips_and_inverts(digits) -> None:
    images, labels = digits[0][:64], digits[1][:64]
    plain = small(epochs=1).fit(np.minimum(images, 200), labels)
    clipped = small(epochs=1, pixel_range=(0, 200)).fit(images, labels)
    inverted = small(epochs=1, pixel_range=(255, 55)).fit(255 - images, labels)
    assert plain.pixel_range_ == (0, 255)
    assert not np.array_equal(plain.weights_[0], clipped.weights_[0])
    assert np.array_equal(inverted.weights_[0], clipped.weights_[0])


def test_labels_may_be_text_and_few(digits) -> None:
    images, labels = digits
    chosen = np.isin(labels, [3, 7])
    names = np.array(["three", "seven"])[(labels[chosen] == 7).astype(int)]
    fitted = small(epochs=10).fit(images[chosen], names)
    assert fitted.classes_.tolist() == ["seven", "three"]
    probabilities = fitted.predict_proba(images[chosen])
    assert probabilities.shape == (chosen.sum(), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert fitted.score(images[chosen], names) > 0.95


def test_random_states(digits) -> None:
    images, labels = digits[0][:32], digits[1][:32]
    one, same, other = (
        small(epochs=1, random_state=np.random.RandomState(seed)).fit(images, labels).weights_[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.slow
def test_a_search_gives_the_same_scores_with_any_number_of_jobs(digits) -> None:
    images, labels = digits
    grid = {"learning_rate": np.array([0.001, 0.01])}
    searches = [GridSearchCV(small(), grid, cv=2, n_jobs=jobs).fit(images, labels) for jobs in (1, 2)]
    # Its processes would hold TensorFlow's memory until the last test.
    get_reusable_executor().shutdown(kill_workers=True)
    scores = [[search.cv_results_[f"split{fold}_test_score"] for fold in (0, 1)] for search in searches]
    np.testing.assert_array_equal(*scores)
    assert (
        searches[0].best_params_["learning_rate"] == searches[0].best_estimator_.config_.optimizer.learning_rate == 0.01
    )


@pytest.mark.parametrize("scaler", [MinMaxScaler(), StandardScaler()])
def test_it_ends_a_pipeline(digits, scaler) -> None:
    images, labels = digits
    pipeline = make_pipeline(scaler, small(epochs=8)).fit(images.reshape(-1, 784)[:160], labels[:160])
    assert pipeline.score(images.reshape(-1, 784)[160:], labels[160:]) > 0.5


def test_a_divergence_warns(digits) -> None:
    images, labels = digits[0][:64], digits[1][:64]
    with pytest.warns(ConvergenceWarning, match=r"not a number from epoch \d on: try a lower learning_rate"):
        fitted = small(optimizer="adamw", learning_rate=1000.0, weight_decay=0.9).fit(images, labels)
    assert np.isnan(fitted.predict_proba(images)).all()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 785)), "785 features, allowed: at most 784"),
        (np.zeros((4, 30, 30)), "900 features, allowed: at most 784"),
        (np.zeros((4, 20, 28)), r"shape \(4, 20, 28\), allowed: square grey images"),
        (np.zeros((4, 28, 28, 3)), r"shape \(4, 28, 28, 3\), allowed: square grey images"),
    ],
)
def test_invalid_images_are_refused(images, message) -> None:
    with pytest.raises(ValueError, match=message):
        small().fit(images, [0, 1, 0, 1])


def test_more_than_a_hundred_classes(digits) -> None:
    with pytest.raises(ValueError, match="y has 101 classes, allowed: at most 100"):
        small().fit(np.resize(digits[0], (303, *digits[0].shape[1:])), np.arange(303) % 101)


@pytest.mark.parametrize("classes", [2, 12])
def test_the_network_has_an_output_for_each_class(classes, digits) -> None:
    fitted = small(epochs=1).fit(digits[0][:48], np.arange(48) % classes)
    assert fitted.weights_[-1].shape == (classes,)
    assert fitted.predict_proba(digits[0][:5]).shape == (5, classes)


def test_images_scaled_differently_from_the_training_images_are_refused(digits) -> None:
    images, labels = digits[0][:64], digits[1][:64]
    with pytest.raises(ValueError, match="X goes up to 1, but the fitted values were from 0 to 255"):
        small(epochs=1).fit(images, labels).predict(images / 255)
    with pytest.raises(ValueError, match="X goes up to 255, but the fitted values were from 0 to 1"):
        small(epochs=1).fit(images / 255, labels).predict(images)


def test_parameters_are_checked_as_settings_are(digits) -> None:
    images, labels = digits[0][:32], digits[1][:32]
    with pytest.raises(ConfigError) as caught:
        small(optimizer="nadem", epochs=0).fit(images, labels)
    assert {problem.key for problem in caught.value.problems} == {"optimizer.name", "training.epochs"}
    assert "did you mean 'nadam'?" in str(caught.value)
    with pytest.raises(ConfigError, match=r"MnistCnnClassifier: optimizer\.momentum"):
        small(optimizer="adam", momentum=0.9).fit(images, labels)
    with pytest.raises(ValueError, match="pixel_range is"):
        small(pixel_range=(1, 1)).fit(images, labels)
