"""Executors: each task once, whatever dies; nothing left behind."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import dask
import pytest
import worker_tasks
from distributed import Client, Nanny  # before a test sets one of its settings: undoing that would remove them all
from programs import is_alive

from mnistexp.errors import BadInput, RunError
from mnistexp.sweeps.executors.cores import cpu_quota, usable_cores
from mnistexp.sweeps.executors.executors import ExecutorKind, Lost, open_executor, outcomes

TESTS = Path(__file__).parents[1]
KINDS: list[ExecutorKind] = ["serial", "processes", "dask"]
WITH_WORKERS: list[ExecutorKind] = ["processes", "dask"]


def open_plain(kind: ExecutorKind, workers: int = 2):
    return open_executor(kind, workers, None, worker_tasks.initialize_nothing, ())


@pytest.mark.parametrize("kind", KINDS)
def test_each_task_is_returned_once_with_its_result(kind: ExecutorKind) -> None:
    with open_plain(kind) as executor:
        found = list(outcomes(executor, worker_tasks.square, range(50), retries=0))
    assert sorted(found) == [(number, number**2) for number in range(50)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_worker_receives_what_it_needs_once(kind: ExecutorKind, tmp_path: Path) -> None:
    with open_executor(kind, 2, None, worker_tasks.receive, (tmp_path, 3)) as executor:
        found = dict(outcomes(executor, worker_tasks.times_received, range(40), retries=0))
    assert found == {number: 3 * number for number in range(40)}
    calls = [path.read_text() for path in tmp_path.glob("initialized-*")]
    assert set(calls) == {"once\n"}
    assert len(calls) <= 2


@pytest.mark.parametrize("kind", ["processes", pytest.param("dask", marks=pytest.mark.slow)])
def test_a_task_whose_worker_dies_is_retried_on_another(kind: ExecutorKind, tmp_path: Path) -> None:
    tasks = [(tmp_path, number) for number in range(12)]
    with open_plain(kind) as executor:
        found = dict(outcomes(executor, worker_tasks.die_once, tasks, retries=2))
    assert {task[1]: outcome for task, outcome in found.items()} == {number: number for number in range(12)}
    assert len(list(tmp_path.glob("died-*"))) == 2


@pytest.mark.parametrize("kind", WITH_WORKERS)
def test_a_task_that_always_kills_its_worker_is_lost_and_no_other(kind: ExecutorKind) -> None:
    # However long a new worker takes to start: on a busy machine longer than Dask by itself would wait.
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1ms"}), open_plain(kind) as executor:
        found = dict(outcomes(executor, worker_tasks.die_at_seven, range(12), retries=2))
    lost = found.pop(7)
    assert isinstance(lost, Lost)
    assert "3 attempts" in lost.reason
    assert found == {number: number for number in range(12) if number != 7}


def test_a_result_that_dies_with_its_worker_after_the_task_is_lost_too(tmp_path: Path) -> None:
    with open_plain("dask") as executor:
        [(_, lost)] = outcomes(executor, worker_tasks.die_once_done, [tmp_path], retries=0)
    assert isinstance(lost, Lost)


def test_without_any_worker_dask_ends_each_try_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mnistexp.sweeps.executors import dask_cluster

    settings = dask_cluster.SETTINGS | {"distributed.scheduler.no-workers-timeout": "10ms"}
    before = [dask.config.get(key, None) for key in settings]
    monkeypatch.setattr(dask_cluster, "SETTINGS", settings)
    with open_executor("dask", 1, None, worker_tasks.start_once, (tmp_path,)) as executor:
        [(_, lost)] = outcomes(executor, worker_tasks.die_at_seven, [7], retries=1)
    assert isinstance(lost, Lost)
    # The law is that each try ends. The last one may still meet the worker that dies, or find none.
    assert any(said in lost.reason for said in ("without any running workers", "all those workers died"))
    assert [dask.config.get(key, None) for key in settings] == before


def test_workers_that_dask_waits_for_forever_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from mnistexp.sweeps.executors import dask_cluster

    async def never(*_: Any, **__: Any) -> None:
        await asyncio.sleep(1000)

    monkeypatch.setattr(dask_cluster, "SECONDS_TO_CLOSE", 0.5)
    with open_plain("dask") as executor:
        workers = {found for _, found in outcomes(executor, worker_tasks.process_id, range(20), retries=0)}
        monkeypatch.setattr(Nanny, "close", never)
    wait_until(lambda: not any(map(is_alive, workers)))


def test_after_a_kill_there_is_one_worker_fewer_down_to_one(tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []
    tasks = [(tmp_path, number) for number in range(12)]
    with open_plain("processes") as executor:
        again = lambda task, reason: told.append((task[1], reason))  # noqa: E731
        found = list(outcomes(executor, worker_tasks.die_once, tasks, retries=2, died=again))
        assert executor.workers == executor.at_once == 1
    assert sorted(number for _, number in found) == list(range(12))
    assert sorted(number for number, _ in told) == [2, 7]
    assert all("SIGKILL (out of memory?)" in reason for _, reason in told)


def test_the_reason_of_a_workers_death_is_reported() -> None:
    with open_plain("processes") as executor:
        [(_, lost)] = outcomes(executor, worker_tasks.die_at_seven, [7], retries=0)
    assert isinstance(lost, Lost)
    assert "SIGKILL (out of memory?)" in lost.reason


def test_workers_that_end_at_once_are_each_reported_with_their_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    really, pauses = forkserver.read_signed, cycle([0.2, 0.0])

    def slowly(handle: int) -> int:
        time.sleep(next(pauses))
        return really(handle)

    with open_plain("processes", workers=4) as executor:
        assert dict(outcomes(executor, worker_tasks.square, range(4), retries=0))
        monkeypatch.setattr(forkserver, "read_signed", slowly)  # so that others ask meanwhile
        found = dict(outcomes(executor, worker_tasks.exit_with, [11, 12, 13, 14], retries=0))
    assert {code: str(lost.reason) for code, lost in found.items() if isinstance(lost, Lost)} == {
        code: f"the worker process ended with exit code {code} (1 attempts)" for code in (11, 12, 13, 14)
    }


def test_the_last_attempt_runs_alone(tmp_path: Path) -> None:
    tasks = [(tmp_path, number) for number in range(12)]
    with open_plain("processes", workers=3) as executor:
        found = list(outcomes(executor, worker_tasks.die_twice_then_count_others, tasks, retries=2))
    assert found[-1] == ((tmp_path, 0), 0)
    assert len(found) == 12


def test_a_worker_that_dies_idle_costs_at_most_one_attempt() -> None:
    with open_plain("processes", workers=1) as executor:
        [(_, worker)] = outcomes(executor, worker_tasks.process_id, [0], retries=0)
        assert isinstance(worker, int)
        os.kill(worker, signal.SIGKILL)
        [(_, other)] = outcomes(executor, worker_tasks.process_id, [0], retries=1)
    assert isinstance(other, int)
    assert other != worker


@pytest.mark.parametrize("kind", KINDS)
def test_few_tasks_are_in_flight_however_many_there_are(kind: ExecutorKind) -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        while taken < 400:
            taken += 1
            yield taken

    most = 0
    with open_plain(kind) as executor:
        for done, _ in enumerate(outcomes(executor, worker_tasks.square, tasks(), retries=0), start=1):
            most = max(most, taken - done)
        assert most <= executor.at_once
    assert taken == 400


@pytest.mark.parametrize("kind", KINDS)
def test_at_the_time_limit_only_the_tasks_in_flight_are_finished(kind: ExecutorKind) -> None:
    done: list[int] = []
    with open_plain(kind) as executor:
        for task, _ in outcomes(executor, worker_tasks.square, range(50), retries=0, more=lambda: len(done) < 3):
            done.append(task)
        assert 3 <= len(done) < 3 + executor.workers
    assert sorted(done) == list(range(len(done)))


def test_a_cluster_that_runs_already_is_used_and_left_running(cluster) -> None:
    with open_executor("dask", None, cluster.scheduler_address, worker_tasks.initialize_nothing, ()) as executor:
        found = list(outcomes(executor, worker_tasks.square, range(10), retries=0))
    assert len(found) == 10
    with open_executor("dask", None, cluster.scheduler_address, worker_tasks.initialize_nothing, ()) as executor:
        assert executor.workers == 2


# Dask's client leaves coroutines behind that tried to reach the scheduler again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cluster_that_goes_away_is_reported(cluster, capfd: pytest.CaptureFixture[str]) -> None:
    with open_executor("dask", None, cluster.scheduler_address, worker_tasks.initialize_nothing, ()) as executor:
        done = outcomes(executor, worker_tasks.square, range(10**6), retries=0)
        next(done)
        cluster.close()
        with pytest.raises(RunError, match=r"scheduler at tcp://127\.0\.0\.1:\d+ no longer answers"):
            list(done)
    assert not capfd.readouterr().err


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "no address at all", "carrier-pigeon://127.0.0.1:8786"])
def test_a_missing_scheduler_is_bad_input(
    address: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mnistexp.sweeps.executors.dask_cluster.SECONDS_TO_CONNECT", 0.1)
    with pytest.raises(BadInput, match="no Dask scheduler answers"):
        open_executor("dask", None, address, worker_tasks.initialize_nothing, ())
    assert not capfd.readouterr().err
    assert {client.status for client in gc.get_objects() if issubclass(type(client), Client)} <= {"closed"}


STUCK = """
import sys
from pathlib import Path
from typing import Any
import worker_tasks
from mnistexp.sweeps.executors.executors import open_executor, outcomes

folder = Path(sys.argv[2])
with open_executor(sys.argv[1], 2, None, worker_tasks.initialize_nothing, ()) as executor:
    list(outcomes(executor, worker_tasks.announce_and_wait, [folder, folder], retries=0))
"""
"""Without `if __name__ == "__main__"`, as users write scripts: workers must not run it once more."""


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[Callable[[ExecutorKind], tuple[subprocess.Popen[str], list[int]]]]:
    """Starts a program whose two workers are in the middle of something, and tells their process ids."""
    script = tmp_path / "stuck.py"
    script.write_text(STUCK)
    programs = []

    def start(kind: ExecutorKind) -> tuple[subprocess.Popen[str], list[int]]:
        program = subprocess.Popen(
            [sys.executable, script, kind, tmp_path],
            env=os.environ | {"PYTHONPATH": str(TESTS)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        programs.append(program)
        wait_until(lambda: program.poll() is not None or len(list(tmp_path.glob("pid-*"))) == 2)
        assert program.poll() is None
        return program, [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]

    yield start
    for program in programs:
        program.kill()
        program.wait()
        assert program.stderr
        program.stderr.close()


@pytest.mark.parametrize("kind", WITH_WORKERS)
def test_workers_end_with_a_parent_that_is_killed(kind: ExecutorKind, stuck) -> None:
    program, workers = stuck(kind)
    program.kill()
    program.wait()
    wait_until(lambda: not any(map(is_alive, workers)))


@pytest.mark.parametrize("kind", WITH_WORKERS)
def test_ctrl_c_ends_everything_quietly(kind: ExecutorKind, stuck) -> None:
    program, workers = stuck(kind)
    for worker in workers:  # which leave it to their parent
        os.kill(worker, signal.SIGINT)
    os.killpg(program.pid, signal.SIGINT)  # a terminal sends it to the whole group
    _, said = program.communicate()
    assert said.count("Traceback") == 1, said
    assert said.endswith("KeyboardInterrupt\n")
    wait_until(lambda: not any(map(is_alive, workers)))


INTERRUPTED = """
import asyncio, logging, os, signal, distributed, worker_tasks
from mnistexp.sweeps.executors.executors import open_executor

async def say():
    while True:
        logging.getLogger("distributed.batched").info("a connection was closed")
        await asyncio.sleep(0)

saying = set()
async def instantiate(nanny, instantiate=distributed.Nanny.instantiate):
    os.kill(os.getpid(), signal.SIGINT)
    saying.add(asyncio.ensure_future(say()))  # until the end, as Dask may of the connections that it closes
    started = await instantiate(nanny)
    print(nanny.pid, flush=True)
    return started

distributed.Nanny.instantiate = instantiate
with open_executor("dask", 2, None, worker_tasks.initialize_nothing, ()):
    print("open")
"""


def test_ctrl_c_while_dask_starts_its_workers_ends_them_quietly() -> None:
    variables = os.environ | {"PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], env=variables, capture_output=True, text=True)
    assert done.stderr.startswith("Traceback"), done.stderr
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert done.stderr.endswith("KeyboardInterrupt\n")
    workers = [int(line) for line in done.stdout.splitlines()]
    assert len(workers) == 2
    wait_until(lambda: not any(map(is_alive, workers)))


def wait_until(happened: Callable[[], bool]) -> None:
    """Return once something happened, however long a busy machine takes over it."""
    while not happened():
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no affinity to set")
def test_there_are_at_most_as_many_workers_as_cores() -> None:
    code = (
        "import os; from mnistexp.sweeps.executors.cores import usable_cores; first = min(os.sched_getaffinity(0));"
        "os.sched_setaffinity(0, {first}); print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("cgroups", "limits", "expected"),
    [
        ("0::/jobs/mine\n", {"jobs/mine/cpu.max": "150000 100000"}, 1.5),
        ("0::/jobs/mine\n", {"jobs/mine/cpu.max": "max 100000", "jobs/cpu.max": "300000 100000"}, 3.0),
        ("0::/jobs/mine\n", {"jobs/mine/cpu.max": "max 100000"}, float("inf")),
        ("0::/on/the/host\n", {"cpu.max": "50000 100000"}, 0.5),
        (
            "4:cpu,cpuacct:/mine\n3:memory:/mine\n0::/\n",
            {"cpu,cpuacct/mine/cpu.cfs_quota_us": "200000", "cpu,cpuacct/mine/cpu.cfs_period_us": "100000"},
            2.0,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, float("inf")),
        ("", {}, float("inf")),
    ],
)
def test_the_time_that_control_groups_allow(
    tmp_path: Path, cgroups: str, limits: dict[str, str], expected: float
) -> None:
    (tmp_path / "cgroup").write_text(cgroups)
    for name, text in limits.items():
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "sys").mkdir(exist_ok=True)
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "sys") == expected
