"""The loop against Keras on real digits, and what a training guarantees: the same bits, whatever happens on the way."""

import math
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from programs import untouched

from mnistexp import data
from mnistexp.config.models import DataConfig, EarlyStopping, ExperimentConfig, ModelConfig, TrainingConfig
from mnistexp.config.optimizers import OPTIMIZERS, Adam, AdamW, Nadam, Optimizer, Sgd
from mnistexp.training import fitting
from mnistexp.training.fitting import Fit, fit
from mnistexp.training.model import Seed, initial_weights
from mnistexp.training.predicting import compiled_loop, evaluate, keras_model, predict
from mnistexp.training.runtime import import_keras
from mnistexp.training.state import EpochRow, TrainingState

DIGITS = data.load(DataConfig())
X, Y = DIGITS.images[:200], DIGITS.labels[:200]
VALIDATION = DIGITS.images[800:870], DIGITS.labels[800:870]
SEED = Seed(2)

OTHERS: dict[str, dict[str, float]] = {
    "sgd": {"learning_rate": 0.05, "decay": 0.01},
    "momentum": {"learning_rate": 0.005, "momentum": 0.7, "decay": 0.01},
    "nesterov": {"learning_rate": 0.005, "momentum": 0.8, "decay": 1e-6},
    "adagrad": {"learning_rate": 0.01, "epsilon": 1e-4},
    "rmsprop": {"learning_rate": 0.0005, "rho": 0.5, "epsilon": 1e-5},
    "adam": {"learning_rate": 0.0005, "beta_1": 0.5, "beta_2": 0.9},
    "adamw": {"learning_rate": 0.0005, "weight_decay": 0.04, "beta_1": 0.5},
    "nadam": {"learning_rate": 0.0005, "beta_1": 0.7, "beta_2": 0.9},
    "adadelta": {"learning_rate": 0.3, "rho": 0.9, "epsilon": 1e-5},
}
BATCH = 24
"""Shared by nearly all tests, as each size takes seconds to compile; the last batch is not full."""


def experiment(optimizer: Optimizer | None = None, dropout: float = 0.0, **settings: Any) -> ExperimentConfig:
    model = ModelConfig(kind=settings.pop("kind", "cnn"), kernel_size=settings.pop("kernel_size", 3), dropout=dropout)
    if "early_stopping" in settings:
        settings["validation_fraction"] = 0.2
    training = TrainingConfig(**{"epochs": 3, "batch_size": BATCH} | settings)
    return ExperimentConfig(optimizer=optimizer or Adam(), model=model, training=training)


def trained(config: ExperimentConfig, seed: Seed = SEED, **options: Any) -> Fit:
    return fit(config, X, Y, VALIDATION, seed, **options)


def bits(result: Fit) -> str:
    """A hash of everything that a training computes."""
    history = result.history
    curves = [history.loss, history.accuracy, history.val_loss, history.val_accuracy]
    parts = [*result.weights, np.array(curves), result.probabilities]
    return sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def by_keras(config: ExperimentConfig) -> dict[str, list[float]]:
    model = keras_model(config, initial_weights(config.model, SEED))
    model.jit_compile = False  # each model would be compiled anew, for longer than its steps take
    validation = data.as_input(VALIDATION[0]), VALIDATION[1]
    epochs, batch = config.training.epochs, config.training.batch_size
    fitted = model.fit(data.as_input(X), Y, batch, epochs, verbose=0, validation_data=validation, shuffle=False)
    return dict(fitted.history)


def compare(config: ExperimentConfig) -> None:
    ours, theirs = trained(config).history, by_keras(config)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(getattr(ours, name), theirs[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_curves_are_those_of_keras(name: str) -> None:
    """Over 18 steps: after more, Keras doesn't agree with itself either once a weight is changed in its last bit.

    With a value of its own for each hyperparameter; test_optimizers.py has the defaults and the grids.
    """
    compare(experiment(OPTIMIZERS[name](**OTHERS[name]), epochs=2, shuffle=False))


@pytest.mark.parametrize(
    "settings",
    [{"kind": "mlp"}, {"kind": "logistic"}, {"kernel_size": 5, "batch_size": 7}, {"batch_size": 200}],
)
def test_curves_are_those_of_keras_for_other_networks_and_batches(settings: dict[str, Any]) -> None:
    compare(experiment(Sgd(learning_rate=0.05), shuffle=False, **settings))


def random_weights(config: ModelConfig) -> list[Any]:
    from mnistexp.training.loop import tf

    draws = np.random.default_rng(0)
    shapes = [weight.shape for weight in initial_weights(config)]
    return [tf.constant(draws.normal(0, 0.2, shape).astype(np.float32)) for shape in shapes]


@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig(filters=(3, 5), dense_units=7)])
def test_gradients_with_dropout_are_those_of_the_layers(config: ModelConfig) -> None:
    """The same masks: of the 13x13 pooled units that Keras drops from, no output depends on the last row and column."""
    from mnistexp.training.layers import Layers, tf
    from mnistexp.training.winograd import Winograd

    fast, layers, weights, n = Winograd(config.filters, config.dense_units), Layers(config), random_weights(config), 9
    images, labels = X[:n].copy(), tf.constant(Y[:n].astype(np.int32))
    images[0], images[1, 5:20, 5:20] = 0, 255  # windows full of equals
    shares = tf.constant(np.arange(n) / 36, tf.float32)
    dense = np.random.default_rng(1).binomial(1, 0.6, (n, config.dense_units)).astype(np.float32) / 0.6
    grid = np.random.default_rng(2).binomial(1, 0.6, (n, 12, 12, config.filters[0])).astype(np.float32) / 0.6
    by_parity = grid.reshape(n, 6, 2, 6, 2, -1).transpose(5, 2, 4, 1, 3, 0).reshape(n, -1)
    padded = np.pad(grid, ((0, 0), (0, 1), (0, 1), (0, 0))).reshape(n, -1)
    losses, logits, gradients = fast.gradients(
        weights, tf.constant(fast.prepare(images)), labels, shares, [tf.constant(by_parity), tf.constant(dense)]
    )
    expected = layers.gradients(weights, tf.constant(images), labels, shares, [tf.constant(padded), tf.constant(dense)])
    for ours, theirs in zip([losses, logits, *gradients], [*expected[:2], *expected[2]], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6 * np.abs(theirs).max())


def test_one_compiled_loop_serves_all_settings_and_each_has_an_effect() -> None:
    for name, optimizer in OPTIMIZERS.items():
        changes = [{}, *({key: value} for key, value in OTHERS[name].items())]
        configs = [experiment(optimizer(**change), epochs=1) for change in changes]
        results = [trained(config).weights[4].tobytes() for config in configs]
        assert len(set(results)) == len(results), name
        assert len({compiled_loop(config) for config in configs}) == 1


def test_dropout_rates_share_a_loop_and_change_the_training() -> None:
    configs = [experiment(dropout=rate, epochs=1) for rate in (0.2, 0.4, 0.8)]
    assert len({trained(config).weights[4].tobytes() for config in [*configs, experiment(epochs=1)]}) == 4
    assert len({compiled_loop(config) for config in configs}) == 1


def test_a_dropout_rate_of_0_is_no_dropout_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    without = trained(experiment())
    monkeypatch.setattr(fitting, "compiled_loop", lambda _: dropping_loop())
    assert bits(trained(experiment())) == bits(without)


def dropping_loop() -> Any:
    from mnistexp.training.loop import loop_for

    return loop_for(ModelConfig(), "adam", BATCH, True)


def test_steps_done_in_one_call_or_in_many_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    from mnistexp.training import loop

    config = experiment(dropout=0.3)
    together = bits(trained(config))
    monkeypatch.setattr(loop, "AT_ONCE", 2 * BATCH)  # 9 batches: the last call has one left
    monkeypatch.setattr(loop, "loop_for", loop.loop_for.__wrapped__)
    assert compiled_loop(config).steps == 2
    assert bits(trained(config)) == together


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_dropout_drops_at_its_rate(rate: float) -> None:
    from mnistexp.training.loop import tf

    loop = dropping_loop()
    drop, key = tf.constant([rate, 1 / (1 - rate)], tf.float32), tf.constant([3], tf.uint64)
    draws = [loop.draws(key, step, 1)[0] for step in range(20)]
    masks = [np.concatenate([part.numpy().ravel() for part in loop.masks(bits, drop)]) for bits in draws]
    assert {0.0, np.float32(1 / (1 - rate))} == set(np.unique(masks))
    dropped = np.equal(masks, 0)
    deviation = (rate * (1 - rate) / dropped.size) ** 0.5
    assert abs(dropped.mean() - rate) < 5 * deviation
    together = (dropped[1:] & dropped[:-1]).mean()
    assert abs(together - rate**2) < 5 * (rate**2 / dropped.size) ** 0.5
    np.testing.assert_array_equal(draws[5:9], loop.draws(key, 5, 4)[:4])


CHILD = f"""
import numpy, random, sys, tensorflow
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from test_training import *
numpy.random.seed(99); random.seed(99)
print(bits(trained(experiment(Nadam(), dropout=0.3))))
"""


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_in_another_process() -> None:
    """Where TensorFlow was imported before us, and other random numbers are seeded differently."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, env=untouched())
    assert done.stdout.strip() == bits(trained(experiment(Nadam(), dropout=0.3))), done.stderr


def test_fold_repeat_and_root_seed_each_give_another_training() -> None:
    seeds = [SEED, Seed(3), Seed(2, fold=1), Seed(2, repeat=1)]
    assert len({bits(trained(experiment(epochs=1), seed)) for seed in seeds}) == 4


def test_splitting_an_epoch_into_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    config = experiment(dropout=0.3)
    whole, seen = bits(trained(config)), list[float]()
    monkeypatch.setattr(fitting, "PIECE_SECONDS", 0.0)
    assert bits(trained(config, on_progress=seen.append)) == whole
    assert seen == pytest.approx([batch / 9 for batch in range(1, 28)])


@pytest.mark.parametrize("config", [
    experiment(Nadam(), epochs=4),
    experiment(dropout=0.3),
    experiment(Adam(learning_rate=0.003), epochs=8, early_stopping=EarlyStopping(patience=2)),
], ids=["nadam", "dropout", "early stopping"])  # fmt: skip
def test_a_resumed_training_is_the_uninterrupted_one(config: ExperimentConfig, tmp_path: Path) -> None:
    def save(state: TrainingState) -> None:
        np.savez(tmp_path / f"{len(state.rows)}.npz", **state.arrays())  # type: ignore[arg-type]

    whole = trained(config, checkpoint=save)
    for epochs in range(1, whole.history.epochs + 1):
        with np.load(tmp_path / f"{epochs}.npz") as arrays:
            resumed = trained(config, resume_from=TrainingState.from_arrays(arrays))
        assert bits(resumed) == bits(whole), epochs
        assert (resumed.stopped_at, resumed.kept_epoch) == (whole.stopped_at, whole.kept_epoch)


def test_the_saved_model_evaluates_to_the_recorded_numbers(tmp_path: Path) -> None:
    keras = import_keras()
    config = experiment(dropout=0.2)
    result = trained(config)
    keras_model(config, result.weights, SEED).save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    loss, accuracy = model.evaluate(data.as_input(VALIDATION[0]), VALIDATION[1], verbose=0)
    assert loss == pytest.approx(result.history.val_loss[-1], rel=1e-5)
    assert accuracy == pytest.approx(result.history.val_accuracy[-1])
    assert evaluate(config, result.weights, *VALIDATION) == (
        result.history.val_loss[-1],
        result.history.val_accuracy[-1],
    )
    np.testing.assert_array_equal(predict(config, result.weights, VALIDATION[0]), result.probabilities)
    np.testing.assert_allclose(model.predict(data.as_input(VALIDATION[0]), verbose=0), result.probabilities, atol=1e-5)


def test_the_standard_error_of_the_validation_loss_is_that_of_the_digits_losses() -> None:
    result = trained(experiment(epochs=2))
    assert result.probabilities is not None
    losses = -np.log(result.probabilities[np.arange(len(VALIDATION[1])), VALIDATION[1]].astype(np.float64))
    expected = losses.std(ddof=1) / len(losses) ** 0.5
    assert result.history.val_loss_se[-1] == pytest.approx(expected, rel=1e-4)
    assert len(result.history.val_loss_se) == 2


def test_more_digits_than_are_evaluated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config, weights = experiment(), initial_weights(ModelConfig())
    whole = predict(config, weights, X)
    monkeypatch.setattr("mnistexp.training.predicting.EVALUATED_AT_ONCE", 33)
    np.testing.assert_allclose(predict(config, weights, X), whole, rtol=1e-6)
    assert whole.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_each_digit_is_evaluated_once_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, seen = compiled_loop(experiment()), list[int]()
    once = loop.network.at_once

    def logits(_weights: Any, x: Any, real: Any) -> Any:
        seen.append(int(real))
        return np.zeros((len(x), 10), np.float32)

    monkeypatch.setattr(loop.network, "logits", logits)
    count = 2 * once + 5
    loop._evaluate((), loop.part(np.resize(X, (count, 28, 28)), np.resize(Y, count)))
    assert seen == [once, once, 5]


@pytest.mark.parametrize(("every", "validated"), [(0, [4]), (2, [2, 4]), (3, [3, 4]), (9, [4])])
def test_validating_less_often_changes_nothing_else(every: int, validated: list[int]) -> None:
    always, rarely = trained(experiment(epochs=4)), trained(experiment(epochs=4, validate_every=every))
    assert rarely.history.loss == always.history.loss
    expected = [loss if epoch in validated else None for epoch, loss in enumerate(always.history.val_loss, 1)]
    assert [None if math.isnan(loss) else loss for loss in rarely.history.val_loss] == expected


def test_without_validation_digits_nothing_is_validated() -> None:
    always = trained(experiment())
    without = fit(experiment(), X, Y, None, SEED)
    assert (without.history.loss, without.history.val_loss) == (always.history.loss, ())
    assert without.probabilities is None


def test_divergence_ends_the_training_and_says_when() -> None:
    result = trained(experiment(AdamW(learning_rate=1000.0, weight_decay=0.9), epochs=6))
    assert result.diverged_at == len(result.seconds) == 1
    curves = np.array([result.history.loss, result.history.accuracy, result.history.val_loss])
    assert curves.shape == (3, 6)
    assert np.isnan(curves[0]).all()
    assert np.isnan(curves[:, 1:]).all()
    assert np.isnan(result.probabilities).all()
    assert (result.interrupted, result.stopped_at, result.kept_epoch) == (False, None, 1)


@pytest.mark.parametrize("min_delta", [0.0, 0.05])
def test_early_stopping_is_that_of_keras(min_delta: float) -> None:
    keras = import_keras()
    stopping = EarlyStopping(patience=2, min_delta=min_delta)
    config = experiment(Adam(learning_rate=0.003), epochs=25, early_stopping=stopping)
    result = trained(config)
    peer = keras.callbacks.EarlyStopping(patience=2, min_delta=min_delta)
    peer.set_model(keras.Sequential())
    peer.model.stop_training = False
    peer.on_train_begin()
    for epoch, loss in enumerate(result.history.val_loss):
        peer.on_epoch_end(epoch, {"val_loss": loss})
    assert peer.model.stop_training
    assert result.stopped_at == peer.stopped_epoch + 1 == result.history.epochs < 25
    assert evaluate(config, result.weights, *VALIDATION)[0] == peer.best
    assert result.history.val_loss[result.kept_epoch - 1] == peer.best
    last = trained(experiment(
        config.optimizer, epochs=25, early_stopping=stopping.model_copy(update={"restore_best_weights": False})
    ))  # fmt: skip
    assert last.history == result.history
    assert last.kept_epoch == last.stopped_at
    assert evaluate(config, last.weights, *VALIDATION)[0] == last.history.val_loss[-1] != peer.best


def test_ctrl_c_keeps_the_epochs_that_were_finished() -> None:
    def interrupt(epochs: float) -> None:
        if epochs > 2:
            signal.raise_signal(signal.SIGINT)

    whole, cut = trained(experiment(epochs=2)), trained(experiment(epochs=9), on_progress=interrupt)
    assert cut.interrupted
    assert cut.stopped_at is None
    assert bits(cut) == bits(whole)
    assert bits(trained(experiment(epochs=4), resume_from=cut.state)) == bits(trained(experiment(epochs=4)))


def test_a_training_stops_when_told_to() -> None:
    rows: list[EpochRow] = []

    def collect(epoch: int, row: EpochRow) -> None:
        rows.append(row)
        assert epoch == len(rows)

    cut = trained(experiment(epochs=9), on_epoch=collect, should_stop=lambda: len(rows) == 2)
    assert cut.interrupted
    assert [row.loss for row in rows] == list(cut.history.loss)
    assert len(rows) == 2
    none = trained(experiment(), should_stop=lambda: True)
    assert none.interrupted
    assert none.history.loss == ()
    np.testing.assert_array_equal(none.weights[0], initial_weights(ModelConfig(), SEED)[0])


def test_images_are_not_changed_by_training() -> None:
    before: NDArray[np.uint8] = X.copy()
    trained(experiment(epochs=1))
    np.testing.assert_array_equal(X, before)
