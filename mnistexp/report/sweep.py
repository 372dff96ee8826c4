"""The report of a sweep: the best trial, the trials tied with it, and the winning score corrected for selection."""

from collections.abc import Mapping, Sequence
from typing import Any

from mnistexp.config import shown
from mnistexp.figures import sweeps
from mnistexp.figures.axes import name_of, short_names, swept_parameters
from mnistexp.report.origin import warnings
from mnistexp.report.page import DASH, Block, Cell, Fact, Paragraph, Picture, Section, Story, Table, cell_of, percent
from mnistexp.report.trials import families_section, gaps_section, settings_section, worth_section
from mnistexp.runs.results import SweepResult, TrialResult
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.statistics.more_digits import AccuracyCurve
from mnistexp.sweeps.ranking import correct_matrix
from mnistexp.sweeps.sweep_files import read_sweep

MOST_TRIALS = 500
TERMINAL_TRIALS = 20
AS_SUBMITTED = (
    "Run as submitted, with the notebook's bug: every row trained the same network with the same optimizer settings, "
    "whatever the row says; only the seed differs. The differences between rows are seed noise."
)


def sweep_sections(stored: StoredRun) -> list[Section]:
    """Of a finished sweep. Raises RunError where its files are missing or damaged."""
    found, sweep = stored.metrics or {}, read_sweep(stored.path)
    whole = [trial for trial in sweep.trials if not trial.failed]
    correct = correct_matrix(whole, sweep.labels)
    families = [str(trial.params.get("optimizer.name", stored.settings.get("optimizer.name"))) for trial in whole]
    sections = [_winner_section(found, sweep)]
    if len(set(families)) > 1:
        sections.append(families_section(whole, families, sweep))
    sections.append(settings_section(sweep, "mean" if stored.settings.get("sweep.heat_maps") == "mean" else "best"))
    if curves := sweeps.curves_by_digits(sweep):
        sections.append(_digits_section(found, curves))
    sections += [_curves_section(sweep), Section("What did every trial score?", _ranking_table(found, MOST_TRIALS))]
    if len(whole) > 1:
        sections += [gaps_section(whole, correct, families), worth_section(whole, correct, sweep)]
    return sections


def sweep_story(found: Mapping[str, Any]) -> Story:
    """What the metrics of a sweep tell."""
    ranking, best, score = found["ranking"], found["best_params"], shown.percent(found["best_score"])
    trials = [TrialResult(row["trial"], row["params"], ()) for row in ranking]
    name = name_of(TrialResult(-1, best, ()), trials)
    many, folds = f"{len(trials):,}", f"{found['folds']}-fold cross-validation"
    failed, is_best = sum(bool(row["error"]) for row in ranking), found["select"] == "best"
    which = "Chosen from" if not is_best else "The best of"
    how = "" if is_best else f" Selected by: {_rule(found)}."
    more = [Paragraph(found["more_digits"]["sentence"])] if "more_digits" in found else []
    return Story(
        "sweep",
        f"{score} with {best.get('optimizer.name', name)}",
        f"{f'{which} {many} trials' if len(trials) > 1 else 'The only trial'} in {folds}: {name}.{how} "
        f"{_tied(found)} The test digits were not used.",
        (
            Fact(
                "best accuracy" if is_best else "accuracy of the choice",
                score,
                f"standard error {100 * found['best_standard_error']:.1f} points",
            ),
            Fact("trials", many, f"{found['folds']} folds, {found['epochs']} epochs each"),
            Fact("tied with the best", f"{len(found['tied'])}", "including the best"),
            Fact("fits", f"{found['fits_run'] + found['fits_cached']:,}", _fits(found)),
        )
        if len(trials) > failed
        else (),
        (*more, *warnings(found), _ranking_table(found, TERMINAL_TRIALS)),
    )


def _rule(found: Mapping[str, Any]) -> str:
    rules = {"best": "the highest mean accuracy", "one-se": "the cheapest within one standard error of the best"}
    return rules.get(found["select"], "the lowest cost among the trials tied with the best")


def _fits(found: Mapping[str, Any]) -> str:
    parts = [f"{found['fits_cached']:,} from the cache" if found["fits_cached"] else "none from the cache"]
    return ", ".join(parts + [f"{found['fits_failed']:,} failed"] * bool(found["fits_failed"]))


def _tied(found: Mapping[str, Any]) -> str:
    test = "exact sign-pattern test over the digits" if found.get("repeats", 1) > 1 else "exact McNemar test"
    if sum(not row["error"] for row in found["ranking"]) == 1:
        return "No other trial has a score to compare it with."
    if len(found["tied"]) < 2:
        return f"Every other trial is significantly worse on the same digits ({test}, Holm-corrected)."
    return (
        f"{len(found['tied'])} trials are tied, including the best: their predictions don't differ significantly from "
        f"the best trial's ({test}, Holm-corrected)."
    )


def _winner_section(found: Mapping[str, Any], sweep: SweepResult) -> Section:
    best, keys = sweep.winner, list(sweep.winner.params)
    names = short_names(dict.fromkeys(keys))
    rows = tuple((Cell(names[key]), Cell(shown.value(best.params[key]))) for key in keys)
    swept = [parameter.name for parameter in swept_parameters(sweep.trials)]
    question = "Which dropout is best?" if swept == ["dropout"] else "Which optimizer and settings are best?"
    folds = ", ".join(map(shown.percent, best.scores))
    blocks: list[Block] = [
        Paragraph(
            f"{name_of(best, sweep.trials)}: mean accuracy {shown.percent(best.mean)} (folds: {folds}) "
            f"on {len(sweep.labels)} training digits.",
            "answer",
        ),
        Paragraph(_tied(found) + " Which of them scored highest is partly chance." * (len(sweep.tied) > 1)),
    ]
    if found.get("as_submitted"):
        blocks.append(Paragraph(AS_SUBMITTED, "warning"))
    blocks += [
        *warnings(found),
        Table("The chosen settings", ("setting", "value"), rows),
        Paragraph(
            f"Selected by: {_rule(found)}. A "
            "trial's score is its accuracy after the last epoch; the number of epochs was fixed beforehand."
        ),
    ]
    return Section(question, *blocks)


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
        Paragraph(sentence, "answer"),
        Picture(
            "Accuracy by number of training digits",
            f"Accuracy on the digits of the folds after training on {names} digits, with 95% Wilson intervals"
            f"{' and the fitted curves' * bool(more)}.",
            sweeps.accuracy_by_digits(curves),
        ),
        *([Paragraph(rule)] if more else []),
    )


def _curves_section(sweep: SweepResult) -> Section:
    return Section(
        "What do the learning curves of the best trials look like?",
        Picture(
            "Learning curves of the best trials",
            "Loss and accuracy of the best trials over the epochs: mean and range of their folds.",
            sweeps.top_learning_curves(sweep),
        ),
    )


def _ranking_table(found: Mapping[str, Any], most: int) -> Table:
    """The trials, the best first, at most so many."""
    ranking = found["ranking"]
    keys = list(dict.fromkeys(key for row in ranking for key in row["params"]))
    names, rows = short_names(dict.fromkeys(keys)), []
    for row in ranking[:most]:
        settings = (cell_of(row["params"][key]) if key in row["params"] else Cell(DASH) for key in keys)
        scores = (percent(row[key]) for key in ("mean", "std"))
        folds = ", ".join(percent(score).text.rstrip("%") for score in row["scores"])
        rows.append((cell_of(row["rank"]), *settings, *scores, Cell(folds), Cell(_remark(row, found))))
    cut = f"The best {most} of {len(ranking):,}; trials.csv lists them all. " * (len(ranking) > most)
    return Table(
        "All trials, the best first" if not cut else f"The best {most} trials",
        ("rank", *(names[key] for key in keys), "accuracy", "std", "folds", "remark"),
        tuple(rows),
        marked=frozenset(place for place, row in enumerate(ranking[:most]) if row["params"] == found["best_params"]),
        more=f"{cut}Accuracy: mean over the folds; std: standard deviation between the folds (ddof 0); tied: not "
        "significantly different from the best.",
    )


def _remark(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    remarks = ["chosen"] if row["params"] == found["best_params"] else ["tied"] * bool(row["tied"])
    remarks += ["diverged"] * bool(row["diverged"])
    return ", ".join(remarks + [f"failed: {row['error']}"] * bool(row["error"]))
