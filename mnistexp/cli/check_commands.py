"""The command that checks a run, for continuous integration: `runs check`."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from xml.etree import ElementTree

import typer
from rich.text import Text

from mnistexp.cli import completion
from mnistexp.cli.compare_commands import runs_app
from mnistexp.cli.options import RUNS, JsonOption, RunArgument, RunsOption, examples, number_option
from mnistexp.cli.voice import Voice
from mnistexp.errors import BadInput, NotMet, nearest

if TYPE_CHECKING:  # it loads numpy, which --help can do without
    from mnistexp.runs.checking import Checked

__all__ = ["runs_app"]

FORMATS = ("text", "md", "junit")


@runs_app.command(
    epilog=examples(
        {
            "mnistexp runs check latest --require 'test_accuracy>=0.9'": "is the newest run good enough?",
            "mnistexp runs check latest --baseline released": "has the accuracy dropped by more than noise explains?",
            "mnistexp runs check latest --require 'test_accuracy>=0.9' --format junit": "as a CI server reads it",
        }
    )
)
def check(
    run: RunArgument,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require", metavar="CONDITION", help="What must hold, written as for --where; repeatable, all must hold."
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="RUN",
            help="Fail where the test accuracy is below this run's.",
            autocompletion=completion.run_ids,
        ),
    ] = None,
    within_noise: Annotated[
        bool, typer.Option("--within-noise", help="Allow drops that noise explains (the default with --baseline).")
    ] = False,
    tolerance: Annotated[
        float | None, number_option("--tolerance", "Allow drops of so much instead; 0.01 is one point.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="FORM", help="text, md (a Markdown table) or junit (XML).")
    ] = "text",
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Check a run: exit code 0 where it meets all requirements, 6 where it doesn't; a line for each requirement."""
    voice = Voice(json)
    if form not in FORMATS:
        raise BadInput(f"--format is {form!r}, allowed: {', '.join(FORMATS)}{nearest(form, FORMATS)}")
    if within_noise and (tolerance is not None or baseline is None):
        raise BadInput("--within-noise needs --baseline, and stands instead of --tolerance")
    from mnistexp.runs import checking, references

    against = references.one(runs_dir, baseline) if baseline is not None else None
    found = checking.check(references.one(runs_dir, run), require or (), against, tolerance)
    document = {"run": found.run, "baseline": found.baseline, "met": found.met, "smallest_drop": found.smallest_drop}
    lines = {"text": _text, "md": _markdown, "junit": _junit}[form](found)
    voice.result(document | {"requirements": [asdict(each) for each in found.requirements]}, *map(Text, lines))
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
