"""Mutation testing: make one small mistake at a time in the code, and see whether a test notices.

    python tools/mutate.py [--sample N] [--only PATTERN] [MODULE ...]

A test that covers the changed line and fails kills the mutant. Those that survive are written down, with the reason, in
docs/mutants.md; the exit code is 1 where one survives that this page doesn't name. No file is changed: every mutant is
a fork of one process that has all tests and libraries loaded, with the code of the changed module replaced in memory.
Processes that a test starts therefore run the code as it is, and tests longer than `LONGEST` are left out.
"""

import argparse
import ast
import importlib
import inspect
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol
from mutations import Mutant, mutants_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "mutants.md"
STATISTICS = ["intervals", "learning_curves", "comparison", "selection_bias", "seed_noise"]
TESTS = {
    **{f"mnistexp.statistics.{name}": "test_statistics.py" for name in STATISTICS},
    "mnistexp.sweeps.sweeping": "test_sweeping.py",
    "mnistexp.runs.run_folder": "test_run_folder.py",
}
PROGRAMS = "kill or killed or eight_processes or two_processes or dask or processes"
"""Names of tests that mostly start programs, which run the code as it is."""
LONGEST = 5.0
"""CPU seconds that a test may take."""
FORK = multiprocessing.get_context("fork")


@dataclass
class Covered:
    """What a test takes, in seconds of CPU, and the lines of each module that it runs."""

    seconds: float
    lines: dict[str, list[int]]


class Session:
    """A pytest plugin that collects the tests and then, in place of running them, runs `work` with them."""

    def __init__(self, work: Callable[[list[pytest.Item]], None]) -> None:
        self.work = work

    def pytest_configure(self) -> None:
        """Have Hypothesis draw the same examples for every mutant, and make none smaller: that one fails is enough."""
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", derandomize=True, database=None, phases=phases)
        settings.load_profile("mutants")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do the work; True says that the tests need no running."""
        self.work(session.items)
        return True


def passes(items: list[pytest.Item], before: Callable[[pytest.Item], object] = id) -> bool:
    """Whether all tests pass, run in this order up to the first that does not."""
    for item, following in zip_longest(items, items[1:]):
        before(item)
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return False
    return True


def quietly(work: Callable[[], bool]) -> None:
    """Do the work of a forked process, which ends here: with 0 if the work is True, with 1 otherwise."""
    os.setpgrp()
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    try:
        os._exit(0 if work() else 1)
    finally:
        os._exit(1)


def finish(work: Callable[[], bool], seconds: float) -> int:
    """Run `work` in a fork for so much CPU time at most, and return its exit code, negative where it was ended."""

    def limited() -> bool:
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
        return work()

    process = FORK.Process(target=quietly, args=(limited,))
    process.start()
    process.join(10 * seconds)  # a mutant may also wait for ever, on any machine however busy
    with suppress(ProcessLookupError):
        os.killpg(process.pid or 0, signal.SIGKILL)  # and what it started
    process.join()
    return process.exitcode or 0


def cover(items: list[pytest.Item], modules: list[ModuleType]) -> dict[str, Covered]:
    """Every test that is not too long, by its name. Raises SystemExit where one fails."""
    files = {module.__name__: str(module.__file__) for module in modules}
    with tempfile.NamedTemporaryFile("r", suffix=".json") as found:

        def measure() -> bool:
            watched = coverage.Coverage(data_file=None, include=list(files.values()), config_file=False)
            began: list[tuple[str, float]] = []

            def next_test(item: pytest.Item) -> None:
                watched.switch_context(item.nodeid)
                began.append((item.nodeid, time.process_time()))

            for module in modules:
                install(module, ast.parse(inspect.getsource(module)))  # must change nothing
            watched.start()
            passed = passes(items, next_test)
            watched.stop()
            ends = [*(start for _, start in began[1:]), time.process_time()]
            contexts = {name: watched.get_data().contexts_by_lineno(file) for name, file in files.items()}
            tests = {
                test: {
                    "seconds": end - start,
                    "lines": {
                        name: [line for line, tests in lines.items() if test in tests]
                        for name, lines in contexts.items()
                    },
                }
                for (test, start), end in zip(began, ends, strict=True)
            }
            Path(found.name).write_text(json.dumps({"last": began[-1][0], "tests": tests, "loaded": list(sys.modules)}))
            return passed

        code = finish(measure, 3600)
        known = json.loads(found.read() or '{"last": "no test"}')
    if code != 0:
        raise SystemExit(f"{known['last']} fails without any mutant (exit code {code})")
    for name in known["loaded"]:  # what functions import, so that no mutant has to
        with suppress(Exception):
            importlib.import_module(name)
    return {test: Covered(**covered) for test, covered in known["tests"].items()}


def functions(module: ModuleType | type, file: str) -> Iterator[tuple[tuple[str, int], FunctionType]]:
    """The functions and methods that a module's source defines, by qualified name and line."""
    for value in list(vars(module).values()):
        for inner in (value, getattr(value, "fget", None), getattr(value, "__func__", None)):
            inner = inspect.unwrap(inner) if callable(inner) else None
            if isinstance(inner, FunctionType) and inner.__code__.co_filename == file:
                yield (inner.__qualname__, inner.__code__.co_firstlineno), inner
        if isinstance(value, type) and value.__module__ == getattr(module, "__module__", module.__name__):
            yield from functions(value, file)


def install(module: ModuleType, tree: ast.Module) -> None:
    """Have the functions and constants of a module, wherever they were imported, be those of another source."""
    file = str(module.__file__)
    fresh = ModuleType(module.__name__)
    fresh.__file__ = file
    exec(compile(tree, file, "exec"), vars(fresh))
    changed = dict(functions(fresh, file))
    for place, function in functions(module, file):
        other = changed[place]
        function.__code__, function.__defaults__ = other.__code__, other.__defaults__
        function.__kwdefaults__ = other.__kwdefaults__
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    setattr(module, target.id, getattr(fresh, target.id))


def survives(mutant: Mutant, module: ModuleType, items: list[pytest.Item], covered: dict[str, Covered]) -> bool:
    """Whether no test notices; those that cover the mutant's lines are run, the fastest first."""
    spans = (range(mutant.first, mutant.last + 1), range(mutant.scope[0], mutant.scope[1] + 1))
    tests = next((found for span in spans if (found := _covering(module.__name__, span, covered))), set())
    chosen = sorted((item for item in items if item.nodeid in tests), key=lambda item: covered[item.nodeid].seconds)

    def work() -> bool:
        install(module, mutant.tree())
        return passes(chosen)

    return finish(work, 5 + 3 * sum(covered[item.nodeid].seconds for item in chosen)) == 0


def _covering(module: str, span: range, covered: dict[str, Covered]) -> set[str]:
    return {
        test
        for test, what in covered.items()
        if what.seconds <= LONGEST and not set(span).isdisjoint(what.lines[module])
    }


def report(counts: dict[str, Counter[str]], survivors: list[str]) -> int:
    """Print the counts of each module as a table, and the survivors that the page doesn't name; the exit code."""
    explained = PAGE.read_text() if PAGE.exists() else ""
    print("\n| module | mutants | killed | survived |\n|---|---:|---:|---:|")
    for name, count in counts.items():
        print(f"| `{name}` | {count.total()} | {count['killed']} | {count['survived']} |")
    new = [survivor for survivor in survivors if f"`{survivor}`" not in explained]
    print(f"\n{len(survivors)} survived, {len(survivors) - len(new)} of them named in {PAGE.relative_to(ROOT)}.")
    for survivor in new:
        print(f"- `{survivor}`")
    return 1 if new else 0


def main() -> int:
    """Make and judge the mutants that the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", default=list(TESTS), metavar="MODULE")
    parser.add_argument("--sample", type=int, help="so many mutants of each module, drawn with a fixed seed")
    parser.add_argument("--only", default="", help="only mutants in whose name this regular expression is found")
    options = parser.parse_args()
    os.chdir(ROOT)
    # A mutant is one process on one core; numpy isn't loaded yet.
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    exit_code = 0

    def work(items: list[pytest.Item]) -> None:
        nonlocal exit_code
        modules = [importlib.import_module(name) for name in options.modules]
        covered = cover(items, modules)
        counts: dict[str, Counter[str]] = {name: Counter() for name in options.modules}
        survivors: list[str] = []
        for module in modules:
            mutants = [mutant for mutant in mutants_of(module) if re.search(options.only, mutant.name)]
            if options.sample and options.sample < len(mutants):
                mutants = random.Random(0).sample(mutants, options.sample)
            for mutant in mutants:
                outcome = "survived" if survives(mutant, module, items, covered) else "killed"
                counts[module.__name__][outcome] += 1
                print(f"{outcome} {mutant.name} (line {mutant.first})", flush=True)
                survivors += [mutant.name] if outcome == "survived" else []
        exit_code = report(counts, survivors)

    with tempfile.TemporaryDirectory() as temporary:
        plugins: list[Any] = [Session(work)]
        switches = ["-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider", "--capture=no"]
        switches += ["-k", f"not ({PROGRAMS})"]
        tests = sorted({str(ROOT / "tests" / TESTS[module]) for module in options.modules})
        done = pytest.main([*switches, f"--basetemp={temporary}/tests", *tests], plugins)
    return int(done) or exit_code


if __name__ == "__main__":
    raise SystemExit(main())
