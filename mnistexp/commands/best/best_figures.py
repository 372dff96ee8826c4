"""Figures of `best`: the scores of all settings, and the estimates of the accuracy."""

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistexp.commands.best.choosing import Choice
from mnistexp.config.shown import percent
from mnistexp.figures.style import BLACK, BLUE, GREY, VERMILLION, legend_below, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def of_best(choice: Choice, evidence: dict[str, Any]) -> dict[str, "Figure"]:
    """Every figure of `best` by file name, besides those of the training."""
    return {"trials_by_family": trials_by_family(choice), "accuracies": accuracies(evidence)}


@styled
def trials_by_family(choice: Choice) -> "Figure":
    """The cross-validation accuracy of every setting by family, in per cent, with the average and the chosen one."""
    families = choice.families
    figure = new_figure(6.4, 1.4 + 0.5 * len(families))
    axes = figure.add_subplot()
    scores = np.array([100 * candidate.trial.mean for candidate in choice.everyone])
    for row, family in enumerate(families):
        own = np.array([family in candidate.families for candidate in choice.everyone])
        # Spread by position in the grid, not at random: the same data give the same figure.
        offsets = 0.5 * (np.arange(own.sum()) % 7 - 3) / 7
        axes.plot(scores[own], row + offsets, "o", ms=4, color=BLUE, alpha=0.75, mew=0)
        label = "" if row else "mean of a family"
        axes.plot(scores[own].mean(), row, "|", ms=18, mew=2, color=GREY, label=label)
    axes.axvline(scores.mean(), color=GREY, ls=":", label=f"mean of all settings: {percent(scores.mean() / 100)}")
    chosen = choice.chosen.trial.mean
    axes.axvline(100 * chosen, color=VERMILLION, ls="--", label=f"chosen setting: {percent(chosen)}")
    axes.set(yticks=range(len(families)), yticklabels=families, xlabel="cross-validation accuracy (%)")
    axes.set_ylim(len(families) - 0.4, -0.6)
    axes.set_title(f"Cross-validation accuracy of all {len(scores)} settings")
    legend_below(axes)
    return figure


@styled
def accuracies(evidence: dict[str, Any]) -> "Figure":
    """Each estimate of the accuracy with its 95% interval, in per cent; `evidence` as `representative` gives it."""
    rows = [("test digits", evidence["test"]["accuracy"], evidence["test"]["interval"])]
    selection = evidence["selection"]
    rows.append(("highest score of the sweeps", selection["raw"], None))
    rows.append(("highest score, corrected for selection", selection["corrected"], selection["interval"]))
    rows.append(("chosen setting, cross-validation", evidence["cross_validation"]["accuracy"], None))
    if nested := evidence["nested"]:
        rows.append(("nested cross-validation", nested["accuracy"], nested["interval"]))
    if predicted := evidence.get("prediction"):
        rows.append(("final model, predicted", predicted["accuracy"], predicted["interval"]))
    if unseen := evidence["unseen"]:
        rows.append(("unseen digits: predicted from the test digits", None, unseen["predicted"]))
        rows.append(("unseen digits", unseen["accuracy"], unseen["interval"]))
    figure = new_figure(5.6, 1.0 + 0.42 * len(rows))
    axes = figure.add_subplot()
    for row, (_, accuracy, interval) in enumerate(rows):
        if interval:
            axes.plot([100 * end for end in interval], [row, row], "-", color=BLUE, lw=2.5)
        if accuracy is not None:
            axes.plot(100 * accuracy, row, "o", ms=6, color=BLACK)
            axes.annotate(percent(accuracy), (100 * accuracy, row), (0, 6), textcoords="offset points", ha="center")
    names = [
        fill(name if interval else f"{name} (no interval)", 30, break_on_hyphens=False) for name, _, interval in rows
    ]
    axes.set(yticks=range(len(rows)), yticklabels=names, xlabel="accuracy (%)")
    axes.set_ylim(len(rows) - 0.5, -0.8)
    axes.set_title("Estimates of the accuracy, with 95% intervals")
    return figure
