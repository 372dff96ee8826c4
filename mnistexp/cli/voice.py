"""Where commands speak: results on standard output, everything else on standard error."""

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from mnistexp.cli import console
from mnistexp.cli.printable import Printable, printable
from mnistexp.config.settings import Settings
from mnistexp.errors import MnistexpError
from mnistexp.runs.standard_error import own

if TYPE_CHECKING:
    from mnistexp.runs.results import Outcome

__all__ = ["WIDE", "Voice"]

WIDE = 100_000
"""The width of output that isn't a terminal: tables and sentences take the room that they need."""


@dataclass(frozen=True)
class Voice:
    """Where a command speaks: results go to standard output, everything else to standard error."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def result(self, document: dict[str, Any], *renderables: Any) -> None:
        """The outcome, as one JSON document or as tables and sentences."""
        if self.json:
            print(console.json_text(document), flush=True)
            return
        on_terminal = sys.stdout.isatty()
        out = Console(highlight=False, soft_wrap=not on_terminal, width=None if on_terminal else WIDE)
        for renderable in renderables:
            out.print(Printable(renderable))

    def plan(self, found: Settings, document: dict[str, Any], *renderables: Any) -> None:
        """What `--dry-run` says: the work ahead, and the settings, which a terminal sees with `--verbose` only."""
        shown = [console.settings_table(found)] if self.verbose else []
        self.result(console.dry_run_document(found) | document, *shown, *renderables)

    def working(self, what: str) -> AbstractContextManager[Any]:
        """Show on a terminal that something is going on, until the block ends."""
        console = self.err
        return console.status(what) if console.is_terminal and not self.quiet else nullcontext()

    def error(self, message: str) -> None:
        """What went wrong though there is a result."""
        print(f"mnistexp: error: {printable(message)}", file=own(), flush=True)

    def end(self, outcome: "Outcome") -> None:
        """The end of a command that trained. Raises `typer.Exit` where it diverged or has no figures, once said."""
        from mnistexp.runs.results import over_all

        diverged = (told := over_all(outcome.metrics))["diverged_at"]
        for wrong in (console.divergence(told) if diverged else "", outcome.without):
            if wrong:
                self.error(wrong)
        if diverged or outcome.without:
            raise typer.Exit(MnistexpError.exit_code)

    @property
    def err(self) -> Console:
        """A new console on standard error for each use; lines are wrapped on a terminal only."""
        return Console(file=own(), highlight=False, soft_wrap=not own().isatty())
