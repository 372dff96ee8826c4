"""Worker processes on this machine, which always end with this process.

On Linux they are forked from a server process that has loaded TensorFlow without running it: so it is loaded once for
all of them, and in the background. On other systems each worker loads it itself.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from types import ModuleType
from typing import Any

FORKED = sys.platform == "linux"
INTERRUPTIONS = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
PRELOADED = "mnistexp.sweeps.executors.preloaded"

_ONE_AT_A_TIME = threading.Lock()
_HIDING = threading.Lock()
_HIDDEN: list[ModuleType] = []


class WorkerDied(BrokenExecutor):
    """The worker of a task has died; the task itself may be fine."""


_RESERVE: "ContextVar[list[_Worker] | None]" = ContextVar("reserve", default=None)


@contextmanager
def workers_kept() -> Iterator[None]:
    """Let every `Processes` of the `with` block pass its workers on to the next, as starting them takes seconds."""
    if _RESERVE.get() is not None:
        yield
        return
    reserve: list[_Worker] = []
    token = _RESERVE.set(reserve)
    try:
        yield
    finally:
        _RESERVE.reset(token)
        for worker in reserve:
            worker.end()


def load_ahead() -> None:
    """Load TensorFlow for future workers, in another process."""
    if FORKED:
        with spawning():
            multiprocessing.set_forkserver_preload([PRELOADED])
            forkserver.ensure_running()


class Processes(Executor):
    """Worker processes, each in its own pool; each has called the initializer.

    A pool breaks as a whole if one of its workers dies. With one pool per worker, a death affects one task, which gets
    `WorkerDied`, while the others continue. `submit` waits until a worker is idle. A worker that is killed, for example
    by the system for lack of memory, is not replaced while there are others; one that ends otherwise is. Leaving the
    `with` block by an exception, including Ctrl-C, ends the workers at once; so does the death of this process.
    """

    def __init__(self, workers: int, initializer: Callable[..., None], initargs: tuple[Any, ...]) -> None:
        self.workers = self.at_once = workers
        self._start = (initializer, *initargs)
        self._reserve = _RESERVE.get()
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._workers: set[_Worker] = set()
        try:
            for _ in range(workers):
                self._idle.put(self._new())
        except BaseException:  # Ctrl-C too, or nothing would end them
            self.shutdown()
            raise

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Wait for an idle worker, and let it call the function; if it dies, the future raises `WorkerDied`."""
        worker = self._idle.get()
        outer: Future[Any] = Future()
        outer.set_running_or_notify_cancel()
        try:
            inner = worker.submit(function, *args, **kwargs)
        except BrokenExecutor as error:  # it died while it was idle
            inner = Future()
            inner.set_exception(error)
        inner.add_done_callback(lambda done: self._settle(worker, done, outer))
        return outer

    def _settle(self, worker: "_Worker", inner: Future[Any], outer: Future[Any]) -> None:
        error = inner.exception()
        if isinstance(error, BrokenExecutor):
            error = WorkerDied(worker.cause_of_death())
            self._workers.remove(worker)
            replaced = None if worker.was_killed() and self._workers else self._new()
            self.workers = self.at_once = len(self._workers)
        else:
            replaced = worker
        # Before the result is set, so that a waiting caller finds an idle worker.
        if replaced is not None:
            self._idle.put(replaced)
        if error is None:
            outer.set_result(inner.result())
        else:
            outer.set_exception(error)

    def _new(self) -> "_Worker":
        worker = self._reserve.pop() if self._reserve else _Worker()
        self._workers.add(worker)
        with suppress(BrokenExecutor):  # its first task finds this, and goes to another worker
            worker.submit(*self._start)
        return worker

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None and self._reserve is not None:
            self._reserve.extend(self._workers)
        else:
            self.shutdown()

    def shutdown(self, *_: Any, **__: Any) -> None:
        """End all workers at once, whatever they are doing."""
        for worker in list(self._workers):
            worker.end()


class _Worker:
    """A pool of one process, which starts with the first task and runs tasks in the order of submission."""

    def __init__(self) -> None:
        load_ahead()
        context = multiprocessing.get_context("forkserver" if FORKED else "spawn")
        self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker)
        self.process: BaseProcess | None = None

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.process is not None:
            return self.pool.submit(function, *args, **kwargs)
        # A starting worker prints an error if its parent is interrupted, so signals are delayed.
        with _ONE_AT_A_TIME, _held_back(INTERRUPTIONS), spawning():
            others = set(multiprocessing.active_children())
            future = self.pool.submit(function, *args, **kwargs)
            self.process = next(iter(set(multiprocessing.active_children()) - others), None)
        return future

    def end(self) -> None:
        """End the worker at once: it has nothing to clean up, and TensorFlow takes a second to exit."""
        if self.process is not None:
            self.process.kill()
        self.pool.shutdown(cancel_futures=True)

    def cause_of_death(self) -> str:
        if self.process is None:
            return "the worker process could not be started"
        wait([self.process.sentinel], 1)
        code = self._exit_code()
        if code is None or code >= 0:
            return f"the worker process ended with exit code {code}"
        name = signal.Signals(-code).name
        return f"the worker process was ended by {name}{' (out of memory?)' if self.was_killed() else ''}"

    def was_killed(self) -> bool:
        """Whether it was killed, as the system does when memory runs out."""
        return sys.platform != "win32" and self._exit_code() == -signal.SIGKILL

    def _exit_code(self) -> int | None:
        with _ONE_AT_A_TIME:  # of two threads that ask at once, one is told 255
            return self.process.exitcode if self.process else None


@contextmanager
def spawning() -> Iterator[None]:
    """Processes started by this thread in the block ignore Ctrl-C from the start and don't import the main program.

    Tasks are functions of importable modules, so workers don't need the main program; otherwise each worker would run a
    script that calls a sweep without `if __name__ == "__main__"` again. May be entered several times.
    """
    with _held_back({signal.SIGINT}):
        with _HIDING:
            _HIDDEN.append(sys.modules["__main__"])
            sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            with _HIDING:
                # The oldest is the program itself; later ones found an empty module in its place.
                oldest = _HIDDEN[0]
                _HIDDEN.pop()
                if not _HIDDEN:
                    sys.modules["__main__"] = oldest


def _start_worker() -> None:
    leave_signals_to_the_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()


@contextmanager
def _held_back(signals: set[signal.Signals]) -> Iterator[None]:
    """Delay these signals for this thread, and for the processes that it starts, until afterwards."""
    if sys.platform == "win32":
        yield
        return
    # The resource tracker starts with the first process that needs it, and Python then unblocks the signals.
    resource_tracker.ensure_running()
    with answered_later(signals):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def answered_later(signals: set[signal.Signals] = INTERRUPTIONS) -> Iterator[None]:
    """Let the main thread answer these signals after the block, whichever thread the system delivers them to."""
    heard: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in filter(lambda number: callable(signal.getsignal(number)), signals):
            handlers[number] = signal.signal(number, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for late in heard[:1]:
            signal.raise_signal(late)


def leave_signals_to_the_parent() -> None:
    """Ignore signals that a terminal or `timeout` sends to the whole group: the parent gets them too, and ends us."""
    for interruption in INTERRUPTIONS:
        signal.signal(interruption, signal.SIG_IGN)


def _end_with_parent() -> None:
    """Exit when the parent has died, even by kill -9: the system then closes its end of a pipe."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
