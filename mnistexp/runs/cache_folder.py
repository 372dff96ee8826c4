"""A cache on disk: a folder of folders of entries, which can be counted, pruned by age and shrunk to a size.

Several processes may use it at once: entries are written whole, and any of them may vanish at any time.
"""

import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mnistexp.errors import RunError
from mnistexp.runs import files

SECONDS_TO_WRITE = 3600.0
"""Older temporary files are those of killed processes: no process can be writing them."""


class Entry(NamedTuple):
    """An entry, its bytes, and when it was written or last used, in seconds since 1970."""

    path: Path
    bytes: int
    used: float


class CacheFolder:
    """The entries of a cache: the files of one suffix in the folders of `folder`."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder, self.suffix = folder, suffix

    def add(self, path: Path, content: bytes) -> None:
        """Write an entry, flushed to the disk. Raises RunError."""
        try:
            files.write_bytes(path, content)
        except RunError:  # its folder isn't there yet, or was just pruned
            files.make_folder(path.parent)
            files.write_bytes(path, content)

    def entries(self, names: str = "[!.]*") -> list[Entry]:
        """The entries, those written or used last first; what vanishes meanwhile is left out."""
        found = []
        for path in sorted(self.folder.glob(f"*/{names}{self.suffix}")):
            with suppress(OSError):
                about = path.stat()
                found.append(Entry(path, about.st_size, about.st_mtime))
        return sorted(found, key=lambda entry: -entry.used)

    def size(self) -> tuple[int, int]:
        """The number of entries, 0 if the folder is missing, and their bytes."""
        return _size(self.entries())

    def prune(self, older_than: float | None = None) -> tuple[int, int]:
        """Remove the entries not written or used for `older_than` seconds, or all; their size. Raises RunError."""
        now = time.time()
        chosen = [entry for entry in self.entries() if older_than is None or entry.used < now - older_than]
        cut_off = [entry for entry in self.entries(f"{files.TEMPORARY}*") if entry.used < now - SECONDS_TO_WRITE]
        for entry in (*chosen, *cut_off):
            with files.explained("remove", entry.path):
                entry.path.unlink(missing_ok=True)
        for emptied in {entry.path.parent for entry in chosen}:
            with suppress(OSError):
                emptied.rmdir()
        return _size(chosen)

    def shrink(self, most: int) -> None:
        """Remove the entries that were not used for longest, so that `most` bytes are left. Raises OSError."""
        total = 0
        for entry in self.entries():
            total += entry.bytes
            if total > most:
                entry.path.unlink(missing_ok=True)
                with suppress(OSError):
                    entry.path.parent.rmdir()  # if that was its last entry


def _size(entries: list[Entry]) -> tuple[int, int]:
    return len(entries), sum(entry.bytes for entry in entries)
