"""All errors that mnistexp raises on purpose, as one class hierarchy.

    MnistexpError              exit code 1: something failed while running
    ├── BadInput               exit code 2: the request is invalid
    │   └── ConfigError        ... a configuration; carries every problem found, not just the first
    ├── DataError              the digits can't be downloaded, or the packaged ones are damaged
    ├── RunError               a run folder is missing, damaged or in use
    ├── Interrupted            exit code 130: stopped by the user, with what was finished kept
    │   └── OutOfTime          exit code 1: a sweep's time limit came before any trial was complete
    ├── TrialsFailed           exit code 3: the sweep finished, but some of its trials failed
    └── NotMet                 exit code 6: the run was checked, and does not meet a requirement

Only `cli/app.py` turns these into messages and exit codes; a library user catches `MnistexpError`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


class MnistexpError(Exception):
    """A failure that mnistexp can explain in one message. Not a bug."""

    exit_code = 1


class BadInput(MnistexpError):
    """An invalid request; nothing has been computed or stored."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration.

    `key` is dotted (`training.epochs`); `line` counts from 1 and is None where the value came from no file.
    """

    where: str
    key: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}" if self.line else self.where
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(BadInput):
    """A configuration with problems, all of them: `problems` holds one `Problem` each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@contextmanager
def collecting(problems: list[Problem]) -> Iterator[None]:
    """Add the problems of a `ConfigError` that the block raises to those found so far."""
    try:
        yield
    except ConfigError as error:
        problems.extend(error.problems)


class DataError(MnistexpError):
    """The digits can't be downloaded, or the packaged ones are damaged."""


class RunError(MnistexpError):
    """A run folder is missing, damaged, of an unknown version, or in use by another process."""


class Interrupted(MnistexpError):
    """Stopped by the user; finished work is kept."""

    exit_code = 130


class OutOfTime(Interrupted):
    """A sweep's time limit came before any of its trials was complete; finished fits are kept."""

    exit_code = 1


class TrialsFailed(MnistexpError):
    """A sweep finished, but some of its trials failed; the others are stored."""

    exit_code = 3


class NotMet(MnistexpError):
    """A run was checked and does not meet a requirement; `runs check` has said which."""

    exit_code = 6


def reason(error: BaseException) -> str:
    """What another library's error says, on one line of at most 200 characters; its class if it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def show(value: Any) -> str:
    """The value for a message: text is quoted, long values are shortened."""
    try:
        text = repr(value)
    except ValueError:  # an int with more digits than Python turns into text
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}"


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A suggestion such as `; did you mean 'adam'?`, or "" if no allowed name is close; ignores case."""
    close = nearest_name(str(name), allowed)
    return f"; did you mean {close!r}?" if close else ""


def nearest_name(name: str, allowed: Iterable[str], at_least: float = 0.65) -> str | None:
    """The closest allowed name, ignoring case; None without one of `at_least` this similarity, from 0 to 1."""
    names = {_plain(other): other for other in allowed}
    close = get_close_matches(_plain(name), names, n=1, cutoff=at_least)
    return names[close[0]] if close else None


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_")
