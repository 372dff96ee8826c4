"""The assignment reproduced: every task done once, every reported figure beside ours, the comparisons right."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import call
from tiny_best import tiny

from mnistexp import experiments
from mnistexp.config import ExperimentConfig
from mnistexp.errors import ConfigError, Interrupted
from mnistexp.reproduction.assignment import FULL, QUICK, tasks_of
from mnistexp.reproduction.curves import band_row, seeds_row
from mnistexp.reproduction.grids import best_of, row_scores, seed_scores
from mnistexp.reproduction.story import plan_reproduce, run_reproduce, size_of
from mnistexp.results import FitDone, Outcome, Step
from mnistexp.runs import stored_runs
from mnistexp.runs.stored_runs import list_runs
from mnistexp.settings import packaged, resolve
from mnistexp.sweeps.sweep_files import read_sweep
from mnistexp.yaml_source import parse

GRIDS = (
    {"optimizer.name": ("adam",), "optimizer.learning_rate": (0.001, 0.01, 0.1)},
    {"model.dropout": (0.0, 0.3, 0.6)},
)
SIZE = replace(QUICK, short=1, long=2, epochs=1, final_repeats=1, values=None)


def small() -> ExperimentConfig:
    """One optimizer's sweep and one of dropout: the tasks of the assignment, fewer of a kind."""
    return tiny({"grid": GRIDS})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduce") / "runs"


@pytest.fixture(scope="module")
def outcome(runs: Path) -> Outcome:
    """A reproduction that was stopped twice on its way: in the second training, and in a sweep."""
    for wanted in ("sgd_150_epochs", "dropout (as intended)"):
        current = ""

        def stop(event: Any, wanted: str = wanted) -> None:
            nonlocal current
            current = event.what if isinstance(event, Step) else current
            from_cache = isinstance(event, FitDone) and event.done == event.cached
            if current.startswith(wanted) and not isinstance(event, Step) and not from_cache:
                raise KeyboardInterrupt

        with pytest.raises(Interrupted, match="the same command goes on"):
            run_reproduce(small(), runs, SIZE, stop)
    return run_reproduce(small(), runs, SIZE)


def test_a_stopped_reproduction_goes_on_in_its_folder_and_does_nothing_twice(outcome: Outcome, runs: Path) -> None:
    mine, *_ = [info for info in list_runs(runs) if info.command == "reproduce"]
    assert (mine.path, mine.status) == (outcome.run_dir, "done")
    steps = {(step["part"], step["name"]): step for step in outcome.metrics["steps"]}
    assert steps["curves", "sgd_60_epochs"]["reused"]
    assert steps["as submitted", "adam"]["reused"]
    assert not steps["as intended", "best model"]["reused"]
    trainings = [info for info in list_runs(runs) if info.command == "train"]
    assert [info.status for info in trainings] == ["done"] * 3
    for step in steps.values():
        assert (runs / step["run"] / "metrics.json").exists()


def test_a_finished_reproduction_is_repeated_without_a_single_fit(outcome: Outcome, runs: Path) -> None:
    said: list[Any] = []
    again = run_reproduce(small(), runs, SIZE, said.append)
    assert all(step["reused"] for step in again.metrics["steps"])
    assert {type(event) for event in said} == {Step}
    assert again.metrics["table"] == outcome.metrics["table"]
    assert (again.run_dir / "table.csv").read_bytes() == (outcome.run_dir / "table.csv").read_bytes()
    assert all(ahead.run for ahead in plan_reproduce(small(), runs, SIZE) if ahead.task.command != "best")


def test_the_table_has_every_reported_figure(outcome: Outcome) -> None:
    rows = {(row["part"], row["what"]): row for row in outcome.metrics["table"]}
    for what in (
        "digits of each class, 0 to 9", "parameters of the network", "labels printed for the pictures 37, 72",
    ):  # fmt: skip
        assert ("data", what) in rows
    for what, reported in (
        ("sgd_150_epochs: lowest validation loss", 0.3083), ("sgd_150_epochs: epoch of the lowest validation loss", 9),
        ("sgd_150_epochs: test accuracy", 0.925), ("adam_dropout_50_epochs: test accuracy", 0.96),
    ):  # fmt: skip
        assert rows["curves", what]["reported"] == reported
        low, high = rows["curves", what]["interval"]
        assert low < high
    adam = rows["as submitted", "adam: mean of 36 rows"]
    assert adam["reported"] == pytest.approx(0.9161, abs=1e-4)
    assert adam["fault"].startswith("create_model ignored its arguments")
    assert ("as submitted", "dropout: mean of 5 rows") in rows
    intended = [row["reported"] for row in rows.values() if row["what"].startswith("the notebook's")]
    assert intended == [0.934997, 0.191218, 0.745611]
    counts = outcome.metrics["agreements"]
    assert sum(counts.values()) == len(rows)
    assert counts["yes"] == sum(row["agrees"] is True for row in rows.values())
    stored = stored_runs.load(outcome.run_dir)
    assert stored.metrics == {"schema_version": 1} | json.loads(json.dumps(outcome.metrics))
    with (outcome.run_dir / "table.csv").open() as file:
        assert [row["what"] for row in csv.DictReader(file)] == [what for _, what in rows]
    assert (outcome.run_dir / "reported_rows.svg").stat().st_size > 0


def test_what_is_quick_says_so(outcome: Outcome) -> None:
    assert outcome.metrics["quick"]
    assert outcome.metrics["label"].startswith("QUICK RUN")
    assert outcome.metrics["warnings"] == [outcome.metrics["label"]]


def test_the_best_model_comes_from_the_intended_sweeps_alone(outcome: Outcome, runs: Path) -> None:
    steps = outcome.metrics["steps"]
    intended = {step["run"] for step in steps if step["part"] == "as intended" and step["command"] != "best"}
    best = stored_runs.load(runs / steps[-1]["run"])
    assert best.metrics is not None
    assert {sweep["run"] for sweep in best.metrics["choice"]["sweeps"]} == intended
    assert best.metrics["representative"]["unseen"] is not None


def test_another_sweep_in_between_does_not_disturb(outcome: Outcome, runs: Path) -> None:
    [task] = [task for task in tasks_of(small(), SIZE) if task.part == "as intended" and task.name == "adam"]
    assert task.config.sweep is not None
    narrow = task.config.sweep.model_copy(update={"grid": {"optimizer.name": ("adam",)}})
    experiments.run_sweep(task.config.model_copy(update={"sweep": narrow}), task.command, runs)
    assert run_reproduce(small(), runs, SIZE).metrics["table"] == outcome.metrics["table"]


def test_rows_as_submitted_are_seeds_of_one_network(outcome: Outcome, runs: Path) -> None:
    steps = {(step["part"], step["name"]): runs / step["run"] for step in outcome.metrics["steps"]}
    adam, dropout = steps["as submitted", "adam"], steps["as submitted", "dropout"]
    assert row_scores(adam).tolist() == row_scores(dropout).tolist()
    assert len(set(row_scores(adam))) > 1
    [fixed] = [folder for (_, name), folder in steps.items() if "never dropping" in name]
    [trial] = read_sweep(fixed).trials
    scores = seed_scores(fixed)
    assert len(scores) == SIZE.row_seeds
    assert scores.mean() == pytest.approx(trial.mean)
    [whole] = [one for one in read_sweep(steps["as intended", "dropout"]).trials if one.params["model.dropout"] == 0]
    assert scores[0] == whole.mean


# The size


def base() -> ExperimentConfig:
    return resolve([parse(packaged("best"), "best")]).config


def test_the_whole_assignment_is_there_at_full_size() -> None:
    tasks = {(task.part, task.name): task for task in tasks_of(base(), FULL)}
    trials = {key: points(task.config) for key, task in tasks.items() if task.command.startswith("sweep")}
    assert {key: count for key, count in trials.items() if key[0] == "as intended"} == {
        ("as intended", "adam"): 36, ("as intended", "nadam"): 36, ("as intended", "adadelta"): 16,
        ("as intended", "dropout"): 5,
    }  # fmt: skip
    assert [trials["as submitted", name] for name in ("adam", "nadam", "adadelta", "dropout")] == [12, 12, 16, 5]
    every = {(task.part, task.name): task for task in tasks_of(base(), size_of(quick=False, all_rows=True))}
    assert [points(every["as submitted", name].config) for name in ("adam", "nadam", "adadelta", "dropout")] == [
        36, 36, 16, 5,
    ]  # fmt: skip
    short, long = tasks["curves", "sgd_60_epochs"].config, tasks["curves", "sgd_150_epochs"].config
    assert (short.training.epochs, long.training.epochs) == (60, 150)
    assert short.optimizer == long.optimizer == resolve([parse(packaged("train"), "train")]).config.optimizer
    assert all(task.config.training.epochs == 50 for key, task in tasks.items() if key in trials)
    assert tasks["as intended", "best model"].config.sweep == base().sweep


def points(config: ExperimentConfig) -> int:
    assert config.sweep is not None
    [grid] = config.sweep.grids
    return int(np.prod([len(values) for values in grid.values()]))


def test_a_reproduction_needs_the_dropout_sweep(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sweep.grid: has no grid of model.dropout"):
        run_reproduce(tiny({"grid": GRIDS[:1]}), tmp_path / "runs", SIZE)
    assert not list(tmp_path.iterdir())


# The comparisons


def test_a_further_seed_agrees_in_about_95_of_100_cases_and_another_training_does_not() -> None:
    rng = np.random.default_rng(0)
    inside = [seeds_row("x", "y", rng.normal(0.3, 0.02), rng.normal(0.3, 0.02, 5), "").agrees for _ in range(3000)]
    assert 0.93 < np.mean(inside) < 0.97
    row = seeds_row("x", "y", 0.5, rng.normal(0.3, 0.02, 5), "run")
    assert row.agrees is False
    assert seeds_row("x", "y", 0.5, [0.5, 0.5], "").agrees is None
    loss = seeds_row("x", "y", 2e-4, [1e-4, 2e-4, 4e-4], "", logarithmic=True)
    assert loss.ours == pytest.approx(2e-4)
    assert loss.agrees


def test_a_curve_of_the_same_kind_is_in_the_band_and_another_is_not() -> None:
    rng = np.random.default_rng(1)
    shape = 0.3 + 1 / np.arange(1, 51)
    ours = shape + rng.normal(0, 0.02, (6, 50))
    same = band_row("x", "loss", shape, ours, "")
    other = band_row("x", "loss", shape + 0.2, ours, "")
    assert same.agrees
    assert other.agrees is False
    assert other.reported < 0.2
    assert band_row("x", "loss", shape, ours[:3], "").agrees is None


def test_the_highest_of_further_scores_is_predicted() -> None:
    """In 95% of all cases the highest of 20 further scores lies in the interval from 10 scores."""
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(1000):
        mean, spread = 0.9, 0.006
        low, high = np.quantile(best_of(20, rng.normal(mean, spread, 10), 0, draws=2000), [0.025, 0.975])
        inside += low <= rng.normal(mean, spread, 20).max() <= high
    assert 930 < inside < 970


# The command line


def test_the_command_plans_without_writing_and_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    plan = json.loads(call("reproduce", "--dry-run", "--json", cwd=tmp_path).stdout)
    assert [step["name"] for step in plan["steps"]][:4] == [
        "example digits", "network", "sgd_60_epochs", "sgd_150_epochs",
    ]  # fmt: skip
    assert plan["fits"] == 93 * 3 + 45 * 3 + 8 * 3 + 3
    for arguments, expected in {
        ("--quick", "--all-rows"): "only one of the two",
        ("--set", "sweep.grid=[]"): "sweep.grid: is empty",
    }.items():
        refused = call("reproduce", *arguments, cwd=tmp_path)
        assert refused.returncode == 2
        assert expected in refused.stderr
    assert not list(tmp_path.iterdir())
