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
from mnistexp.cli.options import RUNS, JsonOption, RunsArgument, RunsOption, WhereOption, age, examples
from mnistexp.cli.tag_commands import chosen
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput, Interrupted
from mnistexp.standard_error import own

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.index import IndexedRun
    from mnistexp.runs.trash import Trashed

__all__ = ["runs_app"]

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
AgeOption = Annotated[str | None, typer.Option("--older-than", metavar="AGE", help="Such as 30d, 12h or 2w.")]


def _agreed(question: str, *, yes: bool, harmless: bool) -> None:
    """Ask on a terminal; elsewhere only what is harmless is done without --yes."""
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
        raise BadInput(f"{question} Nobody can be asked here: say --yes")


def _counted(runs: Sequence[Any]) -> str:
    return f"{len(runs)} run{'s' * (len(runs) != 1)}"


@runs_app.command(
    "rm",
    epilog=examples(
        {
            "mnistexp runs rm latest": "move the newest run to the trash",
            "mnistexp runs rm --where 'command=show-examples' --yes": "several, without being asked",
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
    """Move runs to the trash, from where `mnistexp runs restore` brings them back."""
    found = chosen(runs_dir, runs, where)
    _discard(found, yes, json)


def _discard(found: "list[IndexedRun]", yes: bool, json: bool) -> None:
    from mnistexp.runs import trash

    if found:
        what = found[0].id if len(found) == 1 else _counted(found)
        _agreed(f"Move {what} to the trash?", yes=yes, harmless=len(found) == 1)
    moved = trash.discard(run.path for run in found)
    hint = [Text("`mnistexp runs restore` lists what can be brought back.")] if moved else []
    document = {"dry_run": False, "moved": [{"id": entry.id, "path": str(entry.path)} for entry in moved]}
    lines = [Text(f"Moved to the trash  {entry.id}") for entry in moved]
    Voice(json).result(document, *(lines or [Text("No runs match: nothing was moved.")]), *hint)


@runs_app.command(
    epilog=examples(
        {
            "mnistexp runs restore": "what is in the trash",
            "mnistexp runs restore latest": "bring back the run that was moved there last",
        }
    )
)
def restore(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Runs in the trash, `latest` being the last that was moved there; without any they are listed.",
            autocompletion=completion.trashed_ids,
        ),
    ] = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Bring runs back from the trash, or list what is there."""
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
            "mnistexp runs prune --failed --older-than 30d": "old failures to the trash",
            "mnistexp runs prune --failed --interrupted --dry-run": "only say which runs that would be",
            "mnistexp runs prune --trash --older-than 30d --yes": "remove for good what has long been in the trash",
        }
    )
)
def prune(
    failed: Annotated[bool, typer.Option("--failed", help="Runs that failed.")] = False,
    interrupted: Annotated[bool, typer.Option("--interrupted", help="Runs that were interrupted.")] = False,
    older_than: AgeOption = None,
    where: WhereOption = None,
    in_trash: Annotated[bool, typer.Option("--trash", help="Remove for good what is in the trash (so long).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: YesOption = False,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Move runs to the trash by what became of them and by age, or empty the trash. Runs in use always stay."""
    from mnistexp.runs import query
    from mnistexp.runs.status import now

    longest = age(older_than) if older_than is not None else None
    if in_trash:
        if failed or interrupted or where is not None:
            raise BadInput("--trash goes by the time in the trash alone, allowed with it: --older-than")
        _empty(runs_dir, longest, dry_run, yes, json)
        return
    if not (failed or interrupted or longest is not None or where is not None):
        raise BadInput("nothing says which runs, allowed: --failed, --interrupted, --older-than, --where, --trash")
    states = ["failed"] * failed + ["interrupted"] * interrupted or ["done", "failed", "interrupted", "damaged"]
    found = [
        run
        for run in query.select(runs_dir, where=where)
        if run.info.status in states and (longest is None or (now() - run.info.started).total_seconds() > longest)
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
            _agreed(f"Remove {_counted(found)} from the trash for good?", yes=yes, harmless=False)
        trash.empty(runs_dir, found)
    said = "Would be removed for good" if dry_run else "Removed for good"
    lines = [Text(f"{said}  {entry.id}") for entry in found]
    document = {"dry_run": dry_run, "removed": [_entry(entry) for entry in found]}
    Voice(json).result(document, *(lines or [Text("Nothing in the trash is meant.")]))
