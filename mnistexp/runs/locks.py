"""Locks between processes, held by the operating system: they can't outlive their holder."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnistexp.errors import RunError
from mnistexp.runs.files import explained

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["lock"]

LOCK = ".lock"


@contextmanager
def lock(folder: Path, *, wait: bool = False, name: str = LOCK) -> Iterator[None]:
    """Hold a folder for this process alone; the system lets go of it when the process dies, however it dies.

    Locks of different names, all hidden, don't exclude each other.

    Raises RunError at once where another holds it (`wait` waits instead), or where the file system has no locks.
    The file stays behind: removing it would let two processes hold two different files of that name.
    """
    path = folder / name
    with explained("lock", folder):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with explained("lock", folder):
            while not _try_lock(handle, wait=wait):
                if not wait:
                    raise RunError(f"{folder} is in use by another process{_holder(handle)}")
        # Only a hint for the message above: a full disk must not stop us here.
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int, *, wait: bool) -> bool:
    """Take the lock; False where another process has it: on Windows also after waiting for ten seconds."""
    try:
        if sys.platform == "win32":
            # Beyond the number that is written there, which others must be able to read.
            os.lseek(handle, 1000, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def _holder(handle: int) -> str:
    with suppress(OSError, ValueError):
        return f" (process {int(os.read(handle, 20))})"
    return ""
