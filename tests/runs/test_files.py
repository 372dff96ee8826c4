"""Laws of whole-or-nothing files, strict JSON and locks."""

import errno
import io
import json
import os
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.locks import lock


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_written_files_are_read_back_and_leave_no_temporaries(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    files.write_bytes(path, b"old")
    files.write_bytes(path, bytes(range(256)))
    assert files.read_bytes(path) == bytes(range(256))
    assert names(tmp_path) == {"weights.bin"}


def test_a_body_that_raises_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    files.write_text(path, "old")

    def write_half() -> None:
        with files.replacing(path) as temporary:
            assert temporary.suffix == ".keras"
            temporary.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert files.read_text(path) == "old"
    assert names(tmp_path) == {"model.keras"}


def test_temporaries_are_hidden_from_listings(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
        assert all(name.startswith(".") for name in names(tmp_path))


def test_numbers_that_are_not_finite_become_null_and_numpy_becomes_plain(tmp_path: Path) -> None:
    document = {
        "nan": float("nan"),
        "list": [float("inf"), -float("inf"), 1.5],
        "scalar": np.float32(0.1),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "matrix": np.array([[1.0, np.nan], [2.0, 3.0]]),
        "classes": {0: 97, np.int64(1): 116},
        "tuple": (1, "ü", None),
    }
    files.write_json(tmp_path / "a.json", document)
    assert json.loads((tmp_path / "a.json").read_text("utf-8"), parse_constant=pytest.fail) == {
        "schema_version": 1,
        "nan": None,
        "list": [None, None, 1.5],
        "scalar": 0.10000000149011612,
        "count": 3,
        "flag": True,
        "matrix": [[1.0, None], [2.0, 3.0]],
        "classes": {"0": 97, "1": 116},
        "tuple": [1, "ü", None],
    }


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(document=st.dictionaries(st.text(), JSON, max_size=5))
def test_json_round_trip(tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    document.pop("schema_version", None)
    files.write_json(path, document)
    first = path.read_bytes()
    assert files.read_json(path) == {"schema_version": 1} | document
    files.write_json(path, document)
    assert path.read_bytes() == first


def test_half_a_surrogate_pair_from_a_command_line_survives(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"name": "\udcff"})
    assert files.read_json(tmp_path / "a.json")["name"] == "\udcff"


@pytest.mark.parametrize("value", [object(), {1.5: "x"}, {None: 1}, {1, 2}, b"x"])
def test_values_that_json_cannot_represent_are_a_type_error(tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "a.json", {"value": value})
    assert not names(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b'{"schema_version": 1, "a": ', "not JSON"),
        (b'{"schema_version": 1, "a": NaN}', "not JSON"),
        (b'{"schema_version": 1, "a": 1e999}', "not JSON"),
        (b'{"a": ' + b"[" * 100_000, "not JSON"),
        (b'{"schema_version": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1]", "not a JSON object"),
        (b'{"a": 1}', "has schema version None, allowed with this version of mnistexp: 1"),
        (b'{"schema_version": 7}', "has schema version 7, allowed with this version of mnistexp: 1"),
        (b'{"schema_version": true}', "has schema version True, allowed with this version of mnistexp: 1"),
    ],
)
def test_damaged_json_is_named_with_its_fault(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "metrics.json"
    path.write_bytes(content)
    with pytest.raises(RunError) as caught:
        files.read_json(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_reading_neither_waits_for_a_pipe_nor_drains_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(RunError, match="not a regular file"):
            files.read_bytes(path)


def test_reading_refuses_oversized_files(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10 * 2**30)
    with pytest.raises(RunError, match="10,737,418,240 bytes"):
        files.read_bytes(tmp_path / "sparse")


def a_file_in_the_way(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "a.txt"


def a_circle_of_links(folder: Path) -> Path:
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    return folder / "one" / "a.txt"


def a_folder_there(folder: Path) -> Path:
    (folder / "a.txt").mkdir()
    return folder / "a.txt"


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (a_file_in_the_way, "a file is where a folder should be"),
        (a_circle_of_links, "its symbolic links form a loop"),
        (a_folder_there, "a folder is where a file should be"),
        (lambda folder: folder / ("n" * 300), "the name or the path is too long"),
        (lambda folder: folder / "missing" / "a.txt", "no such file or folder"),
    ],
)
def test_failures_to_write_are_explained(tmp_path: Path, place: Callable[[Path], Path], reason: str) -> None:
    path = place(tmp_path)
    with pytest.raises(RunError) as caught:
        files.write_text(path, "x")
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


def test_failures_to_make_folders_are_explained(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a file is where a folder should be"):
        files.make_folder(a_file_in_the_way(tmp_path))
    with pytest.raises(RunError, match="its symbolic links form a loop"):
        files.make_folder(a_circle_of_links(tmp_path))


def test_making_a_folder_returns_the_new_ones(tmp_path: Path) -> None:
    assert files.make_folder(tmp_path / "a" / "b") == [tmp_path / "a", tmp_path / "a" / "b"]
    assert files.make_folder(tmp_path / "a" / "b") == []


def refused_in_a_child(first: str, path: Path, size: int) -> str:
    """What the RunError says that writing `size` bytes raises in a process of its own, which runs `first` before."""
    code = (
        "import os, resource, sys; from pathlib import Path; from mnistexp import errors\n"
        f"from mnistexp.runs import files\n{first}\n"
        f"try:\n    files.write_bytes(Path(sys.argv[1]), bytes({size}))\nexcept errors.RunError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_file_size_limit_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    files.write_bytes(path, b"old")
    message = refused_in_a_child("resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))", path, 20_000)
    assert "larger than the limit" in message
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"a.bin"}


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small disk; the file size limit above tests the same path")
    try:
        files.write_bytes(disk / "a.bin", b"old")
        with pytest.raises(RunError, match="the disk is full"):
            files.write_bytes(disk / "a.bin", bytes(100_000))
        assert files.read_bytes(disk / "a.bin") == b"old"
        assert names(disk) == {"a.bin"}
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(RunError, match="the file system is read-only"):
            files.write_bytes(disk / "a.bin", b"new")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_without_permission_is_explained(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    # Permissions don't stop root, so be somebody else; should a folder above be closed to them, that is as good.
    nobody = "if os.getuid() == 0: os.setuid(65534)"
    assert "permission denied" in refused_in_a_child(nobody, closed / "a.txt", 1)
    assert not names(closed)


def test_a_rename_reported_as_failed_but_done_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.replace

    def sent_twice(source: Path, target: Path) -> None:
        really(source, target)
        really(source, target)

    monkeypatch.setattr(os, "replace", sent_twice)
    files.write_text(tmp_path / "a.txt", "x")
    assert files.read_text(tmp_path / "a.txt") == "x"


def test_a_rename_that_fails_briefly_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.replace
    refusals = [errno.EBUSY, errno.ESTALE]

    def busy(source: Path, target: Path) -> None:
        if refusals:
            raise OSError(refusals.pop(), "refused")
        really(source, target)

    monkeypatch.setattr(os, "replace", busy)
    files.write_text(tmp_path / "a.txt", "x")
    assert files.read_text(tmp_path / "a.txt") == "x"


def test_a_rename_that_keeps_failing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_text(tmp_path / "a.txt", "old")

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(RunError, match="input/output error"):
        files.write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == {"a.txt"}
    assert files.read_text(tmp_path / "a.txt") == "old"


def test_content_and_name_are_flushed_before_the_write_returns(tmp_path: Path) -> None:
    """The order of system calls is the promise: file flushed, renamed, folder flushed."""
    name = str(tmp_path / "a")
    code = f"from pathlib import Path; from mnistexp.runs import files; files.write_text(Path({name!r}), 'x')"
    end = "; sys.stdout.flush(); os._exit(0)"  # before coverage writes files of its own
    program = (
        "import sys, os\n"
        "def hook(event, arguments):\n"
        "    if event == 'os.rename': print('rename')\n"
        "sys.addaudithook(hook)\n"
        "flush = os.fsync\n"
        "def fsync(handle):\n"
        "    print('fsync', os.path.isdir(handle)); flush(handle)\n"
        "os.fsync = fsync\n"
    )
    done = subprocess.run([sys.executable, "-c", program + code + end], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["fsync False", "rename", "fsync True", ""]


HOLD = """
import sys
from pathlib import Path
from mnistexp.runs.locks import lock
with lock(Path(sys.argv[1])):
    print('held', flush=True)
    sys.stdin.read()
"""


def test_a_lock_excludes_other_processes_until_its_holder_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=rf"in use by another process \(process {holder.pid}\)"), lock(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        with lock(tmp_path, wait=True):
            pass


def test_a_lock_excludes_within_one_process_too_and_is_released(tmp_path: Path) -> None:
    with lock(tmp_path), pytest.raises(RunError, match="in use"), lock(tmp_path):
        pass
    with lock(tmp_path):
        pass


def test_a_lock_in_a_missing_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such file or folder"), lock(tmp_path / "missing"):
        pass


def zipped(array: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.npy", array)
    return buffer.getvalue()


def headed(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", zipped(b""), zipped(headed("(10**9,)")), zipped(headed("(3,")), zipped(bytes(99))]
)
def test_a_file_that_is_not_an_archive_of_arrays_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not an archive of plain arrays: ."):
        files.arrays(content)


def test_an_array_shorter_than_its_header_says_takes_no_memory() -> None:
    with pytest.raises(ValueError, match=r"rows\.npy: declares 999,999,999,999 of float64 .* and holds 16;"):
        files.arrays(zipped(headed("(999999999999,)") + bytes(16)))


def test_too_little_memory_is_not_reported_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "large.npz"
    path.write_bytes(zipped(headed("(12500000,)") + bytes(100_000_000)))
    code = (
        "import resource, sys\nfrom pathlib import Path\nimport numpy.lib.format\nfrom mnistexp.runs import files\n"
        "content = Path(sys.argv[1]).read_bytes()\nused = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used * resource.getpagesize() + 50_000_000,) * 2)\n"
        "try:\n    files.arrays(content)\nexcept MemoryError:\n    sys.exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == 7
