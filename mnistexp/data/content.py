"""The type of a file by its first bytes, and its content, read in pieces that show progress and that Ctrl-C can end."""

import gzip
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from mnistexp.errors import BadInput

LIMIT = 1024 * 2**20
"""Bytes that one array or table of a local file may take when unpacked: 1.3 million digits of one byte a pixel."""
PIECE = 8 * 2**20
PEEK = 1024

FileFormat = Literal["npz", "npy", "idx", "parquet", "picture", "text"]
Tick = Callable[[float], None]
"""Called with the progress of reading, from 0 to 1."""

FORMATS: Mapping[bytes, FileFormat] = {
    b"\x89PNG\r\n\x1a\n": "picture",
    b"\xff\xd8\xff": "picture",
    b"\x93NUMPY": "npy",
    b"PAR1": "parquet",
    b"PK": "npz",
}
"""First bytes of the files that are read."""
AGAIN = "download it again"
FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"\x80", "a pickle, which is never opened as it can run code; save the arrays with numpy.savez"),
    (b"\x89HDF", "an HDF5 or MATLAB 7.3 file; read it with h5py and save the arrays with numpy.savez"),
    (b"MATLAB", "a MATLAB file; read it with scipy.io.loadmat and save the arrays with numpy.savez"),
    (b"GIF8", "a GIF picture; save it as PNG"),
    (b"BM", "a BMP picture; save it as PNG"),
    (b"II*\x00", "a TIFF picture; save it as PNG"),
    (b"MM\x00*", "a TIFF picture; save it as PNG"),
    (b"RIFF", "a WebP picture; save it as PNG"),
    (b"%PDF", "a PDF; save its pictures as PNG"),
    (b"Rar!", "a RAR archive; unpack it and name the folder"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it and name the folder"),
    (b"BZh", "a bzip2 file; unpack it first (bunzip2)"),
    (b"\xfd7zXZ", "an xz file; unpack it first (unxz)"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first (unzstd)"),
    (b"ARROW1", "an Arrow file; save it as Parquet"),
    (b"\xff\xfe", "text in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16; save it as UTF-8"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file; fetch it with `git lfs pull`"),
    (b"\xd0\xcf\x11\xe0", "an Excel file; save it as CSV"),
)
"""First bytes of common files that aren't supported, each with its name and the remedy."""


def refuse(path: Path | str, found: str, remedy: str) -> BadInput:
    """The error for a file that can't be used: what it is, and what helps."""
    return BadInput(f"{path}: {found}; {remedy}")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What may fail in reading as `BadInput`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise refuse(path, f"a damaged gzip file ({error}): cut off while it was downloaded?", AGAIN) from error
    except OSError as error:
        reason = error.strerror or error
        raise refuse(path, f"can't be read ({reason})", "check the path and its permissions") from error


def _opened(file: BinaryIO) -> tuple[Any, bool]:
    """What a file holds, unpacked if it is gzipped, and whether it is."""
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return (gzip.GzipFile(fileobj=file) if zipped else file), zipped


def format_of(path: Path) -> FileFormat:
    """The format of a file by its content, not its name, also inside gzip. Raises `BadInput` for unsupported ones."""
    with _explained(path):
        if not stat.S_ISREG(path.stat().st_mode):
            raise refuse(path, "not a regular file", "name a file or a folder")
        with path.open("rb") as file:
            source, zipped = _opened(file)
            start = source.read(PEEK)
    return _format(path, start, zipped=zipped)


def _format(path: Path, start: bytes, *, zipped: bool) -> FileFormat:
    if not start:
        raise refuse(path, "is empty", AGAIN)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        what = "gzip" if path.suffix == ".gz" else path.suffix or "data"
        raise refuse(path, f"a web page instead of a {what} file", AGAIN)
    if start.startswith(b"PK") and zipped:
        raise refuse(path, "a zip archive within gzip", "unpack it first (gunzip)")
    for magic, form in FORMATS.items():
        if start.startswith(magic):
            return form
    if len(start) >= 4 and start[:2] == b"\0\0" and start[2] in range(8, 15) and 1 <= start[3] <= 4:
        return "idx"
    for magic, said in FOREIGN:
        if start.startswith(magic):
            raise BadInput(f"{path}: {said}")
    if start[257:262] == b"ustar":
        raise refuse(path, "a tar archive", "unpack it and name the folder")
    unprintable = sum(byte < 9 or 13 < byte < 32 or byte == 127 for byte in start)
    if b"\0" in start or unprintable > 0.1 * len(start):
        name = path.name.lower()
        if "idx" in name or "ubyte" in name:
            number = int.from_bytes(start[:4], "big")
            raise refuse(path, f"begins with magic number {number}; allowed: 2051 for pictures, 2049 for labels", AGAIN)
        raise refuse(path, "of an unknown format", ALLOWED)
    if text.startswith((b"{", b"[")):
        raise refuse(path, "JSON, not a table of digits", "save it as CSV, or download the file itself")
    return "text"


ALLOWED = "allowed: .npz, .npy, IDX, CSV, Parquet, or folders of PNG or JPEG files"


def pieces(path: Path, tick: Tick) -> Iterator[bytes]:
    """The content of a file, unpacked where it is gzipped, in pieces of some MB.

    Raises `BadInput` where it can't be read, is damaged, or takes more than `LIMIT` bytes.
    """
    total = 0
    with _explained(path), path.open("rb") as file:
        size = max(path.stat().st_size, 1)
        source, _ = _opened(file)
        while piece := source.read(PIECE):
            total += len(piece)
            if total > LIMIT:
                raise refuse(path, f"takes more than {LIMIT:,} bytes unpacked", "use a part of it")
            yield piece
            tick(min(file.tell() / size, 1))


def read(path: Path, tick: Tick) -> bytes:
    """The whole content of a file, as `pieces` gives it."""
    return b"".join(pieces(path, tick))
