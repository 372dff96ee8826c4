"""The fault battery: slow, and kept out of `make test`; `make faults` runs it.

`FAULTS=small` does a sample of a minute or two, `FAULTS=full` all of it. A test says with `tried` what it tried and
what was found; with `--write-docs` that goes into the tables of docs/reliability.md, where the sections that were not
run stay as they are.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from program import Forks

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
ROWS: dict[str, list[dict[str, Any]]] = {}

Tried = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-docs", action="store_true", help="renew the tables of docs/reliability.md")


@pytest.fixture(scope="session")
def size() -> str:
    """`small` or `full`."""
    asked = os.environ.get("FAULTS", "full")
    assert asked in ("small", "full"), f"FAULTS is {asked!r}, allowed: small, full"
    return asked


@pytest.fixture(scope="session")
def of_size(size: str) -> Callable[[int, int], int]:
    """The first of two numbers in the small battery, the second in the full one."""
    return lambda small, full: small if size == "small" else full


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Tried:
    """`tried("what was done", times, "what was found")`: a row of the table, if the test then passes."""

    def say(what: str, times: int = 1, found: str = "held") -> None:
        request.node.user_properties.append(("tried", [what, times, found]))

    return say


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Forks:
    """Starts commands without waiting for libraries to load."""
    return Forks(tmp_path_factory.mktemp("outputs"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.failed or report.skipped:
        section = Path(report.location[0]).stem.removeprefix("test_")
        rows = ROWS.setdefault(section, [])
        told = [value for name, value in report.user_properties if name == "tried"]
        if report.failed:
            rows.append({"what": report.location[2], "times": 1, "found": "FAILED"})
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            rows.append({"what": report.location[2], "times": 0, "found": reason})
        for what, times, found in told if report.passed else []:
            same = next((row for row in rows if (row["what"], row["found"]) == (what, found)), None)
            if same:
                same["times"] += times
            else:
                rows.append({"what": what, "times": times, "found": found})


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--write-docs") and not hasattr(session.config, "workerinput"):
        write_tables(os.environ.get("FAULTS", "full"))


def write_tables(size: str) -> None:
    """Put the table of each section that was run between its markers."""
    text = PAGE.read_text()
    for section, rows in ROWS.items():
        begin, end = f"<!-- {section}:begin -->", f"<!-- {section}:end -->"
        assert begin in text, f"{PAGE} has no section {section}"
        lines = ["| What was tried | Times | What was found |", "| --- | ---: | --- |"]
        lines += [f"| {row['what']} | {row['times']:,} | {row['found']} |" for row in sorted(rows, key=str)]
        if size == "small":
            lines.append("\nA small sample; `make faults` tries more.")
        before, _, rest = text.partition(begin)
        text = before + begin + "\n" + "\n".join(lines) + "\n" + end + rest.partition(end)[2]
    PAGE.write_text(text)
