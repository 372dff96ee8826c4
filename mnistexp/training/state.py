"""The state of a training after an epoch: what it is resumed from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class EpochRow(NamedTuple):
    """One epoch of a `History`; the `val_` numbers are NaN where the epoch was not validated."""

    loss: float
    accuracy: float
    val_loss: float = math.nan
    val_accuracy: float = math.nan
    val_loss_se: float = math.nan
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class TrainingState:
    """The full state of a training after an epoch, for resuming with bit-identical results.

    `tensors`: float32, the weights and then the optimizer's slots. `best`: epoch, validation loss and weights of the
    best epoch so far, with early stopping.
    """

    tensors: tuple[Any, ...]
    rows: tuple[EpochRow, ...] = ()
    best: tuple[int, float, tuple[Any, ...]] | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that `fit` resumes from: float32 in the tensors' shapes, `rows` float64 (epochs, 6)."""
        arrays = {f"tensor_{index}": np.array(tensor) for index, tensor in enumerate(self.tensors)}
        arrays["rows"] = np.array(self.rows, np.float64).reshape(len(self.rows), len(EpochRow._fields))
        if self.best:
            arrays["best"] = np.array(self.best[:2], np.float64)
            arrays |= {f"best_{index}": np.array(weight) for index, weight in enumerate(self.best[2])}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "TrainingState":
        """The inverse of `arrays`, to the same shapes and dtypes."""

        def family(prefix: str) -> tuple[NDArray[Any], ...]:
            names = (f"{prefix}_{index}" for index in count())
            return tuple(arrays[name] for name in takewhile(arrays.__contains__, names))

        best = (int(arrays["best"][0]), float(arrays["best"][1]), family("best")) if "best" in arrays else None
        return cls(family("tensor"), tuple(EpochRow(*map(float, row)) for row in arrays["rows"]), best)
