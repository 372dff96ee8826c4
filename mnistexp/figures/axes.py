"""The axis of each setting that a sweep varied: one level per value, or bins on a linear or logarithmic scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config import shown
from mnistexp.runs.results import TrialResult
from mnistexp.runs.summary import is_number

MANY = 10
"""With more different numbers than this, the axis has bins instead of one level per value."""
BINS = 6


@dataclass(frozen=True, eq=False)
class Parameter:
    """One swept setting and the position of each trial on its axis, whose levels or bins are centred on 0, 1, ...

    `level`: int64 (trials,), the nearest level or bin, -1 where a trial lacks the setting. `place`: float64
    (trials,), the exact place, NaN where missing. `ticks`: places and their labels: of each level, or of the edges of
    the bins where `binned`. `ordered`: the levels are numbers.
    """

    name: str
    levels: int
    level: NDArray[np.int64]
    place: NDArray[np.float64]
    ticks: tuple[tuple[float, str], ...]
    binned: bool = False
    ordered: bool = True

    def only(self, trials: NDArray[np.bool_]) -> "Parameter":
        """The axis with just the levels of these trials, bool (trials,); bins stay as they are."""
        if self.binned:
            return self
        kept = sorted({*self.level[trials & (self.level >= 0)].tolist()})
        places = {old: new for new, old in enumerate(kept)}
        level = np.array([places.get(old, -1) if among else -1 for old, among in zip(self.level, trials, strict=True)])
        ticks = tuple((float(new), self.ticks[old][1]) for new, old in enumerate(kept))
        place = np.where(level < 0, np.nan, level)
        return Parameter(self.name, len(kept), level.astype(np.int64), place, ticks, ordered=self.ordered)

    def level_name(self, level: int) -> str:
        """A level or bin in words: `beta_1 0.5`, `beta_1 0.5 to 0.6`; empty for an axis without levels."""
        labels = [label for _, label in self.ticks[level : level + 1 + self.binned]]
        return f"{self.name} {' to '.join(labels)}" if labels else ""


def swept_parameters(trials: Sequence[TrialResult]) -> list[Parameter]:
    """The settings that differ between trials, or all settings if none does, in the order of the grid."""
    columns: dict[str, list[Any]] = {key: [] for trial in trials for key in trial.params}
    for key, values in columns.items():
        values.extend(trial.params.get(key, _Missing) for trial in trials)
    varied = {key: values for key, values in columns.items() if len({_identity(value) for value in values}) > 1}
    names = short_names(columns)
    return [_parameter(names[key], values) for key, values in (varied or columns).items()]


def name_of(trial: TrialResult, trials: Sequence[TrialResult]) -> str:
    """A trial by the settings in which it differs from others, such as `learning rate 0.01, beta_1 0.5`."""
    names = short_names({key: None for other in trials for key in other.params})
    differ = {
        key
        for key in trial.params
        if len({_identity(other.params.get(key, _Missing)) for other in trials}) > 1 or len(trials) == 1
    }
    parts = [f"{names[key]} {shown.value(value)}" for key, value in trial.params.items() if key in differ]
    return ", ".join(parts) or f"trial {trial.index}"


def short_names(keys: dict[str, Any]) -> dict[str, str]:
    """Each dotted key's last part in words if it is unique, else the whole key; `optimizer` for `optimizer.name`."""
    last = [shown.name(key) for key in keys]
    return {key: short if last.count(short) == 1 else key for key, short in zip(keys, last, strict=True)}


class _Missing:
    """Stands for the value of a setting that a trial doesn't have."""


def _identity(value: Any) -> tuple[str, str]:
    """Equal for values of the same level: 1 and 1.0 are the same, 1 and True are not."""
    return ("number", repr(float(value))) if is_number(value) else (type(value).__name__, str(value))


def _parameter(name: str, values: Sequence[Any]) -> Parameter:
    present = {_identity(value): value for value in values if value is not _Missing}
    ordered = all(is_number(value) for value in present.values())
    if ordered and len(present) > MANY:
        return _binned(name, values)
    levels = sorted(present, key=lambda level: present[level]) if ordered else list(present)
    level = np.array([-1 if value is _Missing else levels.index(_identity(value)) for value in values], dtype=np.int64)
    ticks = tuple((float(number), shown.value(present[identity])) for number, identity in enumerate(levels))
    return Parameter(name, len(levels), level, np.where(level < 0, np.nan, level), ticks, ordered=ordered)


def _binned(name: str, values: Sequence[Any]) -> Parameter:
    numbers = np.array([np.nan if value is _Missing else float(value) for value in values])
    low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    share, edges = (numbers - low) / (high - low), np.linspace(low, high, BINS + 1)
    if low > 0:
        logarithmic = np.log(numbers / low) / np.log(high / low)
        if abs(np.nanmedian(logarithmic) - 0.5) < abs(np.nanmedian(share) - 0.5):  # the more even of the two
            share, edges = logarithmic, np.geomspace(low, high, BINS + 1)
    place = share * BINS - 0.5
    level = np.where(np.isnan(place), -1, np.clip(np.nan_to_num(place + 0.5), 0, BINS - 1)).astype(np.int64)
    ticks = tuple((edge - 0.5, f"{value:.2g}") for edge, value in enumerate(edges))
    return Parameter(name, BINS, level, place, ticks, binned=True)
