"""Executors of fits: in this process, in worker processes of this machine, or on a Dask cluster.

Each is a `concurrent.futures.Executor` whose workers have called an initializer once. `outcomes` distributes the tasks.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from mnistexp.errors import BadInput
from mnistexp.sweeps.executors.cores import usable_cores
from mnistexp.sweeps.executors.processes import Processes

ExecutorKind = Literal["serial", "processes", "dask"]
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Lost:
    """The outcome of a task whose workers died in every attempt."""

    reason: str


class Serial(Executor):
    """Runs each task immediately, in this process."""

    workers = at_once = 1

    def __init__(self, initializer: Callable[..., None], initargs: tuple[Any, ...]) -> None:
        initializer(*initargs)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A finished future with the result or exception of the function; Ctrl-C is raised."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


if TYPE_CHECKING:
    from mnistexp.sweeps.executors.dask_cluster import Cluster

    Workers = Serial | Processes | Cluster


def open_executor(
    kind: ExecutorKind,
    workers: int | None,
    scheduler: str | None,
    initializer: Callable[..., None],
    initargs: tuple[Any, ...],
) -> "Workers":
    """An executor, for a `with` block. It has the number of `workers`, and of tasks it accepts `at_once`.

    `workers` of None is one per usable core. Raises `BadInput` if Dask is missing or its scheduler doesn't answer.
    """
    count = workers or usable_cores()
    if kind == "serial":
        return Serial(initializer, initargs)
    if kind == "processes":
        return Processes(count, initializer, initargs)
    try:
        from mnistexp.sweeps.executors.dask_cluster import Cluster
    except ImportError:
        raise BadInput("sweep.executor: dask needs Dask: pip install 'mnistexp[dask]'") from None
    return Cluster(scheduler, count, initializer, initargs)


@dataclass
class _Attempt(Generic[Task]):
    task: Task
    deaths: int = 0


class _Line(Generic[Task]):
    """The waiting tasks: first those to retry, then new ones, at the end those on their last attempt, one at a time.

    One at a time because their workers may have died for lack of memory.
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
        """Queue the task again; False if it has no attempts left."""
        attempt.deaths += 1
        if attempt.deaths > self._retries:
            return False
        (self._last if attempt.deaths == self._retries else self._again).append(attempt)
        return True


def unheard(task: object, reason: str) -> None:
    """For callers that don't need notice of worker deaths."""


def outcomes(
    executor: "Workers",
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    retries: int,
    died: Callable[[Task, str], None] = unheard,
    more: Callable[[], bool] | None = None,
) -> Iterator[tuple[Task, Result | Lost]]:
    """Each task with the result of `function`, in the order of completion.

    An exception means that a worker died, so `function` must not raise; the task is then retried, at most `retries`
    times, and `died` is called with the task and the reason. At most `executor.at_once` tasks are submitted at a time;
    a worker process gets its next one before the caller gets the result, so that it doesn't wait for the caller.
    No task is submitted once `more` is false. With `more`, at most one task per worker is submitted at a time, once the
    caller has dealt with the result, so that no other task waits behind those under way.
    """
    line = _Line(tasks, retries)
    ended: SimpleQueue[Future[Result]] = SimpleQueue()
    running: dict[Future[Result], _Attempt[Task]] = {}

    def submit() -> None:
        limit = executor.workers if more else executor.at_once
        while len(running) < limit and (not more or more()) and (attempt := line.next(alone=not running)):
            future = executor.submit(function, attempt.task)
            running[future] = attempt
            future.add_done_callback(ended.put)

    try:
        while True:
            submit()
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
                outcome = Lost(f"{reason} ({attempt.deaths} attempts)")
            if isinstance(executor, Processes) and not more:
                submit()
            yield attempt.task, outcome
    finally:
        for future in running:
            future.cancel()
