"""Standard error for our own lines only: output of libraries, also from compiled code and other processes, is captured.

Log levels don't suppress all of it: TensorFlow, for example, writes notices before it reads its own level. So the
program replaces standard error by a file, and writes its own lines to the original. Runs add the captured output to
their log; a watcher process prints it if this process crashes, as it may have the reason.
"""

import atexit
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TextIO

LONGEST = 20_000
"""At most this many bytes of the end of the captured output are shown."""
# It reads until this process has ended; what it reads is empty where that wasn't announced.
WATCHER = f"""
import os, sys
if not sys.stdin.buffer.read():
    os.lseek(1, max(0, os.fstat(1).st_size - {LONGEST}), os.SEEK_SET)
    os.write(2, os.read(1, {LONGEST}))
"""

_own: TextIO | None = None
_given: tuple[int, Any] = -1, None
_kept: IO[bytes] | None = None
_taken = 0
_watcher: "subprocess.Popen[bytes] | None" = None


def own() -> TextIO:
    """The original standard error, for our own lines."""
    return _own or sys.stderr or io.StringIO()  # it is None where it was closed from the start


def keep_all() -> None:
    """Capture standard error of this process and of processes started from now on, except output to `own()`."""
    global _own, _kept, _taken, _given
    with suppress(OSError):  # no folder for temporary files: nothing is captured
        kept = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as the program runs
        try:
            _given = os.dup(2), sys.stderr
        except OSError:  # closed: the next file to be opened would have been taken for it
            _given = os.open(os.devnull, os.O_WRONLY), sys.stderr
        os.dup2(kept.fileno(), 2)
        _kept, _taken, _own = kept, 0, sys.stderr
        if sys.stderr is None or _number(sys.stderr) == 2:
            encoding = sys.stderr.encoding if sys.stderr else None
            _own = os.fdopen(_given[0], "w", 1, encoding, "backslashreplace", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, closefd=False)


def give_back() -> None:
    """Undo `keep_all`, for processes that continue with other work."""
    global _own, _kept
    if _kept is not None:
        number, sys.stderr = _given
        os.dup2(number, 2)
        os.close(number)
        _kept.close()
        _own = _kept = None


def kept_back() -> str:
    """The output captured since the last call, at most the last 20 kB; "" if there is none."""
    global _taken
    if _kept is None:
        return ""
    end = os.fstat(_kept.fileno()).st_size
    _kept.seek(max(_taken, end - LONGEST))
    _taken = end
    return _kept.read().decode("utf-8", "replace").strip()


def watch_for_a_crash() -> None:
    """Start a watcher process that prints the captured output if this process crashes.

    Nothing is started if nothing is captured, and only one watcher per process.
    """
    global _watcher
    if _kept is None or _watcher is not None:
        return
    with suppress(OSError):
        _watcher = subprocess.Popen(
            [sys.executable, "-ISEc", WATCHER],
            stdin=subprocess.PIPE,
            stdout=_kept,
            stderr=own() if _number(own()) is not None else subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal ends this process only
        )
        atexit.register(_watcher.communicate, b"ended")


@contextmanager
def kept_while() -> Iterator[None]:
    """Capture and discard the output of the `with` block; show it if the block raises."""
    if sys.stderr is not None:
        sys.stderr.flush()
    given = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except Exception:
            kept.seek(0)
            os.write(given, kept.read())
            raise
        finally:
            os.dup2(given, 2)
            os.close(given)


def _number(stream: TextIO) -> int | None:
    """The file descriptor; None if the stream is not a file, such as a notebook's."""
    try:
        return stream.fileno()
    except (OSError, AttributeError):
        return None
