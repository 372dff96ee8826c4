"""The report of `best`: the choice, how much better it is than the others, and whether its accuracy generalises."""

from collections.abc import Mapping
from typing import Any

from mnistexp.commands.best import best_figures
from mnistexp.config import shown
from mnistexp.report.origin import warnings
from mnistexp.report.page import DASH, Block, Cell, Fact, Paragraph, Picture, Section, Story, Table, number, percent
from mnistexp.report.tested import test_sections
from mnistexp.report.training import accuracy_facts, curves_section, data_section
from mnistexp.report.trials import DIFFERENCE, difference
from mnistexp.runs.stored_runs import StoredRun


def best_sections(stored: StoredRun) -> list[Section]:
    """Of a finished `best`. Raises RunError where its files are missing or damaged."""
    found = stored.metrics or {}
    return [
        _choice_section(found),
        _better_section(found["better"]),
        data_section(stored),
        curves_section(found, stored.histories),
        *test_sections(stored),
        _representative_section(found["representative"]),
    ]


def best_story(found: Mapping[str, Any]) -> Story:
    """What the metrics of `best` tell."""
    evidence = found["representative"]
    return Story(
        "best",
        f"Best model: {_headline(found)}",
        f"Is that representative of unseen data? {evidence['answer']}",
        _facts(found, evidence),
        (
            _decided_table(found["choice"]),
            *_better_section(found["better"]).blocks,
            *map(Paragraph, evidence["sentences"]),
            *warnings(found),
        ),
    )


def _headline(found: Mapping[str, Any]) -> str:
    """The test accuracy; of repeated trainings the mean, because the first seed may be a lucky one."""
    if repeats := found.get("repeats"):
        return f"{shown.percent(repeats['mean'])} test accuracy, mean of {repeats['count']} trainings"
    return f"{found['test_correct']} of {found['test_digits']} test digits classified correctly"


def _facts(found: Mapping[str, Any], evidence: Mapping[str, Any]) -> tuple[Fact, ...]:
    selection = evidence["selection"]
    items = [
        *accuracy_facts(found),
        Fact("cross-validation", shown.percent(found["best_score"]), "of the chosen setting"),
    ]
    if selection["is_chosen"]:
        corrected = shown.percent(selection["corrected"])
        items.append(Fact("corrected for selection", corrected, shown.span(*selection["interval"])))
    if predicted := evidence.get("prediction"):
        expected = shown.percent(predicted["accuracy"])
        items.append(Fact("predicted before testing", expected, shown.span(*predicted["interval"])))
    if unseen := evidence["unseen"]:
        items.append(Fact("unseen digits", shown.percent(unseen["accuracy"]), f"of {unseen['digits']:,}"))
    return tuple(items)


def _choice_section(found: Mapping[str, Any]) -> Section:
    choice = found["choice"]
    own = choice["chosen"]
    repeated = choice["repeated"]
    many = f"{choice['settings']} different settings were compared, including the combination"
    trials = "1 further trial repeats" if repeated == 1 else f"{repeated} further trials repeat"
    counts = "counts" if repeated == 1 else "count"
    again = f"; {trials} a setting of another sweep and {counts} once" if repeated else ""
    sweeps = tuple((Cell(sweep["family"]), number(sweep["trials"]), Cell(sweep["run"])) for sweep in choice["sweeps"])
    return Section(
        "Which optimizer and dropout are best?",
        Paragraph(
            f"{shown.setting(own['params'])}: cross-validation accuracy {shown.percent(own['accuracy'])} on the "
            f"training digits, chosen from {choice['settings']} settings. The test digits were not used.",
            "answer",
        ),
        *warnings(found),
        _decided_table(choice),
        Table("The sweeps compared", ("family", "trials", "run"), sweeps, more=f"{many}{again}."),
    )


def _decided_table(choice: Mapping[str, Any]) -> Table:
    """The best optimizer and dropout, and the chosen setting: a row per hyperparameter, then accuracy and ties."""
    columns = {kind: choice[kind] for kind in ("optimizer", "dropout") if choice[kind]}
    if choice["combination"]["params"] != choice["chosen"]["params"]:
        columns["both"] = choice["combination"]
    columns["chosen"] = choice["chosen"]
    keys = dict.fromkeys(key for one in columns.values() for key in one["params"])
    rows = [
        (Cell(shown.name(key)), *(Cell(shown.value(one["params"].get(key, DASH))) for one in columns.values()))
        for key in keys
    ]
    rows.append((Cell("accuracy"), *(percent(one["accuracy"]) for one in columns.values())))
    rows.append((Cell("tied"), *(Cell(str(one.get("tied", DASH))) for one in columns.values())))
    return Table(
        "Best optimizer, best dropout and the chosen setting",
        ("setting", *columns),
        tuple(rows),
        marked=frozenset({len(keys)}),
        more="Accuracy: mean over the folds of cross-validation. Tied: the number of trials of its kind that are not "
        "significantly different from the best, including the best."
        + " Both: the best optimizer setting with the best dropout."
        * ("both" in columns),
    )


def _better_section(better: Mapping[str, Any]) -> Section:
    rows = []
    for row in (better["chosen"], *better["families"]):
        as_chosen = row["family"] == "all" and row["best"] == better["chosen"]["best"]
        if as_chosen or row["trials"] == 1:  # itself
            continue
        family = row["family"]
        name = {"all": "all settings"}.get(family, family)
        for other, accuracy in (("worst", row["worst"]["accuracy"]), ("average", row["average"])):
            versus = row[f"versus_{other}"]
            cells = difference(row["best"]["accuracy"], accuracy, versus["interval"], versus["error_reduction"])
            rows.append((Cell(f"{name} against {other}"), number(row["trials"]), *cells))
    blocks: list[Block] = [
        *(Paragraph(text, "answer" if place == 0 else "plain") for place, text in enumerate(_sentences(better))),
        Table(
            "Differences on the same digits",
            ("comparison", "settings", "better", "other", *DIFFERENCE),
            tuple(rows),
            more="Worst and average of the settings compared, by cross-validation accuracy; paired bootstrap "
            "over the digits. The best were chosen on these digits, so their leads are overestimated; the smaller the "
            "lead, the larger the bias.",
        ),
    ]
    if notebook := better.get("notebook"):
        blocks.append(_notebook(notebook))
    return Section("How much better is it than the worst and the average model?", *blocks)


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
        more='Its "worst" is the best score of the worst sweep, its "average" the mean of the best scores; shown for '
        "comparison only.",
    )


def _representative_section(evidence: Mapping[str, Any]) -> Section:
    return Section(
        "Is the test accuracy representative of unseen data?",
        Paragraph(evidence["answer"], "answer"),
        Picture(
            "Estimates of the accuracy",
            f"Estimates of the accuracy with their 95% intervals. {' '.join(evidence['sentences'])}",
            best_figures.accuracies(dict(evidence)),
        ),
        *(Paragraph(sentence) for sentence in evidence["sentences"]),
    )
