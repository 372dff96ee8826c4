"""The reported curves compared with the band of ours over seeds."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from mnistexp import statistics
from mnistexp.commands.assignment.assignment import LONG, SHORT, WITH_DROPOUT
from mnistexp.commands.assignment.comparison_row import ROUNDED, Done, Floats, Row
from mnistexp.commands.assignment.reported import ACCURACIES, FAULTS, ReportedCurve, reported_curves
from mnistexp.runs.history_csv import read_histories
from mnistexp.runs.results import Outcome

__all__ = ["band_row", "curve_rows", "seeds_row"]


def curve_rows(done: Done) -> Iterator[Row]:
    """The rows of the three trainings. Raises RunError."""
    curves = reported_curves()
    long, dropped = done["curves", LONG], done["curves", WITH_DROPOUT]
    yield from _training_loss_rows(SHORT, curves[SHORT], long, done["curves", SHORT])
    yield from _validation_rows(LONG, curves[LONG], long)
    yield _accuracy_row(LONG, 0.0, long)
    yield from _validation_rows(WITH_DROPOUT, curves[WITH_DROPOUT], dropped)
    yield _accuracy_row(WITH_DROPOUT, ROUNDED, dropped)


def _training_loss_rows(name: str, reported: ReportedCurve, seeds: Outcome, own: Outcome) -> Iterator[Row]:
    """Only the training loss of the 60 epochs was recorded; our longer training has the same first epochs."""
    curves = _curves(seeds, "loss", len(reported.loss))
    with np.errstate(divide="ignore", invalid="ignore"):  # a loss of 0 has no logarithm: not comparable
        logs, theirs = np.log(curves), np.log(reported.loss)[: curves.shape[1]]
    epochs = len(theirs)
    ours = read_histories(own.run_dir)[0].loss[:epochs]
    yield band_row(name, "training loss", theirs, logs, own.run_dir.name, fault="slipped")
    yield seeds_row(
        name,
        f"training loss of epoch {len(ours)}",
        reported.loss[len(ours) - 1],
        curves[:, len(ours) - 1],
        own.run_dir.name,
        logarithmic=True,
    )


def _validation_rows(name: str, reported: ReportedCurve, outcome: Outcome) -> Iterator[Row]:
    curves = _curves(outcome, "val_loss", len(reported.val_loss))
    theirs, run = np.array(reported.val_loss), outcome.run_dir.name
    epochs = min(curves.shape[1], len(theirs))
    lowest = curves.min(axis=1)  # nan where a curve has a gap
    at = np.where(np.isfinite(lowest), curves.argmin(axis=1) + 1, np.nan)
    yield seeds_row(name, "lowest validation loss", float(theirs.min()), lowest, run, fault="watched", decimals=4)
    yield seeds_row(
        name, "epoch of the lowest validation loss", int(theirs.argmin()) + 1, at, run, resolution=1.0, decimals=1
    )
    last = curves[:, epochs - 1]
    yield seeds_row(name, f"validation loss of epoch {epochs}", float(theirs[epochs - 1]), last, run)
    yield band_row(name, "validation loss", theirs[:epochs], curves[:, :epochs], run)


def _accuracy_row(name: str, tolerance: float, outcome: Outcome) -> Row:
    repeats = outcome.metrics.get("repeats")
    accuracies = repeats["test_accuracies"] if repeats else [outcome.metrics["test_accuracy"]]
    resolution = 1 / outcome.metrics["test_digits"]
    row = seeds_row(name, "test accuracy", ACCURACIES[name], accuracies, outcome.run_dir.name, resolution=resolution)
    if not tolerance or row.interval is None:
        return row
    low, high = row.interval
    agrees = low - tolerance <= ACCURACIES[name] <= high + tolerance
    how = f'{row.how}; reported as "about {ACCURACIES[name]}", taken as within {tolerance}'
    return Row(row.part, row.what, row.reported, row.ours, row.interval, agrees, how, row.fault, row.run)


def seeds_row(
    name: str,
    what: str,
    reported: float,
    ours: ArrayLike,
    run: str,
    *,
    resolution: float = 0.0,
    logarithmic: bool = False,
    fault: str | None = None,
    decimals: int = 4,
) -> Row:
    """Is the reported value in the prediction interval of one more of our seeds? `ours`: a value per seed, (seeds,)."""
    values, label, why = np.asarray(ours, dtype=np.float64), f"{name}: {what}", FAULTS[fault] if fault else None
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.log(values) if logarithmic else values
    if (odd := int((~np.isfinite(seen)).sum())) > 0:
        return Row("curves", label, reported, None, None, None, _odd(odd, len(seen)), why, run)
    interval = statistics.prediction_interval(seen, resolution=resolution)
    mean, ends = float(seen.mean()), (interval.low, interval.high) if interval else None
    if logarithmic:
        mean, ends = float(np.exp(mean)), (float(np.exp(ends[0])), float(np.exp(ends[1]))) if ends else None
    how = f"95% prediction interval of one more seed, from {len(values)} of ours{', of log values' * logarithmic}"
    return Row(
        "curves",
        label,
        reported,
        round(mean, decimals) if not logarithmic else mean,
        ends,
        None if ends is None else ends[0] <= reported <= ends[1],
        how if ends else f"an interval needs at least 3 seeds, {len(values)} of our seeds were run",
        why,
        run,
    )


def band_row(name: str, what: str, theirs: Floats, ours: Floats, run: str, fault: str | None = None) -> Row:
    """The share of epochs in our band, compared with that of each of our seeds in the band of the others."""
    label = f"{name}: share of {len(theirs)} epochs whose {what} is in our band"
    if len(ours) < 4:
        return Row("curves", label, None, None, None, None, "a test of the band needs at least 4 seeds", run=run)
    if (odd := int((~np.isfinite(ours).all(axis=1)).sum())) > 0:
        return Row("curves", label, None, None, None, None, _odd(odd, len(ours)), run=run)
    share = float(statistics.seed_band(ours).holds(theirs).mean())
    own = [
        float(statistics.seed_band(np.delete(ours, seed, axis=0)).holds(ours[seed]).mean()) for seed in range(len(ours))
    ]
    return Row(
        "curves",
        label,
        share,
        float(np.mean(own)),
        (min(own), 1.0),
        share >= min(own),
        f"at least the lowest share of any of our {len(ours)} seeds in the band of the others",
        FAULTS[fault] if fault else None,
        run,
    )


def _odd(seeds: int, of: int) -> str:
    return f"not comparable: {seeds} of our {of} seeds gave no finite number (divergence)"


def _curves(outcome: Outcome, field: str, epochs: int) -> Floats:
    """One field of each repeat's curves, up to a number of epochs: float64 (repeats, epochs)."""
    return np.array([getattr(history, field)[:epochs] for history in read_histories(outcome.run_dir)], dtype=np.float64)
