"""Whether more digits would help more than more tuning: the curve, the verdicts, and how often the intervals hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistexp.statistics import wilson
from mnistexp.statistics.more_digits import RATES, AccuracyCurve, more_digits

SIZES = (53, 133, 267, 533)


def readings(accuracies: list[list[float]], digits: int = 800) -> np.ndarray:
    """Which digits are read, float64 (settings, sizes, digits): the easiest ones, as far as each accuracy goes."""
    easy = (np.arange(digits) + 0.5) / digits
    return (easy < np.array(accuracies)[..., None]).astype(float)


@given(a=st.floats(0.8, 1), rate=st.sampled_from(RATES.tolist()), lost=st.floats(0.001, 0.01))
def test_the_gain_of_doubling_is_that_of_the_curve_which_the_accuracies_lie_on(
    a: float, rate: float, lost: float
) -> None:
    accuracies = np.array([a - lost * (size / SIZES[-1]) ** -rate for size in SIZES])
    found = more_digits(SIZES, np.repeat(accuracies[None, :, None], 2, axis=2), draws=10)
    assert found is not None
    assert found.doubling_gain == pytest.approx(lost * (1 - 2**-rate), rel=1e-6)
    assert found.doubling_interval.low == pytest.approx(found.doubling_interval.high)


def test_the_fitted_curve_goes_through_accuracies_that_lie_on_one() -> None:
    sizes = np.array([53, 133, 267, 533, 1066])
    accuracies = 0.97 - 0.4 * sizes**-0.5
    curve = AccuracyCurve(
        "accuracy", SIZES, tuple(accuracies[:4]), tuple(wilson(800 * one, 800) for one in accuracies[:4])
    )
    assert curve.fitted(sizes) == pytest.approx(accuracies, rel=1e-6)


def test_a_curve_never_promises_more_than_every_digit_nor_a_loss() -> None:
    falling = more_digits(SIZES, readings([[0.9, 0.88, 0.86, 0.85]]))
    assert falling is not None
    assert falling.doubling_gain == 0
    steep = more_digits(SIZES, readings([[0.1, 0.3, 0.6, 0.99]]))
    assert steep is not None
    assert 0 < steep.doubling_gain <= 0.4


def test_more_digits_or_tuning_is_recommended_only_where_the_intervals_allow() -> None:
    climbing, level = [0.3, 0.5, 0.65, 0.8], [0.79, 0.795, 0.8, 0.8]
    digits = more_digits(SIZES, readings([climbing, climbing, climbing]))
    assert digits is not None
    assert digits.verdict == "digits"
    assert digits.sentence.startswith("More digits would help more than more tuning. Twice the 533 digits")
    tuning = more_digits(SIZES, readings([[0.89, 0.895, 0.9, 0.9], level, [0.1, 0.1, 0.1, 0.1]]))
    assert tuning is not None
    assert (tuning.verdict, tuning.tuning_gain) == ("tuning", pytest.approx(0.1))
    assert tuning.sentence.startswith("Tuning helps more than more digits would.")
    alike = more_digits(SIZES, readings([[0.75, 0.78, 0.79, 0.8], [0.74, 0.77, 0.785, 0.79]]))
    assert alike is not None
    assert alike.verdict == "undecided"
    assert "don't show" in alike.sentence


def test_one_setting_has_no_tuning_to_compare_with_and_two_sizes_no_curve() -> None:
    found = more_digits(SIZES, readings([[0.3, 0.5, 0.65, 0.8]]))
    assert found is not None
    assert (found.verdict, found.tuning_gain) == (None, None)
    assert found.document()["tuning_interval"] is None
    assert more_digits(SIZES[:2], readings([[0.3, 0.5]])) is None


def test_the_interval_of_doubling_holds_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    accuracies = 0.95 - 0.6 * np.array(SIZES) ** -0.5
    gain = 0.6 * SIZES[-1] ** -0.5 * (1 - 2**-0.5)
    held = 0
    for seed in range(40):
        easy = random.random(300)
        # Six digits of ten are as hard at every size.
        read = [np.where(random.random(300) < 0.6, easy, random.random(300)) < share for share in accuracies]
        found = more_digits(SIZES, np.array([read], float), seed=seed, draws=200)
        assert found is not None
        held += gain in found.doubling_interval
    assert held >= 35  # of 40: below in 1 of 70 samples if it holds in 95%
