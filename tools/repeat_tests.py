"""Run the suite many times in different random orders, every second time beside processes that keep all cores busy.

Writes a table to standard output. The logs of runs that failed stay in a temporary folder that it names.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


def options() -> list[str]:
    """The options of pytest in the Makefile's `TESTS`."""
    found = re.search(r"^TESTS := (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return shlex.split(found[1]) if found else []


@contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """Keep each core busy for as long as the `with` block lasts."""
    count = (os.cpu_count() or 1) if wanted else 0
    # They end with this program, however it ends: it holds the other end of their input.
    code = (
        "import sys, threading\n"
        "def turn():\n    while True: pass\n"
        "threading.Thread(target=turn, daemon=True).start()\n"
        "sys.stdin.read()"
    )
    loops = [subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.communicate()


def run(seed: int, loaded: bool, log: Path, arguments: list[str]) -> tuple[str, list[str]]:
    """One run of the suite: a row of the table, and the names of the tests that failed."""
    command = [sys.executable, "-m", "pytest", *options(), f"--randomly-seed={seed}", *arguments]
    begun = time.monotonic()
    with busy(loaded), log.open("wb") as file:
        code = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT).returncode
    seconds = time.monotonic() - begun
    text = log.read_text(errors="replace")
    names = sorted(set(re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", text, re.MULTILINE)))
    passed = re.findall(r"(\d+) passed", text)
    if code == 0:
        log.unlink()
    elif not names:
        names = [f"exit code {code}"]
    return f"{'yes' if loaded else 'no'} | {passed[-1] if passed else 0} | {len(names)} | {seconds:.0f}", names


def main() -> int:
    """Print the table; the exit code is 1 where a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    asked = parser.parse_args()
    logs = Path(tempfile.mkdtemp(prefix="mnistexp-repeat-"))
    failures: dict[int, list[str]] = {}
    print("| run | seed | loaded | passed | failed | seconds |\n| ---: | ---: | --- | ---: | ---: | ---: |", flush=True)
    for number in range(1, asked.runs + 1):
        seed = asked.first_seed + number - 1
        row, names = run(seed, number % 2 == 0, logs / f"{number}.log", asked.arguments)
        print(f"| {number} | {seed} | {row} |", flush=True)
        if names:
            failures[number] = names
    for number, names in failures.items():
        print(f"\nrun {number}: {logs / f'{number}.log'}", *names, sep="\n  ")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
