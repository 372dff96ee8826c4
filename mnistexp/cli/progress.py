"""What a command says while it works: a bar on a terminal, one plain line per fit elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mnistexp.results import EpochDone, Event, FitDone, Noted, Reading, Step, Watch, Working

__all__ = ["Watch", "cursor_kept", "watching"]


@contextmanager
def watching(console: Console, *, quiet: bool) -> Iterator[Watch]:
    """A watch that shows progress on the console (standard error) until the block ends."""
    if quiet:
        yield lambda _: None
    elif console.is_terminal:
        with cursor_kept(console), _bar(console) as progress:
            yield _BarWatch(progress)
    else:
        yield _LineWatch(console)


@contextmanager
def cursor_kept(console: Console) -> Iterator[None]:
    """Give the terminal its cursor back, also where Ctrl-C comes while rich is about to hide it."""
    try:
        yield
    finally:
        console.show_cursor(True)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stderr=False,
    )


class _BarWatch:
    """One bar for the epochs of a training, or for the fits of a sweep."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Step | Noted):
            line = step_line(event) if isinstance(event, Step) else event.text
            self._progress.console.print(line, markup=False, highlight=False)
            if self._task is not None:
                self._progress.remove_task(self._task)
                self._task = None
            return
        if self._task is None:
            self._task = self._progress.add_task("", total=1, figures="")
        if isinstance(event, Reading):
            self._progress.update(self._task, description="reading (%)", completed=100 * event.done, total=100)
            return
        if isinstance(event, Working):
            self._progress.update(self._task, completed=event.done, total=event.total)
            return
        if isinstance(event, EpochDone):
            name = "epoch" if event.repeats == 1 else f"training {event.repeat + 1}/{event.repeats}, epoch"
            done, total = event.repeat * event.epochs + event.epoch, event.repeats * event.epochs
            figures = figures_of(event)
        else:
            name, done, total = "fit", event.done, event.total
            figures = f"best {event.best:.4f}" if event.best is not None else ""
        self._progress.update(self._task, description=name, completed=done, total=total, figures=figures)


class _LineWatch:
    """One line per finished fit; of one long training a line now and then."""

    SECONDS = 10.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = self._started = time.monotonic()

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Working):
            return
        if isinstance(event, Noted):
            self._say(event.text)
        elif isinstance(event, Reading):
            if now - self._said > self.SECONDS:
                self._say(f"reading the digits: {event.done:.0%}")
                self._said = now
        elif isinstance(event, Step):
            self._say(step_line(event))
            self._said = self._started = now
        elif isinstance(event, FitDone):
            best = f", best so far {event.best:.4f}" if event.best is not None else ""
            left = f", about {event.seconds_left:.0f} s left" if event.seconds_left is not None else ""
            self._say(f"fit {event.done}/{event.total}: {event.what}{best}{left}")
        elif event.epoch == event.epochs or now - self._said > self.SECONDS:
            name = f"training {event.repeat + 1}/{event.repeats}, " if event.repeats > 1 else ""
            self._say(f"{name}epoch {event.epoch}/{event.epochs}: {figures_of(event)}, {now - self._started:.0f} s")
            self._said = now

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def step_line(event: Step) -> str:
    """Which step begins."""
    return f"step {event.number}/{event.total}: {event.what}"


def figures_of(event: EpochDone) -> str:
    """The losses and accuracies of an epoch in one line."""
    figures = f"loss {event.loss:.4f}, accuracy {event.accuracy:.4f}"
    if event.val_loss is not None and event.val_accuracy is not None:
        figures += f", validation loss {event.val_loss:.4f}, accuracy {event.val_accuracy:.4f}"
    return figures
