"""From files, `--set` and flags to one `ExperimentConfig`, with every problem reported at once.

Layers go from weak to strong: the packaged default, a file, `--set`, dedicated flags. The numbers of an optimizer
belong to it: once a stronger layer names another one, they are dropped.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mnistexp.config import yaml_source
from mnistexp.config.yaml_source import Dumper, Source
from mnistexp.errors import ConfigError, Problem, collecting, nearest, show

if TYPE_CHECKING:  # pydantic takes 0.2 s to load, which --help and completion can do without
    from mnistexp.config.models import ExperimentConfig


WHOLE = {"sweep.grid", "sweep.zip", "sweep.random"}
"""Keys whose value a stronger layer replaces as a whole: their keys are settings to try, not settings."""


Places = dict[str, tuple[str, int | None]]
"""Dotted key to its origin: a file or flag, and the line."""


@dataclass(frozen=True)
class Settings:
    """A valid configuration, and the origin of each dotted key."""

    config: "ExperimentConfig"
    origins: dict[str, str]

    def placed(self, error: ConfigError) -> ConfigError:
        """The error of a part of this configuration, such as a trial, with the origins of its keys."""

        def origin(key: str) -> str | None:
            known = (above for above in self.origins if f"{key}.".startswith(f"{above}."))
            return self.origins.get(max(known, key=len, default=""))

        return ConfigError([replace(each, where=origin(each.key) or each.where) for each in error.problems])


def packaged_names() -> list[str]:
    """Names of the packaged configurations, such as `train` or `sweep-dropout`."""
    folder = files(__package__) / "defaults"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def packaged(name: str) -> str:
    """The text of a packaged configuration. Raises `ConfigError` for an unknown name."""
    names = packaged_names()
    if name not in names:
        message = (
            f"no such file or packaged configuration, allowed: a path, or {', '.join(names)}{nearest(name, names)}"
        )
        raise ConfigError([Problem(name, "", message)])
    return (files(__package__) / "defaults" / f"{name}.yaml").read_text(encoding="utf-8")


def read_file(reference: str) -> Source:
    """The settings in a YAML file, or in the packaged configuration of that name."""
    path = Path(reference)
    if is_file(reference) or len(path.parts) > 1:
        return yaml_source.read(path)
    return yaml_source.parse(packaged(reference), f"{reference} (packaged)")


def is_file(reference: str) -> bool:
    """Whether it is a YAML file by its name, or any file that there is."""
    # Path.is_file raises for some names that can't be.
    return Path(reference).suffix in {".yaml", ".yml"} or os.path.isfile(reference)  # noqa: PTH113


def assignments(texts: Sequence[str]) -> list[Source]:
    """Each `key=value` as a layer; the key is dotted, or its unique last part; the value is YAML.

    Raises `ConfigError` with all that are malformed or set a key twice.
    """
    if not texts:
        return []
    from mnistexp.config.catalogue import dotted_keys, full_key

    known = dotted_keys()
    given: dict[str, str] = {}
    layers: dict[str, Source] = {}
    problems = []
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        key = full_key(name, known)
        if not equals or not all(key.split(".")):
            hint = f"; write `{text.replace(':', '=', 1).replace(' ', '')}`" if ":" in text and not equals else ""
            problems.append(Problem("--set", "", f"{show(text)} is not an assignment, allowed: key=value{hint}"))
            continue
        if key in given:
            message = f"is given twice, as {show(given[key])} and as {show(value)}, allowed: once"
            problems.append(Problem("--set", key, message))
            continue
        given[key] = value
        with collecting(problems):
            _add(layers, key, flag(f"--set {name}", key, yaml_source.parse_value(value, f"--set {name}")))
    if problems:
        raise ConfigError(problems)
    return list(layers.values())


def _add(layers: dict[str, Source], key: str, layer: Source) -> None:
    """Add a layer under its key; layers below one key of `WHOLE` are merged, or the last would replace the others."""
    whole = _whole(key)
    if whole is None:
        layers[key] = layer
    elif f"{whole}." in layers:
        section, name = whole.split(".")
        layers[f"{whole}."].values[section][name] |= layer.values[section][name]
    else:
        layers[f"{whole}."] = layer


def _whole(key: str) -> str | None:
    """The key of `WHOLE` that a key belongs to."""
    return next((name for name in WHOLE if key.startswith(f"{name}.")), None)


def _nest(key: str, value: Any) -> dict[str, Any]:
    """`a.b`, 1 to `{"a": {"b": 1}}`; the part after a key of `WHOLE` stays one name."""
    whole = _whole(key)
    parts = [*whole.split("."), key[len(whole) + 1 :]] if whole else key.split(".")
    for part in reversed(parts):
        value = {part: value}
    return value  # type: ignore[no-any-return]


def flag(name: str, key: str, value: Any) -> Source:
    """A flag such as `--epochs` as a layer that sets one dotted key."""
    return Source(name, _nest(key, value))


def resolve(layers: Sequence[Source]) -> Settings:
    """One configuration from layers, weakest first. Raises `ConfigError` with every problem of the result."""
    from mnistexp.config.problems import misshapen

    values: dict[str, Any] = {}
    places: Places = {}
    problems = []
    for layer, kept in zip(layers, _without_other_optimizers(layers), strict=True):
        wrong = dict(misshapen(layer.values))
        problems += [Problem(layer.where, key, message, layer.lines.get(key)) for key, message in wrong.items()]
        _merge(values, kept.values, "", kept, places, wrong)
    with collecting(problems):
        config = validate(values, places)
    if problems:
        raise ConfigError(problems)
    origins = dict.fromkeys(dotted(config.model_dump()), "default")
    origins |= {key: f"{where}:{line}" if line else where for key, (where, line) in places.items() if key in origins}
    return Settings(config, origins)


def _without_other_optimizers(layers: Sequence[Source]) -> list[Source]:
    """The layers without the optimizer sections up to the last one that names another optimizer than the final one.

    Settings of a stronger layer that names no optimizer, such as `--set optimizer.learning_rate=0.1`, apply to any.
    """
    sections = (layer.values.get("optimizer") for layer in layers)
    named = (section.get("name") if isinstance(section, dict) else None for section in sections)
    names = [None if isinstance(name, dict) else name for name in named]  # a section is no name
    final = next((name for name in reversed(names) if name is not None), None)
    others = [index for index, name in enumerate(names) if name not in (None, final)]
    weaker = range(others[-1] + 1 if others else 0)
    return [
        replace(layer, values={key: value for key, value in layer.values.items() if key != "optimizer"})
        if index in weaker
        else layer
        for index, layer in enumerate(layers)
    ]


def _merge(
    into: dict[str, Any], values: Mapping[str, Any], above: str, layer: Source, places: Places, wrong: Collection[str]
) -> None:
    """Put the values of a layer over those of weaker ones, but for the keys that are `wrong`."""
    for name, value in values.items():
        key = f"{above}.{name}" if above else str(name)
        if key in wrong:
            continue
        places[key] = (layer.where, layer.lines.get(key))
        if isinstance(value, dict) and key not in WHOLE:
            if not isinstance(into.get(name), dict):
                into[name] = {}
            _merge(into[name], value, key, layer, places, wrong)
        else:
            into[name] = deepcopy(value)
            for below in [place for place in places if place.startswith(f"{key}.")]:  # of a weaker layer's value
                del places[below]
            places |= {k: (layer.where, line) for k, line in layer.lines.items() if k.startswith(f"{key}.")}


def dotted(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings by dotted key; what a key of `WHOLE` holds stays together."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{above}.{name}" if above else name
        found |= dotted(value, key) if isinstance(value, dict) and value and key not in WHOLE else {key: value}
    return found


def override(config: "ExperimentConfig", changes: Mapping[str, Any], where: str = "override") -> "ExperimentConfig":
    """The configuration with some dotted keys changed. Raises `ConfigError` with every problem of the result."""
    base = Source("configuration", config.model_dump())
    return resolve([base, *(Source(where, _nest(key, value)) for key, value in changes.items())]).config


def to_yaml(config: "ExperimentConfig", header: str = "") -> str:
    """YAML that reads back as the same configuration; `header` goes before it as comment lines."""
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    values = config.model_dump(mode="json")
    return comment + yaml.dump(values, Dumper=Dumper, sort_keys=False, default_flow_style=None, width=100)


def validate(values: Mapping[str, Any], places: Places | None = None) -> "ExperimentConfig":
    """Nested plain values as a configuration. Raises `ConfigError` with every problem and its place."""
    from pydantic import ValidationError

    from mnistexp.config.models import ExperimentConfig
    from mnistexp.config.problems import explain

    try:
        return ExperimentConfig.model_validate(dict(values))
    except ValidationError as error:
        problems = []
        for key, message in dict.fromkeys(pair for item in error.errors(include_url=False) for pair in explain(item)):
            where, line = _nearest_place(key, places or {})
            problems.append(Problem(where, key, message, line))
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0)) from None


def _nearest_place(key: str, places: Places) -> tuple[str, int | None]:
    """The origin of the key, or else of its section or list."""
    while key:
        if key in places:
            return places[key]
        key = key.rpartition(".")[0]
    return "configuration", None
