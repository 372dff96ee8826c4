"""Seconds of an epoch: this package's loop against Keras' `fit`, the floor, and PyTorch, interleaved in one run.

    python benchmarks/loop.py                      # everything, some minutes
    python benchmarks/loop.py --short              # the assignment's size only, few rounds
    python benchmarks/loop.py --write-docs         # also put the tables into docs/performance.md
    python benchmarks/loop.py --torch PYTHON       # a Python that has PyTorch; left out where there is none

Each side stays in its own process. A round asks every side of a table for one epoch, one after the other, so that
whatever else the machine does falls on all of them; reported are the median, the fastest and the slowest round.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measuring import HERE, arguments, machine, write_part

from mnistexp import data
from mnistexp.config.models import DataConfig

LEARN_MFLOP, SEE_MFLOP = 4.36, 1.52
"""Arithmetic of the layers as they are defined, for one digit: forward and backward, and forward alone."""
LOOP_LEARN_MFLOP, LOOP_SEE_MFLOP = 2.44, 0.91
"""What this loop's matrix products are left with."""


@dataclass(frozen=True)
class Case:
    """One row of a table; `threads` of its process."""

    side: str
    optimizer: str = "nesterov"
    digits: int = 800
    batch: int = 32
    threads: int = 1


@dataclass(frozen=True)
class Timing:
    case: Case
    seconds: list[float]

    @property
    def milliseconds(self) -> float:
        return 1000 * median(self.seconds)


class Workers:
    """The processes that run the sides, started when first asked."""

    def __init__(self, digits: str, torch_python: str | None) -> None:
        self.digits, self.torch_python = digits, torch_python
        self.running: dict[tuple[str, int, int], subprocess.Popen[str]] = {}
        self.megabytes: dict[str, float] = {}

    def send(self, case: Case, copy: int = 0) -> subprocess.Popen[str]:
        kind = "torch" if "pytorch" in case.side else "loop" if case.side == "this loop" else "keras"
        key = kind, case.threads, copy
        if key not in self.running:
            python = self.torch_python if kind == "torch" else sys.executable
            command = [str(python), str(HERE / "sides.py"), kind, str(case.threads), self.digits]
            self.running[key] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        worker = self.running[key]
        assert worker.stdin
        worker.stdin.write(json.dumps(asdict(case)) + "\n")
        worker.stdin.flush()
        return worker

    def run(self, case: Case, copies: int = 1) -> float:
        """Seconds of an epoch, of the slowest where several run at once."""
        return max([answer(worker) for worker in [self.send(case, copy) for copy in range(copies)]])

    def close(self) -> None:
        for (kind, threads, copy), worker in self.running.items():
            assert worker.stdin
            worker.stdin.close()
            if copy == 0:
                self.megabytes[f"{kind}, {threads} thread{'s' * (threads > 1)}"] = answer(worker)
            worker.wait()


def answer(worker: subprocess.Popen[str]) -> float:
    assert worker.stdout
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"a side of the benchmark ended with exit code {worker.wait()}")
    return float(json.loads(line))


def interleaved(workers: Workers, cases: list[Case], rounds: int) -> list[Timing]:
    for case in cases:
        workers.run(case)
    timings = [Timing(case, []) for case in cases]
    for number in range(rounds):
        for timing in timings if number % 2 else reversed(timings):
            timing.seconds.append(workers.run(timing.case))
    return timings


def sides(torch: bool) -> list[Case]:
    keras = [Case("keras fit", name, threads=2) for name in ("nesterov", "adam", "nadam", "adadelta")]
    options = ("steps_per_execution=25", "jit_compile=True")
    keras += [Case(f"keras fit, {option}", name, threads=2) for name in ("nesterov", "adam") for option in options]
    floors = [Case("forward and backward, Keras layers"), Case("forward and backward, this loop"), Case("matmul")]
    eager = [Case("pytorch eager", name, threads=2) for name in ("nesterov", "adam")] if torch else []
    return [Case("this loop", name) for name in ("nesterov", "adam", "nadam", "adadelta")] + keras + floors + eager


def growth() -> list[list[Case]]:
    """Cases that differ in one thing: digits, batch size, threads."""
    digits = [Case(side, digits=n, threads=t) for n in (1000, 5000, 20_000) for side, t in BOTH]
    batches = [Case(side, batch=n, threads=t) for n in (8, 16, 32, 64, 128, 400) for side, t in BOTH]
    return [digits, batches, [Case("keras fit", threads=threads) for threads in (1, 2)]]


BOTH = (("this loop", 1), ("keras fit", 2))


def table(timings: list[Timing], columns: tuple[str, ...]) -> str:
    """Markdown; the last column compares with this loop in the same case."""
    ours = {
        (t.case.optimizer, t.case.digits, t.case.batch): t.milliseconds for t in timings if t.case.side == "this loop"
    }
    lines = ["| side | " + " | ".join(columns) + " | ms | fastest-slowest | times this loop |"]
    lines.append("|---|" + "---|" * (len(columns) + 3))
    for timing in timings:
        if timing.case.side == "matmul":
            continue
        case, low, high = asdict(timing.case), 1000 * min(timing.seconds), 1000 * max(timing.seconds)
        base = ours.get((timing.case.optimizer, timing.case.digits, timing.case.batch))
        cells = [timing.case.side, *(str(case[column]) for column in columns), f"{timing.milliseconds:.1f}"]
        ratio = f"{timing.milliseconds / base:.2f}" if base else ""
        lines.append("| " + " | ".join([*cells, f"{low:.1f}-{high:.1f}", ratio]) + " |")
    return "\n".join(lines)


def limits(timings: list[Timing]) -> str:
    found = {timing.case.side: timing for timing in timings if timing.case.optimizer == "nesterov"}
    rate = 10 * 2 * 512**3 / median(found["matmul"].seconds)
    layers, left = (
        1e9 * (800 * learn + 200 * see) / rate
        for learn, see in ((LEARN_MFLOP, SEE_MFLOP), (LOOP_LEARN_MFLOP, LOOP_SEE_MFLOP))
    )
    ours, floor = (found[side].milliseconds for side in ("this loop", "forward and backward, Keras layers"))
    own = found["forward and backward, this loop"].milliseconds
    return (
        f"A product of two 512 x 512 matrices runs at {rate / 1e9:.0f} GFLOP/s on one thread. At that rate the layers' "
        f"arithmetic as defined ({800 * LEARN_MFLOP / 1000 + 200 * SEE_MFLOP / 1000:.2f} GFLOP an epoch) takes "
        f"{layers:.0f} ms, and what this loop is left with {left:.0f} ms. The loop takes {ours:.0f} ms: "
        f"{ours / floor:.2f} times forward and backward through the Keras layers, {ours / own:.2f} times its own "
        f"forward and backward."
    )


def together(workers: Workers, rounds: int) -> tuple[str, dict[str, float]]:
    case = Case("this loop")
    workers.run(case, 2)
    one, two = [], []
    for _ in range(rounds):
        one.append(1000 * workers.run(case))
        two.append(1000 * workers.run(case, 2))
    text = (
        f"One training alone: {median(one):.1f} ms an epoch; two at once in two processes: {median(two):.1f} ms each."
    )
    return text, {"alone_ms": median(one), "two_at_once_ms": median(two)}


def torch_version(python: str | None) -> str | None:
    if not python:
        try:
            return version("torch")
        except PackageNotFoundError:
            return None
    command = [python, "-c", "import torch; print(torch.__version__)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def measure(short: bool, rounds: int, torch_python: str | None) -> tuple[str, dict[str, Any]]:
    """The Markdown and the numbers behind it."""
    digits = data.load(DataConfig())
    torch = torch_version(torch_python)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "digits.npz")
        np.savez(path, images=digits.images, labels=digits.labels)
        workers = Workers(path, torch_python or sys.executable)
        try:
            tables = [interleaved(workers, sides(torch is not None), rounds)]
            tables += [] if short else [interleaved(workers, cases, max(3, rounds // 2)) for cases in growth()]
            pair, at_once = together(workers, rounds)
        finally:
            workers.close()
    here = machine() + (f", torch {torch}" if torch else "")
    memory = "; ".join(f"{name} {megabytes:.0f} MB" for name, megabytes in sorted(workers.megabytes.items()))
    headings = ["", "### Digits", "### Batch size", "### Threads"]
    columns = [("optimizer", "threads"), ("digits",), ("batch",), ("threads",)]
    texts = [f"{h}\n\n{table(t, c)}".strip() for h, t, c in zip(headings, tables, columns, strict=False)]
    text = "\n\n".join([f"Machine: {here}.", texts[0], limits(tables[0]), *texts[1:], pair, f"Peak memory: {memory}."])
    rows = [{**asdict(timing.case), "seconds": timing.seconds} for timings in tables for timing in timings]
    return text, {"machine": here, "timings": rows, "at_once": at_once, "megabytes": workers.megabytes}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--short", action="store_true", help="the assignment's size only")
    parser.add_argument("--rounds", type=int, default=15, help="epochs measured of each side (default 15)")
    parser.add_argument("--torch", metavar="PYTHON", help="a Python interpreter that has PyTorch")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "loop.json", help="where the numbers go")
    options = parser.parse_args()
    text, numbers = measure(options.short, options.rounds, options.torch)
    print(text)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(numbers, indent=1) + "\n")
    if options.write_docs:
        write_part(text)


if __name__ == "__main__":
    main()
