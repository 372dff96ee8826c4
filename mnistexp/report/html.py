"""A report as one self-contained HTML file: figures, style and script are inside, and nothing is fetched."""

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from mnistexp.report.glossary import Tooltips
from mnistexp.report.page import Block, Page, Picture, Section
from mnistexp.report.svg import draw

PHONE_INCHES = 5.6
"""Wider figures would be too small to read on a phone, so they scroll there."""


@dataclass(frozen=True)
class Shown:
    """A picture for the template: trusted markup, and the values behind it."""

    title: str
    description: str
    markup: Markup
    panels: list[dict[str, Any]]
    wide: bool = False


def page_to_html(page: Page) -> str:
    """The page as one file, the same text for the same page.

    Every value is escaped, and terms have their definitions as tooltips. The content policy allows this style and this
    script, by their hashes, and nothing else.
    """
    style, script = template_text("report.css"), template_text("report.js")
    runs = [
        {"run": run, "sections": [_section(section, f"f{place}-{row}-") for row, section in enumerate(run.sections)]}
        for place, run in enumerate(page.runs)
    ]
    return page_template("report.html").render(
        page=page,
        comparison=_section(page.comparison, "c-") if page.comparison else None,
        runs=runs,
        style=Markup(style),
        script=Markup(script),
        policy=report_policy(),
        explained=Tooltips(),
    )


def report_policy() -> str:
    """The content policy of every report."""
    return content_policy(template_text("report.css"), template_text("report.js"))


def content_policy(style: str, script: str) -> str:
    """A content policy that allows this inline style, this inline script and embedded images, nothing else."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def page_template(name: str) -> Template:
    """A template of `templates/`; every value is escaped."""
    loader = PackageLoader("mnistexp.report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def template_text(name: str) -> str:
    """The text of a file of `templates/`."""
    return resources.files(__package__).joinpath("templates", name).read_text("utf-8")


def _section(section: Section, prefix: str) -> tuple[str, list[Block | Shown]]:
    """A heading and its blocks; `prefix` makes the ids in its figures unique."""
    return section.heading, [_shown(block, f"{prefix}{column}-") for column, block in enumerate(section.blocks)]


def _hash(text: str) -> str:
    """The hash by which a content policy names an inline style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shown(block: Block, prefix: str) -> Block | Shown:
    if not isinstance(block, Picture):
        return block
    if isinstance(block.drawing, bytes):
        data = base64.b64encode(block.drawing).decode()
        image = Markup('<img src="data:image/png;base64,{}" alt="{}">').format(data, block.description)
        return Shown(block.title, block.description, image, [])
    svg, panels = draw(block.drawing, block.description, prefix)
    wide = block.drawing.get_figwidth() > PHONE_INCHES
    return Shown(block.title, block.description, Markup(svg), panels, wide)
