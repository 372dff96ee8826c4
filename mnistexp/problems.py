"""Validation errors for users: the dotted key, the value, the allowed values, the nearest valid name."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mnistexp.config import ExperimentConfig
from mnistexp.errors import nearest, nearest_name, show
from mnistexp.optimizers import OPTIMIZERS, Optimizer

__all__ = ["ABBREVIATIONS", "dotted_keys", "explain", "full_key", "may_be_swept", "misshapen", "sweepable_keys"]

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
ABBREVIATIONS = {
    "lr": "learning_rate",
    "bs": "batch_size",
    "batch": "batch_size",
    "opt": "optimizer.name",
    "optimizer": "optimizer.name",
}
"""Common other names of settings."""


def explain(error: ErrorDetails) -> Iterator[tuple[str, str]]:
    """Dotted key and message of each problem in a pydantic error."""
    if error["type"] == "conflicts":
        yield from error["ctx"]["problems"]
        return
    location = _without_tags(error["loc"])
    if error["type"].startswith("union_tag"):
        location = (*location, "name")
    yield ".".join(str(part) for part in location), _message(error, location)


def _message(error: ErrorDetails, location: tuple[int | str, ...]) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(error["loc"], ".".join(map(str, location)), value)
    if kind == "union_tag_not_found":
        return f"is missing, allowed: {', '.join(OPTIMIZERS)}"
    if kind == "union_tag_invalid":
        name = str(value["name"])
        several = f"; `mnistexp sweep-optimizer --opt {name}` tries several" if "," in name else ""
        return f"is {show(value['name'])}, allowed: {', '.join(OPTIMIZERS)}{several or nearest(name, OPTIMIZERS)}"
    if kind == "literal_error":
        allowed = [str(choice) for choice in _choices(error["loc"])] or [context["expected"]]
        return f"is {show(value)}, allowed: {', '.join(allowed)}{nearest(str(value), allowed)}"
    if kind == "string_pattern_mismatch":
        return f"is {show(value)}, allowed: letters, digits, '.', '_' and '-', a letter or digit first"
    if kind in TYPES:
        bounds = _bounds(error["loc"])
        return f"is {show(value)}, allowed: {TYPES[kind]}{f', {bounds}' if bounds else ''}"
    bounds = _bounds(error["loc"])
    if bounds and kind.startswith(("greater", "less")):
        return f"is {show(value)}, allowed: {bounds}"
    reason = re.sub(r"^(Value error, |\w+ should (have |be )?)", "", error["msg"])
    return f"is {show(value)}, allowed: {reason}" if kind != "value_error" else reason


def _unknown_key(location: tuple[int | str, ...], key: str, value: Any) -> str:
    model = _model_at(location[:-1])
    name = str(location[-1])
    allowed = list(_fields(model)) if model else []
    known = dotted_keys()
    owners = [owner for owner, entry in OPTIMIZERS.items() if name in entry.model_fields]
    if key in known and "." in name:
        *above, last = name.split(".")
        inner = f"{last}: {show(value)}"
        for part in reversed(above):
            inner = f"{part}: {{{inner}}}"
        hint = f"; write `{inner}`"
    elif key in known:
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


def full_key(name: str, keys: Iterable[str]) -> str:
    """The dotted key whose last part is a name such as `dropout` or `early_stopping.patience`.

    A name that is a key itself, or the last part of several keys or of none, is returned unchanged.
    """
    keys = list(keys)
    ends = [key for key in keys if key.endswith(f".{name}")]
    return ends[0] if name not in keys and len(ends) == 1 else name


def misshapen(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key and message of each value in place of a section, and each section in place of a value.

    Stronger layers would hide them. They would also hide an optimizer's section, whose unknown keys are found here too.
    """
    model = _model_at(tuple(above.split("."))) if above else ExperimentConfig
    fields = _fields(model) if model else {}
    for name, value in values.items():
        key = f"{above}.{name}" if above else str(name)
        info = fields.get(name)
        if info is None:
            if model is Optimizer:
                yield key, _unknown_key(("optimizer", name), key, value)
        elif _section(info) is None:
            if isinstance(value, dict) and info.annotation is not Any:
                yield key, f"is {show(value)}, allowed: a single value"
        elif isinstance(value, dict):
            yield from misshapen(value, key)
        elif value is not None or type(None) not in get_args(info.annotation):
            yield key, _no_section(key, value, nullable=type(None) in get_args(info.annotation))


def _no_section(key: str, value: Any, *, nullable: bool) -> str:
    kind, remedy = REMEDIES.get(key, (None, ""))
    fits = kind is not None and isinstance(value, kind) and not isinstance(value, bool)
    said = "is empty" if value is None else f"is {show(value)}"
    instead = f"; {remedy.format(value)}" if fits else ""
    return f"{said}, allowed: {SECTION}{', or null' if nullable else ''}{instead}"


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a section; for the optimizer, those of every optimizer."""
    if model is not Optimizer:
        return model.model_fields
    return {name: info for entry in OPTIMIZERS.values() for name, info in entry.model_fields.items()}


def dotted_keys() -> list[str]:
    """Every dotted key of a configuration, including those of each optimizer."""
    return list(dict.fromkeys(_keys(ExperimentConfig, "")))


def sweepable_keys() -> list[str]:
    """The dotted keys that can be swept."""
    return [key for key in dotted_keys() if may_be_swept(key)]


def may_be_swept(key: str) -> bool:
    """Whether it can be swept: not the digits and seeds, nor the validation settings."""
    section, _, name = key.partition(".")
    if section == "training":
        return name.partition(".")[0] not in {"early_stopping", "validation_fraction"}
    return section in {"model", "optimizer"} and bool(name)


def _keys(model: type[BaseModel], above: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        key = f"{above}{name}"
        section = _section(info)
        if section is None:
            yield key
        elif section is Optimizer:
            for entry in OPTIMIZERS.values():
                yield from _keys(entry, f"{key}.")
        else:
            yield from _keys(section, f"{key}.")


def _without_tags(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The location without the optimizer's name that pydantic inserts."""
    if len(location) > 1 and location[0] == "optimizer" and location[1] in OPTIMIZERS:
        return (location[0], *location[2:])
    return location


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The section at a location with pydantic's tags; None if it is a value."""
    model: type[BaseModel] | None = ExperimentConfig
    for part in location:
        if model is Optimizer:
            model = OPTIMIZERS.get(str(part))
        elif model is not None:
            info = model.model_fields.get(str(part))
            model = _section(info) if info else None
    return model


def _section(info: FieldInfo) -> type[BaseModel] | None:
    """The model class of a field that is a section, else None."""
    kinds = [kind for kind in _parts(info.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    if kinds and issubclass(kinds[0], Optimizer):
        return Optimizer
    return kinds[0] if kinds else None


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and all parts of its unions, tuples and `Annotated`s."""
    yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


def _field_at(location: tuple[int | str, ...]) -> FieldInfo | None:
    """The innermost field on the way to a location."""
    for end in range(len(location), 0, -1):
        model = _model_at(location[: end - 1])
        if model and location[end - 1] in model.model_fields:
            return model.model_fields[str(location[end - 1])]
    return None


def _choices(location: tuple[int | str, ...]) -> list[Any]:
    info = _field_at(location)
    if info is None:
        return []
    return [choice for part in _parts(info.annotation) if get_origin(part) is Literal for choice in get_args(part)]


def _bounds(location: tuple[int | str, ...]) -> str:
    """The bounds of the field at a location, such as `0 <= value < 1`; empty if it has none."""
    info = _field_at(location)
    if info is None:
        return ""
    inner = [item for part in _parts(info.annotation) if isinstance(part, FieldInfo) for item in part.metadata]
    low = high = ""
    for item in (*info.metadata, *inner):
        if isinstance(item, Ge | Gt):
            low = f"{item.ge} <= " if isinstance(item, Ge) else f"{item.gt} < "
        if isinstance(item, Le | Lt):
            high = f" <= {item.le}" if isinstance(item, Le) else f" < {item.lt}"
    return f"{low}value{high}" if low or high else ""
