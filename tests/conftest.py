"""Fixtures shared by the tests. The process that only hands tests to workers reads this too: it loads little."""

import fcntl
import gc
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import programs
import pytest
import typer.main
from hypothesis import HealthCheck, settings

# Loading libraries and collecting tests makes a million objects that stay: looking for garbage among them takes longer.
gc.disable()

# The fault battery takes long: `make faults` names its folder.
collect_ignore = ["faults"]

# A law holds for an example however long a busy machine takes over it.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# Built once for all calls of a process, most of which take less time than that.
typer.main.get_command = cache(typer.main.get_command)

# What tests start must not depend on how they were started: a script's `&` has SIGINT ignored, `nohup` has SIGHUP.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number is signal.SIGINT else signal.SIG_DFL)

# No test waits for a disk: what is flushed, and when, `runs/test_files.py` sees in a program of its own.
os.fsync = lambda _: None
LONGEST = (
    "docs", "training", "sweep", "report", "whole_processes", "train", "executors", "best", "statistics_coverage",
    "contents", "report_browser", "estimator", "server", "figures", "cli_sweeps", "cli", "own_digits", "reproduce",
)  # fmt: skip
"""Files of tests that take two thirds of the time, the longest first, so that no worker is left alone at the end."""


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Folders of this run, within pytest's own, which removes those of a run that was killed."""
    base = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # where no fixture is yet

    def folder(name: str) -> str:
        made = tempfile.TemporaryDirectory(prefix=f"{name}-", dir=base, ignore_cleanup_errors=True)
        config.add_cleanup(made.cleanup)
        return made.name

    # What one process compiled, the others of this run load. TensorFlow then complains of each file that it is no text.
    # `programs.untouched` are the variables without these three.
    if "TF_XLA_FLAGS" not in os.environ:
        os.environ["COMPILED"] = folder("compiled")
        os.environ["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={os.environ['COMPILED']}"
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Programs that are started without these two keep kernels in a folder of this run too, not in the user's own.
    os.environ["MNISTEXP_CACHE_DIR"] = folder("cache")
    # Where `programs.forks` puts the program that all processes of this run share.
    if "FORKS" not in os.environ:
        os.environ["FORKS"] = folder("forks")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from chromium import NO_BROWSER

    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    if count := sum(NO_BROWSER in reason for reason in skipped):
        terminalreporter.write_line(f"{count} tests of pages in a browser were skipped: {NO_BROWSER}", yellow=True)


@pytest.fixture(scope="session", autouse=True)
def what_one_process_traced_the_others_load() -> None:
    programs.share_graphs()


@pytest.fixture(name="undrawn")
def without_figures() -> Iterator[None]:
    """For tests that don't look at the figures of their runs."""
    from small import undrawn

    with undrawn():
        yield


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What is left beside the kernels for later processes."""
    from mnistexp.training import kernels

    left: dict[str, bytes] = {}
    monkeypatch.setattr(kernels, "beside", left.get)
    monkeypatch.setattr(kernels, "leave_beside", left.__setitem__)
    return left


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Dask cluster that runs already: two workers of one thread each, in this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as running:
        yield running


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The folders of real runs, small ones, by kind. Made once for all workers of pytest-xdist, copied for each.

    Tests that tag a run, change it otherwise or add one work on a copy: the next test may be any.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished once"
    shared.mkdir(exist_ok=True)
    names = shared / "names.json"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not names.exists():
            made = {kind: folder.name for kind, folder in _finish(shared / "runs").items()}
            names.write_text(json.dumps(made))
    runs = tmp_path_factory.mktemp("finished runs")
    shutil.copytree(shared / "runs", runs, dirs_exist_ok=True)
    yield {kind: runs / name for kind, name in json.loads(names.read_text()).items()}
    assert not list(runs.rglob("annotations.json")), "a test has tagged runs that others share"
    added = {path.name for path in runs.glob("[!.]*")} - {path.name for path in (shared / "runs").glob("[!.]*")}
    assert not added, "a test has added runs to those that others share"


def _finish(runs: Path) -> dict[str, Path]:
    from small import NETWORK

    from mnistexp import api
    from mnistexp.commands import examples

    small = {**NETWORK, "data.digits": 200}
    held_out = {"training.epochs": 4, "training.validation_fraction": 0.2, "repeats": 2}
    grid = {"model.dropout": [0.0, 0.5], "optimizer.beta_1": [0.5, 0.9]}
    grids = [{"optimizer.name": ["adam", "nadam"]}, {"model.dropout": [0.0, 0.5]}]
    sweep = {**small, "training.epochs": 2, "sweep.folds": 2, "sweep.executor": "serial", "sweep.cache": False}
    outcomes = {
        "train": api.train("train", {**small, "training.epochs": 5}, runs_dir=runs),
        "repeats": api.train("train", small | held_out, runs_dir=runs),
        "best": api.best("best", sweep | {"sweep.grid": grids}, unseen=True, runs_dir=runs),
        "sweep": api.sweep("sweep-dropout", sweep | {"sweep.grid": grid}, runs_dir=runs),
        "show-examples": examples.run_examples(api.configure(), runs),
        "summary": examples.run_summary(api.configure(), runs),
    }
    return {kind: outcome.run_dir for kind, outcome in outcomes.items()}
