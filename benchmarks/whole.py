"""`train` as a whole process against a plain Keras script of the same work, at 1, 20 and 150 epochs.

    python benchmarks/whole.py                # prints the table, a quarter of an hour
    python benchmarks/whole.py --write-docs   # also puts it into docs/performance.md

Both sides are programs of their own, timed from start to end, in turn. They read and split the digits, train with
validation in every epoch, save model and curves, and draw loss, accuracy and confusion matrix as PNG and SVG.
The cache of compiled kernels is filled by a run before the first round.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

DOCS = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- benchmarks/whole.py writes from here -->", "<!-- to here -->"
KERAS, OURS = "Keras script", "`mnistexp train`"


class Cost(NamedTuple):
    """Wall time and CPU time of a process, in seconds."""

    wall: float
    cpu: float


def run_keras(epochs: int, folder: Path) -> None:
    """The script: what a person writes with Keras, scikit-learn and matplotlib."""
    import keras
    import matplotlib as mpl

    mpl.use("Agg")
    import numpy as np
    from matplotlib import pyplot
    from sklearn.metrics import ConfusionMatrixDisplay
    from sklearn.model_selection import train_test_split

    stored = np.load(folder.parent / "digits.npz")
    x, y = stored["images"][..., np.newaxis] / np.float32(255), stored["labels"]
    x, test_x, y, test_y = train_test_split(x, y, test_size=0.2, random_state=1)
    layers = keras.layers
    model = keras.Sequential(
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
    rate = keras.optimizers.schedules.InverseTimeDecay(0.01, decay_steps=1, decay_rate=1e-6)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    validation = test_x, test_y
    history = model.fit(x, y, batch_size=32, epochs=epochs, validation_data=validation, verbose=0).history
    print(model.evaluate(test_x, test_y, verbose=0))
    model.save(folder / "model.keras")
    np.savetxt(folder / "history.csv", np.array([*history.values()]).T, delimiter=",")
    for name in ("loss", "accuracy"):
        figure, axes = pyplot.subplots()
        axes.plot(history[name], label="training")
        axes.plot(history[f"val_{name}"], label="validation")
        axes.legend()
        save(figure, folder / name)
    predicted = model.predict(test_x, verbose=0).argmax(axis=1)
    save(ConfusionMatrixDisplay.from_predictions(test_y, predicted).figure_, folder / "confusion")


def save(figure: Any, path: Path) -> None:
    """As our own figures: PNG of 150 dots an inch, and SVG."""
    figure.savefig(path.with_suffix(".png"), dpi=150)
    figure.savefig(path.with_suffix(".svg"))


def timed(side: str, epochs: int, folder: Path) -> Cost:
    """One side as a process of its own, whose files go into a new folder."""
    place = Path(tempfile.mkdtemp(dir=folder))
    ours = [sys.executable, "-m", "mnistexp", "train", "-q", f"--epochs={epochs}", f"--runs-dir={place}"]
    script = [sys.executable, __file__, "--keras", str(place), "--epochs", str(epochs)]
    variables = os.environ | {"MNISTEXP_CACHE_DIR": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = ours if side == OURS else script
    subprocess.run(command, check=True, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measured(all_epochs: list[int], rounds: int) -> Iterator[str]:
    """The table, line by line."""
    import numpy as np

    from mnistexp import data
    from mnistexp.config.models import DataConfig
    from mnistexp.sweeps.executors.cores import usable_cores

    digits = data.load(DataConfig())
    yield f"From start to end of the process, {usable_cores()} cores, medians of {rounds} rounds in turn:\n"
    yield f"| epochs | {OURS}, s | {KERAS}, s | times faster | CPU seconds | times less CPU |"
    yield "|---:|---:|---:|---:|---|---:|"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "digits.npz", images=digits.images, labels=digits.labels)
        timed(OURS, 1, folder)
        for epochs in all_epochs:
            found: dict[str, list[Cost]] = {OURS: [], KERAS: []}
            for number in range(rounds):
                for side in sorted(found, reverse=number % 2 == 1):
                    found[side].append(timed(side, epochs, folder))
            yield row(epochs, found[OURS], found[KERAS])


def row(epochs: int, ours: list[Cost], keras: list[Cost]) -> str:
    """One line of the table: the ratios are of medians."""
    (wall, other_wall), (cpu, other_cpu) = (
        [median(cost[column] for cost in side) for side in (ours, keras)] for column in range(2)
    )
    cells = [str(epochs), f"{wall:.1f}", f"{other_wall:.1f}", f"{other_wall / wall:.2f}"]
    return f"| {' | '.join(cells)} | {cpu:.1f} and {other_cpu:.1f} | {other_cpu / cpu:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 20, 150])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into {DOCS.name}")
    parser.add_argument("--keras", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.keras:
        run_keras(given.epochs[0], given.keras)
        return
    text = "\n".join(measured(given.epochs, given.rounds))
    print(text)
    if given.write_docs:
        page = DOCS.read_text()
        head, tail = page.partition(BEGIN)[0], page.partition(BEGIN)[2].partition(END)[2]
        DOCS.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}")


if __name__ == "__main__":
    main()
