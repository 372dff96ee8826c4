"""The help of a command: options in panels with their defaults, examples as lines to copy. Typer lays it out."""

import re
from collections.abc import Iterator
from copy import copy
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from typer.core import TyperGroup, TyperOption

from mnistexp.cli.options import FLAGS, OUTPUT, PANELS
from mnistexp.config import shown

EXAMPLE = re.compile(r"- `(?P<command>mnistexp [^`]*)`: (?P<meaning>.*)")
WRITTEN = re.compile(r"^(mnistexp .*?)  # (.*)\n?", re.MULTILINE)
"""An example as the docstring of a command has it."""


def with_examples(text: str) -> tuple[str, str]:
    """The text of a docstring without its examples; and these in Markdown, as the end of a command's help."""
    listed = "\n".join(f"- `{line}`: {what}" for line, what in WRITTEN.findall(text))
    return WRITTEN.sub("", text).strip(), f"**Examples**\n\n{listed}\n"


def explained(command: Any, context: Any) -> Any:
    """A copy of a command for its help: each option states its default and where that comes from; flags have no type.

    The epilog is left out; `print_epilog` prints it.
    """
    found = copy(command)
    found.epilog, found.add_help_option = None, False
    defaults = _defaults(command)
    params = [_explained(param, context, defaults) for param in command.get_params(context)]
    places = {panel: place for place, panel in enumerate(PANELS)}
    found.params = sorted(params, key=lambda param: places.get(param.rich_help_panel, -1))
    return found


def _explained(param: Any, context: Any, defaults: dict[str, str]) -> Any:
    param = copy(param)
    default = defaults.get(param.name, "") or _own_default(param, context)
    if not isinstance(param, TyperOption):
        param.display_type_rich = lambda **_: ""
        usage = _in_usage(param)
        param._usage_display_name, param.required = lambda: usage, False
    elif param.is_flag:
        param.metavar = ""
    if param.name == "help":
        default, param.help = "", "Show this help"
        param.rich_help_panel = None if isinstance(context.command, TyperGroup) else OUTPUT
    param.show_default = False
    if default:
        param.help = f"{param.help} *[default: {default}]*"
    return param


def _in_usage(argument: Any) -> str:
    """An argument as the line of usage writes it, such as `RUN`, `[RUN]` or `RUN...`."""
    name = argument.display_name_raw.removesuffix("...") + ("..." if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


def _own_default(param: Any, context: Any) -> str:
    """The default that the option itself has, in words; nothing for a switch that is off and for none."""
    if isinstance(param.show_default, str):
        return param.show_default
    value = param.get_default(context, call=False)
    if value is None or (isinstance(value, bool) and not param.secondary_opts):
        return ""
    return _in_words(value)


def _defaults(command: Any) -> dict[str, str]:
    """Of each option that sets a setting: its value in the packaged configuration, and where that is written."""
    names = {param.name for param in command.params}
    if "sets" not in names:
        return {}
    from mnistexp.config import settings, yaml_source

    name = "best" if command.name == "reproduce" else command.name
    name = name if name in settings.packaged_names() else "train"
    found = settings.resolve([yaml_source.parse(settings.packaged(name), name)])
    defaults, values = {}, settings.dotted(found.config.model_dump(mode="json"))
    for option, key in FLAGS.items():
        value = values.get(key)
        if option in names and value is not None:
            origin = "" if found.origins[key] == "default" else f", from {name}.yaml"
            defaults[option] = _in_words(value) + origin
    swept = [str(text) for grid in found.config.search.grids for text in grid.get("optimizer.name", ())]
    if swept and "opt" in names:
        defaults["opt"] = f"{', '.join(swept)}, from {name}.yaml"
    return defaults


def _in_words(value: Any) -> str:
    return shown.value({True: "yes", False: "no"}[value] if isinstance(value, bool) else value)


def print_epilog(text: str) -> None:
    """Print the end of a command's help: each example on a line of its own, its meaning beside it or above.

    What isn't an example is a paragraph.
    """
    console = Console(highlight=False)
    rows = [found.groupdict() for found in EXAMPLE.finditer(text)]
    others = [line for line in EXAMPLE.sub("", text).splitlines() if line.strip()]
    if not rows:
        return
    console.print(Text(" Examples", style="bold"))
    for line in _lines(rows, console.width):
        console.print(line, soft_wrap=True)
    for other in others[1:]:
        console.print(Padding(Text(other), (1, 1, 0, 1)))


def _lines(rows: list[dict[str, str]], width: int) -> Iterator[Text]:
    longest = max(len(row["command"]) for row in rows)
    beside = all(3 + longest + 4 + len(row["meaning"]) <= width for row in rows)
    for row in rows:
        if beside:
            meaning = f"{'':{longest - len(row['command'])}}  # {row['meaning']}"
            yield Text.assemble("   ", (row["command"], "cyan"), (meaning, "dim"))
        else:
            yield Text(f"   # {row['meaning']}", style="dim")
            yield Text(f"   {row['command']}", style="cyan")
