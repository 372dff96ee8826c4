"""How much better is the best model than the worst and the average one? Answered over all trials of the choice."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mnistexp.best_model.choosing import Candidate, Choice
from mnistexp.reported import NOTEBOOK
from mnistexp.statistics import Interval, PairedDifference, compare_trials, notebook_figures, paired_difference

__all__ = ["how_much_better"]


def how_much_better(choice: Choice) -> dict[str, Any]:
    """The section `better` of `metrics.json`; accuracies are of out-of-fold predictions, shares from 0 to 1.

    `chosen`: the chosen setting (`best`) against the worst trial and the average of all of them. `families`: the best
    trial of each optimizer, of dropout, and of `all` together likewise. Each has `trials` (a count), `best` and `worst`
    (`params`, `accuracy`), `average`, and `versus_worst` and `versus_average`: the difference in percentage `points`
    with its paired bootstrap `interval`, the relative `error_reduction` with its `error_reduction_interval` (both null
    where nothing was wrong). `notebook`: the notebook's own arithmetic, `ours` beside `reported`. Sentences say it all.
    """
    candidates = choice.candidates
    correct = choice.correct()
    gaps = compare_trials(correct[: len(candidates)], [candidate.family for candidate in candidates])
    families = []
    for gap in gaps:
        best, worst = candidates[gap.best], candidates[gap.worst]
        families.append(_row(gap.family, gap.trials, best, worst, gap.versus_worst, gap.versus_average))
    chosen = _chosen(choice, candidates[gaps[0].worst])
    return {
        "chosen": chosen,
        "families": families,
        "notebook": _notebook(candidates),
        "sentence": _sentence(chosen),
    }


def _chosen(choice: Choice, worst: Candidate) -> dict[str, Any]:
    assert choice.combination is not None
    own, pool = choice.combination, choice.pool
    shares = choice.correct().mean(axis=1)
    mine, lowest = shares[pool.index(own)], shares[pool.index(worst)]
    average = shares[: len(choice.candidates)].mean(axis=0)
    against = [paired_difference(mine, other) for other in (lowest, average)]
    return _row("chosen", len(choice.candidates), own, worst, *against)


def _row(
    family: str,
    trials: int,
    best: Candidate,
    worst: Candidate,
    versus_worst: PairedDifference,
    versus_average: PairedDifference,
) -> dict[str, Any]:
    return {
        "family": family,
        "trials": trials,
        "best": {"params": best.params, "accuracy": versus_worst.first},
        "worst": {"params": worst.params, "accuracy": versus_worst.second},
        "average": versus_average.second,
        "versus_worst": _difference(versus_worst),
        "versus_average": _difference(versus_average),
    }


def _difference(found: PairedDifference) -> dict[str, Any]:
    return {
        "points": found.points,
        "interval": [100 * found.interval.low, 100 * found.interval.high],
        "error_reduction": found.error_reduction,
        "error_reduction_interval": _ends(found.error_reduction_interval),
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _sentence(chosen: dict[str, Any]) -> str:
    parts = []
    for name, other in (("worst", "the worst of"), ("average", "the average of")):
        found = chosen[f"versus_{name}"]
        points, saved, (low, high) = found["points"], found["error_reduction"], found["interval"]
        side = "more" if points >= 0 else "fewer"
        told = f"{abs(points):.1f} points {side} than {other} all {chosen['trials']} trials ({low:.1f} to {high:.1f})"
        if saved is not None:
            told += f", {abs(saved):.0%} {'fewer' if saved >= 0 else 'more'} errors"
        parts.append(told)
    accuracy = chosen["best"]["accuracy"]
    return (
        f"In cross-validation the chosen setting recognises {accuracy:.1%} of the digits: {parts[0]}, and {parts[1]}. "
        "The worst was picked for being worst on these digits, so the true gap to it is a little smaller."
    )


def _notebook(candidates: Sequence[Candidate]) -> dict[str, Any]:
    scores: dict[str, list[float]] = {}
    for candidate in candidates:
        scores.setdefault(candidate.family, []).append(candidate.trial.mean)
    ours = notebook_figures(scores)
    lowest = min(np.min(family) for family in scores.values())
    mean = float(np.mean([score for family in scores.values() for score in family]))
    return {
        "ours": vars(ours),
        "reported": vars(NOTEBOOK),
        "sentence": (
            f"The notebook's arithmetic takes the best score of each sweep: best {ours.best:.6f}, worst "
            f"{ours.worst:.6f}, average {ours.average:.6f} here (it reported {NOTEBOOK.best:.6f}, {NOTEBOOK.worst:.6f} "
            f"and {NOTEBOOK.average:.6f}). Over all {len(candidates)} trials the worst scores {lowest:.4f} and the "
            f"average {mean:.4f}."
        ),
    }
