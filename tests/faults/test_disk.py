"""Disks that are full, closed, gone or far away: a clear error, exit code 1, and what was there before untouched."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sound
from conftest import Tried
from program import SWEEP, TINY, Done, Forks, environment, run, wait_until

from mnistexp.runs.files import read_json

OfSize = Callable[[int, int], int]
TRAIN = ["train", "--epochs", "2", *TINY]


@pytest.fixture
def place(forks: Forks, tmp_path: Path) -> Path:
    """A folder with `runs/`, in which there is a run already."""
    assert forks.run("summary", cwd=tmp_path).code == 0
    return tmp_path


def refused(done: Done, reason: str, code: int = 1) -> None:
    """Raises AssertionError unless a command ended with a clear error."""
    assert done.code == code, (done.code, done.said)
    assert "Traceback" not in done.said
    assert "a bug" not in done.said
    errors = [line for line in done.said.splitlines() if line.startswith("mnistexp: error: ")]
    assert len(errors) == 1, done.said
    assert reason in errors[0]


@contextmanager
def untouched(runs_dir: Path) -> Iterator[None]:
    """The body may add runs, sound ones; each file of those before it stays as it was."""
    before = sound.digest(runs_dir)
    yield
    after = sound.digest(runs_dir)
    assert {name: after.get(name) for name in before} == before
    sound.check(runs_dir)


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[None]:
    """Something mounted on a folder; skips where only root may and we are not."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"may not mount here: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("limit", [600, 2_000, 20_000])
def test_files_beyond_a_limit(limit: int, place: Path, forks: Forks, tried: Tried) -> None:
    with untouched(place / "runs"):
        refused(forks.run(*TRAIN, cwd=place, limit=limit), "the file is larger than the limit set for this process")
    tried(
        "file size limit (`RLIMIT_FSIZE`) under train", 1, "exit code 1, the limit named, earlier runs the same bytes"
    )


def test_full_disks_of_many_sizes(forks: Forks, tmp_path: Path, of_size: OfSize, tried: Tried) -> None:
    """The disk fills up at another place of the run each time."""
    disk, sizes = tmp_path / "disk", [80, 120, 200, 240, 280, 320, 360, 400]
    for size in sizes[1 : 1 + of_size(2, len(sizes))]:
        with mounted(disk, "-t", "tmpfs", "-o", f"size={size}k", "tmpfs"):
            (disk / "runs").mkdir()
            first = forks.run("runs", "list", cwd=disk)
            assert first.code == 0, first.said
            with untouched(disk / "runs"):
                done = forks.run(*TRAIN, cwd=disk)
                if done.code != 0:
                    refused(done, "the disk is full")
    tried(
        "disk that fills up under train",
        of_size(2, len(sizes)),
        "exit code 1, no half file, earlier runs the same bytes",
    )


def test_a_full_disk_under_a_sweep_keeps_the_fits(forks: Forks, tmp_path: Path, tried: Tried) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "size=120k", "tmpfs"):
        refused(forks.run(*SWEEP, "--executor", "serial", cwd=disk), "the disk is full")
        sound.check(disk / "runs")
        kept = len(list((disk / "runs").glob(".cache/fits/*/*.fit")))
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        done = forks.run(*SWEEP, "--executor", "serial", cwd=disk)
        assert done.code == 0, done.said
        [swept] = sound.done_of(disk / "runs", "sweep-optimizer")
        assert read_json(swept / "metrics.json")["fits_cached"] == kept > 0
    tried(
        "disk that fills up under a sweep, then made larger",
        1,
        "exit code 1; the same command continued from the stored fits",
    )


@pytest.mark.parametrize("command", [TRAIN, ["summary"]], ids=["train", "summary"])
def test_a_read_only_folder(command: list[str], place: Path, forks: Forks, tried: Tried) -> None:
    with mounted(place / "runs", "--bind", str(place / "runs")):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place / "runs")], check=True)
        with untouched(place / "runs"):
            refused(forks.run(*command, cwd=place), "the file system is read-only")
            assert forks.run("runs", "list", cwd=place).code == 0
    tried("read-only runs folder", 1, "exit code 1; listing still works")


@pytest.mark.parametrize("command", [TRAIN, ["report", "latest"]], ids=["train", "report"])
def test_permission_denied(command: list[str], place: Path, forks: Forks, tried: Tried) -> None:
    folders = [place / "runs", *(path for path in (place / "runs").iterdir() if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    with untouched(place / "runs"):
        refused(forks.run(*command, cwd=place, humble=True), "permission denied")
        assert forks.run("runs", "list", cwd=place, humble=True).code == 0
    for folder in folders:
        folder.chmod(0o755)
    tried("runs folder without permission to write", 1, "exit code 1, `permission denied`; listing still works")


@pytest.mark.parametrize("whole", [True, False], ids=["all runs", "the run"])
def test_a_folder_deleted_under_a_running_command(whole: bool, place: Path, forks: Forks, tried: Tried) -> None:
    runs = place / "runs"
    started = forks.start("train", "--epochs", "100000", *TINY, cwd=place)
    wait_until(lambda: bool(list(runs.glob("*-train-*/checkpoint.npz"))))
    [folder] = runs.glob("*-train-*")
    if whole:
        shutil.rmtree(runs, ignore_errors=True)
        shutil.rmtree(runs, ignore_errors=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    done = started.done()
    refused(done, "no such file or folder")
    assert not folder.exists() or not any(folder.iterdir())
    tried("runs folder deleted under train", 1, "exit code 1, the folder named, nothing written elsewhere")


def test_loops_of_links(place: Path, forks: Forks, tried: Tried) -> None:
    (place / "circle").symlink_to("circle")
    for command in (["summary"], ["runs", "list"], ["report", "latest"]):
        refused(forks.run(*command, "--runs-dir", "circle", cwd=place), "its symbolic links form a loop")
    (place / "runs" / "around").symlink_to("../runs/around")
    (place / "runs" / "below").symlink_to(".")
    with untouched(place / "runs"):
        done = forks.run("runs", "list", "--json", cwd=place)
        assert done.code == 0, done.said
    tried("circles of symbolic links", 4, "named, exit code 1; among runs passed over")


NAMES = ["two words", "Ünïcödé 数字 🙂", "quote'\"$HOME`id`", "new\nline", "-dash", "\udcff", "a" * 255]


@pytest.mark.parametrize("name", NAMES, ids=["space", "unicode", "quotes", "line feed", "dash", "not utf-8", "long"])
def test_odd_names_of_folders(name: str, forks: Forks, tmp_path: Path, tried: Tried) -> None:
    folder = f"./{name}"
    done = forks.run("summary", "--runs-dir", folder, cwd=tmp_path)
    assert done.code == 0, done.said
    assert len(sound.check(tmp_path / name)) == 1
    for command in (["runs", "list"], ["report", "latest"], ["runs", "show", "latest"]):
        done = forks.run(*command, "--runs-dir", folder, cwd=tmp_path)
        assert done.code == 0, done.said
    tried("runs folders with spaces, quotes, Unicode, a line feed, bytes that aren't UTF-8, 255 letters", 1)


def test_paths_near_the_longest(forks: Forks, tmp_path: Path, of_size: OfSize, tried: Tried) -> None:
    """Around the length at which a run just fits into the longest path, nothing is left half done."""
    longest = os.pathconf(tmp_path, "PC_PATH_MAX")
    outcomes = []
    lengths = range(60, 200, of_size(35, 3))
    for spare in lengths:
        folder = tmp_path
        while (room := longest - spare - len(str(folder)) - 1) > 0:
            folder = folder / ("p" * min(room, 200))
        folder = folder.with_name(folder.name or "p")
        done = forks.run("summary", "--runs-dir", str(folder), cwd=tmp_path)
        if done.code == 0:
            sound.check(folder)
        else:
            refused(done, "too long")
        outcomes.append(done.code)
        shutil.rmtree(tmp_path / ("p" * 200), ignore_errors=True)
    assert outcomes[0] == 1
    assert outcomes[-1] == 0
    name = "n" * 256
    refused(forks.run("summary", "--runs-dir", name, cwd=tmp_path), "the name or the path is too long")
    tried("paths around `PATH_MAX`, and a name above `NAME_MAX`", len(outcomes) + 1, "a sound run, or exit code 1")


FAILURES = [("replace", "EIO"), ("replace", "EXDEV"), ("replace", "ESTALE"), ("fsync", "EIO"), ("fsync", "ENOSPC")]
REASONS = {
    "EIO": "input/output error",
    "EXDEV": "ross-device link",
    "ESTALE": "lost track of it",
    "ENOSPC": "disk is full",
}


@pytest.mark.parametrize(("operation", "error"), FAILURES, ids=["-".join(pair) for pair in FAILURES])
def test_renames_and_flushes_that_fail(
    operation: str, error: str, place: Path, forks: Forks, of_size: OfSize, tried: Tried
) -> None:
    failed = 0
    with untouched(place / "runs"):
        for first in range(1, 40, of_size(13, 1)):
            done = forks.run("summary", cwd=place, below=str(place), fail=[operation, error, first, 10**9])
            if done.code == 0:
                break
            refused(done, REASONS[error])
            failed += 1
            sound.check(place / "runs")
    assert failed
    tried(
        f"`{operation}` that fails with {error}, from the n-th on, for each n",
        failed,
        "exit code 1, nothing half published",
    )


def test_a_rename_that_fails_for_a_moment(place: Path, forks: Forks, of_size: OfSize, tried: Tried) -> None:
    times = 0
    for first in range(1, 12, of_size(4, 1)):
        done = forks.run("summary", cwd=place, below=str(place), fail=["replace", "ESTALE", first, 2])
        assert done.code == 0, done.said
        times += 1
    sound.check(place / "runs")
    tried("`replace` that fails with ESTALE twice, as on NFS", times, "tried again, and the run is whole")


# What is announced is on the disk.


def check_order(lines: list[str]) -> int:
    """Raises AssertionError unless every file was flushed before its rename, and its folder after; the renames."""
    operations = [line.split("\t") for line in lines]
    flushed: set[str] = set()
    renames = 0
    for at, (event, *paths) in enumerate(operations):
        if event == "fsync":
            flushed.update(paths)
        elif event == "os.rename":
            renames += 1
            source, target = paths
            known = {path for path in flushed if path == source or path.startswith(f"{source}/")}
            after = [path for event, *paths in operations[at:] if event == "fsync" for path in paths]
            if not source.endswith("progress.json"):  # which is no result, and goes when the run ends
                assert known, source
                assert os.path.dirname(target) in after, target  # noqa: PTH120 - these are strings
            flushed = flushed - known | {target + path.removeprefix(source) for path in known}
    return renames


def test_files_are_flushed_before_they_are_announced(forks: Forks, tmp_path: Path, tried: Tried) -> None:
    log, renames = tmp_path / "log", 0
    for command in (TRAIN, ["summary"], [*SWEEP, "--executor", "serial"], ["report", "latest"]):
        log.unlink(missing_ok=True)
        done = forks.run(*command, cwd=tmp_path, below=str(tmp_path / "runs"), log=str(log))
        assert done.code == 0, done.said
        renames += check_order(log.read_text().splitlines())
    tried("files and folders renamed by train, sweep, summary, report", renames, "flushed before, their folder after")


def test_a_missing_flush_would_be_found(tmp_path: Path, tried: Tried) -> None:
    import mnistexp

    copy = tmp_path / "package"
    shutil.copytree(Path(mnistexp.__file__).parent, copy / "mnistexp", ignore=shutil.ignore_patterns("__pycache__"))
    module = copy / "mnistexp" / "runs" / "files.py"
    text = module.read_text()
    log = tmp_path / "log"
    faults = {"below": str(tmp_path / "runs"), "log": str(log)}
    sane = run("summary", cwd=tmp_path, package=copy, **faults)
    assert sane.code == 0, sane.said
    assert check_order(log.read_text().splitlines())
    for planted in ("            sync(temporary)\n", "    sync(target.parent)\n"):
        log.unlink()
        assert text.count(planted) == 1
        module.write_text(text.replace(planted, ""))
        done = run("summary", cwd=tmp_path, package=copy, **faults)
        assert done.code == 0, done.said
        with pytest.raises(AssertionError):
            check_order(log.read_text().splitlines())
    tried("planted: no flush before, or after, the rename", 2, "found by the checks")


def test_a_lost_earlier_run_would_be_found(place: Path, tried: Tried) -> None:
    script = "import pathlib, sys; next(pathlib.Path(sys.argv[1]).glob('2*/metrics.json')).write_text('{}')"
    with pytest.raises((AssertionError, Exception)), untouched(place / "runs"):
        subprocess.run([sys.executable, "-c", script, str(place / "runs")], env=environment(), check=True)
    tried("planted: an earlier run changed", 1, "found by the checks")
