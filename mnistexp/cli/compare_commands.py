"""The commands that compare and check runs: which is better, what differs, and whether requirements are met."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from xml.etree import ElementTree

import typer
from rich.console import RenderableType
from rich.text import Text

from mnistexp.cli import console_runs
from mnistexp.cli.call import Call
from mnistexp.cli.options import NUMBER, OUTPUT, RUN, RUN_SELECTION, RunArgument, RunsArgument, choice, option
from mnistexp.cli.parsing import Commands
from mnistexp.config.shown import counted, listed
from mnistexp.errors import BadInput, NotMet

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.checking import Checked
    from mnistexp.runs.paired import Digit, Paired
    from mnistexp.runs.stored_runs import StoredRun


commands = Commands()

MOST_DIGITS = 12
"""How many digits that only one run reads are listed; --json has all."""
FORMATS = ("text", "md", "junit")


@commands.add("compare")
def compare(
    call: Call,
    runs: RunsArgument = None,
    output: Annotated[
        Path | None, option(OUTPUT, "--output -o", "Plot the learning curves to a .png or .svg file", metavar="FILE")
    ] = None,
    by: Annotated[
        str | None,
        option(
            RUN_SELECTION,
            "--by",
            "Group by `settings` (all but the seed), or comma-separated keys",
            metavar="SETTINGS",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        option(RUN_SELECTION, "--metric", "Number to compare with --by", metavar="KEY", show_default="test_accuracy"),
    ] = None,
) -> None:
    """Compare runs: which is better, and what differs.

    mnistexp runs compare 2 1  # is the newest run better?
    mnistexp runs compare 1:4 --output curves.png  # plot the newest four
    mnistexp runs compare --by settings  # group all runs by settings
    mnistexp runs compare 1:9 --by optimizer.name  # compare optimizers
    """
    from mnistexp.runs import groups

    if by is not None:
        if output:
            raise BadInput("--output draws learning curves, and --by has none: use one of them")
        chosen, keys = call.runs(runs, otherwise=BadInput), [key.strip() for key in by.split(",")]
        found = groups.group(chosen, keys, metric or "test_accuracy")
        call.result(console_runs.grouped_document(found), *console_runs.grouped_report(found))
        return
    if metric is not None:
        raise BadInput("--metric is the number of groups: use it with --by")
    if output and output.suffix.lower() not in (".png", ".svg"):
        raise BadInput(f"--output {output}: allowed: a name that ends in .png or .svg")
    chosen = call.runs(runs) if runs else []
    if len(chosen) < 2:
        raise BadInput(f"compare needs at least 2 runs, got {len(chosen)}")
    _compare_side_by_side(call, chosen, output)


def _compare_side_by_side(call: Call, chosen: "Sequence[StoredRun]", output: Path | None) -> None:
    from mnistexp.runs import comparison, paired

    differences, answers = comparison.compare(chosen), paired.compare_with_first(chosen)
    if output:
        _draw(chosen, output)
    parts: dict[str, dict[str, Any]] = {part: {} for part in comparison.PARTS}
    for one in differences:
        parts[one.part][one.key] = list(one.values)
    document = {
        "runs": [run.id for run in chosen],
        "paired": list(map(_paired_document, answers)),
        "differences": parts,
    }
    report = console_runs.comparison_report(chosen, _paired_report(answers), differences)
    drawn = {"figure": str(output)} if output else {}
    call.result(document | drawn, *report, *(f"\nFigure  {path}" for path in drawn.values()))


def _draw(runs: "Sequence[StoredRun]", output: Path) -> None:
    """The learning curves of runs in one figure, each the mean of its repeats."""
    from mnistexp.figures import plots, style
    from mnistexp.runs import files

    named = {run.id: run.histories for run in runs if run.histories}
    if not named:
        raise BadInput("--output: none of these runs has learning curves, allowed: runs of train and best")
    figure = plots.learning_curves(named, f"Learning curves of {len(named)} runs")
    files.write_bytes(output, style.render(figure, "svg" if output.suffix.lower() == ".svg" else "png"))


def _paired_document(answer: "Paired") -> dict[str, Any]:
    """A comparison with the first run as JSON."""
    found = answer.found
    numbers = {
        "first_accuracy": found.first,
        "second_accuracy": found.second,
        "difference": found.difference,
        "interval": [found.interval.low, found.interval.high],
        "p_value": found.p_value,
        "adjusted_p_value": answer.p_value,
        "test": found.test,
        "only_first": [asdict(digit) for digit in answer.only_first],
        "only_second": [asdict(digit) for digit in answer.only_second],
    } if found else {}  # fmt: skip
    about = {"first": answer.first, "second": answer.second, "verdict": answer.verdict, "reason": answer.reason}
    return about | {"digits": answer.digits, "trainings": answer.trainings} | numbers | {"sentence": answer.sentence}


def _paired_report(answers: "Sequence[Paired]") -> Iterator[RenderableType]:
    """The answer for each run after the first, and the digits that only one of the two classifies correctly."""
    styles = {"better": "bold green", "worse": "bold red"}
    for number, answer in enumerate(answers, start=2):
        yield Text.assemble((f"\n{number} against 1  ", "bold"), (answer.sentence, styles.get(answer.verdict, "")))
        for reader, digits in ((number, answer.only_second), (1, answer.only_first)):
            if digits:
                listed = _listed(digits, of_second=reader == 1)
                yield Text(f"{counted(len(digits), 'digit')} that only {reader} classifies correctly: {listed}")
    if sum(answer.found is not None for answer in answers) > 1:
        yield Text("The p-values are adjusted for the number of comparisons (Holm).")


def _listed(digits: "Sequence[Digit]", *, of_second: bool) -> str:
    """Row, label, and the prediction of the run that misreads the digit."""
    told = ((digit, digit.second if of_second else digit.first) for digit in digits)
    return listed([f"{digit.label} (row {digit.row}, read as {read})" for digit, read in told], MOST_DIGITS)


@commands.add("check")
def check(
    call: Call,
    run: RunArgument,
    require: Annotated[
        list[str] | None,
        option(RUN_SELECTION, "--require", "Condition that must hold, as for --where; repeatable", metavar="CONDITION"),
    ] = None,
    baseline: Annotated[
        str | None, option(RUN_SELECTION, "--baseline", "Fail if the test accuracy is worse than this run's", **RUN)
    ] = None,
    within_noise: Annotated[
        bool, option(RUN_SELECTION, "--within-noise", "Allow drops that noise explains (default with --baseline)")
    ] = False,
    tolerance: Annotated[
        float | None, option(RUN_SELECTION, "--tolerance", "Allow drops up to this; 0.01 is one point", **NUMBER)
    ] = None,
    form: Annotated[
        str, choice(OUTPUT, "--format", "text, md (a Markdown table) or junit (XML)", FORMATS, metavar="FORMAT")
    ] = "text",
) -> None:
    """Check a run against requirements, for CI: exit code 0 or 6.

    mnistexp runs check latest --require 'test_accuracy>=0.9'  # require an accuracy
    mnistexp runs check latest --baseline released  # require no drop beyond noise
    mnistexp runs check latest --require 'test_accuracy>=0.9' --format junit  # for CI servers
    """
    if within_noise and (tolerance is not None or baseline is None):
        raise BadInput("--within-noise needs --baseline, and can't be combined with --tolerance")
    from mnistexp.runs import checking, references

    against = references.one(call.runs_dir, baseline) if baseline is not None else None
    found = checking.check(references.one(call.runs_dir, run), require or (), against, tolerance)
    document = {"run": found.run, "baseline": found.baseline, "met": found.met, "smallest_drop": found.smallest_drop}
    lines = {"text": _text, "md": _markdown, "junit": _junit}[form](found)
    call.result(document | {"requirements": [asdict(each) for each in found.requirements]}, *lines)
    if not found.met:
        raise typer.Exit(NotMet.exit_code)


def _text(found: "Checked") -> Iterator[str]:
    for each in found.requirements:
        yield f"{'met' if each.met else 'NOT MET'}  {each.text}  ({each.found})"


def _markdown(found: "Checked") -> Iterator[str]:
    from mnistexp.runs.export import escaped

    yield f"**{found.run}**: {'all requirements are met' if found.met else 'not all requirements are met'}\n"
    yield "| requirement | met | found |"
    yield "|---|---|---|"
    for each in found.requirements:
        cells = (escaped(each.text), "yes" if each.met else "**no**", escaped(each.found))
        yield f"| {' | '.join(cells)} |"


def _junit(found: "Checked") -> Iterator[str]:
    failed = sum(not each.met for each in found.requirements)
    about = {"name": f"mnistexp runs check {found.run}", "tests": str(len(found.requirements)), "failures": str(failed)}
    suite = ElementTree.Element("testsuite", about)
    for each in found.requirements:
        case = ElementTree.SubElement(suite, "testcase", {"classname": found.run, "name": each.text})
        if each.met:
            ElementTree.SubElement(case, "system-out").text = each.found
        else:
            ElementTree.SubElement(case, "failure", {"message": each.found})
    ElementTree.indent(suite)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield ElementTree.tostring(suite, encoding="unicode")
