"""The parts of a report that every run has: its status, its origin, and its metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

from mnistexp.report.page import Block, Cell, Code, Paragraph, Section, Table, cell_of
from mnistexp.runs.stored_runs import StoredRun

UNFINISHED = {
    "running": "This run was not finished when this report was written.",
    "failed": "This run failed.",
    "interrupted": "This run was interrupted and can be resumed.",
}
LIBRARIES = ("mnistexp", "TensorFlow", "Keras", "NumPy")


def any_sections(stored: StoredRun) -> list[Section]:
    """Of any other kind of run, or of one without results: the sentences and numbers of its metrics."""
    found = stored.metrics or {}
    blocks: list[Block] = [*(Paragraph(text, "answer") for text in _sentences(found)), *warnings(found)]
    if values := {name: number for name, number in stored.numbers.items() if name != "command"}:
        rows = tuple((Cell(name), cell_of(number)) for name, number in values.items())
        blocks.append(Table("The metrics of this run", ("metric", "value"), rows))
    return [Section("What are the results?", *blocks)]


def standing(stored: StoredRun) -> tuple[Paragraph, ...]:
    """A warning if the run is not done."""
    said = UNFINISHED.get(stored.status)
    return (Paragraph(f"{said} {stored.error or ''}".strip(), "warning"),) if said else ()


def warnings(metrics: Mapping[str, Any]) -> tuple[Paragraph, ...]:
    """The warnings in a run's metrics."""
    return tuple(Paragraph(str(warning), "warning") for warning in metrics.get("warnings", ()))


def how_it_was_made(stored: StoredRun) -> Section:
    """Command, seed, time, versions and settings: everything needed to repeat the run."""
    environment = stored.environment
    commit = environment.get("git_commit")
    code = str(commit)[:12] if commit else "installed package"
    if environment.get("git_dirty"):
        code += ", with uncommitted changes (see code.patch)"
    packages = environment.get("packages")
    versions = packages if isinstance(packages, dict) else {}
    rows = [
        ("run", stored.id),
        ("command", f"mnistexp {stored.command}"),
        ("status", stored.status),
        ("started", f"{stored.started:%Y-%m-%d %H:%M:%S} UTC"),
        ("seed", str(stored.settings.get("seed"))),
        ("processor", str(environment.get("cpu") or "unknown")),
        ("Python", str(environment.get("python", "unknown"))),
        ("code", code),
    ]
    if stored.seconds is not None:
        rows.insert(4, ("took", f"{stored.seconds:,.1f} seconds"))
    rows += [(name, str(versions[name.lower()])) for name in LIBRARIES if name.lower() in versions]
    return Section(
        "How was this made?",
        Table("Origin of the numbers", ("item", "value"), tuple((Cell(name), Cell(value)) for name, value in rows)),
        Paragraph("To reproduce this run, save the settings below as a file and pass it to the command as --config."),
        Code("All settings (config.yaml)", stored.config_text),
    )


def _sentences(value: Any) -> Iterator[str]:
    """Every `sentence` and `answer` in the metrics, in order."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("sentence", "answer") and isinstance(item, str):
                yield item
            else:
                yield from _sentences(item)
    elif isinstance(value, list):
        for item in value:
            yield from _sentences(item)
