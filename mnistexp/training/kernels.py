"""Cache of compiled XLA kernels on disk, shared by all processes of a user: compiling a network's takes 2 seconds.

TensorFlow has such a cache, but its keys contain neither versions nor the processor, and a file that it can't read or
write there ends the training. So each process gives TensorFlow a private folder, filled with the cached kernels of the
same versions, processor and flags whose checksum is right, and afterwards adds what was compiled to the cache. If
anything fails here, kernels are compiled again. The whole cache may be deleted at any time, also during a training.
"""

import atexit
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.environment import VARIABLES, code_hash

FLAGS = "TF_XLA_FLAGS"
DIRECTORY = "tf_xla_persistent_cache_directory"
OFF = "off"
PRIVATE = "mnistexp-kernels-"
KERNELS = "*.pb"
LARGEST = 32 * 2**20
"""Bytes that are kept at most; a network takes half a million."""
ROOM = 100 * 2**20
"""Bytes that must be free for TensorFlow's private folder: training fails if it can't write there."""
HOUR, DAY = 3600.0, 86_400.0
CHECKSUM = hashlib.sha256().digest_size
PROCESSOR = (
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision",
)  # fmt: skip
"""What /proc/cpuinfo tells of a processor that could matter to compiled code."""


@dataclass(frozen=True)
class KernelInfo:
    """How many kernels are kept where, in how many bytes; `folder` is None where none are kept."""

    folder: Path | None
    kernels: int = 0
    bytes: int = 0


@dataclass
class _Private:
    """TensorFlow's folder, shared with processes forked from this one; `known` are the names that are kept already."""

    folder: Path
    kept: Path
    known: set[str] = field(default_factory=set)
    process: int = field(default_factory=os.getpid)


_private: _Private | None = None


def folder() -> Path | None:
    """Where kernels are kept; None where MNISTEXP_CACHE_DIR is `off`, or there is no home folder to keep them in."""
    asked = os.environ.get("MNISTEXP_CACHE_DIR", "")
    if asked:
        return None if asked == OFF else Path(asked).absolute() / "kernels"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".cache") / "mnistexp" / "kernels"
    except RuntimeError:
        return None


def open_private(tf: Any) -> None:
    """Make the private folder for this process and those forked from it, with the kernels kept for this TensorFlow."""
    global _private
    place, key, temporary = folder(), _key(tf), Path(tempfile.gettempdir())
    if _private or place is None or key is None or _flags_are_taken() or any(map(str.isspace, str(temporary))):
        return
    with suppress(OSError):
        if not _safe(place) or shutil.disk_usage(temporary).free < ROOM:
            return
        for left in temporary.glob(f"{PRIVATE}*"):  # by processes that were killed; others make theirs anew
            if left.stat().st_mtime < time.time() - DAY:
                shutil.rmtree(left, ignore_errors=True)
        private = _Private(Path(tempfile.mkdtemp(prefix=PRIVATE)), place / key)
        atexit.register(end)
        _private = private
        _fill(private)


@contextmanager
def offered(tf: Any) -> Iterator[None]:
    """Have TensorFlow, which starts in this block and reads its flags, find and leave kernels in the private folder."""
    open_private(tf)
    if _private is None:
        yield
        return
    given = os.environ.get(FLAGS)
    os.environ[FLAGS] = f"{given or ''} --{DIRECTORY}={_private.folder}".strip()
    try:
        yield
    finally:
        del os.environ[FLAGS]
        if given is not None:
            os.environ[FLAGS] = given


def keep() -> None:
    """Keep what TensorFlow has compiled since it was last called, and remove the oldest where that gets too much."""
    if _private is None:
        return
    with suppress(OSError, RunError):
        new = [path for path in _private.folder.glob(KERNELS) if path.name not in _private.known]
        for path in new:
            content = path.read_bytes()
            files.make_folder(_private.kept)
            files.write_bytes(_private.kept / path.name, hashlib.sha256(content).digest() + content)
            _private.known.add(path.name)
        if new:
            _shrink(_private.kept.parent)


def beside(name: str) -> bytes | None:
    """What was left beside the kernels under a name, by this process or an earlier one."""
    if _private is not None:
        with suppress(OSError):
            return (_private.folder / f"{name}.pb").read_bytes()
    return None


def leave_beside(name: str, content: bytes) -> None:
    """Leave something beside the kernels, for this process and later ones."""
    if _private is not None:
        with suppress(OSError, RunError):
            files.write_bytes(_private.folder / f"{name}.pb", content)


def end() -> None:
    """Keep new kernels, and remove the private folder of this process."""
    global _private
    if _private is not None and _private.process == os.getpid():
        keep()
        shutil.rmtree(_private.folder, ignore_errors=True)
        _private = None


def info() -> KernelInfo:
    """The kernels kept at present."""
    place = folder()
    return _sum(place, _entries(place)) if place else KernelInfo(None)


def prune(older_than: float | None = None) -> KernelInfo:
    """Remove the kernels not used for `older_than` seconds, or all; returns those removed. Raises RunError."""
    place = folder()
    if place is None:
        return KernelInfo(None)
    limit = time.time() - older_than if older_than is not None else None
    chosen = [entry for entry in _entries(place) if limit is None or entry[2] < limit]
    cut_off = [entry for entry in _entries(place, f"{files.TEMPORARY}*") if entry[2] < time.time() - HOUR]
    for path, _, _ in (*chosen, *cut_off):
        with files.explained("remove", path):
            path.unlink(missing_ok=True)
    for emptied in {path.parent for path, _, _ in chosen}:
        with suppress(OSError):
            emptied.rmdir()
    return _sum(place, chosen)


def _key(tf: Any) -> str | None:
    """Everything that determines how kernels are compiled and where they run; None if the processor is unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        keras = importlib.metadata.version("keras")
    except (OSError, importlib.metadata.PackageNotFoundError):
        return None
    processor = sorted({line for line in lines if line.partition(":")[0].strip() in PROCESSOR})
    versions = [
        tf.version.VERSION,
        tf.version.GIT_VERSION,
        tf.version.COMPILER_VERSION,
        keras,
        platform.python_version(),
    ]
    variables = {name: os.environ.get(name) for name in (FLAGS, *VARIABLES)}
    text = json.dumps([versions, processor, platform.machine(), variables, code_hash()])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _flags_are_taken() -> bool:
    """Whether the user's own flags name such a folder, or are themselves the name of a file with flags."""
    given = os.environ.get(FLAGS, "").strip()
    return DIRECTORY in given or bool(given and not given.startswith("-"))


def _safe(place: Path) -> bool:
    """Whether nobody else may put files there: kernels are machine code."""
    if not place.exists():
        return True
    found = place.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o002


def _fill(private: _Private) -> None:
    """Copy the kept kernels whose checksum is right, and remove the others."""
    for path in private.kept.glob(KERNELS):
        with suppress(OSError):
            content = path.read_bytes()
            if hashlib.sha256(content[CHECKSUM:]).digest() != content[:CHECKSUM]:
                path.unlink()
                continue
            (private.folder / path.name).write_bytes(content[CHECKSUM:])
            private.known.add(path.name)
            os.utime(path)  # they are in use


def _shrink(place: Path) -> None:
    entries = sorted(_entries(place), key=lambda entry: -entry[2])
    size = 0
    for path, length, _ in entries:
        size += length
        if size > LARGEST:
            path.unlink(missing_ok=True)


def _entries(place: Path, names: str = KERNELS) -> list[tuple[Path, int, float]]:
    """Path, bytes and time of last use of each kernel; what vanishes meanwhile is left out."""
    found = []
    for path in sorted(place.glob(f"*/{names}")):
        with suppress(OSError):
            about = path.stat()
            found.append((path, about.st_size, about.st_mtime))
    return found


def _sum(place: Path, entries: list[tuple[Path, int, float]]) -> KernelInfo:
    return KernelInfo(place, len(entries), sum(size for _, size, _ in entries))
