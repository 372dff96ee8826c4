"""A reproduction: its table against the curves and predictions of the runs that it names."""

import math
import re
from typing import Any

import numpy as np

from .records import Record


def row_faults(record: Record) -> list[str]:
    """Rows of the table that its runs contradict, and counts of agreements that aren't those of the rows."""
    found, rows = [], record.metrics["table"]
    for row in rows:
        own = Record(record.path.parent / row["run"]) if row["run"] else None
        if own is None or not (own.path / "history.csv").exists() or row["part"] != "curves":
            continue
        told, value = row["ours"], _ours(row["what"], own)
        if "validation" in row["what"] and not np.isfinite(own.curves("val_loss")).all():
            known = int(np.isfinite(own.curves("val_loss")[0]).sum())
            found.append(
                f"{row['what']}: {row['run']} was validated in {known} epochs of {own.curves('val_loss').shape[1]}"
            )
        if told is not None and not math.isfinite(told):
            found.append(f"{row['what']}: ours is {told}")
        elif (
            value is not None
            and told is not None
            and abs(told - value) > 6e-5 + 0.05 * row["what"].count("epoch of the")
        ):
            found.append(f"{row['what']}: told as {told}, but {row['run']} has {value}")
        if told is None and row["reported"] is not None and not row["how"]:
            found.append(f"{row['what']}: neither a figure of ours nor a reason")
    verdicts = [row["agrees"] for row in rows]
    counts = {"yes": verdicts.count(True), "no": verdicts.count(False), "not_comparable": verdicts.count(None)}
    if counts != record.metrics["agreements"]:
        found.append(f"agreements are told as {record.metrics['agreements']}, the rows have {counts}")
    return found


def _ours(what: str, own: Record) -> float | None:
    """The mean over the seeds of what a row is about; None of what is compared otherwise."""
    val_loss = own.curves("val_loss")
    if "epoch of the lowest validation loss" in what:
        return float(np.mean(np.nanargmin(val_loss, axis=1) + 1))
    if "lowest validation loss" in what:
        return float(np.nanmin(val_loss, axis=1).mean())
    if epoch := re.search(r"validation loss of epoch (\d+)$", what):
        return float(val_loss[:, int(epoch[1]) - 1].mean())
    if what.endswith("test accuracy"):
        accuracies: Any = own.metrics.get("repeats", {}).get("test_accuracies", [own.metrics["test_accuracy"]])
        return float(np.mean(accuracies))
    return None
