"""The command that examines the machine and the installation."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from mnistexp.cli import console
from mnistexp.cli.call import Call
from mnistexp.cli.option_kinds import EXECUTION, option
from mnistexp.cli.parsing import SET_UP, Commands
from mnistexp.errors import MnistexpError

if TYPE_CHECKING:  # loads numpy, which --help can do without
    from mnistexp.doctor.finding import Finding

__all__ = ["commands"]

commands = Commands()
COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@commands.add(
    "doctor",
    {
        "mnistexp doctor": "check everything, with a short training",
        "mnistexp doctor --quick --json": "skip the training; print JSON for a script",
    },
    shares="... runs_dir json",
    panel=SET_UP,
)
def doctor(
    call: Call,
    quick: Annotated[bool, option(EXECUTION, "--quick", "Skip the timed training, which takes 5 s")] = False,
) -> None:
    """Check machine and installation; suggest fixes."""
    from mnistexp.doctor.examination import examine

    with call.err.status("checking the machine and the installation"):
        findings = examine(call.runs_dir, quick=quick)
    count: Counter[str] = Counter(finding.state for finding in findings)
    document = {
        "findings": [asdict(finding) for finding in findings],
        "problems": count["problem"],
        "warnings": count["warning"],
    }
    call.result(document, *_report(findings, count))
    if count["problem"]:
        raise typer.Exit(MnistexpError.exit_code)


def _report(findings: "Sequence[Finding]", count: Mapping[str, int]) -> Iterator[RenderableType]:
    table = console.plain_table("", "check", "finding")
    for finding in findings:
        says = Text(finding.says)
        if finding.remedy:
            says.append(f"\n-> {finding.remedy}", style="bold")
        table.add_row(Text(finding.state, style=COLOURS[finding.state]), finding.check, says)
    yield table
    yield Text()
    totals = [f"{count[state]} {state}{'' if count[state] == 1 else 's'}" for state in ("problem", "warning")]
    yield Text(", ".join(totals), style="bold")
