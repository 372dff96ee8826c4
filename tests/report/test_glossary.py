"""The glossary: each term once, and its definition as a tooltip where a report first uses it."""

import re
from pathlib import Path

from markupsafe import escape

from mnistexp.report import reports
from mnistexp.report.glossary import TERM, Tooltips, definitions
from mnistexp.report.html import page_to_html, template_text
from mnistexp.runs import stored_runs

TEXT = template_text("glossary.md")


def test_each_entry_is_one_term_with_its_definition() -> None:
    entries = [line for line in TEXT.splitlines() if line.startswith("- ")]
    terms = [term.lower() for term, _ in TERM.findall(TEXT)]
    assert len(entries) == len(terms) == len(set(terms)) > 50
    assert {"epoch", "fold", "bbc-cv"} <= {term.lower() for term in definitions()} < set(terms)


def test_the_first_use_of_a_term_is_explained_and_no_other() -> None:
    explained = Tooltips()
    first = explained("Epochs & <b>batch size</b>, an epoch")
    title = escape(definitions()["epoch"])
    assert first.startswith(f'<abbr title="{title}">Epoch</abbr>s &amp; &lt;b&gt;<abbr')
    assert first.count("<abbr") == 2  # the batch size as one term
    assert explained("<i>epoch</i>") == "&lt;i&gt;epoch&lt;/i&gt;"
    assert Tooltips()("reepoch, epoched") == "reepoch, epoched"


def test_reports_explain_their_terms(finished: dict[str, Path]) -> None:
    for command in ("train", "sweep"):
        page = page_to_html(reports.read_page([stored_runs.load(finished[command])]))
        shown = re.findall(r'<abbr title="([^"]*)">([^<]*)</abbr>', page)
        assert len(shown) > 3
        assert {term.lower() for _, term in shown} <= {term.lower() for term in definitions()}
        assert len(shown) == len({term.lower() for _, term in shown})
