"""What an experiment is: frozen, bounded settings, read from YAML."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mnistexp.optimizers import AnyOptimizer, Nesterov

__all__ = ["DataConfig", "EarlyStopping", "ExperimentConfig", "ModelConfig", "SweepConfig", "TrainingConfig"]

Scalar = float | int | str | bool


class Section(BaseModel):
    """Frozen, strict about types, closed to unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataConfig(Section):
    """Which digits, and how they are split."""

    source: str = "embedded"
    """`embedded`, `openml`, a `.npz` file, or a folder of IDX files."""
    digits: Annotated[int, Field(ge=20, le=70_000)] = 1000
    """The first so many digits of the source."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    cache_dir: str | None = None
    """Where `openml` keeps its download; None is scikit-learn's own folder."""


class ModelConfig(Section):
    """The network: two blocks of convolution and pooling, a dense layer, ten softmax outputs."""

    kind: Literal["cnn"] = "cnn"
    filters: tuple[int, int] = (16, 32)
    kernel_size: Annotated[int, Field(ge=1, le=7)] = 3
    dense_units: Annotated[int, Field(ge=1, le=4096)] = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


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
    """Share of the training part cut off for validation; with 0 the curves validate on the test digits."""
    validate_every_epoch: bool = True
    early_stopping: EarlyStopping | None = None


class SweepConfig(Section):
    """Which settings to try, and how each is scored."""

    folds: Annotated[int, Field(ge=2, le=1000)] = 3


class ExperimentConfig(Section):
    """One experiment, whole."""

    name: str = "experiment"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 2
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: AnyOptimizer = Nesterov(decay=1e-6)
    training: TrainingConfig = TrainingConfig()
    sweep: SweepConfig | None = None
