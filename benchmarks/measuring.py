"""What the benchmarks share: processes timed in turn, the machine's name, and a script's part of a page of the docs."""

import argparse
import ctypes
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

from mnistexp.runs.environment import environment
from mnistexp.sweeps.executors.cores import usable_cores

__all__ = ["Cost", "Kept", "arguments", "in_turn", "machine", "medians", "timed", "write_part"]

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DOCS = HERE.parent / "docs" / "performance.md"
END = "<!-- to here -->"
SUBREAPER = 36
"""Linux's PR_SET_CHILD_SUBREAPER: processes whose parent has ended become children of this one."""
T = TypeVar("T")


class Cost(NamedTuple):
    """Wall time and CPU time of a process, in seconds."""

    wall: float
    cpu: float


def timed(command: list[str], **variables: str) -> Cost:
    """A command from its start to its end, with these environment variables. Ends the benchmark if it fails.

    On Linux the CPU time is that of all its processes, also of workers that it ended without waiting for them.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall = time.perf_counter() - began
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace')}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


class Kept:
    """Costs kept in `results/NAME` at once, so that a benchmark that was stopped goes on; those of other code are not.

    Delete the file to measure anew.
    """

    def __init__(self, name: str) -> None:
        self._path, self._code = RESULTS / name, environment()["git_commit"]
        self._path.parent.mkdir(exist_ok=True)
        rows = [json.loads(line) for line in self._path.read_text().splitlines()] if self._path.exists() else []
        self._rows = [row for row in rows if row["code"] == self._code]

    def of(self, side: str, measure: Callable[[], Cost]) -> Callable[[], Cost]:
        """The measurement of a side, whose first calls give what is kept."""
        known = iter([Cost(*row["cost"]) for row in self._rows if row["side"] == side])

        def cost() -> Cost:
            if (found := next(known, None)) is None:
                found = measure()
                with self._path.open("a") as file:
                    file.write(json.dumps({"code": self._code, "side": side, "cost": found}) + "\n")
            return found

        return cost


def in_turn(sides: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Each side once a round, every other round in reverse, so that other load on the machine falls on all of them."""
    found: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            found[name].append(sides[name]())
    return found


def medians(costs: list[Cost]) -> Cost:
    """The median of the wall times, and of the CPU times."""
    return Cost(*map(median, zip(*costs, strict=True)))


def machine() -> str:
    """The processor, the usable cores, and the versions that decide the speed."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    versions = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "numpy", "scikit-learn"))
    return f"{model}, {usable_cores()} cores, Python {platform.python_version()}, {versions}"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write-docs", action="store_true", help=f"put the result into {DOCS.name}")
    return parser


def write_part(text: str) -> None:
    """Replace what stands in the docs between the marks of the running script."""
    begin = f"<!-- benchmarks/{Path(sys.argv[0]).name} writes from here -->"
    before, found, rest = DOCS.read_text().partition(begin)
    if not found:
        raise SystemExit(f"{DOCS} lacks the mark {begin}")
    DOCS.write_text(f"{before}{begin}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
