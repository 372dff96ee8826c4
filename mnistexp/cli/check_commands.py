"""The command that checks a run, for continuous integration: `runs check`."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from xml.etree import ElementTree

import typer
from rich.text import Text

from mnistexp.cli import completion
from mnistexp.cli.call import Call
from mnistexp.cli.option_kinds import OUTPUT, RUN_SELECTION, choice_option, number_option, option
from mnistexp.cli.options import RunArgument
from mnistexp.cli.parsing import Commands
from mnistexp.errors import BadInput, NotMet

if TYPE_CHECKING:  # it loads numpy, which --help can do without
    from mnistexp.runs.checking import Checked

__all__ = ["commands"]

commands = Commands()

FORMATS = ("text", "md", "junit")


RequireOption = Annotated[
    list[str] | None,
    option(RUN_SELECTION, "--require", "Condition that must hold, as for --where; repeatable", metavar="CONDITION"),
]
BaselineOption = Annotated[
    str | None,
    option(
        RUN_SELECTION,
        "--baseline",
        "Fail if the test accuracy is worse than this run's",
        metavar="RUN",
        autocompletion=completion.run_ids,
    ),
]
NoiseOption = Annotated[
    bool, option(RUN_SELECTION, "--within-noise", "Allow drops that noise explains (default with --baseline)")
]
ToleranceOption = Annotated[
    float | None, number_option(RUN_SELECTION, "--tolerance", "Allow drops up to this; 0.01 is one point")
]
FormatOption = Annotated[
    str,
    choice_option(OUTPUT, "--format", "text, md (a Markdown table) or junit (XML)", FORMATS, metavar="FORMAT"),
]


@commands.add(
    "check",
    {
        "mnistexp runs check latest --require 'test_accuracy>=0.9'": "require an accuracy",
        "mnistexp runs check latest --baseline released": "require no drop beyond noise",
        "mnistexp runs check latest --require 'test_accuracy>=0.9' --format junit": "for CI servers",
    },
    shares="... runs_dir json",
)
def check(
    call: Call,
    run: RunArgument,
    require: RequireOption = None,
    baseline: BaselineOption = None,
    within_noise: NoiseOption = False,
    tolerance: ToleranceOption = None,
    form: FormatOption = "text",
) -> None:
    """Check a run against requirements, for CI: exit code 0 or 6."""
    if within_noise and (tolerance is not None or baseline is None):
        raise BadInput("--within-noise needs --baseline, and can't be combined with --tolerance")
    from mnistexp.runs import checking, references

    against = references.one(call.runs_dir, baseline) if baseline is not None else None
    found = checking.check(references.one(call.runs_dir, run), require or (), against, tolerance)
    document = {"run": found.run, "baseline": found.baseline, "met": found.met, "smallest_drop": found.smallest_drop}
    lines = {"text": _text, "md": _markdown, "junit": _junit}[form](found)
    call.result(document | {"requirements": [asdict(each) for each in found.requirements]}, *map(Text, lines))
    if not found.met:
        raise typer.Exit(NotMet.exit_code)


def _text(found: "Checked") -> Iterator[str]:
    for each in found.requirements:
        yield f"{'met' if each.met else 'NOT MET'}  {each.text}  ({each.found})"


def _markdown(found: "Checked") -> Iterator[str]:
    yield f"**{found.run}**: {'all requirements are met' if found.met else 'not all requirements are met'}\n"
    yield "| requirement | met | found |"
    yield "|---|---|---|"
    for each in found.requirements:
        cells = (each.text, "yes" if each.met else "**no**", each.found)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


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
