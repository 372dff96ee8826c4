"""The assignment as a list of tasks, each a command with its settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnistexp.config.models import ExperimentConfig
from mnistexp.config.optimizers import Nesterov
from mnistexp.runs.layout import Kind
from mnistexp.sweeps.space import raise_problems
from mnistexp.sweeps.swept import DROPOUT, FamilySweep, family_sweeps

BEST = "best model"
SHORT, LONG, WITH_DROPOUT = "sgd_60_epochs", "sgd_150_epochs", "adam_dropout_50_epochs"
"""The trainings, named like the reported curves."""
TITLES = {SHORT: "SGD, 60 epochs", LONG: "SGD, 150 epochs", WITH_DROPOUT: "Adam with dropout, 50 epochs"}
"""Their names for readers."""
FIXED = "the dropout sweep's optimizer, without dropout"
DROPOUT_OF_THE_FINAL_MODEL = 0.4


@dataclass(frozen=True)
class Size:
    """The size of a reproduction: `FULL` or `QUICK`; `epochs` of None are the configured ones.

    `keys`: the number of keys of a grid, including its optimizer's name, in the rows that repeat the notebook's bug.
    These rows differ only in their seed, so fewer rows than in the notebook show the same spread.
    `values`: at most this many values of each key of the intended grids, and `keys` keys; None is the whole grid.
    """

    quick: bool
    short: int
    long: int
    epochs: int | None
    curve_seeds: int
    row_seeds: int
    final_repeats: int
    keys: int | None
    values: int | None = None


FULL = Size(
    quick=False, short=60, long=150, epochs=None, curve_seeds=5, row_seeds=8, final_repeats=5, keys=3
)  # fmt: skip
QUICK = Size(
    quick=True, short=2, long=4, epochs=2, curve_seeds=3, row_seeds=3, final_repeats=3, keys=2, values=2
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One command. `part`: `data`, `curves`, `as submitted` or `as intended`."""

    name: str
    part: str
    command: str
    config: ExperimentConfig


def assignment(config: ExperimentConfig, size: Size) -> ExperimentConfig:
    """The settings of `best` reduced to the size: its epochs, and the first values of the first keys of each grid."""
    family_sweeps(config)
    sweep, training = config.search, config.training
    if size.values is not None:
        grids = [
            {key: values[: size.values] for key, values in list(grid.items())[: size.keys]} for grid in sweep.grids
        ]
        sweep = sweep.model_copy(update={"grid": tuple(grids)})
    if size.epochs is not None:
        training = training.model_copy(update={"epochs": size.epochs})
    return config.model_copy(update={"sweep": sweep, "training": training, "repeats": size.final_repeats})


def tasks_of(config: ExperimentConfig, size: Size) -> list[Task]:
    """The tasks in the order of the assignment; `config` is that of `best`.

    Raises `ConfigError` with every setting that `best` doesn't support, or without a dropout sweep.
    """
    cut = assignment(config, size)
    plain = cut.model_copy(update={"sweep": None, "name": None, "repeats": 1})
    # The notebook validated every epoch, and its curves are compared epoch by epoch.
    training = plain.training.model_copy(update={"validate_every": 1, "early_stopping": None})
    curves = plain.model_copy(update={"training": training})
    sgd = curves.model_copy(update={"optimizer": Nesterov(decay=1e-6)})
    dropped = plain.model.model_copy(update={"dropout": DROPOUT_OF_THE_FINAL_MODEL})
    seeds = {"repeats": size.curve_seeds}
    parts = {part.family: part for part in family_sweeps(cut)}
    if DROPOUT not in parts:
        raise_problems([("sweep.grid", "has no grid of model.dropout, which the assignment needs")])
    tasks = [
        Task("example digits", "data", Kind.EXAMPLES, _epochs(sgd, size.short)),
        Task("network", "data", Kind.SUMMARY, _epochs(sgd, size.short)),
        Task(SHORT, "curves", Kind.TRAIN, _epochs(sgd, size.short)),
        Task(LONG, "curves", Kind.TRAIN, _epochs(sgd, size.long).model_copy(update=seeds)),
        Task(WITH_DROPOUT, "curves", Kind.TRAIN, curves.model_copy(update={"model": dropped, **seeds})),
    ]
    tasks += [_as_submitted(parts[whole.family], whole, size) for whole in family_sweeps(config)]
    tasks.append(_fixed(parts[DROPOUT], size))
    tasks += [Task(part.family, "as intended", part.command, part.config) for part in parts.values()]
    return [*tasks, Task(BEST, "as intended", Kind.BEST, cut.model_copy(update={"name": None}))]


def _epochs(config: ExperimentConfig, epochs: int) -> ExperimentConfig:
    return config.model_copy(update={"training": config.training.model_copy(update={"epochs": epochs})})


def _as_submitted(part: FamilySweep, whole: FamilySweep, size: Size) -> Task:
    """A sweep that repeats the notebook's bug, on the first `keys` keys of the whole grid."""
    [own] = whole.config.search.grids
    grid = dict(list(own.items())[: size.keys])
    return Task(part.family, "as submitted", part.command, _swept(part.config, {"grid": grid, "as_submitted": True}))


def _fixed(part: FamilySweep, size: Size) -> Task:
    """The dropout sweep's optimizer without dropout, over seeds: its rows if only the optimizer settings applied."""
    config = _swept(part.config, {"grid": {"model.dropout": (0.0,)}})
    return Task(FIXED, "as submitted", part.command, config.model_copy(update={"repeats": size.row_seeds}))


def _swept(config: ExperimentConfig, changes: Mapping[str, Any]) -> ExperimentConfig:
    return config.model_copy(update={"sweep": config.search.model_copy(update=dict(changes))})
