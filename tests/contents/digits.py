"""More digits or more tuning, recomputed from trials.csv and predictions.npz by scipy's bounded least squares."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from .claims import About

SHARE = "param_training.share"
DRAWS = 300


def more_digits(trials: pd.DataFrame, scores: np.ndarray, digits: int) -> dict[str, Any]:
    """The gains of twice the digits and of tuning, by name; nothing where no shares were swept.

    `scores`: float64 (trials, digits), the share of repeats that read each digit right, in the order of `trials`.
    `digits`: the training digits of a fold.
    """
    if SHARE not in trials or trials[SHARE].nunique() < 2:
        return {}
    others = [name for name in trials if name.startswith("param_") and name != SHARE]
    keys = trials[others].astype(str).agg(" ".join, axis=1) if others else pd.Series("", index=trials.index)
    table = pd.DataFrame({"key": keys, "share": trials[SHARE], "place": range(len(trials))})
    grid = table.pivot_table(index="key", columns="share", values="place").dropna().astype(int)
    sizes = np.array([round(share * digits) for share in grid.columns])
    found: dict[str, Any] = {"sizes": sizes, "curves": len(grid)}
    if len(sizes) < 3:
        return found
    read = scores[grid.to_numpy()]
    draws = np.random.default_rng(11).multinomial(read.shape[-1], np.full(read.shape[-1], 1 / read.shape[-1]), DRAWS)
    best = read.mean(axis=-1)[:, -1].argmax()
    gains = [_gains(read @ weights / weights.sum(), best, sizes) for weights in [np.ones(read.shape[-1]), *draws]]
    for name, column in zip(("doubling", "tuning"), 100 * np.array(gains).T, strict=True):
        within = 0.4 * float(column.std()) + 0.06
        ends = np.quantile(column[1:], [0.025, 0.975])
        found[name] = [About(column[0], 0.11), *(About(end, within) for end in ends)]
    return found


def _gains(means: np.ndarray, best: int, sizes: np.ndarray) -> tuple[float, float]:
    """What the curve of the best setting gains by twice the digits, and that setting over the median one."""
    x, y = sizes / sizes[-1], means[best]
    fits = [
        least_squares(lambda p: p[0] - p[1] * x ** -p[2] - y, [y[-1], 0.05, rate], bounds=([0, 0, 0.1], [1, 1, 2]))
        for rate in (0.3, 1.0)
    ]
    _, b, rate = min(fits, key=lambda fit: fit.cost).x
    return b * (1 - 2**-rate), y[-1] - np.median(means[:, -1])
