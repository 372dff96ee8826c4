"""Whatever the curves, what is said of the number of epochs follows from them and does not contradict itself."""

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import NETWORK

from mnistexp import data, statistics
from mnistexp.api import configure
from mnistexp.statistics import BestEpochs
from mnistexp.training import fitting
from mnistexp.training.model import Seed

NAN = math.nan
TRIAL_LOSS = [2.26, 1.7, 0.78, 0.44, 0.31, 0.27, 0.19, 0.16, 0.125, 0.094]
TRIAL_VAL_LOSS = [2.14, 1.06, 0.62, 0.43, 0.40, 0.39, 0.309, 0.370, 0.406, 0.431]

values = st.floats(0, 10) | st.sampled_from([NAN, 0.0, 0.5, 1.0, math.log(10), 2.5])
epochs = st.tuples(values, values, st.floats(0, 1) | st.just(NAN))


def check(curves: dict[str, Any], best: BestEpochs) -> None:
    """Assert every part of an answer by definition: plain loops over the curves, nothing of the code under test."""
    loss, val, accuracy = curves["loss"], curves["val_loss"], curves.get("val_accuracy") or [NAN] * len(curves["loss"])
    finite = [math.isfinite(value) for value in loss]
    end = finite.index(False) if False in finite else len(loss)
    measured = [epoch for epoch in range(1, end + 1) if math.isfinite(val[epoch - 1])]
    said = best.sentence
    assert not re.search(r"\b(nan|inf|None)\b", said), said
    assert (best.diverged_at is None) == (end == len(loss))
    if not measured:
        assert (best.shape, best.epoch, best.overfitting_from) == ("unmeasured", None, None)
        return
    lowest = min(val[epoch - 1] for epoch in measured)
    assert best.minimum == lowest
    assert list(best.ties) == [epoch for epoch in measured if val[epoch - 1] == lowest]
    assert best.epoch == best.ties[0]
    assert best.standard_error is not None
    good = {epoch: val[epoch - 1] <= lowest + best.standard_error for epoch in measured}
    inside = [epoch for epoch in measured if best.flat_first <= epoch <= best.flat_last]  # type: ignore[operator]
    assert best.epoch in inside
    assert all(good[epoch] for epoch in inside)
    assert len(inside) == best.flat_measured
    beside = [
        other for pair in pairwise(measured) for epoch, other in (pair, pair[::-1])
        if epoch in inside and other not in inside
    ]  # fmt: skip
    assert not any(good[epoch] for epoch in beside)
    assert best.final == val[measured[-1] - 1]
    check_overfitting(best, loss[:end], val, accuracy, measured)


def check_overfitting(
    best: BestEpochs, loss: list[float], val: list[float], accuracy: list[float], measured: Any
) -> None:
    assert best.epoch is not None
    assert best.minimum is not None
    assert best.flat_last is not None
    limit = best.minimum + best.standard_error  # type: ignore[operator]
    after = [val[epoch - 1] for epoch in measured if epoch > best.flat_last]
    medians = [float(np.median(after[max(0, place - 2) : place + 3])) for place in range(len(after))]
    starts = [place for place in range(len(after) - 2) if all(median > limit for median in medians[place:])]
    start = [epoch for epoch in measured if epoch > best.flat_last][starts[0]] if starts else None
    right = accuracy[best.epoch - 1]
    chance = 1 / best.classes
    able = best.minimum < math.log(best.classes) and not (
        right <= chance + 2 * math.sqrt(chance * (1 - chance) / best.digits)
    )
    learned = start is not None and np.mean(loss[start - 1 :]) < loss[best.epoch - 1]
    assert best.overfitting_from == (start if able and learned else None)
    assert (
        (best.overfitting_from is not None)
        == (best.shape == "overfitting")
        == ("The network overfits" in best.sentence)
    )
    if best.overfitting_from is not None:
        assert best.overfitting_from > best.flat_last
        assert f"overfits from epoch {best.overfitting_from} on" in best.sentence
    if not able and len(measured) > 1:
        assert best.shape == "chance"


def judged(curves: dict[str, Any], **more: Any) -> BestEpochs:
    error = curves.get("val_loss_se")
    return statistics.best_epochs(
        curves["loss"], curves["val_loss"], error, val_accuracy=curves.get("val_accuracy") or (), **more
    )


def generated(rng: np.random.Generator) -> dict[str, Any]:
    """Curves of one training as trainings are, and as they go wrong: any length, plateaus, spikes, ties, gaps, NaN."""
    n = int(rng.integers(1, 60))
    epoch = np.arange(n)
    loss = 2.4 * np.exp(-epoch * 10.0 ** rng.uniform(-3, 0.5)) + rng.choice([0, 0.3, 2.3])
    turn, slope = rng.integers(0, n + 5), rng.choice([0, 0.002, 0.02, 0.3])
    val = rng.choice([0.1, 0.3, 1.0, 2.2]) + loss * rng.uniform(0.3, 1.2) + slope * np.maximum(epoch - turn, 0)
    for curve in (loss, val):
        curve *= np.exp(rng.choice([0, 0.01, 0.1, 0.5]) * rng.standard_normal(n))
        curve[rng.random(n) < rng.choice([0, 0, 0.1])] *= 5
    if rng.random() < 0.2:  # at chance, as after a learning rate that is too high
        loss, val = rng.choice([2.3, 2.5, 50.0]) + 0.05 * rng.random((2, n))
    if rng.random() < 0.3:
        val = val.round(1)
    if rng.random() < 0.2:
        loss[rng.integers(0, n) :] = NAN
    every = int(rng.choice([1, 1, 2, 5, 100]))
    val[(epoch + 1) % every != 0] = NAN
    if rng.random() < 0.1:
        val[rng.random(n) < 0.5] = NAN
    curves = {"loss": loss.tolist(), "val_loss": val.tolist()}
    if rng.random() < 0.7:
        right = np.clip(np.exp(-val / 2) + 0.05 * rng.standard_normal(n), 0, 1)
        curves["val_accuracy"] = np.where(np.isfinite(val), right, NAN).tolist()
    if rng.random() < 0.7:
        curves["val_loss_se"] = (np.nan_to_num(val) * rng.choice([0.0, 0.02, 0.2]) + rng.choice([0, 0.01])).tolist()
    return curves


def judge(count: int, seed: int) -> Counter[str]:
    rng = np.random.default_rng(seed)
    shapes: Counter[str] = Counter()
    for _ in range(count):
        curves, classes, digits = generated(rng), int(rng.choice([10, 10, 2, 100])), int(rng.integers(10, 400))
        best = judged(curves, classes=classes, digits=digits)
        check(curves, best)
        shapes[best.shape] += 1
    return shapes


def test_the_answer_follows_from_generated_curves_by_definition() -> None:
    shapes = judge(3_000, seed=1)
    kinds = ("unmeasured", "single", "chance", "falling", "flat", "rising", "overfitting", "unstable")
    assert min(shapes[kind] for kind in kinds) >= 20, shapes


@pytest.mark.slow
def test_the_answer_follows_from_100_000_generated_curves() -> None:
    assert judge(100_000, seed=2).total() == 100_000


@settings(max_examples=500)
@given(st.lists(epochs, max_size=30), st.none() | st.floats(0, 3), st.integers(2, 100), st.booleans())
def test_the_answer_follows_from_any_curves(
    rows: list[tuple[float, ...]], error: float | None, classes: int, known: bool
) -> None:
    loss, val_loss, val_accuracy = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    curves = {"loss": loss, "val_loss": val_loss, "val_accuracy": val_accuracy if known else []}
    best = statistics.best_epochs(
        loss, val_loss, error, val_accuracy=curves["val_accuracy"], digits=50, classes=classes
    )
    check(curves, best)


def test_overfitting_begins_after_the_range_that_is_as_good() -> None:
    best = statistics.best_epochs(TRIAL_LOSS, TRIAL_VAL_LOSS, 0.0775)
    assert (best.flat_first, best.flat_last, best.shape) == (7, 8, "rising")
    assert "too few epochs to call it overfitting" in best.sentence
    longer = statistics.best_epochs([*TRIAL_LOSS, 0.08], [*TRIAL_VAL_LOSS, 0.44], 0.0775)
    assert (longer.flat_first, longer.flat_last, longer.overfitting_from) == (7, 8, 9)


def test_a_network_at_chance_does_not_overfit() -> None:
    loss = [5e6, 2.4, 2.35, 2.33, 2.32, 2.31]
    after = [2.30, 2.31, 2.9, 3.0, 3.1, 3.2]
    at_chance = statistics.best_epochs(loss, after, 0.01, val_accuracy=[0.11] * 6)
    assert (at_chance.shape, at_chance.overfitting_from) == ("chance", None)
    assert "The validation accuracy at epoch 1, 11.0%, is no better than chance" in at_chance.sentence
    above = statistics.best_epochs(loss, [value + 1 for value in after], 0.01)
    assert above.shape == "chance"
    assert "no lower than that of guessing, ln(10) = 2.3026, so overfitting can't be assessed" in above.sentence
    sure = statistics.best_epochs(loss, [value + 1 for value in after], 0.01, val_accuracy=[0.8] * 6)
    assert "though the accuracy is 80.0%, so overfitting can't be assessed" in sure.sentence
    assert statistics.best_epochs(loss, after, 0.01, val_accuracy=[0.8] * 6).shape == "overfitting"
    assert statistics.best_epochs(loss, after, 0.01, val_accuracy=[0.11] * 6, classes=100).shape == "overfitting"


def test_epochs_between_validations_are_not_called_as_good() -> None:
    val = [NAN, 0.5, NAN, 0.4, NAN, 0.41, NAN, 0.9]
    best = statistics.best_epochs(list(np.linspace(1, 0.1, 8)), val, 0.2)
    assert "The 3 measured epochs from 2 to 6 are within one standard error" in best.sentence


@pytest.mark.slow
def test_the_answer_follows_from_200_real_trainings() -> None:
    """Widely different settings, as drawn; small networks and few epochs, so that it takes minutes."""
    rng = np.random.default_rng(3)
    digits = data.load(configure().data)
    rates = {
        "sgd": 0.1,
        "momentum": 0.01,
        "nesterov": 0.01,
        "adam": 1e-3,
        "nadam": 1e-3,
        "rmsprop": 1e-3,
        "adagrad": 0.01,
    }
    shapes: Counter[str] = Counter()
    for trial in range(200):
        name = str(rng.choice(list(rates)))
        train, test = (int(number) for number in rng.choice([[20, 60], [100, 100], [400, 200]]))
        config = configure(
            changes={
                "optimizer.name": name,
                "optimizer.learning_rate": rates[name] * 10.0 ** rng.uniform(-2, 3),
                **NETWORK,
                "model.dropout": float(rng.choice([0, 0.5])),
                "training.epochs": int(rng.choice([1, 5, 20, 40, 40])),
                "training.validate_every": int(rng.choice([0, 1, 1, 1, 1, 1, 5])),
            }
        )
        pictures, labels = digits.images[: train + test], digits.labels[: train + test]
        fit = fitting.fit(config, pictures[:train], labels[:train], (pictures[train:], labels[train:]), Seed(trial))
        history = fit.history
        curves = {name: list(getattr(history, name)) for name in ("loss", "val_loss", "val_accuracy", "val_loss_se")}
        best = judged(curves, digits=test)
        check(curves, best)
        shapes[best.shape] += 1
    print(dict(shapes))
    assert shapes["overfitting"]
    assert shapes["chance"]
