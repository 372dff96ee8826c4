"""The parts of a report that every run has: its status, its origin, and its metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

from mnistexp.config.yaml_source import parse_fast
from mnistexp.errors import ConfigError
from mnistexp.report.page import Block, Cell, Code, Paragraph, RunReport, Section, Story, Table, named, number
from mnistexp.runs.layout import CONFIG
from mnistexp.runs.stored_runs import StoredRun

UNFINISHED = {
    "running": "This run was not finished when this report was written.",
    "failed": "This run failed.",
    "interrupted": "This run was interrupted and can be resumed.",
}
LIBRARIES = ("mnistexp", "TensorFlow", "Keras", "NumPy")


def any_report(stored: StoredRun) -> RunReport:
    """The report of any other kind of run, or of one without results: the sentences and numbers of its metrics."""
    found = stored.metrics or {}
    sentences = tuple(Paragraph(sentence, "answer") for sentence in _sentences(found))
    rows = tuple((Cell(name), cell) for name, cell in _values(found))
    blocks: tuple[Block, ...] = (*standing(stored), *sentences, *warnings(found))
    if rows:
        blocks = (*blocks, Table("The metrics of this run", ("metric", "value"), rows))
    story = Story(stored.command, f"{stored.command}: {stored.name}", "" if found else "No results yet.")
    return RunReport(stored.id, story, (Section("What are the results?", blocks), how_it_was_made(stored)))


def standing(stored: StoredRun) -> tuple[Paragraph, ...]:
    """A warning if the run is not done."""
    said = UNFINISHED.get(stored.status)
    if not said:
        return ()
    return (Paragraph(f"{said} {stored.error or ''}".strip(), "warning"),)


def warnings(metrics: Mapping[str, Any]) -> tuple[Paragraph, ...]:
    """The warnings in a run's metrics."""
    return tuple(Paragraph(str(warning), "warning") for warning in metrics.get("warnings", ()))


def setting(stored: StoredRun, key: str) -> Any:
    """A setting of the run by its dotted key; None if its configuration lacks it."""
    try:
        value: Any = parse_fast(stored.config_text, CONFIG)
    except ConfigError:
        return None
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


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
        ("seed", str(setting(stored, "seed"))),
        ("processor", str(environment.get("cpu") or "unknown")),
        ("Python", str(environment.get("python", "unknown"))),
        ("code", code),
    ]
    if stored.seconds is not None:
        rows.insert(4, ("took", f"{stored.seconds:,.1f} seconds"))
    rows += [(name, str(versions[name.lower()])) for name in LIBRARIES if name.lower() in versions]
    return Section(
        "How was this made?",
        (
            Table("Origin of the numbers", ("item", "value"), named(*rows)),
            Paragraph(
                "To reproduce this run, save the settings below as a file and pass it to the command as --config."
            ),
            Code("All settings (config.yaml)", stored.config_text),
        ),
    )


def _sentences(value: Any) -> Iterator[str]:
    """Every `sentence` in the metrics, in order."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "sentence" and isinstance(item, str):
                yield item
            else:
                yield from _sentences(item)
    elif isinstance(value, list):
        for item in value:
            yield from _sentences(item)


def _values(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Cell]]:
    """Dotted names and values, without lists and sentences."""
    for key, item in value.items():
        name = f"{above}{key}"
        if isinstance(item, dict):
            yield from _values(item, f"{name}.")
        elif isinstance(item, bool) or (isinstance(item, str) and key not in ("sentence", "command")):
            yield name, Cell(str(item))
        elif isinstance(item, int | float) and key != "schema_version":
            yield name, number(item, ".6g")
