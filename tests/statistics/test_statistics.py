"""The statistics against scipy, statsmodels, scikit-learn or exact enumeration, and the laws they keep."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from later import Later
from scipy import stats

from mnistexp import statistics
from mnistexp.errors import BadInput
from mnistexp.statistics.trials import counts_of

GRIDS = {
    "adam": """.913736 .931233 .917472 .911243 .919992 .914984 .912483 .923728 .916223 .914975 .922494 .914993 .914989
        .920001 .912492 .913726 .908737 .904992 .914989 .904987 .917486 .914993 .913736 .909986 .921254 .928745 .924990
        .916242 .916237 .911234 .913745 .909995 .909976 .923733 .919987 .918748""",
    "nadam": """.921250 .907489 .914998 .921240 .916251 .920006 .914984 .911243 .921240 .909990 .909990 .919997 .918739
        .922498 .923742 .912501 .913750 .915003 .907498 .912492 .916237 .916233 .911253 .916233 .912483 .911248 .916233
        .925000 .919978 .913745 .916233 .912487 .909990 .922489 .916247 .922484""",
    "adadelta": """.142547 .166291 .122483 .145063 .133682 .162527 .148752 .152568 .111238 .167432 .159913 .191218
        .163715 .139980 .093774 .158716""",
    "dropout": ".929989 .927501 .934997 .922484 .919992",
}
"""The assignment notebook's mean cross-validated accuracies, each sweep's in the order of its grid."""

SGD_VAL_LOSS = """1.7812 .7918 .4853 .3674 .4285 .3760 .3550 .3529 .3083 .3670 .3779 .3347 .3355 .3773 .3683 .3750 .3083
    .3438 .3501 .3726 .3642 .3717 .3664 .3806 .3783 .3848 .3901 .3885 .3952 .3944 .3976 .4037 .4005 .4063 .4084 .4090
    .4141 .4146 .4188 .4164"""
SGD_LOSS = """2.2317 1.2515 .5384 .3447 .2615 .2047 .1651 .1485 .0979 .0642 .0480 .0588 .0394 .0254 .0252 .0289 .0172
    .0071 .0071 .0047 .0037 .0030 .0029 .0021 .0021 .0021 .0019 .0017 .0017 .0014 .0015 .0014 .0012 .0012 .0012 .0012
    .0011 .0011 .0011 .00095"""
"""The notebook's 150-epoch training, its first 40 epochs."""

contingency = Later("statsmodels.stats.contingency_tables")
multitest = Later("statsmodels.stats.multitest")
proportion = Later("statsmodels.stats.proportion")
quick = settings(max_examples=60)
levels = st.floats(0.5, 0.99)
counts = st.integers(1, 900).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
two_trials = st.integers(1, 80).flatmap(
    lambda n: st.tuples(arrays(np.bool_, n), arrays(np.bool_, n)).map(lambda pair: (pair[0], pair[1]))
)


def numbers(text: str) -> list[float]:
    return [float(number) for number in text.split()]


def trials(accuracies: list[float], digits: int, seed: int) -> np.ndarray:
    """bool (trials, digits) of independent digits."""
    return np.random.default_rng(seed).random((len(accuracies), digits)) < np.array(accuracies)[:, None]


# One accuracy


@pytest.mark.parametrize(("k", "n"), [(0, 20), (185, 200), (200, 200), (250, 267), (747, 800), (1, 1)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_wilson_is_scipys(k: int, n: int, level: float) -> None:
    ours, theirs = statistics.wilson(k, n, level), stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@quick
@given(counts, levels, levels)
def test_intervals_of_an_accuracy_hold_it_and_widen_with_the_level(pair: tuple[int, int], a: float, b: float) -> None:
    k, n = pair
    low, high = sorted((a, b))
    for method in (statistics.wilson, lambda k, n, level: statistics.predict_accuracy(k, n, 300, level)):
        narrow, wide = method(k, n, low), method(k, n, high)
        assert k / n in narrow
        assert 0 <= wide.low <= narrow.low <= narrow.high <= wide.high <= 1


@quick
@given(counts, levels)
def test_counting_wrong_digits_mirrors_the_intervals(pair: tuple[int, int], level: float) -> None:
    k, n = pair
    for method in (statistics.wilson, lambda k, n, level: statistics.predict_accuracy(k, n, 300, level)):
        right, wrong = method(k, n, level), method(n - k, n, level)
        assert (right.low, right.high) == pytest.approx((1 - wrong.high, 1 - wrong.low), abs=1e-9)


@pytest.mark.parametrize(("k", "n", "m"), [(185, 200, 4000), (180, 200, 200), (760, 800, 4000), (200, 200, 50)])
def test_predicted_accuracies_are_those_that_the_pooled_test_does_not_reject(k: int, n: int, m: int) -> None:
    interval = statistics.predict_accuracy(k, n, m)
    y = np.arange(m + 1)
    pooled = (k + y) / (n + m)
    with np.errstate(invalid="ignore"):
        z = (k / n - y / m) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    kept = y[~(np.abs(z) > stats.norm.ppf(0.975))] / m
    assert kept.min() - 1 / m < interval.low <= kept.min() + 1e-9
    assert kept.max() - 1e-9 <= interval.high < kept.max() + 1 / m


@pytest.mark.parametrize("level", [0.6786666379727991, 0.7831878595697153])
def test_rounding_keeps_intervals_between_0_and_1(level: float) -> None:
    """Nearly none and nearly all right, as averages over resamples may be."""
    assert statistics.wilson(1.281828623330272e-12, 200, level).low >= 0
    assert statistics.wilson(1.9999999999999998, 2, level).high <= 1


def test_the_fewer_the_further_digits_the_less_is_known_of_their_accuracy() -> None:
    intervals = [statistics.predict_accuracy(185, 200, m) for m in (10**9, 200, 10, 1, 0.5)]
    widths = [interval.high - interval.low for interval in intervals]
    assert widths == sorted(widths)


def test_a_predicted_accuracy_on_endless_digits_is_wilsons() -> None:
    far, wilson = statistics.predict_accuracy(185, 200, 10**9), statistics.wilson(185, 200)
    assert (far.low, far.high) == pytest.approx((wilson.low, wilson.high), abs=1e-6)


@pytest.mark.parametrize("table", [(185, 200, 3780, 4000), (200, 200, 190, 200), (0, 30, 5, 20)])
def test_difference_of_accuracies_is_statsmodels_newcombe(table: tuple[int, int, int, int]) -> None:
    ours = statistics.accuracy_difference(*table)
    theirs = proportion.confint_proportions_2indep(*table, compare="diff", method="newcomb")
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)


@quick
@given(counts, counts)
def test_swapping_the_sides_mirrors_the_difference(first: tuple[int, int], second: tuple[int, int]) -> None:
    one, other = statistics.accuracy_difference(*first, *second), statistics.accuracy_difference(*second, *first)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.low - 1e-12 <= first[0] / first[1] - second[0] / second[1] <= one.high + 1e-12


@pytest.mark.parametrize(
    "call",
    [
        lambda: statistics.wilson(5, 0),
        lambda: statistics.wilson(201, 200),
        lambda: statistics.wilson(-1, 200),
        lambda: statistics.wilson(float("nan"), 200),
        lambda: statistics.wilson(190, 200, 95),
        lambda: statistics.wilson(190, 200, 0),
        lambda: statistics.wilson(190, 200, 1),
        lambda: statistics.wilson(190, 200, 1.5),
        lambda: statistics.predict_accuracy(201, 200, 50),
        lambda: statistics.predict_accuracy(190, 200, 0),
        lambda: statistics.over_repeats([0.9], level=95),
        lambda: statistics.prediction_interval([0.9], level=95),
        lambda: statistics.over_repeats([]),
        lambda: statistics.over_repeats([0.9, float("nan")]),
        lambda: statistics.best_epochs([1.0], [1.0, 2.0]),
        lambda: statistics.best_epochs([1.0], [1.0], -0.1),
        lambda: statistics.best_epochs([1.0], [1.0], [0.1, 0.1]),
        lambda: statistics.seed_band([[1.0, 2.0]] * 2),
        lambda: statistics.seed_band([1.0, 2.0, 3.0]),
        lambda: statistics.paired_difference([True], [True, False]),
        lambda: statistics.paired_difference([True, True], [True, False], level=95),
        lambda: statistics.tied_with_best(np.ones((2, 5)), 0),
        lambda: statistics.tied_with_best(np.ones((2, 5), dtype=bool), 2),
        lambda: statistics.tied_with_best(np.ones((2, 5), dtype=bool), 0, level=95),
        lambda: statistics.compare_trials(np.ones((2, 5), dtype=bool), ["adam"]),
        lambda: statistics.bbc_cv(np.ones((2, 9), dtype=bool)),
        lambda: statistics.bbc_cv(np.ones((2, 10), dtype=bool), weights=np.ones((2, 10))),
        lambda: statistics.compare_trials(np.ones((2, 10), dtype=bool), weights=np.zeros((1, 10))),
        lambda: statistics.paired_difference([True, False], [True, True], weights=[1]),
        lambda: statistics.bbc_cv(np.ones((2, 10), dtype=bool), level=95),
        lambda: statistics.nested_summary([0.9], [100, 100]),
        lambda: statistics.nested_summary([90.0], [100]),
        lambda: statistics.nested_summary([0.9, 1.5], [100, 100]),
        lambda: statistics.nested_summary([0.9, None], [100, 100]),
        lambda: statistics.nested_summary([0.9, 0.8], [100, 0]),
        lambda: statistics.nested_summary([0.9, 0.8], [100, None]),
        lambda: statistics.final_accuracy([0.9]),
        lambda: statistics.final_accuracy([0.9, 1.1]),
        lambda: statistics.final_accuracy([0.9, None]),
        lambda: statistics.final_accuracy([0.9, 0.8], level=95),
        lambda: statistics.one_standard_error([0.9, 0.8], [0.1]),
        lambda: statistics.select("best", [float("nan")], [0.1], [1]),
        lambda: statistics.select("one_se", [0.9], [0.1], [1]),
        lambda: statistics.select("one-se", [0.9], [0.1], [1, 2]),
        lambda: statistics.compatible([0.9, 0.9], [0.9, 0.9, 0.9]),
        lambda: statistics.compatible([0.9, 0.9, 0.9], [0.9, 0.9]),
        lambda: statistics.compatible([0.9, 0.9, None], [0.9, 0.9, 0.9]),
        lambda: statistics.compatible([0.9, 0.9, 0.9], [0.9, 0.9, 0.9], level=95),
    ],
)
def test_invalid_counts_and_shares_are_bad_input(call: object) -> None:
    with pytest.raises(BadInput):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(("value", "named"), [(float("nan"), "nan"), (float("-inf"), "-inf"), (None, "nan")])
def test_the_value_that_is_not_a_number_is_reported(value: float, named: str) -> None:
    with pytest.raises(BadInput, match=f"^values: {named} is not a finite number"):
        statistics.over_repeats([0.9, value])


def test_reported_values_and_ours_must_all_be_numbers() -> None:
    with pytest.raises(BadInput, match=r"^reported, ours: 3 and 4 values, allowed: at least 3 finite values each"):
        statistics.compatible([0.9, 0.9, 0.9], [0.9, 0.9, 0.9, None])  # type: ignore[list-item]


def test_a_misspelled_name_gets_the_nearest_valid_one() -> None:
    with pytest.raises(
        BadInput, match=r"^--select: 'one_se'; allowed: best, one-se, cheapest\W.*did you mean 'one-se'"
    ):
        statistics.select("one_se", [0.9], [0.1], [1])  # type: ignore[arg-type]


# The final model


def test_the_final_model_errs_a_little_less_than_the_networks_of_its_cross_validation() -> None:
    scores = [[0.95, 0.90, 0.925, 0.96], [0.94, 0.93, 0.95, 0.92]]
    found = statistics.final_accuracy(scores)
    assert (found.folds, found.repeats, found.cross_validated) == (4, 2, pytest.approx(np.mean(scores)))
    assert 1 - found.accuracy == pytest.approx((1 - np.mean(scores)) * 0.75 ** (1 / 3))
    assert found.accuracy in found.interval


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_interval_of_the_final_model_is_that_of_nadeau_and_bengio(repeats: int) -> None:
    """Many digits a fold: the score interval is then the symmetric one of the corrected resampled t test."""
    scores = 0.6 + 0.001 * np.random.default_rng(repeats).standard_normal((repeats, 10))
    found = statistics.final_accuracy(scores)
    error = np.sqrt((1 / scores.size + 1 / 9) * scores.var(ddof=1))
    ends = stats.t(scores.size - 1, found.accuracy, error).interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx(ends, abs=1e-6)


@quick
@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_an_interval_of_the_final_model_holds_its_accuracy_and_stays_between_none_and_all(scores: list[float]) -> None:
    found = statistics.final_accuracy(scores)
    assert 0 <= found.interval.low <= found.accuracy <= found.interval.high <= 1


# Classes and repeats


def test_confusions_count_each_digit_once_in_its_true_row() -> None:
    labels, predictions = np.array([0, 0, 1, 3, 3, 3]), np.array([0, 1, 1, 3, 3, 9])
    confusion = statistics.confusion_matrix(labels, predictions)
    assert confusion.shape == (10, 10)
    assert {tuple(cell): confusion[tuple(cell)] for cell in np.argwhere(confusion)} == {
        (0, 0): 1,
        (0, 1): 1,
        (1, 1): 1,
        (3, 3): 2,
        (3, 9): 1,
    }
    accuracy = statistics.per_class_accuracy(confusion)
    assert accuracy[[0, 1, 3]] == pytest.approx([1 / 2, 1, 2 / 3])
    assert np.isnan(accuracy[[2, 4, 5, 6, 7, 8, 9]]).all()


def test_the_mean_over_repeats_has_scipys_t_interval() -> None:
    values = [0.925, 0.93, 0.915, 0.94]
    ours = statistics.over_repeats(values)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert ours.interval is not None
    assert (ours.interval.low, ours.interval.high) == pytest.approx((theirs.low, theirs.high))
    assert (ours.n, ours.mean, ours.std) == (4, pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    assert "over 4 seeds" in ours.sentence


@pytest.mark.parametrize(("values", "std"), [([0.9], None), ([0.9, 0.92], pytest.approx(0.02 / 2**0.5))])
def test_fewer_than_three_repeats_have_no_interval_and_say_so(values: list[float], std: object) -> None:
    repeats = statistics.over_repeats(values)
    assert repeats.interval is None
    assert (repeats.n, repeats.std) == (len(values), std)
    assert repeats.sentence.endswith(". A confidence interval needs at least 3 seeds.")
    assert statistics.prediction_interval(values) is None


def test_repeats_that_happen_to_agree_are_known_to_half_a_digit_only() -> None:
    interval = statistics.over_repeats([0.925] * 3, resolution=1 / 200).interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.9225, 0.9275))
    one_more = statistics.prediction_interval([0.925] * 3, resolution=1 / 200)
    assert one_more is not None
    assert one_more == replace(interval, method=one_more.method)


def test_one_more_seed_is_less_certain_than_the_mean() -> None:
    values = [0.925, 0.93, 0.915, 0.94]
    mean, one_more = statistics.over_repeats(values).interval, statistics.prediction_interval(values)
    assert mean is not None
    assert one_more is not None
    assert (one_more.high - one_more.low) / (mean.high - mean.low) == pytest.approx(5**0.5)


# Curves


def test_the_notebooks_curve_has_two_minima_and_overfits() -> None:
    best = statistics.best_epochs(numbers(SGD_LOSS), numbers(SGD_VAL_LOSS))
    assert (best.epoch, best.ties, best.minimum) == (9, (9, 17), 0.3083)
    assert best.standard_error == pytest.approx(4 * 0.3083 / 200**0.5)
    assert best.approximated
    assert (best.flat_first, best.flat_last, best.overfitting_from) == (6, 30, 31)
    assert best.ratio == pytest.approx(0.4164 / 0.3083)
    assert "0.3083, at epoch 9, and equally low at epoch 17" in best.sentence
    assert "Epochs 6 to 30" in best.sentence
    assert "The network overfits from epoch 31 on" in best.sentence


def test_the_flat_range_ends_where_the_loss_first_leaves_it() -> None:
    best = statistics.best_epochs([5, 4, 3, 2, 1, 0.5, 0.4], [3.0, 1.05, 2.0, 1.1, 1.0, 1.1, 1.1], 0.1)
    assert (best.flat_first, best.flat_last) == (4, 7)
    assert (best.standard_error, best.approximated) == (0.1, False)


def test_a_standard_error_for_each_epoch_is_read_at_the_minimum() -> None:
    assert statistics.best_epochs([3, 2, 1], [3, 1, 2], [0.3, 0.1, 0.2]).standard_error == 0.1
    assert statistics.best_epochs([3, 2, 1], [3, 1, 2], [0.3, None, 0.2], digits=100).standard_error == 0.4
    assert statistics.best_epochs([3, 2, 1], [3, 1, 2], [0.3, np.nan, 0.2], digits=100).approximated


def test_one_bad_epoch_is_not_overfitting() -> None:
    loss = list(np.linspace(1, 0.1, 20))
    calm = [1.0] * 5 + [0.5] * 15
    for spike in range(6, 20):
        curve = list(calm)
        curve[spike] = 3.0
        assert statistics.best_epochs(loss, curve, 0.1).overfitting_from is None, spike
    lucky = [1.0] * 9 + [0.5] + [1.0] * 10
    assert statistics.best_epochs(loss, lucky, 0.1).overfitting_from == 11


def test_overfitting_is_judged_by_the_median_of_five_epochs() -> None:
    falling = list(np.linspace(1, 0.1, 11))
    every_second = [1.0, 0.5, 1.0, 0.55, 1.0, 0.55, 1.0, 0.55, 1.0, 1.0, 1.0]
    assert statistics.best_epochs(falling, every_second, 0.1).overfitting_from == 7
    # Near an end of what comes after the range, by as many as there are.
    assert statistics.best_epochs(falling[:6], [0.5, 1.0, 1.0, 0.55, 1.0, 1.0], 0.3).overfitting_from == 2


def test_a_rise_while_the_training_loss_rises_too_is_unstable_training() -> None:
    val = [1.0, 0.5, 0.4, 1.0, 1.1, 1.2, 1.3]
    falling = statistics.best_epochs([1, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05], val, 0.05)
    rising = statistics.best_epochs([1, 0.5, 0.4, 0.9, 1.0, 1.1, 1.2], val, 0.05)
    assert (falling.shape, falling.overfitting_from) == ("overfitting", 4)
    assert (rising.shape, rising.overfitting_from) == ("unstable", None)
    assert "training is unstable rather than overfitting" in rising.sentence
    assert statistics.best_epochs([1.0] * 7, val, 0.05).shape == "unstable"


@pytest.mark.parametrize("epochs", [2, 3, 50])
def test_a_curve_that_only_falls_shows_no_overfitting(epochs: int) -> None:
    curve = list(np.linspace(2, 0.1, epochs))
    best = statistics.best_epochs(curve, curve, 0.01)
    assert (best.shape, best.epoch, best.flat_last, best.overfitting_from) == ("falling", epochs, epochs, None)
    assert best.ratio == 1
    assert "no sign of overfitting" in best.sentence


def test_one_epoch_no_epoch_and_a_constant_curve() -> None:
    one = statistics.best_epochs([1.0], [2.0])
    assert (one.shape, one.epoch, one.flat_first, one.flat_last, one.ratio) == ("single", 1, 1, 1, 1)
    for loss, val_loss in (([], []), ([1.0, 2.0], []), ([np.nan] * 2, [np.nan] * 2)):
        none = statistics.best_epochs(loss, val_loss)
        assert (none.shape, none.epoch, none.minimum, none.ties) == ("unmeasured", None, None, ())
        assert "the best number of epochs is unknown" in none.sentence
    constant = statistics.best_epochs([1.0] * 9, [0.0] * 9)
    assert (constant.ties, constant.flat_last, constant.ratio) == (tuple(range(1, 10)), 9, None)
    assert "epoch 2, 3, 4, 5, 6 and 3 more" in constant.sentence


@pytest.mark.parametrize(
    ("loss", "val_loss", "error", "sentence"),
    [
        (
            [1.0],
            [2.0],
            None,
            "The validation loss is lowest, 2.0000, at epoch 1. "
            "Only one epoch was measured, so there is no other to compare it with.",
        ),
        (
            [3, 2, 1],
            [3, 1, 3],
            0.5,
            "The validation loss is lowest, 1.0000, at epoch 2. "
            "The measured epochs next to it are more than one standard error (0.5000) higher. "
            "From epoch 3 on the validation loss is higher and ends at 3.0000, 3.00 times the minimum; these are too "
            "few epochs to call it overfitting.",
        ),
        (
            [3, 2, 1, 1, 1],
            [3, 1, 3, 3, 3],
            0.5,
            "The validation loss is lowest, 1.0000, at epoch 2. "
            "The measured epochs next to it are more than one standard error (0.5000) higher. "
            "The network overfits from epoch 3 on: the validation loss (running median of 5 epochs) stays more than "
            "one standard error above its minimum, while the training loss is on average lower than at that minimum. "
            "The validation loss ends at 3.0000, 3.00 times the minimum.",
        ),
        (
            [1.0] * 6,
            [0.0] * 6,
            None,
            "The validation loss is lowest, 0.0000, at epoch 1, and equally low at epoch 2, 3, 4, 5, 6. "
            "Epochs 1 to 6 are within one standard error (about 0.0000) of it. "
            "There is no sign of overfitting: the loss ends at 0.0000.",
        ),
    ],
    ids=["one epoch", "a last epoch", "a narrow minimum", "nothing but minima"],
)
def test_curves_in_plain_language(loss: list[float], val_loss: list[float], error: float, sentence: str) -> None:
    assert statistics.best_epochs(loss, val_loss, error).sentence == sentence


def test_of_many_equal_minima_six_are_named() -> None:
    assert (
        "epoch 1, and equally low at epoch 2, 3, 4, 5, 6 and 1 more."
        in statistics.best_epochs([1] * 7, [0] * 7).sentence
    )


def test_null_stands_for_an_epoch_that_was_not_measured() -> None:
    best = statistics.best_epochs([1, 0.5, None], [None, 0.4, None])  # type: ignore[list-item]
    assert (best.epoch, best.diverged_at) == (2, 3)
    assert statistics.best_epochs([1, None], []).diverged_at == 2  # type: ignore[list-item]
    band = statistics.seed_band([[0.3, None], [0.4, 0.5], [0.5, 0.6]])
    assert np.isnan(band.high).tolist() == [False, True]
    assert band.holds([0.4, None]).tolist() == [True, False]


def test_a_divergence_is_named_and_the_epochs_before_it_are_judged() -> None:
    best = statistics.best_epochs([1, 0.5, 0.4, np.nan, np.nan], [1, 0.4, 0.5, np.nan, np.inf], 0.2)
    assert (best.epoch, best.flat_first, best.flat_last, best.final, best.diverged_at) == (2, 2, 3, 0.5, 4)
    assert "diverged in epoch 4" in best.sentence


def test_epochs_without_validation_are_skipped() -> None:
    best = statistics.best_epochs([1, 0.9, 0.8, 0.7], [np.nan, 0.5, np.nan, 0.4])
    assert (best.epoch, best.epochs, best.diverged_at) == (4, 4, None)


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_band_is_the_prediction_interval_of_every_epoch(seeds: int) -> None:
    curves = np.random.default_rng(0).normal(0.4, 0.05, (seeds, 7))
    curves[2, 6] = np.nan
    band = statistics.seed_band(curves)
    for epoch in range(6):
        interval = statistics.prediction_interval(curves[:, epoch])
        assert interval is not None
        assert (band.low[epoch], band.high[epoch]) == (interval.low, interval.high)
    assert np.isnan([band.mean[6], band.low[6], band.high[6]]).all()
    assert band.holds(band.mean).tolist() == [True] * 6 + [False]
    assert not band.holds(band.high + 0.01).any()
    assert band.holds(band.low).sum() == band.holds(band.high).sum() == 6


SINGLE = np.array([0.1, 0.9, 0.3, 0.7], dtype=np.float32)
"""As TensorFlow computes."""


@pytest.mark.parametrize(
    "statistic",
    [
        lambda x: statistics.over_repeats(x),
        lambda x: statistics.best_epochs(x, x),
        lambda x: statistics.seed_band(x[:, None]).high.tolist(),
        lambda x: statistics.seed_band([[0.0], [0.5], [1.0]]).holds(x).tolist(),
        lambda x: statistics.paired_difference(x, x[::-1], resamples=20),
        lambda x: statistics.nested_summary(x, np.full(4, 100)),
        lambda x: statistics.one_standard_error(x, x),
        lambda x: statistics.holm(x).tobytes(),
        lambda x: statistics.compatible(x, x[1:], resamples=20),
    ],
)
def test_float32_is_computed_in_float64(statistic: Callable[[np.ndarray], object]) -> None:
    assert statistic(SINGLE) == statistic(SINGLE.astype(np.float64))


# Two trials on the same digits


@quick
@given(two_trials)
def test_mcnemar_is_statsmodels(pair: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = pair
    table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
    ours = statistics.mcnemar(first, second)
    assert ours.p_value == pytest.approx(contingency.mcnemar(table, exact=True).pvalue, abs=1e-12)
    assert (ours.first_only, ours.second_only) == (table[0][1], table[1][0])


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_statsmodels(p: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gc.collect", int)  # which it calls each time: for half a second where TensorFlow is loaded
        expected = multitest.multipletests(p, method="holm")[1]
    assert statistics.holm(p) == pytest.approx(expected, abs=1e-12)


def test_the_paired_bootstrap_agrees_with_resampling_digit_by_digit() -> None:
    rng = np.random.default_rng(1)
    first, second = trials([0.95, 0.85], 800, 5)
    result = statistics.paired_difference(first, second)
    drawn = rng.integers(800, size=(10_000, 800))
    plain = first[drawn].mean(axis=1) - second[drawn].mean(axis=1)
    assert result.difference == first.mean() - second.mean()
    assert result.points == pytest.approx(100 * result.difference)
    assert (result.interval.low, result.interval.high) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.0015)
    plain_reduction = 1 - (1 - first[drawn].mean(axis=1)) / (1 - second[drawn].mean(axis=1))
    assert result.error_reduction == pytest.approx(1 - (1 - first.mean()) / (1 - second.mean()))
    assert result.error_reduction_interval is not None
    bounds = (result.error_reduction_interval.low, result.error_reduction_interval.high)
    assert bounds == pytest.approx(np.quantile(plain_reduction, [0.025, 0.975]), abs=0.02)


@pytest.mark.parametrize(("first_only", "second_only"), [(0, 0), (2, 1), (1, 2)])
def test_unseen_disagreements_count_as_half_a_digit_each(first_only: int, second_only: int) -> None:
    digits = 5
    first, second = np.ones(digits), np.ones(digits)
    first[:second_only] = second[second_only : second_only + first_only] = 0
    result = statistics.paired_difference(first, second, 0.8, 40_000)
    weights = [first_only + 0.5, second_only + 0.5, digits - first_only - second_only]
    draws = np.random.default_rng(1).dirichlet(weights, 40_000)
    intervals = [(draws[:, 0] - draws[:, 1], result.interval)]
    if result.error_reduction_interval is not None:
        intervals += [(1 - draws[:, 1] / draws[:, 0], result.error_reduction_interval)]
    for expected, interval in intervals:
        outside = (expected < interval.low).mean(), (expected > interval.high).mean()
        assert outside == pytest.approx((0.1, 0.1), abs=0.01)


@quick
@given(two_trials, st.floats(0.8, 0.98), st.integers(0, 5))
def test_laws_of_the_paired_difference(pair: tuple[np.ndarray, np.ndarray], level: float, seed: int) -> None:
    first, second = pair
    result = statistics.paired_difference(first, second, level, 2000, seed)
    wider = statistics.paired_difference(first, second, 0.99, 2000, seed)
    mirrored = statistics.paired_difference(second, first, level, 2000, seed)
    assert result == statistics.paired_difference(first, second, level, 2000, seed)
    assert result.difference in result.interval
    if result.error_reduction is not None:
        assert result.error_reduction_interval is not None
        assert result.error_reduction in result.error_reduction_interval
    assert wider.interval.low <= result.interval.low <= result.interval.high <= wider.interval.high
    assert mirrored.difference == -result.difference
    noise = 0.35 * (wider.interval.high - wider.interval.low)
    assert (mirrored.interval.low, mirrored.interval.high) == pytest.approx(
        (-result.interval.high, -result.interval.low), abs=noise
    )


def test_without_errors_there_is_no_error_reduction() -> None:
    right, half = np.ones(20, dtype=bool), np.arange(20) < 10
    assert statistics.paired_difference(right, right).error_reduction is None
    assert statistics.paired_difference(half, right).error_reduction_interval is None
    assert statistics.paired_difference(right, half).error_reduction == 1


# Many trials


def test_ties_are_those_that_pairwise_mcnemar_and_holm_leave() -> None:
    correct = trials([0.93] * 10 + [0.9, 0.87, 0.85, 0.15], 800, 3)
    best = int(correct.sum(axis=1).argmax())
    others = [index for index in range(14) if index != best]
    p = []
    for other in others:
        b, c = (correct[best] & ~correct[other]).sum(), (correct[other] & ~correct[best]).sum()
        p.append(stats.binomtest(int(b), int(b + c)).pvalue)
    rejected = multitest.multipletests(p, 0.05, "holm")[0]
    kept = [index for index, reject in zip(others, rejected, strict=True) if not reject]
    assert statistics.tied_with_best(correct, best) == tuple(sorted([best, *kept]))
    assert 1 < len(kept) < 13


def test_the_sign_flip_test_enumerates_every_pattern_of_signs() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        correct = rng.random((2, 3, 9)) < rng.random((2, 1, 1))
        net = correct[0].sum(axis=0) - correct[1].sum(axis=0).astype(int)
        flips = np.array(list(product([-1, 1], repeat=9))) @ net
        p = (np.abs(flips) >= abs(net.sum())).mean()
        for level in (p - 1e-9, p + 1e-9):
            if 0 < 1 - level < 1:
                assert (statistics.tied_with_best(correct, 0, level=1 - level) == (0, 1)) == (p > level)


def test_a_trial_is_tied_only_above_the_limit() -> None:
    correct = np.array([[True, True], [False, False]])  # p = 2 / 2**2
    assert statistics.tied_with_best(correct, 0, level=0.5) == (0,)
    assert statistics.tied_with_best(correct, 0, level=0.5 + 1e-9) == (0, 1)
    assert statistics.compatible([1, 2, 3], [101, 102, 103], resamples=3).p_mean == 0.25
    assert not statistics.compatible([1, 2, 3], [101, 102, 103], level=0.25, resamples=3).agrees
    assert statistics.compatible([1, 2, 3], [101, 102, 103], level=0.26, resamples=3).agrees


@pytest.mark.parametrize(("shape", "repeats"), [((2, 5), 1), ((2, 3, 5), 3)])
def test_correct_predictions_are_counted_in_four_bytes_each(shape: tuple[int, ...], repeats: int) -> None:
    counts, found = counts_of(np.ones(shape, dtype=bool))
    assert (counts.dtype, counts.tolist(), found) == (np.int32, [[repeats] * 5] * 2, repeats)


def test_ties_do_not_depend_on_the_order_of_trials_or_digits() -> None:
    correct = trials([0.95, 0.94, 0.9, 0.85, 0.1, 0.93], 300, 7)
    rows, columns = np.random.default_rng(0).permutation(6), np.random.default_rng(1).permutation(300)
    tied = statistics.tied_with_best(correct, 0)
    moved = statistics.tied_with_best(correct[rows][:, columns], int(np.flatnonzero(rows == 0)[0]))
    assert {int(rows[index]) for index in moved} == set(tied)
    assert 0 in tied
    assert 4 not in tied
    assert statistics.tied_with_best(correct[:, None], 0) == tied  # type: ignore[arg-type]


def test_a_lone_trial_is_tied_with_itself() -> None:
    assert statistics.tied_with_best(np.ones((1, 10), dtype=bool), 0) == (0,)


def test_ten_thousand_trials_are_compared() -> None:
    correct = trials([0.93] * 5000 + [0.7] * 5000, 800, 0)
    tied = statistics.tied_with_best(correct, 0)
    assert set(range(5000)) - set(tied) == set()
    assert max(tied) < 5000
    result = statistics.bbc_cv(correct)
    assert result.corrected == pytest.approx(0.93, abs=0.02)
    assert result.raw > result.corrected


def test_best_worst_and_average_overall_and_by_family() -> None:
    correct = trials([0.9, 0.95, 0.92, 0.15, 0.2], 400, 1)
    families = ["adam", "adam", "adam", "adadelta", "adadelta"]
    everything, adam, adadelta = statistics.compare_trials(correct, families)
    accuracies = correct.mean(axis=1)
    assert [gap.family for gap in (everything, adam, adadelta)] == ["all", "adam", "adadelta"]
    assert (everything.trials, everything.best, everything.worst) == (5, 1, 3)
    assert (adam.trials, adam.best, adam.worst) == (3, 1, int(accuracies[:3].argmin()))
    assert (adadelta.best, adadelta.worst) == (4, 3)
    assert everything.versus_worst == statistics.paired_difference(correct[1], correct[3])
    assert everything.versus_average.second == pytest.approx(accuracies.mean())
    assert everything.versus_average.difference == pytest.approx(accuracies[1] - accuracies.mean())
    assert everything.versus_average.difference in everything.versus_average.interval
    assert statistics.compare_trials(correct) == (everything,)
    [chosen] = statistics.compare_trials(correct, best=2)
    assert (chosen.best, chosen.worst) == (2, 3)
    assert chosen.versus_worst == statistics.paired_difference(correct[2], correct[3])
    assert chosen.versus_average.second == everything.versus_average.second
    thrice = np.repeat(correct[:, None], 3, axis=1)
    assert statistics.compare_trials(thrice, families) == (everything, adam, adadelta)


def test_weighted_accuracies_are_means_over_unequal_folds() -> None:
    """Three trials on folds of 7 and 3 digits: the second is best by digits, the first by the mean of folds."""
    correct = np.array([[1] * 4 + [0] * 3 + [1] * 3, [1] * 7 + [1] + [0] * 2, [0] * 10], dtype=bool)
    weights = np.repeat([1 / 14, 1 / 6], [7, 3])[None]
    means = [(4 / 7 + 1) / 2, (1 + 1 / 3) / 2, 0.0]
    [gap] = statistics.compare_trials(correct, weights=weights)
    assert (gap.best, gap.worst) == (0, 2)
    assert statistics.compare_trials(correct)[0].best == 1
    assert (gap.versus_worst.first, gap.versus_worst.second) == pytest.approx((means[0], 0))
    assert gap.versus_average.second == pytest.approx(np.mean(means))
    assert gap.versus_average.difference in gap.versus_average.interval
    bias = statistics.bbc_cv(correct, weights=weights)
    assert (bias.winner, bias.raw) == (0, pytest.approx(means[0]))
    assert statistics.bbc_cv(correct, weights=np.full((1, 10), 0.3)) == statistics.bbc_cv(correct)
    uneven = statistics.paired_difference(correct[0], correct[1], weights=weights[0])
    assert (uneven.first, uneven.second) == pytest.approx((means[0], means[1]))


def test_the_notebooks_three_figures_come_from_four_best_scores() -> None:
    figures = statistics.notebook_figures({name: numbers(text) for name, text in GRIDS.items()})
    assert figures.best == 0.934997
    assert figures.worst == 0.191218
    assert figures.average == pytest.approx(0.745611, abs=1.5e-6)  # the notebook averaged more decimals than it printed
    every_trial = [score for text in GRIDS.values() for score in numbers(text)]
    assert len(every_trial) == 93
    assert min(every_trial) == 0.093774
    assert np.mean(every_trial) > figures.average + 0.03


# Choosing a trial


def test_trials_within_one_standard_error_and_what_is_chosen_among_them() -> None:
    means, errors, costs = [0.90, 0.93, 0.925, 0.93, np.nan], [0.02, 0.006, 0.001, 0.001, 0.5], [1, 5, 2, 5, 0]
    assert statistics.one_standard_error(means, errors) == (1, 2, 3)
    assert statistics.select("best", means, errors, costs) == 1
    assert statistics.select("one-se", means, errors, costs) == 2
    assert statistics.select("cheapest", means, errors, costs, tied=(0, 1, 2, 3)) == 0
    assert statistics.select("cheapest", means, errors, costs) == 1
    assert statistics.select("one-se", means, errors, [1] * 5) == 1
    for missing in (np.nan, None):
        assert statistics.one_standard_error([0.9, 0.9, 0.8, missing], [missing, 0.1, 0.1, 0.1]) == (0, 1)


@quick
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2), st.integers(0, 5)), min_size=1, max_size=30))
def test_one_se_costs_at_most_as_much_as_the_best_and_is_within_its_error(rows: list[tuple]) -> None:
    means, errors, costs = (list(column) for column in zip(*rows, strict=True))
    best, near = statistics.select("best", means, errors, costs), statistics.select("one-se", means, errors, costs)
    assert means[best] == max(means)
    assert costs[near] <= costs[best]
    assert means[near] >= means[best] - errors[best]


def test_bbc_equals_the_published_loop() -> None:
    correct = trials([0.9, 0.91, 0.92, 0.93], 60, 9)
    result = statistics.bbc_cv(correct, resamples=300, seed=5)
    scores, shares = [], []
    for rows in np.random.default_rng(5).integers(60, size=(300, 60)):
        chosen = int(np.argmax([trial[rows].sum() for trial in correct]))
        left_out = np.setdiff1d(np.arange(60), rows)
        scores.append(correct[chosen][left_out].mean())
        shares.append(len(left_out) / 60)
    assert result.corrected == pytest.approx(np.mean(scores), abs=1e-12)
    assert (result.percentiles.low, result.percentiles.high) == pytest.approx(np.quantile(scores, [0.025, 0.975]))
    assert result.raw == correct.mean(axis=1).max()
    assert result.bias == pytest.approx(result.raw - result.corrected)
    odds = np.mean(shares) / (1 - np.mean(shares))
    digits = result.corrected * (1 - result.corrected) / (np.var(scores) * odds)
    wilson = statistics.wilson(result.corrected * digits, digits)
    assert (result.interval.low, result.interval.high) == pytest.approx((wilson.low, wilson.high))


def test_selection_bias_in_plain_language() -> None:
    near = statistics.Interval(0.9, 0.96, 0.95, "")
    assert statistics.SelectionBias(3, 0.94, 0.86, 0.08, near, near, 0.4).sentence == (
        "The best score is 94.0%; corrected for selection it is about 8.0 points lower, 86.0% (95% interval 90.0% to "
        "96.0%). The same trial is the best in 40% of the resamples."
    )


def test_ten_digits_are_enough_to_resample() -> None:
    assert statistics.bbc_cv(trials([0.9, 0.5], 10, 0)).winner == 0


def test_default_arguments_are_as_documented() -> None:
    correct = trials([0.9, 0.8], 60, 0)
    assert statistics.bbc_cv(correct) == statistics.bbc_cv(correct, level=0.95, resamples=1000, seed=0)
    paired = statistics.paired_difference(correct[0], correct[1], level=0.95, resamples=10_000, seed=0)
    assert statistics.paired_difference(correct[0], correct[1]) == paired
    assert statistics.compare_trials(correct)[0].versus_worst == paired
    reported, ours = [0.9, 0.92, 0.95], [0.9, 0.91, 0.93, 0.94]
    stated = statistics.compatible(reported, ours, level=0.95, resamples=9999, seed=0)
    assert statistics.compatible(reported, ours) == stated


def test_bbc_in_blocks_is_bbc_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    correct = trials([0.9, 0.92, 0.95], 100, 2)
    once = statistics.bbc_cv(correct)
    monkeypatch.setattr("mnistexp.statistics.selection_bias.SCORES_AT_ONCE", 100)
    assert statistics.bbc_cv(correct) == once
    assert statistics.bbc_cv(correct, seed=1) != once


def test_one_trial_has_no_selection_bias_and_repeats_of_one_fit_change_nothing() -> None:
    correct = trials([0.93], 800, 2)
    alone = statistics.bbc_cv(correct)
    assert alone.bias == pytest.approx(0, abs=0.001)
    assert alone.stability == 1
    wilson = statistics.wilson(int(correct.sum()), 800)
    assert (alone.interval.low, alone.interval.high) == pytest.approx((wilson.low, wilson.high), abs=0.003)
    many = trials([0.9, 0.92, 0.95], 100, 2)
    assert statistics.bbc_cv(np.repeat(many[:, None], 3, axis=1)) == statistics.bbc_cv(many)
    perfect = statistics.bbc_cv(np.ones((2, 200), dtype=bool))
    assert (perfect.corrected, perfect.interval.high) == (1, 1)
    assert perfect.interval.low == statistics.wilson(200, 200).low


def test_nested_accuracy_is_the_mean_of_the_outer_folds() -> None:
    scores = [250 / 267, 240 / 267, 255 / 266]
    nested = statistics.nested_summary(scores, [267, 267, 266])
    wilson = statistics.wilson(800 * np.mean(scores), 800)
    assert nested.accuracy == pytest.approx(np.mean(scores))
    assert (nested.interval.low, nested.interval.high) == pytest.approx((wilson.low, wilson.high))
    assert (nested.folds, nested.digits) == (3, 800)
    assert nested.std == pytest.approx(np.std([250 / 267, 240 / 267, 255 / 266], ddof=1))
    assert statistics.nested_summary([0.9], [100]).std is None
    extremes = statistics.nested_summary([0, 1], [1, 1])
    assert (extremes.accuracy, extremes.std) == (0.5, pytest.approx(0.5**0.5))


# Reported accuracies


def test_the_notebooks_adam_and_nadam_rows_look_like_one_distribution_and_adadelta_does_not() -> None:
    adam, nadam, adadelta = (numbers(GRIDS[name]) for name in ("adam", "nadam", "adadelta"))
    same = statistics.compatible(nadam, adam)
    assert same.agrees
    assert same.inside >= 34
    assert "no significant difference" in same.sentence
    other = statistics.compatible(adadelta, adam)
    assert not other.agrees
    assert (other.ks_distance, other.inside) == (1, 0)
    assert "larger than the variation between seeds" in other.sentence


def test_permutation_p_values_are_those_of_scipys_tests() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(0.916, 0.006, 12), rng.normal(0.921, 0.006, 15)
    result = statistics.compatible(x, y)
    exact_ks = stats.ks_2samp(x, y, method="exact")
    assert result.ks_distance == pytest.approx(exact_ks.statistic)
    assert result.p_shape == pytest.approx(exact_ks.pvalue, abs=0.015)
    permuted = stats.permutation_test((x, y), lambda a, b: a.mean() - b.mean(), n_resamples=9999, rng=1)
    assert result.p_mean == pytest.approx(permuted.pvalue, abs=0.015)
    spread = statistics.compatible(x, np.median(x) + 8 * (y - y.mean()))
    assert spread.p_spread < 0.01
    assert not spread.agrees


def test_p_values_are_those_of_all_permutations() -> None:
    x, y = np.array([0.918, 0.929, 0.932]), np.array([0.961, 0.951, 0.932, 0.901, 0.925, 0.938])
    pooled, centered = np.concatenate([x, y]), np.concatenate([x - x.mean(), y - y.mean()])
    distances = []
    for rows in combinations(range(9), 3):
        first = np.isin(np.arange(9), rows)
        spreads = centered[first].std(ddof=1), centered[~first].std(ddof=1)
        ks = stats.ks_2samp(pooled[first], pooled[~first]).statistic
        distances.append((abs(pooled[first].mean() - pooled[~first].mean()), abs(np.log(spreads[0] / spreads[1])), ks))
    exact = (np.array(distances) >= np.array(distances[0]) - 1e-12).mean(axis=0)
    result = statistics.compatible(x, y)
    assert (result.p_mean, result.p_spread, result.p_shape) == pytest.approx(exact, abs=0.015)
    # No two of twenty ways to part six values keep them apart, but the two that do are equally far out.
    low, high = [0.90, 0.91, 0.92], [0.93, 0.94, 0.95]
    assert statistics.compatible(low, high).p_mean == pytest.approx(2 / 20, abs=0.01)
    assert statistics.compatible(high, low).p_mean == pytest.approx(2 / 20, abs=0.01)


def test_the_summary_describes_reported_and_own_values() -> None:
    x, y = [0.9, 0.92, 0.95], [0.9, 0.91, 0.93, 0.94]
    result = statistics.compatible(x, y)
    assert (result.reported, result.reported_mean, result.reported_std) == (3, np.mean(x), np.std(x, ddof=1))
    assert (result.ours, result.our_mean, result.our_std) == (4, np.mean(y), np.std(y, ddof=1))
    assert (result.inside, result.interval) == (3, statistics.prediction_interval(y))
    assert result.sentence == (
        "Reported: mean 0.9233, standard deviation 0.0252, 3 values; ours: 0.9200, 0.0183, 4 seeds: no significant "
        f"difference (smallest of three p-values, Holm-corrected, {min(1, 3 * result.p_spread):.3f}). 3 of the 3 "
        "reported values lie in the prediction interval of one more of our seeds."
    )


def test_equal_values_are_compatible_with_themselves() -> None:
    same = statistics.compatible([0.9, 0.9, 0.9], [0.9, 0.9, 0.9])
    assert same.agrees
    assert same.p_mean == same.p_shape == same.p_spread == 1
    assert statistics.compatible([0.5, 0.5, 0.6], [0.5, 0.5, 0.5]).inside == 2


@quick
@given(
    st.lists(st.integers(170, 200), min_size=3, max_size=12), st.lists(st.integers(170, 200), min_size=3, max_size=12)
)
def test_the_distance_of_distributions_is_scipys_with_ties_too(x: list[int], y: list[int]) -> None:
    assume(len(set(x)) > 1 or len(set(y)) > 1)
    ours = statistics.compatible(np.array(x) / 200, np.array(y) / 200, resamples=20)
    assert ours.ks_distance == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic)


def test_importing_the_statistics_loads_none_of_the_big_libraries() -> None:
    code = (
        "import sys, mnistexp.statistics\n"
        "loaded = {'scipy', 'sklearn', 'statsmodels', 'pandas', 'tensorflow', 'matplotlib'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
