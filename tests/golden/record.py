"""Makes `runs.tar.xz`: a run of every kind, as this version stores them, from which the golden files are drawn.

    PYTHONPATH=.:tests python tests/golden/record.py

The trainings are real, of few digits. Once recorded, their numbers are the same for every processor and library, so a
golden file changes only where the text does. Record again only if the text needs a key that these runs lack.
"""

import contextlib
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ARCHIVE = HERE / "runs.tar.xz"
JUDGED = "judged.npz"
"""Beside the runs: the probabilities of all 1,000 digits by the network of `train`, for its evaluation."""
SMALL = {"data.digits": 300, "model.filters": [4, 8], "model.dense_units": 16, "training.batch_size": 20}
ADAM = {**SMALL, "optimizer.name": "adam", "optimizer.learning_rate": 0.01}
GRID = [
    {"optimizer.name": ["adam"], "optimizer.learning_rate": [0.001, 0.01], "optimizer.beta_1": [0.5, 0.9]},
    {"model.dropout": [0.0, 0.2, 0.4]},
]
CHOSEN = {**ADAM, "training.epochs": 8, "sweep.executor": "serial", "sweep.cache": False, "sweep.grid": GRID}
NAMED = {"examples.png", "mistakes.png", "model.keras"}
"""Files that texts name or count without reading them: they are left empty, but for the model of `train`."""


def record(runs: Path) -> None:
    from mnistexp import api
    from mnistexp.commands import examples
    from mnistexp.commands.assignment.assignment import QUICK
    from mnistexp.commands.assignment.story import run_reproduce
    from mnistexp.commands.evaluate.story import evaluate
    from mnistexp.commands.train import run_training
    from mnistexp.data import packaged
    from mnistexp.errors import Interrupted
    from mnistexp.runs.annotations import annotate
    from mnistexp.runs.results import EpochDone
    from mnistexp.runs.stored_runs import load

    def stop(event: Any) -> None:
        if isinstance(event, EpochDone) and event.epoch == 3:
            raise KeyboardInterrupt

    examples.run_examples(api.configure(), runs)
    examples.run_summary(api.configure(), runs)
    once = {**ADAM, "training.epochs": 12, "name": "train"}
    trained = api.train("train", once, runs_dir=runs).run_dir
    annotate(trained, add=["baseline"], note="the first")
    held_out = {"training.epochs": 10, "training.validation_fraction": 0.2, "repeats": 3, "name": "repeats"}
    api.train("train", ADAM | held_out, runs_dir=runs)
    api.best("best", CHOSEN | {"repeats": 3, "name": "best"}, unseen=True, runs_dir=runs)
    evaluate(load(trained), runs, "embedded", name="evaluation")
    probabilities = api.load_run(trained).probabilities(packaged.embedded("first_1000")[0])
    np.savez_compressed(runs.parent / JUDGED, probabilities=probabilities)
    with contextlib.suppress(Interrupted, KeyboardInterrupt):
        run_training(api.configure("train", ADAM | {"training.epochs": 5, "name": "interrupted"}), runs, stop)
    size = replace(QUICK, epochs=3, final_repeats=1)
    run_reproduce(api.configure("best", CHOSEN), runs / "reproduce", size)


def shorten(path: Path) -> None:
    """Leave out what no text is drawn from: figures, networks, the weights in states, locks and indices."""
    from mnistexp.runs import files

    if path.name in NAMED:
        path.write_bytes(path.read_bytes() if path.parent.name[17:].startswith("train-train-") else b"")
    elif path.suffix in (".png", ".svg", ".html") or path.name[0] == ".":
        path.unlink()
    elif path.name in ("state.npz", "checkpoint.npz"):
        path.write_bytes(files.archive({"rows": files.arrays(path.read_bytes())["rows"]}))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder) / "runs")
        for path in filter(Path.is_file, Path(folder).rglob("*")):
            shorten(path)
        with tarfile.open(ARCHIVE, "w:xz") as tar:
            for name in ("runs", JUDGED):
                tar.add(Path(folder) / name, name)


if __name__ == "__main__":
    main()
