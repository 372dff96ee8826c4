"""Sweeps as their users start them."""

import io
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from programs import call, forked
from rich.console import Console
from small import NETWORK, options

from mnistexp.cli import console_report
from mnistexp.runs.results import Outcome

SMALL = [*options({**NETWORK, "data.digits": 60}), "--epochs", "1"]
SWEEP = ["sweep-optimizer", "--opt", "adam", "--grid", "learning_rate=0.001,0.01", *SMALL, "--json"]
WITHOUT_TENSORFLOW = """
import sys
from mnistexp.cli.app import main
sys.argv[1:] = {arguments}
try:
    main()
except SystemExit as stop:
    assert 'tensorflow' not in sys.modules, 'TensorFlow was loaded'
    raise
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with a sweep in its `runs/`, and what the sweep printed."""
    folder = tmp_path_factory.mktemp("swept")
    done = subprocess.run(forked(*SWEEP), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_a_sweep_prints_the_best_trial_and_stores_everything(swept: tuple[Path, dict[str, Any]]) -> None:
    folder, document = swept
    metrics = document["metrics"]
    assert (metrics["trials"], metrics["fits_run"], metrics["fits_cached"], metrics["fits_failed"]) == (2, 6, 0, 0)
    assert metrics["best_params"]["optimizer.name"] == "adam"
    assert metrics["best_score"] == max(row["mean"] for row in metrics["ranking"])
    run = folder / document["run_dir"]
    for name in ("config.yaml", "metrics.json", "trials.csv", "predictions.npz", "marginals.png", "marginals.svg"):
        assert (run / name).exists(), name
    assert len(list((run / "trials").glob("*.json"))) == 6


def test_a_second_call_does_no_fit_and_loads_no_tensorflow(swept: tuple[Path, dict[str, Any]]) -> None:
    folder, document = swept
    code = WITHOUT_TENSORFLOW.format(arguments=SWEEP)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert (again["metrics"]["fits_run"], again["metrics"]["fits_cached"]) == (0, 6)
    first, second = folder / document["run_dir"], folder / again["run_dir"]
    for path in (*first.glob("*.png"), *first.glob("*.svg"), first / "trials.csv", first / "predictions.npz"):
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_a_sweep_that_reaches_its_time_limit_has_results_and_the_same_command_continues(
    swept: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    shutil.copytree(swept[0], tmp_path, dirs_exist_ok=True)
    wider = [*SWEEP[:4], "learning_rate=0.001,0.01,0.1", *SMALL, "--json", "--executor", "serial"]
    for limit, complete, missing, status in ((["--max-time", "0.001"], 2, 2, "interrupted"), ([], 3, 0, "done")):
        done = subprocess.run(forked(*wider, *limit), cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        metrics, run = document["metrics"], tmp_path / document["run_dir"]
        assert (metrics["trials"], metrics["trials_missing"]) == (complete, 3 - complete)
        assert metrics["fits_missing"] == missing
        assert any("time limit" in warning for warning in metrics["warnings"]) == bool(missing)
        stored = json.loads((run / "status.json").read_text())
        assert (stored["status"], stored["exit_code"]) == (status, 0)
        page = call("report", run, "--format", "md", cwd=tmp_path)
        assert page.returncode == 0, page.stderr
        assert ("time limit" in (run / "report.md").read_text()) == bool(missing)


def test_a_time_limit_before_any_trial_is_complete_fails_and_says_what_is_kept(tmp_path: Path) -> None:
    words = forked(*SWEEP, "--max-time", "0.001", "--executor", "serial")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == json.loads(done.stdout)["exit_code"] == 1
    assert "before any trial was complete; 1 of 6 fits are kept: run the same command again" in done.stderr
    [status] = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/status.json")]
    assert (status["status"], status["exit_code"]) == ("interrupted", 1)


def test_a_dry_run_counts_the_cached_fits_and_writes_nothing(swept: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = swept
    before = sorted(folder.rglob("*"))
    done = call(*SWEEP, "--grid", "beta_1=0.5,0.9", "--dry-run", cwd=folder)
    document = json.loads(done.stdout)
    assert (document["trials"], document["fits"], document["fits_cached"], document["fits_to_run"]) == (4, 12, 6, 6)
    assert sorted(folder.rglob("*")) == before


def test_the_default_grids_are_those_of_the_assignment(tmp_path: Path) -> None:
    for arguments, trials in (
        (["sweep-optimizer"], 36),
        (["sweep-optimizer", "--opt", "nadam"], 36),
        (["sweep-optimizer", "--opt", "adadelta"], 16),
        (["sweep-optimizer", "--opt", "adam", "--opt", "nadam", "--opt", "adadelta"], 88),
        (["sweep-optimizer", "--opt", "Adam,nadam", "--opt", "ADADELTA"], 88),
        (["sweep-dropout"], 5),
        (["sweep-optimizer", "--grid", "learning_rate=[0.1,0.2]", "--grid", "filters=[2,2],[4,4]"], 4),
        (["sweep-optimizer", "--grid", "filters=[2,2]", "--grid", "optimizer=adam,sgd"], 2),
    ):
        document = json.loads(call(*arguments, "--dry-run", "--json", cwd=tmp_path).stdout)
        assert (document["trials"], document["fits"]) == (trials, 3 * trials)


@pytest.mark.parametrize(("optimizers", "trials"), [("adam", 4), ("adam,nadam", 8)])
def test_an_optimizer_given_for_a_random_search_adds_no_grid(optimizers: str, trials: int, tmp_path: Path) -> None:
    space = "optimizer.learning_rate: {low: 0.001, high: 1, log: true}\n    optimizer.beta_1: [0.5, 0.9]"
    (tmp_path / "mine.yaml").write_text(f"sweep:\n  grid: {{}}\n  random:\n    {space}\n  samples: 4\n")
    done = call("sweep-optimizer", "--config", "mine.yaml", "--opt", optimizers, "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["trials"] == trials


def test_the_cache_reports_its_fits_and_removes_them(swept: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    shutil.copytree(swept[0], tmp_path, dirs_exist_ok=True)
    assert json.loads(call("cache", "info", "--json", cwd=tmp_path).stdout)["fits"] == 6
    assert call("cache", "prune", "--older-than", "soon", cwd=tmp_path).returncode == 2
    assert json.loads(call("cache", "prune", "--older-than", "1d", "--json", cwd=tmp_path).stdout)["fits_removed"] == 0
    assert json.loads(call("cache", "prune", "--json", cwd=tmp_path).stdout)["fits_removed"] == 6


def test_a_failed_trial_has_no_score_in_the_table() -> None:
    whole = {"params": {"x": 1}, "tied": False, "diverged": False}
    rows = [
        {**whole, "rank": 1, "mean": 0.5, "std": 0.1, "scores": [0.4, 0.6], "error": None},
        {**whole, "rank": 2, "mean": math.nan, "std": math.nan, "scores": [0.4, math.nan], "error": "it broke"},
        {**whole, "rank": 2, "mean": None, "std": None, "scores": [None, None], "error": "it broke"},
    ]
    rows = [{"trial": trial, **row} for trial, row in enumerate(rows)]
    counts = {"tied": [0], "fits_run": 6, "fits_cached": 0, "fits_failed": 3, "warnings": [], "folds": 2, "epochs": 1}
    best = {"best_params": {"x": 1}, "best_score": 0.5, "best_standard_error": 0.1, "select": "best"}
    outcome = Outcome(Path("run"), {"command": "sweep-optimizer", "ranking": rows, **best, **counts})
    terminal = Console(file=io.StringIO(), width=200)
    for part in console_report.answer(outcome):
        terminal.print(part)
    assert isinstance(terminal.file, io.StringIO)
    words = terminal.file.getvalue().split()
    assert words.count("failed:") == 2
    assert not {"nan", "None"} & set(words)
