"""Sweeps with more or fewer workers than cores: the time of the whole process, and the memory of each worker.

    python benchmarks/workers.py                # prints the table, 10 minutes on 2 cores
    python benchmarks/workers.py --write-docs   # also puts it into docs/performance.md

Each number of workers does the same 24 fits in a process of its own, in turn. Memory that workers share, such as that
of TensorFlow, is loaded once; "own" is what only one worker has in memory (its unique set size), at the most. Linux
only.
"""

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from measuring import Cost, arguments, in_turn, machine, medians, timed, write_part

GRID = {"optimizer.name": ["adam"], "optimizer.learning_rate": [0.001, 0.01], "optimizer.beta_1": [0.5, 0.7, 0.8, 0.9]}
FITS = 24
BETWEEN = 0.2
"""Seconds between two looks at the memory."""


class Swept(NamedTuple):
    """A sweep: its cost, and the most memory in MB that any of its workers had of its own."""

    cost: Cost
    own: float


def swept(workers: int, epochs: int, cache: Path) -> Swept:
    """A sweep by so many workers, in a new folder of runs, with the kernels of `cache`."""
    own: dict[int, float] = {}
    ended = threading.Event()
    watching = threading.Thread(target=_watch, args=(own, ended))
    watching.start()
    with tempfile.TemporaryDirectory() as runs:
        options = ["--set", f"sweep.grid={json.dumps(GRID)}", "--set", "sweep.cache=false", f"--epochs={epochs}"]
        command = [sys.executable, "-m", "mnistexp", "sweep-optimizer", *options, f"--workers={workers}", "-q"]
        try:
            cost = timed([*command, f"--runs-dir={runs}"], MNISTEXP_CACHE_DIR=str(cache))
        finally:
            ended.set()
            watching.join()
    return Swept(cost, max(own.values(), default=float("nan")))


def _watch(own: dict[int, float], ended: threading.Event) -> None:
    """Keep the most memory in MB that each worker below this process has of its own."""
    while not ended.wait(BETWEEN):
        for worker in _workers():
            own[worker] = max(own.get(worker, 0.0), _own(worker))


def _workers() -> Iterator[int]:
    """The children of the command's children: workers are forked from the process that has loaded TensorFlow."""
    generation = [os.getpid()]
    for _ in range(3):
        generation = [child for parent in generation for child in _children(parent)]
    yield from generation


def _children(parent: int) -> list[int]:
    try:
        lists = [path.read_text() for path in Path(f"/proc/{parent}/task").glob("*/children")]
    except OSError:  # it has ended
        return []
    return [int(child) for text in lists for child in text.split()]


def _own(process: int) -> float:
    """MB that only this process has in memory; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024 / 1e6


def table(numbers: list[int], found: dict[str, list[Swept]]) -> Iterator[str]:
    """The table, line by line."""
    yield "| workers | s | CPU seconds | MB of its own, the largest worker |\n|---:|---:|---:|---:|"
    for number in numbers:
        cost = medians([one.cost for one in found[str(number)]])
        own = max(one.own for one in found[str(number)])
        yield f"| {number} | {cost.wall:.1f} | {cost.cpu:.1f} | {own:.0f} |"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--epochs", type=int, default=50, help="of each fit (default 50)")
    parser.add_argument("--rounds", type=int, default=3, help="of each number of workers (default 3)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        swept(1, 1, Path(cache))  # compiles the kernels
        sides = {str(number): partial(swept, number, given.epochs, Path(cache)) for number in given.workers}
        found = in_turn(sides, given.rounds)
    begin = f"Machine: {machine()}. {FITS} fits of {given.epochs} epochs, medians of {given.rounds} rounds in turn:\n"
    text = "\n".join([begin, *table(given.workers, found)])
    print(text)
    if given.write_docs:
        write_part(text)


if __name__ == "__main__":
    main()
