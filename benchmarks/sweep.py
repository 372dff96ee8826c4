"""Our sweep against scikit-learn's grid search of a Keras model, and what each executor costs.

    python benchmarks/sweep.py                # prints the tables
    python benchmarks/sweep.py --write-docs   # also puts them into docs/performance.md

Both sides of the comparison are programs of their own, timed from start to end: 4 learning rates of Adam on 3
unshuffled folds of the 800 training digits, all cores, each side twice in turn.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnistexp.sweeps.executors.cores import usable_cores

DOCS = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- benchmarks/sweep.py writes from here -->", "<!-- to here -->"
RATES = [0.001, 0.01, 0.1, 1.0]


def run_ours(epochs: int) -> list[float]:
    """The sweep as the command does it, run folder and figures included; mean accuracy of each learning rate."""
    import mnistexp

    changes = {
        "training.epochs": epochs,
        "sweep.grid": {"optimizer.name": ["adam"], "optimizer.learning_rate": RATES},
        "sweep.cache": False,
    }
    with tempfile.TemporaryDirectory() as folder:
        outcome = mnistexp.sweep("sweep-optimizer", changes, runs_dir=folder)
        with (outcome.run_dir / "trials.csv").open(newline="") as table:
            return [float(row["mean_test_score"]) for row in csv.DictReader(table)]


def run_grid_search(epochs: int) -> list[float]:
    """The same grid by `GridSearchCV(n_jobs=-1)` over a plain Keras model and Keras' own `fit`."""
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import GridSearchCV, KFold

    from mnistexp import data
    from mnistexp.config.models import DataConfig

    class KerasCnn(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def __init__(self, learning_rate: float = 0.001) -> None:
            self.learning_rate = learning_rate

        def fit(self, x: Any, y: Any) -> Any:
            import keras

            layers = keras.layers
            self.classes_ = list(range(10))
            self.model_ = keras.Sequential(
                [
                    layers.Input((28, 28, 1)),
                    layers.Conv2D(16, 3, activation="relu"),
                    layers.MaxPooling2D(2),
                    layers.Conv2D(32, 3, activation="relu"),
                    layers.MaxPooling2D(2),
                    layers.Flatten(),
                    layers.Dense(128, activation="relu"),
                    layers.Dense(10, activation="softmax"),
                ]
            )
            adam = keras.optimizers.Adam(self.learning_rate)
            self.model_.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
            self.model_.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
            return self

        def predict(self, x: Any) -> Any:
            return self.model_.predict(x, verbose=0).argmax(axis=1)

    digits = data.load(DataConfig())
    train = data.split(digits, DataConfig()).train
    search = GridSearchCV(KerasCnn(), {"learning_rate": RATES}, cv=KFold(3), n_jobs=-1, refit=False, scoring="accuracy")
    search.fit(data.as_input(digits.images[train]), digits.labels[train])
    means: list[float] = search.cv_results_["mean_test_score"].tolist()
    return means


def run_overhead(kind: Any, trials: int) -> dict[str, float]:
    """What handing out so many tasks of no work takes, and by how much our memory grows over the last nine tenths."""
    from mnistexp.sweeps.executors.executors import open_executor, outcomes

    with open_executor(kind, None, None, dict, ()) as executor:  # type: ignore[arg-type]
        list(outcomes(executor, abs, range(20), retries=0))
        began, memory = time.perf_counter(), 0.0
        for done, _ in enumerate(outcomes(executor, abs, _lazily(trials), retries=0)):
            if done == trials // 10:
                memory = _resident()
        seconds = time.perf_counter() - began
        grown = _resident() - memory
    return {"microseconds": 1e6 * seconds / trials, "grown_mib": grown}


def _lazily(trials: int) -> Iterator[int]:
    yield from range(trials)


def _resident() -> float:
    """MiB of memory that this process has in use."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def timed(side: str, epochs: int) -> tuple[float, list[float]]:
    """Seconds of one side as a program of its own, and its mean accuracies."""
    began = time.perf_counter()
    command = [sys.executable, __file__, "--side", side, "--epochs", str(epochs)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return time.perf_counter() - began, json.loads(done.stdout.splitlines()[-1])


def compared(epochs: int, rounds: int) -> Iterator[str]:
    """The table of both sides, line by line."""
    sides = {"ours": "mnistexp", "grid-search": "`GridSearchCV(n_jobs=-1)`"}
    runs = [{side: timed(side, epochs) for side in sides} for _ in range(rounds)]
    yield f"12 fits of {epochs} epochs, Adam, {usable_cores()} cores, from start to end of the program:\n"
    yield "| | seconds, each round | a fit | mean accuracy by learning rate |\n|---|---|---:|---|"
    for side, name in sides.items():
        seconds = [run[side][0] for run in runs]
        accuracies = " ".join(f"{mean:.3f}" for mean in runs[0][side][1])
        shown = ", ".join(f"{second:.1f}" for second in seconds)
        yield f"| {name} | {shown} | {min(seconds) / 12:.2f} | {accuracies} |"
    ratios = ", ".join(f"{run['grid-search'][0] / run['ours'][0]:.2f}" for run in runs)
    yield f"| times faster | {ratios} | | |\n"


def scheduled(trials: int) -> Iterator[str]:
    """The table of what each executor costs, line by line."""
    yield f"{trials:,} trials of no work:\n"
    yield "| executor | microseconds a trial | memory grown, MiB |\n|---|---:|---:|"
    for kind in ("serial", "processes", "dask"):
        found = run_overhead(kind, trials)
        yield f"| {kind} | {found['microseconds']:.0f} | {found['grown_mib']:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--write-docs", action="store_true", help=f"put the tables into {DOCS.name}")
    parser.add_argument("--side", choices=["ours", "grid-search"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps((run_ours if given.side == "ours" else run_grid_search)(given.epochs)))
        return
    text = "\n".join([*compared(given.epochs, given.rounds), *scheduled(given.trials)])
    print(text)
    if given.write_docs:
        page = DOCS.read_text()
        head, tail = page.partition(BEGIN)[0], page.partition(BEGIN)[2].partition(END)[2]
        DOCS.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}")


if __name__ == "__main__":
    main()
