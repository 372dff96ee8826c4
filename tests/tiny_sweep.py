"""A sweep that is small enough for tests; as a program, one that can be killed.

    python tiny_sweep.py RUNS_DIR

runs it with two worker processes and keeps its fits in the cache of RUNS_DIR. After each fit it waits for a line of
input, so that it is never further than the test that kills it.
"""

import sys
from pathlib import Path
from typing import Any

from mnistexp.config.models import DataConfig, ExperimentConfig, ModelConfig, SweepConfig, TrainingConfig
from mnistexp.data import Dataset
from mnistexp.runs.results import SweepResult
from mnistexp.sweeps.sweep_files import sweep_documents
from mnistexp.sweeps.sweeping import fit_and_rank
from mnistexp.sweeps.trial_cache import TrialCache

GRID = {"optimizer.name": ["adam"], "optimizer.learning_rate": [0.001, 0.01], "optimizer.beta_1": [0.5, 0.9]}
"""12 fits on 3 folds."""


def tiny(sweep: dict[str, Any], epochs: int = 2, **changes: Any) -> ExperimentConfig:
    """160 digits to learn from, the small network, 2 epochs; serial unless the sweep says otherwise."""
    settings: dict[str, Any] = {
        "data": DataConfig(digits=200),
        "model": ModelConfig(filters=(4, 8), dense_units=16, dropout=0.25),
        "training": TrainingConfig(epochs=epochs, batch_size=16),
        "sweep": SweepConfig(**{"executor": "serial", "grid": GRID} | sweep),
    }
    return ExperimentConfig(**settings | changes)


def run_tiny(config: ExperimentConfig, **options: Any) -> SweepResult:
    return fit_and_rank(Dataset.load(config), **options)


def tables(sweep: SweepResult) -> tuple[bytes, bytes]:
    """The bytes of `trials.csv` and of `predictions.npz`."""
    documents = sweep_documents(sweep)
    return str(documents["trials.csv"]).encode(), bytes(documents["predictions.npz"])  # type: ignore[arg-type]


if __name__ == "__main__":
    two_workers, cache = tiny({"executor": "processes", "workers": 2}), TrialCache(Path(sys.argv[1]))
    run_tiny(two_workers, cache=cache, watch=lambda _: sys.stdin.readline())
