"""`kill -9` at any moment: nothing published is ever half there, and what is gone on with ends in the same bytes.

Half of the kills come at a random time of the command's life; the others before a random one of its operations on the
folder of runs, so that the short moments between writing, flushing and renaming are met as often as the long ones.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
import sound
from conftest import Tried
from program import SWEEP, TINY, TRAIN, Forks, begin, environment, processes_of, program, wait_until

from mnistexp.runs import index, stored_runs

OfSize = Callable[[int, int], int]
SERIAL = [*SWEEP, "--executor", "serial"]
PROCESSES = [*SWEEP, "--executor", "processes", "--workers", "2"]
BEST = ["best", *TINY, "--epochs", "1", "--set", "sweep.folds=2", "--set", "sweep.executor=serial", "--set"]
BEST += [
    'sweep.grid=[{"optimizer.name": ["adam"], "optimizer.learning_rate": [0.001, 0.01]}, {"model.dropout": [0, 0.3]}]'
]


@dataclass
class Life:
    """A command's life without a kill: its seconds and its operations."""

    seconds: float
    operations: int


@dataclass
class Killer:
    """Runs a command again and again, killing it; after each kill all of the folder must be sound."""

    forks: Forks
    cwd: Path
    arguments: list[str]
    random: random.Random
    kills: int = 0
    resumable: int = 0

    @property
    def runs(self) -> Path:
        return self.cwd / "runs"

    def live(self) -> Life:
        log = self.cwd.parent / f"{self.cwd.name}-operations"
        done = self.forks.run(*self.arguments, cwd=self.cwd, below=str(self.cwd), log=str(log))
        assert done.code == 0, done.said
        life = Life(done.seconds, len(log.read_text("utf-8", "replace").splitlines()))
        sound.check(self.runs)
        return life

    def kill(self, arguments: list[str], life: Life) -> bool:
        """Start the command and kill it; whether the kill came before its end."""
        if self.random.random() < 0.5:
            started = self.forks.start(*arguments, cwd=self.cwd)
            if not started.ends_within(self.random.random() * life.seconds):
                started.kill()
        else:
            at = self.random.randint(1, life.operations)
            started = self.forks.start(*arguments, cwd=self.cwd, below=str(self.cwd), kill_at=at)
        done = started.done()
        assert done.code in (0, -signal.SIGKILL), done.said
        self.kills += done.code != 0
        sound.check(self.runs)
        if self.runs.exists():
            self.resumable += any(info.status == "interrupted" for info in stored_runs.list_runs(self.runs))
        return done.code != 0

    def finish(self, arguments: list[str]) -> None:
        done = self.forks.run(*arguments, cwd=self.cwd)
        assert done.code == 0, done.said
        sound.check(self.runs)


@pytest.fixture
def killer(forks: Forks, tmp_path: Path) -> Callable[[list[str]], Killer]:
    def make(arguments: list[str]) -> Killer:
        (tmp_path / "work").mkdir()
        return Killer(forks, tmp_path / "work", arguments, random.Random(str(arguments)))

    return make


def again(killer: Killer) -> list[str]:
    """What a person types after a kill: `--resume` for a training that can be resumed, and the same command again."""
    if killer.arguments[0] == "train" and killer.runs.exists():
        unfinished = [info for info in stored_runs.list_runs(killer.runs) if info.status == "interrupted"]
        if unfinished:
            return ["train", "--resume", unfinished[-1].id]
    return killer.arguments


def outcomes_of(runs_dir: Path, command: str) -> list[set[str]]:
    """What each finished run of the command results in; of `reproduce`, what all runs that it is made of do."""

    def results(info: stored_runs.StoredRun) -> set[str]:
        found = sound.results(info.path).items()
        return {f"{info.command} {info.name} {name} {sha256(content).hexdigest()}" for name, content in found}

    done = [info for info in stored_runs.list_runs(runs_dir) if info.status == "done"]
    outcomes = [results(info) for info in done if info.command == command]
    if command == "reproduce" and outcomes:
        return [set().union(*map(results, done))]
    return outcomes


COMMANDS = {
    "train": (TRAIN, 2, 60, 6),
    "sweep, serial": (SERIAL, 2, 25, 5),
    "sweep, parent of worker processes": (PROCESSES, 1, 20, 4),
    "best": (BEST, 1, 25, 5),
    "reproduce (a tiny one)": (["tiny-reproduce", "runs"], 1, 10, 5),
}
"""Command line, kills in the small and in the full battery, and after how many kills it may come to its end."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_leaves_whole_runs_and_ends_in_the_same_bytes(
    name: str, killer: Callable[[list[str]], Killer], of_size: OfSize, tried: Tried
) -> None:
    arguments, small, full, rest = COMMANDS[name]
    one = killer(arguments)
    life = one.live()
    command = {"tiny-reproduce": "reproduce"}.get(arguments[0], arguments[0])
    [wanted] = outcomes_of(one.runs, command)
    assert wanted
    compared = 0
    shutil.rmtree(one.runs)
    attempts = 0
    while one.kills < of_size(small, full):
        attempts += 1
        assert attempts < 10 * of_size(small, full), "most kills came too late"
        one.kill(again(one), life)
        if attempts % rest == 0 or one.kills == of_size(small, full):
            one.finish(again(one))
            outcomes = outcomes_of(one.runs, command)
            assert outcomes
            for outcome in outcomes:
                assert sorted(outcome) == sorted(wanted)
            compared += len(outcomes)
            one.forks.run("summary", "--runs-dir", "runs", cwd=one.cwd)
            sound.check_cleared(one.runs)
            shutil.rmtree(one.runs)
    tried(f"`kill -9` of {name}, then the command again", one.kills, "every published run whole or marked interrupted")
    tried(f"{name}: results after kills compared with an unkilled run's", compared, "the same bytes")


def kill_workers(
    arguments: list[str], cwd: Path, kills: int, draw: random.Random, is_worker: Callable[[int], bool]
) -> tuple[str, int]:
    """Run a sweep while its workers are killed one by one; what it said, and how many were killed."""
    started = begin(program(*arguments), cwd, subprocess.STDOUT)
    killed: set[int] = set()
    fits = cwd / "runs"

    def stored() -> int:
        return len(list(fits.glob("*/trials/*.json")))

    try:
        while len(killed) < kills and started.poll() is None:
            seen = stored()
            wait_until(lambda seen=seen: started.poll() is not None or stored() > seen)  # type: ignore[misc]
            workers = [pid for pid in processes_of(started.pid) if is_worker(pid) and pid not in killed]
            if workers and started.poll() is None:
                victim = draw.choice(workers)
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
        said, _ = started.communicate(timeout=600)
    finally:
        started.kill()
    assert started.returncode == 0, said.decode()
    wait_until(lambda: not processes_of(started.pid))
    return said.decode(), len(killed)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def is_forked_worker(pid: int) -> bool:
    """A child of the process that workers are forked from."""
    return "forkserver" in command_line(pid) and "forkserver" in command_line(parent(pid))


def is_dask_worker(pid: int) -> bool:
    return "spawn_main" in command_line(pid)


WORKERS = {"process": ("processes", is_forked_worker, 1, 20), "Dask": ("dask", is_dask_worker, 1, 10)}


@pytest.mark.parametrize("kind", WORKERS)
def test_a_sweep_survives_the_death_of_its_workers(
    kind: str, forks: Forks, tmp_path: Path, of_size: OfSize, tried: Tried
) -> None:
    executor, is_worker, small, full = WORKERS[kind]
    kills, epochs = of_size(small, full), "20" if executor == "dask" else "2"
    (tmp_path / "reference").mkdir()
    (tmp_path / "work").mkdir()
    rates = ",".join(f"{0.001 * (1 + number):g}" for number in range(max(2, kills)))
    sweep = ["sweep-optimizer", "--opt", "adam", "--grid", f"learning_rate={rates}", "--epochs", epochs, *TINY]
    done = forks.run(*sweep, "--executor", "serial", cwd=tmp_path / "reference")
    assert done.code == 0, done.said
    killing = [*sweep, "--executor", executor, "--workers", "2", "--set", "sweep.retries=10"]
    said, killed = kill_workers(killing, tmp_path / "work", kills, random.Random(kind), is_worker)
    assert "Traceback" not in said
    sound.check(tmp_path / "work" / "runs")
    folders = [sound.done_of(tmp_path / place / "runs", "sweep-optimizer")[-1] for place in ("reference", "work")]
    assert sound.results(folders[0]) == sound.results(folders[1])
    assert killed >= 1
    tried(f"`kill -9` of a {kind} worker of a sweep", killed, "the sweep continued, to the same bytes")


def test_a_killed_report_is_missing_or_complete(
    killer: Callable[[list[str]], Killer], of_size: OfSize, tried: Tried
) -> None:
    one = killer(["report", "latest"])
    done = one.forks.run(*TRAIN, cwd=one.cwd)
    assert done.code == 0, done.said
    life = one.live()
    [folder] = sound.done_of(one.runs, "train")
    page = folder / "report.html"
    wanted = page.read_bytes()
    while one.kills < of_size(2, 20):
        page.unlink(missing_ok=True)
        if one.kill(one.arguments, life) and page.exists():
            assert page.read_bytes() == wanted
    page.unlink(missing_ok=True)
    one.finish(one.arguments)
    assert page.read_bytes() == wanted
    tried("`kill -9` of report", one.kills, "no page or the whole page; the run untouched")


def test_a_killed_index_rebuild_changes_no_answer(
    killer: Callable[[list[str]], Killer], of_size: OfSize, tried: Tried
) -> None:
    one = killer(["runs", "list", "--limit", "1000", "--json"])
    done = one.forks.run("summary", cwd=one.cwd)
    assert done.code == 0, done.said
    [first] = one.runs.iterdir()
    for number in range(of_size(20, 200)):
        shutil.copytree(first, one.runs / f"{first.name[:-4]}{number:04x}", dirs_exist_ok=True)
    for path in one.runs.glob("*/*"):
        os.utime(path, (1e9, 1e9))  # long settled
    wanted = one.forks.run(*one.arguments, cwd=one.cwd)
    assert json.loads(wanted.said)
    shutil.rmtree(one.runs / ".cache", ignore_errors=True)
    life = one.live()
    while one.kills < of_size(3, 10):
        shutil.rmtree(one.runs / ".cache", ignore_errors=True)
        one.kill(one.arguments, life)
        assert one.forks.run(*one.arguments, cwd=one.cwd).said == wanted.said
    stored = (one.runs / index.INDEX).read_bytes().splitlines()
    assert len(stored) == 1 + len(stored_runs.list_runs(one.runs))
    tried("`kill -9` while the index of runs was rebuilt", one.kills, "the listing the same, and the next one whole")


# Planted faults: with these the same checks must fail.

PLAIN_WRITE = """
from contextlib import contextmanager
from mnistexp.runs import files
@contextmanager
def replacing(path):
    yield path
files.replacing = replacing
"""
VISIBLE_STAGING = """
from mnistexp.runs import staging, run_folder
for module in (staging, run_folder):
    module.staging_name = lambda run_id: run_id
"""
WRITER = """
import sys
{fault}
from pathlib import Path
from mnistexp.runs.run_folder import Run
with Run.create(Path(sys.argv[1]), "summary", "planted", "seed: 1\\n") as run:
    run.add("metrics.json", {{"text": "x" * 100_000}})
    run.add("network.png", {png!r})
"""


@pytest.fixture(scope="module")
def picture() -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (64, 64), 7).save(buffer, "png")
    return buffer.getvalue()


def operations(script: str, folder: Path) -> int:
    log = folder / "log"
    variables = environment(below=str(folder), log=str(log))
    subprocess.run([sys.executable, "-c", script, str(folder / "runs")], env=variables, check=True)
    shutil.rmtree(folder / "runs")
    return len(log.read_text().splitlines())


def unsound(script: str, folder: Path) -> Iterator[int]:
    """The numbers of the operations before which a kill leaves a folder that the checks don't take."""
    for at in range(1, operations(script, folder) + 1):
        variables = environment(below=str(folder), kill_at=at)
        subprocess.run([sys.executable, "-c", script, str(folder / "runs")], env=variables, check=False)
        try:
            sound.check(folder / "runs")
        except Exception:  # whatever reading half a run makes
            yield at
        shutil.rmtree(folder / "runs", ignore_errors=True)


def test_visible_staging_would_be_found(picture: bytes, tmp_path: Path, tried: Tried) -> None:
    assert next(unsound(WRITER.format(fault=VISIBLE_STAGING, png=picture), tmp_path), None) is not None
    tried("planted: runs prepared in sight", 1, "found by the checks")


def test_a_plain_write_would_be_found(tmp_path: Path, tried: Tried) -> None:
    """A published run's file that is written in place, by a process killed in the middle of it."""
    script = """
import os, signal, sys
{fault}
from pathlib import Path
from mnistexp.runs import files
from mnistexp.runs.run_folder import Run
with Run.create(Path(sys.argv[1]), "train", "planted", "seed: 1\\n", visible=True) as run:
    run.add("metrics.json", {{"text": "old"}})
    with files.replacing(run.path / "metrics.json") as path:
        with path.open("w") as file:
            file.write('{{"schema_version": 1, "text": "ne')
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
"""
    for fault, is_found in ((PLAIN_WRITE, True), ("", False)):
        runs = tmp_path / f"runs-{is_found}"
        subprocess.run([sys.executable, "-c", script.format(fault=fault), str(runs)], check=False)
        found = []
        try:
            assert set(sound.check(runs).values()) == {"interrupted"}
        except Exception as error:
            found.append(error)
        assert bool(found) == is_found, found
    tried("planted: files written in place, without a rename", 1, "found by the checks")


def test_the_writer_without_a_fault_passes_the_same_checks(
    picture: bytes, tmp_path: Path, size: str, tried: Tried
) -> None:
    script = WRITER.format(fault="", png=picture)
    if size == "full":
        assert list(unsound(script, tmp_path)) == []
        tried("`kill -9` before each single operation of writing a run", operations(script, tmp_path))
        return
    count = operations(script, tmp_path)
    for at in (count // 2, count - 3, count - 1):
        variables = environment(below=str(tmp_path), kill_at=at)
        killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "runs")], env=variables, check=False)
        assert killed.returncode == -signal.SIGKILL
        sound.check(tmp_path / "runs")
    tried("`kill -9` before single operations of writing a run", 3)
