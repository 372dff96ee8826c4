"""A report as PDF, by fpdf2: an optional extra that needs neither a browser nor a system library."""

import logging
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from mnistexp.errors import BadInput
from mnistexp.figures import render
from mnistexp.report.page import Block, Code, Facts, Page, Paragraph, Picture, RunReport, Table

__all__ = ["page_to_pdf"]

FONT, CODE = "DejaVu Sans", "DejaVu Sans Mono"
FILES = {(FONT, ""): "DejaVuSans", (FONT, "B"): "DejaVuSans-Bold", (CODE, ""): "DejaVuSansMono"}
PAPER, INK, SOFT, LINE = (255, 255, 255), (29, 29, 27), (92, 90, 85), (222, 219, 212)
WASH, NOTE = (245, 244, 241), (253, 244, 227)
MARGIN = 18.0
MILLIMETRES_PER_INCH = 25.4
SCALE = 0.85
"""Of a figure's own size, so that its text is about as large as that around it."""
MOST_ROWS = 120


def page_to_pdf(page: Page, created: datetime) -> bytes:
    """The page as a PDF with an outline, figures with descriptions, and what is folded in HTML left out.

    `created` is stored in it, so that the same page gives the same bytes. Raises `BadInput` where fpdf2 is missing.
    """
    try:
        import fpdf
    except ImportError:
        raise BadInput("--format pdf needs fpdf2: pip install 'mnistexp[pdf]'") from None
    # It warns of each character that the font lacks; a box in its place says the same.
    logging.getLogger("fpdf").setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    pdf = fpdf.FPDF(format="A4")
    _prepare(pdf, page, created)
    for run in page.runs:
        pdf.add_page()
        _run(pdf, run)
    return bytes(pdf.output())


def _prepare(pdf: Any, page: Page, created: datetime) -> None:
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for (family, style), name in FILES.items():
        pdf.add_font(family, style, fonts / f"{name}.ttf")
    pdf.set_creation_date(created)
    pdf.set_title(page.title)
    pdf.set_creator("mnistexp")
    pdf.set_lang("en")
    pdf.set_margin(MARGIN)
    pdf.set_auto_page_break(True, MARGIN)
    pdf.set_draw_color(*LINE)


def _run(pdf: Any, run: RunReport) -> None:
    pdf.start_section(run.headline, strict=False)
    _text(pdf, run.headline, 20, bold=True, gap=2)
    _text(pdf, run.lead, 11.5, colour=SOFT, gap=4)
    _block(pdf, run.facts)
    for section in run.sections:
        if pdf.will_page_break(130 if isinstance(section.blocks[0], Picture) else 40):
            pdf.add_page()
        pdf.ln(5)
        pdf.start_section(section.heading, level=1, strict=False)
        _text(pdf, section.heading, 13.5, bold=True, gap=2)
        for block in section.blocks:
            _block(pdf, block)


def _text(
    pdf: Any, text: str, size: float, *, bold: bool = False, colour: tuple[int, int, int] = INK, gap: float = 2.5
) -> None:
    pdf.set_font(FONT, "B" if bold else "", size)
    pdf.set_text_color(*colour)
    pdf.multi_cell(0, size * 0.52, text, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(gap)


def _block(pdf: Any, block: Block) -> None:
    if isinstance(block, Paragraph):
        _paragraph(pdf, block)
    elif isinstance(block, Facts):
        rows = [(fact.label, fact.value, fact.note) for fact in block.items]
        if rows:
            _rows(pdf, rows, ["LEFT", "LEFT", "LEFT"])
    elif isinstance(block, Table) and not block.folded:
        _table(pdf, block)
    elif isinstance(block, Picture):
        _picture(pdf, block)
    elif isinstance(block, Code):
        _text(pdf, block.title, 9.5, bold=True, gap=1)
        pdf.set_font(CODE, "", 7.5)
        pdf.set_fill_color(*WASH)
        pdf.multi_cell(0, 4, block.text, align="L", fill=True, new_x="LMARGIN", new_y="NEXT", wrapmode="CHAR")


def _paragraph(pdf: Any, block: Paragraph) -> None:
    if block.kind != "warning":
        _text(pdf, block.text, 10.5 if block.kind == "answer" else 9.5)
        return
    pdf.set_font(FONT, "", 9.5)
    pdf.set_text_color(*INK)
    pdf.set_fill_color(*NOTE)
    pdf.multi_cell(0, 5, f"Note: {block.text}", align="L", fill=True, padding=2, new_x="LMARGIN", new_y="NEXT")
    pdf.ln(2.5)


def _table(pdf: Any, table: Table) -> None:
    if pdf.will_page_break(25):
        pdf.add_page()
    _text(pdf, table.title, 9.5, bold=True, gap=1)
    rows = [table.headings, *(tuple(cell.text for cell in row) for row in table.rows[:MOST_ROWS])]
    _rows(pdf, rows, ["RIGHT" if table.is_numeric(column) else "LEFT" for column in range(len(table.headings))], True)
    left_out = len(table.rows) - MOST_ROWS
    more = f"{left_out} more rows are left out here. {table.more}" if left_out > 0 else table.more
    if more:
        _text(pdf, more, 8, colour=SOFT)


def _rows(pdf: Any, rows: Sequence[tuple[str, ...]], aligned: Sequence[str], headed: bool = False) -> None:
    import fpdf

    pdf.set_font(FONT, "", 8)
    pdf.set_text_color(*INK)
    pdf.set_fill_color(*PAPER)
    room = pdf.w - 2 * MARGIN
    wanted = [max(pdf.get_string_width(cell) for cell in column) + 5 for column in zip(*rows, strict=True)]
    widths = _shared(wanted, room)
    head = fpdf.FontFace(emphasis="", color=SOFT)
    with pdf.table(
        rows,
        width=min(room, sum(widths)),
        col_widths=widths,
        align="LEFT",
        text_align=tuple(aligned),
        borders_layout="HORIZONTAL_LINES",
        first_row_as_headings=headed,
        headings_style=head,
        line_height=4.2,
        padding=(1, 1.5),
    ):
        pass
    pdf.ln(3)


def _shared(wanted: Sequence[float], room: float) -> list[float]:
    """Widths that fill no more than the room: narrow columns get what they want, the wide ones an even share."""
    share = room / len(wanted)
    for _ in wanted:
        narrow = [width for width in wanted if width <= share]
        if len(narrow) < len(wanted):
            share = (room - sum(narrow)) / (len(wanted) - len(narrow))
    return [min(width, share) for width in wanted]


def _picture(pdf: Any, picture: Picture) -> None:
    from PIL import Image

    content = picture.drawing if isinstance(picture.drawing, bytes) else render(picture.drawing, "png")
    with Image.open(BytesIO(content)) as image:
        width, height = (side / 150 * MILLIMETRES_PER_INCH * SCALE for side in image.size)
    shrink = min(1, (pdf.w - 2 * MARGIN) / width, (pdf.h - 2 * MARGIN - 12) / height)
    if pdf.will_page_break(height * shrink + 10):
        pdf.add_page()
    if isinstance(picture.drawing, bytes):  # a figure has its title in it
        _text(pdf, picture.title, 9.5, bold=True, gap=0.5)
    pdf.image(BytesIO(content), w=width * shrink, alt_text=picture.description)
    pdf.ln(3)
