"""The reported curves compared with the band of ours over seeds."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mnistexp import statistics
from mnistexp.commands.assignment.assignment import LONG, SHORT, WITH_DROPOUT
from mnistexp.commands.assignment.comparison_row import ROUNDED, ComparisonRow, Done, Floats, compared
from mnistexp.commands.assignment.reported import ACCURACIES, reported_curves
from mnistexp.runs.history_csv import read_histories
from mnistexp.runs.results import Outcome, over_all

RECORDED_AS = {LONG: 0.0, WITH_DROPOUT: ROUNDED}
"""The trainings whose validation loss and accuracy were reported, and the tolerance of the accuracy."""


def curve_rows(done: Done) -> Iterator[ComparisonRow]:
    """The rows of the three trainings. Raises RunError."""
    yield from _training_loss_rows(done["curves", LONG], done["curves", SHORT])
    for name, tolerance in RECORDED_AS.items():
        yield from _validation_rows(name, done["curves", name])
        yield _accuracy_row(name, tolerance, done["curves", name])


def _training_loss_rows(seeds: Outcome, own: Outcome) -> Iterator[ComparisonRow]:
    """Only the training loss of the 60 epochs was recorded; our longer training has the same first epochs."""
    reported, run = np.array(reported_curves()[SHORT].loss), own.run_dir.name
    curves = _curves(seeds, "loss", len(reported))
    with np.errstate(divide="ignore", invalid="ignore"):  # a loss of 0 has no logarithm: not comparable
        logs, theirs = np.log(curves), np.log(reported)[: curves.shape[1]]
    yield band_row(SHORT, "training loss", theirs, logs, run, fault="slipped")
    epochs = min(len(theirs), read_histories(own.run_dir)[0].epochs)
    last = reported[epochs - 1], curves[:, epochs - 1]
    yield seeds_row(SHORT, f"training loss of epoch {epochs}", *last, run, logarithmic=True)


def _validation_rows(name: str, outcome: Outcome) -> Iterator[ComparisonRow]:
    theirs = np.array(reported_curves()[name].val_loss)
    curves, row = _curves(outcome, "val_loss", len(theirs)), partial(seeds_row, name, run=outcome.run_dir.name)
    epochs = min(curves.shape[1], len(theirs))
    lowest = curves.min(axis=1)  # nan where a curve has a gap
    at = np.where(np.isfinite(lowest), curves.argmin(axis=1) + 1, np.nan)
    first = int(theirs.argmin()) + 1
    yield row("lowest validation loss", float(theirs.min()), lowest, fault="watched")
    yield row("epoch of the lowest validation loss", first, at, resolution=1.0, decimals=1, least=1.0)
    yield row(f"validation loss of epoch {epochs}", float(theirs[epochs - 1]), curves[:, epochs - 1])
    yield band_row(name, "validation loss", theirs[:epochs], curves[:, :epochs], outcome.run_dir.name)


def _accuracy_row(name: str, tolerance: float, outcome: Outcome) -> ComparisonRow:
    found, reported = outcome.metrics, ACCURACIES[name]
    accuracies = over_all(found).get("test_accuracies", [found["test_accuracy"]])
    about = f'; reported as "about {reported}", taken as within {tolerance}' * bool(tolerance)
    row = partial(seeds_row, name, "test accuracy", reported, accuracies, outcome.run_dir.name)
    return row(resolution=1 / found["test_digits"], tolerance=tolerance, about=about)


def seeds_row(
    name: str,
    what: str,
    reported: float,
    ours: ArrayLike,
    run: str,
    *,
    resolution: float = 0.0,
    logarithmic: bool = False,
    fault: str = "",
    decimals: int = 4,
    tolerance: float = 0.0,
    about: str = "",
    least: float = 0.0,
) -> ComparisonRow:
    """Is the reported value in the prediction interval of one more of our seeds? `ours`: a value per seed, (seeds,).

    `about`: what to add about the `tolerance`. `least`: the lowest value possible, where the interval ends.
    """
    values, row = np.asarray(ours, dtype=np.float64), partial(compared, "curves", f"{name}: {what}", reported)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.log(values) if logarithmic else values
    known = np.asarray(np.isfinite(seen))
    if not known.all():
        return row(None, None, _odd(known), run=run, fault=fault)
    interval, mean = statistics.prediction_interval(seen, resolution=resolution), float(seen.mean())
    middle = float(np.exp(mean)) if logarithmic else round(mean, decimals)
    if interval is None:
        how = f"an interval needs at least 3 seeds, {len(values)} of our seeds were run"
        return row(middle, None, how, run=run, fault=fault)
    ends = max(interval.low, least), interval.high
    if logarithmic:
        ends = float(np.exp(interval.low)), float(np.exp(interval.high))
    how = f"95% prediction interval of one more seed, from {len(values)} of ours{', of log values' * logarithmic}"
    return row(middle, ends, how + about, run=run, fault=fault, tolerance=tolerance)


def band_row(name: str, what: str, theirs: Floats, ours: Floats, run: str, fault: str = "") -> ComparisonRow:
    """The share of epochs in our band, compared with that of each of our seeds in the band of the others."""
    row = partial(compared, "curves", f"{name}: share of {len(theirs)} epochs whose {what} is in our band", run=run)
    if len(ours) < 4:
        return row(None, None, None, "a test of the band needs at least 4 seeds")
    known = np.isfinite(ours).all(axis=1)
    if not known.all():
        return row(None, None, None, _odd(known))
    share = float(statistics.seed_band(ours).holds(theirs).mean())
    others = (statistics.seed_band(np.delete(ours, seed, axis=0)) for seed in range(len(ours)))
    own = [float(band.holds(curve).mean()) for band, curve in zip(others, ours, strict=True)]
    how = f"at least the lowest share of any of our {len(ours)} seeds in the band of the others"
    return row(share, float(np.mean(own)), (min(own), 1.0), how, fault=fault)


def _odd(finite: Any) -> str:
    return f"not comparable: {(~finite).sum()} of our {len(finite)} seeds gave no finite number (divergence)"


def _curves(outcome: Outcome, field: str, epochs: int) -> Floats:
    """One field of each repeat's curves, up to a number of epochs: float64 (repeats, epochs)."""
    return np.array([getattr(history, field)[:epochs] for history in read_histories(outcome.run_dir)], dtype=np.float64)
