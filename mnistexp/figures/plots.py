"""Learning curves, confusion matrices and reliability diagrams as matplotlib figures."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.config.shown import percent
from mnistexp.figures.style import (
    BLACK,
    BLUE,
    COLOURS,
    GREY,
    VERMILLION,
    HeatCell,
    Line,
    Lines,
    legend_below,
    new_figure,
    point_at,
    styled,
)  # fmt: skip
from mnistexp.runs.results import History, over_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = ("-", "--", "-.", ":")
"""Curves differ by their dashes too, for prints in grey."""


def of_training(histories: Sequence[History], document: Mapping[str, Any]) -> dict[str, "Figure"]:
    """Every figure of a training by file name; for repeats, mean and range of the curves and the summed confusions.

    `document`: its `metrics.json`, which says where the validation loss is lowest and overfitting begins.
    """
    told, counts = curve_notes(document), np.array(over_all(document)["confusion_matrix"], dtype=np.int64)
    return {
        "loss_curves": loss_curves(histories, **told),
        "accuracy_curves": accuracy_curves(histories, on_test=told["on_test"]),
        "confusion_matrix": confusion_matrix(counts, document.get("class_names")),
    }


def curve_notes(document: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `loss_curves`, from the `metrics.json` of a training."""
    best = over_all(document)["best_epochs"]
    return {
        "flat": (best["first"], best["last"]) if best["first"] else None,
        "overfitting": best.get("overfitting_from"),
        "on_test": document["validated_on"] == "test",
    }


@styled
def loss_curves(
    histories: Sequence[History],
    *,
    flat: tuple[int, int] | None = None,
    overfitting: int | None = None,
    on_test: bool = False,
) -> "Figure":
    """Training and validation loss over the epochs, with every minimum of the validation loss marked.

    For several histories, their mean and a band from the lowest to the highest. `flat`: the first and last epoch whose
    validation loss is within one standard error of the minimum. `overfitting`: the epoch from which on the network
    overfits. `on_test`: whether the validation digits are the test digits.
    """
    figure = new_figure(6.4, 4.2)
    axes = figure.add_subplot()
    curves = _training_and_validation(axes, histories, "loss", on_test=on_test)
    validation = curves[-1].y if len(curves) > 1 else np.zeros(0)
    title = "Loss over the epochs"
    if validation.size:
        lowest = validation.min()
        epochs = curves[-1].x[validation == lowest]
        at = _listed(epochs.astype(int).tolist())
        title += f": lowest validation loss {lowest:.4f} at epoch{'s' * (len(epochs) > 1)} {at}"
        axes.plot(epochs, [lowest] * len(epochs), "o", ms=7, mfc="none", mec=BLACK, mew=1.4, label="minimum", zorder=4)
    if flat is not None and validation.size > 1:
        label = f"epochs {flat[0]} to {flat[1]}: within one standard error"
        axes.axvspan(flat[0] - 0.5, flat[1] + 0.5, fc="#f0e9d2", ec=GREY, lw=0.6, zorder=0, label=label)
    if overfitting is not None:
        axes.axvline(overfitting, color=BLACK, ls=":", lw=1.2, label=f"overfitting from epoch {overfitting} on")
    finite = np.concatenate([curve.y for curve in curves])
    if finite.size and finite.min() > 0 and finite.max() > 100 * np.median(finite):
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, 1.05 * finite.max(initial=0) or 1)
    axes.set(title=title, ylabel="loss (cross-entropy)")
    legend_below(axes)
    return figure


@styled
def accuracy_curves(histories: Sequence[History], *, on_test: bool = False) -> "Figure":
    """Training and validation accuracy over the epochs, in per cent; arguments as in `loss_curves`."""
    figure = new_figure(6.4, 4.0)
    axes = figure.add_subplot()
    curves = _training_and_validation(axes, histories, "accuracy", on_test=on_test)
    last = curves[-1]
    ends = f": {last.name.partition(',')[0]} {percent(last.y[-1] / 100)} at the end" if len(last.y) else ""
    axes.set(title=f"Accuracy over the epochs{ends}", ylabel="accuracy (%)")
    axes.set_ylim(top=min(101, axes.get_ylim()[1]))
    legend_below(axes)
    return figure


@styled
def learning_curves(named: Mapping[str, Sequence[History]], title: str = "Learning curves") -> "Figure":
    """Loss and accuracy curves of several trainings or trials; each curve is the mean of its histories.

    Shows validation curves, or training curves for histories without validation.
    """
    every = [history for histories in named.values() for history in histories]
    validated = any(np.isfinite(history.val_loss).sum() > min(1, history.epochs - 1) for history in every)
    prefix, what = ("val_", "validation ") if validated else ("", "training ")
    figure = new_figure(7.6, 3.4 + 0.17 * len(named))
    panels = figure.subplots(1, 2)
    for axes, field, unit in zip(panels, ("loss", "accuracy"), ("cross-entropy", "%"), strict=True):
        lines = []
        for number, (name, histories) in enumerate(named.items()):
            look = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
            lines.append(_curve(axes, histories, prefix + field, name, *look, opacity=0.07))
        axes.set(ylabel=f"{what}{field} ({unit})")
        if not np.isfinite(axes.dataLim.bounds).all():
            axes.set_yticks([])
        _epoch_axis(axes, [history for histories in named.values() for history in histories], lines)
        finite = np.concatenate([line.y[line.y > 0] for line in lines] or [np.zeros(0)])
        if field == "loss" and finite.size and finite.max() > 100 * np.median(finite):
            axes.set_yscale("log")
    figure.suptitle(title, x=0.01, ha="left")
    legend_below(panels[0], columns=1)
    return figure


@styled
def confusion_matrix(matrix: NDArray[np.int64], names: Sequence[str] | None = None) -> "Figure":
    """Counts int64 (classes, classes): rows are the correct classes, columns the predicted ones.

    `names`: of the classes, if they are others than the digits 0 to 9. Raises ValueError for a negative count.
    """
    if matrix.min() < 0:
        raise ValueError(f"a confusion matrix holds the count {matrix.min()}")
    digits = [str(digit) for digit in range(len(matrix))]
    what, levels = ("digit", digits) if list(names or digits) == digits else ("class", list(names or ()))
    total, right = int(matrix.sum()), int(np.trace(matrix))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = max(4.6, 1.4 + 0.24 * len(matrix))
    figure = new_figure(side, side)
    axes = figure.add_subplot()
    axes.imshow(shares**0.5, cmap="Blues", vmin=0, vmax=1.15)
    cells = []
    for (row, column), count in np.ndenumerate(matrix):
        cells.append(HeatCell(column, row, f"correct {what} {levels[row]}, predicted {what} {levels[column]}: {count}"))
        if count:
            colour = "white" if shares[row, column] > 0.4 else BLACK
            axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=8)
    point_at(axes, cells)
    ticks = range(len(matrix))
    axes.set(xticks=ticks, yticks=ticks, xlabel=f"predicted {what}", ylabel=f"correct {what}")
    if levels != digits:
        axes.set_yticklabels(levels)
        axes.set_xticklabels(levels, rotation=0 if max(map(len, levels)) < 3 else 90)
    axes.set_title(f"{right:,} of {total:,} digits classified correctly ({percent(right / max(total, 1))})")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


@styled
def reliability_diagram(bins: Sequence[Mapping[str, Any]], error: float) -> "Figure":
    """Accuracy by predicted probability, bin by bin, and the number of digits in each bin."""
    figure = new_figure(4.8, 5.4)
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    filled = [one for one in bins if one["digits"]]
    upper.plot([0, 1], [0, 1], ls="--", color=GREY, label="perfect calibration")
    confidence, accuracy = [one["confidence"] for one in filled], [one["accuracy"] for one in filled]
    gap = "gap; its mean over the digits is the calibration error"
    upper.vlines(confidence, confidence, accuracy, color=VERMILLION, lw=1, label=gap)
    upper.plot(confidence, accuracy, "o", color=BLUE, clip_on=False, zorder=3, label="share classified correctly")
    upper.set(
        title=f"Reliability: calibration error {error:.3f}", ylabel="share classified correctly", ylim=(-0.02, 1.05)
    )
    lows = [one["low"] for one in bins]
    lower.bar(lows, [one["digits"] for one in bins], width=1 / max(len(bins), 1), align="edge", color=BLUE)
    lower.set(xlabel="probability of the predicted class", ylabel="number of digits", xlim=(0, 1), yscale="log")
    legend_below(upper, columns=1)
    return figure


def _training_and_validation(axes: "Axes", histories: Sequence[History], field: str, *, on_test: bool) -> list[Line]:
    """Draw both curves of one field and mark the epoch of a divergence; returns the means, training first."""
    of_many = f", mean and range of {len(histories)} seeds" if len(histories) > 1 else ""
    lines = [_curve(axes, histories, field, f"training{of_many}", BLUE, "--")]
    if any(history.val_loss for history in histories):
        name = "validation (test digits)" if on_test else "validation"
        lines.append(_curve(axes, histories, f"val_{field}", f"{name}{of_many}", VERMILLION, "-"))
    diverged = [int(bad[0]) + 1 for history in histories if len(bad := np.flatnonzero(~np.isfinite(history.loss)))]
    if diverged:
        many = f"{len(diverged)} of {len(histories)} " if len(histories) > 1 else ""
        axes.axvline(min(diverged), color=GREY, ls=":", label=f"{many}diverged at epoch {_listed(sorted({*diverged}))}")
    _epoch_axis(axes, histories, lines)
    return lines


def _curve(
    axes: "Axes", histories: Sequence[History], field: str, label: str, colour: str, dashes: str, opacity: float = 0.18
) -> Line:
    """Draw mean and range of one field of some histories, and return the mean; accuracies in per cent.

    The mean is drawn where all histories have a number, the range where any has.
    """
    scale = 100 if field.endswith("accuracy") else 1
    mean = scale * np.array(getattr(History.mean(histories), field), dtype=np.float64)
    known = np.isfinite(mean)  # some epochs are not validated
    line = Line(label.partition(", mean and")[0], colour, (np.flatnonzero(known) + 1).astype(np.float64), mean[known])
    axes.plot(line.x, line.y, color=colour, ls=dashes, marker="o" if len(line.x) == 1 else "", label=label)
    if len(histories) > 1:
        columns = zip_longest(*(getattr(history, field) for history in histories), fillvalue=np.nan)
        values = scale * np.array([*columns], dtype=np.float64).reshape(-1, len(histories))
        some = np.isfinite(values).any(axis=1)
        low, high = np.nanmin(values[some], axis=1), np.nanmax(values[some], axis=1)
        axes.fill_between(np.flatnonzero(some) + 1, low, high, color=colour, alpha=opacity, lw=0)
    return line


def _epoch_axis(axes: "Axes", histories: Sequence[History], lines: Sequence[Line]) -> None:
    """Label the axis of epochs, and let the pointer read the lines over it."""
    from matplotlib.ticker import MaxNLocator

    epochs = max([1, *(history.epochs for history in histories)])
    axes.set_xlim(0.5, epochs + max(0.5, 0.02 * epochs))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.set_xlabel("epoch")
    if drawn := tuple(line for line in lines if len(line.x)):
        point_at(axes, Lines("epoch", axes.get_ylabel(), drawn))


def _listed(numbers: Sequence[int]) -> str:
    """`9`, `9 and 17`, `9, 17 and 20`; at most five numbers."""
    if len(numbers) > 5:
        return ", ".join(map(str, numbers[:4])) + f" and {len(numbers) - 4} more"
    return " and ".join([", ".join(map(str, numbers[:-1])), str(numbers[-1])][not numbers[:-1] :])
