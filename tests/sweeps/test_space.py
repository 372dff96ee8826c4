"""From a sweep's settings to trials: which points, in which order, and what is refused."""

import math
from typing import Any

import pytest
from sklearn.model_selection import ParameterGrid

from mnistexp import api
from mnistexp.config.grids import Range
from mnistexp.config.models import ExperimentConfig, SweepConfig, TrainingConfig
from mnistexp.config.optimizers import OPTIMIZERS, Adadelta, Adam
from mnistexp.config.settings import resolve, to_yaml
from mnistexp.config.yaml_source import parse
from mnistexp.errors import BadInput, ConfigError
from mnistexp.sweeps.search import drive, most_trials, rounds, search
from mnistexp.sweeps.space import Trial, default_grid, draws, swept_key

RATES = {"low": 1e-4, "high": 1.0, "log": True}


def config(**sweep: Any) -> ExperimentConfig:
    return ExperimentConfig(optimizer=Adam(name="adam", beta_1=0.7), sweep=SweepConfig(**sweep))


def trials(**sweep: Any) -> list[Trial]:
    return next(search(config(**sweep)))


def problems(settings: ExperimentConfig) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        search(settings)
    return {problem.key: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    "grid",
    [
        {"optimizer.learning_rate": [0.1, 0.01], "model.dropout": [0.0, 0.2, 0.4]},
        [{"optimizer.learning_rate": [0.1]}, {"model.dropout": [0.2, 0.4], "training.batch_size": [16, 32]}],
    ],
)
def test_a_grid_has_the_order_of_scikit_learn(grid: Any) -> None:
    assert [trial.params for trial in trials(grid=grid)] == list(ParameterGrid(grid))


def test_what_a_trial_trains_is_the_configuration_with_its_values() -> None:
    [trial] = trials(grid={"optimizer.learning_rate": [0.25], "model.filters": [[4, 8]]})
    assert trial.config.optimizer == Adam(name="adam", beta_1=0.7, learning_rate=0.25)
    assert trial.config.model.filters == (4, 8)
    assert trial.config.sweep is None
    assert trial.params == {"model.filters": (4, 8), "optimizer.learning_rate": 0.25}


def test_another_optimizer_starts_from_its_own_defaults() -> None:
    grid = {"optimizer.learning_rate": [0.5], "optimizer.name": ["adam", "adadelta"]}
    found = [trial.config.optimizer for trial in trials(grid=grid)]
    assert found == [
        Adam(name="adam", beta_1=0.7, learning_rate=0.5),
        Adadelta(name="adadelta", learning_rate=0.5),
    ]


def test_paired_values_vary_together_and_are_combined_with_the_grid() -> None:
    found = trials(grid={"model.dropout": [0.0, 0.5]}, zip={"training.epochs": [5, 9], "training.batch_size": [16, 64]})
    assert [tuple(trial.params.values()) for trial in found] == [(0.0, 5, 16), (0.0, 9, 64), (0.5, 5, 16), (0.5, 9, 64)]


def test_samples_are_the_same_for_every_point_and_stay_when_more_are_drawn_or_keys_added() -> None:
    few = draws({"a": Range(low=0, high=1)}, 3, seed=5)
    more = draws({"b": (1, 2), "a": Range(low=0, high=1)}, 6, seed=5)
    assert [point.params["a"] for point in few] == [point.params["a"] for point in more][:3]
    found = trials(grid={"model.dropout": [0.0, 0.5]}, random={"optimizer.learning_rate": RATES}, samples=4)
    rates = [trial.params["optimizer.learning_rate"] for trial in found]
    assert len(set(rates)) == 4
    assert rates[:4] == rates[4:]


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("integer", [True, False])
def test_draws_fill_their_range_evenly_on_its_scale(log: bool, integer: bool) -> None:
    points = draws({"a": Range(low=1, high=1024, log=log, integer=integer)}, 2000, seed=1)
    values = [float(point.params["a"]) for point in points]  # type: ignore[arg-type]
    assert all(1 <= value <= 1024 and (value.is_integer() or not integer) for value in values)
    middle = 32 if log else 512.5
    assert abs(sum(value < middle for value in values) - 1000) < 100  # 4.5 standard deviations


def test_other_seeds_draw_other_samples() -> None:
    assert draws({"a": Range(low=0, high=1)}, 3, seed=5) != draws({"a": Range(low=0, high=1)}, 3, seed=6)


def test_points_with_equal_settings_are_one_trial() -> None:
    grid = [{"optimizer.learning_rate": [0.1, 1, 1.0]}, {"optimizer.learning_rate": [0.1]}]
    assert [trial.params["optimizer.learning_rate"] for trial in trials(grid=grid)] == [0.1, 1.0]


def test_a_sweep_of_nothing_is_the_configuration_itself() -> None:
    [trial] = trials()
    assert trial.params == {}


def test_rows_as_submitted_differ_in_their_seeds_alone() -> None:
    found = trials(
        grid={"optimizer.name": ["adam"], "optimizer.beta_1": [0.5, 0.9], "model.dropout": [0.8]}, as_submitted=True
    )
    assert [trial.params["optimizer.beta_1"] for trial in found] == [0.5, 0.9]
    assert {trial.config.optimizer for trial in found} == {Adam(name="adam")}
    assert {trial.config.model.dropout for trial in found} == {0.0}
    assert [trial.repeat_from for trial in found] == [0, 1]


def test_default_grids_are_those_of_the_optimizers() -> None:
    sizes = {name: len(trials(grid=default_grid([name]))) for name in ("adam", "nadam", "adadelta")}
    assert sizes == {"adam": 36, "nadam": 36, "adadelta": 16}
    every = trials(grid=default_grid(["all"]))
    assert {trial.config.optimizer.name for trial in every} == set(OPTIMIZERS)
    with pytest.raises(BadInput, match="did you mean 'adadelta'"):
        default_grid(["adam", "adadeltta"])


def test_bare_names_stand_for_dotted_keys() -> None:
    assert swept_key("learning_rate") == "optimizer.learning_rate"
    assert swept_key("epochs") == "training.epochs"
    assert swept_key("model.dropout") == "model.dropout"
    with pytest.raises(BadInput, match="did you mean 'learning_rate'"):
        swept_key("lerning_rate")


def test_every_wrong_key_and_value_is_reported_once_where_it_stands() -> None:
    found = problems(
        config(
            grid=[
                {"optimizer.beta_1": [0.5, 1.0, 2.0]},
                {"optimizer.learnign_rate": [1.0], "model.dropout": [0.1, 0.2]},
            ],
            zip={"training.epochs": [0, 1], "model.kernel_size": [3, 9]},
            random={"training.batch_size": {"low": 1, "high": 100}},
        )
    )
    assert found == {
        "sweep.grid.0.optimizer.beta_1": "is 2.0, allowed: 0 <= value < 1",
        "sweep.grid.1.optimizer.learnign_rate": found["sweep.grid.1.optimizer.learnign_rate"],
        "sweep.zip.training.epochs": "is 0, allowed: 1 <= value <= 100000",
        "sweep.zip.model.kernel_size": "is 9, allowed: 1 <= value <= 7",
        "sweep.random.training.batch_size": "is 100.0, allowed: a whole number, 1 <= value <= 70000",
    }
    assert "learning_rate" in found["sweep.grid.1.optimizer.learnign_rate"]


def test_settings_that_belong_to_the_whole_sweep_cannot_be_swept() -> None:
    sweep = SweepConfig(
        grid={"data.digits": [100], "dropout": [0.1], "seed": [1], "training.validation_fraction": [0.1]},
        zip={"model.dropout": [0.1]},
        random={"model.dropout": [0.1]},
    )
    found = problems(ExperimentConfig(sweep=sweep))
    assert set(found) == {
        "sweep.grid.data.digits",
        "sweep.grid.dropout",
        "sweep.grid.seed",
        "sweep.grid.training.validation_fraction",
        "sweep.random.model.dropout",
    }
    assert "did you mean 'model.dropout'" in found["sweep.grid.dropout"]
    assert found["sweep.random.model.dropout"] == "is swept twice, also by sweep.zip"


def test_too_many_points_are_refused_before_they_are_made() -> None:
    grid = {f"optimizer.{name}": [number / 1000 for number in range(999)] for name in ("beta_1", "beta_2", "decay")}
    assert problems(config(grid=grid)) == {"sweep": "makes 997,002,999 points, allowed: at most 100,000"}


def test_the_section_reads_back_from_its_own_yaml() -> None:
    settings = config(
        grid=default_grid(["adam", "sgd"]),
        zip={"model.filters": [[2, 4], [4, 8]], "model.dropout": [0, 0.5]},
        random={"training.epochs": {"low": 1, "high": 9, "integer": True}, "training.shuffle": [True, False]},
        samples=3,
    )
    again = resolve([parse(to_yaml(settings), "file")]).config
    assert again == settings
    assert next(search(again)) == next(search(settings))


def walk(settings: ExperimentConfig, score: Any) -> list[list[Trial]]:
    """All generations of a search where the score of a trial is a function of it."""
    generations: list[list[Trial]] = []

    def scored(generation: list[Trial]) -> list[float]:
        generations.append(generation)
        return [score(trial) for trial in generation]

    drive(settings, scored)
    return generations


SWEEPS: dict[str, dict[str, Any]] = {
    "a grid": {"grid": {"model.dropout": [0.0, 0.5, 0.5], "optimizer.beta_1": [0.5, 0.9]}},
    "grids": {"grid": [{"optimizer.name": ["adam", "nadam"]}, {"model.dropout": [0.1, 0.5, 0.6]}]},
    "pairs": {
        "grid": {"model.dropout": [0.0, 0.5]},
        "zip": {"optimizer.beta_1": [0.5, 0.9], "training.epochs": [2, 3]},
    },
    "random": {"grid": {}, "random": {"model.dropout": {"low": 0.0, "high": 0.5}}, "samples": 7},
    "no grid": {"grid": []},
}


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("strategy", ["product", "halving"])
def test_trials_are_counted_as_the_sweep_makes_them(name: str, strategy: str) -> None:
    keys = {f"sweep.{key}": value for key, value in (SWEEPS[name] | {"strategy": strategy}).items()}
    if strategy == "halving":
        keys |= {"training.epochs": 50, "sweep.zip": {}}
    settings = api.configure("sweep-dropout", {"optimizer.name": "adam"} | keys)
    assert most_trials(settings) == sum(map(len, walk(settings, lambda _: 0.5)))


@pytest.mark.parametrize(
    ("points", "epochs", "expected"),
    [
        (27, 45, [(5, 27), (15, 9), (45, 3)]),
        (4, 50, [(6, 4), (17, 2), (50, 1)]),
        (100, 4, [(4, 100)]),
        (1, 50, [(50, 1)]),
        (81, 5, [(5, 81)]),
        (10, 405, [(15, 10), (45, 4), (135, 2), (405, 1)]),
    ],
)
def test_rounds_of_halving(points: int, epochs: int, expected: list[tuple[int, int]]) -> None:
    assert rounds(SweepConfig(factor=3, min_epochs=5), points, epochs) == expected


def test_halving_trains_the_best_of_each_round_longer() -> None:
    rates = [(number + 1) / 100 for number in range(9)]
    settings = config(grid={"optimizer.learning_rate": rates}, strategy="halving", min_epochs=5)
    settings = settings.model_copy(update={"training": TrainingConfig(epochs=45)})
    first, second, third = walk(settings, lambda trial: -abs(trial.params["optimizer.learning_rate"] - 0.051))
    assert [trial.config.training.epochs for trial in (first[0], second[0], third[0])] == [5, 15, 45]
    assert [trial.params["optimizer.learning_rate"] for trial in second] == [0.05, 0.06, 0.04]
    assert [trial.params for trial in third] == [{"optimizer.learning_rate": 0.05, "training.epochs": 45}]
    assert [trial.index for trial in (*first, *second, *third)] == list(range(13))
    assert most_trials(settings) == 13


def test_halving_drops_trials_that_failed() -> None:
    settings = config(grid={"model.dropout": [0.0, 0.2, 0.4]}, strategy="halving", min_epochs=5)
    scores = {0.0: math.nan, 0.2: 0.1, 0.4: math.nan}
    generations = walk(settings, lambda trial: scores[trial.params["model.dropout"]])
    assert [trial.params["model.dropout"] for trial in generations[-1]] == [0.2]


def near_a_hundredth(trial: Trial) -> float:
    rate = trial.params["optimizer.learning_rate"]
    return 1 - abs(math.log10(float(rate)) + 2)  # type: ignore[arg-type]


def always_half(_: Trial) -> float:
    return 0.5


def test_tpe_uses_the_scores_and_is_reproducible() -> None:
    settings = config(random={"optimizer.learning_rate": RATES}, strategy="tpe", samples=40, generation=8)
    generations = walk(settings, near_a_hundredth)
    assert generations == walk(settings, near_a_hundredth)
    assert [len(generation) for generation in generations] == [8] * 5
    means = [sum(map(near_a_hundredth, generation)) / 8 for generation in generations]
    assert means[-1] > means[0]
    assert generations[0] == walk(settings, always_half)[0]
    assert generations[-1] != walk(settings, always_half)[-1]


def test_tpe_runs_one_study_per_point_of_the_grid() -> None:
    settings = config(
        grid={"optimizer.name": ["adam", "sgd"]},
        random={"optimizer.learning_rate": RATES, "model.filters": [[2, 4], [4, 8]]},
        strategy="tpe",
        samples=6,
        generation=4,
    )
    generations = walk(settings, lambda trial: math.nan if trial.index % 3 == 0 else 0.5)
    assert [len(generation) for generation in generations] == [8, 4]
    names = [trial.config.optimizer.name for generation in generations for trial in generation]
    assert names.count("adam") == names.count("sgd") == 6


def test_tpe_does_not_repeat_known_settings() -> None:
    settings = config(random={"training.shuffle": [True, False]}, strategy="tpe", samples=12, generation=4)
    found = [trial.params["training.shuffle"] for generation in walk(settings, always_half) for trial in generation]
    assert sorted(map(bool, found)) == [False, True]


def test_invalid_searches_are_refused() -> None:
    assert set(problems(config(strategy="tpe", as_submitted=True))) == {"sweep.random", "sweep.as_submitted"}
    assert set(problems(config(strategy="halving", grid={"training.epochs": [1]}))) == {"sweep.grid.training.epochs"}
    bounds = {"low": 0.0, "high": 1.0}
    assert set(problems(config(strategy="tpe", random={"model.dropout": bounds}))) == {"sweep.random.model.dropout"}
