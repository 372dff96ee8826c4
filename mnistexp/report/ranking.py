"""The ranked table of a sweep's trials."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mnistexp.figures.axes import short_names
from mnistexp.report.page import Cell, Table, number, percent

__all__ = ["ranking_table", "setting_text"]

DASH = "\N{EN DASH}"


def ranking_table(found: Mapping[str, Any], most: int) -> Table:
    """The trials, the best first, at most so many."""
    ranking = found["ranking"]
    keys = list(dict.fromkeys(key for row in ranking for key in row["params"]))
    names, rows = short_names(dict.fromkeys(keys)), []
    for row in ranking[:most]:
        settings = (_value(row["params"][key]) if key in row["params"] else Cell(DASH) for key in keys)
        scores = (percent(_finite(row[key])) for key in ("mean", "std"))
        folds = ", ".join(percent(_finite(score)).text.rstrip("%") for score in row["scores"])
        rows.append((number(row["rank"]), *settings, *scores, Cell(folds), Cell(_remark(row, found))))
    cut = f"The best {most} of {len(ranking):,}; trials.csv lists them all. " * (len(ranking) > most)
    return Table(
        "All trials, the best first" if not cut else f"The best {most} trials",
        ("rank", *(names[key] for key in keys), "accuracy", "std", "folds", "remark"),
        tuple(rows),
        marked=frozenset(place for place, row in enumerate(ranking[:most]) if row["params"] == found["best_params"]),
        more=f"{cut}Accuracy: mean over the folds; std: standard deviation between the folds (ddof 0); tied: not "
        "significantly different from the best.",
    )


def _remark(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    remarks = ["chosen"] if row["params"] == found["best_params"] else ["tied"] * bool(row["tied"])
    remarks += ["diverged"] * bool(row["diverged"])
    return ", ".join(remarks + [f"failed: {row['error']}"] * bool(row["error"]))


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _value(value: Any) -> Cell:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return number(value, "g") if is_number else Cell(setting_text(value))


def setting_text(value: Any) -> str:
    """The value of a setting as text."""
    return f"{value:g}" if isinstance(value, float) else str(value)
