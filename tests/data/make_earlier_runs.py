"""Makes `earlier-runs.tar.xz`: what an earlier version left behind, which later ones must read, resume and reuse.

    PYTHONPATH=CHECKOUT:CHECKOUT/tests python tests/data/make_earlier_runs.py earlier-runs.tar.xz

writes it with the code of CHECKOUT, which must be the version whose work is to be kept. Figures are left out, for size.
"""

import contextlib
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

SMALL = {"data.digits": 120, "model.filters": [2, 4], "model.dense_units": 8, "training.batch_size": 24}
TRAIN = {**SMALL, "training.epochs": 4}
REPEATS = {**SMALL, "training.epochs": 3, "training.validation_fraction": 0.2, "repeats": 3}
INTERRUPTED = {**SMALL, "training.epochs": 5}
GRID = {"optimizer.name": ["adam"], "optimizer.learning_rate": [0.001, 0.01]}
SWEPT = {**SMALL, "training.epochs": 2, "sweep.folds": 2, "sweep.executor": "serial", "optimizer.name": "adam"}
SWEEP = SWEPT | {"sweep.grid": GRID}
BEST = SWEPT | {"sweep.grid": [GRID, {"model.dropout": [0.0, 0.3]}]}
TAG, NOTE = "kept", "made by an earlier version"


def make(runs: Path) -> None:
    """The runs folder, and beside it an archive of one of its runs."""
    from programs import call

    from mnistexp import api
    from mnistexp.commands.assignment.assignment import QUICK
    from mnistexp.commands.assignment.story import run_reproduce
    from mnistexp.commands.train import run_training
    from mnistexp.errors import Interrupted
    from mnistexp.runs.results import EpochDone

    def stop(event: Any) -> None:
        if isinstance(event, EpochDone) and event.epoch == 3:
            raise KeyboardInterrupt

    first = api.train("train", TRAIN, runs_dir=runs)
    api.train("train", REPEATS, runs_dir=runs)
    api.sweep("sweep-optimizer", SWEEP, runs_dir=runs)
    api.best("best", BEST, runs_dir=runs)
    size = replace(QUICK, short=1, long=2, epochs=1, final_repeats=1, curve_seeds=2, row_seeds=2, values=None)
    run_reproduce(api.configure("best", BEST | {"training.epochs": 1}), runs / "reproduce", size)
    with contextlib.suppress(Interrupted, KeyboardInterrupt):
        run_training(api.configure("train", INTERRUPTED), runs, stop)
    for command in (
        ("tag", first.run_dir.name, "--add", TAG),
        ("note", first.run_dir.name, NOTE),
        ("export", first.run_dir.name, "--format", "zip", "-o", runs.parent / "exported.zip"),
    ):
        done = call("runs", *command, "--runs-dir", runs, cwd=runs.parent)
        assert done.returncode == 0, done.stderr


def main(archive: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "runs"
        make(made)
        for path in (*Path(folder).rglob("*.png"), *Path(folder).rglob("*.svg")):
            path.unlink()
        with tarfile.open(archive, "w:xz") as tar:
            for name in ("runs", "exported.zip"):
                tar.add(Path(folder) / name, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
