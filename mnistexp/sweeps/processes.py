"""Worker processes on this machine: started so that they disturb nobody, and ended however this process ends."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from types import ModuleType
from typing import Any

__all__ = ["Processes", "WorkerDied", "spawning"]

_ONE_AT_A_TIME = threading.Lock()
_HIDING = threading.Lock()
_HIDDEN: list[ModuleType] = []


class WorkerDied(BrokenExecutor):
    """The worker that had the task is gone; the task itself may be fine."""


class Processes(Executor):
    """Spawned worker processes, each in a pool of its own, which have all called the initializer.

    A pool breaks whole when one of its workers dies. With a pool for each, a death costs one task, which gets
    `WorkerDied`, while the others go on. `submit` waits until a worker is idle. Leaving the `with` block by an
    exception, Ctrl-C among them, ends the workers at once; so does the death of this process.
    """

    def __init__(self, workers: int, initializer: Callable[..., None], initargs: tuple[Any, ...]) -> None:
        self.workers = self.at_once = workers
        self._start = (initializer, *initargs)
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._workers: set[_Worker] = set()
        for _ in range(workers):
            self._idle.put(self._new())

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        worker = self._idle.get()
        outer: Future[Any] = Future()
        outer.set_running_or_notify_cancel()
        try:
            inner = worker.submit(function, *args, **kwargs)
        except BrokenExecutor as error:  # it died while it had nothing to do
            inner = Future()
            inner.set_exception(error)
        inner.add_done_callback(lambda done: self._settle(worker, done, outer))
        return outer

    def _settle(self, worker: "_Worker", inner: Future[Any], outer: Future[Any]) -> None:
        error = inner.exception()
        if isinstance(error, BrokenExecutor):
            error = WorkerDied(worker.cause_of_death())
            self._workers.remove(worker)
            worker = self._new()
        # Before the result is known, so that who waits for it finds an idle worker.
        self._idle.put(worker)
        if error is None:
            outer.set_result(inner.result())
        else:
            outer.set_exception(error)

    def _new(self) -> "_Worker":
        worker = _Worker(self._start)
        self._workers.add(worker)
        return worker

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            for worker in list(self._workers):
                worker.kill()
        self.shutdown()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for worker in list(self._workers):
            worker.pool.shutdown(wait=wait, cancel_futures=cancel_futures)


class _Worker:
    """A pool of one process, which is started by the first task."""

    def __init__(self, start: tuple[Any, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker, initargs=start)
        self.process: BaseProcess | None = None

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.process is not None:
            return self.pool.submit(function, *args, **kwargs)
        with _ONE_AT_A_TIME, spawning():
            others = set(multiprocessing.active_children())
            future = self.pool.submit(function, *args, **kwargs)
            self.process = next(iter(set(multiprocessing.active_children()) - others), None)
        return future

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def cause_of_death(self) -> str:
        if self.process is None:
            return "the worker process could not be started"
        self.process.join(1)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"the worker process ended with exit code {code}"
        name = signal.Signals(-code).name
        return f"the worker process was ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"


@contextmanager
def spawning() -> Iterator[None]:
    """While this lasts, processes that this thread starts ignore Ctrl-C from birth and don't import the main program.

    Tasks are functions of importable modules, so that workers need no main program; otherwise a script that calls a
    sweep without `if __name__ == "__main__"` would be run once more by each worker. May be entered several times.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if sys.platform != "win32" else set()
    with _HIDING:
        _HIDDEN.append(sys.modules["__main__"])
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        with _HIDING:
            # The oldest is the program itself; those that entered later found an empty one in its place.
            oldest = _HIDDEN[0]
            _HIDDEN.pop()
            if not _HIDDEN:
                sys.modules["__main__"] = oldest
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(initializer: Callable[..., None], *initargs: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    initializer(*initargs)


def _end_with_parent() -> None:
    """Leave when the parent is gone, even by kill -9: the system then closes its end of a pipe."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
