"""YAML text to plain values, each with its line number. Safe for untrusted files."""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _FastestLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader as _FastestLoader  # type: ignore[assignment]

from mnistexp.errors import ConfigError, Problem, nearest_name, show

MAX_BYTES = 100_000
MAX_VALUES = 10_000
MAX_DEPTH = 20
REMEDIES = {
    "escape": "; in double quotes a backslash begins an escape: write a path in single quotes",
    r"character '\t'": "; indent with spaces",
}
"""The hint for a sign in PyYAML's message."""


@dataclass(frozen=True)
class Source:
    """The values of one source; `lines` maps each dotted key to its line, from 1."""

    where: str
    values: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """The scalars of YAML 1.2, and `1_000`: `1e-3` is a number, `yes` and `2020-01-01` are text, `010` is not eight."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's own class attribute)


_DIGITS = list("-+0123456789.")
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]*|[1-9][0-9]{0,2}(_[0-9]{3})+)", _DIGITS),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        _DIGITS,
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


class Dumper(yaml.SafeDumper):
    """Quotes text that the loaders here would read as a number, such as `1e5`."""


Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^(?:{_pattern})$"), _DIGITS)


class _FastLoader(_FastestLoader):
    """The same scalars, read by libyaml: ten times as fast, with different error messages."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def read(path: Path) -> Source:
    """The mapping in a YAML file.

    Raises `ConfigError` for a file that is missing, unreadable, too large, not UTF-8 or not a mapping.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError([Problem(where, "", f"no such file{_similar(path)}")]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(where, "", f"can't be read: {getattr(error, 'strerror', None) or error}")]) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError([Problem(where, "", f"is too large, allowed: at most {MAX_BYTES:,} bytes")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError([Problem(where, "", "is not UTF-8 text", line)]) from None
    return parse(text, where)


def _similar(path: Path) -> str:
    """A suggestion of a YAML file in the same folder."""
    with suppress(OSError, ValueError):
        there = [other.name for other in path.parent.iterdir() if other.suffix in {".yaml", ".yml"}]
        if close := nearest_name(path.name, there, at_least=0.75):
            return f"; did you mean {str(path.with_name(close))!r}?"
    return ""


def parse(text: str, where: str) -> Source:
    """The mapping in YAML text. Raises `ConfigError` as `read` does, with all duplicate keys at once."""
    node, value = _load(text, where)
    if value is None:
        return Source(where, {})
    values = _mapping(value, where)
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    _walk(node, "", where, lines, problems)
    if problems:
        raise ConfigError(problems)
    return Source(where, values, lines)


def parse_fast(text: str, where: str) -> dict[str, Any]:
    """The mapping in YAML that this package wrote, without lines or a look for duplicates. Raises `ConfigError`."""
    return _mapping(_load(text, where, _FastLoader)[1], where)


def parse_value(text: str, where: str) -> Any:
    """One YAML value, as after `=` on a command line. Raises `ConfigError`."""
    try:
        return _load(text, where)[1]
    except ConfigError as error:
        said = [f"{show(text)} is {problem.message.removeprefix('is ')}" for problem in error.problems]
        raise ConfigError([Problem(where, "", message) for message in said]) from None


def _load(text: str, where: str, kind: type[_Loader | _FastLoader] = _Loader) -> tuple[Any, Any]:
    if len(text) > MAX_BYTES:
        raise ConfigError([Problem(where, "", f"is too large, allowed: at most {MAX_BYTES:,} bytes")])
    try:
        loader = kind(text.lstrip("\ufeff"))  # byte order marks, of which one parser skips one and the other two
        node = loader.get_single_node()
        if node is None:
            return None, None
        _check_size(node, where)
        return node, loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        problem = str(error.problem or error.context)
        remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in problem), "")
        raise ConfigError([Problem(where, "", f"not valid YAML: {problem}{remedy}", line)]) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem(where, "", f"not valid YAML: {' '.join(str(error).split())}")]) from None
    except RecursionError:
        raise ConfigError([Problem(where, "", f"is nested too deeply, allowed: {MAX_DEPTH} levels")]) from None
    except (ValueError, TypeError, OverflowError, LookupError, AttributeError) as error:
        # PyYAML doesn't check that a tag such as `!!float` precedes a float.
        raise ConfigError([Problem(where, "", f"holds a value that can't be read: {error}")]) from None


def _check_size(root: Any, where: str) -> None:
    """Reject YAML that aliases make huge or recursive, before values are built from it."""
    sizes: dict[int, int] = {}

    def size(node: Any, above: tuple[int, ...]) -> int:
        line = node.start_mark.line + 1
        if id(node) in above:
            raise ConfigError([Problem(where, "", "an alias refers to its own parent", line)])
        if len(above) >= MAX_DEPTH:
            raise ConfigError([Problem(where, "", f"is nested too deeply, allowed: {MAX_DEPTH} levels", line)])
        if id(node) not in sizes:
            inside = (*above, id(node))
            if isinstance(node, yaml.MappingNode):
                total = sum(size(key, inside) + size(value, inside) for key, value in node.value)
            elif isinstance(node, yaml.SequenceNode):
                total = sum(size(item, inside) for item in node.value)
            else:
                total = 0
            sizes[id(node)] = total + 1
        return sizes[id(node)]

    if size(root, ()) > MAX_VALUES:
        raise ConfigError(
            [Problem(where, "", f"holds too many values, allowed: {MAX_VALUES:,}, counting aliases in full")]
        )


def _walk(node: Any, above: str, where: str, lines: dict[str, int], problems: list[Problem]) -> None:
    """Record the line of every key, and report keys that are not text or duplicates."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            key = f"{above}.{index}"
            lines[key] = item.start_mark.line + 1
            _walk(item, key, where, lines, problems)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for name, value in node.value:
        line = name.start_mark.line + 1
        if name.tag != "tag:yaml.org,2002:str":
            problems.append(Problem(where, above, f"the key {name.value!r} is not text, allowed: names", line))
            continue
        key = f"{above}.{name.value}" if above else name.value
        if name.value in seen:
            problems.append(Problem(where, key, f"is a duplicate, first on line {seen[name.value]}", line))
        seen.setdefault(name.value, line)
        lines[key] = line
        _walk(value, key, where, lines, problems)


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    kinds = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    kind = kinds.get(type(value), f"a {type(value).__name__}")
    raise ConfigError([Problem(where, "", f"holds {kind}, allowed: `key: value` lines", 1)])
