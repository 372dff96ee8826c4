"""Two runs on the same digits: `compare_paired` against scipy and statsmodels, and how often its interval is right."""

import numpy as np
import pandas as pd
import pytest
from later import Later
from numpy.typing import NDArray
from scipy import stats

from mnistexp import statistics
from mnistexp.errors import BadInput

anova = Later("statsmodels.stats.anova")
contingency = Later("statsmodels.stats.contingency_tables")
linear_model = Later("statsmodels.regression.linear_model")


def draw(seeds: tuple[int, int], spread: float, rng: np.random.Generator, n: int = 200) -> list[NDArray[np.bool_]]:
    """Two runs of equal settings, about 96% right; `spread`: how much seeds differ, on a probit scale."""
    difficulty = rng.normal(3.2, 1.5, n)
    return [
        difficulty + rng.normal(0, 0.5, n) + rng.normal(0, spread, (count, 1)) + rng.normal(0, 0.7, (count, n)) > 0
        for count in seeds
    ]


def test_single_trainings_are_compared_by_mcnemar_and_the_paired_bootstrap() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        first, second = draw((1, 1), 0.3, rng)
        table = pd.crosstab(first[0], second[0]).reindex(index=[True, False], columns=[True, False], fill_value=0)
        found = statistics.compare_paired(first, second)
        assert found.p_value == pytest.approx(contingency.mcnemar(table, exact=True).pvalue, abs=1e-12)
        assert found.interval == statistics.paired_difference(second[0], first[0]).interval
        assert found.difference == pytest.approx(second.mean() - first.mean())


def test_where_only_seeds_vary_it_is_scipys_t_test_of_their_accuracies() -> None:
    rng, n = np.random.default_rng(2), 100_000
    shares = rng.uniform(0.85, 0.95, 3), rng.uniform(0.86, 0.96, 4)
    first, second = (rng.permuted(np.arange(n) < share[:, None] * n, axis=1) for share in shares)
    expected = stats.ttest_ind(second.mean(axis=1), first.mean(axis=1))
    found = statistics.compare_paired(first, second)
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.01)
    low, high = expected.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), rel=0.02)


def test_where_seeds_agree_it_is_scipys_paired_t_test_over_the_digits() -> None:
    rng, n = np.random.default_rng(3), 20_000
    first, second = rng.random(n) < 0.90, rng.random(n) < 0.905
    expected = stats.ttest_rel(second.astype(float), first.astype(float))
    found = statistics.compare_paired(np.stack([first] * 3), np.stack([second] * 3))
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.01)


def test_the_parts_of_the_variance_are_statsmodels_anova() -> None:
    rng = np.random.default_rng(4)
    runs = draw((3, 4), 1.5, rng, n=40)
    degrees, rest, between = 0, 0.0, 0.0
    for run in runs:
        rows = [(f"d{d}", f"s{s}", float(run[s, d])) for s in range(len(run)) for d in range(40)]
        answers = pd.DataFrame(rows, columns=["digit", "seed", "y"])
        table = anova.anova_lm(linear_model.OLS.from_formula("y ~ C(digit) + C(seed)", answers).fit())
        rest += table.loc["Residual", "sum_sq"] / 39
        between += table.loc["C(seed)", "sum_sq"]
        degrees += len(run) - 1
    share = 1 / 3 + 1 / 4
    added = share * (between - rest) / degrees / 40
    assert added > 0
    found = statistics.compare_paired(*runs)
    gain = runs[1].mean(axis=0) - runs[0].mean(axis=0)
    pseudo = np.append(gain, [1, -1])
    weights = np.append(np.ones(40), [share / 4, share / 4])
    mean = np.average(pseudo, weights=weights)
    digits = np.average((pseudo - mean) ** 2, weights=weights) / (weights.sum() + 1)
    t = found.difference / np.sqrt(digits + added)
    reach = found.interval.high - found.difference
    df = next(df for df in np.linspace(1, 60, 59_001) if stats.t.ppf(0.975, df) * np.sqrt(digits + added) <= reach)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-3)


@pytest.mark.parametrize("gained", [0, 1, 5])
def test_the_smallest_noticed_drop_is_the_first_significant_one(gained: int) -> None:
    first, second = np.ones((2, 1, 200), bool)
    first[0, :gained] = False
    drop = round(200 * statistics.compare_paired(first, second).smallest_drop)
    for lost, told in ((drop + gained, True), (drop + gained - 1, False)):
        second[:] = True
        second[0, gained : gained + lost] = False
        assert (statistics.compare_paired(first, second).p_value <= 0.05) == told


@pytest.mark.parametrize("seeds", [(3, 3), (1, 5), (5, 5)])
@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_the_interval_holds_the_truth_as_often_as_it_says(seeds: tuple[int, int], spread: float) -> None:
    rng = np.random.default_rng(5)
    found = [statistics.compare_paired(*draw(seeds, spread, rng)) for _ in range(600)]
    assert 0.93 <= np.mean([0 in each.interval for each in found]) <= 0.985
    assert np.mean([each.p_value <= 0.05 for each in found]) <= 0.07


@pytest.mark.parametrize("shapes", [((2, 5), (2, 6)), ((5,), (5,)), ((0, 5), (1, 5))])
def test_other_digits_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(BadInput, match="of the same digits are needed"):
        statistics.compare_paired(*(np.ones(shape, bool) for shape in shapes))
