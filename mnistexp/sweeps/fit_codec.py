"""A finished fit as a JSON document and back: the one form in which run folders and the cache keep it.

Its out-of-fold probabilities and the positions of its digits are arrays, which are kept beside the document.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeInt

from mnistexp.config.grids import Value
from mnistexp.runs.results import CURVES, FoldResult, History

STORED = (*CURVES, "val_loss_se")
Curve = list[float | None]


def fit_document(result: FoldResult) -> dict[str, Any]:
    """One fit as a document for JSON; `StoredFit.result` is the inverse."""
    names = ("repeat", "fold", "score", "diverged_at", "error", "seconds", "cached")
    document = {name: getattr(result, name) for name in names}
    return document | {name: list(getattr(result.history, name)) for name in STORED}


class StoredFit(BaseModel):
    """The document of a fit; keys of later versions are ignored, and curves that an earlier one lacked are empty.

    Numbers that are not finite may be null. `trial` and `params` place it in its sweep. Validation raises ValueError.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    trial: NonNegativeInt = 0
    params: dict[str, bool | int | float | str | list[bool | int | float | str] | None] = {}
    repeat: NonNegativeInt
    fold: NonNegativeInt
    score: float | None
    diverged_at: int | None
    error: str | None
    seconds: float
    cached: bool
    loss: Curve = []
    accuracy: Curve = []
    val_loss: Curve = []
    val_accuracy: Curve = []
    val_loss_se: Curve = []

    @property
    def settings(self) -> dict[str, Value]:
        """The settings of the trial, with lists as tuples."""
        return {key: tuple(value) if isinstance(value, list) else value for key, value in self.params.items()}

    def result(self, rows: NDArray[np.int64], probabilities: NDArray[np.float32]) -> FoldResult:
        """The fit, with the positions int64 (n,) of its validation digits and probabilities float32 (n, classes)."""
        curves = {name: tuple(map(_number, getattr(self, name))) for name in STORED}
        return FoldResult(
            score=_number(self.score),
            history=History(**curves),
            rows=rows,
            probabilities=probabilities,
            **self.model_dump(include={"fold", "repeat", "seconds", "diverged_at", "error", "cached"}),
        )


def _number(value: float | None) -> float:
    return math.nan if value is None else value
