"""Runs that were made separately, grouped by their settings: how a number varies over seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mnistexp.errors import BadInput, nearest, show
from mnistexp.runs.comparison import differing
from mnistexp.runs.conditions import MISSING, value_of
from mnistexp.runs.query import known_keys, none_has
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.runs.summary import Value, is_number
from mnistexp.statistics import Repeats, over_repeats

SETTINGS = "settings"
"""What `--by` takes for: all settings but the seed."""
NOT_COMPARED = ("seed", "name")
"""Settings that runs of one group may differ in; a name changes no number."""


@dataclass(frozen=True)
class Group:
    """Runs with the same settings, the newest first. `settings`: what tells them from the other groups' runs.

    `values`: of the metric, one a run, of repeated trainings their mean; `over_runs` sums them up.
    """

    settings: Mapping[str, Value]
    runs: tuple[StoredRun, ...]
    values: tuple[float, ...]
    over_runs: Repeats


@dataclass(frozen=True)
class Grouped:
    """The groups, the largest mean first. `keys`: the settings that differ between them.

    `without`: runs that lack the metric. `again`: runs whose seed and settings a newer one has, which did the same work
    and are not counted twice.
    """

    metric: str
    keys: tuple[str, ...]
    groups: tuple[Group, ...]
    without: int
    again: int


def group(runs: Sequence[StoredRun], by: Sequence[str] = (SETTINGS,), metric: str = "test_accuracy") -> Grouped:
    """Group runs, given the newest first, by the values of the keys `by`, or by all settings but the seed.

    Settings of a `best` are those that it chose: two that start alike and choose differently do different work.

    Mean, standard deviation (ddof 1) and 95% t interval of the metric over the runs of each group, see
    `statistics.over_repeats`. Raises `BadInput` for a key that no run has, or where none has the metric.
    """
    everything = tuple(by) == (SETTINGS,)
    if not everything:
        _check(by, runs)
    numbers = {run.path: value_of(run, metric) for run in runs}
    kept = [run for run in runs if is_number(numbers[run.path])]
    if not kept:
        raise none_has(metric, runs)
    distinct = {(run.command, run.settings.get("seed"), _settings(run)): run for run in reversed(kept)}.values()
    found: dict[object, list[StoredRun]] = {}
    for run in sorted(distinct, key=kept.index):
        key = (run.command, _settings(run)) if everything else tuple(_value(run, each) for each in by)
        found.setdefault(key, []).append(run)
    described = [{"command": own[0].command, **dict(_settings(own[0]))} for own in found.values()]
    keys = differing(described) if everything else list(by)
    groups = [_group(own, keys, [numbers[run.path] for run in own], metric) for own in found.values()]
    groups.sort(key=lambda each: -each.over_runs.mean)
    return Grouped(metric, tuple(keys), tuple(groups), len(runs) - len(kept), len(kept) - len(distinct))


def _group(runs: Sequence[StoredRun], keys: Iterable[str], values: Sequence[object], metric: str) -> Group:
    digits = runs[0].numbers.get("test_digits")
    step = 1 / digits if metric == "test_accuracy" and isinstance(digits, int) else 0.0
    floats = tuple(float(value) for value in values if is_number(value))
    return Group(
        {key: _value(runs[0], key) for key in keys}, tuple(runs), floats, over_repeats(floats, resolution=step)
    )


def _settings(run: StoredRun) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted((key, value) for key, value in run.settings_used.items() if key not in NOT_COMPARED))


def _value(run: StoredRun, key: str) -> Value:
    found = value_of(run, key)
    return None if found is MISSING else found if isinstance(found, str | int | float | bool) else str(found)


def _check(by: Sequence[str], runs: Sequence[StoredRun]) -> None:
    known = [SETTINGS, *known_keys(runs)]
    for key in by:
        if key not in known or key == SETTINGS:
            allowed = "settings alone, or keys of settings with commas between"
            raise BadInput(f"--by: unknown key {show(key)}, allowed: {allowed}{nearest(key, known)}")
