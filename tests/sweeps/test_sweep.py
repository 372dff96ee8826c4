"""Sweeps: the same bytes wherever and however interrupted; every setting applied; failures kept apart."""

import csv
import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import is_alive
from sklearn.model_selection import StratifiedKFold
from tiny_sweep import GRID, run_tiny, tables, tiny

from mnistexp import data
from mnistexp.config.models import ExperimentConfig, SweepConfig
from mnistexp.config.optimizers import OPTIMIZERS, Adam
from mnistexp.config.settings import override, to_yaml
from mnistexp.data import Dataset
from mnistexp.errors import RunError
from mnistexp.runs.results import FitDone, FoldResult, History, SweepResult, TrialResult
from mnistexp.runs.run_folder import Run
from mnistexp.sweeps.fold_fits import FoldFit, fit_fold, receive
from mnistexp.sweeps.plan import plan_sweep
from mnistexp.sweeps.ranking import correct_matrix, ranked, ranks, trials_csv
from mnistexp.sweeps.sweep_files import read_sweep, sweep_documents
from mnistexp.sweeps.trial_cache import TrialCache

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def reference() -> SweepResult:
    """The tiny sweep, run in this process without a cache."""
    return run_tiny(tiny({}))


# Two worker processes, and one once the other was killed: test_kill_9 below; workers of Dask: test_tpe.
@pytest.mark.slow
@pytest.mark.parametrize(("executor", "workers"), [("processes", 3), ("dask", 2)])
def test_every_executor_and_number_of_workers_gives_the_same_bytes(
    executor: str, workers: int, reference: SweepResult
) -> None:
    assert tables(run_tiny(tiny({"executor": executor, "workers": workers}))) == tables(reference)


def test_trials_dont_depend_on_their_neighbours_or_place(reference: SweepResult) -> None:
    backwards = {key: values[::-1] for key, values in GRID.items()}
    other = run_tiny(tiny({"grid": {**backwards, "optimizer.beta_1": [0.9]}}))
    for trial in other.trials:
        [same] = [known for known in reference.trials if known.params == trial.params]
        assert same.index != trial.index
        assert [fold.history for fold in same.folds] == [fold.history for fold in trial.folds]
        for fold, known in zip(trial.folds, same.folds, strict=True):
            assert fold.probabilities.tobytes() == known.probabilities.tobytes()


def test_widening_a_grid_trains_only_what_is_new(tmp_path: Path, reference: SweepResult) -> None:
    narrow = tiny({"grid": {**GRID, "optimizer.beta_1": [0.5]}})
    first = run_tiny(narrow, cache=TrialCache(tmp_path))
    assert (first.fits_run, first.fits_cached) == (6, 0)
    wide = run_tiny(tiny({}), cache=TrialCache(tmp_path))
    assert (wide.fits_run, wide.fits_cached) == (6, 6)
    assert tables(wide) == tables(reference)


def test_a_dropout_sweep_reuses_the_row_without_dropout_of_an_optimizer_sweep(tmp_path: Path) -> None:
    plain = tiny({}).model.model_copy(update={"dropout": 0.0})
    rates = {"optimizer.name": ["adam"], "optimizer.learning_rate": [0.01]}
    run_tiny(tiny({"grid": rates}, model=plain), cache=TrialCache(tmp_path))
    adam = Adam(name="adam", learning_rate=0.01)
    dropout = tiny({"grid": {"model.dropout": [0.0, 0.3]}}, model=plain, optimizer=adam)
    found = run_tiny(dropout, cache=TrialCache(tmp_path))
    assert [[fold.cached for fold in trial.folds] for trial in found.trials] == [[True] * 3, [False] * 3]


def test_a_damaged_entry_is_trained_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config, cache = tiny({"grid": {}}), TrialCache(tmp_path)
    first = run_tiny(config, cache=cache)
    next(cache.folder.rglob("*.fit")).write_bytes(b"rubbish")
    again = run_tiny(config, cache=cache)
    assert (again.fits_run, again.fits_cached) == (1, 2)
    assert tables(again) == tables(first)
    assert "damaged" in caplog.text
    assert run_tiny(config, cache=cache).fits_run == 0


def program(runs_dir: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, TESTS / "tiny_sweep.py", runs_dir]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def entries(runs_dir: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (runs_dir / ".cache").rglob("[!.]*.fit")}


def wait_for_fits(running: subprocess.Popen[bytes], runs_dir: Path, fits: int) -> None:
    """Return once so many are stored; the program waits for a line after each."""
    while len(entries(runs_dir)) < fits:
        assert running.poll() is None
        time.sleep(0.005)


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def workers_of(process: int) -> list[int]:
    """The processes that do fits: forked by the one that has TensorFlow loaded."""
    servers = [child for child in children_of(process) if b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return [worker for server in servers for worker in children_of(server)]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_kill_9_of_parents_and_workers_loses_no_finished_fit(tmp_path: Path, reference: SweepResult) -> None:
    killed = program(tmp_path)
    wait_for_fits(killed, tmp_path, 1)
    first, second = workers_of(killed.pid)
    assert "libtensorflow" in Path(f"/proc/{first}/maps").read_text()
    assert "libtensorflow" not in Path(f"/proc/{killed.pid}/maps").read_text()
    os.kill(first, signal.SIGKILL)
    assert killed.stdin
    killed.stdin.write(b"\n\n")
    killed.stdin.flush()
    wait_for_fits(killed, tmp_path, 3)  # of which one may have been under way at the other worker
    killed.kill()
    killed.communicate()
    while is_alive(second):
        time.sleep(0.05)
    finished = entries(tmp_path)
    resumed, again = (run_tiny(tiny({}), cache=TrialCache(tmp_path)) for _ in range(2))
    assert (resumed.fits_run, resumed.fits_cached) == (12 - len(finished), len(finished))
    assert (again.fits_run, again.fits_cached) == (0, 12)
    assert finished.items() <= entries(tmp_path).items()
    assert tables(resumed) == tables(again) == tables(reference)


def fold_fit(config: ExperimentConfig) -> FoldResult:
    """One fold of a configuration, fitted here."""
    part = Dataset.load(config).training
    receive("here", part, data.folds(part[1], SweepConfig(), 0))
    fitted = fit_fold(FoldFit(0, config, "here", part=0, fold=0, repeat=0, seed_repeat=0, key=""))
    assert fitted.traceback is None, fitted.traceback
    return fitted.result


SWEPT = [
    ("model.filters", (4, 8), (8, 4)),
    ("model.kernel_size", 3, 5),
    ("model.dense_units", 16, 9),
    ("model.dropout", 0.2, 0.6),
    ("training.epochs", 1, 2),
    ("training.batch_size", 16, 32),
    ("training.shuffle", True, False),
    *(
        (f"optimizer.{key}", values[0], values[1], name)
        for name in ("adam", "nadam", "adadelta", "nesterov", "adamw")
        for key, values in OPTIMIZERS[name].grid.items()
    ),
]

OTHER_SHAPES = {"model.filters", "model.dense_units", "training.batch_size"}
"""Swept with 5x5 kernels: with 3x3, each shape is compiled as one step, for three seconds."""


@pytest.mark.parametrize("swept", SWEPT, ids=lambda swept: f"{swept[0]}-{swept[3]}" if len(swept) > 3 else swept[0])
def test_each_swept_key_changes_the_result(swept: Any) -> None:
    key, low, high, *name = swept
    fixed = {"optimizer.name": name[0], "model.kind": "logistic"} if name else {}  # little to compile
    if key in OTHER_SHAPES:
        fixed["model.kernel_size"] = 5
    base = override(tiny({}, epochs=1), fixed)
    results = [fold_fit(override(base, {key: value})) for value in (low, high)]
    assert results[0].probabilities.tobytes() != results[1].probabilities.tobytes()


def test_rows_as_submitted_dont_depend_on_their_values_and_differ_by_seed() -> None:
    def rows(rates: list[float]) -> SweepResult:
        grid = {"optimizer.name": ["adam"], "optimizer.learning_rate": rates, "model.dropout": [0.5]}
        return run_tiny(tiny({"grid": grid, "as_submitted": True}, epochs=1))

    one, other = rows([0.01, 0.1]), rows([0.5, 1.0])
    bits = [[fold.probabilities.tobytes() for fold in trial.folds] for trial in one.trials]
    assert bits == [[fold.probabilities.tobytes() for fold in trial.folds] for trial in other.trials]
    assert bits[0] != bits[1]
    assert [trial.params["optimizer.learning_rate"] for trial in other.trials] == [0.5, 1.0]


BLOWS_UP = {
    "optimizer.name": ["adamw"],
    "optimizer.weight_decay": [0.9],
    "optimizer.learning_rate": [0.01, 1000.0],  # the second multiplies every parameter by -899 in each step
}


def test_a_diverged_trial_is_scored_by_its_predictions_and_marked() -> None:
    said: list[FitDone] = []
    result = run_tiny(tiny({"grid": BLOWS_UP}), watch=said.append)
    wild = result.trials[1]
    assert [fold.diverged_at for fold in wild.folds] == [1, 1, 1]
    assert not wild.failed
    for fold in wild.folds:
        assert fold.score == (fold.probabilities.argmax(axis=1) == result.labels[fold.rows]).mean()
        assert math.isnan(fold.history.loss[-1])
    assert "diverged in epoch 1" in said[-1].what
    assert [row["diverged"] for row in table(result) if row["trial"] == "1"] == ["3"]


def table(result: SweepResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(trials_csv(result))))


def test_ctrl_c_in_the_middle_of_a_fit_ends_the_sweep_and_keeps_what_is_finished(tmp_path: Path) -> None:
    endless = tiny({"grid": {"training.epochs": [1, 100_000]}})
    third_fit = iter(range(3))

    def interrupt_soon(_: FitDone) -> None:
        if next(third_fit) == 2:
            threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()

    with pytest.raises(KeyboardInterrupt):
        run_tiny(endless, cache=TrialCache(tmp_path), watch=interrupt_soon)
    assert TrialCache(tmp_path).size()[0] == 3


def same(one: SweepResult, other: SweepResult) -> bool:
    """Whether two sweeps agree in all but whether fits came from the cache."""
    return sweep_documents(one) == sweep_documents(other) and repr(histories(one)) == repr(histories(other))


def histories(sweep: SweepResult) -> list[Any]:
    return [
        (fold.history, fold.seconds, fold.error, fold.diverged_at) for trial in sweep.trials for fold in trial.folds
    ]


def test_a_sweep_reads_back_from_its_folder(tmp_path: Path) -> None:
    grid = {"model.filters": [[4, 8], [8, 4]], **BLOWS_UP}
    config = tiny({"grid": grid}, repeats=2)
    with Run.create(tmp_path, "sweep", "tiny", to_yaml(config), visible=True) as run:
        result = run_tiny(config, run=run)
    assert len(list((run.path / "trials").iterdir())) == 4 * 2 * 3
    found = read_sweep(run.path)
    assert same(found, result)
    assert found.trials[0].params["model.filters"] == (4, 8)
    assert found.trials[1].folds[0].diverged_at == 1
    damaged = run.path / "trials" / "00002-1-0.json"
    fit = json.loads(damaged.read_text())
    for content in ("{", "[]", *(json.dumps(fit | {key: [["x"]]}) for key in fit if key != "schema_version")):
        damaged.write_text(content)
        with pytest.raises(RunError, match="00002-1-0"):
            read_sweep(run.path)
    damaged.write_text(json.dumps(fit))
    (run.path / "sweep.json").write_text((run.path / "sweep.json").read_text().replace('"best": ', '"best": 9'))
    with pytest.raises(RunError, match=r"sweep.json is damaged: names trial 9\d?, which has no fit"):
        read_sweep(run.path)


def test_repeats_have_their_own_seeds_and_shuffled_folds() -> None:
    config = tiny({"grid": {}, "shuffle_folds": True, "stratified": True}, repeats=2, epochs=1)
    [trial] = run_tiny(config).trials
    assert [(fold.repeat, fold.fold) for fold in trial.folds] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    _, labels = Dataset.load(config).training
    theirs = StratifiedKFold(3, shuffle=True, random_state=config.seed).split(labels, labels)
    assert [fold.rows.tolist() for fold in trial.folds[:3]] == [held.tolist() for _, held in theirs]
    assert sorted(row for fold in trial.folds[3:] for row in fold.rows) == list(range(160))
    assert trial.folds[0].rows.tolist() != trial.folds[3].rows.tolist()
    unshuffled = run_tiny(tiny({"grid": {}}, repeats=2, epochs=1)).trials[0]
    assert unshuffled.folds[0].rows.tolist() == unshuffled.folds[3].rows.tolist()
    assert unshuffled.folds[0].probabilities.tobytes() != unshuffled.folds[3].probabilities.tobytes()


def test_halving_chooses_among_those_trained_in_full() -> None:
    grid = {"optimizer.name": ["adam"], "optimizer.learning_rate": [0.0001, 0.01, 1.0]}
    config = tiny({"grid": grid, "strategy": "halving", "min_epochs": 1}, epochs=3)
    result = run_tiny(config)
    assert [trial.params["training.epochs"] for trial in result.trials] == [1, 1, 1, 3]
    best = max(result.trials[:3], key=lambda trial: trial.mean)
    assert result.best == 3
    assert result.tied == (3,)
    assert result.trials[3].params == {**best.params, "training.epochs": 3}


def test_tpe_gives_the_same_bytes_whatever_its_workers(cluster: Any) -> None:
    space = {"optimizer.learning_rate": {"low": 1e-4, "high": 0.1, "log": True}}
    sweep = {"grid": {"optimizer.name": ["adam"]}, "random": space, "strategy": "tpe", "samples": 14, "generation": 7}
    alone = tiny(sweep, epochs=1)
    together = override(alone, {"sweep.executor": "dask", "sweep.scheduler": cluster.scheduler_address})
    assert tables(run_tiny(alone)) == tables(run_tiny(together))


def test_the_plan_counts_the_fits_to_run(tmp_path: Path) -> None:
    config, cache = tiny({}), TrialCache(tmp_path)
    dataset = Dataset.load(config)
    before = plan_sweep(dataset, cache)
    assert (len(before.rows), before.fits, before.cached, before.to_run, before.seconds) == (4, 12, 0, 12, None)
    run_tiny(tiny({"grid": {**GRID, "optimizer.beta_1": [0.9]}}), cache=cache)
    half = plan_sweep(dataset, cache)
    assert (half.fits, half.cached, half.to_run) == (12, 6, 6)
    assert [trial.cached for trial in half.rows] == [0, 0, 3, 3]
    assert half.seconds is not None
    assert half.seconds > 0
    done = run_tiny(config, cache=cache)
    assert (done.fits_run, done.fits_cached) == (6, 6)
    after = plan_sweep(dataset, cache)
    assert (after.fits, after.cached, after.seconds) == (12, 12, 0.0)
    halving = override(config, {"sweep.strategy": "halving", "sweep.min_epochs": 1, "sweep.factor": 2})
    assert plan_sweep(dataset.under(halving), cache).fits == (4 + 2) * 3


def made_up(scores: list[float], index: int = 0, digits: int = 10) -> TrialResult:
    """A trial with these scores on folds of ten digits, all of them labelled 0."""
    folds = []
    for number, score in enumerate(scores):
        right = 0 if math.isnan(score) else round(score * digits)
        rows = np.arange(0 if math.isnan(score) else digits) + number * digits
        probabilities = np.eye(10, dtype=np.float32)[np.arange(len(rows)) >= right].astype(np.float32)
        probabilities = np.eye(10, dtype=np.float32)[(np.arange(len(rows)) >= right).astype(int)]
        error = "it failed" if math.isnan(score) else None
        folds.append(FoldResult(number, 0, score, History((), ()), rows, probabilities, error=error))
    return TrialResult(index, {"model.dropout": index / 10}, tuple(folds))


def test_equal_means_share_the_best_rank_and_failures_come_last() -> None:
    trials = [
        made_up(scores, index)
        for index, scores in enumerate([[0.2, 0.4], [0.9, 0.9], [math.nan, 1.0], [0.4, 0.2], [0.9, 0.9]])
    ]
    assert ranks(trials) == [3, 1, 5, 3, 1]
    sweep = SweepResult(tuple(trials), np.zeros(20, np.int64), best=1)
    assert [(rank, trial.index) for rank, trial in ranked(sweep)] == [(1, 1), (1, 4), (3, 0), (3, 3), (5, 2)]
    right = correct_matrix(trials, sweep.labels)
    assert right.shape == (5, 1, 20)
    assert right.mean(axis=(1, 2)).tolist() == pytest.approx([0.3, 0.9, 0.5, 0.3, 0.9])


def test_the_table_has_the_fields_of_scikit_learn_and_exact_numbers() -> None:
    trials = (made_up([0.2, 0.5], 0), replace(made_up([0.9, 0.7], 1), params={"model.filters": (2, 4)}))
    rows = table(SweepResult(trials, np.zeros(20, np.int64), best=1, tied=(1,)))
    assert list(rows[0]) == [
        "rank_test_score", "trial", "param_model.dropout", "param_model.filters", "split0_test_score",
        "split1_test_score", "mean_test_score", "std_test_score", "sem_test_score", "diverged", "failed", "tied",
        "selected",
    ]  # fmt: skip
    assert [row["trial"] for row in rows] == ["1", "0"]
    assert (rows[0]["param_model.dropout"], rows[0]["param_model.filters"]) == ("", "[2, 4]")
    assert float(rows[1]["std_test_score"]) == np.std([0.2, 0.5])
    assert float(rows[1]["sem_test_score"]) == np.std([0.2, 0.5], ddof=1) / 2**0.5
    assert [row["selected"] for row in rows] == ["true", "false"]


@pytest.mark.parametrize(("rule", "epochs"), [("best", 3), ("cheapest", 1), ("one-se", 1)])
def test_the_requested_selection_rule_is_applied(rule: str, epochs: int) -> None:
    grid = {"training.epochs": [1, 2, 3], "optimizer.name": ["sgd"], "optimizer.learning_rate": [1e-6]}
    result = run_tiny(tiny({"grid": grid, "select": rule}))
    assert set(result.tied) == {0, 1, 2}
    chosen = result.trials[result.best].params["training.epochs"]
    if rule == "best":
        assert result.trials[result.best].mean == max(trial.mean for trial in result.trials)
    else:
        assert chosen == epochs


def test_settings_that_say_where_to_run_are_no_part_of_the_result() -> None:
    assert SweepConfig().executor == "processes"
    serial = run_tiny(tiny({"grid": {}, "retries": 0, "cache": False}))
    assert tables(serial) == tables(run_tiny(tiny({"grid": {}, "retries": 9, "workers": 3})))
