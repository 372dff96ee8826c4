"""A report as a notebook: each question with this run's answer and figures, and code that computes them again."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from pprint import pformat
from textwrap import indent
from typing import Any

from jinja2 import Template

from mnistexp.config.yaml_source import parse_fast
from mnistexp.errors import BadInput, ConfigError, RunError
from mnistexp.report.html import template_text
from mnistexp.report.markdown import escaped, section_lines
from mnistexp.report.page import Page, RunReport, Section
from mnistexp.runs.layout import CONFIG, Kind
from mnistexp.runs.stored_runs import StoredRun

ASKED = ("What does the data look like?", "What network was trained, and how?")
"""The questions of every notebook, also where the report doesn't answer them."""
QUESTION = re.compile(r"^## (.+)$", re.MULTILINE)
CODE = re.compile(r"^```python\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def page_to_notebook(page: Page, stored: list[StoredRun]) -> bytes:
    """The notebook as a file, the same bytes for the same runs. Raises `BadInput` where nbformat is missing."""
    try:
        import nbformat
        from nbformat import v4
    except ImportError:
        raise BadInput("--format ipynb needs nbformat: pip install 'mnistexp[notebook]'") from None
    cells: list[Any] = []
    for report, run in zip(page.runs, stored, strict=True):
        for cell in _cells(report, run):
            name = f"cell-{len(cells) + 1}"
            if isinstance(cell, str):
                cells.append(v4.new_code_cell(cell, id=name))
            else:
                text, attachments = cell
                about = {"attachments": attachments} if attachments else {}
                cells.append(v4.new_markdown_cell(text, id=name, **about))
    notebook = v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.validate(notebook)
    return f"{nbformat.writes(notebook)}\n".encode()


def _cells(report: RunReport, run: StoredRun) -> "Iterator[str | tuple[str, dict[str, Any]]]":
    """Code, and Markdown with its attached figures."""
    settings, codes = _settings(run), _codes(run)
    combines = run.command in (Kind.BEST, Kind.REPRODUCE)
    base = Kind.BEST if combines else Kind.SWEEP_OPTIMIZER if settings.get("sweep") else Kind.TRAIN
    results = f"These are the results of run `{run.id}`; the cells of code compute them again."
    story = report.story
    yield "\n\n".join([f"# {escaped(story.headline)}", escaped(story.lead), results]), {}
    yield from codes["Setup"]
    values = indent(pformat(settings, sort_dicts=False, width=100), "    ")
    yield f"config = api.configure(\n{values},\n    base={str(base)!r},\n)"
    if settings.get("data", {}).get("source", "embedded") != "embedded":
        yield "The digits come from a file or a download, which must be available to this notebook.", {}
    there = [section.heading for section in report.sections]
    for section in (*(Section(heading) for heading in ASKED if heading not in there), *report.sections):
        yield _markdown(section)
        yield from codes.get(section.heading, ())


def _codes(run: StoredRun) -> dict[str, list[str]]:
    """The code below the answer to each question, by `templates/notebook.md`."""
    found = run.metrics or {}
    text = Template(template_text("notebook.md"), trim_blocks=True).render(
        command=run.command,
        unseen=bool(found.get("representative", {}).get("unseen")),
        quick=bool(found.get("quick")),
    )
    _, *parts = QUESTION.split(text)
    both = zip(parts[::2], parts[1::2], strict=True)
    return {question: CODE.findall(answer) for questions, answer in both for question in questions.split(" / ")}


def _settings(run: StoredRun) -> dict[str, Any]:
    """The run's settings as plain Python values."""
    try:
        settings: dict[str, Any] = json.loads(json.dumps(parse_fast(run.config_text, CONFIG)))
    except (ConfigError, TypeError, ValueError) as error:
        raise RunError(f"{run.path / CONFIG} is damaged: {error}") from error
    return settings


def _markdown(section: Section) -> tuple[str, dict[str, Any]]:
    """A section as Markdown, and its figures as attachments."""
    files: dict[str, bytes] = {}
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(section_lines(section, 2, "figures", files))).strip()
    text = re.sub(r"\(<figures/(.+?)>\)", r"(attachment:\1)", text)
    names = {name.removeprefix("figures/"): content for name, content in files.items()}
    return text, {name: {"image/png": b64encode(content).decode()} for name, content in names.items()}
