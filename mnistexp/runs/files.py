"""Atomic writing of files, and strict JSON.

Errors of the operating system become a `RunError` with the path and the reason in plain words.
"""

import csv
import errno
import io
import json
import math
import operator
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from mnistexp.errors import RunError

TEMPORARY = ".tmp-"
SCHEMA_VERSION = 1
LARGEST_READ = 256 * 2**20

_REASONS = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "permission denied"),
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the limit set for this process",
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "a file is where a folder should be",
    errno.EISDIR: "a folder is where a file should be",
    **dict.fromkeys((errno.EEXIST, errno.ENOTEMPTY), "something else is already there"),
    errno.ENAMETOOLONG: "the name or the path is too long",
    errno.ELOOP: "its symbolic links form a loop",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "too many files are open"),
    errno.EIO: "the storage reports an input/output error",
    errno.ESTALE: "the network file system lost track of it",
}
# Network file systems, or virus scanners on Windows, may refuse access for a moment.
_PASSING = {errno.EBUSY, errno.ESTALE} | ({errno.EACCES} if sys.platform == "win32" else set())
_ATTEMPTS = 5
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}  # some file systems can't flush a folder


@contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Raise an `OSError` of the body as `RunError("can't <action> <path>: <plain reason>")`."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise RunError(f"can't {action} {path}: {reason}") from error


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Raise an error of the body that only a damaged file causes as `RunError("<path> is damaged: <reason>")`."""
    try:
        yield
    except KeyError as error:
        raise RunError(f"{path} is damaged: {error.args[0]} is missing") from error
    except (LookupError, ArithmeticError, AttributeError, TypeError, ValueError) as error:  # pydantic's are ValueErrors
        raise RunError(f"{path} is damaged: {' '.join(str(error).split())}") from error


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; False for invalid paths (too long, a loop of links, a null byte)."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for some of these


def sync(path: Path) -> None:
    """Flush the content of a file, or the names in a folder, to the disk. Raises OSError."""
    folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    except PermissionError:
        # A folder may be open to new names yet closed to reading, and on Windows no folder can be opened at all.
        if folder:
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(handle)


def move(source: Path, target: Path) -> None:
    """Rename within one file system, flushed to the disk. Raises OSError."""
    # A rename that is sent twice over NFS reports a missing source although the first one succeeded.
    identity = _identity(source)
    for attempt in range(_ATTEMPTS):
        try:
            os.replace(source, target)  # noqa: PTH105 - Path.replace builds an unused Path
        except OSError as error:
            if identity is not None and _identity(target) == identity:
                break
            if error.errno not in _PASSING or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.02 * 2**attempt)
        else:
            break
    sync(target.parent)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def make_folder(path: Path) -> list[Path]:
    """Create a folder and missing ones above it; returns the created ones, outermost first.

    Raises RunError, caused by `NotADirectoryError` if a file is in the way.
    """
    with explained("create", path):
        made = []
        for folder in (*reversed(path.parents), path):
            try:
                folder.mkdir()
            except OSError as error:
                # Some systems report "read-only" or "permission denied" before "exists", so check for existence.
                if is_folder(folder):
                    continue
                if error.errno == errno.EEXIST:
                    folder.stat()
                    raise NotADirectoryError(errno.ENOTDIR, "") from error
                raise
            made.append(folder)
            sync(folder.parent)
        return made


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name with the suffix of `path` to write to; afterwards it is renamed to `path`.

    If the body raises, `path` is unchanged. An OSError becomes a RunError.
    """
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{path.suffix}")
    with explained("write", path):
        try:
            yield temporary
            sync(temporary)
            move(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically and flush it to the disk. Raises RunError."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    r"""`write_bytes` of UTF-8; half a surrogate pair, which a command line can hold, is written as `\udcff`."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """Write a standard JSON object atomically. Raises RunError.

    `schema_version` comes first, then the keys in the document's order, one per line. Numpy values are converted;
    numbers that are not finite become null. Raises TypeError for other types.
    """
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for key, value in plain({"schema_version": SCHEMA_VERSION} | dict(document)).items()
    ]
    write_text(path, "{\n  " + ",\n  ".join(lines) + "\n}\n")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV whose lines end with a line feed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def plain(value: Any) -> Any:
    """`value` in JSON's types; numbers that are not finite become null. Raises TypeError for other types."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int):
        return int(value)
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(operator.index(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} can't be written as JSON: {value!r}")


def read_bytes(path: Path) -> bytes:
    """The content of a regular file of at most 256 MiB. Raises RunError."""
    flags = getattr(os, "O_NONBLOCK", 0)  # a named pipe would block
    with explained("read", path), open(path, "rb", opener=lambda name, given: os.open(name, given | flags)) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise RunError(f"can't read {path}: not a regular file")
        if found.st_size > LARGEST_READ:
            raise RunError(f"can't read {path}: {found.st_size:,} bytes is too large for a file of a run")
        return file.read()


def read_text(path: Path) -> str:
    """The content of a UTF-8 file. Raises RunError."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is damaged: not UTF-8 ({error.reason} at byte {error.start})") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of this `schema_version`. Raises RunError, naming the file and the problem."""
    try:
        document = json.loads(read_text(path), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise RunError(f"{path} is damaged: not a JSON object")
    version = document.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise RunError(
            f"{path} has schema version {version!r}, allowed with this version of mnistexp: {SCHEMA_VERSION}"
        )
    return document


def holds(path: Path, document: Mapping[str, object]) -> bool:
    """Whether a JSON file holds exactly this document, as `write_json` writes it; False if it can't be read."""
    try:
        return bool(read_json(path) == plain({"schema_version": SCHEMA_VERSION} | dict(document)))
    except RunError:
        return False


def archive(arrays: Mapping[str, Any]) -> bytes:
    """Arrays by name as an `.npz` archive: the same bytes for the same arrays. `arrays` reads it back."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def arrays(content: bytes) -> dict[str, Any]:
    """The arrays in an `.npz` archive by name, without unpickling. Raises ValueError for anything else."""
    from mnistexp.data.npy import read_npy

    found, place = {}, ""
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                place = f"{entry.filename}: "
                if entry.file_size > LARGEST_READ:
                    raise ValueError(f"takes {entry.file_size:,} bytes")
                found[entry.filename.removesuffix(".npy")] = read_npy(archive.read(entry)).copy()
    except MemoryError:  # not a fault of the archive
        raise
    except Exception as error:  # zipfile, its decompressors and numpy raise many kinds
        raise ValueError(f"not an archive of plain arrays: {place}{error or type(error).__name__}") from error
    return found


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"{digits} is not a JSON number")
    return value
