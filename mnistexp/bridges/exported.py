"""The parts of a run that are exported: its trainings, the trials of a sweep, and its metrics."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from mnistexp.errors import RunError
from mnistexp.runs.curves import read_curves
from mnistexp.runs.index import IndexedRun
from mnistexp.runs.layout import SWEEP
from mnistexp.runs.results import FoldResult, TrialResult
from mnistexp.sweeps.sweep_files import read_sweep

__all__ = ["Part", "Series", "parts"]

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
class Part:
    """The run itself, or one of several trainings (`repeats/1`) or trials (`trials/00001`) below it: its `place`.

    `series`: the curves of a training; of a trial, the mean over its successful fits; None for a run of several parts
    or without curves. `status` as in a run's record. Times in seconds since 1970; `ended` is None while it runs.
    """

    place: str
    params: Mapping[str, object]
    series: Series | None
    numbers: Mapping[str, float]
    status: str
    began: float
    ended: float | None


def parts(run: IndexedRun) -> list[Part]:
    """The run, then its trainings if there are several, and its trials. Raises RunError if a part can't be read."""
    if run.unread:
        raise RunError("\n".join(run.unread))
    info, began = run.info, run.info.started.timestamp()
    trainings = list(_trainings(run))
    alone = trainings[0] if [place for place, _ in trainings] == [0] else None
    finished = info.finished.timestamp() if info.finished else None
    found = [Part("", run.config, alone[1] if alone else None, _numbers(run), info.status, began, finished)]
    for repeat, series in () if alone else trainings:
        ended = max(series.times, default=began)
        found.append(Part(f"repeats/{repeat}", {"repeat": repeat}, series, {}, info.status, began, ended))
    if (run.path / SWEEP).exists():
        found += [_trial(trial, began) for trial in read_sweep(run.path).trials]
    return found


def _trainings(run: IndexedRun) -> Iterator[tuple[int, Series]]:
    """The run's own trainings by repeat, from 0. Each starts when the one before ends."""
    began = run.info.started.timestamp()
    for curve in read_curves(run.path):
        measured = {name: values for name in CURVES if (values := getattr(curve.history, name))}
        series = Series(measured, _times(began, curve.seconds, run.info.seconds))
        yield curve.repeat, series
        began = max(series.times, default=began)


def _numbers(run: IndexedRun) -> dict[str, float]:
    """The numeric metrics, by dotted key."""
    values = run.metrics.items()
    return {
        key: float(value) for key, value in values if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _trial(trial: TrialResult, began: float) -> Part:
    through = [fold for fold in trial.folds if not fold.error]
    curves = {name: mean for name in CURVES if (mean := _mean(through, name))}
    seconds = [fold.seconds for fold in through]
    epochs = max(map(len, curves.values()), default=0)
    series = Series(curves, _times(began, (math.nan,) * epochs, fmean(seconds) if seconds else None))
    scores = {} if trial.failed else {"score": trial.mean, "score_std": trial.std}
    status = "failed" if trial.failed else "done"
    return Part(f"trials/{trial.index:05d}", trial.params, series, scores, status, began, began + math.fsum(seconds))


def _mean(folds: Sequence[FoldResult], name: str) -> list[float]:
    columns = [getattr(fold.history, name) for fold in folds]
    return [fmean(values) for values in zip(*columns, strict=False)]


def _times(began: float, seconds: Sequence[float], total: float | None) -> list[float]:
    """When each epoch ended; spread evenly over `total` seconds if some epoch's time was not recorded."""
    if not all(map(math.isfinite, seconds)):
        seconds = [(total or 0.0) / len(seconds)] * len(seconds)
    return [began + passed for passed in accumulate(seconds)]
