"""What `--dry-run` of a sweep announces, in its JSON and its lines: the trials and fits that the sweep then had."""

from collections.abc import Mapping
from typing import Any

from .records import Record


def document_faults(record: Record, document: Mapping[str, Any]) -> list[str]:
    """What `--dry-run --json` counts otherwise than the sweep did."""
    fits = _fits(record)
    own = {"trials": len(record.trials), "fits": fits, "fits_cached": 0, "fits_to_run": fits, "seconds": None}
    return [f"--dry-run: {key} is {document[key]}, the sweep had {value}"
            for key, value in own.items() if document[key] != value]  # fmt: skip


def text_faults(record: Record, text: str) -> list[str]:
    """What `--dry-run` prints otherwise than a line for each trial of the sweep, and one for all fits."""
    swept, fits = [name for name in record.trials if name.startswith("param_")], _fits(record)
    rows = [["trial", *(name.rpartition(".")[2] for name in swept), "fits"]]
    for index, trial in record.trials.sort_index().iterrows():
        rows.append([str(index), *(f"{trial[name]:g}" for name in swept), str(fits // len(record.trials))])
    rows.append(f"{fits} fits: 0 cached, {fits} to run (time unknown: no fit timed yet)".split())
    lines = [line.split() for line in text.splitlines()]
    return [] if lines == rows else [f"--dry-run: prints {lines}, the sweep had {rows}"]


def _fits(record: Record) -> int:
    return len(list(record.path.glob("trials/*.json")))
