"""Figures of the reported curves with our band, and of the reported rows beside ours."""

from typing import TYPE_CHECKING

import numpy as np

from mnistexp.commands.assignment.assignment import FIXED, LONG, TITLES, WITH_DROPOUT
from mnistexp.commands.assignment.comparison_row import Done
from mnistexp.commands.assignment.grids import row_scores, seed_scores
from mnistexp.commands.assignment.reported import reported_curves, reported_rows
from mnistexp.figures.style import BLUE, GREY, VERMILLION, legend_below, new_figure, styled
from mnistexp.runs.history_csv import read_histories
from mnistexp.statistics import seed_band

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW_EPOCHS = 20
"""With fewer epochs each is marked, because a line of one epoch is invisible."""


def of_reproduction(done: Done) -> dict[str, "Figure"]:
    """Every figure of `reproduce` by file name."""
    figures = {f"reported_{name}": curves_over_band(done, name) for name in (LONG, WITH_DROPOUT)}
    return {**figures, "reported_rows": rows_beside_ours(done)}


@styled
def curves_over_band(done: Done, name: str) -> "Figure":
    """The reported validation loss of one training, with mean and prediction band of our seeds."""
    from matplotlib.ticker import MaxNLocator

    histories = read_histories(done["curves", name].run_dir)
    every = np.array([history.val_loss for history in histories])
    measured = np.isfinite(every).all(axis=0)
    epochs, values = np.flatnonzero(measured) + 1, every[:, measured]
    whole = reported_curves()[name].val_loss
    reported = whole[: every.shape[1]]
    figure = new_figure(6.4, 3.8)
    axes = figure.add_subplot()
    missing = "" if measured.all() else f" (not a number in {(~measured).sum()} of {len(measured)} epochs)"
    dots = "." if len(epochs) < FEW_EPOCHS else ""
    axes.plot(epochs, values.mean(axis=0), marker=dots, color=BLUE, label=f"ours, mean of {len(values)} seeds{missing}")
    if len(values) >= 3 and len(epochs):
        band = seed_band(values)
        label = "95% prediction band for one more seed"
        axes.fill_between(epochs, band.low, band.high, color=BLUE, alpha=0.18, lw=0, label=label)
    axes.plot(range(1, len(reported) + 1), reported, marker=dots, color=VERMILLION, ls="--", label="reported")
    cut = "" if every.shape[1] >= len(whole) else f": the first {len(reported)}"
    axes.set(xlabel="epoch", ylabel="validation loss (cross-entropy)", title=TITLES[name] + cut)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0, 1.3 * max(*reported, *values.mean(axis=0)))
    legend_below(axes)
    return figure


@styled
def rows_beside_ours(done: Done) -> "Figure":
    """The reported accuracy of every row of a grid, and ours of the same training with other seeds."""
    reported = reported_rows()
    names = [family for family in reported if ("as submitted", family) in done]
    figure = new_figure(6.4, 1.3 + 0.75 * (len(names) + 1))
    axes = figure.add_subplot()
    lines = [(f"{name}, reported", np.array([row.mean for row in reported[name]]), VERMILLION) for name in names]
    lines += [(f"{name}, ours", row_scores(done["as submitted", name].run_dir), BLUE) for name in names]
    lines.append(
        ("dropout, with its optimizer\nsettings applied, ours", seed_scores(done["as submitted", FIXED].run_dir), GREY)
    )
    lines = [(name, scores[np.isfinite(scores)], colour) for name, scores, colour in lines]  # a failed row has no score
    lines.sort(key=lambda line: (names.index(line[0].split(",")[0]) if line[2] != GREY else len(names), line[2]))
    for row, (_, scores, colour) in enumerate(lines):
        axes.plot(100 * scores, np.full(len(scores), row), "o", ms=4, color=colour, alpha=0.75, mew=0)
        if len(scores):
            axes.plot(100 * scores.mean(), row, "|", ms=14, mew=2, color=colour)
    axes.set(yticks=range(len(lines)), yticklabels=[name for name, _, _ in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set(xlabel="cross-validation accuracy (%)", title="Rows of the grids as submitted: only the seeds differ")
    return figure
