"""The command that compares runs: is one better, what differs, and how numbers vary within groups."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.text import Text

from mnistexp.cli import console_compare, console_runs
from mnistexp.cli.call import Call
from mnistexp.cli.option_kinds import OUTPUT, RUN_SELECTION, option
from mnistexp.cli.options import RunsArgument
from mnistexp.cli.parsing import Commands
from mnistexp.errors import BadInput

if TYPE_CHECKING:  # these load numpy, which --help can do without
    from mnistexp.runs.groups import Grouped
    from mnistexp.runs.results import History
    from mnistexp.runs.stored_runs import StoredRun

__all__ = ["commands"]

commands = Commands()

OutputOption = Annotated[
    Path | None, option(OUTPUT, "--output -o", "Plot the learning curves to a .png or .svg file", metavar="FILE")
]
ByOption = Annotated[
    str | None,
    option(
        RUN_SELECTION, "--by", "Group by `settings` (all but the seed), or comma-separated keys", metavar="SETTINGS"
    ),
]
MetricOption = Annotated[
    str | None,
    option(RUN_SELECTION, "--metric", "Number to compare with --by", metavar="KEY", show_default="test_accuracy"),
]


@commands.add(
    "compare",
    {
        "mnistexp runs compare 2 1": "is the newest run better?",
        "mnistexp runs compare 1:4 --output curves.png": "plot the newest four",
        "mnistexp runs compare --by settings": "group all runs by settings",
        "mnistexp runs compare 1:9 --by optimizer.name": "compare optimizers",
    },
    shares="... runs_dir json",
)
def compare(
    call: Call,
    runs: RunsArgument = None,
    output: OutputOption = None,
    by: ByOption = None,
    metric: MetricOption = None,
) -> None:
    """Compare runs: which is better, and what differs."""
    if by is not None:
        if output:
            raise BadInput("--output draws learning curves, and --by has none: use one of them")
        found = _grouped(call.runs_dir, runs or [], by, metric or "test_accuracy")
        call.result(console_compare.grouped_document(found), *console_compare.grouped_report(found))
        return
    if metric is not None:
        raise BadInput("--metric is the number of groups: use it with --by")
    from mnistexp.runs import comparison, paired, query

    kind = _figure_kind(output)
    chosen = query.select(call.runs_dir, runs) if runs else []
    if len(chosen) < 2:
        raise BadInput(f"compare needs at least 2 runs, got {len(chosen)}")
    differences = comparison.compare(chosen)
    answers = paired.compare_with_first(chosen)
    histories = [run.histories for run in chosen]
    if output:
        _draw(chosen, histories, output, kind)
    parts: dict[str, dict[str, Any]] = {part: {} for part in comparison.PARTS}
    for one in differences:
        parts[one.part][one.key] = list(one.values)
    document: dict[str, Any] = {"runs": [run.id for run in chosen]}
    document["paired"] = [console_compare.paired_document(each) for each in answers]
    drawn = {"figure": str(output)} if output else {}
    report = console_runs.comparison_report(chosen, console_compare.paired_report(answers), differences, histories)
    figure = [Text(f"\nFigure  {output}")] if output else []
    call.result(document | {"differences": parts} | drawn, *report, *figure)


def _grouped(runs_dir: Path, runs: Sequence[str], by: str, metric: str) -> "Grouped":
    from mnistexp.runs import groups, query

    chosen = query.select(runs_dir, runs)
    if not chosen:
        raise BadInput(query.none_found(runs_dir, None))
    return groups.group(chosen, [key.strip() for key in by.split(",")], metric)


def _figure_kind(output: Path | None) -> str:
    kind = output.suffix.lower().removeprefix(".") if output else "png"
    if kind not in ("png", "svg"):
        raise BadInput(f"--output {output}: allowed: a name that ends in .png or .svg")
    return kind


def _draw(runs: "Sequence[StoredRun]", histories: "Sequence[Sequence[History]]", output: Path, kind: str) -> None:
    """The learning curves of runs in one figure, each the mean of its repeats."""
    from mnistexp.figures import plots, style
    from mnistexp.runs import files

    named = {run.id: own for run, own in zip(runs, histories, strict=True) if own}
    if not named:
        raise BadInput("--output: none of these runs has learning curves, allowed: runs of train and best")
    figure = plots.learning_curves(named, f"Learning curves of {len(named)} runs")
    files.write_bytes(output, style.render(figure, "svg" if kind == "svg" else "png"))
