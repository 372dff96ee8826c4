"""A sweep of `training.share`: its trials by number of digits, and whether more digits would help."""

from typing import Any

import numpy as np

from mnistexp.runs.results import SweepResult, TrialResult
from mnistexp.statistics.more_digits import MoreDigits, more_digits
from mnistexp.sweeps.ranking import correct_matrix, fold_weights

SHARE = "training.share"
ByDigits = dict[int, TrialResult]
"""The trials of one setting by their number of training digits, ascending; their `params` lack the share."""


def by_digits(sweep: SweepResult) -> list[ByDigits]:
    """The trials with a score by their settings other than the share, that with the highest accuracy first.

    Only settings that were trained with several shares; so empty unless shares were swept.
    """
    held_out = [len(fold.rows) for trial in sweep.trials for fold in trial.folds if not fold.error]
    digits = len(sweep.labels) - max(held_out, default=0)
    found: dict[tuple[Any, ...], ByDigits] = {}
    for trial in sorted(sweep.trials, key=_share):
        if SHARE in trial.params and not trial.failed:
            others = {key: value for key, value in trial.params.items() if key != SHARE}
            taken = max(1, round(_share(trial) * digits))
            found.setdefault(tuple(others.items()), {})[taken] = TrialResult(trial.index, others, trial.folds)
    several = [trials for trials in found.values() if len(trials) > 1]
    return sorted(several, key=lambda trials: -max(trial.mean for trial in trials.values()))


def more_digits_of(sweep: SweepResult) -> MoreDigits | None:
    """The comparison of more digits with more tuning; None with fewer than three shares.

    Over the settings that have a score for every share.
    """
    found = by_digits(sweep)
    sizes = max(map(tuple, found), key=len, default=())
    whole = [list(trials.values()) for trials in found if tuple(trials) == sizes]
    if not whole:
        return None
    weights = fold_weights(whole[0][0], len(sweep.labels))
    weights *= len(sweep.labels) / weights.sum()
    correct = [(correct_matrix(trials, sweep.labels) * weights).sum(axis=1) for trials in whole]
    return more_digits(sizes, np.array(correct))


def _share(trial: TrialResult) -> float:
    share = trial.params.get(SHARE, 1)
    return float(share) if isinstance(share, int | float) else 1.0
