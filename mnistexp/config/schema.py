"""The JSON Schema of configuration files, for editors."""

from typing import Any

from mnistexp.config.catalogue import sweepable_keys
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.optimizers import OPTIMIZERS

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


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
    """The schema of a key to sweep."""
    section, _, name = key.partition(".")
    found: Schema = schema["$defs"][schema["properties"][section]["$ref"].rpartition("/")[2]]["properties"][name]
    return found


def _one_line(schema: Any) -> None:
    """Remove the line breaks of docstrings, which editors would show."""
    if isinstance(schema, dict):
        if isinstance(schema.get("description"), str):
            schema["description"] = " ".join(schema["description"].split())
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            _one_line(part)
