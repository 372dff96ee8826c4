"""The JSON Schema of configuration files, for editors, and the list of all settings, for the documentation."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mnistexp.config import ExperimentConfig
from mnistexp.optimizers import OPTIMIZERS
from mnistexp.problems import sweepable_keys

__all__ = ["Setting", "config_schema", "settings_list"]

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}
NAMES = "letters, digits, '.', '_' and '-', a letter or digit first"


@dataclass(frozen=True)
class Setting:
    """One key of a configuration, in words.

    `key`: dotted; `<key>` in it stands for the dotted key of a swept setting. `default`: as YAML, empty if there is
    none. `allowed`: bounds or choices, empty if the type is enough. `choices`: the values to choose from.
    """

    key: str
    type: str
    default: str
    allowed: str
    meaning: str
    choices: tuple[str, ...] = ()


def config_schema() -> Schema:
    """The JSON Schema (2020-12) of a configuration file.

    Every key is optional: the command's own configuration has the defaults. So without an optimizer name the settings
    of any optimizer are valid. Conflicts between settings are left to `config validate`.
    """
    schema = ExperimentConfig.model_json_schema()
    definitions, sections = schema["$defs"], schema["properties"]
    definitions["Optimizer"] = _optimizer(definitions)
    sections["optimizer"] = {"$ref": "#/$defs/Optimizer", "default": sections["optimizer"]["default"]}
    values = {key: _list_of(_entry(schema, key)) for key in sweepable_keys()}
    definitions["Grid"] = _closed(values)
    definitions["Space"] = _closed({key: {"anyOf": [_ref("Range"), entry]} for key, entry in values.items()})
    sweep = definitions["SweepConfig"]["properties"]
    one_or_many = {"anyOf": [_ref("Grid"), {"type": "array", "items": _ref("Grid")}]}
    for key, kind in (("grid", one_or_many), ("zip", _ref("Grid")), ("random", _ref("Space"))):
        sweep[key] = {part: sweep[key][part] for part in ("title", "description", "default")} | kind
    _one_line(schema)
    return {"$schema": DIALECT, **schema, "title": "mnistexp configuration"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _list_of(entry: Schema) -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "description": entry["description"],
        "items": {part: value for part, value in entry.items() if part not in {"title", "default", "description"}},
    }


def _optimizer(definitions: Schema) -> Schema:
    """An optimizer's name, the settings of every optimizer, and for a named one only its own."""
    classes = {name: kind.__name__ for name, kind in OPTIMIZERS.items()}
    found: dict[str, list[Schema]] = {}
    for definition in classes.values():
        for key, entry in definitions[definition]["properties"].items():
            shared = {part: value for part, value in entry.items() if part != "default"}
            if shared not in found.setdefault(key, []):
                found[key].append(shared)
    found["name"] = [{"enum": list(classes), "title": "Name", "description": "Name of the optimizer."}]
    properties = {key: kinds[0] if len(kinds) == 1 else _any_of(kinds) for key, kinds in found.items()}
    own = [
        {"if": {"properties": {"name": {"const": name}}, "required": ["name"]}, "then": _ref(definition)}
        for name, definition in classes.items()
    ]
    return {
        "title": "Optimizer",
        "description": "The optimizer and its hyperparameters.",
        **_closed(properties),
        "allOf": own,
    }


def _any_of(kinds: list[Schema]) -> Schema:
    about = {part: kinds[0][part] for part in ("title", "description")}
    return about | {"anyOf": [{part: value for part, value in kind.items() if part not in about} for kind in kinds]}


def _entry(schema: Schema, key: str) -> Schema:
    """The schema of a dotted key."""
    found = schema
    for name in key.split("."):
        found = _section(schema, found) or found
        found = found["properties"][name]
    return found


def _section(schema: Schema, entry: Schema) -> Schema | None:
    """The definition that an entry refers to; None for a plain value."""
    for part in (entry, *entry.get("anyOf", ())):
        if "$ref" in part:
            definition: Schema = schema["$defs"][part["$ref"].rpartition("/")[2]]
            return definition
    return None


def _one_line(schema: Any) -> None:
    """Remove the line breaks of docstrings, which editors would show."""
    if isinstance(schema, dict):
        if isinstance(schema.get("description"), str):
            schema["description"] = " ".join(schema["description"].split())
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            _one_line(part)


def settings_list() -> list[Setting]:
    """Every key of a configuration in the order of `ExperimentConfig`, including sections that may be null."""
    schema = config_schema()
    return list(_settings(schema, schema, ""))


def _settings(schema: Schema, section: Schema, above: str) -> Iterator[Setting]:
    for name, entry in section["properties"].items():
        key = f"{above}{name}"
        inner = _section(schema, entry)
        if key == "optimizer":
            yield from _optimizer_settings(schema)
        elif inner is None or not above.startswith("sweep.") or name not in {"grid", "zip", "random"}:
            if inner is None or "anyOf" in entry:
                yield _setting(key, entry, (inner or {}).get("description", ""))
            if inner is not None:
                yield from _settings(schema, inner, f"{key}.")
        else:
            yield _setting(key, entry)
            if name == "random":
                yield from _settings(schema, schema["$defs"]["Range"], f"{key}.<key>.")


def _setting(key: str, entry: Schema, meaning: str = "") -> Setting:
    default = json.dumps(entry["default"]) if "default" in entry else ""
    choices = tuple(map(str, entry.get("enum", [entry["const"]] if "const" in entry else [])))
    return Setting(key, _type(entry), default, _allowed(entry), entry.get("description", meaning), choices)


def _optimizer_settings(schema: Schema) -> Iterator[Setting]:
    """Each setting of any optimizer, once, with the names of its optimizers."""
    own = {name: schema["$defs"][kind.__name__]["properties"] for name, kind in OPTIMIZERS.items()}
    shared = schema["$defs"]["Optimizer"]["properties"]
    for key in shared:
        owners = {name: _setting(key, entries[key]) for name, entries in own.items() if key in entries}
        found = _setting(f"optimizer.{key}", shared[key])
        default = _by_owner({name: setting.default for name, setting in owners.items()})
        allowed = _by_owner({name: setting.allowed for name, setting in owners.items()})
        if key == "name":
            default, allowed = json.dumps(schema["properties"]["optimizer"]["default"]["name"]), found.allowed
        elif len({setting.allowed for setting in owners.values()}) == 1:
            allowed = next(iter(owners.values())).allowed
        yield Setting(found.key, found.type, default, allowed, found.meaning, found.choices)


def _by_owner(texts: Mapping[str, str]) -> str:
    """Such as `0.9 (rmsprop), 0.95 (adadelta)`; without names if the text is the same for every optimizer."""
    if len(texts) == len(OPTIMIZERS) and len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    owners = {text: ", ".join(name for name, other in texts.items() if other == text) for text in texts.values()}
    return ", ".join(f"{text} ({names})" for text, names in owners.items())


def _type(entry: Schema) -> str:
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(map(_type, entry["anyOf"])))
    if "$ref" in entry:
        return "section"
    if entry.get("type") == "array":
        items = entry.get("prefixItems")
        return f"list of {len(items)} {_type(items[0])}s" if items else f"list of {_type(entry['items'])}s"
    return TYPES[entry.get("type", "string")]


def _allowed(entry: Schema) -> str:
    """Bounds or choices, such as `0 <= value < 1`."""
    if "anyOf" in entry:
        return ", ".join(dict.fromkeys(filter(None, map(_allowed, entry["anyOf"]))))
    if "prefixItems" in entry:
        return _allowed(entry["prefixItems"][0])
    if "enum" in entry or "const" in entry:
        return ", ".join(map(str, entry.get("enum", [entry.get("const")])))
    if "pattern" in entry:
        return f"{NAMES}, at most {entry['maxLength']}"
    low = next((f"{entry[k]} {s} " for k, s in (("minimum", "<="), ("exclusiveMinimum", "<")) if k in entry), "")
    high = next((f" {s} {entry[k]}" for k, s in (("maximum", "<="), ("exclusiveMaximum", "<")) if k in entry), "")
    return f"{low}value{high}" if low or high else ""
