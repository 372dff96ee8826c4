"""The catalogue of settings: what messages, the docs and completion say of each, read from the models."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mnistexp.config.grids import Range
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.optimizers import OPTIMIZERS, Optimizer

NAMES = "letters, digits, '.', '_' and '-', a letter or digit first"
TYPES: dict[Any, str] = {
    int: "whole number", float: "number", str: "text", bool: "true or false", NoneType: "null", dict: "section",
}  # fmt: skip
ABBREVIATIONS = {
    "lr": "learning_rate",
    "rate": "learning_rate",
    "bs": "batch_size",
    "batch": "batch_size",
    "opt": "optimizer.name",
    "optimizer": "optimizer.name",
}
"""Common alternative names of settings."""


@dataclass(frozen=True)
class Setting:
    """One key of a configuration, in words.

    `key`: dotted; `<key>` in it stands for the dotted key of a swept setting. `default`: as YAML, empty if there is
    none. `allowed`: bounds or choices, empty if the type is enough. `choices`: the values to choose from. `owner`: the
    optimizer that has it, empty for any.
    """

    key: str
    type: str
    default: str
    allowed: str
    meaning: str
    choices: tuple[str, ...] = ()
    owner: str = ""

    @property
    def is_section(self) -> bool:
        """Whether it has keys of its own, as `sweep` has."""
        return self.type.startswith("section") and not self.is_space

    @property
    def is_space(self) -> bool:
        """Whether its keys are those of settings to try, as in `sweep.grid`."""
        return self.key in {"sweep.grid", "sweep.zip", "sweep.random"}

    @property
    def nullable(self) -> bool:
        """Whether it may be null."""
        return self.type.endswith("null")


@cache
def entries() -> tuple[Setting, ...]:
    """Every setting and section in the order of `ExperimentConfig`; those of an optimizer once for each that has it."""
    return tuple(_walk(ExperimentConfig, ""))


@cache
def catalogue() -> dict[str, Setting]:
    """Every dotted key that may be set, with those of the sections that may be null."""
    found: dict[str, list[Setting]] = {}
    for entry in entries():
        if not entry.is_section or entry.nullable:
            found.setdefault(entry.key, []).append(entry)
    return {key: _of_all(owned) if owned[0].owner else owned[0] for key, owned in found.items()}


def inside(section: str, owner: str = "") -> list[str]:
    """The names of the keys in a section, "" for the whole; `owner`: only those of this optimizer."""
    split = [(entry.key.rpartition("."), entry.owner) for entry in entries()]
    return list(dict.fromkeys(name for (above, _, name), own in split if above == section and owner in ("", own)))


def dotted_keys() -> list[str]:
    """Every dotted key of a configuration, including those of each optimizer, without sections."""
    return [key for key, setting in catalogue().items() if not setting.is_section and "<" not in key]


def sweepable_keys() -> list[str]:
    """The dotted keys that can be swept."""
    return [key for key in dotted_keys() if may_be_swept(key)]


def may_be_swept(key: str) -> bool:
    """Whether it can be swept: not the digits and seeds, nor the validation settings."""
    section, _, name = key.partition(".")
    if section == "training":
        return name.partition(".")[0] not in {"early_stopping", "validation_fraction"}
    return section in {"model", "optimizer"} and bool(name)


def full_key(name: str, keys: Iterable[str]) -> str:
    """The dotted key whose last part is a name such as `dropout` or `early_stopping.patience`.

    A name that is a key itself, or the last part of several keys or of none, is returned unchanged.
    """
    keys = list(keys)
    ends = [key for key in keys if key.endswith(f".{name}")]
    return ends[0] if name not in keys and len(ends) == 1 else name


def _walk(model: type[BaseModel], above: str, owner: str = "") -> Iterator[Setting]:
    for name, info in model.model_fields.items():
        key = f"{above}{name}"
        setting = _setting(key, info, owner)
        yield setting
        section = _section(info)
        if section is Optimizer:
            for own, kind in OPTIMIZERS.items():
                yield from _walk(kind, f"{key}.", own)
        elif section:
            yield from _walk(section, f"{key}.")
        elif key == "sweep.random":
            yield from _walk(Range, f"{key}.<key>.")


def _setting(key: str, info: FieldInfo, owner: str) -> Setting:
    parts = list(_parts(_annotation(info)))
    choices = tuple(_word(choice) for part in parts if get_origin(part) is Literal for choice in get_args(part))
    section = _section(info)
    meaning = (info.description or (section.__doc__ if section else "") or "").partition("\n\n")[0]
    default = "" if info.is_required() else json.dumps(info.get_default(), default=_plain)
    if choices and get_origin(info.annotation) is Literal and len(choices) == 1 and owner:
        choices, meaning = tuple(OPTIMIZERS), "Name of the optimizer."
    allowed = ", ".join(choices) or _bounds([*info.metadata, *(x for p in parts for x in _metadata(p))])
    return Setting(key, _type(_annotation(info)), default, allowed, " ".join(meaning.split()), choices, owner)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else dict(value)


def _word(choice: Any) -> str:
    return json.dumps(choice) if isinstance(choice, bool) else str(choice)


def _annotation(info: FieldInfo) -> Any:
    """The type of a field; of one with a validation of its own, the type that this takes."""
    return next(
        (item.json_schema_input_type for item in info.metadata if hasattr(item, "json_schema_input_type")),
        info.annotation,
    )


def _metadata(part: Any) -> list[Any]:
    return list(part.metadata) if isinstance(part, FieldInfo) else []


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


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (tuple, list):
        count = f"{len(inner)} " if origin is tuple and inner[-1] is not ... else ""
        return f"list of {count}{_type(inner[0])}s"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "section"
    if origin is Literal:
        return "text"
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _type(inner[0])
    return TYPES.get(annotation) or " or ".join(dict.fromkeys(map(_type, inner)))


def _bounds(metadata: Iterable[Any]) -> str:
    """Bounds such as `0 <= value < 1`, or of a name its letters and length."""
    low = high = ""
    longest, named = 0, False
    for item in metadata:
        if isinstance(item, Ge | Gt):
            low = f"{item.ge} <= " if isinstance(item, Ge) else f"{item.gt} < "
        elif isinstance(item, Le | Lt):
            high = f" <= {item.le}" if isinstance(item, Le) else f" < {item.lt}"
        longest, named = getattr(item, "max_length", longest), named or bool(getattr(item, "pattern", None))
    if named:
        return f"{NAMES}, at most {longest}"
    return f"{low}value{high}" if low or high else ""


def _of_all(owned: list[Setting]) -> Setting:
    """A setting of several optimizers as one, with the names where they differ."""
    if owned[0].choices:
        default = json.dumps(ExperimentConfig().optimizer.name)
        return replace(owned[0], default=default, owner="")
    default = _by_owner({setting.owner: setting.default for setting in owned})
    allowed = {setting.owner: setting.allowed for setting in owned}
    same = len(set(allowed.values())) == 1
    return replace(owned[0], default=default, allowed=owned[0].allowed if same else _by_owner(allowed), owner="")


def _by_owner(texts: Mapping[str, str]) -> str:
    """Such as `0.9 (rmsprop), 0.95 (adadelta)`; without names if the text is the same for every optimizer."""
    if len(texts) == len(OPTIMIZERS) and len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    owners = {text: ", ".join(name for name, other in texts.items() if other == text) for text in texts.values()}
    return ", ".join(f"{text} ({names})" for text, names in owners.items())
