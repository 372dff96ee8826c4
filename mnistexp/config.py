"""What an experiment is: frozen settings, each with its bounds. `settings.py` reads them from files and flags."""

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mnistexp.optimizers import AnyOptimizer, Nesterov

__all__ = [
    "DataConfig",
    "EarlyStopping",
    "ExperimentConfig",
    "ModelConfig",
    "SweepConfig",
    "TrainingConfig",
]

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Units = Annotated[int, Field(ge=1, le=4096)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)]


class Section(BaseModel):
    """Frozen, strict about types, closed to unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataConfig(Section):
    """Which digits, and how they are split."""

    source: Annotated[str, Field(min_length=1, max_length=4096)] = "embedded"
    """`embedded`, `openml`, a `.npz` file, or a folder of IDX files."""
    digits: Annotated[int, Field(ge=20, le=70_000)] = 1000
    """The first so many digits of the source."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: Seed = 1
    cache_dir: Annotated[str, Field(min_length=1)] | None = None
    """Where `openml` keeps its download; null is scikit-learn's own folder."""

    @property
    def test_digits(self) -> int:
        """How many digits the split sets aside, counted as scikit-learn counts."""
        return ceil(self.digits * self.test_fraction)


class ModelConfig(Section):
    """The network: two blocks of convolution and pooling, a dense layer, ten softmax outputs."""

    kind: Literal["cnn"] = "cnn"
    filters: Annotated[tuple[Units, Units], Field(strict=False)] = (16, 32)
    kernel_size: Annotated[int, Field(ge=1, le=7)] = 3
    dense_units: Units = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of units dropped after the first pooling and after the dense layer while training."""


class EarlyStopping(Section):
    """Stop when the validation loss has not fallen by more than `min_delta` for `patience` epochs."""

    patience: Annotated[int, Field(ge=1, le=100_000)] = 10
    min_delta: Annotated[float, Field(ge=0, le=100)] = 0.0
    restore_best_weights: bool = True


class TrainingConfig(Section):
    """How the network learns."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 60
    batch_size: Annotated[int, Field(ge=1, le=70_000)] = 32
    shuffle: bool = True
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training part kept for validation; with 0 the curves are validated on the test digits."""
    validate_every_epoch: bool = True
    early_stopping: EarlyStopping | None = None


class SweepConfig(Section):
    """Which settings to try, and how each is scored."""

    folds: Annotated[int, Field(ge=2, le=1000)] = 3


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
    if digits < 10 or config.data.test_digits < 1:
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
    if training.early_stopping and not training.validate_every_epoch:
        problems.append(
            ("training.validate_every_epoch", "is false, allowed: true, as early stopping watches each epoch")
        )
    if config.sweep and config.sweep.folds > digits:
        problems.append(("sweep.folds", f"is {config.sweep.folds}, allowed: at most the {digits} digits to learn from"))
    return problems
