"""The best number of epochs, and the epoch from which the network overfits, from the validation loss."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.shown import listed, percent
from mnistexp.errors import BadInput

SPREAD_OF_LOSS = 4.0
"""Standard deviation of the digits' cross-entropy over its mean, near the minimum: 2.9 to 4.4 with the CNN here."""

WINDOW = 5
"""Epochs in the running median that decides on overfitting."""

FEWEST = 3
"""A rise counts as overfitting if it lasts at least this many measured epochs."""

Shape = Literal["unmeasured", "single", "chance", "falling", "flat", "rising", "overfitting", "unstable"]
Curve = NDArray[np.float64]
"""The validation loss of each measured epoch, (measured,)."""


@dataclass(frozen=True)
class BestEpochs:
    """The best number of epochs, and what follows it. Epochs count from 1.

    `epoch`: the first epoch of the minimum; `ties`: all of them. `flat_first` to `flat_last`: the unbroken range of
    measured epochs around `epoch` whose validation loss is at most one `standard_error` above the minimum;
    `flat_measured`: how many these are. `overfitting_from`: see `best_epochs`; None unless `shape` is `overfitting`.
    `rising_from`: where the rise begins for the shapes `overfitting`, `unstable` and `rising` (too short to tell).
    `accuracy`: the validation accuracy in `epoch`, where given. `final`: the last measured validation loss; `ratio`:
    final / minimum. `diverged_at`: the first epoch whose training loss is not a number; it and those after it are not
    measured. `approximated`: the standard error is the rule of thumb. All None, and no ties, where none was measured.
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
    flat_measured: int = 0
    rising_from: int | None = None
    overfitting_from: int | None = None
    accuracy: float | None = None
    final: float | None = None
    ratio: float | None = None
    diverged_at: int | None = None
    digits: int = 200
    classes: int = 10

    @property
    def sentence(self) -> str:
        """The answer in plain language; every part follows from the fields."""
        parts = [self._best(), self._range(), self._after()]
        if self.diverged_at is not None:
            parts.append(f"Training diverged in epoch {self.diverged_at}: from then on its loss is not a number.")
        return " ".join(part for part in parts if part)

    def _best(self) -> str:
        if self.epoch is None:
            before = "" if self.diverged_at is None else " before training diverged"
            return f"No validation loss was measured{before}, so the best number of epochs is unknown."
        others = [str(epoch) for epoch in self.ties[1:]]
        same = f", and equally low at epoch {listed(others, 5)}" if others else ""
        return f"The validation loss is lowest, {self.minimum:.4f}, at epoch {self.epoch}{same}."

    def _range(self) -> str:
        if self.flat_first is None or self.flat_last is None or self.shape == "single":
            return ""
        about = "about " if self.approximated else ""
        error = f"one standard error ({about}{self.standard_error:.4f})"
        if self.flat_measured == 1:
            return f"The measured epochs next to it are more than {error} higher."
        every = self.flat_measured == self.flat_last - self.flat_first + 1
        which = "Epochs" if every else f"The {self.flat_measured} measured epochs from"
        return f"{which} {self.flat_first} to {self.flat_last} are within {error} of it."

    def _after(self) -> str:
        grown = "" if self.final is None else f"{self.final:.4f}"
        if self.ratio is not None:
            grown += f", {self.ratio:.2f} times the minimum"
        more = ", and more epochs may help" if self.diverged_at is None else ""
        above = (
            f"the validation loss (running median of {WINDOW} epochs) stays more than one standard error above its "
            "minimum"
        )
        return {
            "unmeasured": "",
            "single": "Only one epoch was measured, so there is no other to compare it with.",
            "chance": self._chance(),
            "falling": f"It is the last measured epoch: no sign of overfitting{more}.",
            "flat": f"There is no sign of overfitting: the loss ends at {grown}.",
            "rising": (
                f"From epoch {self.rising_from} on the validation loss is higher and ends at {grown}; these are too "
                "few epochs to call it overfitting."
            ),
            "overfitting": (
                f"The network overfits from epoch {self.rising_from} on: {above}, while the training loss is on "
                f"average lower than at that minimum. The validation loss ends at {grown}."
            ),
            "unstable": (
                f"From epoch {self.rising_from} on {above} and ends at {grown}, but the training loss is on average "
                "not lower than at that minimum: training is unstable rather than overfitting."
            ),
        }[self.shape]

    def _chance(self) -> str:
        if self.accuracy is not None and self.accuracy <= guessing(self.digits, self.classes):
            return (
                f"The validation accuracy at epoch {self.epoch}, {percent(self.accuracy)}, is no better than chance, "
                "so overfitting can't be assessed."
            )
        still = "" if self.accuracy is None else f", though the accuracy is {percent(self.accuracy)}"
        return (
            f"This loss is no lower than that of guessing, ln({self.classes}) = {log(self.classes):.4f}{still}, so "
            "overfitting can't be assessed."
        )


def best_epochs(
    loss: Sequence[float],
    val_loss: Sequence[float],
    standard_error: float | Sequence[float | None] | None = None,
    *,
    val_accuracy: Sequence[float] = (),
    digits: int = 200,
    classes: int = 10,
) -> BestEpochs:
    """The epoch of the lowest validation loss, the range within one standard error of it, and the start of overfitting.

    `loss`, `val_loss`: one value per epoch, and `val_accuracy` too where it is known; a validation loss that is not
    finite was not measured and is ignored, like every epoch from the first training loss on that is not finite.
    `standard_error`: that of the mean validation loss at the minimum, or one value per epoch.
    Without it, a rule of thumb: 4 min(val_loss) / sqrt(digits), `digits` being the number of validation digits; the
    digits' losses have a standard deviation of 3 to 4.5 times their mean at the minimum.

    Overfitting starts at the first measured epoch after the range from which on, to the end and for at least 3
    measured epochs, the running median of 5 epochs of the validation loss is more than one standard error above the
    minimum. The median is over measured epochs after the range, fewer at its ends, so that no single epoch decides.
    Two further conditions: the mean training loss from that epoch on is lower than at the minimum; and the network is
    better than chance in the epoch of the minimum, with a loss below ln(classes), that of equal probabilities, and an
    accuracy above `guessing(digits, classes)`.

    The minimum is optimistic, because the same digits chose the epoch: on other digits the loss would be higher.
    Raises `BadInput` for curves of different lengths, a negative standard error or fewer than two classes.

    Source: the one-standard-error rule of Breiman, Friedman, Olshen & Stone (1984), Classification and Regression
    Trees, 3.4.3, applied to epochs in place of trees; the rule for overfitting is this package's own.
    """
    if classes < 2:
        raise BadInput(f"classes: {classes}; allowed: 2 or more")
    train, val, accuracy = _curves(loss, val_loss, val_accuracy)
    odd = np.flatnonzero(~np.isfinite(train))
    diverged = int(odd[0]) + 1 if len(odd) else None
    measured = np.flatnonzero(np.isfinite(val[: diverged and diverged - 1]))
    unknown = BestEpochs(len(train), "unmeasured", diverged_at=diverged, digits=digits, classes=classes)
    if not len(measured):
        return unknown
    at = int(measured[val[measured].argmin()])
    error, approximated = _error_at(standard_error, at, len(val), float(val[at]), digits)
    right = float(accuracy[at]) if len(accuracy) and isfinite(accuracy[at]) else None
    known = replace(unknown, standard_error=error, approximated=approximated, accuracy=right)
    return _around(known, measured, val[measured], train[: diverged and diverged - 1])


def _around(known: BestEpochs, measured: NDArray[np.intp], curve: Curve, train: Curve) -> BestEpochs:
    """`known` with the minimum of the measured losses, the range around it, and what follows.

    `measured`: the indices (measured,) of the epochs whose validation loss `curve` has; `train`: up to a divergence.
    """
    assert known.standard_error is not None
    at, minimum, final = int(curve.argmin()), float(curve.min()), float(curve[-1])
    limit, right = minimum + known.standard_error, known.accuracy
    first, last = _run_around(curve <= limit, at)
    able = minimum < log(known.classes) and (right is None or right > guessing(known.digits, known.classes))
    there = train[measured[at]]
    shape, start = _shape(curve, last, limit, able, lambda start: bool(train[measured[start] :].mean() < there))
    epochs = [int(index) + 1 for index in measured]
    rising = None if start is None else epochs[start]
    return replace(
        known,
        shape=shape,
        epoch=epochs[at],
        ties=tuple(epoch for epoch, loss in zip(epochs, curve, strict=True) if loss == minimum),
        minimum=minimum,
        flat_first=epochs[first],
        flat_last=epochs[last],
        flat_measured=last - first + 1,
        rising_from=rising,
        overfitting_from=rising if shape == "overfitting" else None,
        final=final,
        ratio=final / minimum if minimum > 0 and isfinite(final / minimum) else None,
    )


def guessing(digits: int, classes: int) -> float:
    """The highest accuracy that guessing explains: 1 / classes plus two standard errors of a share of `digits` digits.

    Assumes classes of about one size.
    Source: the normal approximation in Brown, Cai & DasGupta (2001), Statistical Science 16(2), section 1.
    """
    return 1 / classes + 2 * sqrt((1 / classes) * (1 - 1 / classes) / digits)


def _curves(*given: Sequence[float]) -> tuple[Curve, Curve, Curve]:
    """The training loss, the validation loss and its accuracy as arrays; the latter two may be empty."""
    train, val, accuracy = (np.asarray(curve, dtype=np.float64) for curve in given)
    if len(val) and len(train) != len(val):
        raise BadInput(f"val_loss: {len(val)} epochs, but loss has {len(train)}; both need one value per epoch")
    if len(accuracy) and len(accuracy) != len(val):
        raise BadInput(f"val_accuracy: {len(accuracy)} epochs, but val_loss has {len(val)}; give one value per epoch")
    return train, val, accuracy


def _error_at(
    given: float | Sequence[float | None] | None, index: int, epochs: int, minimum: float, digits: int
) -> tuple[float, bool]:
    """The standard error at the minimum, and whether it is the rule of thumb."""
    if given is not None and not isinstance(given, int | float):
        if len(given) != epochs:
            raise BadInput(
                f"standard_error: {len(given)} values for {epochs} epochs; give one per epoch, or one number"
            )
        given = given[index]
    if given is None or not isfinite(given):
        return SPREAD_OF_LOSS * abs(minimum) / sqrt(digits), True
    if not given >= 0:
        raise BadInput(f"standard_error: {given!r}; it can't be negative")
    return float(given), False


def _run_around(inside: NDArray[np.bool_], at: int) -> tuple[int, int]:
    """First and last index of the unbroken run of True that holds `at`."""
    outside = np.flatnonzero(~inside)
    before, after = outside[outside < at], outside[outside > at]
    return (int(before[-1]) + 1 if len(before) else 0), (int(after[0]) - 1 if len(after) else len(inside) - 1)


def _shape(
    curve: Curve, last: int, limit: float, able: bool, is_lower_from: Callable[[int], bool]
) -> tuple[Shape, int | None]:
    """The shape of the measured validation losses after the range that ends at `last`, and the index where they rise.

    `able`: the network is better than chance at the minimum. `is_lower_from(index)`: the training loss is lower from
    there on than at the minimum.
    """
    if len(curve) == 1:
        return "single", None
    if not able:
        return "chance", None
    after = curve[last + 1 :]
    if not len(after):
        return ("falling" if curve.argmin() == last else "flat"), None
    half = WINDOW // 2
    smooth = np.array([np.median(after[max(0, i - half) : i + half + 1]) for i in range(len(after))])
    low = np.flatnonzero(smooth <= limit)
    start = last + 1 + (int(low[-1]) + 1 if len(low) else 0)
    if start == len(curve):
        return "flat", None
    if len(curve) - start < FEWEST:
        return "rising", start
    return ("overfitting" if is_lower_from(start) else "unstable"), start
