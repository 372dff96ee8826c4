"""Compiled kernels are kept between processes: with them a training gives the same bits, and without them too."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import pytest
from programs import untouched

from mnistexp.training import kernels

NAME = "xla_compile_cache__1__2__XLA_CPU_JIT.pb"
TENSORFLOW = SimpleNamespace(version=SimpleNamespace(VERSION="2.0", GIT_VERSION="a", COMPILER_VERSION="b"))
NEWER = SimpleNamespace(version=SimpleNamespace(VERSION="2.1", GIT_VERSION="a", COMPILER_VERSION="b"))

Process = Callable[..., list[Path]]


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """Starts a process of this TensorFlow, or of another, that compiles one kernel; the kernels that it found."""
    for variable in ("TF_XLA_FLAGS", "COMPILED"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MNISTEXP_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def run(tensorflow: SimpleNamespace = TENSORFLOW, compiles: str = NAME, content: bytes = b"kernel") -> list[Path]:
        kernels.end()
        with kernels.offered(tensorflow):
            flags = os.environ.get("TF_XLA_FLAGS", "")
        private = Path(flags.rpartition("=")[2])
        if str(tmp_path / "temporary") not in flags:
            return []
        found = sorted(private.glob("*.pb"))
        assert all(path.read_bytes() == content for path in found)
        if compiles:
            private.mkdir(exist_ok=True)
            (private / compiles).write_bytes(content)
        kernels.keep()
        return found

    yield run
    kernels.end()


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "kernels").glob("*/*.pb"))


def test_a_kernel_compiled_by_one_process_is_reused_by_the_next(process: Process, tmp_path: Path) -> None:
    assert process() == []
    assert [path.name for path in process()] == [NAME]
    kernels.end()
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("damage", ["truncated", "empty", "changed", "longer", "without its checksum"])
def test_a_damaged_kernel_is_replaced(damage: str, process: Process, tmp_path: Path) -> None:
    process()
    [path] = kept(tmp_path)
    whole = path.read_bytes()
    changed = {
        "truncated": whole[:-2],
        "empty": b"",
        "changed": whole[:-1] + b"x",
        "longer": whole + b"x",
        "without its checksum": b"kernel",
    }
    path.write_bytes(changed[damage])
    assert process() == []
    assert path.read_bytes() == whole
    assert len(process()) == 1


@pytest.mark.parametrize("variable", ["XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"])
def test_other_flags_do_not_share_kernels(variable: str, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process()
    monkeypatch.setenv(variable, "--tf_xla_clustering_debug")
    assert process() == []
    assert len(process()) == 1


def test_other_versions_and_other_code_do_not_share_kernels(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process()
    assert process(NEWER) == []
    monkeypatch.setattr(kernels, "code_hash", lambda: "0" * 64)
    assert process() == []


@pytest.mark.parametrize("own", ["--tf_xla_persistent_cache_directory=/mine", "/a/file/of/flags"])
def test_xla_flags_of_the_user_are_kept(own: str, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process()
    monkeypatch.setenv("TF_XLA_FLAGS", own)
    assert process() == []
    kernels.end()
    with kernels.offered(TENSORFLOW):
        assert os.environ["TF_XLA_FLAGS"] == own


def test_other_flags_of_the_user_are_kept(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug")
    process()
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_clustering_debug"
    assert len(process()) == 1


def test_everything_may_be_deleted_at_any_time(process: Process, tmp_path: Path) -> None:
    process()
    shutil.rmtree(tmp_path / "cache")
    for private in (tmp_path / "temporary").iterdir():
        shutil.rmtree(private)
    kernels.keep()
    assert process() == []
    assert len(process()) == 1


def test_the_oldest_kernels_are_removed_where_the_cache_is_full(
    process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(NEWER)
    [oldest] = kept(tmp_path)
    os.utime(oldest, (0, 0))
    monkeypatch.setattr(kernels, "LARGEST", 1.5 * oldest.stat().st_size)
    process()
    assert len(kept(tmp_path)) == 1
    assert not oldest.parent.exists()


def test_info_and_prune_know_the_kernels(process: Process, tmp_path: Path) -> None:
    process()
    process(NEWER)
    first, second = kept(tmp_path)
    cache = kernels.cache()
    assert cache is not None
    assert cache.size() == (2, 2 * first.stat().st_size)
    os.utime(first, (0, time.time() - 3600))
    assert cache.prune(60)[0] == 1
    assert kept(tmp_path) == [second]
    assert cache.prune()[0] == 1
    assert list((tmp_path / "cache" / "kernels").iterdir()) == []


def test_a_folder_that_anybody_can_write_to_is_not_used(process: Process, tmp_path: Path) -> None:
    process()
    (tmp_path / "cache" / "kernels").chmod(0o777)
    assert process() == []


@pytest.mark.parametrize("place", ["off", "/dev/null/nowhere"])
def test_without_a_cache_folder_no_kernel_is_stored(
    place: str, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNISTEXP_CACHE_DIR", place)
    assert process() == process() == []
    cache = kernels.cache()
    assert (cache is None) == (place == "off")
    assert cache is None or cache.size() == cache.prune() == (0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_leaves_the_folder_to_its_parent(process: Process, tmp_path: Path) -> None:
    process()
    [private] = (tmp_path / "temporary").iterdir()
    if (child := os.fork()) == 0:
        kernels.end()
        os._exit(0)
    os.waitpid(child, 0)
    assert private.is_dir()


def test_what_is_left_beside_the_kernels_is_read_by_later_processes_unless_it_is_damaged(
    process: Process, tmp_path: Path
) -> None:
    process()
    assert not kernels.is_beside("graph")
    kernels.leave_beside("graph", b"whole")
    assert [path.name for path in process()] == [NAME]  # TensorFlow gets none of it
    assert kernels.is_beside("graph")
    assert kernels.beside("graph") == b"whole"
    [path] = (path for path in kept(tmp_path) if path.name != NAME)
    path.write_bytes(path.read_bytes()[:-1])
    assert kernels.beside("graph") is None
    assert not kernels.is_beside("graph")


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no limit of a file's size")
def test_no_kernel_is_written_where_files_may_not_be_as_large(process: Process) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    process()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        assert process() == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(process()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no limit of a file's size")
def test_a_kernel_that_cannot_be_written_is_told_with_its_folder_and_the_reason(tmp_path: Path) -> None:
    code = """
        import resource, sys
        from mnistexp import api
        from mnistexp.training.runtime import start_tensorflow
        start_tensorflow()
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))  # as a disk that fills up afterwards
        api.train({"training.epochs": 1, "data.digits": 200, "model.kind": "logistic"})
    """
    # Nor could coverage write its own files.
    variables = {name: value for name, value in untouched().items() if not name.startswith("COVERAGE_")}
    variables |= {"MNISTEXP_CACHE_DIR": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    variables["PATH"] = str(tmp_path)  # without git, as uncommitted changes would be written, which may be larger
    command = [sys.executable, "-c", dedent(code)]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    private = re.escape(str(tmp_path / "mnistexp-kernels-"))
    reason = "the file is larger than the limit set for this process"
    assert re.search(rf"RunError: can't write {private}\w+: {reason}$", done.stderr.strip()), done.stderr
