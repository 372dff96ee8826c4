"""The report's sections on the trials of a sweep: settings, optimizers, how much better the best is, and its score."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnistexp import statistics
from mnistexp.config import shown
from mnistexp.figures.axes import name_of, swept_parameters
from mnistexp.figures.heat_maps import Shown, heat_maps
from mnistexp.figures.parallel import parallel_coordinates
from mnistexp.figures.sweeps import marginals
from mnistexp.report.page import DASH, Cell, Paragraph, Picture, Section, Table, number, percent, points
from mnistexp.runs.results import SweepResult, TrialResult
from mnistexp.sweeps.ranking import fold_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 8.4
"""Inches of a figure with three panels of four cells each side by side."""
DIFFERENCE = ("points", "95% interval", "fewer errors")


def families_section(whole: Sequence[TrialResult], families: Sequence[str], sweep: SweepResult) -> Section:
    """The best trial of each optimizer, and the average and worst."""
    rows, winner = [], sweep.winner
    pairs = list(zip(whole, families, strict=True))
    groups = {name: [trial for trial, own in pairs if own == name] for name in dict.fromkeys(families)}
    for name, trials in groups.items():
        top = max(trials, key=lambda trial: trial.mean)
        worst = min(trial.mean for trial in trials)
        mean = float(np.mean([trial.mean for trial in trials]))
        scores = percent(top.mean), percent(mean), percent(worst)
        rows.append((Cell(name), number(len(trials)), *scores, Cell(name_of(top, trials))))
    marked = frozenset(row for row, name in enumerate(groups) if winner in groups[name])
    return Section(
        "How do the optimizers compare?",
        Paragraph(_families_answer({name: max(one.mean for one in own) for name, own in groups.items()}), "answer"),
        Table(
            "Optimizers by their best trial",
            ("optimizer", "trials", "best", "average", "worst", "best settings"),
            tuple(rows),
            marked=marked,
        ),
    )


def _families_answer(best: Mapping[str, float]) -> str:
    """The best trial of each optimizer, in words."""
    (first, top), *others = sorted(best.items(), key=lambda item: -item[1])
    told = [f"that of {name} {shown.percent(score)}, {shown.points(top, score)} points less" for name, score in others]
    return f"The best trial of {first} reaches {shown.percent(top)}; {'; '.join(told)}."


def _settings_answer(sweep: SweepResult) -> str:
    """How far the best accuracy at each value of a setting varies, in words, the widest first."""
    scores = np.array([trial.mean for trial in sweep.trials])
    told = []
    for parameter in swept_parameters(sweep.trials):
        own = [scores[(parameter.level == level) & np.isfinite(scores)] for level in range(parameter.levels)]
        tops = {parameter.level_name(level): float(each.max()) for level, each in enumerate(own) if len(each)}
        if len(tops) > 1:
            worst, best = min(tops, key=tops.__getitem__), max(tops, key=tops.__getitem__)
            points = shown.signed_points(tops[best], tops[worst])
            ends = f"{shown.percent(tops[best])} with {best}, {shown.percent(tops[worst])} with {worst}"
            told.append((points, f"with {parameter.name}, by {points:.1f} points ({ends})"))
    told.sort(key=lambda item: -item[0])
    if not told:
        return "Only one trial has a score, so no setting can be compared."
    return f"The best accuracy at each value varies most {'; then '.join(text for _, text in told)}."


def settings_section(sweep: SweepResult, heat: Shown) -> Section:
    """How much each setting matters, in words and as figures; `heat`: which of the hidden trials heat maps show."""
    best = f"The best trial: {name_of(sweep.winner, sweep.trials)}."

    def picture(title: str, said: str, figure: "Figure") -> Picture:
        return Picture(title, f"{said} {best}", _compact(figure))

    said = "Accuracy of every trial by the value of each setting."
    pictures = [picture("Accuracy by single setting", said, marginals(sweep))]
    if len(swept_parameters(sweep.trials)) != 1:  # the others would show the same few numbers again
        said = f"Heat maps of the {heat} accuracy over all other settings, by pairs of settings."
        pictures.insert(0, picture("Accuracy by pairs of settings", said, heat_maps(sweep, heat)))
        said = "Parallel coordinates: each trial is a line through its settings and its accuracy."
        pictures.append(picture("Parallel coordinates of all trials", said, parallel_coordinates(sweep)))
    return Section("Which settings matter?", Paragraph(_settings_answer(sweep), "answer"), *pictures)


def _compact(figure: "Figure") -> "Figure":
    """Narrow the figure to its cells, so that its text stays readable when a page scales it."""
    width, height = figure.get_size_inches()
    levels = max(abs(axes.get_xlim()[1] - axes.get_xlim()[0]) for axes in figure.axes)
    figure.set_size_inches(min(width, max(WIDTH, WIDTH * levels / 4)), height)
    return figure


def gaps_section(whole: Sequence[TrialResult], correct: NDArray[np.bool_], families: Sequence[str]) -> Section:
    """The best trial against the worst and the average, overall and in each family of several.

    `correct`: bool (trials, repeats, digits), of the trials in `whole`. `families`: one for each of these.
    """
    weights = fold_weights(whole[0], correct.shape[-1])
    gaps = statistics.compare_trials(correct, families if len(set(families)) > 1 else (), weights=weights)
    rows = []
    for gap in gaps:
        name = "all trials" if gap.family == "all" else gap.family
        for other, versus in (("worst", gap.versus_worst), ("average", gap.versus_average)):
            interval = 100 * versus.interval.low, 100 * versus.interval.high
            cells = difference(versus.first, versus.second, interval, versus.error_reduction)
            rows.append((Cell(f"{name}: best against {other}"), *cells))
    worst, average = (shown.points(one.first, one.second) for one in (gaps[0].versus_worst, gaps[0].versus_average))
    return Section(
        "How much better is the best trial than the worst and the average?",
        Paragraph(
            f"The accuracy of the best trial is {worst} points above that of the worst of "
            f"{len(whole)}, and {average} points above their average.",
            "answer",
        ),
        Table(
            "Differences on the same digits",
            ("comparison", "best", "other", *DIFFERENCE),
            tuple(rows),
            more="Paired bootstrap over the digits. The best trial was chosen on these digits, so its lead is "
            "overestimated; the smaller the lead, the larger the bias.",
        ),
    )


def difference(
    better: float, other: float, interval: Sequence[float], error_reduction: float | None
) -> tuple[Cell, ...]:
    """Two accuracies and the cells of `DIFFERENCE`; `interval`: the ends in points."""
    low, high = interval
    ends = Cell(f"{low:.1f} to {high:.1f}")
    return percent(better), percent(other), points(better, other), ends, percent(error_reduction)


def worth_section(whole: Sequence[TrialResult], correct: NDArray[np.bool_], sweep: SweepResult) -> Section:
    """The winning score corrected for selection; `correct`: bool (trials, repeats, digits)."""
    bias = statistics.bbc_cv(correct, weights=fold_weights(whole[0], correct.shape[-1]))
    digits = len(sweep.labels)
    return Section(
        "Is the winning score representative of unseen data?",
        Paragraph(bias.sentence, "answer"),
        Paragraph(
            f"The best of {len(whole)} trials was chosen by its score on these {digits} digits, so the score is "
            "optimistic. The correction resamples the digits many times, chooses on those drawn, and scores on "
            "those left out (BBC-CV, Tsamardinos, Greasidou and Borboudakis 2018)."
        ),
        Table(
            "Score before and after correction",
            ("score", "accuracy", "95% interval"),
            (
                (Cell("as chosen"), percent(bias.raw), Cell(DASH)),
                (
                    Cell("corrected for selection"),
                    percent(bias.corrected),
                    Cell(shown.span(*bias.interval.ends)),
                ),
            ),
        ),
    )
