"""What each executor of sweeps costs: time and memory for handing out many tasks of no work.

python benchmarks/executors.py                # prints the table
python benchmarks/executors.py --write-docs   # also puts it into docs/performance.md
"""

import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from measuring import arguments, machine, write_part

from mnistexp.sweeps.executors.executors import ExecutorKind, open_executor, outcomes


def overhead(kind: ExecutorKind, trials: int) -> tuple[float, float]:
    """Microseconds a task, and the MiB by which our memory grows over the last nine tenths."""
    with open_executor(kind, None, None, dict, ()) as executor:  # type: ignore[arg-type]
        list(outcomes(executor, abs, range(20), retries=0))
        began, memory = time.perf_counter(), 0.0
        for done, _ in enumerate(outcomes(executor, abs, iter(range(trials)), retries=0)):
            if done == trials // 10:
                memory = resident()
        return 1e6 * (time.perf_counter() - began) / trials, resident() - memory


def resident() -> float:
    """MiB of memory that this process has in use."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def table(trials: int) -> Iterator[str]:
    """The table, line by line."""
    yield f"Machine: {machine()}. {trials:,} trials of no work:\n"
    yield "| executor | microseconds a trial | memory grown, MiB |\n|---|---:|---:|"
    for kind in get_args(ExecutorKind):
        microseconds, grown = overhead(kind, trials)
        yield f"| {kind} | {microseconds:.0f} | {grown:.1f} |"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    given = parser.parse_args()
    text = "\n".join(table(given.trials))
    print(text)
    if given.write_docs:
        write_part(text)


if __name__ == "__main__":
    main()
