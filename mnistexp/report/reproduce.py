"""The report of `reproduce`: every number of the notebook beside ours, and whether the two agree."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mnistexp.commands.assignment.assignment import LONG, TITLES, WITH_DROPOUT
from mnistexp.config import shown
from mnistexp.report.origin import warnings
from mnistexp.report.page import Block, Cell, Fact, Paragraph, Picture, Section, Story, Table, number
from mnistexp.runs.stored_runs import StoredRun

PARTS = {
    "data": "Is it the same data and the same network?",
    "curves": "Do the loss curves agree?",
    "as submitted": "As submitted: do the grids agree when the notebook's bug is repeated?",
    "as intended": "As intended: which results do the settings give when they are applied?",
}
FIGURES = {
    "curves": {
        f"reported_{name}.png": f"{TITLES[name]}: reported validation loss and ours" for name in (LONG, WITH_DROPOUT)
    },
    "as submitted": {"reported_rows.png": "Every row of the grids, reported and ours"},
}
AGREES = {True: "yes", False: "no", None: "\N{EN DASH}"}


def reproduce_sections(stored: StoredRun) -> list[Section]:
    """Of a finished reproduction. Raises RunError where its files are missing or damaged."""
    found = stored.metrics or {}
    rows = found["table"]
    first, *others = (_part_section(stored, part, [row for row in rows if row["part"] == part]) for part in PARTS)
    notes = (note for note in warnings(found) if note.text != found["label"])  # the lead says it
    first = Section(first.heading, *notes, *first.blocks)
    return [first, *others, *_disagreements(rows), _steps_section(found["steps"])]


def reproduce_story(found: Mapping[str, Any]) -> Story:
    """What the metrics of `reproduce` tell."""
    counts, rows = found["agreements"], found["table"]
    compared = counts["yes"] + counts["no"]
    took = Fact("took", shown.duration(found["seconds"]["total"]), f"{len(found['steps'])} tasks")
    parts = [_part_blocks([row for row in rows if row["part"] == part], question) for part, question in PARTS.items()]
    return Story(
        kind="reproduction",
        headline="Quick run: everything works; trainings are not compared"
        if found.get("quick")
        else f"{counts['yes']} of {compared} reported numbers agree with ours",
        lead=f"{found['label']} {' '.join(found['sentences'])}",
        facts=(*_counts(found), took),
        answers=tuple(block for blocks in parts for block in blocks),
    )


def _counts(found: Mapping[str, Any]) -> Iterator[Fact]:
    """How many numbers agree; a quick run compares too few to count them."""
    counts = found["agreements"]
    if found.get("quick"):
        yield Fact("shown, not compared", str(counts["not_comparable"]), "a full run compares them")
        return
    yield Fact("agree", str(counts["yes"]), f"of {counts['yes'] + counts['no']} that can be compared")
    yield Fact("disagree", str(counts["no"]), "listed below, with causes where known" if counts["no"] else "")
    yield Fact("not comparable", str(counts["not_comparable"]), "the tables give the reasons")


def _disagreements(rows: Sequence[Mapping[str, Any]]) -> Iterator[Section]:
    """Each number that disagrees: by how much, and which bug of the notebook affects it."""
    lines = [
        (Cell(_titled(row["what"])), Cell(_off(row)), Cell(row["fault"] or "unknown: not a bug of the notebook"))
        for row in rows
        if row["agrees"] is False
    ]
    if lines:
        table = Table("Numbers that disagree", ("number", "difference", "known cause"), tuple(lines))
        yield Section("Which numbers disagree?", table)


def _off(row: Mapping[str, Any]) -> str:
    if not row["interval"]:
        return "not equal"
    (low, high), reported = row["interval"], row["reported"]
    if low <= reported <= high:
        return "in the range, but the distribution of the rows differs"
    side, edge = ("below", low) if reported < low else ("above", high)
    return f"{abs(reported - edge):.3g} {side} the range"


def _part_section(stored: StoredRun, part: str, rows: Sequence[Mapping[str, Any]]) -> Section:
    *told, table = _part_blocks(rows)
    there = stored.files()
    pictures = [
        Picture(title, f"{title}. The table below compares their main numbers.", stored.read_bytes(name))
        for name, title in FIGURES.get(part, {}).items()
        if name in there
    ]
    return Section(PARTS[part], *told, *pictures, table)


def _part_blocks(rows: Sequence[Mapping[str, Any]], title: str = "") -> list[Block]:
    """The answer of a part, the notebook's bugs that matter to it, and the table of its numbers.

    With a title, as a terminal shows it, the table doesn't say how each number was compared.
    """
    agreeing = sum(row["agrees"] is True for row in rows)
    compared = sum(row["agrees"] is not None for row in rows)
    reasons = list(dict.fromkeys(row["how"] for row in rows))
    nothing = (
        f"{reasons[0][:1].upper()}{reasons[0][1:]}."
        if len(reasons) == 1
        else "Nothing can be compared; the table gives the reasons."
    )
    answer = f"{agreeing} of {compared} comparable numbers agree." if compared else nothing
    faults = dict.fromkeys(row["fault"] for row in rows if row["fault"])
    blocks: list[Block] = [Paragraph(answer, "answer")]
    blocks += [Paragraph(f"Bug of the notebook: {fault}.", "warning") for fault in faults]
    blocks.append(
        Table(
            title or "Reported and ours",
            ("number", "reported", "ours", "range", "agree", "how they are compared")[: 5 if title else 6],
            tuple(_row(row)[: 5 if title else 6] for row in rows),
            more="Range: where the reported number should fall if it came from our training.",
        )
    )
    return blocks


def _row(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    low, high = row["interval"] or (None, None)
    span = "\N{EN DASH}" if low is None else f"{low:#.4g} to {high:#.4g}"
    values = _value(row["reported"]), _value(row["ours"])
    return Cell(_titled(row["what"])), *values, Cell(span), Cell(AGREES[row["agrees"]]), Cell(row["how"])


def _titled(text: str) -> str:
    """The name of a number or a task, with that of its training in words."""
    name = text.partition(":")[0]
    return text.replace(name, TITLES.get(name, name), 1)


def _value(value: Any) -> Cell:
    if isinstance(value, list):
        return Cell(", ".join(map(str, value)))
    if isinstance(value, str | bool):
        return Cell(str(value))
    return number(value, "#.4g" if isinstance(value, float) and not value.is_integer() else ",g")


def _steps_section(steps: Sequence[Mapping[str, Any]]) -> Section:
    rows = tuple(
        (
            Cell(_titled(step["name"])),
            Cell(step["part"]),
            Cell("reused" if step["reused"] else "run"),
            number(step["seconds"], ",.1f"),
            Cell(step["run"]),
        )
        for step in steps
    )
    return Section("Which tasks were run?", Table("The tasks", ("task", "part", "status", "seconds", "run"), rows))
