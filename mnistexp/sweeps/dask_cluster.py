"""A Dask cluster as an executor: one that runs already, or one of worker processes on this machine.

Importing this module loads Dask, which is an optional extra.
"""

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

from mnistexp.errors import BadInput, RunError
from mnistexp.sweeps.processes import spawning

__all__ = ["Cluster"]

SECONDS_TO_CONNECT = 10
SECONDS_TO_CLOSE = 20.0

SETTINGS = {
    # `outcomes` counts the deaths itself; with Dask's own count a fit would kill four workers in each try.
    "distributed.scheduler.allowed-failures": 0,
    # Dask closes a worker for good where its successor isn't up in 15 seconds. On a busy machine this closed them all,
    # and the tasks waited for ever.
    "distributed.deploy.lost-worker-timeout": "1000 days",
    # Where no worker can be started any more, a try fails after this time.
    "distributed.scheduler.no-workers-timeout": "10 minutes",
}
"""Dask's settings while a cluster of this machine lasts, in place of the user's."""


class Cluster(Executor):
    """The workers of a Dask cluster, present and future, which have all called the initializer.

    With an address the cluster stays as it is afterwards; without, `workers` processes of one thread each are started
    on this machine and ended with the executor. Raises `BadInput` where no scheduler answers at the address.
    """

    at_once = 1000
    """Enough for the scheduler of a cluster that grows with its work to see that it could do with more workers."""

    def __init__(
        self, address: str | None, workers: int, initializer: Callable[..., None], initargs: tuple[Any, ...]
    ) -> None:
        self._address = address
        with ExitStack() as opened:
            target = address or opened.enter_context(_local_cluster(workers))
            self._client = opened.enter_context(_connected(target))
            plugin = f"mnistexp-{uuid4().hex}"
            self._client.register_plugin(_Initialize(initializer, initargs), name=plugin)
            self._executor = self._client.get_executor(pure=False)
            if address:
                opened.callback(self._leave, plugin)
            self._opened = opened.pop_all()

    @property
    def workers(self) -> int:
        """How many tasks the cluster works on at present; at least 1, as more may join."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call the function. Raises `RunError` where the scheduler is gone."""
        if self._client.status != "running":
            raise RunError(f"the Dask scheduler at {self._address or 'this machine'} is gone; finished fits are kept")
        future: Future[Any] = self._executor.submit(function, *args, **kwargs)
        return future

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Leave the cluster, and end the workers that were started here at once; quietly where it is gone."""
        with _quiet():
            self._opened.close()

    def _leave(self, plugin: str) -> None:
        if self._client.status == "running":
            self._executor.shutdown(wait=False)
            self._client.unregister_worker_plugin(plugin)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.shutdown()


class _Initialize(WorkerPlugin):  # type: ignore[misc]
    """Has each worker call the initializer when it joins; what it takes travels to a worker once."""

    def __init__(self, initializer: Callable[..., None], initargs: tuple[Any, ...]) -> None:
        self.start = (initializer, *initargs)

    def setup(self, worker: Any) -> None:  # noqa: ARG002 - Dask's signature
        initializer, *initargs = self.start
        initializer(*initargs)


class _Nanny(Nanny):  # type: ignore[misc]
    """Starts a worker process, and a new one when that dies, without the main program."""

    async def instantiate(self) -> Any:
        with spawning():
            return await super().instantiate()


@contextmanager
def _connected(target: Any) -> Iterator[Client]:
    try:
        client = Client(target, timeout=SECONDS_TO_CONNECT, set_as_default=False)
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
    with dask.config.set(SETTINGS):
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            worker_class=_Nanny,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        )
        try:
            yield cluster
        finally:
            _end(cluster)


def _end(cluster: LocalCluster) -> None:
    """End the workers first, as they keep nothing that would need to be put away: Dask then has none to wait for."""
    _kill_workers(cluster)
    try:
        cluster.close(timeout=SECONDS_TO_CLOSE)
    except TimeoutError:
        cluster.shutdown_on_close = False  # Dask would wait once more when this process ends
        _kill_workers(cluster)


def _kill_workers(cluster: LocalCluster) -> None:
    for nanny in list(cluster.workers.values()):
        nanny.close_gracefully()  # it starts no other worker
        if nanny.pid:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to ourselves what Dask logs of connections that end because we end them."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with suppress(TimeoutError, OSError):
            yield
    finally:
        logger.setLevel(before)
