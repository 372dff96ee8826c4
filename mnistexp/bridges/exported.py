"""The parts of a run that are exported: its trainings, the trials of a sweep, and its metrics."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from mnistexp.errors import RunError
from mnistexp.runs.layout import SWEEP
from mnistexp.runs.results import CURVES, History, TrialResult
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.runs.summary import is_number
from mnistexp.sweeps.sweep_files import read_sweep


@dataclass(frozen=True)
class Series:
    """The curves of a training, and when each epoch ended, in seconds since 1970."""

    history: History
    times: Sequence[float]

    def points(self) -> Iterator[tuple[str, int, float, float]]:
        """Name, epoch, value and time of all measurements; NaN in `loss` is a divergence, in `val_loss` a gap."""
        for name in CURVES:
            for epoch, (value, time) in enumerate(zip(getattr(self.history, name), self.times, strict=False), start=1):
                if not (name.startswith("val_") and math.isnan(value)):
                    yield name, epoch, value, time


@dataclass(frozen=True)
class ExportedRun:
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


def exported_runs(run: StoredRun) -> list[ExportedRun]:
    """The run, then its trainings if there are several, and its trials. Raises RunError if a part can't be read."""
    if run.unread:
        raise RunError("\n".join(run.unread))
    began, trainings = run.started.timestamp(), list[Series]()
    for history in run.histories:  # each starts when the one before ends
        ended = max(trainings[-1].times, default=began) if trainings else began
        trainings.append(Series(history, _times(ended, history.seconds, run.seconds)))
    alone = trainings[0] if len(trainings) == 1 else None
    numbers = {key: float(number) for key, number in run.numbers.items() if is_number(number)}
    finished = run.finished.timestamp() if run.finished else None
    found = [ExportedRun("", run.settings, alone, numbers, run.status, began, finished)]
    for repeat, series in () if alone else enumerate(trainings):
        ended = max(series.times, default=began)
        found.append(ExportedRun(f"repeats/{repeat}", {"repeat": repeat}, series, {}, run.status, began, ended))
    if (run.path / SWEEP).exists():
        found += [_trial(trial, began) for trial in read_sweep(run.path).trials]
    return found


def _trial(trial: TrialResult, began: float) -> ExportedRun:
    through = [fold for fold in trial.folds if not fold.error]
    history = History.mean([fold.history for fold in through])
    seconds = [fold.seconds for fold in through]
    series = Series(history, _times(began, (math.nan,) * history.epochs, fmean(seconds) if seconds else None))
    scores = {} if trial.failed else {"score": trial.mean, "score_std": trial.std}
    place, status, ended = f"trials/{trial.index:05d}", "failed" if trial.failed else "done", began + math.fsum(seconds)
    return ExportedRun(place, trial.params, series, scores, status, began, ended)


def _times(began: float, seconds: Sequence[float], total: float | None) -> list[float]:
    """When each epoch ended; spread evenly over `total` seconds if some epoch's time was not recorded."""
    if not all(map(math.isfinite, seconds)):
        seconds = [(total or 0.0) / len(seconds)] * len(seconds)
    return [began + passed for passed in accumulate(seconds)]
