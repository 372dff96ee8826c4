"""Results as tables and sentences for a terminal. Nothing here prints: `cli/call.py` does."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mnistexp.cli.printable import STEERING
from mnistexp.config import settings, shown
from mnistexp.config.settings import Settings
from mnistexp.config.shown import counted, duration

if TYPE_CHECKING:  # these load pydantic and numpy, which --help can do without
    from mnistexp.config.models import ExperimentConfig
    from mnistexp.sweeps.plan import Plan


STATUS = {
    "running": "cyan", "done": "green", "interrupted": "yellow", "failed": "red", "dead": "red", "damaged": "red",
}  # fmt: skip
"""The colour of each status."""
CURVE_WIDTH = 20
BLOCKS = "▁▂▃▄▅▆▇█"
SHADES = "_.-=+*#%"


def json_text(document: dict[str, Any]) -> str:
    """A document as JSON that any reader takes: numbers that are not finite become null."""
    from mnistexp.runs.files import plain

    text = json.dumps(plain(document), indent=2, allow_nan=False, ensure_ascii=False)
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain_table(*headings: str, rows: Iterable[Sequence[object]] = ()) -> Table:
    """A table without lines, with these rows as plain text."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def shows_unicode() -> bool:
    """Whether standard output takes more than ASCII."""
    file = getattr(sys.stdout, "rich_proxied_file", sys.stdout)  # while rich shows something live
    return "utf" in (file.encoding or "").lower()


def cut(text: str) -> Text:
    """Text of a cell that ends in an ellipsis where its column is too narrow, so that a row stays one line."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def whole_columns(table: Table, *but: str) -> Table:
    """The table with columns that keep their width on a narrow terminal, `but` these: they give way first."""
    for column in table.columns:
        column.no_wrap = column.header not in but
        if column.header in but:
            column.header = cut(str(column.header))
    return table


def settings_document(found: Settings) -> dict[str, Any]:
    """Each setting, and where its value came from, as JSON."""
    return {"config": found.config.model_dump(mode="json"), "origins": found.origins}


def settings_table(found: Settings) -> Table:
    """Each setting, its value and where that came from; the values to try by key."""
    rows, values = [], settings.dotted(found.config.model_dump(mode="json"))
    for key, origin in found.origins.items():
        value = values[key]
        grids = value if key == "sweep.grid" and isinstance(value, list) else [value] * (key in settings.WHOLE)
        for place, grid in enumerate(grids):
            where = key if len(grids) == 1 else f"{key}.{place}"
            rows += [(f"{where}.{name}", json.dumps(tried), origin) for name, tried in grid.items()]
        if not any(grids):
            rows.append((key, json.dumps(value), origin))
    return plain_table("key", "value", "from", rows=rows)


def sparkline(values: Sequence[float], bounds: tuple[float, float] | None = None, width: int = CURVE_WIDTH) -> str:
    """A curve as characters from low to high, each the mean of as many values; a space if all of them are NaN.

    `bounds`: the values that the lowest and the highest character stand for; of the curve itself by default.
    """
    blocks, width = BLOCKS if shows_unicode() else SHADES, min(len(values), width)
    cells = [values[len(values) * cell // width : len(values) * (cell + 1) // width] for cell in range(width)]
    numbers = [[value for value in cell if isfinite(value)] for cell in cells]  # not every epoch need be validated
    means = [sum(cell) / len(cell) if cell else nan for cell in numbers]
    finite = [mean for mean in means if isfinite(mean)]
    low, high = bounds or (min(finite, default=0.0), max(finite, default=0.0))
    top = len(blocks) - 1
    return "".join(
        blocks[max(0, min(top, round(top * (mean - low) / (high - low or 1.0))))] if isfinite(mean) else " "
        for mean in means
    )


def training_plan(config: "ExperimentConfig") -> Text:
    """What a training would do."""
    updates = -(-config.training_digits // config.training.batch_size)
    return Text(
        f"{counted(config.repeats, 'training')} of {counted(config.training.epochs, 'epoch')}, "
        f"{counted(updates, 'update')} per epoch on {config.training_digits} digits"
    )


def plan_report(plan: "Plan") -> Iterator[RenderableType]:
    """The parts of the work ahead, the fits of all of them, and how long they take."""
    keys = list(dict.fromkeys(key for row in plan.rows for key in row.what))
    counts = [name for name in ("run", "fits", "cached", "epochs") if any(getattr(row, name) for row in plan.rows)]
    timed = any(row.seconds is None or row.seconds for row in plan.rows)
    table = plain_table(*map(shown.name, keys), *counts, *["time"] * timed)
    for row in plan.rows:
        numbers = [str(getattr(row, name) or ("0" if row.fits and name == "cached" else "")) for name in counts]
        time = "" if row.seconds == 0 else _about(row.seconds)
        table.add_row(*(shown.value(row.what.get(key, "")) for key in keys), *numbers, *[time] * timed)
    yield table
    yield from map(Text, plan.notes)
    why = ": no fit timed yet" if plan.seconds is None else ""
    yield Text(f"{plan.fits} fits: {plan.cached} cached, {plan.to_run} to run ({_about(plan.seconds)}{why})")


def _about(seconds: float | None) -> str:
    return "time unknown" if seconds is None else f"about {duration(seconds)}"
