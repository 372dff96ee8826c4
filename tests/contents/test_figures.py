"""Figures show what the files of their run say; and their reader finds the faults it is there for."""

import json
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small import NETWORK

from contents.claims import faults_of
from contents.drawings import WHITE, drawn
from contents.figures import FIGURES
from contents.other_views import png_faults, pointer_faults
from contents.passages import Passage
from contents.reader import faults as all_faults
from contents.reader import show
from contents.records import Record
from contents.training import RULES, quantities
from mnistexp import api
from mnistexp.figures import plots, style, sweeps
from mnistexp.report.svg import draw
from mnistexp.runs.results import History
from mnistexp.sweeps.sweep_files import read_sweep, sweep_documents

CELL, BAR, DOT = (
    r"<!-- (\d+\.\d) -->",
    r'(y="[\d.]+)(" style="fill: #\w+; stroke: #(?!0000))',
    r'(y="[\d.]+)(" style="fill: #0072b2)',
)
SHADE = r'(style="fill: )(#\w{6})(; stroke: #ffffff)'


def faults(run: Path, stem: str, spoil: Callable[[str], str] = str) -> list[str]:
    """What is wrong with a figure of a sweep, spoilt before it is read."""
    svg = (run / f"{stem}.svg").read_text("utf-8")
    spoilt = spoil(svg)
    assert (spoilt != svg) is (spoil is not str)
    return list(FIGURES[stem](drawn(spoilt.encode()), {"record": Record(run)}))


def swapped(pattern: str) -> Callable[[str], str]:
    """Two texts, or two colours, that differ: each in the place of the other."""

    def spoil(svg: str) -> str:
        first, *others = re.finditer(pattern, svg)
        second = next(one for one in others if one[0] != first[0])
        between = svg[first.end() : second.start()]
        return svg[: first.start()] + second[0] + between + first[0] + svg[second.end() :]

    return spoil


def moved(pattern: str, by: float = 2.0) -> Callable[[str], str]:
    """The first mark of a pattern somewhat lower."""
    return lambda svg: re.sub(pattern, lambda it: f'y="{float(it[1][3:]) + by}{it[2]}', svg, count=1)


@pytest.mark.parametrize("stem", ["heat_maps", "marginals", "parallel_coordinates", "top_learning_curves"])
def test_a_figure_of_a_sweep_shows_its_trials(finished: dict[str, Path], stem: str) -> None:
    assert faults(finished["sweep"], stem) == []


@pytest.mark.parametrize(
    ("stem", "spoil", "fault"),
    [
        ("heat_maps", swapped(CELL), "says"),
        ("heat_maps", swapped(SHADE), "colour of"),
        ("marginals", moved(BAR), "no bar at the mean"),
        ("marginals", moved(DOT), "other dots"),
        ("parallel_coordinates", swapped(r"L [\d.]+ [\d.]+ \n\" clip"), "no trial's"),
        ("top_learning_curves", lambda svg: re.sub(r"\((\d\d)\.\d%\)", r"(\1.99%)", svg, count=1), "the legend says"),
    ],
)
def test_a_spoilt_figure_of_a_sweep_is_found(
    finished: dict[str, Path], stem: str, spoil: Callable[[str], str], fault: str
) -> None:
    assert any(fault in one for one in faults(finished["sweep"], stem, spoil))


def test_swapped_counts_of_a_confusion_matrix_are_found(finished: dict[str, Path]) -> None:
    record = Record(finished["train"])
    known = {"record": record, "counts of all": record.confusions[0]}
    svg = (record.path / "confusion_matrix.svg").read_text("utf-8")
    start = svg.index("correct digit")  # the ticks are before it
    for told, right in ((svg, True), (svg[:start] + swapped(r"<!-- \d+ -->")(svg[start:]), False)):
        assert (list(FIGURES["confusion_matrix"](drawn(told.encode()), known)) == []) is right


def test_a_stale_legend_or_title_of_a_loss_curve_is_found(finished: dict[str, Path]) -> None:
    record = Record(finished["repeats"])
    known = quantities(record)
    words = drawn((record.path / "loss_curves.svg").read_bytes()).words
    told = [Passage("figure loss_curves", word) for word in words]
    assert faults_of(told, RULES, known) == []
    assert any("lowest validation loss" in text for _, text in told)
    for place, text in told:
        for stale in {re.sub(r"\d+(?!.*\d)", lambda last: str(int(last[0]) + 7), text)} - {text}:
            assert faults_of([Passage(place, stale)], RULES, known), stale


def test_a_value_under_the_pointer_that_is_not_drawn_there_is_found(finished: dict[str, Path]) -> None:
    shown = drawn((finished["sweep"] / "heat_maps.svg").read_bytes())
    box = next(box for box, colour in shown.axes[0].boxes if colour != WHITE)
    [text] = [one for one in shown.axes[0].inside(box) if one[0].isdigit()]
    place = [*box[0], *np.diff(box, axis=0)[0]]
    for told in (text, "12.3"):
        panels = [{"cells": [[*place, f"dropout 0, beta_1 0.5: {told}"]]}]
        assert (pointer_faults(panels, shown) == []) is (told == text)


def test_the_figures_of_a_sweep_with_one_trial_of_two_settings_show_it(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    whole = read_sweep(finished["sweep"])
    alone = replace(whole, trials=whole.trials[:1], best=0)
    shutil.copytree(finished["sweep"] / "trials", tmp_path / "trials")
    shutil.copy(finished["sweep"] / "config.yaml", tmp_path)
    (tmp_path / "trials.csv").write_text(str(sweep_documents(alone)["trials.csv"]))
    for stem, figure in sweeps.of_sweep(alone).items():
        (tmp_path / f"{stem}.svg").write_bytes(style.render(figure, "svg"))
        assert faults(tmp_path, stem) == []
    assert any("other dots" in one for one in faults(tmp_path, "marginals", moved(DOT)))


def test_a_curve_may_lie_under_another_in_a_png_and_one_that_lies_elsewhere_is_found(tmp_path: Path) -> None:
    losses = tuple(2 / epoch for epoch in range(1, 31))
    shares = tuple(1 - loss / 3 for loss in losses)
    one = History(losses, shares, losses, shares)
    two = History(losses, shares, losses[::-1], shares[::-1])
    covered, apart = (plots.learning_curves({"first": [one], "second": [other]}) for other in (one, two))
    shown, png = drawn(style.render(covered, "svg")), tmp_path / "curves.png"
    png.write_bytes(style.render(covered, "png"))
    assert png_faults(png, shown) == []
    png.write_bytes(style.render(apart, "png"))
    assert png_faults(png, shown) == ["curves.png doesn't show the curves of its SVG"]


@pytest.mark.parametrize("data", [None, "unseen"])
def test_an_evaluation_is_that_of_its_model_and_another_calibration_is_found(
    finished: dict[str, Path], tmp_path: Path, data: str | None
) -> None:
    copied = shutil.copytree(finished["train"], tmp_path / finished["train"].name)
    run = api.evaluate(copied.name, data, runs_dir=tmp_path).run_dir
    assert show(run) == []
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["calibration"]["error"] += 0.02
    (run / "metrics.json").write_text(json.dumps(metrics))
    svg = (run / "reliability.svg").read_text()
    (run / "reliability.svg").write_text(moved(DOT)(svg))
    found = all_faults(run)
    assert any("calibration.error" in fault for fault in found)
    assert any("the shares of the bins" in fault for fault in found)


def test_accuracy_by_digits_is_read_and_moved_marks_are_found(tmp_path: Path) -> None:
    grid = {"training.share": [0.25, 0.5, 1.0], "optimizer.learning_rate": [0.001, 0.01]}
    small = {**NETWORK, "data.digits": 200, "training.epochs": 2, "sweep.grid": grid, "sweep.executor": "serial"}
    run = api.sweep("sweep-optimizer", small | {"sweep.cache": False}, runs_dir=tmp_path).run_dir
    assert all_faults(run) == []
    svg = (run / "accuracy_by_digits.svg").read_text("utf-8")
    spoilt = re.sub(DOT, lambda it: f'y="{float(it[1][3:]) + 9}{it[2]}', svg)  # of one setting, all
    assert spoilt != svg
    page, panels = draw(sweeps.accuracy_by_digits(sweeps.curves_by_digits(read_sweep(run))), "accuracy", "f-")
    assert pointer_faults(panels, drawn(page)) == []
    for column, by in ((0, 3.0), (1, 3.0), (2, 26.0), (3, 2.0)):  # place and value of each point of one curve
        other = deepcopy(panels)
        for point in other[0]["lines"][0]["points"]:
            point[column] += by
        assert len(pointer_faults(other, drawn(page))) == 1, column
    known = {"record": Record(run), "sizes": [26, 53, 106]}
    assert not list(FIGURES["accuracy_by_digits"](drawn(svg.encode()), known))
    assert any("no marks at" in one for one in FIGURES["accuracy_by_digits"](drawn(spoilt.encode()), known))
