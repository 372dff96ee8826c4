"""Tags and note of a run, kept in `annotations.json` in its folder."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from mnistexp.errors import BadInput, RunError, show
from mnistexp.runs import files
from mnistexp.runs.layout import ANNOTATIONS
from mnistexp.runs.locks import lock

# A separate lock, because the run's own lock is held while it runs, and running runs can be annotated.
LOCK = ".annotations.lock"
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
MOST_TAGS = 50
LAUNCHED: ContextVar[tuple[str, "Annotations"] | None] = ContextVar("LAUNCHED", default=None)
"""The command that a person gave, and the tags and the note for its run."""
LONGEST_NOTE = 4000
# Control characters, halves of surrogate pairs, and the separators of lines and paragraphs.
REFUSED = ("Cc", "Cs", "Zl", "Zp")


@dataclass(frozen=True)
class Annotations:
    """A run's tags, sorted and unique, and its note; empty by default."""

    tags: tuple[str, ...] = ()
    note: str = ""


def read_annotations(folder: Path) -> Annotations:
    """A run's annotations, empty by default. Raises RunError if they are damaged or of an unknown version."""
    path = folder / ANNOTATIONS
    try:
        document = files.read_json(path)
    except RunError as error:
        if isinstance(error.__cause__, FileNotFoundError) and not path.is_symlink():
            return Annotations()
        raise
    tags, note = document.get("tags"), document.get("note")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags) or not isinstance(note, str):
        raise RunError(f"{path} is damaged: not a list of tags and a note")
    try:
        return checked(tags, note)
    except BadInput as error:
        raise RunError(f"{path} is damaged: {error}") from error


def annotate(
    folder: Path, *, add: Collection[str] = (), remove: Collection[str] = (), note: str | None = None
) -> Annotations:
    """Add and remove tags, and replace the note unless it is None; returns the new annotations.

    Safe for several processes at once and while the run is running. Removing a missing tag changes nothing. Raises
    BadInput for tags and notes that aren't allowed, RunError if they can't be read, locked or written.
    """
    checked([*add, *remove], note or "")
    if both := sorted(set(add) & set(remove)):
        raise BadInput(f"the tag {show(both[0])} is both added and removed")
    with lock(folder, wait=True, name=LOCK):
        before = read_annotations(folder)
        after = checked({*before.tags, *add} - {*remove}, before.note if note is None else note)
        if after != before:
            _write(folder, after)
    return after


@contextmanager
def launched(command: str, annotations: Annotations) -> Iterator[None]:
    """Give the runs of a command that are created in the block these tags and this note; no runs of other commands."""
    token = LAUNCHED.set((command, annotations))
    try:
        yield
    finally:
        LAUNCHED.reset(token)


def write_launched(folder: Path, command: str) -> None:
    """Write the tags and the note that a new run of a command was launched with, if any. Raises RunError."""
    given = LAUNCHED.get()
    if given and given[0] == command and given[1] != Annotations():
        _write(folder, given[1])


def _write(folder: Path, annotations: Annotations) -> None:
    files.write_json(folder / ANNOTATIONS, {"tags": annotations.tags, "note": annotations.note})


def checked(tags: Collection[str], note: str) -> Annotations:
    """These tags and this note. Raises BadInput for what isn't allowed."""
    for tag in tags:
        if not TAG.fullmatch(tag):
            raise BadInput(
                f"{show(tag)} can't be a tag, allowed: up to 40 of A-Z, a-z, 0-9, '.', '_' and '-', "
                "a letter or digit first"
            )
    if len(set(tags)) > MOST_TAGS:
        raise BadInput(f"{len(set(tags))} tags are too many for a run, allowed: {MOST_TAGS}")
    if len(note) > LONGEST_NOTE:
        raise BadInput(f"a note of {len(note):,} characters is too long, allowed: {LONGEST_NOTE:,}")
    if refused := next((character for character in note if unicodedata.category(character) in REFUSED), None):
        raise BadInput(f"a note is one line of text: {show(refused)} can't be in it")
    return Annotations(tuple(sorted(set(tags))), note)
