"""How long do commands that read many runs take, as whole processes?

    python benchmarks/runs.py [--runs 10000] [--repeats 5]

Makes run folders in a temporary folder, with the files of real trainings, and prints the shortest of a few times. The
bars, with 10,000 runs: `runs list` under 1 s and `runs compare` of two under 0.5 s once the index is there.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnistexp.api import configure
from mnistexp.config import settings
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Dataset
from mnistexp.runs.environment import environment
from mnistexp.runs.history_csv import history_to_csv
from mnistexp.runs.layout import CONFIG, DATA, ENVIRONMENT, HISTORY, METRICS, STATUS
from mnistexp.runs.results import History
from mnistexp.runs.status import Owner, Status, write_status

BARS = {"list": 1.0, "compare": 0.5}
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
EPOCHS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        make_runs(runs, asked.runs)
        time.sleep(2.5)  # the index keeps only what has been left alone for two seconds
        print(f"{asked.runs:,} runs; times of whole processes, the shortest of {asked.repeats}")
        print(f"list, without an index    {measured(runs, 1, 'list'):.2f} s")
        commands: dict[str, tuple[str, ...]] = {
            "list": ("list",),
            "list --where --sort": (
                "list", "--where", "test_accuracy>0.9 and optimizer.name=nesterov", "--sort", "-test_accuracy",
            ),
            "best": ("best",),
            "compare": ("compare", "1", "2"),
            "path 1:5": ("path", "1:5"),
            "compare --output": ("compare", "1", "2", "--output", f"{folder}/curves.png"),
        }  # fmt: skip
        for name, words in commands.items():
            seconds = measured(runs, asked.repeats, *words)
            bar = f", bar {BARS[name]} s: {'met' if seconds < BARS[name] else 'MISSED'}" if name in BARS else ""
            print(f"{name:<25} {seconds:.2f} s{bar}")


def measured(runs: Path, repeats: int, *words: str) -> float:
    """The shortest of so many times that `mnistexp runs WORDS` takes, output to a pipe included."""
    command = [sys.executable, "-m", "mnistexp", "runs", *words, "--runs-dir", str(runs)]
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.PIPE)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def make_runs(runs: Path, count: int) -> None:
    """Folders with what listings and comparisons read, written without waiting for the disk for each file."""
    draw = random.Random(1)
    config = settings.to_yaml(configure("train", {"training.epochs": EPOCHS}))
    history = history_to_csv(History(*(tuple(draw.random() for _ in range(EPOCHS)) for _ in range(4))))
    machine = json.dumps({"schema_version": 1, **environment()})
    about = json.dumps({"schema_version": 1, **Dataset.load(ExperimentConfig()).document()})
    runs.mkdir()
    write_status(runs, Status("train", "nesterov-60", "done", LONG_AGO, Owner(1, "", 0), LONG_AGO, 5.0, 0))
    status = (runs / STATUS).read_text()
    (runs / STATUS).unlink()
    for number in range(count):
        started = LONG_AGO + timedelta(minutes=number)
        folder = runs / f"{started:%Y%m%dT%H%M%SZ}-train-nesterov-60-{number % 65536:04x}"
        folder.mkdir()
        (folder / STATUS).write_text(status.replace(f"{LONG_AGO:%Y-%m-%dT%H:%M}", f"{started:%Y-%m-%dT%H:%M}"))
        (folder / CONFIG).write_text(config.replace("seed: 2\n", f"seed: {number}\n"))
        (folder / METRICS).write_text(json.dumps(metrics(draw, number)))
        (folder / HISTORY).write_text(history)
        (folder / ENVIRONMENT).write_text(machine)
        (folder / DATA).write_text(about)


def metrics(draw: random.Random, number: int) -> dict[str, Any]:
    """As much as the metrics of a training hold, with other numbers each time."""
    accuracy = draw.uniform(0.85, 0.95)
    losses = {name: draw.random() for name in ("test_loss", "final_loss", "final_val_loss", "min_val_loss")}
    return {
        "schema_version": 1,
        "command": "train",
        "seed": number,
        "epochs": EPOCHS,
        "validated_on": "test",
        "diverged_at": None,
        "test_accuracy": accuracy,
        "test_accuracy_interval": [accuracy - 0.03, accuracy + 0.03],
        "test_correct": round(200 * accuracy),
        "test_digits": 200,
        **losses,
        "min_val_loss_epoch": draw.randrange(1, EPOCHS),
        "confusion_matrix": [[draw.randrange(20) for _ in range(10)] for _ in range(10)],
        "per_class_accuracy": [draw.random() for _ in range(10)],
        "best_epochs": {"first": 20, "last": 50, "standard_error": 0.04, "sentence": "The loss is lowest. " * 10},
        "warnings": ["The curves are validated on the test digits. " * 5],
        "seconds": {"total": 6.0, "training": 5.0, "epoch_median": 0.07},
    }


if __name__ == "__main__":
    main()
