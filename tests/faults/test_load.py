"""Much work in a row: memory, open files and the effort of each piece stay as they are at the beginning.

The effort is what no other work on the machine changes: function calls, and bytes read and written.
"""

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pytest

RUNS = """
    from pathlib import Path
    from mnistexp.runs.run_folder import Run
    from mnistexp.runs.results import History
    from mnistexp.runs.history_csv import history_to_csv
    curve = tuple(1 / epoch for epoch in range(1, 61))
    history = history_to_csv(History(curve, curve, curve, curve))
    for number in range({count}):
        with Run.create(Path("runs"), "train", f"run-{number}", "seed: 2\\n", visible=bool(number % 2)) as run:
            run.log("begins")
            run.add("history.csv", history)
            run.add("metrics.json", {"test_accuracy": number / {count}, "epochs": 60})
        sample()
    from mnistexp.runs import query
    assert len(query.select(Path("runs"))) == {count}
    assert query.best(query.select(Path("runs")), "test_accuracy").name == f"run-{{count} - 1}"
"""
SWEEP = """
    from mnistexp import api
    from mnistexp.runs.results import FitDone
    changes = {
        "data.digits": 100, "model.filters": [2, 4], "model.dense_units": 8, "training.epochs": 1,
        "training.batch_size": 32, "sweep.grid": {}, "sweep.folds": 2, "sweep.executor": "serial",
        "sweep.samples": {count}, "sweep.random": {
            "optimizer.learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
            "model.dropout": {"low": 0.0, "high": 0.8},
        },
    }
    watch = lambda event: sample(isinstance(event, FitDone))
    outcome = api.sweep("sweep-dropout", changes, runs_dir="runs", watch=watch)
    assert outcome.metrics["trials"] == {count}, outcome.metrics["trials"]
    assert outcome.metrics["fits_failed"] == 0
"""
HEAD = """
    import json, os, resource, sys, time
    samples, calls = [], 0

    def count(frame, event, argument):
        global calls
        calls += event in ("call", "c_call")

    def effort():
        moved = dict(line.split(": ") for line in open("/proc/self/io").read().splitlines())
        return calls, int(moved["rchar"]) + int(moved["wchar"]), time.process_time(), time.monotonic()

    last = effort()

    def sample(wanted=True):
        global last
        if wanted:
            now = effort()
            memory = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
            open_files = len(os.listdir("/proc/self/fd"))
            samples.append([memory, open_files, *(after - before for before, after in zip(last, now))])
            last = now

    sys.setprofile(count)

"""
TAIL = """
    sys.setprofile(None)
    open("samples.json", "w").write(json.dumps(samples))
"""
RESAMPLES = 2000


@dataclass(frozen=True)
class Slope:
    """Bytes for each piece of work, with a 95% interval."""

    bytes: float
    low: float
    high: float


def work(code: str, count: int, folder: Path) -> np.ndarray:
    """Memory in bytes, open files, calls, bytes moved, seconds of processor and wall time: a row for each piece."""
    text = textwrap.dedent(HEAD) + textwrap.dedent(code).replace("{count}", str(count)) + textwrap.dedent(TAIL)
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.array(json.loads((folder / "samples.json").read_text()))


def slope(memory: np.ndarray) -> Slope:
    """Least squares, and a block bootstrap of the differences, as neighbouring values are far from independent."""
    place = np.arange(len(memory))
    growth = float(np.polyfit(place, memory, 1)[0])
    steps, size = np.diff(memory.astype(float)), max(1, len(memory) // 20)
    starts = np.random.default_rng(8).integers(0, len(steps) - size + 1, (RESAMPLES, len(steps) // size))
    means = steps[starts[..., None] + np.arange(size)].mean(axis=(1, 2))
    return Slope(growth, *np.quantile(means, [0.025, 0.975]).tolist())


def fifths(values: np.ndarray) -> tuple[float, float]:
    """The medians of the first and of the last fifth."""
    part = max(1, len(values) // 5)
    return median(values[:part]), median(values[-part:])


@pytest.mark.parametrize(
    ("what", "code", "small", "full", "bytes_each"),
    [
        ("runs written in a row", RUNS, 200, 2_000, 2_048),
        ("fits of a sweep, two for each trial", SWEEP, 100, 5_000, 4_096),
    ],
    ids=["runs", "sweep"],
)
def test_repeated_work_leaks_nothing(
    what: str, code: str, small: int, full: int, bytes_each: int,
    of_size: Callable[[int, int], int], tried: Callable[..., None], tmp_path: Path,
) -> None:  # fmt: skip
    """`bytes_each`: what the results themselves may take. The first tenth warms up: code is compiled, caches fill."""
    found = work(code, of_size(small, full), tmp_path)
    steady = found[len(found) // 10 :]
    memory, files = slope(steady[:, 0]), sorted(set(steady[:, 1].astype(int)))
    calls, moved, seconds, wall = (fifths(steady[:, column]) for column in range(2, 6))
    opened = " to ".join(map(str, sorted({files[0], files[-1]})))
    said = (
        f"memory {memory.bytes:+,.0f} bytes each (95% interval {memory.low:+,.0f} to {memory.high:+,.0f}); "
        f"{opened} files open; each of the first and of the last fifth: {calls[0]:,.0f} and {calls[1]:,.0f} calls, "
        f"{moved[0]:,.0f} and {moved[1]:,.0f} bytes read and written, {1e3 * seconds[0]:.2f} and "
        f"{1e3 * seconds[1]:.2f} ms of processor time (wall {1e3 * wall[0]:.1f} and {1e3 * wall[1]:.1f} ms)"
    )
    assert fifths(steady[:, 1])[0] == fifths(steady[:, 1])[1], said
    assert files[-1] - files[0] <= 4, said
    assert memory.bytes < bytes_each + 2**20 / len(steady), said
    between = 0.8 * len(steady)  # pieces from the middle of the first fifth to that of the last
    assert calls[1] - calls[0] < 2 * between, said  # the names in the folder are looked through for each run
    assert moved[1] - moved[0] < between, said
    tried(what, len(found), said)
