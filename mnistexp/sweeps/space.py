"""The search space of a sweep: grid, paired values and random samples, checked and resolved to trials."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from mnistexp.config.catalogue import ABBREVIATIONS, full_key, may_be_swept, sweepable_keys
from mnistexp.config.grids import Range, Value
from mnistexp.config.models import ExperimentConfig, ModelConfig, SweepConfig
from mnistexp.config.optimizers import OPTIMIZERS
from mnistexp.config.settings import override
from mnistexp.errors import BadInput, ConfigError, Problem, nearest

LARGEST = 100_000
"""Points of one sweep."""

Params = dict[str, Value]


@dataclass(frozen=True)
class Point:
    """Values of the swept keys, and the key of the configuration that each value comes from."""

    params: Params
    places: Mapping[str, str]

    def __or__(self, other: "Point") -> "Point":
        return Point(self.params | other.params, {**self.places, **other.places})


@dataclass(frozen=True)
class Trial:
    """One row of a sweep: `params` as in the resolved configuration, and the configuration to train.

    The two differ if the sweep repeats the notebook's bug. `repeat_from` is the first repeat number for deriving its
    seeds: 0, unless each row has its own seed.
    """

    index: int
    params: Params
    config: ExperimentConfig
    repeat_from: int = 0


def default_grid(names: Sequence[str]) -> tuple[dict[str, tuple[Value, ...]], ...]:
    """The default grid of each named optimizer, in order; `all` stands for every optimizer.

    Names may have any case, and several may be separated by commas. Raises `BadInput` for an unknown name.
    """
    given = [name.strip().lower() for listed in names for name in listed.split(",")]
    chosen = list(OPTIMIZERS) if "all" in given else list(dict.fromkeys(given))
    for name in chosen:
        if name not in OPTIMIZERS:
            allowed = ["all", *OPTIMIZERS]
            raise BadInput(f"--opt: {name!r}, allowed: {', '.join(allowed)}{nearest(name, allowed)}")
    return tuple(
        {"optimizer.name": (name,)} | {f"optimizer.{key}": values for key, values in OPTIMIZERS[name].grid.items()}
        for name in chosen
    )


def swept_key(name: str) -> str:
    """The dotted key of a short name such as `learning_rate` or `epochs`, as `--set` accepts it.

    Raises `BadInput` for a name that is not that of a setting to sweep.
    """
    keys = sweepable_keys()
    found = full_key(ABBREVIATIONS[name] if name == "optimizer" else name, keys)
    if found not in keys:
        names = [key.rpartition(".")[2] for key in keys]
        hint = nearest(ABBREVIATIONS.get(name.lower(), name), [*names, *keys])
        raise BadInput(f"{name!r} can't be swept, allowed: {', '.join(keys)}{hint}")
    return found


def base_points(config: ExperimentConfig) -> list[Point]:
    """Every combination of a grid point and a row of paired values, in the order of scikit-learn's `ParameterGrid`.

    Raises `ConfigError` with every key that can't be swept, is swept twice, or makes too many points.
    """
    sweep = config.search
    raise_problems(_misplaced(config))
    rows = [
        Point(dict(zip(sweep.zip, row, strict=True)), {key: f"sweep.zip.{key}" for key in sweep.zip})
        for row in zip(*sweep.zip.values(), strict=True)
    ] or [Point({}, {})]
    points = []
    for where, grid in _grids(sweep):
        places = {key: f"{where}.{key}" for key in grid}
        keys = sorted(grid)
        # An optimizer's name comes first, because it resets the section.
        order = sorted(keys, key=lambda key: not key.endswith(".name"))
        for values in product(*(grid[key] for key in keys)):
            params = dict(zip(keys, values, strict=True))
            points += [Point({key: params[key] for key in order}, places) | row for row in rows]
    return points


def count_points(config: ExperimentConfig) -> int:
    """The number of points of a sweep, `samples` for each base point; those in several grids count several times."""
    sweep = config.search
    points = sum(math.prod(len(set(values)) for values in grid.values()) for _, grid in _grids(sweep))
    return points * max(map(len, sweep.zip.values()), default=1) * (sweep.samples if sweep.random else 1)


def _grids(sweep: SweepConfig) -> list[tuple[str, dict[str, tuple[Value, ...]]]]:
    """Each grid and its key; without any, one empty grid."""
    if isinstance(sweep.grid, dict):
        return [("sweep.grid", sweep.grid)]
    return [(f"sweep.grid.{number}", grid) for number, grid in enumerate(sweep.grid)] or [("sweep.grid", {})]


def _misplaced(config: ExperimentConfig) -> Iterator[tuple[str, str]]:
    """Dotted key and message of keys that can't be swept, with any values."""
    sweep = config.search
    grids = _grids(sweep)
    sections: list[tuple[str, Mapping[str, Any]]] = [*grids, ("sweep.zip", sweep.zip), ("sweep.random", sweep.random)]
    for where, section in sections:
        for key in section:
            earlier = next(place for place, other in sections if key in other)
            if not may_be_swept(key):
                yield f"{where}.{key}", f"can't be swept, allowed: keys of model, optimizer and training{_hint(key)}"
            elif earlier != where and where in {"sweep.zip", "sweep.random"}:
                yield f"{where}.{key}", f"is swept twice, also by {earlier}"
            elif key == "training.epochs" and sweep.strategy == "halving":
                yield f"{where}.{key}", "can't be swept by halving, which decides the number of epochs itself"
    if sweep.strategy == "tpe" and not sweep.random:
        yield "sweep.random", "is empty, allowed with tpe: ranges or lists to sample from"
    if sweep.as_submitted and sweep.strategy != "product":
        yield "sweep.as_submitted", f"is not supported with strategy {sweep.strategy}, allowed: product"
    if (points := count_points(config)) > LARGEST:
        yield "sweep", f"makes {points:,} points, allowed: at most {LARGEST:,}"


def _hint(key: str) -> str:
    keys = sweepable_keys()
    same_name = [known for known in keys if known.rpartition(".")[2] == key.rpartition(".")[2]]
    return f"; did you mean {same_name[0]!r}?" if same_name else nearest(key, keys)


def draws(space: Mapping[str, Range | tuple[Value, ...]], samples: int, seed: int) -> list[Point]:
    """Random samples of a space; each key has its own stream, so more samples or keys don't change its values."""
    if not space:
        return [Point({}, {})]
    columns = {}
    for key, values in space.items():
        entropy = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
        generator = np.random.default_rng([seed, entropy])
        columns[key] = [_draw(values, generator) for _ in range(samples)]
    places = {key: f"sweep.random.{key}" for key in space}
    return [Point({key: columns[key][number] for key in space}, places) for number in range(samples)]


def _draw(values: Range | tuple[Value, ...], generator: np.random.Generator) -> Value:
    if not isinstance(values, Range):
        return values[int(generator.integers(len(values)))]
    if values.integer and not values.log:
        return int(generator.integers(int(values.low), int(values.high), endpoint=True))
    share = generator.random()
    if values.log:
        drawn = values.low * math.exp(share * math.log(values.high / values.low))
    else:
        drawn = values.low + share * (values.high - values.low)
    drawn = min(max(drawn, values.low), values.high)
    return round(drawn) if values.integer else drawn


def resolved(config: ExperimentConfig, points: Sequence[Point], first: int = 0) -> list[Trial]:
    """The points as trials numbered from `first`; of points with equal configurations only the first.

    Raises `ConfigError` with every invalid value, once each.
    """
    base = config.model_copy(update={"sweep": None, "name": None})
    problems: dict[tuple[str, str], None] = {}
    found: dict[ExperimentConfig, Params] = {}
    for point in points:
        try:
            settings = override(base, point.params)
        except ConfigError as error:
            problems |= {(_place(point, item.key), item.message): None for item in error.problems}
        else:
            found.setdefault(settings, {key: _value(settings, key) for key in point.params})
    raise_problems(problems)
    trials = [Trial(first + number, params, settings) for number, (settings, params) in enumerate(found.items())]
    return [_as_submitted(trial, base) for trial in trials] if config.search.as_submitted else trials


def _place(point: Point, key: str) -> str:
    """The origin of the value that causes a problem with `key`: a section's problem is that of a key in it."""
    for swept, place in point.places.items():
        if swept == key or swept.startswith(f"{key}.") or key.startswith(f"{swept}."):
            return place
    return key


def _value(config: ExperimentConfig, key: str) -> Value:
    found: Any = config
    for name in key.split("."):
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]


def _as_submitted(trial: Trial, base: ExperimentConfig) -> Trial:
    """The training of a row in the notebook: `create_model` ignored its arguments, and each row had another seed."""
    optimizer = trial.config.optimizer
    default = {"model": ModelConfig(), "optimizer": type(optimizer)(name=optimizer.name)}
    return Trial(trial.index, trial.params, base.model_copy(update=default), trial.index * base.repeats)


def raise_problems(problems: Any) -> None:
    """Raise `ConfigError` with the problems, pairs of dotted key and message, if there are any."""
    found = [Problem("configuration", key, message) for key, message in problems]
    if found:
        raise ConfigError(found)
