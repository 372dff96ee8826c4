"""Validation errors for users: the dotted key, the value, the allowed values, the nearest valid name."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from mnistexp.config.catalogue import ABBREVIATIONS, Setting, dotted_keys, entries, full_key, inside
from mnistexp.config.optimizers import OPTIMIZERS
from mnistexp.errors import nearest, nearest_name, show

SECTION = "a section of `key: value` lines"

TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": SECTION,
    "model_type": SECTION,
    "model_attributes_type": SECTION,
    "finite_number": "a finite number",
    "int_parsing_size": "a smaller whole number",
    "missing": "a value; it is missing",
}
REMEDIES: dict[str, tuple[type, str]] = {
    "data": (str, "write `data: {{source: {0}}}` or `--data {0}`"),
    "model": (str, "write `model: {{kind: {0}}}`"),
    "optimizer": (str, "write `optimizer: {{name: {0}}}` or `--opt {0}`"),
    "training": (int, "write `training: {{epochs: {0}}}` or `--epochs {0}`"),
    "training.early_stopping": (int, "write `early_stopping: {{patience: {0}}}`"),
}
"""The hint for a value of this type in place of a section."""
Location = tuple[int | str, ...]
"""Where pydantic found an error: the parts of a key, with the name of the optimizer after `optimizer`."""


def explain(error: ErrorDetails) -> Iterator[tuple[str, str]]:
    """Dotted key and message of each problem in a pydantic error."""
    if error["type"] == "conflicts":
        yield from error["ctx"]["problems"]
        return
    location = _without_tags(error["loc"])
    if error["type"].startswith("union_tag"):
        location = (*location, "name")
    if error["type"] == "missing" and isinstance(location[-1], int):  # the list is shown, which has too few values
        location = location[:-1]
    yield ".".join(str(part) for part in location), _message(error, location)


def _message(error: ErrorDetails, location: Location) -> str:
    kind, value = error["type"], error["input"]
    setting = _setting_at(error["loc"])
    if kind == "extra_forbidden":
        return _unknown_key(error["loc"], ".".join(map(str, location)), value)
    if kind == "union_tag_not_found":
        return f"is missing, allowed: {', '.join(OPTIMIZERS)}"
    if kind == "union_tag_invalid":
        name = str(value["name"])
        several = "," in name or name == "all"
        hint = f"; `mnistexp sweep-optimizer --opt {name}` tries several" if several else nearest(name, OPTIMIZERS)
        return f"is {show(value['name'])}, allowed: {', '.join(OPTIMIZERS)}{hint}"
    if kind == "literal_error" and setting:
        return f"is {show(value)}, allowed: {setting.allowed}{nearest(str(value), setting.choices)}"
    allowed = setting.allowed if setting else ""
    if kind == "missing" and isinstance(value, list | tuple):
        return f"is {show(value)}, allowed: more values{f', {allowed}' if allowed else ''}"
    if kind in TYPES:
        return f"is {show(value)}, allowed: {TYPES[kind]}{f', {allowed}' if allowed else ''}"
    if allowed and kind.startswith(("greater", "less", "string_pattern")):
        return f"is {show(value)}, allowed: {allowed}"
    reason = re.sub(r"^(Value error, |\w+ should (have |be )?)", "", error["msg"])
    return f"is {show(value)}, allowed: {reason}" if kind != "value_error" else reason


def _unknown_key(location: Location, key: str, value: Any) -> str:
    name, known = str(location[-1]), dotted_keys()
    allowed = inside(key.removesuffix(name).rstrip("."), _owner(location))
    if key in known and "." in name:
        *above, last = name.split(".")
        inner = f"{last}: {show(value)}"
        for part in reversed(above):
            inner = f"{part}: {{{inner}}}"
        hint = f"; write `{inner}`"
    elif key in known:
        owners = [owner for owner, entry in OPTIMIZERS.items() if name in entry.model_fields]
        hint = f"; {location[1]} has none, {' and '.join(owners)} {'have' if len(owners) > 1 else 'has'}"
    else:
        hint = _key_hint(name, allowed, known)
    return f"unknown key, allowed: {', '.join(allowed)}{hint}"


def _key_hint(name: str, allowed: list[str], known: list[str]) -> str:
    """The suggested key: one of the same section, else one of another section by its dotted name."""
    own = ABBREVIATIONS.get(name.casefold(), name)
    if own in allowed:
        return f"; did you mean {own!r}?"
    if (full := full_key(own, known)) in known:
        return f"; did you mean {full!r}?"
    last = {other.rpartition(".")[2]: other for other in reversed(known)}
    close = nearest_name(name, allowed) or last.get(nearest_name(name, last) or "")
    return f"; did you mean {close!r}?" if close else ""


def misshapen(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and message of each value in place of a section, and each section in place of a value.

    Stronger layers would hide them. They would also hide an optimizer's section, whose unknown keys are found here too.
    """
    known = {entry.key: entry for entry in entries()}
    for name, value in values.items():
        key = f"{above}.{name}" if above else str(name)
        setting = known.get(key)
        if setting is None:
            if above == "optimizer":
                yield key, _unknown_key(("optimizer", name), key, value)
        elif not setting.is_section:
            if isinstance(value, dict) and not setting.is_space:
                yield key, f"is {show(value)}, allowed: a single value"
        elif isinstance(value, dict):
            yield from misshapen(value, key)
        elif value is not None or not setting.nullable:
            yield key, _no_section(key, value, nullable=setting.nullable)


def _no_section(key: str, value: Any, *, nullable: bool) -> str:
    kind, remedy = REMEDIES.get(key, (None, ""))
    fits = kind is not None and isinstance(value, kind) and not isinstance(value, bool)
    said = "is empty" if value is None else f"is {show(value)}"
    instead = f"; {remedy.format(value)}" if fits else ""
    return f"{said}, allowed: {SECTION}{', or null' if nullable else ''}{instead}"


def _owner(location: Location) -> str:
    """The optimizer's name that pydantic inserts; empty outside the optimizer's section."""
    return str(location[1]) if location[:1] == ("optimizer",) and location[1:2] and location[1] in OPTIMIZERS else ""


def _without_tags(location: Location) -> Location:
    """The location without the optimizer's name."""
    return (location[0], *location[2:]) if _owner(location) else location


def _setting_at(location: Location) -> Setting | None:
    """The innermost setting on the way to a location, such as that of the list to which a value belongs."""
    owner, parts = _owner(location), _without_tags(location)
    found = {entry.key: entry for entry in entries() if owner in ("", entry.owner)}
    keys = (".".join(map(str, parts[:end])) for end in range(len(parts), 0, -1))
    return next((found[key] for key in keys if key in found), None)
