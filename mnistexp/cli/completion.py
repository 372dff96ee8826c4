"""What a shell offers after Tab, by typer's completion protocol: names of options, runs, settings and choices.

What a completer needs is imported inside it, and numpy never is. Where it offers nothing, the shells complete the names
of files.
"""

import io
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:  # it loads pydantic, which takes 0.2 s
    from mnistexp.config.catalogue import Setting


REQUEST = "_MNISTEXP_COMPLETE"
SOURCES = ["embedded", "unseen", "openml"]


def asked() -> bool:
    """Whether it was a shell that started this process, for candidates."""
    return REQUEST in os.environ


def complete(app: Callable[..., Any]) -> NoReturn:
    """Print the candidates and end. Whatever goes wrong, nothing else is printed: it would land on the user's line."""
    said, code = io.StringIO(), 1
    try:
        with redirect_stdout(said), redirect_stderr(io.StringIO()):
            app(standalone_mode=False)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    except Exception:
        said = io.StringIO()
    print(said.getvalue(), end="")
    sys.exit(code)


def run_ids(context: typer.Context) -> list[str]:
    """`latest`, and the ids of all runs, newest first."""
    from mnistexp.runs.query import known_ids

    ids = known_ids(Path(context.params.get("runs_dir") or "runs"))
    return ["latest", *ids] if ids else []


def trashed_ids(context: typer.Context) -> list[str]:
    """`latest`, and the ids of the runs in the trash, the last moved there first."""
    from mnistexp.runs.trash import list_trash

    entries = list_trash(Path(context.params.get("runs_dir") or "runs"))[::-1]
    return ["latest", *dict.fromkeys(entry.id for entry in entries)] if entries else []


def settings(incomplete: str) -> list[tuple[str, str]]:
    """`key=` for each dotted key, with its meaning."""
    from mnistexp.config.catalogue import catalogue

    return _keyed({key: setting for key, setting in catalogue().items() if "<" not in key}, incomplete)


def swept(incomplete: str) -> list[tuple[str, str]]:
    """`key=` for each setting to sweep, by its short name."""
    from mnistexp.config.catalogue import catalogue, may_be_swept

    found = {key.rpartition(".")[2]: setting for key, setting in catalogue().items() if may_be_swept(key)}
    return _keyed(found, incomplete)


def _keyed(found: "Mapping[str, Setting]", incomplete: str) -> list[tuple[str, str]]:
    """`key=` for each name; beside a single one its choices or its default, for bash would close it with a space."""
    left = {name: setting for name, setting in found.items() if name.startswith(incomplete)}
    offers = [(f"{name}=", setting.meaning) for name, setting in left.items()]
    for name, setting in left.items() if len(left) == 1 else ():
        default = re.sub(r" \(.*| ", "", setting.default)
        offers += [(f"{name}={value}", setting.meaning) for value in setting.choices or [default]]
    return offers


def choices(key: str) -> list[str]:
    """The words that a setting allows."""
    from mnistexp.config.catalogue import catalogue

    return SOURCES if key == "data.source" else list(catalogue()[key].choices)
