"""The commands that mark runs: tags and notes."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mnistexp.cli.call import Call
from mnistexp.cli.console import plain_table
from mnistexp.cli.option_kinds import CHANGES, option
from mnistexp.cli.options import RunArgument, RunsArgument, WhereOption
from mnistexp.cli.parsing import Commands
from mnistexp.errors import BadInput, nearest, show

if TYPE_CHECKING:  # it loads numpy, which --help can do without
    from mnistexp.runs.stored_runs import StoredRun

__all__ = ["chosen", "commands"]

commands = Commands()


def chosen(runs_dir: Path, references: list[str] | None, where: str | None) -> "list[StoredRun]":
    """The runs that a command is to change: nobody means all of them by saying nothing."""
    from mnistexp.runs import query

    if not references and where is None:
        raise BadInput("no run given, allowed: latest, 1:5, ids, paths, names, tags, or --where")
    return query.select(runs_dir, references or (), where=where)


@commands.add(
    "tag",
    {
        "mnistexp runs tag latest --add baseline": "tag the newest run",
        "mnistexp runs tag --where 'test_accuracy<0.5' --add broken --remove baseline": "tag all that match",
        "mnistexp runs tag": "list the tags and their number of runs",
    },
    shares="... runs_dir json",
)
def tag(
    call: Call,
    runs: RunsArgument = None,
    add: Annotated[list[str] | None, option(CHANGES, "--add", "Tag to add; repeatable", metavar="TAG")] = None,
    remove: Annotated[list[str] | None, option(CHANGES, "--remove", "Tag to remove; repeatable", metavar="TAG")] = None,
    where: WhereOption = None,
) -> None:
    """Add, remove or list tags."""
    from mnistexp.runs import query
    from mnistexp.runs.annotations import annotate

    add, remove = add or [], remove or []
    if not add and not remove:
        found = query.select(call.runs_dir, runs or (), where=where)
        if runs or where is not None:
            _show_tags(call, {run.id: run.tags for run in found})
        else:
            _count_tags(call, found)
        return
    found = chosen(call.runs_dir, runs, where)
    present = {tag for run in found for tag in run.tags}
    if found and (missing := next((tag for tag in remove if tag not in present), None)):
        raise BadInput(f"none of these runs has the tag {show(missing)}{nearest(missing, present)}")
    _show_tags(call, {run.id: annotate(run.path, add=add, remove=remove).tags for run in found})


def _show_tags(call: Call, tags: dict[str, tuple[str, ...]]) -> None:
    table = plain_table("run", "tags")
    for run_id, own in tags.items():
        table.add_row(Text(run_id), Text(" ".join(own)))
    call.result({"runs": [{"id": run_id, "tags": own} for run_id, own in tags.items()]}, table)


def _count_tags(call: Call, runs: "list[StoredRun]") -> None:
    counts = Counter(tag for run in runs for tag in run.tags)
    table = plain_table("tag", "runs")
    for tag, count in sorted(counts.items()):
        table.add_row(Text(tag), str(count))
    call.result({"tags": dict(sorted(counts.items()))}, table if counts else Text("No run has a tag."))


@commands.add(
    "note",
    {
        "mnistexp runs note latest promising": "write or replace the note",
        "mnistexp runs note latest": "show the note",
    },
    shares="... runs_dir json",
)
def note(
    call: Call,
    run: RunArgument,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Note, one line; without it the note is shown.")
    ] = None,
    clear: Annotated[bool, option(CHANGES, "--clear", "Remove the note")] = False,
) -> None:
    """Write or show the note of a run."""
    from mnistexp.runs import references
    from mnistexp.runs.annotations import annotate, read_annotations

    if clear and text is not None:
        raise BadInput("TEXT and --clear exclude each other, allowed: one of the two")
    if text is not None and not text.strip():
        raise BadInput("the note is empty, allowed: a line of text, or --clear to remove the note")
    found = references.one(call.runs_dir, run)
    changed = clear or text is not None
    written = (annotate(found.path, note=text or "") if changed else read_annotations(found.path)).note
    call.result({"id": found.id, "note": written}, Text(written or f"{found.id} has no note."))
