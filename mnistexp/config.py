"""What an experiment is: frozen settings, each with its bounds. `settings.py` reads them from files and flags."""

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mnistexp.grids import Grid, GridOrGrids, Pairs, Range, Space, Value
from mnistexp.networks import NETWORKS
from mnistexp.optimizers import AnyOptimizer, Nesterov
from mnistexp.section import Section

__all__ = [
    "DataConfig",
    "EarlyStopping",
    "ExperimentConfig",
    "ModelConfig",
    "Range",
    "SweepConfig",
    "TrainingConfig",
    "Value",
]

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Units = Annotated[int, Field(ge=1, le=4096)]
ClassName = Annotated[str, Field(min_length=1, max_length=40)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)]


class DataConfig(Section):
    """Which digits, and how they are split."""

    source: Annotated[str, Field(min_length=1, max_length=4096)] = "embedded"
    """`embedded`, `unseen`, `openml`, or a path: `.npz`, `.npy` pairs, IDX, CSV, Parquet, folders of pictures."""
    digits: Annotated[int, Field(ge=20, le=1_000_000)] = 1000
    """The first so many digits of the source; of a smaller one 1000 means all."""
    test: Literal["split", "own"] = "split"
    """Test on a share of these digits, or on the source's own test part (`x_test`, `t10k-`, `test/`, a second CSV)."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the digits set aside for the test."""
    split_seed: Seed = 1
    """Decides which digits these are; `random_state` of scikit-learn's `train_test_split`."""
    invert: Literal["auto", True, False] = "auto"
    """Make dark ink on a bright ground bright on black: `auto` where the edges of the pictures are bright."""
    transpose: bool = False
    """Exchange rows and columns, as EMNIST's files need it."""
    class_names: Annotated[tuple[ClassName, ...], Field(strict=False, min_length=2, max_length=100)] | None = None
    """What the classes are called in figures and reports, in the order of their labels."""
    cache_dir: Annotated[str, Field(min_length=1)] | None = None
    """Where `openml` keeps its download; null is scikit-learn's own folder."""

    @property
    def test_digits(self) -> int:
        """How many of `digits` are set aside for the test, counted as scikit-learn counts; none with `test: own`."""
        return 0 if self.test == "own" else ceil(self.digits * self.test_fraction)


class ModelConfig(Section):
    """The network. Of the sizes, `mlp` uses only the dense layer's and the dropout, `logistic` none."""

    kind: Literal[tuple(NETWORKS)] = "cnn"  # type: ignore[valid-type]
    """`cnn`, the assignment's convolutional network; `mlp`, one dense layer; `logistic`, none."""
    filters: Annotated[tuple[Units, Units], Field(strict=False)] = (16, 32)
    """Filters of the first and of the second convolution."""
    kernel_size: Annotated[int, Field(ge=1, le=7)] = 3
    """Side of the convolutions' square kernels, in pixels."""
    dense_units: Units = 128
    """Units of the dense layer before the ten outputs."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of units dropped after the first pooling and after the dense layer while training."""
    classes: Annotated[int, Field(ge=2, le=100)] = 10
    """Outputs of the network; taken from the labels of the digits."""


class EarlyStopping(Section):
    """Stop when the validation loss has not fallen by more than `min_delta` for `patience` epochs."""

    patience: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Epochs without a better validation loss before the training stops."""
    min_delta: Annotated[float, Field(ge=0, le=100)] = 0.0
    """A validation loss counts as better when it is lower by more than this."""
    restore_best_weights: bool = True
    """Whether the model is that of the best epoch, or else of the last."""


class TrainingConfig(Section):
    """How the network learns."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 60
    """How often the training digits are gone through."""
    batch_size: Annotated[int, Field(ge=1, le=70_000)] = 32
    """Digits per update of the weights."""
    shuffle: bool = True
    """Whether each epoch goes through the digits in an order of its own."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training part kept for validation; with 0 the curves are validated on the test digits."""
    validate_every: Annotated[int, Field(ge=0, le=100_000)] = 1
    """Epochs from one validation to the next. The last epoch is always validated; with 0 it is the only one."""
    early_stopping: EarlyStopping | None = None


class SweepConfig(Section):
    """Which settings to try, and how each is scored.

    The points of a sweep are every combination of a point of `grid`, a row of `zip` and a sample of `random`. Keys are
    dotted and of the sections model, optimizer and training.
    """

    grid: GridOrGrids = {}
    """Key to values, all combined; of a list of such grids each is gone through on its own."""
    zip: Pairs = {}
    """Key to values, the first of each together, then the second, ...; all of one length."""
    random: Space = {}
    """Key to a range, of `low` and `high`, or to a list to choose from; `samples` points are drawn."""
    samples: Annotated[int, Field(ge=1, le=100_000)] = 20
    """How many points of `random` are drawn."""
    strategy: Literal["product", "halving", "tpe"] = "product"
    """`product` trains every point in full; `halving` keeps the best of each round for one of more epochs; `tpe` lets
    Optuna choose the samples of `random` after the scores of earlier ones."""
    generation: Annotated[int, Field(ge=1, le=1000)] = 8
    """How many samples `tpe` asks for at once; a setting, so that results don't depend on the number of workers."""
    factor: Annotated[int, Field(ge=2, le=100)] = 3
    """One in so many trials survives a round of `halving`, to be trained so many times longer."""
    min_epochs: Annotated[int, Field(ge=1, le=100_000)] = 5
    """The least that the first round of `halving` trains."""
    folds: Annotated[int, Field(ge=2, le=1000)] = 3
    """Parts of the training digits; each is held out once, and a trial's score is the mean of its folds'."""
    shuffle_folds: bool = False
    """Shuffle the training digits before cutting the folds."""
    stratified: bool = False
    """Spread each class evenly over the folds."""
    select: Literal["best", "one-se", "cheapest"] = "best"
    """The best mean; the cheapest within one standard error of it; or the cheapest that can't be told from it."""
    as_submitted: bool = False
    """Repeat the notebook's fault: each row trains the default network with its optimizer's default settings, whatever
    the row says, and with a seed of its own."""
    fail_fast: bool = False
    """End the sweep at the first fit that fails."""
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    """How often a fit is tried again whose worker died."""
    executor: Literal["serial", "processes", "dask"] = "processes"
    """Where the fits run: in the program itself, in a process for each core, or on a Dask cluster."""
    workers: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """null is one for each physical core that this process may use."""
    scheduler: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """Address of a Dask scheduler, such as tcp://host:8786; null starts a cluster on this machine."""
    cache: bool = True
    """Keep finished fits, and take those that are kept, whatever sweep they were for."""

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grid as a list of grids, of one where it is written as one."""
        return (self.grid,) if isinstance(self.grid, dict) else self.grid


class ExperimentConfig(Section):
    """One experiment, whole."""

    name: Name | None = None
    """Short name of the run folder; null is made from the optimizer and the epochs."""
    seed: Seed = 2
    """Root of every random draw of the trainings; the split has its own, `data.split_seed`."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    """Independent trainings of the same settings, each with a seed derived from `seed`."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: AnyOptimizer = Nesterov(decay=1e-6)
    training: TrainingConfig = TrainingConfig()
    sweep: SweepConfig | None = None

    @property
    def training_digits(self) -> int:
        """How many digits are left to learn from after the test and validation parts are set aside."""
        left = self.data.digits - self.data.test_digits
        return left - ceil(left * self.training.validation_fraction)

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        problems = _conflicts(self)
        if problems:
            raise PydanticCustomError("conflicts", "{problems}", {"problems": problems})
        return self


def _conflicts(config: ExperimentConfig) -> list[tuple[str, str]]:
    """Dotted key and message of each setting that is fine alone and impossible beside the others."""
    problems = []
    digits, training = config.training_digits, config.training
    if digits < 10 or (config.data.test == "split" and config.data.test_digits < 1):
        problems.append(
            (
                "data.test_fraction",
                f"leaves {digits} of {config.data.digits} digits to learn from; at least 10 are needed",
            )
        )
    elif training.batch_size > digits:
        problems.append(
            ("training.batch_size", f"is {training.batch_size}, allowed: at most the {digits} digits to learn from")
        )
    if training.early_stopping and training.validation_fraction == 0:
        problems.append(
            (
                "training.early_stopping",
                "needs training.validation_fraction above 0: stopping on the test digits would spoil their accuracy",
            )
        )
    if training.early_stopping and training.validate_every != 1:
        message = f"is {training.validate_every}, allowed: 1, as early stopping watches each epoch"
        problems.append(("training.validate_every", message))
    if config.sweep and training.validation_fraction:
        message = "is above 0, allowed: 0, as a sweep validates on its own folds"
        problems.append(("training.validation_fraction", message))
    if config.sweep and config.sweep.folds > digits:
        problems.append(("sweep.folds", f"is {config.sweep.folds}, allowed: at most the {digits} digits to learn from"))
    return problems
