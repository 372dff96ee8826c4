"""The comparison at the head of a report of several runs: their main numbers side by side, and which is better."""

from collections.abc import Sequence

from mnistexp.figures import plots
from mnistexp.report.page import Block, Cell, Paragraph, Picture, RunReport, Section, Table
from mnistexp.runs.layout import Kind
from mnistexp.runs.paired import compare_with_first
from mnistexp.runs.stored_runs import StoredRun

HEADING = "How do the runs compare?"
DASH = "\N{EN DASH}"


def comparison(reports: Sequence[RunReport], runs: Sequence[StoredRun]) -> Section:
    """The facts of all runs in one table, the curves in one figure, and trainings against the first one."""
    told = [{fact.label.removeprefix("mean "): fact.value for fact in run.story.facts.items} for run in reports]
    labels = list(dict.fromkeys(label for facts in told for label in facts))
    rows = []
    for number, (report, facts) in enumerate(zip(reports, told, strict=True), start=1):
        rows.append((Cell(f"{number}: {report.id}"), *(Cell(facts.get(label, DASH)) for label in labels)))
    blocks: list[Block] = []
    tested = [run for run in runs if run.command in (Kind.TRAIN, Kind.BEST) and run.metrics]
    if len(tested) > 1:
        answers = compare_with_first(tested)
        first = tested[0].id
        blocks += [Paragraph(f"{one.second} against {first}: {one.sentence}", "answer") for one in answers]
    blocks.append(Table("The runs side by side", ("run", *labels), tuple(rows)))
    curves = {run.id: run.histories for run in tested if run.histories}
    if len(curves) > 1:
        said = f"Loss and accuracy of {len(curves)} runs over the epochs; for repeated trainings, their mean."
        blocks.append(Picture("Learning curves of the runs", said, plots.learning_curves(curves)))
    return Section(HEADING, tuple(blocks))
