"""The commands of the trash: runs that go there, come back, or are removed for good."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from mnistexp.cli import completion
from mnistexp.cli.check_commands import runs_app
from mnistexp.cli.console import plain_table
from mnistexp.cli.options import (
    CHANGES,
    RUN_SELECTION,
    RUNS,
    JsonOption,
    RunsArgument,
    RunsOption,
    WhereOption,
    age,
    examples,
    option,
)
from mnistexp.cli.tag_commands import chosen
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput, Interrupted
from mnistexp.runs.standard_error import own

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.stored_runs import StoredRun
    from mnistexp.runs.trash import Trashed

__all__ = ["runs_app"]

YesOption = Annotated[bool, option(CHANGES, "--yes -y", "Don't ask for confirmation")]
AgeOption = Annotated[
    str | None, option(RUN_SELECTION, "--older-than", "Minimum age, e.g. 30d, 12h or 2w", metavar="AGE")
]


def _agreed(question: str, *, yes: bool, harmless: bool) -> None:
    """Ask on a terminal; elsewhere only harmless actions run without --yes."""
    if yes:
        return
    if sys.stdin.isatty() and own().isatty():
        try:
            with redirect_stderr(own()):
                agreed = typer.confirm(question, err=True)
        except typer.Abort:  # Ctrl-C, or the end of the input
            agreed = False
        if not agreed:
            raise Interrupted("stopped: nothing was changed")
    elif not harmless:
        raise BadInput(f"{question} Can't ask, as this isn't a terminal: add --yes")


def _counted(runs: Sequence[Any]) -> str:
    return f"{len(runs)} run{'s' * (len(runs) != 1)}"


@runs_app.command(
    "rm",
    epilog=examples(
        {
            "mnistexp runs rm latest": "move the newest run to the trash",
            "mnistexp runs rm --where 'command=show-examples' --yes": "move several without asking",
        }
    ),
)
def remove(
    runs: RunsArgument = None,
    where: WhereOption = None,
    yes: YesOption = False,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Move runs to the trash; undo with `mnistexp runs restore`."""
    found = chosen(runs_dir, runs, where)
    _discard(found, yes, json)


def _discard(found: "list[StoredRun]", yes: bool, json: bool) -> None:
    from mnistexp.runs import trash

    if found:
        what = found[0].id if len(found) == 1 else _counted(found)
        _agreed(f"Move {what} to the trash?", yes=yes, harmless=len(found) == 1)
    moved = trash.discard(run.path for run in found)
    hint = [Text("Undo with: mnistexp runs restore")] if moved else []
    document = {"dry_run": False, "moved": [{"id": entry.id, "path": str(entry.path)} for entry in moved]}
    lines = [Text(f"Moved to the trash  {entry.id}") for entry in moved]
    Voice(json).result(document, *(lines or [Text("No runs match; nothing was moved.")]), *hint)


@runs_app.command(
    epilog=examples(
        {
            "mnistexp runs restore": "list the trash",
            "mnistexp runs restore latest": "restore the run trashed last",
        }
    )
)
def restore(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Runs in the trash, e.g. `latest`, the one trashed last; without any the trash is listed.",
            autocompletion=completion.trashed_ids,
        ),
    ] = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Restore runs from the trash, or list the trash."""
    from mnistexp.runs import trash

    if not runs:
        entries = trash.list_trash(runs_dir)
        Voice(json).result({"trash": [_entry(entry) for entry in entries]}, *_trash_report(entries))
        return
    restored = trash.restore(trash.find_trashed(runs_dir, runs))
    document = {"restored": [{"id": path.name, "path": str(path)} for path in restored]}
    Voice(json).result(document, *(Text(f"Restored  {path.name}") for path in restored))


def _entry(entry: "Trashed") -> dict[str, str]:
    moved = entry.moved.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"id": entry.id, "moved": moved, "path": str(entry.path)}


def _trash_report(entries: "Sequence[Trashed]") -> Iterator[RenderableType]:
    if not entries:
        yield Text("The trash is empty.")
        return
    table = plain_table("run", "moved to the trash")
    for entry in entries:
        table.add_row(Text(entry.id), _entry(entry)["moved"])
    yield table


@runs_app.command(
    epilog=examples(
        {
            "mnistexp runs prune --failed --older-than 30d": "move old failed runs to the trash",
            "mnistexp runs prune --failed --interrupted --dry-run": "only list the runs",
            "mnistexp runs prune --trash --older-than 30d --yes": "delete old trash permanently",
        }
    )
)
def prune(
    failed: Annotated[bool, option(RUN_SELECTION, "--failed", "Select failed runs")] = False,
    interrupted: Annotated[bool, option(RUN_SELECTION, "--interrupted", "Select interrupted runs")] = False,
    older_than: AgeOption = None,
    where: WhereOption = None,
    in_trash: Annotated[bool, option(CHANGES, "--trash", "Delete runs in the trash permanently")] = False,
    dry_run: Annotated[bool, option(CHANGES, "--dry-run", "List what would be moved or deleted")] = False,
    yes: YesOption = False,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Move old or failed runs to the trash, or empty it.

    Running runs are never moved.
    """
    from mnistexp.runs import query
    from mnistexp.runs.status import now

    longest = age(older_than) if older_than is not None else None
    if in_trash:
        if failed or interrupted or where is not None:
            raise BadInput("--trash selects by time in the trash only, allowed with it: --older-than")
        _empty(runs_dir, longest, dry_run, yes, json)
        return
    if not (failed or interrupted or longest is not None or where is not None):
        raise BadInput("no selection given, allowed: --failed, --interrupted, --older-than, --where, --trash")
    states = ["failed"] * failed + ["interrupted"] * interrupted or ["done", "failed", "interrupted", "damaged"]
    found = [
        run
        for run in query.select(runs_dir, where=where)
        if run.status in states and (longest is None or (now() - run.started).total_seconds() > longest)
    ]
    if dry_run:
        document = {"dry_run": True, "moved": [{"id": run.id, "path": str(run.path)} for run in found]}
        lines = [Text(f"Would be moved to the trash  {run.id}") for run in found]
        Voice(json).result(document, *(lines or [Text("No runs match.")]))
        return
    _discard(found, yes, json)


def _empty(runs_dir: Path, longest: float | None, dry_run: bool, yes: bool, json: bool) -> None:
    from mnistexp.runs import trash
    from mnistexp.runs.status import now

    found = [
        entry
        for entry in trash.list_trash(runs_dir)
        if longest is None or (now() - entry.moved).total_seconds() > longest
    ]
    if not dry_run:
        if found:
            _agreed(f"Permanently delete {_counted(found)} from the trash?", yes=yes, harmless=False)
        trash.empty(runs_dir, found)
    said = "Would be deleted permanently" if dry_run else "Deleted permanently"
    lines = [Text(f"{said}  {entry.id}") for entry in found]
    document = {"dry_run": dry_run, "removed": [_entry(entry) for entry in found]}
    Voice(json).result(document, *(lines or [Text("Nothing in the trash matches.")]))
