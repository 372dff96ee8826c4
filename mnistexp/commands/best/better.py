"""How much better the best model is than the worst and the average of all trials of the choice."""

from collections.abc import Sequence
from typing import Any

from mnistexp.commands.assignment.reported import NOTEBOOK
from mnistexp.commands.best.choosing import COMBINATION, Candidate, Choice
from mnistexp.config.shown import percent, points
from mnistexp.statistics import PairedDifference, compare_trials, notebook_figures


def how_much_better(choice: Choice) -> dict[str, Any]:
    """The section `better` of `metrics.json`; accuracies are means of the folds, shares from 0 to 1.

    `chosen`: the chosen setting (`best`) against the worst setting and the average of all of them. `families`: the best
    setting of `all`, of each optimizer, of dropout, and the combination where no sweep tried it, likewise. Each has
    `trials` (different settings, a count), `best` and `worst` (`params`, `accuracy`), `average`, and `versus_worst` and
    `versus_average`: the difference in percentage `points` with its paired bootstrap `interval`, the relative
    `error_reduction` with its `error_reduction_interval` (both null if the other makes no error). `notebook`: the
    notebook's own arithmetic, `ours` beside `reported`. The chosen setting and `notebook` have a `sentence`.
    """
    everyone = choice.everyone
    own = {family: [one for one in everyone if family in one.families] for family in choice.families}
    groups = {"all": everyone} | own
    chosen = _row("chosen", choice, everyone, choice.chosen)
    return {
        "chosen": chosen,
        "families": [_row(name, choice, group, max(group, key=_score)) for name, group in groups.items()],
        "notebook": _notebook({family: [_score(one) for one in group] for family, group in own.items()}),
        "sentence": _sentence(chosen),
    }


def _score(candidate: Candidate) -> float:
    return candidate.trial.mean


def _row(name: str, choice: Choice, group: Sequence[Candidate], best: Candidate) -> dict[str, Any]:
    """One candidate of a group compared with the worst and the average of the group."""
    [gap] = compare_trials(choice.correct(group), weights=choice.weights, best=group.index(best))
    worst = group[gap.worst]
    return {
        "family": name,
        "trials": gap.trials,
        "best": {"params": best.params, "accuracy": _score(best)},
        "worst": {"params": worst.params, "accuracy": _score(worst)},
        "average": gap.versus_average.second,
        "versus_worst": _difference(gap.versus_worst),
        "versus_average": _difference(gap.versus_average),
    }


def _difference(found: PairedDifference) -> dict[str, Any]:
    return {
        "points": found.points,
        "interval": [100 * end for end in found.interval.ends],
        "error_reduction": found.error_reduction,
        "error_reduction_interval": found.error_reduction_interval and found.error_reduction_interval.ends,
    }


def _sentence(chosen: dict[str, Any]) -> str:
    parts = []
    accuracy = chosen["best"]["accuracy"]
    for name, other in (("worst", chosen["worst"]["accuracy"]), ("average", chosen["average"])):
        found = chosen[f"versus_{name}"]
        saved, (low, high) = found["error_reduction"], found["interval"]
        side = "above" if accuracy >= other else "below"
        told = (
            f"{points(accuracy, other)} points (95% interval {low:.1f} to {high:.1f}) {side} the {name} of all "
            f"{chosen['trials']} settings ({percent(other)})"
        )
        if saved is not None:
            told += f", {abs(saved):.0%} {'fewer' if saved >= 0 else 'more'} errors"
        parts.append(told)
    return (
        f"The chosen setting scores {percent(accuracy)} in cross-validation: {parts[0]}, and {parts[1]}. "
        "The worst setting was chosen on the same digits, so the difference to it is slightly overestimated."
    )


def _notebook(scores: dict[str, list[float]]) -> dict[str, Any]:
    """`scores`: of the settings that each family's sweeps tried."""
    ours = notebook_figures({family: own for family, own in scores.items() if family != COMBINATION})
    return {
        "ours": vars(ours),
        "reported": vars(NOTEBOOK),
        "sentence": (
            f"The notebook compares only the best scores of its sweeps. The same arithmetic gives {percent(ours.best)} "
            f"as best, {percent(ours.worst)} as worst and {percent(ours.average)} as average here; the notebook "
            f"reported {percent(NOTEBOOK.best)}, {percent(NOTEBOOK.worst)} and {percent(NOTEBOOK.average)}."
        ),
    }
