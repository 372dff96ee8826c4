"""Too little memory: workers that the system ends, and data sets that would not fit."""

import json
import os
import shutil
import signal
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sound
from conftest import Tried
from program import SWEEP, TINY, Forks, environment, processes_of, program, wait_until
from test_crash import is_forked_worker

import mnistexp

OfSize = Callable[[int, int], int]
DIGITS = 10**12


def end_one_of(session: int, most: int, ended: set[int]) -> None:
    """Do as a system short of memory does: while more than `most` workers live, end one."""
    workers = [pid for pid in processes_of(session) if is_forked_worker(pid) and pid not in ended]
    if len(workers) > most:
        os.kill(workers[0], signal.SIGKILL)
        ended.add(workers[0])


@pytest.mark.parametrize("workers", [2, 3])
def test_a_machine_with_room_for_one_worker_finishes_a_sweep_of_several(
    workers: int, forks: Forks, tmp_path: Path, size: str, tried: Tried
) -> None:
    if size == "small" and workers > 2:
        pytest.skip("the small battery tries two workers")
    for place in ("reference", "work"):
        (tmp_path / place).mkdir()
    assert forks.run(*SWEEP, "--executor", "serial", cwd=tmp_path / "reference").code == 0
    arguments = [*SWEEP, "--executor", "processes", "--workers", str(workers), "--set", "sweep.retries=5"]
    started = subprocess.Popen(
        program(*arguments),
        cwd=tmp_path / "work",
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    ended: set[int] = set()

    def goes_on() -> bool:
        end_one_of(started.pid, 1, ended)
        return started.poll() is not None

    try:
        wait_until(goes_on, 600)
    finally:
        started.kill()
    said = started.communicate()[0].decode()
    assert started.returncode == 0, said
    assert len(ended) >= workers - 1
    [reference, work] = [
        sound.done_of(tmp_path / place / "runs", "sweep-optimizer")[-1] for place in ("reference", "work")
    ]
    assert sound.results(reference) == sound.results(work)
    assert "out of memory?" in (work / "run.log").read_text()
    assert "will be retried with 1 worker" in (work / "run.log").read_text()
    assert any("Workers died" in warning for warning in json.loads((work / "metrics.json").read_text())["warnings"])
    tried(
        "sweep of several workers where only one has room",
        len(ended),
        "fewer workers, the same bytes; log and report say so",
    )


def test_a_reduction_that_does_not_happen_would_be_found(tmp_path: Path, tried: Tried) -> None:
    """With workers replaced as often as they are killed, there are never fewer of them."""
    copy = tmp_path / "package"
    shutil.copytree(Path(mnistexp.__file__).parent, copy / "mnistexp", ignore=shutil.ignore_patterns("__pycache__"))
    module = copy / "mnistexp" / "sweeps" / "executors" / "processes.py"
    script = """
import os, signal
from mnistexp.sweeps.executors.processes import Processes
if __name__ == "__main__":
    with Processes(2, os.getpid, ()) as executor:
        try:
            executor.submit(signal.raise_signal, signal.SIGKILL).result()
        except Exception:
            print(executor.workers)
"""
    (tmp_path / "script.py").write_text(script)
    left = []
    for planted in ("worker.was_killed() and ", "False and "):
        text = module.read_text()
        assert "worker.was_killed() and " in text
        module.write_text(text.replace("worker.was_killed() and ", planted))
        done = subprocess.run(
            [program()[0], str(tmp_path / "script.py")],
            env=environment(copy),
            capture_output=True,
            text=True,
            check=True,
        )
        left.append(done.stdout.strip())
    assert left == ["1", "2"]
    tried("planted: killed workers always replaced", 1, "found by the checks")


def npz_header(path: Path) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({DIGITS}, 28, 28)}}".ljust(117) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("images", "labels"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())


def npz_bomb(path: Path) -> None:
    """1.1 GB of zeros in 1.1 MB."""
    np.savez_compressed(path, images=np.zeros((1_400_000, 28, 28), np.uint8), labels=np.zeros(1_400_000, np.uint8))


def idx_header(path: Path, digits: int = 4_000_000_000) -> None:
    path.mkdir()
    (path / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, digits, 28, 28) + bytes(784))
    (path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, digits) + bytes(1))


def idx_sparse(path: Path) -> None:
    """A terabyte that takes no room on the disk, and of which the header says nothing."""
    idx_header(path, 1)
    with (path / "train-images-idx3-ubyte").open("r+b") as file:
        file.truncate(2**40)


SETS = {
    "npz-header.npz": (npz_header, "1,000,000,000,000 x 28 x 28 of uint8 at 1 bytes = 784,000,000,000,000 bytes"),
    "npz-bomb.npz": (npz_bomb, "images.npy takes 1,097,600,128 bytes; at most 1,073,741,824"),
    "idx-header": (idx_header, "its header declares 3,136,000,000,016 bytes; at most 1,073,741,824 are read"),
    "idx-sparse": (idx_sparse, "bytes or more; its header declares 800: cut off or damaged"),
}


@pytest.mark.parametrize("name", SETS)
def test_a_data_set_larger_than_memory_is_refused_with_the_arithmetic(
    name: str, forks: Forks, tmp_path: Path, tried: Tried
) -> None:
    make, said = SETS[name]
    try:
        make(tmp_path / name)
    except OSError as error:
        pytest.skip(f"this file system has no sparse files of that size: {error}")
    done = forks.run("train", *TINY, "--data", name, cwd=tmp_path)
    assert done.code == 2, done.said
    assert said in done.said
    assert "Traceback" not in done.said
    assert not (tmp_path / "runs").exists()
    tried(
        "data set that declares more than fits into memory (.npz, IDX)",
        1,
        "refused with the arithmetic, nothing written",
    )
