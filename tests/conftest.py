"""Fixtures shared by the tests."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mnistexp import api, examples


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Dask cluster that runs already: two workers of one thread each, in this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as running:
        yield running


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of real runs, by kind: a small training, two repeats of it, a sweep, examples and a summary."""
    runs = tmp_path_factory.mktemp("finished runs")
    short = {"training.epochs": 4, "training.validation_fraction": 0.2}
    grid = {"sweep.grid": {"model.dropout": [0.0, 0.5], "optimizer.beta_1": [0.5, 0.9]}}
    sweep = {**grid, "training.epochs": 2, "sweep.folds": 2, "sweep.executor": "serial", "sweep.cache": False}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # raised within Keras
        return {
            "train": api.train("train", {"training.epochs": 5}, runs_dir=runs).run_dir,
            "repeats": api.train("train", {**short, "repeats": 2}, runs_dir=runs).run_dir,
            "sweep": api.sweep("sweep-dropout", sweep, runs_dir=runs).run_dir,
            "show-examples": examples.run_examples(api.configure(), runs).run_dir,
            "summary": examples.run_summary(api.configure(), runs).run_dir,
        }
