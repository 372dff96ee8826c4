"""A reproduction: its counts and the rows of its table, and where they are told."""

import re
from typing import Any

import numpy as np

from . import training
from .claims import About, flat, table
from .records import Record
from .reproduce_rows import ABOUT, rows_of, steps_of

TITLES = {"sgd_60_epochs": "SGD, 60 epochs", "sgd_150_epochs": "SGD, 150 epochs",
          "adam_dropout_50_epochs": "Adam with dropout, 50 epochs"}  # fmt: skip
"""The names of the trainings for readers."""


def quantities(record: Record) -> dict[str, Any]:
    """Everything that may be told of a reproduction, by name."""
    rows, steps = record.metrics["table"], record.metrics["steps"]
    verdicts = [row["agrees"] for row in rows]
    found: dict[str, Any] = {
        "yes": verdicts.count(True), "no": verdicts.count(False), "not comparable": verdicts.count(None),
        "compared": len(rows) - verdicts.count(None), "tasks": len(steps), "seed": record.config["seed"],
        "minutes": divmod(round(record.metrics["seconds"]["total"]), 60),
        "seconds": record.json("status.json")["seconds"],
        "settings": training.numbers_of(record.config), "left out": 30,
        "arithmetic rows": 2, "epochs reported": [150, 50],
        "environment": training.numbers_of(record.json("environment.json")),
    }  # fmt: skip
    trained = [one for (part, _), one in steps_of(record).items() if part == "curves"]
    found |= {
        "seeds": [len(one.histories) for one in trained],
        "epochs run": [one.metrics["epochs"] for one in trained],
    }
    for part in dict.fromkeys(row["part"] for row in rows):
        own = [row["agrees"] for row in rows if row["part"] == part and row["agrees"] is not None]
        found[f"of {part}"] = [own.count(True), len(own)]
    found["rows"] = rows_of(record)
    cells: dict[str, list[Any]] = {}
    for row, known in zip(rows, found["rows"], strict=True):
        what, digits = titled(row["what"]), training.numbers_of(re.findall(r"\d+", row["what"]))
        told = {head: flat(known.get(head)) for head in ("reported", "ours", "range")} | {"number": digits}
        everything = [*known.get("words", []), *(value for values in told.values() for value in values)]
        told |= {"how they are compared": everything}
        off = {"number": digits, "difference": _off(known), "known cause": [30]}
        places = {f"reported and ours / {what} / {head}": values for head, values in told.items()}
        places |= {f"numbers that disagree / {what} / {head}": values for head, values in off.items()}
        places |= {f"terminal / {what}": everything} | ({"not compared": everything} if row["agrees"] is None else {})
        for place, values in places.items():
            cells[place] = [*cells.get(place, []), *values]
    found |= cells
    for step in steps:
        head = f"the tasks / {titled(step['name']).replace('_', ' ')}"
        found.setdefault(f"{head} / seconds", []).append(step["seconds"])
        found |= {f"{head} / {column}": training.numbers_of(step["name"].split("_")) for column in ("task", "part")}
    return found


def titled(what: str) -> str:
    """A row or a task as its place on a page is compared: in small letters, its training by the name for readers."""
    name, colon, rest = what.partition(":")
    return f"{TITLES.get(name, name)}{colon}{rest}".lower()


def _off(known: dict[str, Any]) -> list[Any]:
    if not {"range", "reported"} <= known.keys():
        return []
    reported, within = known["reported"], max(getattr(end, "within", 0.0) for end in known["range"])
    return [About(abs(reported - getattr(end, "value", end)), within) for end in known["range"]]


def row_faults(record: Record, rows_known: list[dict[str, Any]]) -> list[str]:
    """Rows of the table that its runs contradict, and counts of agreements that aren't those of the rows."""
    found, rows = [], record.metrics["table"]
    for row, known in zip(rows, rows_known, strict=True):
        own = Record(record.path.parent / row["run"]) if row["run"] else None
        if row["part"] == "curves" and own and "validation" in row["what"]:
            curves = own.curves("val_loss")
            if (count := int(np.isfinite(curves[0]).sum())) < curves.shape[1]:
                found.append(f"{row['what']}: {row['run']} was validated in {count} epochs of {curves.shape[1]}")
                continue
        told = {"reported": row["reported"], "ours": row["ours"], "range": row["interval"]}
        for name, value in told.items():
            within = 0.05 if "epoch of the" in row["what"] and name == "ours" else 6e-5  # rounded as it is shown
            if value is not None and not _close(value, known.get(name), within):
                found.append(f"{row['what']}: {name} is told as {value}, but computed as {known.get(name)}")
        if row["agrees"] is not None and "range" in known and row["agrees"] not in _verdicts(known):
            found.append(f"{row['what']}: agrees is told as {row['agrees']}, the range is {known['range']}")
        if row["ours"] is None and row["reported"] is not None and not row["how"]:
            found.append(f"{row['what']}: neither a number of ours nor a reason")
    verdicts = [row["agrees"] for row in rows]
    counts = {"yes": verdicts.count(True), "no": verdicts.count(False), "not_comparable": verdicts.count(None)}
    if counts != record.metrics["agreements"]:
        found.append(f"agreements are told as {record.metrics['agreements']}, the rows have {counts}")
    return found


def _close(told: Any, known: Any, within: float) -> bool:
    if isinstance(told, list):
        return len(told) == len(flat(known)) and all(_close(a, b, within) for a, b in zip(told, known, strict=True))
    if isinstance(known, About):
        return bool(abs(told - known.value) <= known.within + within)
    return known is not None and bool(abs(told - known) <= within)


def _verdicts(known: dict[str, Any]) -> set[bool]:
    """What may be said of a row: both where the reported number is as near to an end as another computation is off."""
    reported, (low, high) = known["reported"], known["range"]
    within = max(getattr(end, "within", 0.0) for end in (low, high))
    low, high = getattr(low, "value", low), getattr(high, "value", high)
    if "about" in known:
        low, high = low - ABOUT, high + ABOUT
    if "rows" in known:
        return known["rows"]
    inside = low <= reported <= high
    return {inside} | ({not inside} if min(abs(reported - low), abs(reported - high)) <= within else set())


RULES = table(
    r"""
^headline|^lead|^terminal :: agree :: yes, compared
^lead|^terminal :: not comparable\.|are shown, not compared :: not comparable
^tile agree :: . :: yes, compared
^tile disagree :: . :: no
^tile not comparable|^tile shown :: . :: not comparable
^tile took :: . :: minutes, tasks
^is it the same :: comparable numbers :: of data
^do the loss curves :: comparable numbers :: of curves
^as submitted :: comparable numbers :: of as submitted
^as intended :: comparable numbers :: of as intended
^do the loss curves :: printed for epoch :: left out
^do the loss curves.*description :: epochs of|epochs: reported :: epochs reported
^terminal :: settings applied|unseen digits the same network|seeds were run|not comparable: :: not compared
^terminal :: figures: not comparable :: not comparable, arithmetic rows
^terminal :: printed for epoch :: left out
how was this made :: . :: environment, seconds, seed, settings
figure reported :: mean of \d+ seeds :: seeds
figure reported :: first \d+ epochs :: epochs reported, epochs run
figure reported :: epochs$ :: epochs reported
"""
)
