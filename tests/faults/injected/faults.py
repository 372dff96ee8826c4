"""Faults in a process of mnistexp, as the operating system would bring them about.

`apply` takes any of:

    below     the folder whose operations count: opens, renames, folders made and removed, flushes
    kill_at   SIGKILL before the operation of that number
    log       a file to which each operation is written, a line each
    fail      `[operation, error, first, times]`: the calls from the `first` on, so many of them, raise that OSError
    clock     seconds by which the clock is wrong
    limit     bytes that a file may have
    humble    true: without root's power to read and write what permissions forbid
"""

import errno
import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

COUNTED = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "fsync"}


def apply(below: str = "", **faults: Any) -> None:
    if "clock" in faults:
        _set_clock(faults["clock"])
    if "kill_at" in faults or "log" in faults:
        _watch(below, faults.get("kill_at"), faults.get("log"))
    if "fail" in faults:
        _fail(below, *faults["fail"])
    if "limit" in faults:
        _limit(faults["limit"])
    if faults.get("humble"):
        _give_up_powers()


def _whole(path: Any) -> str:
    """A path from the root on, its links as they are."""
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - `resolve` follows links, and opens what we count


def _opened(handle: int) -> str:
    return os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115 - text, of whatever bytes


def _watch(below: str, kill_at: int | None, log: str | None) -> None:
    numbers, process, really = itertools.count(1), os.getpid(), os.fsync
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if log else None

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in COUNTED or os.getpid() != process or not arguments:
            return
        paths = [_whole(path) for path in arguments[:2] if isinstance(path, str | bytes | os.PathLike)]
        if not any(path.startswith(below) for path in paths):
            return
        if next(numbers) == kill_at:
            os.kill(process, signal.SIGKILL)
        if written is not None:
            os.write(written, "\t".join([event, *paths]).encode("utf-8", "surrogateescape") + b"\n")

    def fsync(handle: int) -> None:
        count("fsync", (_opened(handle),))
        really(handle)

    os.fsync = fsync  # type: ignore[assignment]
    sys.addaudithook(count)


def _fail(below: str, operation: str, error: str, first: int, times: int) -> None:
    really: Callable[..., Any] = getattr(os, operation)
    numbers = itertools.count(1)

    def failing(*arguments: Any, **options: Any) -> Any:
        first_argument = arguments[0]
        path = _opened(first_argument) if operation == "fsync" else _whole(first_argument)
        if path.startswith(below) and first <= next(numbers) < first + times:
            number = getattr(errno, error)
            raise OSError(number, os.strerror(number))
        return really(*arguments, **options)

    setattr(os, operation, failing)


def _limit(size: int) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _give_up_powers() -> None:
    """Leave to root what its files' permissions allow an owner: no CAP_DAC_OVERRIDE and no CAP_DAC_READ_SEARCH."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    powers = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable of the first 32; the same of the others
    system = ctypes.CDLL(None, use_errno=True)
    for call in (system.capget, system.capset):
        if call(header, powers) != 0:
            raise OSError(ctypes.get_errno(), "capabilities")
        powers[0] &= ~0b110


def _set_clock(seconds: float) -> None:
    import datetime
    import time

    real, real_ns, moment = time.time, time.time_ns, datetime.datetime

    class Wrong(moment):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment.now(tz) + datetime.timedelta(seconds=seconds)

    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)
    datetime.datetime = Wrong  # type: ignore[misc]
