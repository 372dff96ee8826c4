"""Rules of all command lines: each option is given once, and an unknown name gets the closest known one suggested."""

from collections.abc import Callable
from copy import copy
from inspect import Parameter, Signature, cleandoc, signature
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from mnistexp.cli.call import Call
from mnistexp.cli.help import EXAMPLE, explained, print_epilog, with_examples
from mnistexp.cli.options import FLAGS, shared
from mnistexp.errors import BadInput, nearest_name, show

TRAIN, USE, EXPLORE, SET_UP = "Train and search", "Use runs", "Explore the digits and the network", "Set up"
"""Panels of commands in the help."""

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command that refuses an option given twice, and names the option or the setting that an unknown one means."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with hints for unknown, missing and repeated options."""
        given = list(args)
        try:
            left: list[str] = super().parse_args(ctx, args)
        except typer.TyperException as error:
            if hasattr(error, "possibilities"):  # an unknown option
                error.possibilities = None
                error.message += self._meant(error.option_name)  # type: ignore[attr-defined]
            elif error.message.startswith("Got unexpected extra"):
                error.message += self._joined(given)
            elif error.format_message().startswith("Missing") and (example := EXAMPLE.search(self.epilog or "")):
                error.message = f"For example: {example['command']}"
            raise
        if not ctx.resilient_parsing:
            self._refuse_twice(ctx, given)
        return left

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help: see `help.explained`."""
        TyperCommand.format_help(explained(self, ctx), ctx, formatter)
        print_epilog(self.epilog or "")

    def _refuse_twice(self, ctx: Any, args: list[str]) -> None:
        """Raise `BadInput` for an option with two values; a switch may be repeated but not contradicted."""
        collecting, own = copy(self), self._options()
        collecting.params = [_collecting(param) for param in self.params]
        values: dict[str, Any] = collecting.make_parser(ctx).parse_args(args=args)[0]
        for option in own:
            found = values.get(option.name, ())
            if option.multiple or len(found) < 2 or (option.is_flag and len(set(found)) == 1):
                continue
            if option.is_flag:
                raise BadInput(f"{option.opts[0]} and {option.secondary_opts[0]} are given, allowed: one of the two")
            told, times = " and as ".join(map(show, found)), "twice" if len(found) == 2 else f"{len(found)} times"
            raise BadInput(f"{_long(option)} is given {times}, as {told}, allowed: once")

    def _joined(self, args: list[str]) -> str:
        """The remedy for a value apart from its key, or for values with blanks between them; empty for any other."""
        for flag, first, second in zip(args, args[1:], args[2:], strict=False):
            if second.startswith("-"):
                continue
            if flag in ("--set", "-s", "--grid") and "=" not in first:
                return f"; write `{flag} {first}={second}`"
            if flag == "--opt":
                return f"; write `--opt {first},{second}`"
        return ""

    def _options(self) -> list[TyperOption]:
        return [param for param in self.params if isinstance(param, TyperOption)]

    def _meant(self, unknown: str) -> str:
        """A suggestion for an unknown option: one of the command's own, or how to set the setting of that name."""
        from mnistexp.config.catalogue import ABBREVIATIONS, dotted_keys, full_key, may_be_swept

        own = {option.name: _long(option) for option in self._options()}
        keys = dotted_keys() if "sets" in own else []
        flags = {key: own[name] for name, key in FLAGS.items() if name in own}
        name = unknown.lstrip("-").replace("-", "_").casefold()
        key = full_key(ABBREVIATIONS.get(name, name), keys)
        if key not in keys:
            long = {_long(option).lstrip("-"): _long(option) for option in self._options()}
            if close := nearest_name(name, long, at_least=0.75):
                return f"; did you mean {long[close]!r}?"
            last = {known.rpartition(".")[2]: known for known in keys}
            key = last.get(nearest_name(name, last, at_least=0.75) or "", "")
        if key in flags:
            return f"; did you mean {flags[key]!r}?"
        if "grid" in own and may_be_swept(key):
            return f"; write `--grid {key.rpartition('.')[2]}=VALUE,VALUE` to try values"
        return f"; write `--set {key}=VALUE`" if key else ""


def _long(option: TyperOption) -> str:
    return max(option.opts, key=len)


def _collecting(param: Any) -> Any:
    """The parameter, made to keep every value that it is given."""
    if isinstance(param, TyperOption) and not param.count:
        param = copy(param)
        param.multiple = True
    return param


class CommandGroup(TyperGroup):
    """Commands under one name; an unknown one leads to those whose names begin so, are near, or are in a group."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help: see `help.explained`."""
        TyperGroup.format_help(explained(self, ctx), ctx, formatter)
        print_epilog(self.epilog or "")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of that name, or an error that suggests others."""
        unknown = args[0]  # which the parser of options takes away
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            if names := self._meant(unknown):
                error.message = f"{error.message.rstrip('.')}. Did you mean {' or '.join(map(repr, names))}?"
            raise

    def _meant(self, unknown: str) -> list[str]:
        name = unknown.casefold()
        begun = [known for known in self.commands if known.startswith(name)]
        close = nearest_name(name, self.commands)
        groups = {known: group.commands for known, group in self.commands.items() if isinstance(group, CommandGroup)}
        below = [f"{group} {known}" for group, commands in groups.items() for known in commands if known == name]
        longer = [known for known in self.commands if name.startswith(known.partition("-")[0])]
        return [*begun, *below] or ([close] if close else longer)


class Commands(typer.Typer):
    """A group of commands, each a `Command`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            cls=CommandGroup, no_args_is_help=True, suggest_commands=False, rich_markup_mode="markdown", **options
        )

    def add(
        self, name: str, *, shares: str = "... runs_dir json", panel: str | None = None, about: str = ""
    ) -> Callable[[Function], Function]:
        """Add a function as a command: it gets its `Call`, and then its own arguments and options by name.

        `shares`: names of the shared options, which the call holds; the function's own options stand in place of `...`,
        or after them. `panel`: of the help. `about`: the help, in place of the docstring; in either, lines such as
        `mnistexp train  # train once` are examples.
        """

        def added(function: Function) -> Function:
            own = list(signature(function, eval_str=True).parameters.values())[1:]
            own = [param.replace(kind=Parameter.KEYWORD_ONLY) for param in own]
            before, _, after = shares.partition("...")
            held = [*before.split(), *after.split()]

            def run(context: typer.Context, **given: Any) -> Any:
                call = Call.of(str(context.info_name), {name: given.pop(name) for name in held})
                return function(call, **given)

            context = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
            params = [context, *map(shared, before.split()), *own, *map(shared, after.split())]
            run.__signature__ = Signature(params)  # type: ignore[attr-defined]
            run.__annotations__ = {param.name: param.annotation for param in params}
            text, epilog = with_examples(cleandoc(about or function.__doc__ or ""))
            super(Commands, self).command(name, cls=Command, help=text, epilog=epilog, rich_help_panel=panel)(run)
            return function

        return added
