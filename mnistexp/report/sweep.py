"""The report of a sweep: the best trial, the trials tied with it, and the winning score corrected for selection."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mnistexp.config import shown
from mnistexp.figures import sweeps
from mnistexp.figures.axes import name_of, short_names, swept_parameters
from mnistexp.figures.heat_maps import Shown
from mnistexp.report.accuracy import gaps_section, worth_section
from mnistexp.report.origin import how_it_was_made, setting, standing, warnings
from mnistexp.report.page import (
    Block,
    Cell,
    Fact,
    Facts,
    Paragraph,
    Picture,
    RunReport,
    Section,
    Table,
    number,
    percent,
)
from mnistexp.runs.results import SweepResult, TrialResult
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.statistics.more_digits import AccuracyCurve
from mnistexp.sweeps.ranking import correct_matrix, ranked
from mnistexp.sweeps.shares import accuracy_curves
from mnistexp.sweeps.sweep_files import read_sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["sweep_report"]

MOST_TRIALS = 500
WIDTH = 8.4
"""Inches of a figure with three panels of four cells each side by side."""
AS_SUBMITTED = (
    "Run as submitted, with the notebook's bug: every row trained the same network with the same optimizer settings, "
    "whatever the row says; only the seed differs. The differences between rows are seed noise."
)


def sweep_report(stored: StoredRun) -> RunReport:
    """A finished sweep. Raises RunError where its files are missing or damaged."""
    found, sweep = stored.metrics or {}, read_sweep(stored.path)
    best, whole = sweep.winner, [trial for trial in sweep.trials if not trial.failed]
    correct = correct_matrix(whole, sweep.labels)
    name = name_of(best, sweep.trials)
    families = [str(trial.params.get("optimizer.name", setting(stored, "optimizer.name"))) for trial in whole]
    sections = [_winner_section(stored, found, sweep)]
    if len(set(families)) > 1:
        sections.append(_families_section(whole, families, sweep))
    sections.append(_settings_section(sweep, setting(stored, "sweep.heat_maps") or "best"))
    if curves := accuracy_curves(sweep):
        sections.append(_digits_section(found, curves))
    sections += [_curves_section(sweep), _ranking_section(sweep)]
    if len(whole) > 1:
        sections += [gaps_section(whole, correct, families), worth_section(whole, correct, sweep)]
    return RunReport(
        id=stored.id,
        kind="sweep",
        headline=f"{shown.percent(best.mean)} with {best.params.get('optimizer.name', name)}",
        lead=(
            f"{_best_of(sweep)} in {found['folds']}-fold cross-validation on "
            f"{len(sweep.labels)} training digits: {name}. {_tied(sweep)} The test digits were not used."
        ),
        facts=Facts(
            (
                Fact(
                    "best accuracy",
                    shown.percent(best.mean),
                    f"standard error {100 * best.standard_error:.1f} points",
                ),
                Fact("trials", f"{len(sweep.trials):,}", f"{found['folds']} folds, {found['epochs']} epochs each"),
                Fact("tied with the best", f"{len(sweep.tied)}", "including the best"),
                Fact("fits", f"{sweep.fits_run + sweep.fits_cached:,}", _fits(sweep)),
            )
        ),
        sections=(*sections, how_it_was_made(stored)),
    )


def _fits(sweep: SweepResult) -> str:
    parts = [f"{sweep.fits_run:,} run"]
    parts += [f"{sweep.fits_cached:,} from the cache"] * bool(sweep.fits_cached)
    return ", ".join(parts + [f"{sweep.fits_failed:,} failed"] * bool(sweep.fits_failed))


def _best_of(sweep: SweepResult) -> str:
    return f"The best of {len(sweep.trials):,} trials" if len(sweep.trials) > 1 else "The only trial"


def _tied(sweep: SweepResult) -> str:
    if sum(not trial.failed for trial in sweep.trials) == 1:
        return "No other trial has a score to compare it with."
    if len(sweep.tied) < 2:
        return "Every other trial is significantly worse on the same digits (exact McNemar test, Holm-corrected)."
    return (
        f"{len(sweep.tied)} trials are tied, including the best: their predictions don't differ significantly from the "
        "best trial's (exact McNemar test, Holm-corrected)."
    )


def _winner_section(stored: StoredRun, found: Mapping[str, Any], sweep: SweepResult) -> Section:
    best, keys = sweep.winner, list(sweep.winner.params)
    names = short_names(dict.fromkeys(keys))
    rows = tuple((Cell(names[key]), Cell(_text(best.params[key]))) for key in keys)
    swept = [parameter.name for parameter in swept_parameters(sweep.trials)]
    question = "Which dropout is best?" if swept == ["dropout"] else "Which optimizer and settings are best?"
    folds = ", ".join(map(shown.percent, best.scores))
    blocks: list[Block] = [
        *standing(stored),
        Paragraph(
            f"{name_of(best, sweep.trials)}: mean accuracy {shown.percent(best.mean)} (folds: {folds}).",
            "answer",
        ),
        Paragraph(_tied(sweep) + " Which of them scored highest is partly chance." * (len(sweep.tied) > 1)),
    ]
    if found.get("as_submitted"):
        blocks.append(Paragraph(AS_SUBMITTED, "warning"))
    rule = {"best": "the highest mean accuracy", "one-se": "the cheapest within one standard error of the best"}
    blocks += [
        *warnings(found),
        Table("The chosen settings", ("setting", "value"), rows),
        Paragraph(
            f"Selected by: {rule.get(found['select'], 'the lowest cost among the trials tied with the best')}. A "
            "trial's score is its accuracy after the last epoch; the number of epochs was fixed beforehand."
        ),
    ]
    return Section(question, tuple(blocks))


def _families_section(whole: Sequence[TrialResult], families: Sequence[str], sweep: SweepResult) -> Section:
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
        (
            Table(
                "Optimizers by their best trial",
                ("optimizer", "trials", "best", "average", "worst", "best settings"),
                tuple(rows),
                marked=marked,
            ),
        ),
    )


def _settings_section(sweep: SweepResult, heat: Shown) -> Section:
    single, pairs = "Accuracy by single setting", "Accuracy by pairs of settings"
    pictures = [(single, "Accuracy of every trial by the value of each setting.", sweeps.marginals(sweep))]
    if len(swept_parameters(sweep.trials)) > 1:
        said = f"Heat maps of the {heat} accuracy over all other settings, by pairs of settings."
        pictures.insert(0, (pairs, said, sweeps.heat_maps(sweep, heat)))
        said = "Parallel coordinates: each trial is a line through its settings and its accuracy."
        pictures.append(("Parallel coordinates of all trials", said, sweeps.parallel_coordinates(sweep)))
    best = name_of(sweep.winner, sweep.trials)
    return Section(
        "Which settings matter?",
        tuple(Picture(title, f"{said} The best trial: {best}.", _compact(figure)) for title, said, figure in pictures),
    )


def _digits_section(found: Mapping[str, Any], curves: Sequence[AccuracyCurve]) -> Section:
    more = found.get("more_digits")
    sentence = more["sentence"] if more else "At least three shares of the digits are needed to tell."
    names = ", ".join(f"{digits:,}" for digits in sorted({size for curve in curves for size in curve.digits}))
    rule = (
        "The gain of twice the digits is read from accuracy = a - b n^-c, fitted to the accuracies of the best setting "
        "(Cortes and others 1994). Its interval, from a bootstrap over the digits, allows neither for other training "
        "digits nor for curves of another form. The best setting was chosen on these digits, so tuning looks better "
        "than it is."
    )
    return Section(
        "Would more digits help more than more tuning?",
        (
            Paragraph(sentence, "answer"),
            Picture(
                "Accuracy by number of training digits",
                f"Accuracy on the digits of the folds after training on {names} digits, with 95% Wilson intervals.",
                sweeps.accuracy_by_digits(curves),
            ),
            *([Paragraph(rule)] if more else []),
        ),
    )


def _compact(figure: "Figure") -> "Figure":
    """Narrow the figure to its cells, so that its text stays readable when a page scales it."""
    width, height = figure.get_size_inches()
    levels = max(abs(axes.get_xlim()[1] - axes.get_xlim()[0]) for axes in figure.axes)
    figure.set_size_inches(min(width, max(WIDTH, WIDTH * levels / 4)), height)
    return figure


def _curves_section(sweep: SweepResult) -> Section:
    return Section(
        "What do the learning curves of the best trials look like?",
        (
            Picture(
                "Validation curves of the best trials",
                "Validation loss and accuracy of the best trials over the epochs: mean and range of their folds.",
                sweeps.top_learning_curves(sweep),
            ),
        ),
    )


def _ranking_section(sweep: SweepResult) -> Section:
    keys = list(dict.fromkeys(key for trial in sweep.trials for key in trial.params))
    names = short_names(dict.fromkeys(keys))
    tied, rows = set(sweep.tied), []
    ranking = ranked(sweep)
    for rank, trial in ranking[:MOST_TRIALS]:
        settings = (_value(trial.params[key]) if key in trial.params else Cell("\N{EN DASH}") for key in keys)
        scores = (percent(value if np.isfinite(value) else None) for value in (trial.mean, trial.std))
        folds = ", ".join(shown.percent(score).rstrip("%") for score in trial.scores)
        rows.append((number(rank), *settings, *scores, Cell(folds), Cell(_remark(trial, sweep, tied))))
    cut = len(ranking) > MOST_TRIALS
    return Section(
        "What did every trial score?",
        (
            Table(
                "All trials, the best first",
                ("rank", *(names[key] for key in keys), "accuracy", "standard deviation", "folds", "remark"),
                tuple(rows),
                marked=frozenset(row for row, (_, trial) in enumerate(ranking) if trial.index == sweep.best),
                more=(f"The best {MOST_TRIALS} of {len(ranking):,}; trials.csv lists them all. " if cut else "")
                + "Accuracy: mean over the folds; standard deviation: between the folds (ddof 0); tied: not "
                "significantly different from the best.",
            ),
        ),
    )


def _remark(trial: TrialResult, sweep: SweepResult, tied: set[int]) -> str:
    remarks = ["chosen"] if trial.index == sweep.best else ["tied"] * (trial.index in tied)
    remarks += ["diverged"] * any(fold.diverged_at is not None for fold in trial.folds)
    remarks += [f"failed: {fold.error}" for fold in trial.folds if fold.error][:1]
    return ", ".join(remarks)


def _value(value: Any) -> Cell:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return number(value, "g") if is_number else Cell(_text(value))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
