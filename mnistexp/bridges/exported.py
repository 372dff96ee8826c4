"""The parts of a run that are exported: its trainings, the trials of a sweep, and its metrics."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from mnistexp.config.models import Value
from mnistexp.errors import RunError
from mnistexp.runs.curves import read_curves
from mnistexp.runs.index import IndexedRun
from mnistexp.runs.layout import SWEEP
from mnistexp.runs.results import FoldResult, TrialResult
from mnistexp.sweeps.sweep_files import read_sweep

__all__ = ["Series", "Trial", "check_readable", "numbers", "trainings", "trials"]

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Series:
    """Curves by name, a value for each epoch from 1 on, and when each epoch ended, in seconds since 1970."""

    curves: Mapping[str, Sequence[float]]
    times: Sequence[float]

    def points(self) -> Iterator[tuple[str, int, float, float]]:
        """Name, epoch, value and time of all measurements; NaN in `loss` is a divergence, in `val_loss` a gap."""
        for name, values in self.curves.items():
            for epoch, (value, time) in enumerate(zip(values, self.times, strict=True), start=1):
                if not (name.startswith("val_") and math.isnan(value)):
                    yield name, epoch, value, time


@dataclass(frozen=True)
class Trial:
    """One setting of a sweep. `score`: mean over its fits, `std`: their standard deviation; both NaN if one failed.

    `series`: the mean over the successful fits. `seconds`: of all fits together.
    """

    index: int
    params: Mapping[str, Value]
    score: float
    std: float
    failed: bool
    series: Series
    seconds: float

    def scores(self) -> dict[str, float]:
        """Score and standard deviation by name; empty for a failed trial."""
        return {} if self.failed else {"score": self.score, "score_std": self.std}


def check_readable(run: IndexedRun) -> None:
    """Raises RunError if a part of the run can't be read, so that nothing is left out silently."""
    if run.unread:
        raise RunError("\n".join(run.unread))


def trainings(run: IndexedRun) -> dict[int, Series]:
    """The run's own trainings by repeat, from 0. Each starts when the one before ends."""
    found, began = {}, run.info.started.timestamp()
    for curve in read_curves(run.path):
        measured = {name: values for name in CURVES if (values := getattr(curve.history, name))}
        found[curve.repeat] = Series(measured, _times(began, curve.seconds, run.info.seconds))
        began = max(found[curve.repeat].times, default=began)
    return found


def trials(run: IndexedRun) -> list[Trial]:
    """The trials of a finished sweep, in its order; empty for other runs. Raises RunError if it is damaged."""
    if not (run.path / SWEEP).exists():
        return []
    began = run.info.started.timestamp()
    return [_trial(trial, began) for trial in read_sweep(run.path).trials]


def numbers(run: IndexedRun) -> dict[str, float]:
    """The numeric metrics, by dotted key."""
    values = run.metrics.items()
    return {
        key: float(value) for key, value in values if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _trial(trial: TrialResult, began: float) -> Trial:
    through = [fold for fold in trial.folds if not fold.error]
    curves = {name: mean for name in CURVES if (mean := _mean(through, name))}
    seconds = [fold.seconds for fold in through]
    epochs = max(map(len, curves.values()), default=0)
    times = _times(began, (math.nan,) * epochs, fmean(seconds) if seconds else None)
    return Trial(
        trial.index, trial.params, trial.mean, trial.std, trial.failed, Series(curves, times), math.fsum(seconds)
    )


def _mean(folds: Sequence[FoldResult], name: str) -> list[float]:
    columns = [getattr(fold.history, name) for fold in folds]
    return [fmean(values) for values in zip(*columns, strict=False)]


def _times(began: float, seconds: Sequence[float], total: float | None) -> list[float]:
    """When each epoch ended; spread evenly over `total` seconds if some epoch's time was not recorded."""
    if not all(map(math.isfinite, seconds)):
        seconds = [(total or 0.0) / len(seconds)] * len(seconds)
    return [began + passed for passed in accumulate(seconds)]
