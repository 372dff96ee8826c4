"""One call of a command: its shared options, the settings that result, and its output."""

import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from mnistexp.cli import console
from mnistexp.cli.options import FLAGS, RUNS
from mnistexp.cli.printable import Printable, printable
from mnistexp.config import settings
from mnistexp.config.settings import Settings
from mnistexp.config.yaml_source import Source
from mnistexp.errors import BadInput, ConfigError, MnistexpError, Problem, collecting
from mnistexp.runs.standard_error import own

if TYPE_CHECKING:  # it loads numpy, which --help can do without
    from mnistexp.runs.annotations import Annotations
    from mnistexp.runs.results import Outcome, Watch
    from mnistexp.runs.stored_runs import StoredRun


WIDE = 100_000
"""The width of output that isn't a terminal: tables and sentences take the room that they need."""


@dataclass(frozen=True)
class Call:
    """A call of a command, by its name, with the shared options that it has; the others have their defaults.

    Results go to standard output, everything else to standard error.
    """

    command: str
    runs_dir: Path = RUNS
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    dry_run: bool = False
    config: Sequence[str] = ()
    sets: Sequence[str] = ()
    tag: Sequence[str] = ()
    note: str | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)
    """The dedicated flags that were given, by their names in Python."""

    @staticmethod
    def of(command: str, given: Mapping[str, Any]) -> "Call":
        """The call of a command with these shared options; None is one that was not given.

        Raises `BadInput` for a tag or a note that can't be one.
        """
        there = {name: value for name, value in given.items() if value is not None}
        flags = {name: value for name, value in there.items() if name in FLAGS}
        call = Call(command, flags=flags, **{name: value for name, value in there.items() if name not in FLAGS})
        if call.tag or call.note:
            call.marks()
        return call

    def changed(self) -> list[str]:
        """The options given that change what a run does or how it is marked."""
        others = {"tag": self.tag, "note": self.note is not None, "config": self.config, "set": self.sets}
        names = [*self.flags, *(name for name, given in others.items() if given), *["dry_run"] * self.dry_run]
        return [f"--{name.replace('_', '-')}" for name in names]

    def layers(self, packaged: str | None = None) -> list[Source]:
        """The packaged configuration, by default that of the command, then the files or runs and `--set`.

        Raises `ConfigError` with the problems of all.
        """
        layers: list[Source] = [settings.read_file(packaged or self.command)]
        problems: list[Problem] = []
        for reference in self.config:
            with collecting(problems):
                layers.append(settings.read_file(self._of_run(reference)))
        with collecting(problems):
            layers += settings.assignments(self.sets)
        if problems:
            raise ConfigError(problems)
        return layers

    def flag_layers(self) -> list[Source]:
        """Each dedicated flag that was given."""
        return [settings.flag(f"--{name.replace('_', '-')}", FLAGS[name], value) for name, value in self.flags.items()]

    def settings(self, packaged: str | None = None) -> Settings:
        """The packaged configuration, then the files or runs, `--set` and the flags, strongest last."""
        return settings.resolve([*self.layers(packaged), *self.flag_layers()])

    def _of_run(self, reference: str) -> str:
        """The settings of the run that `--config` names; a YAML file or a packaged name is returned unchanged."""
        if settings.is_file(reference) or reference in settings.packaged_names():
            return reference
        from mnistexp.runs import references
        from mnistexp.runs.layout import CONFIG

        try:
            return str(references.one(self.runs_dir, reference).path / CONFIG)
        except BadInput:  # reading it as a file says what is allowed
            return reference

    def marks(self) -> "Annotations":
        """The tags and the note for the runs that are made."""
        from mnistexp.runs.annotations import checked

        return checked(self.tag, self.note or "")

    @contextmanager
    def working(self, answer: "Callable[[Outcome], None] | None" = None) -> "Iterator[Watch]":
        """Show progress until the block ends; the command's runs that are made in it get the tags and the note.

        `answer` is called with an outcome as soon as it is known.
        """
        from mnistexp.commands.progress import watching
        from mnistexp.runs.annotations import launched

        with watching(self.err, quiet=self.quiet, answer=answer) as watch, launched(self.command, self.marks()):
            yield watch

    def waiting(self, what: str) -> AbstractContextManager[Any]:
        """Show on a terminal that something is going on, until the block ends."""
        err = self.err
        return err.status(what) if err.is_terminal and not self.quiet else nullcontext()

    def runs(
        self,
        references: Sequence[str] | None,
        where: str | None = None,
        *,
        otherwise: type[MnistexpError] | None = None,
        **order: Any,
    ) -> "list[StoredRun]":
        """The runs of the references and the condition; `order` is for `query.select`.

        Raises `BadInput`, `RunError`, and `otherwise` if there are none.
        """
        from mnistexp.runs import query

        found = query.select(self.runs_dir, references or (), where=where, **order)
        if not found and otherwise:
            raise otherwise(query.none_found(self.runs_dir, where))
        return found

    def result(self, document: dict[str, Any], *renderables: Any) -> None:
        """Print the outcome, as one JSON document or as tables and sentences."""
        if self.json:
            self.write(console.json_text(document))
            return
        told = io.StringIO()
        terminal = sys.stdout.isatty()
        out = Console(highlight=False) if terminal else Console(highlight=False, width=WIDE, file=told)
        for part in renderables:
            out.print(Printable(Text(part) if isinstance(part, str) else part))
        if not terminal:
            self.write(*(line.rstrip() for line in told.getvalue().splitlines()))

    @staticmethod
    def write(*lines: str, errors: str = "backslashreplace") -> None:
        """Print lines to standard output. `errors`: what becomes of halves of surrogate pairs, which UTF-8 lacks."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors=errors)
        if lines:
            print("\n".join(lines), flush=True)

    def plan(self, found: Settings, document: dict[str, Any], *renderables: Any, with_settings: bool = False) -> None:
        """Print what `--dry-run` says: the work ahead, and the settings too if asked for or with `--verbose`."""
        shown = [console.settings_table(found)] if with_settings or self.verbose else []
        self.result(console.settings_document(found) | document, *shown, *renderables)

    def remark(self, message: str) -> None:
        """Print a line beside the result."""
        print(f"mnistexp: {printable(message)}", file=own(), flush=True)

    def error(self, message: str) -> None:
        """Print a problem of a command that still has a result."""
        self.remark(f"error: {message}")

    def end(self, outcome: "Outcome") -> None:
        """End a command that trained. Raises `typer.Exit`, after a message, if it diverged or has no figures."""
        from mnistexp.runs.results import over_all

        wrong = [outcome.without] if outcome.without else []
        if epoch := over_all(outcome.metrics)["diverged_at"]:
            which = "a training" if "repeats" in outcome.metrics else "the training"
            why = f"its loss was not a number in epoch {epoch}; try a lower optimizer.learning_rate"
            wrong.insert(0, f"{which} diverged: {why}. Finished results are kept")
        for message in wrong:
            self.error(message)
        if wrong:
            raise typer.Exit(MnistexpError.exit_code)

    @property
    def err(self) -> Console:
        """A new console on standard error for each use; lines are wrapped on a terminal only."""
        return Console(file=own(), highlight=False, soft_wrap=not own().isatty())
