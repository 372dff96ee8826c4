"""What the tests of executors have workers do: functions that a spawned process can import."""

import os
import signal
import time
from pathlib import Path

received: list[object] = []


def receive(folder: Path, thing: object) -> None:
    """An initializer that leaves a file for each worker that calls it."""
    received.append(thing)
    with (folder / f"initialized-{os.getpid()}").open("a") as file:
        file.write("once\n")


def initialize_nothing() -> None:
    pass


def start_once(folder: Path) -> None:
    """An initializer that fails in each worker but the first."""
    (folder / "started").touch(exist_ok=False)


def square(number: int) -> int:
    return number * number


def times_received(number: int) -> object:
    return received[-1] * number  # type: ignore[operator]


def process_id(_: int) -> int:
    return os.getpid()


def die_once(task: tuple[Path, int]) -> int:
    """Take the worker along when tried for the first time."""
    folder, number = task
    mark = folder / f"died-{number}"
    if number % 5 == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_at_seven(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class DiesWithItsWorker:
    """A result whose worker dies when it is asked for it."""

    def __reduce__(self) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


def die_once_done(folder: Path) -> DiesWithItsWorker:
    """Take the worker along after the task is done; when done again for the lost result, before that."""
    mark = folder / "done"
    if mark.exists():
        os.kill(os.getpid(), signal.SIGKILL)
    mark.touch()
    return DiesWithItsWorker()


def exit_with(code: int) -> None:
    time.sleep(0.03 * (code - 11))
    os._exit(code)


def die_twice_then_count_others(task: tuple[Path, int]) -> int:
    """Task 0 dies twice; when tried for the third time it tells how many others are under way."""
    folder, number = task
    running = folder / f"running-{number}"
    tries = folder / f"tries-{number}"
    if number == 0:
        with tries.open("a") as file:
            file.write("x")
        if len(tries.read_text()) <= 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return len(list(folder.glob("running-*")))
    running.touch()
    time.sleep(0.02)
    running.unlink()
    return 0


def announce_and_wait(folder: Path) -> None:
    """Say which process this is, then work on something that takes for ever."""
    (folder / f"pid-{os.getpid()}").touch()
    time.sleep(1000)
