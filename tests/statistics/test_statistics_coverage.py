"""Does a 95% interval hold the truth in 95% of all cases, at the sizes of this project?

Where an interval depends on counts alone, its coverage is summed over all outcomes (those rarer than 1e-9 left out),
otherwise simulated with fixed seeds. 93% to 97% passes.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from mnistexp import statistics

SLOW = pytest.mark.slow
SIZES = [200, pytest.param(267, marks=SLOW), 800]
"""Test digits, digits of a fold, digits of the training part. What lies between is tried at leisure."""

ACCURACIES = np.linspace(0.9, 0.96, 61)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Thousands of small matrix products: threads would only wait for each other where cores are busy."""
    with threadpool_limits(1):
        yield


def likely(n: int, low: float, high: float) -> NDArray[np.int64]:
    """Right answers of n that aren't rarer than 1e-9 for a true accuracy from low to high."""
    k = np.arange(n + 1)
    return k[(k >= stats.binom.ppf(1e-9, n, low)) & (k <= stats.binom.ppf(1 - 1e-9, n, high))]


def in_band(covered: NDArray[np.float64] | float) -> bool:
    return bool(np.all((np.asarray(covered) >= 0.93) & (np.asarray(covered) <= 0.97)))


@pytest.mark.parametrize("n", SIZES)
def test_wilson(n: int) -> None:
    k = likely(n, 0.9, 0.96)
    intervals = [statistics.wilson(int(right), n) for right in k]
    covered = [
        sum(stats.binom.pmf(right, n, p) for right, interval in zip(k, intervals, strict=True) if p in interval)
        for p in ACCURACIES
    ]
    assert in_band(np.array(covered))


@pytest.mark.parametrize("n", SIZES)
def test_nested_summary(n: int) -> None:
    folds = np.array([n // 3, n // 3, n - 2 * (n // 3)])
    rng = np.random.default_rng(n)
    for p in (0.9, 0.93, 0.96):
        right = rng.binomial(folds, p, size=(2000, 3))
        covered = [p in statistics.nested_summary(row / folds, folds).interval for row in right]
        assert in_band(np.mean(covered))


@pytest.mark.parametrize(("n", "m"), [(200, 4000), (267, 4000), (800, 4000), (200, 200), (267, 267), (800, 200)])
def test_predicted_accuracy(n: int, m: int) -> None:
    k, y = likely(n, 0.9, 0.96), likely(m, 0.9, 0.96)
    intervals = [statistics.predict_accuracy(int(right), n, m) for right in k]
    inside = np.array([[one / m in interval for one in y] for interval in intervals])
    covered = [stats.binom.pmf(k, n, p) @ inside @ stats.binom.pmf(y, m, p) for p in ACCURACIES]
    assert in_band(np.array(covered))


@pytest.mark.parametrize(("n", "m"), [(200, 4000), (267, 267), (800, 200)])
def test_difference_of_independent_accuracies(n: int, m: int) -> None:
    k, y = likely(n, 0.9, 0.96), likely(m, 0.9, 0.98)
    intervals = [[statistics.accuracy_difference(int(a), n, int(b), m) for b in y] for a in k]
    low = np.array([[interval.low for interval in row] for row in intervals])
    high = np.array([[interval.high for interval in row] for row in intervals])
    for p in (0.9, 0.93, 0.95, 0.96):
        for q in (p, p + 0.01, p + 0.02, p - 0.02 if p > 0.92 else p):
            inside = (low <= p - q) & (p - q <= high)
            assert in_band(stats.binom.pmf(k, n, p) @ inside @ stats.binom.pmf(y, m, q)), (p, q)


def accuracies_over_seeds(n: int, spread: float, repeats: int, draws: int) -> tuple[NDArray[np.float64], ...]:
    """True means (draws,) and scores of seeds (draws, repeats), in whole digits of n, as shares."""
    rng = np.random.default_rng(repeats * n)
    mean = rng.uniform(0.9, 0.96, draws)
    return mean, np.round(rng.normal(mean[:, None], spread, (draws, repeats)) * n) / n


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("repeats", [3, 5, 10])
@pytest.mark.parametrize("spread", [0.005, 0.01])
def test_mean_over_repeats(n: int, repeats: int, spread: float) -> None:
    mean, scores = accuracies_over_seeds(n, spread, repeats, 2000)
    covered = []
    for truth, row in zip(mean, scores, strict=True):
        interval = statistics.over_repeats(row, resolution=1 / n).interval
        assert interval is not None
        covered.append(truth in interval)
    assert in_band(np.mean(covered))


def test_three_seeds_on_200_digits_need_the_resolution() -> None:
    mean, scores = accuracies_over_seeds(200, 0.005, 3, 2000)
    covered = []
    for truth, row in zip(mean, scores, strict=True):
        interval = statistics.over_repeats(row).interval
        assert interval is not None
        covered.append(truth in interval)
    assert np.mean(covered) < 0.93


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("repeats", [3, 5, 10])
@pytest.mark.parametrize("spread", [0.005, 0.01])
def test_one_more_seed(n: int, repeats: int, spread: float) -> None:
    _, scores = accuracies_over_seeds(n, spread, repeats + 1, 2000)
    covered = []
    for row in scores:
        interval = statistics.prediction_interval(row[:-1], resolution=1 / n)
        assert interval is not None
        covered.append(interval.low - 1e-9 <= row[-1] <= interval.high + 1e-9)
    assert in_band(np.mean(covered))


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_band_over_seeds(seeds: int) -> None:
    curves = np.random.default_rng(seeds).normal(0.35, 0.04, (seeds + 1, 2000))
    assert in_band(statistics.seed_band(curves[:-1]).holds(curves[-1]).mean())


BETWEEN = [pytest.param(*shares, marks=SLOW) for shares in ((0.03, 0.01), (0.03, 0.03), (0.05, 0.02))]
DISAGREEMENTS = [(0.02, 0.02), (0.04, 0.02), *BETWEEN, (0.8, 0.01)]
"""Shares of digits that the first and the second of a pair get right alone; the last: a good and a diverged trial."""


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("first_only", "second_only"), DISAGREEMENTS)
def test_paired_difference_and_error_reduction(n: int, first_only: float, second_only: float) -> None:
    both_wrong = 0.04
    shares = [first_only, second_only, both_wrong, 1 - first_only - second_only - both_wrong]
    tables = np.random.default_rng(n).multinomial(n, shares, size=2000 if n < 800 else 1200)
    true_reduction = (first_only - second_only) / (first_only + both_wrong)

    @cache
    def covers(*table: int) -> tuple[bool, bool]:
        first, second = (np.repeat(right, table) for right in ([True, False, False, True], [False, True, False, True]))
        result = statistics.paired_difference(first, second, resamples=2000, seed=1000 * table[0] + table[1])
        assert result.error_reduction_interval is not None
        return first_only - second_only in result.interval, true_reduction in result.error_reduction_interval

    covered = np.array([covers(*(int(cell) for cell in table)) for table in tables])
    assert in_band(covered.mean(axis=0)), covered.mean(axis=0)


def alike_trials(accuracies: NDArray[np.float64], digits: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Right or wrong, bool (trials, digits), where trials mostly stumble over the same hard digits.

    At 93% two such trials agree about a wrong digit as often as two trainings that differ in their seed alone: a
    correlation of their errors near 0.6.
    """
    ease = np.sqrt(0.85) * rng.standard_normal(digits)
    noise = np.sqrt(0.15) * rng.standard_normal((len(accuracies), digits))
    return ease + noise < stats.norm.ppf(accuracies)[:, None]


@pytest.mark.parametrize(("digits", "draws"), [(200, 1200), pytest.param(267, 1000, marks=SLOW), (800, 1000)])
def test_best_against_the_average_of_trials(digits: int, draws: int) -> None:
    rng = np.random.default_rng(digits)
    accuracies = np.array([0.95, 0.94, 0.94, 0.93, 0.92, 0.9, 0.6, 0.15])
    covered = []
    for _ in range(draws):
        shares = alike_trials(accuracies, digits, rng)
        result = statistics.paired_difference(shares[0], shares.mean(axis=0), resamples=1000)
        covered.append(accuracies[0] - accuracies.mean() in result.interval)
    assert in_band(np.mean(covered))


def sweeps(accuracies: str, digits: int, draws: int) -> Iterator[tuple[float, statistics.SelectionBias]]:
    """The winner's true accuracy and what `bbc_cv` says of it, for simulated sweeps of 36 trials."""
    rng = np.random.default_rng(digits)
    for _ in range(draws):
        true = {
            "spread": np.concatenate([rng.normal(0.93, 0.01, 20), np.full(8, 0.88), np.full(8, 0.12)]),
            "equal": np.full(36, 0.93),
        }[accuracies].clip(0.05, 0.985)
        result = statistics.bbc_cv(alike_trials(true, digits, rng), resamples=200, seed=int(rng.integers(2**32)))
        yield float(true[result.winner]), result


@pytest.mark.parametrize(("digits", "draws"), [(200, 1500), pytest.param(267, 1200, marks=SLOW), (800, 800)])
def test_corrected_score_of_a_sweep_whose_trials_differ(digits: int, draws: int) -> None:
    pairs = list(sweeps("spread", digits, draws))
    assert in_band(np.mean([true in result.interval for true, result in pairs]))
    assert np.mean([true in result.percentiles for true, result in pairs]) > 0.97
    naive = np.mean([result.raw - true for true, result in pairs])
    corrected = np.mean([result.corrected - true for true, result in pairs])
    assert abs(corrected) < naive / 2


@pytest.mark.parametrize(("digits", "draws"), [(200, 400), (800, 200)])
def test_corrected_score_of_a_sweep_whose_trials_are_equal_is_safe(digits: int, draws: int) -> None:
    pairs = list(sweeps("equal", digits, draws))
    assert np.mean([true in result.interval for true, result in pairs]) >= 0.95
    assert np.mean([true in statistics.wilson(result.raw * digits, digits) for true, result in pairs]) < 0.93
    assert abs(np.mean([result.corrected - true for true, result in pairs])) < 0.002


def final_models(
    accuracy: float, spread: float, digits: int, draws: int, repeats: int = 2
) -> Iterator[tuple[float, NDArray[np.float64]]]:
    """The true accuracy of one training on all digits, and the scores (repeats, 10) of its setting's folds.

    `spread`: the standard deviation of the networks' true accuracies between seeds. The digits are as hard for one
    network as for another, as in `alike_trials`. Errors fall as the root of the digits learnt from, faster than
    `final_accuracy` takes them to.
    """
    rng = np.random.default_rng(digits)
    full, fewer = stats.norm.ppf([accuracy, 1 - (1 - accuracy) * 0.9**-0.5])
    between = spread / stats.norm.pdf(full)
    for _ in range(draws):
        ease = np.sqrt(0.85) * rng.standard_normal(digits)
        orders = rng.permuted(np.tile(np.arange(digits), (repeats, 1)), axis=1).reshape(repeats, 10, -1)
        able = fewer + between * rng.standard_normal((repeats, 10, 1))
        right = ease[orders] + np.sqrt(0.15) * rng.standard_normal(orders.shape) < able
        yield float(stats.norm.cdf(full + between * rng.standard_normal())), right.mean(axis=2)


@pytest.mark.parametrize(
    ("accuracy", "digits"), [(0.945, 800), pytest.param(0.92, 800, marks=SLOW), pytest.param(0.96, 200, marks=SLOW)]
)
@pytest.mark.parametrize("spread", [0.002, 0.006])
def test_accuracy_of_the_final_model(accuracy: float, spread: float, digits: int) -> None:
    pairs = [(true, statistics.final_accuracy(scores)) for true, scores in final_models(accuracy, spread, digits, 600)]
    assert np.mean([true in found.interval for true, found in pairs]) >= 0.94
    assert abs(np.mean([found.accuracy - true for true, found in pairs])) < 0.002


def test_an_interval_of_the_digits_alone_is_too_narrow_for_the_final_model() -> None:
    pairs = list(final_models(0.945, 0.008, 800, 600))
    alone = [true in statistics.wilson(800 * scores.mean(), 800) for true, scores in pairs]
    assert np.mean(alone) < 0.91
    assert np.mean([true in statistics.final_accuracy(scores).interval for true, scores in pairs]) >= 0.93


def test_equal_trials_rarely_differ_significantly() -> None:
    rng = np.random.default_rng(0)
    for digits, repeats in ((200, 1), (800, 1), (200, 3)):
        apart = 0
        for _ in range(500):
            correct = alike_trials(np.full(12 * repeats, 0.93), digits, rng).reshape(12, repeats, digits)
            apart += len(statistics.tied_with_best(correct, 0)) < 12  # type: ignore[arg-type]
        assert apart / 500 <= 0.07, (digits, repeats)


def test_seeds_of_one_distribution_are_rarely_called_incompatible() -> None:
    rng = np.random.default_rng(0)
    differ = []
    for _ in range(500):
        reported, ours = (np.round(rng.normal(0.916, 0.006, n) * 800) / 800 for n in (36, 20))
        differ.append(not statistics.compatible(reported, ours, resamples=399).agrees)
    assert 0.01 < np.mean(differ) < 0.075
