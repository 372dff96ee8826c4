"""What curves over epochs say: the best number of epochs, where overfitting starts, the band over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnistexp.errors import BadInput
from mnistexp.statistics.intervals import Interval, prediction_interval

__all__ = ["Band", "BestEpochs", "best_epochs", "loss_standard_error", "seed_band"]

SPREAD_OF_LOSS = 4.0
"""Standard deviation of the digits' cross-entropy over its mean, near the minimum: 2.9 to 4.4 with the CNN here."""

WINDOW = 5
"""Epochs in the running median that overfitting is judged by."""

Shape = Literal["unmeasured", "single", "falling", "flat", "overfitting", "unstable"]


@dataclass(frozen=True)
class BestEpochs:
    """The answer to "what is the best number of epochs?". Epochs count from 1.

    `epoch`: the first epoch of the minimum; `ties`: all of them. `flat_first` to `flat_last`: the unbroken range of
    measured epochs around `epoch` whose validation loss is at most one `standard_error` above the minimum.
    `overfitting_from`: see `best_epochs`; None where no overfitting is seen. `final`: the last measured validation
    loss, `ratio`: final / minimum. `diverged_at`: the first epoch whose training loss is not a number.
    `approximated`: the standard error is the rule of thumb. All None, and no ties, where nothing was measured.
    """

    epochs: int
    shape: Shape
    epoch: int | None = None
    ties: tuple[int, ...] = ()
    minimum: float | None = None
    standard_error: float | None = None
    approximated: bool = False
    flat_first: int | None = None
    flat_last: int | None = None
    overfitting_from: int | None = None
    final: float | None = None
    ratio: float | None = None
    diverged_at: int | None = None

    @property
    def sentence(self) -> str:
        """The answer in plain language; every part follows from the fields."""
        parts = [self._best(), self._range(), self._after()]
        if self.diverged_at is not None:
            parts.append(f"Training diverged in epoch {self.diverged_at}: its loss is not a number from there on.")
        return " ".join(part for part in parts if part)

    def _best(self) -> str:
        if self.epoch is None:
            return "No epoch has a validation loss, so none can be called best."
        others = [str(epoch) for epoch in self.ties[1:]]
        named = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        same = f", the same again at epoch {named}" if others else ""
        return f"The validation loss is lowest, {self.minimum:.4f}, at epoch {self.epoch}{same}."

    def _range(self) -> str:
        if self.epoch is None or self.shape == "single":
            return ""
        about = "about " if self.approximated else ""
        error = f"one standard error ({about}{self.standard_error:.4f})"
        if self.flat_first == self.flat_last:
            return f"Its neighbours are worse by more than {error}."
        return f"Epochs {self.flat_first} to {self.flat_last} are as good within {error}."

    def _after(self) -> str:
        grown = f"{self.final:.4f}, {self.ratio:.2f} times the minimum" if self.ratio is not None else f"{self.final}"
        return {
            "unmeasured": "",
            "single": "With one measured epoch there is nothing to compare it with.",
            "falling": "It was still falling at the end: no overfitting is seen, and more epochs may help.",
            "flat": f"No overfitting is seen: it ends at {grown}.",
            "overfitting": (
                f"From epoch {self.overfitting_from} on the network overfits: the validation loss stays more than one "
                f"standard error above its minimum while the training loss is lower than there; it ends at {grown}."
            ),
            "unstable": (
                f"Later it stays more than one standard error above its minimum and ends at {grown}; but the training "
                "loss is no lower than there, so this is unstable training rather than overfitting."
            ),
        }[self.shape]


def best_epochs(
    loss: Sequence[float],
    val_loss: Sequence[float],
    standard_error: float | Sequence[float | None] | None = None,
    *,
    digits: int = 200,
) -> BestEpochs:
    """The epoch of the lowest validation loss, the range as good as it, and where overfitting starts.

    `loss`, `val_loss`: one value per epoch; a value that is not finite was not measured (or has diverged) and is
    passed over. `standard_error`: that of the mean validation loss at the minimum (`loss_standard_error`), or one
    value per epoch. Without it, a rule of thumb: 4 min(val_loss) / sqrt(digits), `digits` being the number of
    validation digits; the digits' losses have a standard deviation of 3 to 4.5 times their mean at the minimum.

    Overfitting starts at the first epoch after the minimum from which on, to the end, the running median of 5 epochs
    of the validation loss is more than one standard error above the minimum, provided that the training loss is lower
    there (its mean from that epoch on) than at the minimum. The median lets no single epoch decide.

    The digits that chose the epoch flatter it: the minimum is lower than the loss on other digits would be.
    Raises `BadInput` for curves of different lengths or a negative standard error.

    Source: the one-standard-error rule of Breiman, Friedman, Olshen & Stone (1984), Classification and Regression
    Trees, 3.4.3, applied to epochs in place of trees; the rule for overfitting is this package's own.
    """
    train, val = np.asarray(loss, dtype=np.float64), np.asarray(val_loss, dtype=np.float64)
    if len(val) and len(train) != len(val):
        raise BadInput(f"val_loss: {len(val)} epochs, but loss has {len(train)}; both need one value per epoch")
    odd = np.flatnonzero(~np.isfinite(train))
    diverged = int(odd[0]) + 1 if len(odd) else None
    measured = np.flatnonzero(np.isfinite(val))
    if not len(measured):
        return BestEpochs(len(train), "unmeasured", diverged_at=diverged)
    curve = val[measured]
    at = int(curve.argmin())
    minimum, final = float(curve[at]), float(curve[-1])
    error, approximated = _error_at(standard_error, int(measured[at]), len(val), minimum, digits)
    first, last = _run_around(curve <= minimum + error, at)
    shape, start = _shape(train[measured], curve, at, minimum + error)
    return BestEpochs(
        epochs=len(train),
        shape=shape,
        epoch=int(measured[at]) + 1,
        ties=tuple(int(epoch) + 1 for epoch in measured[curve == minimum]),
        minimum=minimum,
        standard_error=error,
        approximated=approximated,
        flat_first=int(measured[first]) + 1,
        flat_last=int(measured[last]) + 1,
        overfitting_from=None if start is None else int(measured[start]) + 1,
        final=final,
        ratio=final / minimum if minimum > 0 else None,
        diverged_at=diverged,
    )


def loss_standard_error(losses: ArrayLike) -> float:
    """Standard error of a mean loss, s / sqrt(n) with ddof 1, from the losses of n validation digits (n,).

    Assumes digits drawn independently; says how far the mean would move on other digits. Raises `BadInput` for n < 2.
    Source: as scipy's `stats.sem`.
    """
    x = np.asarray(losses, dtype=np.float64).ravel()
    if len(x) < 2:
        raise BadInput(f"losses: {len(x)} digits; a standard error needs at least 2")
    return float(x.std(ddof=1)) / sqrt(len(x))


@dataclass(frozen=True, eq=False)
class Band:
    """Mean and prediction interval over seeds at each epoch: float64 (epochs,), NaN where a seed has no value."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    level: float

    def holds(self, curve: ArrayLike) -> NDArray[np.bool_]:
        """Which values of one more curve lie inside, epoch by epoch: bool (epochs,)."""
        values = np.asarray(curve, dtype=np.float64)
        return (self.low <= values) & (values <= self.high)


def seed_band(curves: ArrayLike, level: float = 0.95) -> Band:
    """The band that one more seed's curve passes through: at each epoch its `prediction_interval`.

    `curves`: (seeds, epochs), at least 3 seeds. The level holds for each epoch by itself; a curve may leave the band
    somewhere far more often. Raises `BadInput` for fewer seeds. Source: `prediction_interval`.
    """
    values = np.asarray(curves, dtype=np.float64)
    if values.ndim != 2 or len(values) < 3:
        raise BadInput(f"curves: shape {values.shape}; a band needs the curves of at least 3 seeds, (seeds, epochs)")
    nothing = Interval(np.nan, np.nan, level, "none")
    bands = [(prediction_interval(at, level) if np.isfinite(at).all() else None) or nothing for at in values.T]
    low, high = np.array([band.low for band in bands]), np.array([band.high for band in bands])
    return Band(values.mean(axis=0), low, high, level)


def _error_at(
    given: float | Sequence[float | None] | None, index: int, epochs: int, minimum: float, digits: int
) -> tuple[float, bool]:
    """The standard error at the minimum, and whether it is only the rule of thumb."""
    if given is not None and not isinstance(given, int | float):
        if len(given) != epochs:
            raise BadInput(f"standard_error: {len(given)} values for {epochs} epochs; give one each, or one number")
        given = given[index]
    if given is None or np.isnan(given):
        return SPREAD_OF_LOSS * abs(minimum) / sqrt(digits), True
    if not given >= 0:
        raise BadInput(f"standard_error: {given!r}; it can't be negative")
    return float(given), False


def _run_around(inside: NDArray[np.bool_], at: int) -> tuple[int, int]:
    """First and last index of the unbroken run of True that holds `at`."""
    outside = np.flatnonzero(~inside)
    before, after = outside[outside < at], outside[outside > at]
    return (int(before[-1]) + 1 if len(before) else 0), (int(after[0]) - 1 if len(after) else len(inside) - 1)


def _shape(train: NDArray[np.float64], curve: NDArray[np.float64], at: int, limit: float) -> tuple[Shape, int | None]:
    """What the validation curve does after its minimum, and the index where overfitting starts."""
    if len(curve) == 1:
        return "single", None
    if at == len(curve) - 1:
        return "falling", None
    half = WINDOW // 2
    smooth = np.array([np.median(curve[max(0, i - half) : i + half + 1]) for i in range(len(curve))])
    low = np.flatnonzero(smooth[at + 1 :] <= limit)
    start = at + 1 + (int(low[-1]) + 1 if len(low) else 0)
    if start == len(curve):
        return "flat", None
    if not train[start:].mean() < train[at]:
        return "unstable", None
    return "overfitting", start
