"""What a report says of `reproduce`: every figure of the notebook beside ours, and whether the two agree."""

from collections.abc import Mapping, Sequence
from typing import Any

from mnistexp.report.origin import how_it_was_made, standing, warnings
from mnistexp.report.page import Block, Cell, Fact, Facts, Paragraph, Picture, RunReport, Section, Table, number
from mnistexp.runs.stored_runs import StoredRun

__all__ = ["reproduce_report"]

PARTS = {
    "data": "Is it the same data and the same network?",
    "curves": "Do the loss curves agree?",
    "as submitted": "As submitted: do the grids agree when their fault is repeated?",
    "as intended": "As intended: what do the grids give when their settings are applied?",
}
FIGURES = {
    "curves": {
        "reported_sgd_150_epochs.png": "150 epochs of SGD: the reported validation loss over ours",
        "reported_adam_dropout_50_epochs.png": "50 epochs of Adam with dropout: the reported validation loss over ours",
    },
    "as submitted": {"reported_rows.png": "Every row of the grids, reported and ours"},
}
AGREES = {True: "yes", False: "no", None: "\N{EN DASH}"}


def reproduce_report(stored: StoredRun) -> RunReport:
    """A finished reproduction. Raises RunError where its files are missing or damaged."""
    found = stored.metrics or {}
    counts, rows = found["agreements"], found["table"]
    compared = counts["yes"] + counts["no"]
    sections = [_part_section(stored, part, [row for row in rows if row["part"] == part]) for part in PARTS]
    sections[0] = Section(sections[0].heading, (*standing(stored), *warnings(found), *sections[0].blocks))
    return RunReport(
        id=stored.info.id,
        kind="reproduction",
        headline=f"{counts['yes']} of {compared} reported figures agree with ours",
        lead=f"{found['label']} {' '.join(found['sentences'])}",
        facts=Facts(
            (
                Fact("agree", str(counts["yes"]), f"of {compared} that can be compared"),
                Fact("disagree", str(counts["no"]), "each with its reason below"),
                Fact("not comparable", str(counts["not_comparable"])),
                Fact("took", f"{found['seconds']['total'] / 60:.1f} min", f"{len(found['steps'])} tasks"),
            )
        ),
        sections=(*sections, _steps_section(found["steps"]), how_it_was_made(stored)),
    )


def _part_section(stored: StoredRun, part: str, rows: Sequence[Mapping[str, Any]]) -> Section:
    agreeing = sum(row["agrees"] is True for row in rows)
    compared = sum(row["agrees"] is not None for row in rows)
    answer = f"{agreeing} of {compared} figures that can be compared agree." if compared else "Nothing can be compared."
    faults = dict.fromkeys(row["fault"] for row in rows if row["fault"])
    blocks: list[Block] = [Paragraph(answer, "answer")]
    blocks += [Paragraph(f"A fault of the notebook: {fault}.", "warning") for fault in faults]
    there = stored.files()
    blocks += [
        Picture(title, f"{title}. The table below has the figures in numbers.", stored.read_bytes(name))
        for name, title in FIGURES.get(part, {}).items()
        if name in there
    ]
    blocks.append(
        Table(
            "Reported and ours",
            ("figure", "reported", "ours", "range", "agree", "how they are compared"),
            tuple(_row(row) for row in rows),
            more="Range: where the reported figure should fall if it came from our training.",
        )
    )
    return Section(PARTS[part], tuple(blocks))


def _row(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    low, high = row["interval"] or (None, None)
    span = "\N{EN DASH}" if low is None else f"{low:.4g} to {high:.4g}"
    verdict = Cell(AGREES[row["agrees"]])
    return Cell(row["what"]), _value(row["reported"]), _value(row["ours"]), Cell(span), verdict, Cell(row["how"])


def _value(value: Any) -> Cell:
    if isinstance(value, list):
        return Cell(", ".join(map(str, value)))
    if isinstance(value, str | bool):
        return Cell(str(value))
    return number(value, ".4g" if isinstance(value, float) else ",")


def _steps_section(steps: Sequence[Mapping[str, Any]]) -> Section:
    rows = tuple(
        (
            Cell(step["name"].replace("_", " ")),
            Cell(step["part"]),
            Cell("reused" if step["reused"] else "run"),
            number(step["seconds"], ",.1f"),
            Cell(step["run"]),
        )
        for step in steps
    )
    return Section("What was run?", (Table("The tasks", ("task", "part", "how", "seconds", "run"), rows),))
