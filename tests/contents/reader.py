"""All checks of one finished run folder: its page, its Markdown, its terminal output, its metrics and its figures."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from . import best, commands, reproduce, sweep, training
from .claims import Rule, difference_faults, faults_of, word_faults
from .drawings import page_figure_faults, picture_faults
from .passages import Page, Passage, markdown_texts, terminal
from .records import Record

Kind = tuple[Callable[[Record], dict[str, Any]], Sequence[Rule]]
KINDS: Mapping[str, Kind] = {
    "train": (training.quantities, training.RULES),
    "best": (best.quantities, best.RULES),
    "reproduce": (reproduce.quantities, reproduce.RULES),
    **dict.fromkeys(("sweep", "sweep-optimizer", "sweep-dropout"), (sweep.quantities, sweep.RULES)),
}
OTHERS = ("show-examples", "summary")
"""Runs of which figures, differences, words and Markdown are read, but whose numbers no rule claims yet."""


def faults(folder: Path, page: str = "", markdown: str = "", said: str = "") -> list[str]:
    """What is wrong with what a run folder tells, a line for each fault; an empty list where all is right.

    `page` and `markdown` are reports of the run, `said` what its command printed. Figures and `metrics.json` are read
    from the folder.
    """
    record = Record(folder)
    make, rules = KINDS.get(record.command, (None, ()))
    known = make(record) if make else {}
    found = [f"metrics.json: {fault}" for fault in document_faults(record.metrics)]
    found += commands.stored_faults(record, known)
    if page:
        read = Page(page)
        found += faults_of(read.passages, rules, known) if make else []
        found += [fault for fault in word_faults(read.passages) if fault not in found]
        found += difference_faults(read.passages)
        found += confusion_faults(read.passages, record)
        found += page_figure_faults(read, record)
        if markdown:
            found += disagreements(read, markdown)
        if said:
            found += unlike_page(read, said)
    if said:
        found += word_faults(terminal(said))
    if record.command == "reproduce":
        found += reproduce.row_faults(record, known["rows"])
    return [f"{folder.name}: {fault}" for fault in (*found, *picture_faults(record))]


def disagreements(page: Page, markdown: str) -> list[str]:
    """Where a page and the Markdown of the same run don't tell the same."""
    told = " ".join(" ".join(markdown_texts(markdown)).split())
    return [
        f"{place}: on the page, not in the Markdown: {text[:160]}"
        for place, text in page.passages
        if text and not place.endswith("settings") and _bare(text) not in _bare(told)
    ]


def unlike_page(page: Page, said: str) -> list[str]:
    """Sentences and cells with a number that a terminal has and the page hasn't: whose numbers have been checked."""
    texts = {_bare(text) for _, text in page.passages}
    everything = "\n".join(texts)
    cells = [(line, cell) for line in said.splitlines() if not line.startswith("Run folder")
             for cell in re.split(r"\s{2,}", line.strip()) if re.search(r"\d", cell)]  # fmt: skip
    return [
        f"the terminal has {cell!r}, the page hasn't: {line.strip()[:160]}"
        for line, cell in cells
        if _bare(cell) not in texts and (len(cell) < 12 or _bare(cell).rstrip("…") not in everything)
    ]


def confusion_faults(passages: Sequence[Passage], record: Record) -> list[str]:
    """Confusions that are told as the most frequent, such as `2 as 7 (3)`, and are not, or not as often."""
    found = []
    for place, text in passages:
        told = [tuple(map(int, one)) for one in re.findall(r"\b(\d) as (\d) \((\d+)\)", text)]
        if not told or not (record.path / "history.csv").exists():
            continue
        counts = record.confusions[0]
        missed = np.sort(counts[~np.eye(len(counts), dtype=bool)])[::-1]
        if any(shown == taken or counts[shown, taken] != times for shown, taken, times in told) or [
            times for _, _, times in told
        ] != list(missed[: len(told)]):
            found.append(f"{place}: these are not the most frequent confusions in predictions.npz: {text}")
    return found


def _bare(text: str) -> str:
    return "".join(text.replace("Note:", "").split())


def document_faults(document: Any, place: str = "") -> list[str]:
    """Numbers of a JSON document that are none, and sentences that hold one."""
    if isinstance(document, dict):
        return [fault for name, item in document.items() for fault in document_faults(item, f"{place}.{name}")]
    if isinstance(document, list):
        return [fault for item in document for fault in document_faults(item, place)]
    if isinstance(document, float) and not math.isfinite(document):
        return [f"{place[1:]} is {document}"]
    return []


def show(folder: Path, said: str = "") -> list[str]:
    """What is wrong with a run's page, Markdown and terminal output as the package writes them today.

    `said`: what its command printed, if that is to be read instead.
    """
    import tempfile

    from rich.console import Console

    from mnistexp.cli.console_report import answer
    from mnistexp.report.reports import write_report
    from mnistexp.runs import stored_runs
    from mnistexp.runs.results import Outcome

    with tempfile.TemporaryDirectory() as made:
        run, page, markdown = stored_runs.load(folder), Path(made) / "page.html", Path(made) / "page.md"
        write_report([run], "html", page)
        write_report([run], "md", markdown)
        terminal, written = Console(width=400, record=True, file=StringIO()), Record(folder)
        for part in answer(Outcome(folder, written.metrics)):
            terminal.print(part)
        said = said or terminal.export_text()
        return faults(folder, page.read_text("utf-8"), markdown.read_text("utf-8"), said)
