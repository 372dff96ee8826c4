"""What a command says while it works: a bar on a terminal, one plain line per fit elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import isfinite, nan

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from mnistexp.config.shown import duration, percent
from mnistexp.runs.results import Answered, EpochDone, Event, FitDone, Noted, Outcome, Reading, Step, Watch, Working

Shown = EpochDone | FitDone | Noted | Reading | Step | Working


@contextmanager
def watching(console: Console, *, quiet: bool, answer: Callable[[Outcome], None] | None = None) -> Iterator[Watch]:
    """A watch that shows progress on the console (standard error) until the block ends.

    `answer` is called with the answer of a training, while nothing of the progress is on the screen. Where nobody reads
    it any more, as in `| head`, the block still runs to its end; then its BrokenPipeError is raised.
    """
    unread: list[BrokenPipeError] = []
    with ExitStack() as stack:
        show: Callable[[Shown], None] = _LineWatch(console)
        stop: Callable[[], None] = _nothing
        if quiet:
            show = _nothing
        elif console.is_terminal:
            stack.enter_context(cursor_kept(console))
            bar = stack.enter_context(_bar(console))
            show, stop = _BarWatch(bar), bar.stop

        def watch(event: Event) -> None:
            if not isinstance(event, Answered):
                show(event)
            elif answer:
                stop()
                try:
                    answer(event.outcome)
                except BrokenPipeError as error:
                    unread.append(error)

        yield watch
    if unread:
        raise unread[0]


def _nothing(*_: object) -> None:
    pass


@contextmanager
def cursor_kept(console: Console) -> Iterator[None]:
    """Give the terminal its cursor back, also where Ctrl-C comes while rich is about to hide it."""
    try:
        yield
    finally:
        console.show_cursor(True)


def _bar(console: Console) -> Progress:
    whole = Column(no_wrap=True)
    return Progress(
        TextColumn("{task.description}", table_column=whole),
        BarColumn(bar_width=max(8, min(16, console.width // 6))),
        TextColumn("{task.fields[figures]}", table_column=whole),
        _TimeLeft(table_column=whole),
        console=console,
        transient=True,
        redirect_stderr=False,
    )


class _TimeLeft(ProgressColumn):
    """The time left, as whoever works says or else as the pace so far lets expect."""

    def render(self, task: Task) -> Text:
        """The time in words; nothing where it isn't known."""
        left = task.fields["left"] if task.fields["left"] is not None else task.time_remaining
        return Text("" if left is None else f"{duration(left)} left", style="cyan")


class _BarWatch:
    """One bar for the epochs of a training, or for the fits of a sweep; it moves before the first of them as well."""

    WIDE = 136

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._losses: dict[str, list[float]] = {}
        self._task = self._begin()

    def _begin(self) -> TaskID:
        return self._progress.add_task("preparing", total=None, figures="", left=None)

    def __call__(self, event: Shown) -> None:
        if isinstance(event, Step | Noted):
            line = step_line(event) if isinstance(event, Step) else event.text
            self._progress.console.print(line, markup=False, highlight=False)
            self._progress.remove_task(self._task)
            self._task = self._begin()
        elif isinstance(event, Reading):
            self._progress.update(self._task, description="reading digits", completed=event.done, total=1)
        elif isinstance(event, Working):
            self._progress.update(self._task, completed=event.done, total=event.total)
        elif isinstance(event, EpochDone):
            done, total = event.repeat * event.epochs + event.epoch, event.repeats * event.epochs
            name = f"epoch {event.epoch}/{event.epochs}"
            if event.repeats > 1:
                name = f"training {event.repeat + 1}/{event.repeats}, {name}"
            self._show(name, done, total, self._figures(event))
        else:
            figures = f"best accuracy {percent(event.best)}" if event.best is not None else ""
            self._show(f"fit {event.done}/{event.total}", event.done, event.total, figures, event.seconds_left)

    def _show(self, name: str, done: float, total: float, figures: str, left: float | None = None) -> None:
        self._progress.update(self._task, description=name, completed=done, total=total, figures=figures, left=left)

    def _figures(self, event: EpochDone) -> str:
        """The validation loss, or else the loss, and the lowest so far; on a wide terminal all figures."""
        if event.epoch == 1:
            self._losses = {}
        for name, value in (("val. loss", event.val_loss), ("loss", event.loss)):
            if value is not None:
                self._losses.setdefault(name, []).append(value)
        name = max(self._losses)  # the validation loss where there is one
        best = f"best {min((value for value in self._losses[name] if isfinite(value)), default=nan):.4f}"
        if self._progress.console.width >= self.WIDE and event.repeats == 1:
            return f"{figures_of(event, short=True)}, {best}"
        return f"{name} {self._losses[name][-1]:.4f}, {best}"


class _LineWatch:
    """One line per finished fit; of one long training a line now and then."""

    SECONDS = 10.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = self._started = time.monotonic()

    def __call__(self, event: Shown) -> None:
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
            best = f", best so far {percent(event.best)}" if event.best is not None else ""
            left = f", about {duration(event.seconds_left)} left" if event.seconds_left is not None else ""
            self._say(f"fit {event.done}/{event.total}: {event.what}{best}{left}")
        elif event.epoch == event.epochs or now - self._said > self.SECONDS:
            name = f"training {event.repeat + 1}/{event.repeats}, " if event.repeats > 1 else ""
            self._say(f"{name}epoch {event.epoch}/{event.epochs}: {figures_of(event)}, {duration(now - self._started)}")
            self._said = now

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def step_line(event: Step) -> str:
    """Which step begins."""
    return f"step {event.number}/{event.total}: {event.what}"


def figures_of(event: EpochDone, *, short: bool = False) -> str:
    """The losses and accuracies of an epoch in one line; `short` writes `val.` for `validation`."""
    figures = f"loss {event.loss:.4f}, accuracy {percent(event.accuracy)}"
    if event.val_loss is not None and event.val_accuracy is not None:
        word = "val." if short else "validation"
        figures += f", {word} loss {event.val_loss:.4f}, accuracy {percent(event.val_accuracy)}"
    return figures
