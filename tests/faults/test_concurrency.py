"""Many commands at once into one folder of runs: no clash, nothing lost, one answer."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sound
from conftest import Tried
from program import SWEEP, TINY, Forks, wait_until

from mnistexp.runs import index, stored_runs

OfSize = Callable[[int, int], int]
TRAIN = ["train", "--epochs", "2", "--name", "same", *TINY]
SERIAL = [*SWEEP, "--executor", "serial", "--name", "same"]


def listing(runs_dir: Path) -> list[dict[str, object]]:
    return [
        {"id": run.id, "status": run.status, "metrics": dict(run.numbers), "tags": run.tags}
        for run in index.read_all(runs_dir)
    ]


def test_trainings_and_sweeps_at_once(forks: Forks, tmp_path: Path, of_size: OfSize, tried: Tried) -> None:
    trainings, sweeps = of_size(3, 8), of_size(1, 2)
    started = [forks.start(*TRAIN, cwd=tmp_path) for _ in range(trainings)]
    started += [forks.start(*SERIAL, cwd=tmp_path) for _ in range(sweeps)]
    looks = 0
    while not all(one.ends_within(0.05) for one in started):
        if (tmp_path / "runs").exists():  # others list meanwhile
            stored_runs.list_runs(tmp_path / "runs")
            index.read_all(tmp_path / "runs")
            looks += 1
    for one in started:
        done = one.done()
        assert done.code == 0, done.said
        assert "Traceback" not in done.said
    runs = tmp_path / "runs"
    assert list(sound.check(runs).values()) == ["done"] * (trainings + sweeps)
    sound.check_cleared(runs)
    for command in ("train", "sweep-optimizer"):
        results = [sound.results(folder) for folder in sound.done_of(runs, command)]
        assert all(result == results[0] for result in results)
    assert len(list(runs.glob(".cache/fits/*/*.fit"))) == 6
    before = listing(runs)
    shutil.rmtree(runs / ".cache")
    assert listing(runs) == before
    again = forks.run(*SERIAL, "--json", cwd=tmp_path)
    assert again.code == 0, again.said
    tried(
        f"{trainings} trainings and {sweeps} sweeps of one name at once", trainings + sweeps, "no clash, the same bytes"
    )
    tried("listings meanwhile", looks, "no error")


def test_many_short_runs_in_the_same_second(forks: Forks, tmp_path: Path, of_size: OfSize, tried: Tried) -> None:
    count = of_size(8, 60)
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda _: forks.run("summary", cwd=tmp_path), range(count)))
    assert {one.code for one in done} == {0}, [one.said for one in done if one.code]
    assert list(sound.check(tmp_path / "runs").values()) == ["done"] * count
    assert len(listing(tmp_path / "runs")) == count
    tried("short runs of one command, eight at a time", count, "as many folders, all listed")


ANNOTATE = """
import sys
{fault}
from pathlib import Path
from mnistexp.runs.annotations import annotate
for number in range(int(sys.argv[3])):
    annotate(Path(sys.argv[1]), add=[f"{{sys.argv[2]}}-{{number}}"])
"""
NO_LOCK = """
from contextlib import contextmanager
from mnistexp.runs import annotations
@contextmanager
def lock(*arguments, **options):
    yield
annotations.lock = lock
"""


def tags_of(folder: Path, writers: int, each: int, fault: str = "") -> set[str]:
    """The tags that are there after several processes have added some at once."""
    started = [
        subprocess.Popen([sys.executable, "-c", ANNOTATE.format(fault=fault), str(folder), str(number), str(each)])
        for number in range(writers)
    ]
    codes = [one.wait(300) for one in started]
    if not fault:
        assert set(codes) == {0}
    return set(json.loads((folder / "annotations.json").read_text())["tags"])


@pytest.fixture
def folder(forks: Forks, tmp_path: Path) -> Path:
    assert forks.run("summary", cwd=tmp_path).code == 0
    [path] = (tmp_path / "runs").glob("2*")
    return path


def test_tags_of_many_writers_and_the_planted_loss_of_the_lock(folder: Path, tried: Tried) -> None:
    assert len(tags_of(folder, 4, 12)) == 48
    tried("tags that four processes give one run at once", 48, "none lost")
    (folder / "annotations.json").unlink()
    assert len(tags_of(folder, 4, 12, NO_LOCK)) < 48
    tried("planted: no lock around the tags", 1, "found by the checks")


def test_one_run_is_resumed_by_one_process(forks: Forks, tmp_path: Path, tried: Tried) -> None:
    first = forks.start("train", "--epochs", "100000", *TINY, cwd=tmp_path)
    try:
        while not list((tmp_path / "runs").glob("*/checkpoint.npz")):
            assert not first.ends_within(0.05), first.output.read_text()
        [run] = stored_runs.list_runs(tmp_path / "runs")
        done = forks.run("train", "--resume", run.id, cwd=tmp_path)
        assert done.code == 1
        assert "in use by another process" in done.said
        assert forks.run("train", "--resume", "latest", cwd=tmp_path).code == 2  # the latest that isn't running
    finally:
        first.kill()
        first.done()
    rivals = [forks.start("train", "--resume", run.id, cwd=tmp_path) for _ in range(2)]
    try:
        wait_until(lambda: any(one.ends_within(0.02) for one in rivals))
        [over] = [one for one in rivals if one.ends_within(0)]
        done = over.done()
        assert done.code == 1
        assert "in use by another process" in done.said
    finally:
        for one in rivals:
            one.kill()
            one.done()
    tried("a run resumed while it is running, and by two at once", 3, "one continues, the other is refused")
