"""Clocks that are wrong, set back, or in other zones: ids stay unique and in order."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sound
from conftest import Tried
from program import run

import mnistexp
from mnistexp.runs import index, references, stored_runs
from mnistexp.runs.staging import time_of

OfSize = Callable[[int, int], int]
HOUR = 3600


def make(cwd: Path, **faults: Any) -> str:
    """The id of a new run."""
    before = set(stored_runs.run_names(cwd / "runs"))
    done = run("summary", cwd=cwd, **faults)
    assert done.code == 0, done.said
    [new] = set(stored_runs.run_names(cwd / "runs")) - before
    return new


def in_order(runs_dir: Path, ids: list[str]) -> None:
    """Raises AssertionError unless runs are listed in the order in which they were made."""
    sound.check(runs_dir)
    assert len(set(ids)) == len(ids)
    assert [info.id for info in stored_runs.list_runs(runs_dir)] == ids
    assert [entry.id for entry in index.read_all(runs_dir)] == ids
    assert references.one(runs_dir, "latest").id == ids[-1]


def test_a_clock_set_back(tmp_path: Path, of_size: OfSize, tried: Tried) -> None:
    clocks = [0, -5, -HOUR, -2 * HOUR, 0, -23 * HOUR + 60, -30][: of_size(4, 7)]
    ids = [make(tmp_path, clock=seconds) for seconds in clocks]
    in_order(tmp_path / "runs", ids)
    tried("clock set back by seconds to 23 hours between runs", len(ids), "ids unique, in the order of making")


def test_a_clock_that_was_years_ahead(tmp_path: Path, tried: Tried) -> None:
    ahead = make(tmp_path, clock=10 * 365 * 86_400)
    now = make(tmp_path)
    found = time_of(now)
    assert found is not None
    assert abs((found - datetime.now(UTC)).total_seconds()) < HOUR
    assert [info.id for info in stored_runs.list_runs(tmp_path / "runs")] == [now, ahead]
    sound.check(tmp_path / "runs")
    tried("clock that was ten years ahead for a while", 2, "later ids tell the right time")


ZONES = ["Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "CET-1CEST,M11.4.2,M11.4.3"]


def test_zones_and_daylight_changes(tmp_path: Path, of_size: OfSize, tried: Tried) -> None:
    """Runs made around both changes of a zone's clocks, and in zones 25 hours apart."""
    ids = [make(tmp_path, variables={"TZ": zone}) for zone in ZONES[: of_size(3, 5)]]
    in_order(tmp_path / "runs", ids)
    for moment in (datetime(2027, 3, 28, 0, 59, 59, tzinfo=UTC), datetime(2027, 10, 31, 0, 59, 59, tzinfo=UTC)):
        shift = (moment - datetime.now(UTC)).total_seconds()
        for seconds in (0, 1, 2, HOUR)[: of_size(2, 4)]:
            ids.append(make(tmp_path, variables={"TZ": "Europe/Berlin"}, clock=shift + seconds))
    in_order(tmp_path / "runs", ids)
    tried("time zones, and both daylight changes", len(ids), "ids in UTC, in the order of making")


def test_two_hosts_with_different_clocks(tmp_path: Path, of_size: OfSize, tried: Tried) -> None:
    """Both write into one folder at once, a minute apart by their clocks."""
    count = of_size(2, 10)
    clocks = [0, -60] * count
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda clock: run("summary", cwd=tmp_path, clock=clock), clocks))
    assert {one.code for one in done} == {0}, [one.said for one in done]
    runs = tmp_path / "runs"
    found = sound.check(runs)
    assert list(found.values()) == ["done"] * 2 * count
    assert [info.id for info in stored_runs.list_runs(runs)] == [entry.id for entry in index.read_all(runs)]
    tried("two hosts at once, their clocks a minute apart", 2 * count, "ids unique, one order for all readers")


def test_an_order_by_the_clock_alone_would_be_found(tmp_path: Path, tried: Tried) -> None:
    copy = tmp_path / "package"
    shutil.copytree(Path(mnistexp.__file__).parent, copy / "mnistexp", ignore=shutil.ignore_patterns("__pycache__"))
    module = copy / "mnistexp" / "runs" / "staging.py"
    text = module.read_text()
    planted = "if moment < newest < moment + FORGIVEN_CLOCK:"
    assert planted in text
    module.write_text(text.replace(planted, "if False:"))
    ids = [make(tmp_path, package=copy, clock=seconds) for seconds in (0, -HOUR)]
    with pytest.raises(AssertionError):
        in_order(tmp_path / "runs", ids)
    tried("planted: ids by the clock alone", 1, "found by the checks")
