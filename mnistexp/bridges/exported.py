"""The parts of a run that are exported: its trainings, the trials of a sweep, and its metrics."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from mnistexp.config.models import Value
from mnistexp.errors import RunError
from mnistexp.runs.layout import SWEEP
from mnistexp.runs.results import CURVES, History, TrialResult
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.sweeps.sweep_files import read_sweep

__all__ = ["Series", "Trial", "check_readable", "numbers", "trainings", "trials"]


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


def check_readable(run: StoredRun) -> None:
    """Raises RunError if a part of the run can't be read, so that nothing is left out silently."""
    if run.unread:
        raise RunError("\n".join(run.unread))


def trainings(run: StoredRun) -> list[Series]:
    """The run's own trainings by repeat, from 0. Each starts when the one before ends."""
    found, began = [], run.started.timestamp()
    for history in run.histories:
        found.append(Series(history, _times(began, history.seconds, run.seconds)))
        began = max(found[-1].times, default=began)
    return found


def trials(run: StoredRun) -> list[Trial]:
    """The trials of a finished sweep, in its order; empty for other runs. Raises RunError if it is damaged."""
    if not (run.path / SWEEP).exists():
        return []
    began = run.started.timestamp()
    return [_trial(trial, began) for trial in read_sweep(run.path).trials]


def numbers(run: StoredRun) -> dict[str, float]:
    """The numeric metrics, by dotted key."""
    values = run.numbers.items()
    return {
        key: float(value) for key, value in values if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _trial(trial: TrialResult, began: float) -> Trial:
    through = [fold for fold in trial.folds if not fold.error]
    history = History.mean([fold.history for fold in through])
    seconds = [fold.seconds for fold in through]
    times = _times(began, (math.nan,) * history.epochs, fmean(seconds) if seconds else None)
    return Trial(
        trial.index, trial.params, trial.mean, trial.std, trial.failed, Series(history, times), math.fsum(seconds)
    )


def _times(began: float, seconds: Sequence[float], total: float | None) -> list[float]:
    """When each epoch ended; spread evenly over `total` seconds if some epoch's time was not recorded."""
    if not all(map(math.isfinite, seconds)):
        seconds = [(total or 0.0) / len(seconds)] * len(seconds)
    return [began + passed for passed in accumulate(seconds)]
