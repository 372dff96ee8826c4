"""The commands that manage runs: tags, notes, and the trash."""

import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Annotated

import typer

from mnistexp.cli import completion
from mnistexp.cli.call import Call
from mnistexp.cli.console import plain_table
from mnistexp.cli.options import (
    AGE,
    CHANGES,
    RUN_SELECTION,
    RunArgument,
    RunsArgument,
    WhereOption,
    argument,
    option,
)  # fmt: skip
from mnistexp.cli.parsing import Commands
from mnistexp.config.shown import counted
from mnistexp.errors import BadInput, Interrupted, nearest, show
from mnistexp.runs.standard_error import own

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.stored_runs import StoredRun
    from mnistexp.runs.trash import Trashed


commands = Commands()

YesOption = Annotated[bool, option(CHANGES, "--yes -y", "Don't ask for confirmation")]


def _chosen(call: Call, references: list[str] | None, where: str | None) -> "list[StoredRun]":
    """The runs that a command is to change: nobody means all of them by saying nothing."""
    if not references and where is None:
        raise BadInput("no run given, allowed: latest, 1:5, ids, paths, names, tags, or --where")
    return call.runs(references, where)


@commands.add("tag")
def tag(
    call: Call,
    runs: RunsArgument = None,
    add: Annotated[list[str] | None, option(CHANGES, "--add", "Tag to add; repeatable", metavar="TAG")] = None,
    remove: Annotated[list[str] | None, option(CHANGES, "--remove", "Tag to remove; repeatable", metavar="TAG")] = None,
    where: WhereOption = None,
) -> None:
    """Add, remove or list tags.

    mnistexp runs tag latest --add baseline  # tag the newest run
    mnistexp runs tag --where 'test_accuracy<0.5' --add broken --remove baseline  # tag all that match
    mnistexp runs tag  # list the tags and their number of runs
    """
    from mnistexp.runs.annotations import annotate

    add, remove = add or [], remove or []
    if not (add or remove or runs or where is not None):
        _count_tags(call)
        return
    found = _chosen(call, runs, where)
    present = {tag for run in found for tag in run.tags}
    if found and (missing := next((tag for tag in remove if tag not in present), None)):
        raise BadInput(f"none of these runs has the tag {show(missing)}{nearest(missing, present)}")
    if add or remove:
        tags = {run.id: annotate(run.path, add=add, remove=remove).tags for run in found}
    else:
        tags = {run.id: run.tags for run in found}
    table = plain_table("run", "tags", rows=((run_id, " ".join(own)) for run_id, own in tags.items()))
    call.result({"runs": [{"id": run_id, "tags": own} for run_id, own in tags.items()]}, table)


def _count_tags(call: Call) -> None:
    counts = dict(sorted(Counter(tag for run in call.runs(()) for tag in run.tags).items()))
    call.result({"tags": counts}, plain_table("tag", "runs", rows=counts.items()) if counts else "No run has a tag.")


@commands.add("note")
def note(
    call: Call,
    run: RunArgument,
    text: Annotated[str | None, argument("TEXT", "Note, one line; without it the note is shown.")] = None,
    clear: Annotated[bool, option(CHANGES, "--clear", "Remove the note")] = False,
) -> None:
    """Write or show the note of a run.

    mnistexp runs note latest promising  # write or replace the note
    mnistexp runs note latest  # show the note
    """
    from mnistexp.runs import references
    from mnistexp.runs.annotations import annotate, read_annotations

    if clear and text is not None:
        raise BadInput("TEXT and --clear exclude each other, allowed: one of the two")
    if text is not None and not text.strip():
        raise BadInput("the note is empty, allowed: a line of text, or --clear to remove the note")
    found = references.one(call.runs_dir, run)
    changed = clear or text is not None
    written = (annotate(found.path, note=text or "") if changed else read_annotations(found.path)).note
    call.result({"id": found.id, "note": written}, written or f"{found.id} has no note.")


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


@commands.add("rm")
def remove(call: Call, runs: RunsArgument = None, where: WhereOption = None, yes: YesOption = False) -> None:
    """Move runs to the trash; undo with `mnistexp runs restore`.

    mnistexp runs rm latest  # move the newest run to the trash
    mnistexp runs rm --where 'command=show-examples' --yes  # move several without asking
    """
    _discard(call, _chosen(call, runs, where), yes)


def _discard(call: Call, found: "list[StoredRun]", yes: bool) -> None:
    from mnistexp.runs import trash

    if found:
        what = found[0].id if len(found) == 1 else counted(len(found), "run")
        _agreed(f"Move {what} to the trash?", yes=yes, harmless=len(found) == 1)
    moved = trash.discard(run.path for run in found)
    lines = [f"Moved to the trash  {entry.id}" for entry in moved] or ["No runs match; nothing was moved."]
    hint = ["Undo with: mnistexp runs restore"] if moved else []
    call.result({"dry_run": False, "moved": _places(moved)}, *lines, *hint)


def _places(runs: "Iterable[StoredRun | Trashed]") -> list[dict[str, str]]:
    return [{"id": run.id, "path": str(run.path)} for run in runs]


@commands.add("restore")
def restore(
    call: Call,
    runs: Annotated[
        list[str] | None,
        argument(
            "RUN",
            "Runs in the trash, e.g. `latest`, the one trashed last; without any the trash is listed.",
            completion.trashed_ids,
        ),
    ] = None,
) -> None:
    """Restore runs from the trash, or list the trash.

    mnistexp runs restore  # list the trash
    mnistexp runs restore latest  # restore the run trashed last
    """
    from mnistexp.runs import trash

    if runs:
        restored = trash.restore(trash.find_trashed(call.runs_dir, runs))
        document = {"restored": [{"id": path.name, "path": str(path)} for path in restored]}
        call.result(document, *(f"Restored  {path.name}" for path in restored))
        return
    entries = _entries(trash.list_trash(call.runs_dir))
    table = plain_table("run", "moved to the trash", rows=((entry["id"], entry["moved"]) for entry in entries))
    call.result({"trash": entries}, table if entries else "The trash is empty.")


def _entries(trashed: "Iterable[Trashed]") -> list[dict[str, str]]:
    from mnistexp.runs.status import iso

    return [{"id": entry.id, "moved": iso(entry.moved, "seconds"), "path": str(entry.path)} for entry in trashed]


@commands.add("prune")
def prune(
    call: Call,
    failed: Annotated[bool, option(RUN_SELECTION, "--failed", "Select failed runs")] = False,
    interrupted: Annotated[bool, option(RUN_SELECTION, "--interrupted", "Select interrupted runs")] = False,
    older_than: Annotated[
        float | None, option(RUN_SELECTION, "--older-than", "Minimum age, e.g. 30d, 12h or 2w", **AGE)
    ] = None,
    where: WhereOption = None,
    in_trash: Annotated[bool, option(CHANGES, "--trash", "Delete runs in the trash permanently")] = False,
    dry_run: Annotated[bool, option(CHANGES, "--dry-run", "List what would be moved or deleted")] = False,
    yes: YesOption = False,
) -> None:
    """Move old or failed runs to the trash, or empty it.

    Running runs are never moved.

    mnistexp runs prune --failed --older-than 30d  # move old failed runs to the trash
    mnistexp runs prune --failed --interrupted --dry-run  # only list the runs
    mnistexp runs prune --trash --older-than 30d --yes  # delete old trash permanently
    """
    from mnistexp.runs.status import now

    if in_trash:
        if failed or interrupted or where is not None:
            raise BadInput("--trash selects by time in the trash only, allowed with it: --older-than")
        _empty(call, older_than or 0.0, dry_run, yes)
        return
    if not (failed or interrupted or older_than is not None or where is not None):
        raise BadInput("no selection given, allowed: --failed, --interrupted, --older-than, --where, --trash")
    states = ["failed"] * failed + ["interrupted"] * interrupted or ["done", "failed", "interrupted", "damaged"]
    found = [
        run
        for run in call.runs((), where)
        if run.status in states and (older_than is None or (now() - run.started).total_seconds() > older_than)
    ]
    if dry_run:
        lines = [f"Would be moved to the trash  {run.id}" for run in found] or ["No runs match."]
        call.result({"dry_run": True, "moved": _places(found)}, *lines)
        return
    _discard(call, found, yes)


def _empty(call: Call, older_than: float, dry_run: bool, yes: bool) -> None:
    from mnistexp.runs import trash
    from mnistexp.runs.status import now

    entries = trash.list_trash(call.runs_dir)
    found = [entry for entry in entries if not older_than or (now() - entry.moved).total_seconds() > older_than]
    if not dry_run:
        if found:
            _agreed(f"Permanently delete {counted(len(found), 'run')} from the trash?", yes=yes, harmless=False)
        trash.empty(call.runs_dir, found)
    said = "Would be deleted permanently" if dry_run else "Deleted permanently"
    lines = [f"{said}  {entry.id}" for entry in found] or ["Nothing in the trash matches."]
    call.result({"dry_run": dry_run, "removed": _entries(found)}, *lines)
