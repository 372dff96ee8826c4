"""What a sweep of `training.share` shows: accuracy by number of digits, and whether more digits would help."""

from typing import Any

import numpy as np

from mnistexp.figures.axes import name_of
from mnistexp.runs.results import SweepResult, TrialResult
from mnistexp.statistics import wilson
from mnistexp.statistics.more_digits import AccuracyCurve, MoreDigits, more_digits
from mnistexp.sweeps.ranking import correct_matrix

__all__ = ["SHARE", "accuracy_curves", "more_digits_of"]

SHARE = "training.share"
Group = dict[int, TrialResult]
"""The trials of one setting by their number of training digits, ascending."""


def accuracy_curves(sweep: SweepResult) -> list[AccuracyCurve]:
    """Accuracy by number of digits for each other setting, that with the highest accuracy first.

    Empty unless shares were swept. The intervals are Wilson's, of the out-of-fold digits.
    """
    groups = _groups(sweep)
    alike = [TrialResult(number, _others(next(iter(group.values()))), ()) for number, group in enumerate(groups)]
    n = len(sweep.labels)
    return [
        AccuracyCurve(
            name=name_of(one, alike) if len(groups) > 1 and one.params else "accuracy",
            digits=tuple(group),
            accuracies=tuple(trial.mean for trial in group.values()),
            intervals=tuple(wilson(trial.mean * n, n) for trial in group.values()),
        )
        for one, group in zip(alike, groups, strict=True)
    ]


def more_digits_of(sweep: SweepResult) -> MoreDigits | None:
    """The comparison of more digits with more tuning; None with fewer than three shares.

    Over the settings that have a score for every share.
    """
    groups = _groups(sweep)
    sizes = max(map(tuple, groups), key=len, default=())
    whole = [group for group in groups if tuple(group) == sizes]
    if not whole:
        return None
    correct = [correct_matrix(list(group.values()), sweep.labels).mean(axis=1) for group in whole]
    return more_digits(sizes, np.array(correct))


def _groups(sweep: SweepResult) -> list[Group]:
    """The trials with a score by their other settings, if these were trained with several shares."""
    held_out = [len(fold.rows) for trial in sweep.trials for fold in trial.folds if not fold.error]
    digits = len(sweep.labels) - min(held_out, default=0)
    found: dict[tuple[Any, ...], Group] = {}
    for trial in sorted(sweep.trials, key=_share):
        if SHARE in trial.params and not trial.failed:
            taken = max(1, round(_share(trial) * digits))
            found.setdefault(tuple(_others(trial).items()), {})[taken] = trial
    groups = [group for group in found.values() if len(group) > 1]
    return sorted(groups, key=lambda group: -max(trial.mean for trial in group.values()))


def _others(trial: TrialResult) -> dict[str, Any]:
    return {key: value for key, value in trial.params.items() if key != SHARE}


def _share(trial: TrialResult) -> float:
    share = trial.params.get(SHARE, 1)
    return float(share) if isinstance(share, int | float) else 1.0
