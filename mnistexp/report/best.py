"""What a report says of `best`: the choice, how much better it is than the others, and what its accuracy is worth."""

from collections.abc import Mapping
from typing import Any

from mnistexp.best_model import best_figures
from mnistexp.report.accuracy import test_sections
from mnistexp.report.origin import how_it_was_made, standing, warnings
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
    named,
    number,
    percent,
    percent_range,
)
from mnistexp.report.training import curves_section, data_section, histories_of
from mnistexp.runs.stored_runs import StoredRun

__all__ = ["best_report"]

NAMES = {"optimizer.name": "optimizer"}


def best_report(stored: StoredRun) -> RunReport:
    """A finished `best`. Raises RunError where its files are missing or damaged."""
    found = stored.metrics or {}
    evidence = found["representative"]
    sections = [
        _choice_section(stored, found),
        _better_section(found["better"]),
        data_section(stored),
        curves_section(found, histories_of(stored)),
        *test_sections(found),
        _representative_section(evidence),
        how_it_was_made(stored),
    ]
    return RunReport(
        id=stored.info.id,
        kind="best",
        headline=f"The best model recognises {found['test_correct']} of {found['test_digits']} test digits",
        lead=f"Is that representative of unseen data? {evidence['answer']}",
        facts=_facts(found, evidence),
        sections=tuple(sections),
    )


def _facts(found: Mapping[str, Any], evidence: Mapping[str, Any]) -> Facts:
    selection = evidence["selection"]
    items = [
        Fact("test accuracy", f"{found['test_accuracy']:.1%}", percent_range(found["test_accuracy_interval"])),
        Fact("cross-validation", f"{found['best_score']:.1%}", "of the chosen setting"),
        Fact("corrected for choosing", f"{selection['corrected']:.1%}", percent_range(selection["interval"])),
    ]
    if unseen := evidence["unseen"]:
        items.append(Fact("unseen digits", f"{unseen['accuracy']:.1%}", f"of {unseen['digits']:,}"))
    return Facts(tuple(items))


def _choice_section(stored: StoredRun, found: Mapping[str, Any]) -> Section:
    choice = found["choice"]
    own = choice["combination"]
    rows = []
    for kind in ("optimizer", "dropout"):
        if decided := choice[kind]:
            rows.append(
                (
                    Cell(kind),
                    Cell(_setting(decided["params"])),
                    percent(decided["accuracy"]),
                    number(decided["tied"]),
                    Cell(decided["run"]),
                )
            )
    sweeps = tuple(
        (Cell(sweep["family"]), number(sweep["trials"]), Cell(sweep["command"]), Cell(sweep["run"]))
        for sweep in choice["sweeps"]
    )
    settings = tuple(
        (NAMES.get(key, key.rpartition(".")[2].replace("_", " ")), _value(value))
        for key, value in found["best_params"].items()
    )
    return Section(
        "Which optimizer and dropout are best?",
        (
            *standing(stored),
            Paragraph(
                f"{_setting(own['params'])}: {own['accuracy']:.1%} in cross-validation on the training digits. "
                "The test digits took no part in the choice.",
                "answer",
            ),
            *warnings(found),
            Table(
                "What decided the combination",
                ("of", "winner", "accuracy", "tied with the best", "sweep"),
                tuple(rows),
            ),
            Table("The setting of the final model", ("setting", "value"), named(*settings)),
            Table("The sweeps chosen from", ("family", "trials", "command", "run"), sweeps, folded=True),
        ),
    )


def _better_section(better: Mapping[str, Any]) -> Section:
    rows = []
    for row in (better["chosen"], *better["families"]):
        family = row["family"]
        name = {"chosen": "the chosen setting", "all": "best of all trials"}.get(family, f"best of {family}")
        for other, accuracy in (("worst", row["worst"]["accuracy"]), ("average", row["average"])):
            versus = row[f"versus_{other}"]
            low, high = versus["interval"]
            rows.append(
                (
                    Cell(f"{name} against the {other}"),
                    number(row["trials"]),
                    percent(row["best"]["accuracy"]),
                    percent(accuracy),
                    number(versus["points"], ".1f"),
                    Cell(f"{low:.1f} to {high:.1f}"),
                    percent(versus["error_reduction"]),
                )
            )
    blocks: list[Block] = [
        *(Paragraph(text, "answer" if place == 0 else "plain") for place, text in enumerate(_sentences(better))),
        Table(
            "Differences on the same digits",
            ("comparison", "trials", "better", "other", "points", "95% interval", "fewer errors"),
            tuple(rows),
            more="Accuracies in cross-validation; paired bootstrap over the digits. Winners were chosen by these "
            "digits, so that their leads are overstated, the more the smaller they are.",
        ),
    ]
    if notebook := better.get("notebook"):
        blocks.append(_notebook(notebook))
    return Section("How much better is it than the worst and the average model?", tuple(blocks))


def _sentences(better: Mapping[str, Any]) -> list[str]:
    sections = (better, *(section for section in better.values() if isinstance(section, dict)))
    return [str(section["sentence"]) for section in sections if "sentence" in section]


def _notebook(notebook: Mapping[str, Any]) -> Table:
    rows = tuple(
        (Cell(name), percent((notebook["ours"] or {}).get(name)), percent((notebook["reported"] or {}).get(name)))
        for name in ("best", "worst", "average")
    )
    return Table(
        "The notebook's own arithmetic",
        ("model", "ours", "reported"),
        rows,
        more='Its "worst" is the best of the poorest sweep, and its "average" a mean of best scores: kept to compare.',
    )


def _representative_section(evidence: Mapping[str, Any]) -> Section:
    return Section(
        "Is the test accuracy representative of unseen data?",
        (
            Paragraph(evidence["answer"], "answer"),
            Picture(
                "Every estimate of the accuracy",
                f"Estimates of the accuracy with their 95% intervals. {' '.join(evidence['sentences'])}",
                best_figures.accuracies(dict(evidence)),
            ),
            *(Paragraph(sentence) for sentence in evidence["sentences"]),
        ),
    )


def _setting(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{NAMES.get(key, key.rpartition('.')[2].replace('_', ' '))} {_value(value)}" for key, value in params.items()
    )


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
