"""The sweeps that `best` chooses from: those of its configuration, and the finished ones in a runs folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnistexp.config.grids import Grid
from mnistexp.config.models import DataConfig, ExperimentConfig, SweepConfig
from mnistexp.data import Dataset
from mnistexp.errors import BadInput, ConfigError, RunError
from mnistexp.runs import references
from mnistexp.runs.layout import DATA, SWEEP, Kind, is_sweep
from mnistexp.runs.results import SweepResult
from mnistexp.runs.stored_runs import StoredRun, list_runs
from mnistexp.sweeps.space import raise_problems
from mnistexp.sweeps.sweep_files import read_sweep

DROPOUT = "dropout"


@dataclass(frozen=True)
class FamilySweep:
    """One sweep of the choice: an optimizer's family, or `dropout`, with the command and the settings that run it."""

    family: str
    command: Kind
    config: ExperimentConfig


@dataclass(frozen=True, eq=False)
class Swept:
    """A finished sweep; `families` are those of its trials."""

    run: str
    command: str
    config: ExperimentConfig
    families: tuple[str, ...]
    result: SweepResult


@dataclass(frozen=True)
class LeftAside:
    """A finished sweep of the runs folder that is not used, and `why`."""

    run: str
    why: str


def family_sweeps(config: ExperimentConfig) -> list[FamilySweep]:
    """The sweeps that `config.sweep.grid` lists: one for each optimizer named in it, and one for the dropout rate.

    Raises `ConfigError` with every grid and setting that `best` doesn't support.
    """
    problems = list(_misfits(config))
    parts: dict[str, FamilySweep] = {}
    for number, grid in enumerate(config.sweep.grids if config.sweep else ()):
        families = _families(grid, config.optimizer.name)
        if not families:
            message = f"sweeps {', '.join(grid)}, allowed: keys of optimizer, or model.dropout alone"
            problems.append((f"sweep.grid.{number}", message))
        for family in families:
            if family in parts:
                problems.append((f"sweep.grid.{number}", f"sweeps {family} again, allowed: one grid for each"))
            parts[family] = _part(config, family, grid)
    if not problems and not parts:
        problems.append(("sweep.grid", "is empty, allowed: a grid for each optimizer, and one of model.dropout"))
    raise_problems(problems)
    return list(parts.values())


def _misfits(config: ExperimentConfig) -> Iterator[tuple[str, str]]:
    """Dotted key and message of each setting that best doesn't support."""
    if config.sweep is None:
        yield "sweep", "is missing, allowed: a section with the grids to choose from"
        return
    for key in ("zip", "random", "strategy", "as_submitted", "max_seconds"):
        if getattr(config.sweep, key) != getattr(SweepConfig(), key):
            yield f"sweep.{key}", "is not supported by best, which needs grids trained for all epochs"
    if config.training.validation_fraction:
        yield "training.validation_fraction", "is above 0, allowed: 0 for the final model"
    if config.training.share != 1:
        yield "training.share", "is below 1, allowed: 1 for the final model"


def _part(config: ExperimentConfig, family: str, grid: Grid) -> FamilySweep:
    sweep = config.search
    own = dict(grid) if family == DROPOUT else {**grid, "optimizer.name": (family,)}
    changed = config.model_copy(update={"sweep": sweep.model_copy(update={"grid": own}), "name": None, "repeats": 1})
    return FamilySweep(family, kind_of(changed), changed)


def _families(grid: Mapping[str, Any], optimizer: str) -> tuple[str, ...]:
    """The families of a grid's trials: optimizers, or dropout; empty for a grid that best doesn't support."""
    if grid and all(key.startswith("optimizer.") for key in grid):
        return tuple(str(name) for name in grid.get("optimizer.name", (optimizer,)))
    if "model.dropout" in grid and set(grid) <= {"model.dropout", "optimizer.name"}:
        return (DROPOUT,)
    return ()


def families_of(config: ExperimentConfig) -> tuple[str, ...]:
    """The families of a sweep's trials; empty if some of its keys belong to no family."""
    sweep = config.search
    others = dict.fromkeys((*sweep.zip, *sweep.random), ())
    found = [_families({**grid, **others}, config.optimizer.name) for grid in sweep.grids or ({},)]
    return tuple(dict.fromkeys(family for families in found for family in families)) if all(found) else ()


def kind_of(config: ExperimentConfig) -> Kind:
    """The command that a sweep of these settings belongs to."""
    return Kind.SWEEP_DROPOUT if families_of(config) == (DROPOUT,) else Kind.SWEEP_OPTIMIZER


def find_sweeps(asked: Dataset, runs_dir: Path) -> tuple[list[Swept], list[LeftAside]]:
    """The finished sweeps in `runs_dir` that are comparable with one of `asked`, oldest first, and the others.

    Comparable means the same digits, split, folds, epochs, repeats, batch size, network and seed; grids may differ.
    Raises RunError.
    """
    found, others = [], []
    for info in list_runs(runs_dir):
        if info.status != "done" or not (info.path / SWEEP).exists():
            continue
        try:
            why = _unusable(info.config) or _told(differences(info, asked))
            if not why:
                found.append(_read(info))
        except (ConfigError, RunError, KeyError):
            why = "damaged or of another version"
        if why:
            others.append(LeftAside(info.id, why))
    return found, others


def read_swept(reference: str, asked: Dataset, runs_dir: Path) -> Swept:
    """A sweep named by the user. Its epochs and repeats may differ from those of `asked`.

    Raises `BadInput` with the reason if it can't be used, and `RunError` if it is damaged.
    """
    info = references.one(runs_dir, reference)
    if info.status != "done" or not (info.path / SWEEP).exists():
        what = info.status if is_sweep(info.command) else f"a {info.command} run"
        raise BadInput(f"--sweep {info.id} is {what}, allowed: a finished sweep")
    if why := _unusable(info.config):
        raise BadInput(f"--sweep {info.id} can't be used: it {why}")
    differ = differences(info, asked)
    differ.pop("training.epochs", None)
    differ.pop("repeats", None)
    if differ:
        raise BadInput(f"--sweep {info.id} is not comparable: {_told(differ)}")
    return _read(info)


def _told(differ: Mapping[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{key} is {theirs} there and {ours} here" for key, (theirs, ours) in differ.items())


def _unusable(config: ExperimentConfig) -> str:
    """Why a sweep can't be used; "" if all its trials were trained for all epochs with their own settings."""
    sweep = config.search
    if sweep.as_submitted:
        return "repeats the notebook's bug, so its rows differ only in the seed"
    if sweep.strategy == "halving":
        return "stopped most trials early"
    return "" if families_of(config) else "sweeps other keys than those of optimizer, or model.dropout alone"


def _read(info: StoredRun) -> Swept:
    return Swept(info.id, info.command, info.config, families_of(info.config), read_sweep(info.path))


def differences(sweep: StoredRun, asked: Dataset) -> dict[str, tuple[Any, Any]]:
    """The differences between a stored sweep and one of `asked` by dotted key: the former's value and the latter's.

    Swept settings, and those that don't affect results, are ignored. Raises `RunError`.
    """
    about, digits, split = sweep.read_json(DATA), asked.digits, asked.split
    found = {what: (theirs[:12], ours[:12]) for what, (theirs, ours) in digits.differences(about).items()}
    if not found and (about["train"], about["test"]) != (split.train.tolist(), split.test.tolist()):
        found["split"] = (f"that of {_data_words(sweep.config.data)}", f"another, of {_data_words(asked.config.data)}")
    theirs, ours = _compared(sweep.config), _compared(asked.config)
    return found | {key: (value, ours[key]) for key, value in theirs.items() if value != ours[key]}


def _compared(config: ExperimentConfig) -> dict[str, Any]:
    sweep, training = config.search, config.training
    return {
        "seed": config.seed,
        "repeats": config.repeats,
        **{f"model.{key}": value for key, value in config.model.model_dump(exclude={"dropout"}).items()},
        **{f"training.{key}": getattr(training, key) for key in ("epochs", "batch_size", "shuffle", "share")},
        **{f"sweep.{key}": getattr(sweep, key) for key in ("folds", "shuffle_folds", "stratified")},
    }


def _data_words(config: DataConfig) -> str:
    return f"test_fraction {config.test_fraction} and split_seed {config.split_seed}"
