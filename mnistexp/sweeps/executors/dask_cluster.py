"""A Dask cluster as an executor: an existing one, or one of worker processes on this machine.

Importing this module loads Dask, which is an optional extra.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from uuid import uuid4

import dask
from distributed import Client, LocalCluster, Nanny, WorkerPlugin
from distributed import Future as DaskFuture

from mnistexp.errors import BadInput, RunError
from mnistexp.sweeps.executors.processes import answered_later, spawning

SECONDS_TO_CONNECT = 10
SECONDS_TO_CLOSE = 20.0

SETTINGS = {
    # `outcomes` counts worker deaths itself; with Dask's count a fit would kill four workers per attempt.
    "distributed.scheduler.allowed-failures": 0,
    # Dask removes a worker if its replacement isn't ready in 15 seconds. On a busy machine this removed all of them,
    # and the tasks waited forever.
    "distributed.deploy.lost-worker-timeout": "1000 days",
    # If no worker can be started any more, an attempt fails after this time.
    "distributed.scheduler.no-workers-timeout": "10 minutes",
}
"""Dask's settings for a cluster on this machine; they override the user's."""


class Cluster(Executor):
    """The current and future workers of a Dask cluster; each has called the initializer.

    With an address the cluster is left as it is afterwards; without, `workers` processes of one thread each are started
    on this machine and stopped with the executor. Raises `BadInput` if no scheduler answers at the address.
    """

    at_once = 1000
    """Enough queued tasks for an adaptive cluster to start more workers."""

    def __init__(
        self, address: str | None, workers: int, initializer: Callable[..., None], initargs: tuple[Any, ...]
    ) -> None:
        self._address = address
        with ExitStack() as opened:
            opened.enter_context(_quiet())
            target = address or opened.enter_context(_local_cluster(workers))
            self._client = opened.enter_context(_connected(target))
            plugin = f"mnistexp-{uuid4().hex}"
            self._client.register_plugin(_Initialize(initializer, initargs), name=plugin)
            if address:
                opened.callback(self._leave, plugin)
            self._opened = opened.pop_all()

    @property
    def workers(self) -> int:
        """How many tasks the cluster can work on now; at least 1, as workers may join."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Let a worker call the function. Raises `RunError` if the scheduler is gone."""
        if self._client.status != "running":
            raise RunError(
                f"the Dask scheduler at {self._address or 'this machine'} no longer answers; finished fits are kept"
            )
        result = _result(self._client.submit(function, *args, pure=False, **kwargs))
        return asyncio.run_coroutine_threadsafe(result, self._client.loop.asyncio_loop)

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Leave the cluster, and stop workers started here at once; no error if the cluster is gone."""
        with suppress(OSError):  # a time limit too
            self._opened.close()

    def _leave(self, plugin: str) -> None:
        if self._client.status == "running":
            self._client.unregister_worker_plugin(plugin)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.shutdown()


class _Initialize(WorkerPlugin):  # type: ignore[misc]
    """Lets each worker call the initializer when it joins; its arguments are sent once per worker."""

    def __init__(self, initializer: Callable[..., None], initargs: tuple[Any, ...]) -> None:
        self.start = (initializer, *initargs)

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - Dask's signature
        initializer, *initargs = self.start
        initializer(*initargs)


class _Client(Client):  # type: ignore[misc]
    """A connection that is closed if it can't be made."""

    def start(self, **options: Any) -> None:
        try:
            super().start(**options)
        except BaseException:
            # Else Dask does it when it is garbage: if that is while another one starts, both wait for the other.
            self.close()
            raise


class _Nanny(Nanny):  # type: ignore[misc]
    """Starts a worker process, and a new one if it dies, without importing the main program."""

    async def instantiate(self) -> Any:
        with spawning():
            return await super().instantiate()


async def _result(task: DaskFuture) -> Any:
    """The result of a task. Dask's own executor would wait forever if it was lost with its worker, and then again."""
    return await task


@contextmanager
def _connected(target: Any) -> Iterator[Client]:
    try:
        client = _Client(target, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"sweep.scheduler: no Dask scheduler answers at {target!r}, expected an address such as tcp://host:8786 "
            f"({error or type(error).__name__})"
        ) from error
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _local_cluster(workers: int) -> Iterator[LocalCluster]:
    with dask.config.set(SETTINGS), ExitStack() as opened:
        # Interrupted while it starts, Dask would leave its workers behind and complain of each when this process ends.
        with answered_later():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                worker_class=_Nanny,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
            opened.callback(_end, cluster)
        yield cluster


def _end(cluster: LocalCluster) -> None:
    """Stop the workers first, so that Dask doesn't wait for them; they have no state to save."""
    _kill_workers(cluster)
    try:
        cluster.close(timeout=SECONDS_TO_CLOSE)
    except (OSError, AssertionError):  # a worker doesn't close in time, or its process is just being started
        cluster.shutdown_on_close = False  # otherwise Dask waits again when this process ends
        _kill_workers(cluster)


def _kill_workers(cluster: LocalCluster) -> None:
    for nanny in list(cluster.workers.values()):
        nanny.close_gracefully()  # so that it starts no other worker
        if nanny.pid:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Dask's log messages: our errors tell what goes wrong, and the rest tells of connections we close."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
