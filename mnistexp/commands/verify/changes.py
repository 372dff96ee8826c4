"""Differences between the environment of a run and the current one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mnistexp.config import settings, yaml_source
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.problems import explain
from mnistexp.data import Dataset
from mnistexp.runs import files
from mnistexp.runs.environment import dirty_diff, environment
from mnistexp.runs.layout import DATA, PATCH
from mnistexp.runs.stored_runs import StoredRun

PLAIN = ("python", "implementation", "system", "machine", "cpu", "instructions", "git_commit", "training_code")
"""Keys of `environment.json` to compare; cores, memory and the kernel's release don't change results."""
KEYED = ("packages", "variables")
NOT_ANY_MORE = ("TF_CPP_MIN_LOG_LEVEL", "statsmodels")
"""A variable and a package that earlier versions recorded; neither changes results."""


@dataclass(frozen=True)
class Change:
    """One change; None stands for a missing value or one that was not recorded."""

    what: str
    then: Any
    now: Any


def known_settings(text: str, where: str) -> tuple[ExperimentConfig, list[Change]]:
    """The configuration in YAML text without settings unknown to this version, and these settings.

    Raises `ConfigError` with every other problem.
    """
    values = yaml_source.parse(text, where).values
    unknown, keys = [], []
    try:
        ExperimentConfig.model_validate(dict(values))
    except ValidationError as error:
        found = (item for item in error.errors(include_url=False) if item["type"] == "extra_forbidden")
        keys = [key for item in found for key, _ in explain(item)]
    for key in keys:
        *above, name = key.split(".")
        section = values
        for part in above:
            section = section[part]
        unknown.append(Change(f"setting {key}", section.pop(name), None))
    return settings.resolve([yaml_source.Source(where, values)]).config, unknown


def changed_data(stored: StoredRun, dataset: Dataset) -> list[Change]:
    """Differences between a run's `data.json` and the current digits and split. Raises `RunError`."""
    then, now = stored.read_json(DATA), dataset.document()
    with files.damage_named(stored.path / DATA):
        found = [Change(what, *hashes) for what, hashes in dataset.digits.differences(then).items()]
    other = [part for part in ("train", "validation", "test") if then.get(part) != now[part]]
    if other:
        found.append(Change("rows of the split", f"different {' and '.join(other)} rows", "those of config.yaml"))
    return found


def changed_surroundings(stored: StoredRun) -> Iterator[Change]:
    """Differences between `environment.json` and `code.patch` and this process. Raises `RunError`.

    Values that an older version did not record, such as `training_code`, are skipped.
    """
    then, now = stored.environment, environment()
    for key in PLAIN:
        if key in then and then[key] != now[key]:
            yield Change(key, then[key], now[key])
    for key in KEYED:
        before, after = (each if isinstance(each, Mapping) else {} for each in (then.get(key), now[key]))
        for name in sorted(before.keys() | after.keys(), key=str.lower):
            if name not in NOT_ANY_MORE and before.get(name) != after.get(name):
                yield Change(f"{key}.{name}", before.get(name), after.get(name))
    patch = stored.read_text(PATCH) if (stored.path / PATCH).exists() else ""
    if patch != dirty_diff():
        lengths = (f"{len(text.splitlines())} lines" if text else "none" for text in (patch, dirty_diff()))
        yield Change(PATCH, *lengths)
