"""What a sweep makes of its fits, however they come about: counted, stored, told of, and ranked.

Here the mean image of each class does the learning, in a millisecond; test_sweep.py has the networks.
"""

import csv
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_sweep import run_tiny, tiny

from mnistexp.config.models import ExperimentConfig
from mnistexp.config.networks import layer_table
from mnistexp.config.settings import override, to_yaml
from mnistexp.config.shown import percent
from mnistexp.errors import OutOfTime, TrialsFailed
from mnistexp.figures.sweeps import curves_by_digits
from mnistexp.runs.results import FitDone, History, SweepResult
from mnistexp.runs.run_folder import Run
from mnistexp.sweeps import sweeping
from mnistexp.sweeps.fold_fits import Fitted, FoldFit, fit_fold
from mnistexp.sweeps.shares import more_digits_of
from mnistexp.sweeps.sweep_files import read_sweep, sweep_documents
from mnistexp.sweeps.trial_cache import TrialCache
from mnistexp.training import fitting
from mnistexp.training.state import TrainingState

SECONDS = 2.0
"""What each fit says that it took."""


def nearest_mean(config: ExperimentConfig, x: Any, y: Any, validation: Any, seed: fitting.Seed) -> fitting.Fit:
    """The class whose mean image is nearest; dropout leaves the first rows of the images out."""
    if config.model.dropout == 0.5 and seed.fold == 1:
        raise ArithmeticError("the second\nline")
    rows = slice(round(28 * config.model.dropout), None)
    means = np.stack([x[y == label][:, rows].mean(axis=0) for label in range(10)])
    distances = ((validation[0][:, None, rows] - means) ** 2).mean(axis=(2, 3))
    probabilities = np.eye(10, dtype=np.float32)[distances.argmin(axis=1)]
    diverged = 1 if config.model.dropout == 0.7 else None
    return fitting.Fit(
        History((1.0,), (1.0,)), (), probabilities, TrainingState(()), seconds=(SECONDS,), diverged_at=diverged
    )


@pytest.fixture(autouse=True)
def learner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "fit", nearest_mean)


def over(*rates: float, **sweep: Any) -> ExperimentConfig:
    """A sweep over dropout rates, on 3 folds."""
    return tiny({"grid": {"model.dropout": list(rates)}, **sweep})


def watched(config: ExperimentConfig, **options: Any) -> tuple[SweepResult, list[FitDone]]:
    said: list[FitDone] = []
    return run_tiny(config, watch=said.append, **options), said


def stored(config: ExperimentConfig, runs: Path, **options: Any) -> tuple[SweepResult, Path]:
    with Run.create(runs, "sweep", "tiny", to_yaml(config), visible=True) as run:
        result = run_tiny(config, run=run, **options)
    return result, run.path


# What is told on the way


def test_every_fit_is_reported_with_the_best_mean_so_far_and_the_time_left() -> None:
    result, said = watched(over(0.6, 0.0))
    first, second = result.trials
    assert second.mean > first.mean
    assert said == [
        FitDone(
            done=number + 1,
            total=6,
            cached=0,
            what=f"dropout {trial.params['model.dropout']:g}, fold {fold.fold + 1}: accuracy {percent(fold.score)}",
            best=best,
            seconds_left=SECONDS * (5 - number),
        )
        for number, (trial, fold, best) in enumerate(
            (trial, fold, best)
            for trial, means in ((first, [None, None, first.mean]), (second, [first.mean, first.mean, second.mean]))
            for fold, best in zip(trial.folds, means, strict=True)
        )
    ]
    _, said = watched(over(0.0, 0.6))
    assert said[-1].best == said[2].best == second.mean


def test_the_time_left_is_shared_by_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnistexp.sweeps.executors.executors.Serial.workers", 2)
    _, said = watched(over(0.0))
    assert [event.seconds_left for event in said] == [2.0, 1.0, 0.0]


def test_cached_fits_are_reported_at_once_and_only_new_ones_count_for_the_time_left(tmp_path: Path) -> None:
    cache = TrialCache(tmp_path)
    first = run_tiny(over(0.0), cache=cache)
    result, said = watched(over(0.0, 0.6), cache=cache)
    assert said[0] == FitDone(3, 6, 3, "3 from the cache", best=first.trials[0].mean)
    assert [(event.done, event.total, event.cached, event.seconds_left) for event in said[1:]] == [
        (4, 6, 3, 4.0),
        (5, 6, 3, 2.0),
        (6, 6, 3, 0.0),
    ]
    assert (result.fits_run, result.fits_cached) == (3, 3)
    _, said = watched(over(0.0), cache=cache)
    assert said == [FitDone(3, 3, 3, "3 from the cache", best=first.trials[0].mean)]


def test_halving_reports_the_total_number_of_fits_from_the_start() -> None:
    config = override(over(0.0, 0.3, 0.6, strategy="halving", min_epochs=1), {"training.epochs": 3})
    _, said = watched(override(config, {"repeats": 2}))
    assert {event.total for event in said} == {4 * 3 * 2}
    assert said[-1].done == 4 * 3 * 2


def test_grids_that_overlap_do_what_they_share_once() -> None:
    result, said = watched(tiny({"grid": [{"model.dropout": [0.0, 0.6]}, {"model.dropout": [0.6, 0.3]}]}))
    assert [trial.params["model.dropout"] for trial in result.trials] == [0.0, 0.6, 0.3]
    assert {event.total for event in said} == {3 * 3}


def test_a_sweep_without_a_grid_scores_the_configuration() -> None:
    _, said = watched(tiny({"grid": {}}))
    assert [event.what.partition(":")[0] for event in said] == [f"as configured, fold {fold}" for fold in (1, 2, 3)]
    _, said = watched(tiny({"grid": {"model.dropout": [0.0], "training.batch_size": [8]}}))
    assert said[0].what.startswith("dropout 0, batch size 8, fold 1: accuracy ")


# What is stored


def test_every_fit_is_a_file_of_the_run_whether_it_was_cached_or_not(tmp_path: Path) -> None:
    cache = TrialCache(tmp_path)
    run_tiny(over(0.0), cache=cache)
    result, folder = stored(over(0.0, 0.6), tmp_path, cache=cache)
    names = [f"{trial:05d}-0-{fold}.json" for trial in range(2) for fold in range(3)]
    assert sorted(path.name for path in (folder / "trials").iterdir()) == names
    assert {path.name for path in folder.iterdir()} >= {"trials.csv", "predictions.npz", "sweep.json"}
    documents = [json.loads((folder / "trials" / name).read_text()) for name in names]
    assert [document["cached"] for document in documents] == [True] * 3 + [False] * 3
    assert [document["params"] for document in documents] == [{"model.dropout": 0.0}] * 3 + [{"model.dropout": 0.6}] * 3
    found = read_sweep(folder)
    assert (found.fits_run, found.fits_cached, found.seconds) == (3, 3, result.seconds)
    assert [trial.mean for trial in found.trials] == [trial.mean for trial in result.trials]


def test_a_sweep_lasts_from_its_first_plan_to_its_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 17.5])
    monkeypatch.setattr(sweeping.time, "perf_counter", lambda: next(clock, 17.5))
    assert run_tiny(over(0.0)).seconds == 7.5


# The share of the digits


def test_a_swept_share_takes_digits_from_each_fold_and_leaves_its_validation_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    learnt: dict[tuple[float, int, int], list[bytes]] = {}
    scored: dict[int, list[bytes]] = {}

    def fit(config: ExperimentConfig, x: Any, y: Any, validation: Any, seed: fitting.Seed) -> fitting.Fit:
        learnt[config.training.share, seed.fold, seed.repeat] = [image.tobytes() for image in x]
        assert scored.setdefault(seed.fold, [image.tobytes() for image in validation[0]]) == [
            image.tobytes() for image in validation[0]
        ]
        return nearest_mean(config, x, y, validation, seed)

    monkeypatch.setattr(fitting, "fit", fit)
    shares, cache = [0.5, 0.7, 1.0], TrialCache(tmp_path)
    config = tiny({"grid": {"training.share": shares}}, repeats=2)
    run_tiny(config, cache=cache)
    for fold in range(3):
        for repeat in range(2):
            half, most, whole = (learnt[share, fold, repeat] for share in shares)
            assert len(half) == round(len(whole) / 2)
            assert len(most) == round(0.7 * len(whole))
            assert set(half) < set(most) < set(whole)
            assert not set(whole) & set(scored[fold])
        assert learnt[0.5, fold, 0] != learnt[0.5, fold, 1]
    again = run_tiny(config, cache=cache)
    assert (again.fits_run, again.fits_cached) == (0, 18)
    assert run_tiny(tiny({"grid": {}}, repeats=2), cache=cache).fits_cached == 6


def test_accuracy_by_digits_has_a_curve_for_each_other_setting_best_first() -> None:
    result = run_tiny(tiny({"grid": {"training.share": [0.5, 1.0, 0.2], "model.dropout": [0.6, 0.0]}}))
    curves = curves_by_digits(result)
    assert [curve.name for curve in curves] == ["dropout 0", "dropout 0.6"]
    for curve, rate in zip(curves, (0.0, 0.6), strict=True):
        assert curve.digits == (21, 53, 106)
        means = {trial.params["training.share"]: trial.mean for trial in result.trials if rate in trial.params.values()}
        assert curve.accuracies == tuple(means[share] for share in (0.2, 0.5, 1.0))
    found = more_digits_of(result)
    assert found is not None
    assert (found.settings, found.digits) == (2, 106)
    assert found.tuning_gain == pytest.approx((curves[0].accuracies[-1] - curves[1].accuracies[-1]) / 2)


def test_without_swept_shares_more_digits_are_not_assessed() -> None:
    result = run_tiny(over(0.0, 0.6))
    assert curves_by_digits(result) == []
    assert more_digits_of(result) is None


# The time limit


@pytest.fixture
def a_second_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fit takes a second by the clock, and nothing else takes time."""
    now = itertools.count()
    clock = [float(next(now))]

    def fit(*arguments: Any) -> fitting.Fit:
        clock[0] = float(next(now))
        return nearest_mean(*arguments)

    monkeypatch.setattr(fitting, "fit", fit)
    monkeypatch.setattr(sweeping.time, "perf_counter", lambda: clock[0])


@pytest.mark.usefixtures("a_second_each")
def test_at_the_time_limit_the_complete_trials_are_ranked_and_the_same_sweep_continues(tmp_path: Path) -> None:
    unlimited, whole = stored(over(0.6, 0.0, 0.3), tmp_path / "unlimited")
    limited, cache = over(0.6, 0.0, 0.3, max_seconds=4.5), TrialCache(tmp_path)
    ran, tables = [], []
    for fits in (5, 9):
        result, folder = stored(limited, tmp_path, cache=cache)
        ran.append(result.fits_run)
        assert result.fits_run + result.fits_cached + result.fits_missing == 9
        assert cache.size()[0] == fits
        assert [trial.index for trial in result.trials] == list(range(fits // 3))
        assert result.trials_missing == 3 - fits // 3
        again = read_sweep(folder)
        assert (again.best, again.fits_missing) == (result.best, result.fits_missing)
        assert [trial.mean for trial in again.trials] == [trial.mean for trial in unlimited.trials[: fits // 3]]
        tables.append((folder / "trials.csv").read_bytes())
        assert len(result.notes) == (fits < 9)
    assert ran == [5, 4]
    assert tables[0] != tables[1] == (whole / "trials.csv").read_bytes()


@pytest.mark.usefixtures("a_second_each")
def test_incomplete_trials_before_complete_ones_keep_their_numbers(tmp_path: Path) -> None:
    cache = TrialCache(tmp_path)
    last = run_tiny(over(0.0), cache=cache).trials[0]
    result, folder = stored(over(0.6, 0.3, 0.0, max_seconds=0.5), tmp_path, cache=cache)
    assert [trial.index for trial in result.trials] == [2]
    assert result.winner.mean == read_sweep(folder).winner.mean == last.mean
    assert len(list((folder / "trials").iterdir())) == 4
    assert result.notes == (
        "Stopped at the time limit of 0.5 seconds: 1 of 3 trials are complete and ranked, 5 of 9 fits are missing. "
        "Run the same command again to continue.",
    )


@pytest.mark.usefixtures("a_second_each")
def test_repeated_calls_finish_however_short_the_time_limit(tmp_path: Path) -> None:
    limited, cache = over(0.6, 0.0, max_seconds=0.001), TrialCache(tmp_path)
    for fits in (1, 2):
        with pytest.raises(OutOfTime, match=f"before any trial was complete; {fits} of 6 fits are kept"):
            run_tiny(limited, cache=cache)
    assert [run_tiny(limited, cache=cache).fits_missing for _ in range(4)] == [3, 2, 1, 0]


@pytest.mark.usefixtures("a_second_each")
def test_halving_that_runs_out_of_time_chooses_among_those_trained_longest() -> None:
    config = override(over(0.6, 0.0, 0.3, strategy="halving", min_epochs=1), {"training.epochs": 9})
    result = run_tiny(override(config, {"sweep.max_seconds": 8.5}))
    assert (len(result.trials), result.winner.params["training.epochs"], result.trials_missing) == (3, 3, 1)
    assert run_tiny(config).winner.params["training.epochs"] == 9


# What fails


def test_a_trial_with_a_failed_fit_is_reported_and_stored_and_never_the_best(tmp_path: Path) -> None:
    said: list[FitDone] = []
    result, folder = stored(over(0.5, 0.6), tmp_path, watch=said.append)
    assert said[1].what == "dropout 0.5, fold 2: failed: line"
    assert [event.best for event in said] == [None] * 5 + [result.trials[1].mean]
    assert (result.best, result.tied, result.fits_run, result.fits_failed, result.notes) == (1, (1,), 6, 1, ())
    [traceback] = folder.glob("trials/*.txt")
    assert traceback.name == "00000-0-1.traceback.txt"
    assert traceback.read_text().startswith("Traceback")
    assert "ArithmeticError: the second\nline" in traceback.read_text()
    assert math.isnan(result.trials[0].mean)
    *_, last = csv.DictReader((folder / "trials.csv").read_text().splitlines())
    columns = ("rank_test_score", "mean_test_score", "failed", "tied")
    assert [last[name] for name in columns] == ["2", "nan", "1", "false"]
    assert sweep_documents(read_sweep(folder)) == sweep_documents(result)


def test_a_failed_trial_does_not_survive_a_round_of_halving() -> None:
    config = override(over(0.5, 0.6, 0.65, strategy="halving", min_epochs=1), {"training.epochs": 3})
    result = run_tiny(config)
    assert [trial.params for trial in result.trials[3:]] == [{"model.dropout": 0.6, "training.epochs": 3}]


def test_with_fail_fast_the_first_failure_ends_the_sweep_and_is_stored(tmp_path: Path) -> None:
    said: list[FitDone] = []
    with pytest.raises(TrialsFailed, match=r"^trial 0, fold 2 failed: line$"):
        stored(over(0.5, 0.6, fail_fast=True), tmp_path, cache=TrialCache(tmp_path), watch=said.append)
    assert [event.what.partition(": ")[2][:8] for event in said] == ["accuracy", "failed: "]
    assert len(list(tmp_path.glob("*/trials/*.json"))) == 2
    assert TrialCache(tmp_path).size()[0] == 1
    assert run_tiny(over(0.0, fail_fast=True)).fits_run == 3


def test_if_all_trials_fail_the_first_error_is_named() -> None:
    with pytest.raises(TrialsFailed, match=r"^every trial failed; error of the first fit: line$"):
        run_tiny(over(0.5))


def test_a_divergence_is_reported_with_its_epoch() -> None:
    result, said = watched(over(0.7))
    assert [event.what for event in said] == [
        f"dropout 0.7, fold {fold.fold + 1}: accuracy {percent(fold.score)}, diverged in epoch 1"
        for fold in result.trials[0].folds
    ]


# What loses its worker


def dying(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Have the second fit end its worker, so many times."""
    deaths = iter(range(times))

    def fit_or_die(work: FoldFit) -> Fitted:
        if (work.trial, work.fold) == (0, 1) and next(deaths, None) is not None:
            raise RuntimeError("killed by signal 9")
        return fit_fold(work)

    monkeypatch.setattr(sweeping, "fit_fold", fit_or_die)


@pytest.mark.parametrize(("workers", "left"), [(1, "1 worker"), (2, "2 workers")])
def test_a_fit_that_lost_its_worker_is_retried_and_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: int, left: str
) -> None:
    monkeypatch.setattr("mnistexp.sweeps.executors.executors.Serial.workers", workers)
    dying(monkeypatch, 1)
    result, folder = stored(over(0.0), tmp_path)
    assert result.notes == (sweeping.LOST_WORKERS,)
    assert (result.fits_run, result.fits_failed) == (3, 0)
    [line] = (folder / "run.log").read_text().splitlines()
    assert line.partition(" ")[2] == f"trial 0, fold 2: killed by signal 9; will be retried with {left}"


@pytest.mark.parametrize("retries", [0, 2])
def test_a_fit_that_loses_every_worker_has_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, retries: int
) -> None:
    dying(monkeypatch, 1 + retries)
    result = run_tiny(over(0.0, 0.6, retries=retries), cache=TrialCache(tmp_path))
    [failed] = [fold for trial in result.trials for fold in trial.folds if fold.error]
    assert (failed.fold, failed.error) == (1, f"killed by signal 9 ({1 + retries} attempts)")
    assert (result.best, result.fits_run, result.fits_failed) == (1, 6, 1)
    assert result.notes == ((sweeping.LOST_WORKERS,) if retries else ())
    assert TrialCache(tmp_path).size()[0] == 5


def test_only_fits_of_workers_that_compute_as_this_process_does_are_cached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run_tiny(over(0.0), cache=TrialCache(tmp_path)).notes == ()
    monkeypatch.setattr(sweeping, "numerics", lambda: "of another processor")
    result = run_tiny(over(0.6), cache=TrialCache(tmp_path))
    assert result.notes == (sweeping.OTHER_WORKERS,)
    assert TrialCache(tmp_path).size()[0] == 3


# What a sweep starts


def test_workers_are_started_once_for_the_first_fit_to_do_and_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[Any] = []
    open_executor = sweeping.open_executor

    def opening(*arguments: Any) -> Any:
        opened.append(open_executor(*arguments))
        monkeypatch.setattr(opened[-1], "shutdown", lambda **_: opened.append("ended"))
        return opened[-1]

    monkeypatch.setattr(sweeping, "open_executor", opening)
    halving = override(over(0.0, 0.3, 0.6, strategy="halving", min_epochs=1), {"training.epochs": 3})
    run_tiny(halving, cache=TrialCache(tmp_path))
    assert opened[1:] == ["ended"]
    run_tiny(halving, cache=TrialCache(tmp_path))
    assert opened[2:] == []


# What a trial costs


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_trial_costs_its_parameters_and_their_states_in_every_epoch(name: str) -> None:
    config = override(tiny({}), {"optimizer.name": name, "training.epochs": 7})
    parameters = sum(layer.parameters for layer in layer_table(config.model))
    states = {"sgd": 0, "adam": 2}[name]
    assert sweeping.cost(config) == 7 * (parameters * 2 + parameters * states)


def test_the_cheapest_trial_is_chosen_among_those_trained_in_full() -> None:
    config = override(over(0.0, 0.05, 0.1, strategy="halving", min_epochs=1, select="cheapest"), {"training.epochs": 3})
    result = run_tiny(config)
    assert result.best == 3
    assert result.trials[3].params["training.epochs"] == 3
