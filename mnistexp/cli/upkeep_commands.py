"""The commands of the trash: move runs there, restore them, or delete them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from mnistexp.cli import completion
from mnistexp.cli.call import Call
from mnistexp.cli.console import plain_table
from mnistexp.cli.option_kinds import CHANGES, RUN_SELECTION, age_option, option
from mnistexp.cli.options import RunsArgument, WhereOption
from mnistexp.cli.parsing import Commands
from mnistexp.cli.tag_commands import chosen
from mnistexp.errors import BadInput, Interrupted
from mnistexp.runs.standard_error import own

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.stored_runs import StoredRun
    from mnistexp.runs.trash import Trashed

__all__ = ["commands"]

commands = Commands()

YesOption = Annotated[bool, option(CHANGES, "--yes -y", "Don't ask for confirmation")]
AgeOption = Annotated[float | None, age_option(RUN_SELECTION, "Minimum age, e.g. 30d, 12h or 2w")]


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


@commands.add(
    "rm",
    {
        "mnistexp runs rm latest": "move the newest run to the trash",
        "mnistexp runs rm --where 'command=show-examples' --yes": "move several without asking",
    },
    shares="... runs_dir json",
)
def remove(
    call: Call,
    runs: RunsArgument = None,
    where: WhereOption = None,
    yes: YesOption = False,
) -> None:
    """Move runs to the trash; undo with `mnistexp runs restore`."""
    found = chosen(call.runs_dir, runs, where)
    _discard(call, found, yes)


def _discard(call: Call, found: "list[StoredRun]", yes: bool) -> None:
    from mnistexp.runs import trash

    if found:
        what = found[0].id if len(found) == 1 else _counted(found)
        _agreed(f"Move {what} to the trash?", yes=yes, harmless=len(found) == 1)
    moved = trash.discard(run.path for run in found)
    hint = [Text("Undo with: mnistexp runs restore")] if moved else []
    document = {"dry_run": False, "moved": [{"id": entry.id, "path": str(entry.path)} for entry in moved]}
    lines = [Text(f"Moved to the trash  {entry.id}") for entry in moved]
    call.result(document, *(lines or [Text("No runs match; nothing was moved.")]), *hint)


@commands.add(
    "restore",
    {
        "mnistexp runs restore": "list the trash",
        "mnistexp runs restore latest": "restore the run trashed last",
    },
    shares="... runs_dir json",
)
def restore(
    call: Call,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Runs in the trash, e.g. `latest`, the one trashed last; without any the trash is listed.",
            autocompletion=completion.trashed_ids,
        ),
    ] = None,
) -> None:
    """Restore runs from the trash, or list the trash."""
    from mnistexp.runs import trash

    if not runs:
        entries = trash.list_trash(call.runs_dir)
        call.result({"trash": [_entry(entry) for entry in entries]}, *_trash_report(entries))
        return
    restored = trash.restore(trash.find_trashed(call.runs_dir, runs))
    document = {"restored": [{"id": path.name, "path": str(path)} for path in restored]}
    call.result(document, *(Text(f"Restored  {path.name}") for path in restored))


def _entry(entry: "Trashed") -> dict[str, str]:
    from mnistexp.runs.status import iso

    return {"id": entry.id, "moved": iso(entry.moved, "seconds"), "path": str(entry.path)}


def _trash_report(entries: "Sequence[Trashed]") -> Iterator[RenderableType]:
    if not entries:
        yield Text("The trash is empty.")
        return
    table = plain_table("run", "moved to the trash")
    for entry in entries:
        table.add_row(Text(entry.id), _entry(entry)["moved"])
    yield table


@commands.add(
    "prune",
    {
        "mnistexp runs prune --failed --older-than 30d": "move old failed runs to the trash",
        "mnistexp runs prune --failed --interrupted --dry-run": "only list the runs",
        "mnistexp runs prune --trash --older-than 30d --yes": "delete old trash permanently",
    },
    shares="... runs_dir json",
)
def prune(
    call: Call,
    failed: Annotated[bool, option(RUN_SELECTION, "--failed", "Select failed runs")] = False,
    interrupted: Annotated[bool, option(RUN_SELECTION, "--interrupted", "Select interrupted runs")] = False,
    older_than: AgeOption = None,
    where: WhereOption = None,
    in_trash: Annotated[bool, option(CHANGES, "--trash", "Delete runs in the trash permanently")] = False,
    dry_run: Annotated[bool, option(CHANGES, "--dry-run", "List what would be moved or deleted")] = False,
    yes: YesOption = False,
) -> None:
    """Move old or failed runs to the trash, or empty it.

    Running runs are never moved.
    """
    from mnistexp.runs import query
    from mnistexp.runs.status import now

    if in_trash:
        if failed or interrupted or where is not None:
            raise BadInput("--trash selects by time in the trash only, allowed with it: --older-than")
        _empty(call, older_than, dry_run, yes)
        return
    if not (failed or interrupted or older_than is not None or where is not None):
        raise BadInput("no selection given, allowed: --failed, --interrupted, --older-than, --where, --trash")
    states = ["failed"] * failed + ["interrupted"] * interrupted or ["done", "failed", "interrupted", "damaged"]
    found = [
        run
        for run in query.select(call.runs_dir, where=where)
        if run.status in states and (older_than is None or (now() - run.started).total_seconds() > older_than)
    ]
    if dry_run:
        document = {"dry_run": True, "moved": [{"id": run.id, "path": str(run.path)} for run in found]}
        lines = [Text(f"Would be moved to the trash  {run.id}") for run in found]
        call.result(document, *(lines or [Text("No runs match.")]))
        return
    _discard(call, found, yes)


def _empty(call: Call, older_than: float | None, dry_run: bool, yes: bool) -> None:
    from mnistexp.runs import trash
    from mnistexp.runs.status import now

    found = [
        entry
        for entry in trash.list_trash(call.runs_dir)
        if older_than is None or (now() - entry.moved).total_seconds() > older_than
    ]
    if not dry_run:
        if found:
            _agreed(f"Permanently delete {_counted(found)} from the trash?", yes=yes, harmless=False)
        trash.empty(call.runs_dir, found)
    said = "Would be deleted permanently" if dry_run else "Deleted permanently"
    lines = [Text(f"{said}  {entry.id}") for entry in found]
    document = {"dry_run": dry_run, "removed": [_entry(entry) for entry in found]}
    call.result(document, *(lines or [Text("Nothing in the trash matches.")]))
