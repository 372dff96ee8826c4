"""Our sweep against scikit-learn's grid search of a Keras model, and what each executor costs.

    python benchmarks/sweep.py [--epochs 50] [--trials 10000] [--json FILE]

Both sides of the comparison are programs of their own, timed from start to end: 4 learning rates of Adam on 3
unshuffled folds of the 800 training digits, all cores. Prints a table in Markdown.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnistexp.sweeps.cores import usable_cores

RATES = [0.001, 0.01, 0.1, 1.0]


def run_ours(epochs: int) -> list[float]:
    """The sweep as the package does it; mean accuracy of each learning rate."""
    from mnistexp import data
    from mnistexp.config import ExperimentConfig, SweepConfig, TrainingConfig
    from mnistexp.optimizers import Adam
    from mnistexp.sweeps.sweeping import run_sweep

    config = ExperimentConfig(
        optimizer=Adam(name="adam"),
        training=TrainingConfig(epochs=epochs),
        sweep=SweepConfig(grid={"optimizer.learning_rate": tuple(RATES)}),
    )
    digits = data.load(config.data)
    sweep = run_sweep(config, digits, data.split(digits.labels, config.data))
    return [trial.mean for trial in sweep.trials]


def run_grid_search(epochs: int) -> list[float]:
    """The same grid by `GridSearchCV(n_jobs=-1)` over a plain Keras model and Keras' own `fit`."""
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.model_selection import GridSearchCV, KFold

    from mnistexp import data
    from mnistexp.config import DataConfig

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
    train = data.split(digits.labels, DataConfig()).train
    search = GridSearchCV(KerasCnn(), {"learning_rate": RATES}, cv=KFold(3), n_jobs=-1, refit=False, scoring="accuracy")
    search.fit(data.as_input(digits.images[train]), digits.labels[train])
    means: list[float] = search.cv_results_["mean_test_score"].tolist()
    return means


def run_overhead(kind: Any, trials: int) -> dict[str, float]:
    """What handing out so many tasks of no work takes, and by how much our memory grows over the last nine tenths."""
    from mnistexp.sweeps.executors import open_executor, outcomes

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


def timed(side: str, epochs: int) -> tuple[float, float, list[float]]:
    """Seconds and CPU seconds of one side as a program of its own, and its mean accuracies."""
    began, worked = time.perf_counter(), _work_of_children()
    command = [sys.executable, __file__, "--side", side, "--epochs", str(epochs)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    seconds, worked = time.perf_counter() - began, _work_of_children() - worked
    return seconds, worked, json.loads(done.stdout.splitlines()[-1])


def _work_of_children() -> float:
    """CPU seconds of the programs that have ended, with their own: little changed by what else the machine does."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=["ours", "grid-search"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps((run_ours if given.side == "ours" else run_grid_search)(given.epochs)))
        return
    sides = {"mnistexp": timed("ours", given.epochs), "GridSearchCV(n_jobs=-1)": timed("grid-search", given.epochs)}
    overhead = {kind: run_overhead(kind, given.trials) for kind in ("serial", "processes", "dask")}
    print(f"12 fits of {given.epochs} epochs, Adam, {usable_cores()} cores, {platform.machine()}\n")
    print("| | seconds | a fit | CPU seconds | mean accuracy by learning rate |\n|---|---|---|---|---|")
    for name, (seconds, worked, means) in sides.items():
        accuracies = " ".join(f"{mean:.3f}" for mean in means)
        print(f"| {name} | {seconds:.1f} | {seconds / 12:.2f} | {worked:.1f} | {accuracies} |")
    ours, theirs = sides.values()
    print(f"| ratio | {theirs[0] / ours[0]:.1f} | | {theirs[1] / ours[1]:.1f} | |\n")
    print(f"{given.trials:,} trials of no work\n")
    print("| executor | microseconds a trial | memory grown, MiB |\n|---|---|---|")
    for kind, found in overhead.items():
        print(f"| {kind} | {found['microseconds']:.0f} | {found['grown_mib']:.1f} |")
    if given.json:
        document = {"epochs": given.epochs, "sides": sides, "ratio": theirs[0] / ours[0]}
        given.json.write_text(json.dumps(document | {"overhead": overhead}, indent=2) + "\n")


if __name__ == "__main__":
    main()
