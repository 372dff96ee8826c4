"""The results of trainings and sweeps: frozen records of plain Python numbers and numpy arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # listing runs is twice as fast without numpy and pydantic
    import numpy as np
    from numpy.typing import NDArray

    from mnistexp.config.grids import Value

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class EpochDone:
    """Progress of a training: the epoch just finished, from 1, of the repeat, from 0; None if not validated."""

    repeat: int
    repeats: int
    epoch: int
    epochs: int
    loss: float
    accuracy: float
    val_loss: float | None = None
    val_accuracy: float | None = None


@dataclass(frozen=True)
class Working:
    """Progress within an epoch: `done` of `total` epochs over all repeats, in fractions."""

    done: float
    total: int


@dataclass(frozen=True)
class FitDone:
    """Progress of a sweep: `done` of `total` fits, `cached` of them from the cache; `what` names the fit just done.

    `best`: the best mean score so far of a trial with all its fits done; `seconds_left` is None until one fit has run.
    """

    done: int
    total: int
    cached: int
    what: str
    best: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True)
class Reading:
    """Progress of reading the digits: `done`, a share from 0 to 1."""

    done: float


@dataclass(frozen=True)
class Noted:
    """A note about the digits that were read, such as a conversion."""

    text: str


@dataclass(frozen=True)
class Step:
    """A command of several steps begins with step `number`, from 1, of `total`."""

    number: int
    total: int
    what: str


@dataclass(frozen=True)
class History:
    """Loss and accuracy after each epoch; `val_` lists are empty where nothing was validated.

    `loss` and `accuracy` are means over the training digits during the epoch, as Keras reports them; the
    `val_` ones are measured after the epoch, and NaN in the epochs without validation (`training.validate_every`). All
    float, of one length each; NaN from the epoch of a divergence on.
    """

    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    val_loss: tuple[float, ...] = ()
    val_accuracy: tuple[float, ...] = ()
    val_loss_se: tuple[float, ...] = ()
    """Standard error of each mean validation loss, from the losses of the single digits."""
    seconds: tuple[float, ...] = field(default=(), compare=False)
    """Wall time of each epoch, NaN where none was recorded; of the curves of a stored training only."""

    @property
    def epochs(self) -> int:
        """The length of the curves, including epochs that were not trained after a divergence, as NaN."""
        return len(self.loss)

    @classmethod
    def mean(cls, histories: Sequence[History]) -> History:
        """The mean of the curves of several trainings, over the epochs that all of them have.

        If one has no number in an epoch, as after a divergence, the mean is NaN. `val_loss_se` is the mean of theirs,
        an upper bound for that of the mean curve, as all are validated on the same digits.
        """
        if len(histories) == 1:
            return histories[0]
        names = (*CURVES, "val_loss_se")
        curves = (zip(*(getattr(history, name) for history in histories), strict=False) for name in names)
        return cls(*(tuple(math.fsum(epoch) / len(epoch) for epoch in columns) for columns in curves))


@dataclass(frozen=True)
class FoldResult:
    """One fit of one trial on one fold.

    `score`: accuracy on the validation part after the last epoch. `rows`: int64, the validation digits' positions in
    the training part; `probabilities`: float32 (len(rows), classes), their out-of-fold predictions.
    `error`: None, or the last line of the traceback of a fit that raised; then score is NaN and the arrays are empty.
    """

    fold: int
    repeat: int
    score: float
    history: History
    rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    seconds: float = 0.0
    diverged_at: int | None = None
    error: str | None = None
    cached: bool = False


@dataclass(frozen=True)
class TrialResult:
    """One point of a sweep: dotted config keys to values, and its fits in order of (repeat, fold)."""

    index: int
    params: dict[str, Value]
    folds: tuple[FoldResult, ...]

    @property
    def scores(self) -> NDArray[np.float64]:
        """The score of each fit, float64 (fits,), in order of (repeat, fold); NaN for one that failed."""
        import numpy as np

        return np.array([fold.score for fold in self.folds])

    @property
    def mean(self) -> float:
        """The score of the trial: the mean over its fits; NaN where one of them failed."""
        return float(self.scores.mean())

    @property
    def std(self) -> float:
        """Population standard deviation (ddof 0) over the fits, as scikit-learn's `std_test_score`."""
        return float(self.scores.std())

    @property
    def standard_error(self) -> float:
        """Of the mean, from the sample standard deviation (ddof 1) over the fits; 0 for a single fit."""
        fits = len(self.folds)
        return float(self.scores.std(ddof=1) / fits**0.5) if fits > 1 else 0.0

    @property
    def errors(self) -> list[str]:
        """The errors of the fits that failed."""
        return [fold.error for fold in self.folds if fold.error]

    @property
    def failed(self) -> bool:
        """Whether a fit raised; a diverged fit has a score like any other."""
        return bool(self.errors)


@dataclass(frozen=True)
class SweepResult:
    """The complete trials of a sweep in the grid's order, and the labels of the digits they were scored on.

    `labels`: int64 (n_train,). `best`: the index of the chosen trial. `tied`: indices of the trials tied with the best,
    including the best. `trials_missing`, `fits_missing`: not complete and not run when the time limit was reached.
    """

    trials: tuple[TrialResult, ...]
    labels: NDArray[np.int64]
    best: int
    tied: tuple[int, ...] = ()
    fits_run: int = 0
    fits_cached: int = 0
    fits_failed: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = field(default=())
    trials_missing: int = 0
    fits_missing: int = 0

    @property
    def winner(self) -> TrialResult:
        """The chosen trial."""
        return next(trial for trial in self.trials if trial.index == self.best)


@dataclass(frozen=True)
class Outcome:
    """The result of a command: its run folder, and the document of its `metrics.json`.

    `without`: why the figures are missing, "" if they were drawn.
    """

    run_dir: Path
    metrics: dict[str, Any]
    without: str = ""

    def document(self) -> dict[str, Any]:
        """The document that `--json` prints."""
        return {"run_dir": str(self.run_dir), "metrics": self.metrics}


def over_all(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a training; with several repeats, those of the curves are of the mean curves.

    The other keys of `repeats`, such as `mean` and `interval` of the test accuracy, exist only with several repeats.
    """
    return {**metrics, **metrics.get("repeats", {})}


@dataclass(frozen=True)
class Answered:
    """The answer of a training, before its figures are drawn."""

    outcome: Outcome


Event = Answered | EpochDone | FitDone | Noted | Reading | Step | Working
Watch = Callable[[Event], None]
"""Called with each epoch of a training, its progress, each finished fit, and each step of a longer command."""
