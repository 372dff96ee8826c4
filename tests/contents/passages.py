"""A page, a Markdown text or a terminal's output as short texts, each with the place where it stands."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any, NamedTuple

VOID = {"meta", "link", "br", "img", "input", "hr"}
BLOCKS = {
    "p",
    "h1",
    "h2",
    "h3",
    "dt",
    "dd",
    "b",
    "span",
    "caption",
    "th",
    "td",
    "figcaption",
    "title",
    "pre",
    "summary",
}


class Passage(NamedTuple):
    """`place`: such as `How accurate is it? / Precision, recall and F1 of each class / 3 / correct`."""

    place: str
    text: str


class Page(HTMLParser):
    """A report: its passages in their order, and the values behind each of its figures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.passages: list[Passage] = []
        self.panels: dict[str, list[dict[str, Any]]] = {}
        self.figures: dict[str, dict[str, Any]] = {}
        self.open: list[str] = []
        self.said, self.kind, self.figure = "", "", ""
        self.section = self.table = self.label = self.row = ""
        self.heads: list[str] = []
        self.column = 0
        drawn = re.findall(r"<figcaption>(.*?)</figcaption>\s*<div[^>]*>(<svg.*?</svg>)", text, re.S)
        self.drawn = {unescape(title): svg for title, svg in drawn}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in VOID:
            if tag == "img" and self.figure:
                self.figures[self.figure]["src"] = given.get("src", "")
                self.say("description", given.get("alt", ""))
            return
        self.open.append(tag)
        if tag == "svg":
            self.say("description", given.get("aria-label", ""))
        if tag in ("path", "image", "text") and self.figure:
            self.figures[self.figure]["paths"] = self.figures[self.figure].get("paths", 0) + 1
        if tag == "tr":
            self.row, self.column = "", 0
        if tag == "table":
            self.heads = []
        if self.begins(tag) or tag == "script":
            self.said, self.kind = "", given.get("class", "") or given.get("type", "")

    def handle_data(self, data: str) -> None:
        if self.open:
            self.said += data

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass
        text = " ".join(self.said.split())
        if tag == "script" and self.kind == "application/json":
            self.panels[self.figure] = json.loads(self.said)
        elif self.begins(tag) and "svg" not in self.open and "nav" not in self.open and "footer" not in self.open:
            self.block(tag, text)
        if self.begins(tag) or tag == "script":
            self.said = ""
        if tag == "table":
            self.table = ""

    def begins(self, tag: str) -> bool:
        """Whether a tag is that of a text of its own; code within a sentence is a part of it."""
        return tag in BLOCKS and (tag != "code" or not {"p", "td", "li"} & {*self.open})

    def block(self, tag: str, text: str) -> None:
        if tag in ("h1", "title"):
            self.say("headline", text.removesuffix(" - mnistexp"))
        elif tag in ("h2", "h3"):
            self.section = text
        elif tag == "dt":
            self.label = text
        elif tag == "b":
            self.say(f"tile {self.label}", text)
        elif tag == "span" and "dd" in self.open:
            self.say(f"tile {self.label} / note", text)
        elif tag == "figcaption":
            self.figure = text
            self.figures[text] = {}
        elif tag == "caption":
            self.table = text
        elif tag in ("th", "td"):
            if "thead" in self.open:
                self.heads.append(text)
                return
            self.row = self.row or text
            head = self.heads[self.column] if self.column < len(self.heads) else ""
            self.say(f"{self.table} / {self.row} / {head}", text, empty=True)
            self.column += 1
        elif tag == "pre":
            self.say("settings", text)
        elif tag == "p" and self.kind not in ("kind", "readout", "skip"):
            self.say(self.kind, text)

    def say(self, place: str, text: str, *, empty: bool = False) -> None:
        if text or empty:
            self.passages.append(Passage(f"{self.section} / {place}" if self.section else place, text))


def markdown_texts(text: str) -> list[str]:
    """The texts of a report in Markdown as they are read: of paragraphs, items and cells."""
    found = []
    for line in re.sub(r"^```.*?^```", "", text, flags=re.S | re.M).splitlines():
        image = re.fullmatch(r"!\[(.*)\]\(<.*>\)", line)
        cells = line.strip("|").split(" | ") if line.startswith("|") else [image[1] if image else line]
        found += [re.sub(r"\\(.)", r"\1", cell.strip("# >*").replace("**", "")).strip() for cell in cells]
    return [cell for cell in found if cell]


def terminal(text: str) -> list[Passage]:
    """A command's output, a passage for each line; the place is the first words of the line."""
    return [Passage(f"terminal / {line.split('  ')[0].strip()}", line.strip()) for line in text.splitlines() if line]
