"""Where fits are run, and how they are handed out.

In this process, in worker processes of this machine, or on a Dask cluster: each a `concurrent.futures.Executor` whose
workers have called an initializer once. `outcomes` drives any of them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from mnistexp.errors import BadInput
from mnistexp.sweeps.cores import usable_cores
from mnistexp.sweeps.processes import Processes

__all__ = ["Kind", "Lost", "Serial", "open_executor", "outcomes"]

Kind = Literal["serial", "processes", "dask"]
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Lost:
    """What became of a task whose workers died as often as it was tried."""

    reason: str


class Serial(Executor):
    """Runs each task at once, in this process."""

    workers = at_once = 1

    def __init__(self, initializer: Callable[..., None], initargs: tuple[Any, ...]) -> None:
        initializer(*initargs)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that is done already; what the function raises is in it, but Ctrl-C comes through."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


if TYPE_CHECKING:
    from mnistexp.sweeps.dask_cluster import Cluster

    Workers = Serial | Processes | Cluster


def open_executor(
    kind: Kind,
    workers: int | None,
    scheduler: str | None,
    initializer: Callable[..., None],
    initargs: tuple[Any, ...],
) -> "Workers":
    """An executor, to be used in a `with` block. It tells its number of `workers`, and of tasks it takes `at_once`.

    `workers` of None are as many as there are usable cores. Raises `BadInput` where Dask is missing or its scheduler
    doesn't answer.
    """
    count = workers or usable_cores()
    if kind == "serial":
        return Serial(initializer, initargs)
    if kind == "processes":
        return Processes(count, initializer, initargs)
    try:
        from mnistexp.sweeps.dask_cluster import Cluster
    except ImportError:
        raise BadInput("sweep.executor: dask needs an extra: pip install 'mnistexp[dask]'") from None
    return Cluster(scheduler, count, initializer, initargs)


@dataclass
class _Attempt(Generic[Task]):
    task: Task
    deaths: int = 0


class _Line(Generic[Task]):
    """The tasks that wait: those to try again first, then fresh ones, and at the end, alone, those on their last try.

    Alone because it may have been memory that their workers lacked.
    """

    def __init__(self, tasks: Iterable[Task], retries: int) -> None:
        self._fresh = (_Attempt(task) for task in tasks)
        self._again: deque[_Attempt[Task]] = deque()
        self._last: deque[_Attempt[Task]] = deque()
        self._retries = retries

    def next(self, *, alone: bool) -> _Attempt[Task] | None:
        if self._again:
            return self._again.popleft()
        attempt = next(self._fresh, None)
        return self._last.popleft() if attempt is None and alone and self._last else attempt

    def died(self, attempt: _Attempt[Task]) -> bool:
        """Line the task up once more; False where it has been tried often enough."""
        attempt.deaths += 1
        if attempt.deaths > self._retries:
            return False
        (self._last if attempt.deaths == self._retries else self._again).append(attempt)
        return True


def unheard(task: object, reason: str) -> None:
    """For callers who don't want to be told of deaths."""


def outcomes(
    executor: "Workers",
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    retries: int,
    died: Callable[[Task, str], None] = unheard,
) -> Iterator[tuple[Task, Result | Lost]]:
    """Each task with what `function` makes of it, in the order in which they end.

    An exception that comes back stands for the end of a worker, so `function` must not raise; the task is then tried
    again, `retries` times at most; `died` is called with each task that is, and the reason. Only `executor.at_once`
    tasks are under way, however many there are.
    """
    line = _Line(tasks, retries)
    ended: SimpleQueue[Future[Result]] = SimpleQueue()
    running: dict[Future[Result], _Attempt[Task]] = {}
    try:
        while True:
            while len(running) < executor.at_once and (attempt := line.next(alone=not running)):
                future = executor.submit(function, attempt.task)
                running[future] = attempt
                future.add_done_callback(ended.put)
            if not running:
                return
            future = ended.get()
            attempt = running.pop(future)
            try:
                outcome: Result | Lost = future.result()
            except (Exception, CancelledError) as error:
                reason = str(error) or type(error).__name__
                if line.died(attempt):
                    died(attempt.task, reason)
                    continue
                outcome = Lost(f"{reason} (tried {attempt.deaths} times)")
            yield attempt.task, outcome
    finally:
        for future in running:
            future.cancel()
