"""All checks of one finished run folder: its page, its Markdown, its terminal output, its metrics and its figures."""

import math
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from . import best, commands, compare, evaluate, explored, reproduce, sweep, training
from .claims import Rule, difference_faults, faults_of, word_faults
from .drawings import drawn, number
from .figures import FIGURES
from .other_views import png_faults, pointer_faults
from .passages import Page, Passage, markdown_texts, terminal
from .records import Record

Kind = tuple[Callable[[Record], dict[str, Any]], Sequence[Rule]]
KINDS: Mapping[str, Kind] = {
    "train": (training.quantities, training.RULES),
    "best": (best.quantities, best.RULES),
    "evaluate": (evaluate.quantities, evaluate.RULES),
    "reproduce": (reproduce.quantities, reproduce.RULES),
    "summary": (explored.network, explored.NETWORK),
    "show-examples": (explored.examples, explored.EXAMPLES),
    **dict.fromkeys(("sweep", "sweep-optimizer", "sweep-dropout"), (sweep.quantities, sweep.RULES)),
}

TITLES = {
    "Loss over the epochs": "loss_curves", "Accuracy over the epochs": "accuracy_curves",
    "Confusion matrix of all": "confusion_matrix", "Confusion matrix": "saved_confusion_matrix",
    "The misread digits": "mistakes", "Estimates of the accuracy": "accuracies",
    "Accuracy by pairs of settings": "heat_maps", "Accuracy by single setting": "marginals",
    "Parallel coordinates": "parallel_coordinates", "Learning curves of the best": "top_learning_curves",
    "Accuracy by number of training digits": "accuracy_by_digits", "Reliability diagram": "reliability",
    "The network, layer by layer": "network",
}  # fmt: skip
"""Titles of a page's figures, by the names of the files that show the same."""
CUT = re.compile(r"^The best \d+ (?:trials$|of \d+; trials\.csv lists them all\. )", re.M)
"""What a terminal says of a table of which it has the first rows."""


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
        if markdown:
            found += disagreements(read, markdown)
        if said:
            found += unlike_page(read, said)
    if said:
        found += word_faults(terminal(said))
        found += faults_of([line for line in terminal(said) if CUT.match(line.text)], rules, known) if make else []
    if record.command == "reproduce":
        found += reproduce.row_faults(record, known["rows"])
    found += figure_faults(record, Page(page), rules, known)
    return [f"{folder.name}: {fault}" for fault in found]


def together_faults(records: Sequence[Record], page: str) -> list[str]:
    """What is wrong with a page of several runs: of each its lead and its tiles, and the comparison of all."""
    read, found = Page(page), []
    for record, tiles in zip(records, compare.tiles_of(read), strict=True):
        make, rules = KINDS[record.command]
        found += faults_of([Passage(place, text) for place, text in tiles.items()], rules, make(record))
    found += compare.page_faults(records, read) + word_faults(read.passages) + difference_faults(read.passages)
    if title := next((title for title in read.drawn if title == "Learning curves of the runs"), ""):
        shown = drawn(read.drawn[title])
        trained = [record for record in records if record.histories]
        found += compare.curves_faults(shown, trained) + pointer_faults(read.panels[title], shown)
    return found


def figure_faults(record: Record, page: Page, rules: Sequence[Rule], known: Mapping[str, Any]) -> list[str]:
    """Figures of the folder and of the page that are empty or blank, and what they show that the files don't say."""
    pictures: dict[str, tuple[str, str | bytes]] = {
        svg.name: (svg.stem, svg.read_bytes()) for svg in sorted(record.path.glob("*.svg"))
    }
    found, about = [], {**known, "record": record}
    for title, image in page.figures.items():
        stem = next((stem for pattern, stem in TITLES.items() if re.match(pattern, title)), "")
        if title in page.drawn:
            pictures[title] = (stem, page.drawn[title])
        elif not any(image["src"].endswith(b64encode(png.read_bytes()).decode()) for png in record.path.glob("*.png")):
            found.append(f"figure {title!r} of the page is no picture of the folder")
    for name, (stem, svg) in pictures.items():
        try:
            shown = drawn(svg)
        except ElementTree.ParseError as error:
            found.append(f"{name} is no SVG: {error}")
            continue
        told = [Passage(f"figure {stem}", word) for word in shown.words if np.isnan(number(word))]
        if shown.shapes < 3 or not shown.words:
            found.append(f"{name} is empty")
        found += [f"{name}: {fault}" for fault in (faults_of(told, rules, known) if rules else word_faults(told))]
        try:
            found += [f"{name}: {fault}" for fault in (FIGURES[stem](shown, about) if stem in FIGURES else ())]
        except (ValueError, IndexError, KeyError, RuntimeError) as error:  # what `next` doesn't find, too
            found.append(f"{name} is another figure: {error!r}")
        if name in page.panels:
            found += [f"{name}: {fault}" for fault in pointer_faults(page.panels[name], shown)]
        else:
            found += png_faults((record.path / name).with_suffix(".png"), shown)
    return found


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
    said = CUT.sub("", said)  # of a long table the page has all rows
    cells = [(line, cell) for line in said.splitlines() if not line.startswith("Run folder")
             for cell in re.split(r"\s{2,}", line.strip()) if re.search(r"(?<!F)\d", cell)]  # fmt: skip
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


def show_together(folders: Sequence[Path]) -> list[str]:
    """What is wrong with the page of several runs as the package writes it today."""
    import tempfile

    from mnistexp.report.reports import write_report
    from mnistexp.runs import stored_runs

    with tempfile.TemporaryDirectory() as made:
        page = write_report([stored_runs.load(folder) for folder in folders], "html", Path(made) / "page.html")
        return together_faults([Record(folder) for folder in folders], page.read_text("utf-8"))


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
