"""The settings of an experiment, frozen and with bounds. `settings.py` reads them from files and flags."""

from collections.abc import Iterator
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mnistexp.config.grids import Grid, GridOrGrids, Pairs, Space
from mnistexp.config.networks import ModelConfig as ModelConfig
from mnistexp.config.optimizers import AnyOptimizer, Nesterov
from mnistexp.config.section import ConfigSection

Seed = Annotated[int, Field(ge=0, lt=2**32)]
ClassName = Annotated[str, Field(min_length=1, max_length=40)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)]


class DataConfig(ConfigSection):
    """The digits and their split."""

    source: Annotated[str, Field(min_length=1, max_length=4096)] = "embedded"
    """`embedded`, `unseen`, `openml`, or a path: `.npz`, `.npy` pairs, IDX, CSV, Parquet, folders of pictures."""
    digits: Annotated[int, Field(ge=20, le=1_000_000)] = 1000
    """Number of digits to use, the first of the source; if it has fewer, the default of 1000 means all."""
    test: Literal["split", "own"] = "split"
    """Test on a share of these digits, or on the source's own test part (`x_test`, `t10k-`, `test/`, a second CSV)."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the digits used for testing."""
    split_seed: Seed = 1
    """Random seed of the split; `random_state` of scikit-learn's `train_test_split`."""
    invert: Literal["auto", True, False] = "auto"
    """Invert images with dark ink on a bright background; `auto` does so if the edges of the images are bright."""
    transpose: bool = False
    """Transpose the images, as EMNIST's files need it."""
    class_names: Annotated[tuple[ClassName, ...], Field(strict=False, min_length=2, max_length=100)] | None = None
    """Names of the classes in figures and reports, in the order of their labels."""
    cache_dir: Annotated[str, Field(min_length=1)] | None = None
    """Folder for the download of `openml`; null is scikit-learn's default."""

    @property
    def test_digits(self) -> int:
        """The number of test digits, rounded as scikit-learn does; 0 with `test: own`."""
        return 0 if self.test == "own" else ceil(self.digits * self.test_fraction)


class EarlyStopping(ConfigSection):
    """Stop when the validation loss has not fallen by more than `min_delta` for `patience` epochs."""

    patience: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Number of epochs without a lower validation loss before training stops."""
    min_delta: Annotated[float, Field(ge=0, le=100)] = 0.0
    """A validation loss counts as lower if the decrease is larger than this."""
    restore_best_weights: bool = True
    """Keep the weights of the best epoch instead of the last."""


class TrainingConfig(ConfigSection):
    """The training loop."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 60
    """Number of training epochs."""
    batch_size: Annotated[int, Field(ge=1, le=70_000)] = 32
    """Batch size."""
    shuffle: bool = True
    """Shuffle the training digits in each epoch."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training digits used for validation; with 0 the curves are validated on the test digits."""
    validate_every: Annotated[int, Field(ge=0, le=100_000)] = 1
    """Validate every n-th epoch and the last one; with 0 only the last."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training digits (in sweeps: of each fold's) to train on; a smaller share is part of a larger one."""
    early_stopping: EarlyStopping | None = None

    def taken(self, digits: int) -> int:
        """How many of so many training digits are trained on."""
        return max(1, round(self.share * digits))


class SweepConfig(ConfigSection):
    """The hyperparameters to try, and how each trial is scored.

    The points of a sweep are all combinations of a point of `grid`, a row of `zip` and a sample of `random`. Keys are
    dotted keys of the sections model, optimizer and training.
    """

    grid: GridOrGrids = {}
    """Key to values; all combinations are tried. A list of such grids is tried one grid after the other."""
    zip: Pairs = {}
    """Key to values; the first values are tried together, then the second, ...; lists must have equal lengths."""
    random: Space = {}
    """Key to a range (`low` and `high`) or a list of values; `samples` points are drawn."""
    samples: Annotated[int, Field(ge=1, le=100_000)] = 20
    """Number of points drawn from `random`."""
    strategy: Literal["product", "halving", "tpe"] = "product"
    """`product`: every point is trained for all epochs; `halving`: successive halving, the best of each round train for
    more epochs; `tpe`: Optuna chooses the samples of `random` from the scores of earlier ones."""
    generation: Annotated[int, Field(ge=1, le=1000)] = 8
    """Number of samples that `tpe` draws at once; independent of the number of workers, for reproducibility."""
    factor: Annotated[int, Field(ge=2, le=100)] = 3
    """Reduction factor of `halving`: one of `factor` trials survives a round and trains `factor` times longer."""
    min_epochs: Annotated[int, Field(ge=1, le=100_000)] = 5
    """Minimum number of epochs in the first round of `halving`."""
    folds: Annotated[int, Field(ge=2, le=1000)] = 3
    """Number of folds of cross-validation; a trial's score is the mean over its folds."""
    shuffle_folds: bool = False
    """Shuffle the training digits before cutting the folds."""
    stratified: bool = False
    """Use stratified folds, with equal shares of each class."""
    select: Literal["best", "one-se", "cheapest"] = "best"
    """`best`: the highest mean; `one-se`: the cheapest within one standard error of it; `cheapest`: the cheapest tied
    with it."""
    as_submitted: bool = False
    """Repeat the notebook's bug: each row trains the default network with its optimizer's default settings, ignoring
    the row's other values, and with a different seed."""
    fail_fast: bool = False
    """Stop the sweep at the first failed fit."""
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    """Start no fit after this time; the complete trials are ranked, and the same command continues. null: no limit."""
    heat_maps: Literal["best", "mean"] = "best"
    """Accuracy shown in a heat map's cell: `best` or `mean` of the trials that share its two settings."""
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    """How often a fit is retried after its worker died."""
    executor: Literal["serial", "processes", "dask"] = "processes"
    """Where fits run: `serial`, in this process; `processes`, one per core; `dask`, on a Dask cluster."""
    workers: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Number of workers; null is one per usable physical core."""
    scheduler: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """Address of a Dask scheduler, such as tcp://host:8786; null starts a cluster on this machine."""
    cache: bool = True
    """Cache finished fits, and reuse cached fits of any sweep."""

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids; a single grid as a list of one."""
        return (self.grid,) if isinstance(self.grid, dict) else self.grid

    @property
    def keys(self) -> list[str]:
        """The dotted keys of the settings to try."""
        return list(dict.fromkeys([*(key for grid in self.grids for key in grid), *self.zip, *self.random]))


class ExperimentConfig(ConfigSection):
    """All settings of one experiment."""

    name: Name | None = None
    """Short name of the run folder; null is made from the optimizer and the epochs."""
    seed: Seed = 2
    """Random seed of the trainings; the split has its own, `data.split_seed`."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of independent trainings with the same settings, each with a seed derived from `seed`."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: AnyOptimizer = Nesterov(decay=1e-6)
    training: TrainingConfig = TrainingConfig()
    sweep: SweepConfig | None = None

    @property
    def search(self) -> SweepConfig:
        """The sweep section; without one, the default: a single trial with these settings."""
        return self.sweep or SweepConfig()

    @property
    def validation_digits(self) -> int:
        """The number of digits in the validation part of a training."""
        return ceil((self.data.digits - self.data.test_digits) * self.training.validation_fraction)

    @property
    def training_digits(self) -> int:
        """The number of digits to train on: `training.share` of those outside the test and validation parts."""
        return self.training.taken(self.data.digits - self.data.test_digits - self.validation_digits)

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        if problems := list(_conflicts(self)):
            raise PydanticCustomError("conflicts", "{problems}", {"problems": problems})
        return self


def _conflicts(config: ExperimentConfig) -> Iterator[tuple[str, str]]:
    """Dotted key and message of each setting that conflicts with others."""
    data, training, sweep = config.data, config.training, config.sweep
    digits = data.digits - data.test_digits - config.validation_digits
    taken, needed = config.training_digits, max(10, training.batch_size)
    if digits < 10 <= (given := data.digits - data.test_digits):
        message = f"is {training.validation_fraction}, which leaves {digits} of {given} training digits"
        yield "training.validation_fraction", f"{message}, allowed: at least 10"
    elif digits < 10 or (data.test == "split" and data.test_digits < 1):
        yield "data.test_fraction", f"leaves {digits} of {data.digits} digits for training, allowed: at least 10"
    elif training.batch_size > digits:
        yield "training.batch_size", f"is {training.batch_size}, allowed: at most the {digits} training digits"
    elif taken < needed:
        message = f"is {training.share}, which leaves {taken} of {digits} training digits, allowed: at least {needed}"
        yield "training.share", f"{message}, a batch" if needed > 10 else message
    if training.early_stopping and training.validation_fraction == 0:
        why = "stopping on the test digits would bias the test accuracy"
        yield "training.early_stopping", f"needs training.validation_fraction above 0: {why}"
    if training.early_stopping and training.validate_every != 1:
        message = f"is {training.validate_every}, allowed: 1, because early stopping needs every epoch"
        yield "training.validate_every", message
    if sweep and training.validation_fraction:
        message = "is above 0, allowed: 0, because a sweep validates on its own folds"
        yield "training.validation_fraction", message
    if sweep and sweep.folds > digits:
        yield "sweep.folds", f"is {sweep.folds}, allowed: at most the {digits} training digits"
