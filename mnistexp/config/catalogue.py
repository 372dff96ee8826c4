"""The catalogue of settings: what messages, the docs and completion say of each, read from the models' JSON Schema."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from mnistexp.config.models import ExperimentConfig
from mnistexp.config.optimizers import OPTIMIZERS, Optimizer

NAMES = "letters, digits, '.', '_' and '-', a letter or digit first"
TYPES = {
    "integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null",
    "object": "section",
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
Schema = dict[str, Any]
"""The JSON Schema of a section or a setting."""


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
    return tuple(_walk(_schema(), ""))


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


@cache
def _schema() -> Schema:
    return ExperimentConfig.model_json_schema()


def _walk(section: Schema, above: str) -> Iterator[Setting]:
    owner = section["properties"].get("name", {}).get("const", "")
    for name, entry in section["properties"].items():
        key = f"{above}{name}"
        sections = [_schema()["$defs"][part["$ref"].rpartition("/")[2]] for part in _parts(entry) if "$ref" in part]
        yield _setting(key, entry, sections, owner)
        for inner in sections:
            yield from _walk(inner, f"{key}.")
        if key == "sweep.random":
            yield from _walk(_schema()["$defs"]["Range"], f"{key}.<key>.")


def _setting(key: str, entry: Schema, sections: list[Schema], owner: str) -> Setting:
    parts = list(_parts(entry))
    choices = tuple(_word(choice) for part in parts for choice in part.get("enum", ()))
    meaning = entry.get("description") or (sections[0]["description"] if sections else "")
    if key == "optimizer":
        meaning = Optimizer.__doc__ or ""
    elif owner and "const" in entry:
        choices, meaning = tuple(OPTIMIZERS), "Name of the optimizer."
    default = json.dumps(entry["default"]) if "default" in entry else ""
    allowed = ", ".join(choices) or _bounds(parts)
    return Setting(key, _type(entry), default, allowed, " ".join(meaning.partition("\n\n")[0].split()), choices, owner)


def _word(choice: Any) -> str:
    return json.dumps(choice) if isinstance(choice, bool) else str(choice)


def _parts(entry: Schema) -> Iterator[Schema]:
    """A schema, and those of its alternatives and items."""
    yield entry
    several = (*entry.get("anyOf", ()), *entry.get("oneOf", ()), *entry.get("prefixItems", ()))
    for inner in (*several, *([entry["items"]] if "items" in entry else ())):
        yield from _parts(inner)


def _type(entry: Schema) -> str:
    if several := entry.get("anyOf") or entry.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_type, several)))
    if "enum" in entry or "const" in entry:
        return "text"
    if entry.get("type") == "array":
        items = entry.get("prefixItems", ())
        return f"list of {f'{len(items)} ' if items else ''}{_type(items[0] if items else entry['items'])}s"
    return TYPES[entry.get("type", "object")]


def _bounds(parts: Iterable[Schema]) -> str:
    """Bounds such as `0 <= value < 1`, or of a name its letters and length."""
    found = {word: value for part in parts for word, value in part.items()}
    if "pattern" in found:
        return f"{NAMES}, at most {found['maxLength']}"
    low = [f"{found[word]} {sign} " for word, sign in (("minimum", "<="), ("exclusiveMinimum", "<")) if word in found]
    high = [f" {sign} {found[word]}" for word, sign in (("maximum", "<="), ("exclusiveMaximum", "<")) if word in found]
    return f"{''.join(low)}value{''.join(high)}" if low or high else ""


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
