"""Figures say what the data say, draw whatever a training or sweep may give, and are the same bytes each time."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mnistexp import data
from mnistexp.config.models import DataConfig, ModelConfig
from mnistexp.config.networks import layer_table
from mnistexp.figures import drawings, parallel, plots, style, sweeps
from mnistexp.figures.axes import name_of, swept_parameters
from mnistexp.figures.heat_maps import Shown
from mnistexp.figures.trials import CROSS
from mnistexp.runs.results import FoldResult, History, SweepResult, TrialResult
from mnistexp.statistics import wilson
from mnistexp.statistics.more_digits import AccuracyCurve

NAN = float("nan")
CURVES = History((2.0, 1.0, 0.5, 0.25), (0.2, 0.5, 0.8, 0.9), (1.5, 0.5, 0.75, 0.5), (0.4, 0.8, 0.7, 0.85))
DIVERGED = History((2.0, NAN, NAN), (0.2, 0.1, 0.1), (3.0, NAN, NAN), (0.2, 0.1, 0.1))


def line(axes: Axes, label: str) -> Any:
    """The one line whose label begins so."""
    (found,) = (found for found in axes.get_lines() if str(found.get_label()).startswith(label))
    return found


def legend(figure: Figure) -> list[str]:
    holders = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return [text.get_text() for holder in holders if holder for text in holder.get_texts()]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


# Curves


def test_loss_curves_show_the_losses_and_mark_every_minimum() -> None:
    figure = plots.loss_curves([CURVES], flat=(2, 3), overfitting=4, on_test=True)
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Loss over the epochs: lowest validation loss 0.5000 at epochs 2 and 4"
    for label, values in (("training", CURVES.loss), ("validation", CURVES.val_loss)):
        assert line(axes, label).get_xdata().tolist() == [1, 2, 3, 4]
        assert line(axes, label).get_ydata().tolist() == list(values)
    minimum = line(axes, "minimum")
    assert (list(minimum.get_xdata()), list(minimum.get_ydata())) == ([2, 4], [0.5, 0.5])
    assert legend(figure) == [
        "training", "validation (test digits)", "minimum",
        "epochs 2 to 3: within one standard error", "overfitting from epoch 4 on",
    ]  # fmt: skip
    (span,) = axes.patches
    assert isinstance(span, Rectangle)
    assert (span.get_x(), span.get_width()) == (1.5, 2)
    assert line(axes, "overfitting").get_xdata() == [4, 4]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss (cross-entropy)")


def test_accuracy_curves_are_in_per_cent() -> None:
    (axes,) = plots.accuracy_curves([CURVES]).axes
    assert line(axes, "validation").get_ydata() == pytest.approx([40, 80, 70, 85])
    assert axes.get_ylabel() == "accuracy (%)"
    assert axes.get_ylim()[1] <= 101


def test_several_trainings_give_a_mean_and_a_band_of_their_range() -> None:
    other = History((4.0, 2.0), (0.4, 0.6), (2.5, 1.5), (0.4, 0.6))
    (axes,) = plots.loss_curves([CURVES, other]).axes
    assert line(axes, "training, mean and range of 2 seeds").get_ydata().tolist() == [
        3.0,
        1.5,
    ]  # the epochs that both have
    band = next(item for item in axes.collections if isinstance(item, PolyCollection))
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert corners >= {(1, 2), (1, 4), (2, 1), (2, 2), (3, 0.5), (4, 0.25)}


def test_divergence_is_named_with_its_epoch() -> None:
    figure = plots.loss_curves([DIVERGED])
    assert "diverged at epoch 2" in legend(figure)
    assert line(figure.axes[0], "diverged").get_xdata() == [2, 2]
    assert "1 of 3 diverged at epoch 2" in legend(plots.loss_curves([CURVES, DIVERGED, CURVES]))


def test_exploding_loss_is_drawn_on_a_logarithmic_scale() -> None:
    exploding = History((2.0, 50.0, 1e6, 1e12), (0.1,) * 4)
    assert plots.loss_curves([exploding]).axes[0].get_yscale() == "log"
    assert plots.loss_curves([CURVES]).axes[0].get_yscale() == "linear"


HISTORIES = {
    "usual": [CURVES],
    "many": [CURVES] * 3,
    "one epoch": [History((2.0,), (0.1,), (1.0,), (0.2,))],
    "no validation": [History((2.0, 1.0), (0.1, 0.2))],
    "nothing but NaN": [History((NAN,) * 3, (NAN,) * 3, (NAN,) * 3, (NAN,) * 3)],
    "infinite": [History((2.0, float("inf")), (0.1, 0.1), (2.0, float("inf")), (0.1, 0.1))],
    "diverged among others": [CURVES, DIVERGED],
    "all zero": [History((0.0, 0.0), (1.0, 1.0), (0.0, 0.0), (1.0, 1.0))],
    "no epoch": [History((), ())],
    "none": [],
}


@pytest.mark.parametrize("name", HISTORIES)
def test_any_history_can_be_drawn(name: str) -> None:
    for draw in (
        plots.loss_curves,
        plots.accuracy_curves,
        lambda histories: plots.learning_curves({"a": histories}),
    ):
        assert style.render(draw(HISTORIES[name]), "png").startswith(b"\x89PNG")


def test_learning_curves_name_each_training_and_show_its_validation() -> None:
    figure = plots.learning_curves({"slow": [CURVES], "fast": [DIVERGED]}, "Two runs")
    assert legend(figure) == ["slow", "fast"]
    loss, accuracy = figure.axes
    assert line(loss, "slow").get_ydata().tolist() == list(CURVES.val_loss)
    assert line(accuracy, "fast").get_ydata() == pytest.approx([20, 10, 10])
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("validation loss (cross-entropy)", "validation accuracy (%)")
    unvalidated = plots.learning_curves({"slow": [History((2.0, 1.0), (0.1, 0.2))]})
    assert line(unvalidated.axes[0], "slow").get_ydata().tolist() == [2.0, 1.0]
    assert unvalidated.axes[0].get_ylabel() == "training loss (cross-entropy)"


def test_epoch_axis_counts_whole_epochs_from_one() -> None:
    for epochs in (1, 2, 7, 60, 150):
        (axes,) = plots.loss_curves([History((1.0,) * epochs, (0.5,) * epochs)]).axes
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert min(ticks) >= 1
        assert all(tick == round(tick) for tick in ticks)
        assert high >= epochs


# Confusions, and a training's whole set


def test_confusion_matrix_writes_every_count_at_its_place() -> None:
    matrix = np.diag(np.arange(10, 20))
    matrix[4, 9], matrix[7, 7] = 3, 0
    (axes,) = plots.confusion_matrix(matrix).axes
    written = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert written == {(row, column): str(matrix[row, column]) for row, column in np.argwhere(matrix).tolist()}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted digit", "correct digit")
    assert axes.get_title(loc="left") == f"{np.trace(matrix)} of {matrix.sum()} digits classified correctly (97.7%)"
    plots.confusion_matrix(np.zeros((10, 10), dtype=np.int64))
    with pytest.raises(ValueError, match="-1"):
        plots.confusion_matrix(np.full((10, 10), -1))


def test_a_training_with_repeats_has_the_figures_of_all_of_them() -> None:
    confusion = np.diag([2, 2, 2, 0, 0, 0, 0, 0, 0, 0])
    confusion[3, 9] = 2
    best = {"first": 2, "last": 3, "overfitting_from": None}
    document = {"validated_on": "test", "best_epochs": best, "confusion_matrix": confusion.tolist()}
    drawn = plots.of_training([CURVES, CURVES], document)
    assert list(drawn) == ["loss_curves", "accuracy_curves", "confusion_matrix"]
    assert drawn["confusion_matrix"].axes[0].get_title(loc="left") == "6 of 8 digits classified correctly (75.0%)"
    assert "epochs 2 to 3: within one standard error" in legend(drawn["loss_curves"])


# Digits and networks


def test_examples_show_each_digit_under_its_own_label() -> None:
    digits = data.load(DataConfig())
    rows = data.split(digits.labels, DataConfig()).train
    images, labels = digits.images[rows], digits.labels[rows]
    figure = drawings.examples(images, labels, [37, 235, 72])
    for axes, index in zip(figure.axes, [37, 235, 72], strict=True):
        assert np.array_equal(axes.images[0].get_array(), images[index])
        assert axes.get_title() == f"label {labels[index]}"
        assert axes.get_xlabel() == f"index {index}"
    assert len(drawings.examples(images, labels, range(14)).axes) == 14


def test_network_drawing_names_each_layer_its_output_and_its_parameters() -> None:
    layers = layer_table(ModelConfig())
    written = texts(drawings.network(layers))
    plain = [text.replace("\N{MULTIPLICATION SIGN}", "*").replace(" ", "") for text in written]
    for layer in layers:
        assert layer.kind in written
        assert "*".join(map(str, layer.output_shape)) in plain
        assert layer.arithmetic.replace(" ", "") in plain or not layer.arithmetic
    assert {"28*28*1", "108,618intotal"} <= set(plain)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [10, 28, 40])
def test_terminal_digit_has_the_size_asked_for_and_ink_where_the_digit_has(width: int, *, unicode: bool) -> None:
    image = data.load(DataConfig()).images[0]
    lines = drawings.terminal_digit(image, width, unicode=unicode)
    assert [len(line) for line in lines] == [width] * round(width / 2)
    assert unicode or "".join(lines).isascii()
    blank = np.zeros((28, 28), dtype=np.uint8)
    assert set("".join(drawings.terminal_digit(blank, width, unicode=unicode))) == {" "}
    assert set("".join(drawings.terminal_digit(255 - blank, width, unicode=unicode))) == {"█" if unicode else "@"}
    corner = blank.copy()
    corner[:14, 14:] = 255
    for number, line_ in enumerate(drawings.terminal_digit(corner, 28, unicode=unicode)):
        assert [character != " " for character in line_] == [False] * 14 + [number < 7] * 14


def test_terminal_digit_draws_two_pixels_in_each_character() -> None:
    image = np.zeros((28, 28), dtype=np.uint8)
    image[0, 0] = image[1, 1] = image[:2, 2] = 255
    assert drawings.terminal_digit(image)[0] == "▀▄█" + " " * 25


def test_pictures_stand_side_by_side_as_far_as_they_fit() -> None:
    pictures = [["aa", "AA"], ["bb", "BB"], ["cc", "CC"]]
    assert drawings.side_by_side(pictures, 10) == ["aa  bb  cc", "AA  BB  CC"]
    assert drawings.side_by_side(pictures, 9) == ["aa  bb", "AA  BB", "cc", "CC"]
    assert drawings.side_by_side(pictures, 1) == ["aa", "AA", "bb", "BB", "cc", "CC"]
    assert drawings.side_by_side([], 80) == []


# Sweeps


def trial(index: int, params: Mapping[str, Any], score: float, **fold: Any) -> TrialResult:
    history = History((), ()) if np.isnan(score) else CURVES
    empty = np.zeros(0, dtype=np.int64), np.zeros((0, 10), dtype=np.float32)
    given = {"error": "ValueError: no" if np.isnan(score) else None, **fold}
    return TrialResult(
        index, dict(params), tuple(FoldResult(number, 0, score, history, *empty, **given) for number in range(3))
    )


def sweep(points: Sequence[Mapping[str, Any]], scores: Sequence[float], diverged: Sequence[int] = ()) -> SweepResult:
    trials = [
        trial(number, point, score, **({"diverged_at": 2} if number in diverged else {}))
        for number, (point, score) in enumerate(zip(points, scores, strict=True))
    ]
    best = int(np.argmax(np.nan_to_num(scores, nan=-1)))
    return SweepResult(tuple(trials), np.zeros(9, dtype=np.int64), best)


def grid(**values: Sequence[Any]) -> list[dict[str, Any]]:
    keys = [key.replace("__", ".") for key in values]
    return [dict(zip(keys, point, strict=True)) for point in itertools.product(*values.values())]


def adam() -> SweepResult:
    points = grid(
        optimizer__learning_rate=(0.001, 0.01, 1.0), optimizer__beta_1=(0.5, 0.9), optimizer__beta_2=(0.8, 0.999)
    )
    return sweep(points, [0.80, 0.82, 0.84, 0.86, 0.90, 0.91, 0.92, 0.95, 0.1, 0.1, 0.1, 0.1], diverged=(8, 10))


def several_optimizers() -> SweepResult:
    points = [
        *grid(optimizer__name=("adam", "nadam"), optimizer__learning_rate=(0.001, 0.1), optimizer__beta_1=(0.5, 0.9)),
        *grid(optimizer__name=("adadelta",), optimizer__learning_rate=(0.001, 1), optimizer__rho=(0.1, 1.0)),
    ]
    return sweep(points, [*np.linspace(0.2, 0.9, 11).tolist(), NAN], diverged=(3,))


def random_search(count: int) -> SweepResult:
    random = np.random.default_rng(1)
    points = [
        {
            "optimizer.learning_rate": float(10 ** random.uniform(-4, 0)),
            "model.dropout": float(random.uniform(0, 0.8)),
            "model.filters": ((8, 16), (16, 32))[int(random.integers(2))],
            "training.shuffle": bool(random.integers(2)),
        }
        for _ in range(count)
    ]
    return sweep(points, random.uniform(0.5, 0.95, count).tolist())


SWEEPS: dict[str, Callable[[], SweepResult]] = {
    "one setting": lambda: sweep(grid(model__dropout=(0.0, 0.2, 0.4)), [0.9, 0.92, 0.91]),
    "two settings": lambda: sweep(grid(a__b=(1, 2), a__c=(3, 4)), [0.1, 0.2, 0.3, 0.4]),
    "three settings": adam,
    "four settings": lambda: sweep(
        grid(a=(1, 2), b=(1, 2), c=("x", "y"), d=(True, False)), np.linspace(0, 1, 16).tolist()
    ),
    "several optimizers": several_optimizers,
    "hundreds": lambda: random_search(600),
    "one trial": lambda: sweep([{"model.dropout": 0.2}], [0.9]),
    "no settings": lambda: sweep([{}], [0.9]),
    "equal scores": lambda: sweep(grid(model__dropout=(0.0, 0.2)), [0.9, 0.9]),
    "all failed": lambda: sweep(grid(model__dropout=(0.0, 0.2)), [NAN, NAN]),
    "odd values": lambda: sweep([{"a": None}, {"a": 1}, {"a": "1"}, {"a": (1, 2)}, {}], [0.1, 0.2, 0.3, 0.4, 0.5]),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_any_sweep_can_be_drawn(name: str) -> None:
    result = SWEEPS[name]()
    drawn = sweeps.of_sweep(result)
    of_pairs = ["heat_maps", "parallel_coordinates"] * (len(swept_parameters(result.trials)) > 1)
    assert list(drawn) == [*of_pairs, "marginals", "top_learning_curves"]
    for figure in drawn.values():
        assert b"</svg>" in style.render(figure, "svg")


def test_swept_parameters_are_those_that_differ_with_their_levels_in_order() -> None:
    points = [
        {"optimizer.learning_rate": rate, "model.dropout": 0.1, "optimizer.name": "adam"} for rate in (1, 0.01, 1.0)
    ]
    (rate,) = swept_parameters(sweep(points, [0.1] * 3).trials)
    assert rate.name == "learning rate"
    assert rate.level.tolist() == [1, 0, 1]
    assert rate.ticks == ((0.0, "0.01"), (1.0, "1"))


def test_settings_that_a_trial_lacks_are_missing_and_names_are_short_where_they_can_be() -> None:
    optimizer, rate, beta, rho = swept_parameters(several_optimizers().trials)
    assert [optimizer.name, rate.name, beta.name, rho.name] == ["optimizer", "learning rate", "beta_1", "rho"]
    assert [label for _, label in optimizer.ticks] == ["adam", "nadam", "adadelta"]
    assert beta.level.tolist() == [0, 1] * 4 + [-1] * 4
    assert rho.level.tolist() == [-1] * 8 + [0, 1] * 2
    assert np.isnan(rho.place[0])
    alike = swept_parameters(sweep(grid(a__x=(1, 2), b__x=(1, 2)), [0.1] * 4).trials)
    assert [parameter.name for parameter in alike] == ["a.x", "b.x"]


def test_many_numbers_are_binned_on_the_scale_they_were_drawn_on() -> None:
    rate, dropout, *_ = swept_parameters(random_search(300).trials)
    for parameter in (rate, dropout):
        assert parameter.binned
        assert np.bincount(parameter.level, minlength=parameter.levels).min() > 300 / parameter.levels / 2
        assert (np.abs(parameter.place - parameter.level) <= 0.5 + 1e-9).all()
    assert float(rate.ticks[1][1]) / float(rate.ticks[0][1]) == pytest.approx(10 ** (4 / 6), rel=0.1)
    assert float(dropout.ticks[3][1]) == pytest.approx(0.4, abs=0.03)


CELLS: dict[Shown, list[str]] = {
    "best": ["82.0", "86.0", "91.0", "95.0", "10.0", "10.0"],
    "mean": ["81.0", "85.0", "90.5", "93.5", "10.0", "10.0"],
}


@pytest.mark.parametrize("shown", ["best", "mean"])
def test_heat_maps_show_the_best_or_mean_of_each_cell_frame_the_best_and_cross_the_diverged(shown: Shown) -> None:
    figure = sweeps.heat_maps(adam(), shown)
    rate_by_beta = figure.axes[0]
    assert (rate_by_beta.get_ylabel(), rate_by_beta.get_xlabel()) == ("learning rate", "beta_1")
    written = {text.get_position(): text.get_text() for text in rate_by_beta.texts}
    values = dict(zip([(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)], CELLS[shown], strict=True))
    assert written == values | {(0.46, 2.4): CROSS, (1.46, 2.4): CROSS}
    frame = rate_by_beta.patches[-1]
    assert isinstance(frame, Rectangle)
    assert frame.get_xy() == (0.5, 0.5)
    assert to_hex(frame.get_edgecolor()) == plots.VERMILLION
    assert len(figure.axes) == 3 + 1


def test_heat_maps_leave_out_settings_that_an_optimizer_lacks_and_say_where_all_failed() -> None:
    figure = sweeps.heat_maps(several_optimizers())
    pairs = [(axes.get_ylabel(), axes.get_xlabel()) for axes in figure.axes if axes.get_xlabel()]
    assert pairs == [
        ("optimizer", "learning rate"), ("optimizer", "beta_1"), ("learning rate", "beta_1"), ("learning rate", "rho"),
    ]  # fmt: skip
    by_beta = figure.axes[1]
    assert [label.get_text() for label in by_beta.get_yticklabels()] == ["adam", "nadam"]
    assert "failed" in texts(figure)


def test_marginals_show_every_trial_and_the_mean_of_each_level() -> None:
    result = adam()
    (rate, *_) = sweeps.marginals(result).axes
    mean, fine, crossed, lost = rate.get_lines()
    assert (len(fine.get_xdata()), len(crossed.get_xdata()), len(lost.get_xdata())) == (10, 2, 0)
    assert np.abs(np.asarray(fine.get_xdata()) - np.repeat([0, 1, 2], [4, 4, 2])).max() <= 0.15
    assert mean.get_ydata() == pytest.approx([83, 92, 10])
    assert mean.get_zorder() < fine.get_zorder()
    failed = sweeps.marginals(several_optimizers()).axes[0].get_lines()[3]
    assert len(failed.get_xdata()) == 1


def test_parallel_coordinates_lead_each_trial_to_its_accuracy() -> None:
    result = several_optimizers()
    axes, key = sweeps.parallel_coordinates(result).axes
    assert key.get_ylabel() == "accuracy (%)"
    (lines,) = (item for item in axes.collections if isinstance(item, LineCollection))
    ends = [segment[-1].tolist() for segment in lines.get_segments()]
    assert [end[0] for end in ends] == [4] * 12
    assert [end[1] for end in ends] == pytest.approx([parallel.BELOW, *np.linspace(0, 1, 11)])
    dotted = sum(pattern is not None for _, pattern in lines.get_linestyles())
    assert dotted == 2
    best = next(item for item in axes.get_lines() if item.get_linewidth() == 2.4)
    assert best.get_ydata()[-1] == 1
    assert {"optimizer", "learning rate", "beta_1", "rho", "accuracy (%)", "not used", "failed"} <= set(
        texts(sweeps.parallel_coordinates(result))
    )


def test_a_single_setting_is_drawn_once_with_the_range_of_its_fits() -> None:
    (axes,) = sweeps.marginals(SWEEPS["one setting"]()).axes
    assert axes.get_xlabel() == "dropout"
    ranges, dots = axes.get_lines()[:3], axes.get_lines()[3]
    assert [drawn.get_ydata()[0] for drawn in ranges] == pytest.approx(np.asarray(dots.get_ydata()))


def test_accuracy_by_digits_shows_each_setting_with_its_intervals_and_the_best_six_of_many() -> None:
    digits, accuracies = (53, 133, 533), (0.8, 0.85, 0.9)
    held = tuple(wilson(800 * accuracy, 800) for accuracy in accuracies)
    curves = [AccuracyCurve(f"beta_1 {number}", digits, accuracies, held) for number in range(8)]
    figure = sweeps.accuracy_by_digits(curves)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["53", "133", "533", "1,066"]
    assert len(axes.containers) == 6
    record = style.record_of(axes)
    assert isinstance(record, style.Lines)
    points, fitted = record.lines[:2]
    assert points.y == pytest.approx([80, 85, 90])
    assert fitted.name == "beta_1 0, fitted"
    assert fitted.x.tolist() == [53, 133, 533, 1066]
    assert fitted.y == pytest.approx(100 * curves[0].fitted(fitted.x))
    dashed = next(drawn for drawn in axes.get_lines() if drawn.get_linestyle() == "--")
    assert (dashed.get_xdata()[-1], dashed.get_ydata()[-1]) == pytest.approx((1066, fitted.y[-1]))
    _, _, (bars,) = axes.containers[0].lines
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    assert ends == pytest.approx(100 * np.array([(one.low, one.high) for one in held]))
    assert "best 6 of 8 settings" in str(figure.get_suptitle())


def test_two_numbers_of_digits_are_joined_by_a_line_without_a_fitted_curve() -> None:
    held = (wilson(640, 800), wilson(720, 800))
    curve = AccuracyCurve("accuracy", (266, 533), (0.8, 0.9), held)
    (axes,) = sweeps.accuracy_by_digits([curve]).axes
    assert curve.fitted([533]) is None
    assert axes.get_lines()[0].get_linestyle() == "-"
    record = style.record_of(axes)
    assert isinstance(record, style.Lines)
    assert [line.name for line in record.lines] == ["accuracy"]


def test_top_learning_curves_are_those_of_the_best_trials_in_order() -> None:
    figure = sweeps.top_learning_curves(adam(), n=2)
    assert legend(figure) == [
        "learning rate 0.01, beta_1 0.9, beta_2 0.999 (95.0%)",
        "learning rate 0.01, beta_1 0.9, beta_2 0.8 (92.0%)",
    ]
    assert line(figure.axes[0], "learning rate 0.01, beta_1 0.9, beta_2 0.999").get_ydata().tolist() == list(
        CURVES.val_loss
    )


def test_a_trial_is_named_by_the_settings_that_differ() -> None:
    trials = several_optimizers().trials
    assert name_of(trials[0], trials) == "optimizer adam, learning rate 0.001, beta_1 0.5"
    assert name_of(trials[-1], trials) == "optimizer adadelta, learning rate 1, rho 1"
    (only,) = sweep([{"model.dropout": 0.25}], [0.9]).trials
    assert name_of(only, [only]) == "dropout 0.25"


# Bytes and settings


def all_figures() -> dict[str, Figure]:
    digits = data.load(DataConfig())
    return {
        "loss": plots.loss_curves([CURVES, DIVERGED], flat=(1, 2)),
        "confusion": plots.confusion_matrix(np.eye(10, dtype=np.int64)),
        "examples": drawings.examples(digits.images, digits.labels, [0, 1]),
        "network": drawings.network(layer_table(ModelConfig())),
        "heat maps": sweeps.heat_maps(several_optimizers()),
        "parallel": sweeps.parallel_coordinates(several_optimizers()),
    }


def hashes() -> dict[str, str]:
    return {
        f"{name}.{kind}": hashlib.sha256(style.render(figure, kind)).hexdigest()
        for name, figure in all_figures().items()
        for kind in ("png", "svg")
    }


def test_same_data_give_the_same_bytes_in_any_process_whatever_its_matplotlibrc_says(tmp_path: Path) -> None:
    rc = tmp_path / "matplotlibrc"
    rc.write_text("font.size: 22\naxes.grid: False\nsvg.hashsalt: other\nsavefig.dpi: 33\naxes.facecolor: red\n")
    program = "import json, test_figures; print(json.dumps(test_figures.hashes()))"
    environment = os.environ | {
        "MATPLOTLIBRC": str(rc),
        "PYTHONHASHSEED": "5",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == hashes()


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    style.render(plots.loss_curves([CURVES]), "svg")
    assert dict(mpl.rcParams) == before


def test_nothing_loads_pyplot_and_importing_loads_no_matplotlib() -> None:
    program = (
        "import sys\nfrom mnistexp.figures import drawings, plots, style, sweeps\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from mnistexp.runs.results import History\n"
        "style.render(plots.loss_curves([History((1.0,), (0.5,))]), 'png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
