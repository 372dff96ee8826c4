"""What a shell offers after Tab, by typer's completion protocol.

What a completer needs is imported inside it, and numpy never is. Where it offers nothing, the shells complete the names
of files.
"""

import io
import os
import sys
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import typer

__all__ = [
    "answer",
    "asked",
    "assignments",
    "config_files",
    "data_sources",
    "executors",
    "grids",
    "optimizers",
    "optimizers_or_all",
    "packaged",
    "report_formats",
    "rules",
    "run_ids",
    "trashed_ids",
    "yaml_files",
]

Offer = tuple[str, str]
"""A candidate, and what zsh and fish say of it."""

REQUEST = "_MNISTEXP_COMPLETE"
DEFAULTS = Path(__file__).parents[1] / "config" / "defaults"
FORMATS = {
    "html": "one page, without network",
    "md": "Markdown, with figures beside it",
    "pdf": "pages",
    "ipynb": "a notebook",
}
SOURCES = {
    "embedded": "the digits that come with the package",
    "unseen": "4,000 others",
    "openml": "mnist_784, downloaded once",
}


def asked() -> bool:
    """Whether it was a shell that started this process, for candidates."""
    return REQUEST in os.environ


def answer(app: Callable[..., Any]) -> NoReturn:
    """Print the candidates and end. Whatever goes wrong, nothing else is printed: it would land on the user's line."""
    kept, said, code = "", io.StringIO(), 1
    try:
        if os.environ[REQUEST] == "complete_bash":
            kept = _join_words(os.environ)
        with redirect_stdout(said), redirect_stderr(io.StringIO()):
            app(standalone_mode=False)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    except Exception:
        said = io.StringIO()
    for line in said.getvalue().splitlines():
        print(line.removeprefix(kept))
    sys.exit(code)


def _join_words(environ: MutableMapping[str, str]) -> str:
    """Undo that bash splits words at `=`. Returns what of the current word bash keeps, for answers to leave out."""
    words, current = environ.get("COMP_WORDS", "").split("\n"), int(environ.get("COMP_CWORD", 0))
    joined: list[str] = []
    place = current
    for index, word in enumerate(words):
        before = joined[-1] if joined else "-"
        if word == "=" and before.startswith("--"):
            joined.append("")
        elif not before.startswith("-") and (word[:1] == "=" or before[-1:] in {"", "="}) and word[:1] != "-":
            joined[-1] += word
            place -= index <= current
        else:
            joined.append(word)
    environ["COMP_WORDS"], environ["COMP_CWORD"] = "\n".join(joined), str(place)
    key, equals, _ = (joined[place] if place < len(joined) else "").rpartition("=")
    return key + equals


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


def optimizers() -> list[Offer]:
    """The optimizers, with the first sentence about each."""
    from mnistexp.config.optimizers import OPTIMIZERS

    return [(name, (kind.__doc__ or "").partition("\n")[0]) for name, kind in OPTIMIZERS.items()]


def optimizers_or_all() -> list[Offer]:
    """The optimizers, and `all`."""
    return [*optimizers(), ("all", "every optimizer")]


def executors() -> list[str]:
    """Where fits may run."""
    return _choices("sweep.executor")


def rules() -> list[str]:
    """How the best trial may be chosen."""
    return _choices("sweep.select")


def report_formats() -> list[Offer]:
    """The formats of reports."""
    return list(FORMATS.items())


def packaged() -> list[Offer]:
    """The packaged configurations, with the first line of each."""
    paths = sorted(DEFAULTS.glob("*.yaml"))
    return [(path.stem, path.read_text(encoding="utf-8").partition("\n")[0].strip("# ")) for path in paths]


def config_files(incomplete: str) -> list[Offer]:
    """The packaged configurations, and the YAML files here."""
    return _with_files(packaged(), incomplete, (".yaml", ".yml"))


def yaml_files(incomplete: str) -> list[Offer]:
    """The YAML files here."""
    return _with_files([], incomplete, (".yaml", ".yml"))


def data_sources(incomplete: str) -> list[Offer]:
    """The named sources of digits, and the files here that may hold some."""
    return _with_files(list(SOURCES.items()), incomplete, (".npz", ".npy", ".csv", ".gz", ".parquet"))


def assignments(incomplete: str) -> list[Offer]:
    """`key=` for each dotted key; its values once the key is certain."""
    from mnistexp.config.optimizers import OPTIMIZERS
    from mnistexp.config.schema import settings_list

    found = {setting.key: setting for setting in settings_list() if "<" not in setting.key}
    meanings = {key: setting.meaning for key, setting in found.items()}

    def values(key: str) -> Sequence[str]:
        own = key.removeprefix("optimizer.")
        defaults = [str(kind.model_fields[own].default) for kind in OPTIMIZERS.values() if own in kind.model_fields]
        setting = found[key]
        return (
            setting.choices
            or _yes_or_no(setting.type)
            or list(dict.fromkeys(defaults))
            or [setting.default.replace(" ", "")]
        )

    return _keyed(meanings, values, incomplete)


def grids(incomplete: str) -> list[Offer]:
    """`key=` for each setting to sweep, by its short name or dotted; once the key is certain, values to try."""
    from mnistexp.config.optimizers import OPTIMIZERS
    from mnistexp.config.problems import sweepable_keys
    from mnistexp.config.schema import settings_list

    found = {setting.key: setting for setting in settings_list()}
    dotted = {key: found[key] for key in sweepable_keys()}
    short = {key.rpartition(".")[2]: setting for key, setting in dotted.items()}
    named = short if any(name.startswith(incomplete.partition("=")[0]) for name in short) else dotted

    def values(key: str) -> Sequence[str]:
        own = key.rpartition(".")[2]
        tried = dict.fromkeys(kind.grid[own] for kind in OPTIMIZERS.values() if own in kind.grid)
        listed = [",".join(map(str, values)) for values in tried]
        given = f"{incomplete.partition('=')[2].rpartition(',')[0]},".lstrip(",")
        return listed or [f"{given}{choice}" for choice in named[key].choices or _yes_or_no(named[key].type)]

    return _keyed({name: setting.meaning for name, setting in named.items()}, values, incomplete)


def _choices(key: str) -> list[str]:
    from mnistexp.config.schema import settings_list

    return [choice for setting in settings_list() if setting.key == key for choice in setting.choices]


def _yes_or_no(kind: str) -> list[str]:
    return ["true", "false"] if kind == "true or false" else []


def _keyed(meanings: dict[str, str], values: Callable[[str], Sequence[str]], incomplete: str) -> list[Offer]:
    """`key=value` where only one key is left, else `key=`.

    Of two offers bash inserts what they share; a single one it would close with a space. So `key=` stays beside a
    single value.
    """
    typed, equals, _ = incomplete.partition("=")
    left = [key for key in meanings if (key == typed if equals else key.startswith(typed))]
    if len(left) != 1:
        return [(f"{key}=", meanings[key]) for key in left]
    offers = [f"{left[0]}={value}" for value in values(left[0])]
    if len(offers) < 2 and not equals:
        offers.insert(0, f"{left[0]}=")
    return [(offer, meanings[left[0]]) for offer in offers]


def _with_files(named: list[Offer], incomplete: str, endings: tuple[str, ...]) -> list[Offer]:
    """Names, files with these endings, and folders; nothing where only folders are left, which shells do better."""
    with os.scandir() as entries:
        there = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    offers = [*named, *((name, "") for name, folder in there if not folder and name.endswith(endings))]
    if not any(name.startswith(incomplete) for name, _ in offers):
        return []
    return [*offers, *((f"{name}/", "") for name, folder in there if folder)]
