"""What listings, filters and comparisons need of a run: its annotations and its flat settings and numbers.

Flat means dotted keys to text, numbers, true, false or None; a list, or an empty mapping, is its JSON as text.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from mnistexp.config import yaml_source
from mnistexp.errors import MnistexpError
from mnistexp.runs import files
from mnistexp.runs.annotations import Annotations, read_annotations
from mnistexp.runs.layout import CONFIG, METRICS

T = TypeVar("T")
Value = str | int | float | bool | None
TEXTS = ("data.source", "data.cache_dir", "sweep.scheduler")
"""The settings that may be any text."""
# Longer texts are sentences, which tables and filters don't need.
LONGEST_TEXT = 100
MOST_VALUES = 2_000


@dataclass(frozen=True)
class Summary:
    """The summary of a run, as the index stores it; see `StoredRun`. `settings` and `numbers`: flat, as JSON."""

    tags: tuple[str, ...]
    note: str
    score: float | None
    unread: tuple[str, ...]
    numbers: bytes
    settings: bytes


def summarize(folder: Path, damage: str | None) -> Summary:
    """Read the summary. What can't be read is missing, and `unread` says why, `damage` of the record first."""
    unread = [damage] if damage else []

    def attempt(reading: Callable[[], T]) -> T | None:
        try:
            return reading()
        except MnistexpError as error:
            unread.append(str(error))
            return None

    metrics = attempt(lambda: files.read_json(folder / METRICS)) if (folder / METRICS).exists() else None
    annotations = attempt(lambda: read_annotations(folder)) or Annotations()
    config = attempt(lambda: yaml_source.parse_fast(files.read_text(folder / CONFIG), str(folder / CONFIG)))
    numbers = _comparable(metrics or {})
    score = number_over_repeats(numbers, "test_accuracy" if "test_accuracy" in numbers else "best_score")
    number = float(score) if isinstance(score, int | float) else None
    return Summary(
        annotations.tags, annotations.note, number, tuple(unread), compact(numbers), compact(flat(config or {}))
    )


def number_over_repeats(numbers: Mapping[str, Value], key: str) -> Value:
    """The value of a key over all trainings of a run: their mean, or the value of the mean curves; None if missing."""
    return numbers.get("repeats.mean" if key == "test_accuracy" else f"repeats.{key}", numbers.get(key))


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def flat(values: Mapping[str, Any]) -> dict[str, Value]:
    """Nested values as flat ones, at most `MOST_VALUES`."""
    found: dict[str, Value] = {}
    for key, value in islice(_leaves(values, ""), MOST_VALUES):
        found.setdefault(key, value)
    return found


def nested(settings: Mapping[str, Value]) -> dict[str, Any]:
    """Flat settings with lists in place of the JSON text that `flat` makes of them, for documents."""
    return {
        key: json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") and key not in TEXTS else value
        for key, value in settings.items()
    }


def _leaves(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, Value]]:
    for name, value in values.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{key}.")
        elif isinstance(value, list | Mapping):
            yield key, json.dumps(files.plain(value), ensure_ascii=False)
        else:
            yield key, files.plain(value)


def _comparable(document: Mapping[str, Any]) -> dict[str, Value]:
    """The comparable values of `metrics.json`, without lists, sentences and nulls."""
    found = flat({key: value for key, value in document.items() if key != "schema_version"})
    return {key: value for key, value in found.items() if value is not None and not _is_prose(key, value)}


def _is_prose(key: str, value: Value) -> bool:
    if not isinstance(value, str):
        return False
    return len(value) > LONGEST_TEXT or value[:1] in ("[", "{") or key.rpartition(".")[2] == "sentence"


def compact(value: Any) -> bytes:
    """Standard JSON in as few bytes as possible."""
    # Plain ASCII: no tab, line feed or half of a surrogate pair can be in it.
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
