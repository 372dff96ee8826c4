"""Locks between processes, held by the operating system and released when the process ends."""

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

LOCK = ".lock"


@contextmanager
def lock(folder: Path, *, wait: bool = False, name: str = LOCK) -> Iterator[None]:
    """Lock a folder for this process; the system releases the lock when the process dies.

    Locks with different names are independent.

    Raises RunError at once if another process holds it (`wait` waits instead), or if the file system has no locks.
    The lock file is kept: removing it would let two processes lock two different files of that name.
    """
    path = folder / name
    with explained("lock", folder):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with explained("lock", folder):
            while not _try_lock(handle, wait=wait):
                if not wait:
                    raise RunError(f"{folder} is in use by another process{_holder(handle)}")
        # Only for the message above, so a full disk is no error here.
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int, *, wait: bool) -> bool:
    """Take the lock; False if another process has it, on Windows after waiting for ten seconds."""
    try:
        if sys.platform == "win32":
            # Beyond the process id written there, which others must be able to read.
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
