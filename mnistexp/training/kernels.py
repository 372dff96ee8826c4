"""Cache of compiled XLA kernels on disk, shared by all processes of a user: compiling a network's takes 2 seconds.

TensorFlow has such a cache, but its keys contain neither versions nor the processor, and a file that it can't read or
write there ends the training. So each process gives TensorFlow a private folder, filled with the cached kernels of the
same versions, processor and flags whose checksum is right, and afterwards adds what was compiled to the cache. If
anything fails here, kernels are compiled again. The whole cache may be deleted at any time, also during a training.
Graphs and saved models are kept in the same folder, and read when they are needed.
"""

import atexit
import errno
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import re
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
from mnistexp.runs.cache_folder import CacheFolder
from mnistexp.runs.environment import VARIABLES, code_hash

FLAGS = "TF_XLA_FLAGS"
DIRECTORY = "tf_xla_persistent_cache_directory"
OFF = "off"
PRIVATE = "mnistexp-kernels-"
SUFFIX = ".pb"
BESIDE = "beside_"
"""How the names of entries begin that are not TensorFlow's own."""
LARGEST = 32 * 2**20
"""Bytes that are kept at most; a network takes half a million."""
ROOM = 100 * 2**20
"""Bytes that must be free for TensorFlow's private folder, and may be in a file: training fails if it can't write."""
DAY = 86_400.0
CHECKSUM = hashlib.sha256().digest_size
PROCESSOR = (
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision",
)  # fmt: skip
"""What /proc/cpuinfo tells of a processor that could matter to compiled code."""


@dataclass
class _Private:
    """TensorFlow's folder, shared with processes forked from this one; `known` are the names that are kept already."""

    folder: Path
    cache: CacheFolder
    kept: Path
    known: set[str] = field(default_factory=set)
    process: int = field(default_factory=os.getpid)

    def entry_beside(self, name: str) -> Path:
        """The place of something left beside the kernels under a name."""
        return self.kept / f"{BESIDE}{name}{SUFFIX}"


_private: _Private | None = None


def cache() -> CacheFolder | None:
    """Where kernels are kept; None where MNISTEXP_CACHE_DIR is `off`, or there is no home folder to keep them in."""
    asked, base = os.environ.get("MNISTEXP_CACHE_DIR", ""), Path(os.environ.get("XDG_CACHE_HOME", ""))
    if asked == OFF:
        return None
    with suppress(RuntimeError):
        usual = (base if base.is_absolute() else Path.home() / ".cache") / "mnistexp"
        return CacheFolder((Path(asked).absolute() if asked else usual) / "kernels", SUFFIX)
    return None


def open_private(tf: Any) -> None:
    """Make the private folder for this process and those forked from it, with the kernels kept for this TensorFlow."""
    global _private
    kept, key, temporary = cache(), _key(tf), Path(tempfile.gettempdir())
    if _private or kept is None or key is None or _flags_are_taken() or any(map(str.isspace, str(temporary))):
        return
    with suppress(OSError):
        if not _safe(kept.folder) or min(shutil.disk_usage(temporary).free, _largest_file()) < ROOM:
            return
        for left in temporary.glob(f"{PRIVATE}*"):  # by processes that were killed; others make theirs anew
            if left.stat().st_mtime < time.time() - DAY:
                shutil.rmtree(left, ignore_errors=True)
        private = _Private(Path(tempfile.mkdtemp(prefix=PRIVATE)), kept, kept.folder / key)
        atexit.register(end)
        _private = private
        try:
            _fill(private)
        except OSError:  # there isn't room after all, and TensorFlow must not find a half kernel
            end()


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


def explain(message: str) -> None:
    """Raise `RunError` from an `OSError` if TensorFlow failed, by its message, to write a compiled kernel."""
    if found := re.search(r"(\S+)/xla_compile_cache\S*; (.+)", message):
        numbers = {os.strerror(number): number for number in errno.errorcode}
        with files.explained("write", Path(found[1])):
            raise OSError(numbers.get(found[2], 0), found[2])


def keep() -> None:
    """Keep what TensorFlow has compiled since it was last called, and remove the oldest where that gets too much."""
    if _private is None:
        return
    with suppress(OSError, RunError):
        new = [path for path in _private.folder.glob(f"[!.]*{SUFFIX}") if path.name not in _private.known]
        for path in new:
            _private.cache.add(_private.kept / path.name, _with_checksum(path.read_bytes()))
            _private.known.add(path.name)
        if new:
            _private.cache.shrink(LARGEST)


def beside(name: str) -> bytes | None:
    """What was left beside the kernels under a name, by this process or an earlier one."""
    return None if _private is None else _read(_private.entry_beside(name))


def is_beside(name: str) -> bool:
    """Whether something was left under a name; `beside` may yet find it damaged, or gone."""
    return _private is not None and _private.entry_beside(name).exists()


def leave_beside(name: str, content: bytes) -> None:
    """Leave something beside the kernels, for this process and later ones."""
    if _private is not None:
        with suppress(OSError, RunError):
            _private.cache.add(_private.entry_beside(name), _with_checksum(content))
            _private.cache.shrink(LARGEST)


def end() -> None:
    """Keep new kernels, and remove the private folder of this process."""
    global _private
    if _private is not None and _private.process == os.getpid():
        keep()
        shutil.rmtree(_private.folder, ignore_errors=True)
        _private = None


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


def _largest_file() -> float:
    """Bytes that a file of this process may have."""
    try:
        import resource
    except ImportError:  # not a Unix system
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


def _fill(private: _Private) -> None:
    """Copy the kept kernels."""
    for path in private.kept.glob(f"[!.]*{SUFFIX}"):
        if not path.name.startswith(BESIDE) and (content := _read(path)) is not None:
            private.known.add(path.name)  # not to be kept again, and least of all half of it
            (private.folder / path.name).write_bytes(content)


def _with_checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest() + content


def _read(path: Path) -> bytes | None:
    """An entry, which is then in use; None, and removed, if its checksum is wrong."""
    with suppress(OSError):
        entry = path.read_bytes()
        if _with_checksum(entry[CHECKSUM:]) == entry:
            os.utime(path)
            return entry[CHECKSUM:]
        path.unlink()
    return None
