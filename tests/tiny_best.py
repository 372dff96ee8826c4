"""A choice among sweeps that is small enough for tests."""

from typing import Any

from mnistexp.config.models import DataConfig, ExperimentConfig, ModelConfig, SweepConfig, TrainingConfig
from mnistexp.config.optimizers import Adam

GRIDS = (
    {"optimizer.name": ("adam",), "optimizer.learning_rate": (0.001, 0.01)},
    {"optimizer.name": ("nesterov",), "optimizer.learning_rate": (0.01, 0.1)},
    {"model.dropout": (0.1, 0.3)},
)


def tiny(sweep: dict[str, Any] | None = None, epochs: int = 3, **changes: Any) -> ExperimentConfig:
    """160 digits to learn from, a small network, 3 epochs, two settings of two optimizers and two dropout rates."""
    settings: dict[str, Any] = {
        "data": DataConfig(digits=200),
        "model": ModelConfig(filters=(4, 8), dense_units=16),
        "optimizer": Adam(learning_rate=0.02, beta_1=0.5, beta_2=0.8),
        "training": TrainingConfig(epochs=epochs, batch_size=16),
        "sweep": SweepConfig(**{"executor": "serial", "grid": GRIDS} | (sweep or {})),
    }
    return ExperimentConfig(**settings | changes)
