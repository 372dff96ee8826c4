"""What each figure must show, by the name of its file: its lines, marks, cells and colours, from the run's files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import chosen, explored, reproduce_rows, sweep_figures
from .claims import About, flat
from .curves import all_in, follows, mean_and_range, unlike
from .drawings import BLACK, BLUE, NEAR, VERMILLION, WHITE, Drawn, Panel, number
from .records import Record

GREY = "#767676"
Known = Mapping[str, Any]


def _loss(shown: Drawn, known: Known) -> Iterator[str]:
    [panel] = shown.axes
    yield from _curves(panel, known["record"], ("loss", "val_loss"))
    if "minimum" in known:
        at = panel.places(known["epoch of minimum"], np.full(len(known["epoch of minimum"]), known["minimum"]))
        yield from unlike("the marked minimum", panel.marked(BLACK), at)
        ends = panel.scales["x"].places([known["flat"][0] - 0.5, known["flat"][1] + 0.5])
        if not any(np.allclose(box[:, 0], ends, atol=NEAR) for box, colour in panel.boxes if colour != WHITE):
            yield f"no band from epoch {known['flat'][0]} to {known['flat'][1]}"
    if known.get("overfitting"):
        at = panel.scales["x"].places(known["overfitting"])
        if not any(np.allclose(line[:, 0], at, atol=NEAR) for line, _ in panel.lines):
            yield f"no line at the epoch from which on it overfits, {known['overfitting']}"


def _accuracy(shown: Drawn, known: Known) -> Iterator[str]:
    yield from _curves(shown.axes[0], known["record"], ("accuracy", "val_accuracy"))


def _curves(panel: Panel, record: Record, fields: Sequence[str]) -> Iterator[str]:
    """The mean of the repeats as a line in its colour, and their range as a band."""
    for field, colour in zip(fields, (BLUE, VERMILLION), strict=True):
        curves = record.curves(field) * (100 if "accuracy" in field else 1)
        if curves.size and np.isfinite(curves).any():
            yield from mean_and_range(panel, curves, colour, f"{field} of history.csv")


def _confusion(shown: Drawn, known: Known, which: str = "counts of all") -> Iterator[str]:
    """The count of each cell."""
    [panel], counts = shown.axes, np.asarray(known[which])
    found = np.zeros_like(counts)
    for place, text in panel.texts:
        if text.isdecimal():
            at = [int(np.argmin([abs(tick - place[axis]) for tick, _ in panel.ticks[name]]))
                  for axis, name in ((1, "y"), (0, "x"))]  # fmt: skip
            found[tuple(at)] += int(text)
    for row, column in np.argwhere(found != counts):
        yield f"row {row}, column {column} has {found[row, column]}, predictions.npz {counts[row, column]}"


def _accuracies(shown: Drawn, known: Known) -> Iterator[str]:
    """Each estimate at its row, with its interval."""
    [panel] = shown.axes
    names = {
        "test digits": ("saved accuracy", "interval of digits"), "highest score of the sweeps": ("raw", ""),
        "highest score, corrected for selection": ("corrected", "corrected interval"),
        "chosen setting, cross-validation": ("score", ""),
        "nested cross-validation": ("nested", "nested interval"),
        "final model, predicted": ("prediction", "prediction interval"),
        "unseen digits: predicted from the test digits": ("", "predicted"),
        "unseen digits": ("unseen", "unseen interval"),
    }  # fmt: skip
    for place, label in panel.ticks["y"]:
        row = [line for line, colour in panel.lines if colour == BLUE and abs(line[0, 1] - place) < NEAR]
        dots = [dot for dot in panel.marked(BLACK) if abs(dot[1] - place) < NEAR]
        bare = "".join(label.removesuffix(" (no interval)").split())  # a long label has several lines
        value, interval = next(own for name, own in names.items() if "".join(name.split()) == bare)
        told = [*(("value", dot[0]) for dot in dots[:1]), *(("end", end) for line in row for end in line[:, 0])]
        own = [*(flat(known[value])[:1] if value else []), *(known[interval] if interval else [])]
        values = [float(panel.scales["x"].values(at)) for _, at in told]
        if len(own) != len(values) or not all(_near(a, b) for a, b in zip(values, own, strict=True)):
            yield f"{label}: {', '.join(f'{one:.1f}' for one in values)} is drawn, computed {own}"


def _near(drawn: float, own: Any) -> bool:
    value, within = (own.value, own.within) if isinstance(own, About) else (own, 0.0)
    return abs(drawn - 100 * value) <= 100 * within + 0.05


def _trials_by_family(shown: Drawn, known: Known) -> Iterator[str]:
    """A dot for each setting of a family, its mean, and lines at the mean of all and at the chosen one."""
    [panel], everyone = shown.axes, chosen.tried(known["record"]).values()
    x, rows = panel.scales["x"].places, [place for place, _ in panel.ticks["y"]]
    for place, family in panel.ticks["y"]:
        own = np.sort([100 * one.score for one in everyone if family in one.families])
        drawn, bars = (
            marks[np.abs(np.array(rows)[:, None] - marks[:, 1]).argmin(axis=0) == rows.index(place)]
            for marks in (panel.marked(BLUE), panel.marked(GREY))
        )
        if family == "combination" and not len(own):  # its predictions were not kept
            continue
        if len(drawn) != len(own) or not np.allclose(np.sort(drawn[:, 0]), x(own), atol=NEAR):
            yield f"{family}: {len(drawn)} dots are not its {len(own)} settings"
        if len(bars) != 1 or abs(bars[0, 0] - x(own.mean())) > NEAR:
            yield f"{family}: no bar at its mean, {own.mean():.1f}"
    for name, colour in (("mean of all settings", GREY), ("score", VERMILLION)):
        at = x(100 * float(known[name]))
        if not any(own == colour and np.abs(line[:, 0] - at).max() < NEAR for line, own in panel.lines):
            yield f"no line at {name}"


def _reported_curves(name: str) -> Callable[[Drawn, Known], Iterator[str]]:
    def check(shown: Drawn, known: Known) -> Iterator[str]:
        record: Record = known["record"]
        [panel], own = shown.axes, reproduce_rows.steps_of(record)["curves", name]
        ours = own.curves("val_loss")
        theirs = record.reported_curves[record.reported_curves.run == name].val_loss.to_numpy(float)
        theirs = theirs[: ours.shape[1]]
        mean = ours.mean(axis=0)
        known_at = np.flatnonzero(np.isfinite(mean))
        if not follows(panel, known_at + 1, mean[known_at], BLUE):
            yield "no line shows the mean of our seeds"
        if not follows(panel, np.arange(1, len(theirs) + 1), theirs, VERMILLION):
            yield "no line shows the reported losses"
        if len(ours) > 2:
            at = range(0, ours.shape[1], 7)
            low, high = np.transpose([reproduce_rows.predicted(ours[:, epoch]) for epoch in at])
            ends = np.concatenate([panel.places(np.array(at) + 1, edge) for edge in (low, high)])
            if not any(all_in(ends, band) for band, _ in panel.bands):
                yield "no band shows the prediction interval of our seeds"

    return check


def _reported_rows(shown: Drawn, known: Known) -> Iterator[str]:
    """The scores of every row, reported and ours, and their means."""
    record: Record = known["record"]
    [panel], theirs, every = shown.axes, record.reported_rows, reproduce_rows.steps_of(record)
    for place, label in panel.ticks["y"]:
        family, _, whose = label.partition(", ")
        if whose == "reported":
            own, colour = theirs[theirs.sweep == family].mean_test_accuracy.to_numpy(), VERMILLION
        elif whose == "ours":
            own, colour = every["as submitted", family].trials.mean_test_score.to_numpy(), BLUE
        else:
            own, colour = reproduce_rows.of_seeds(every), GREY
        marks = [places for places, ink in panel.marks if ink == colour and np.abs(places[:, 1] - place).max() < NEAR]
        at = np.sort(np.concatenate([np.zeros((0, 2)), *marks])[:, 0])
        if not np.allclose(at, np.sort(panel.scales["x"].places(100 * np.array([*own, own.mean()]))), atol=NEAR):
            yield f"{label}: {len(at)} marks are not its {len(own)} rows and their mean"


def _reliability(shown: Drawn, known: Known) -> Iterator[str]:
    """In each bin of the probability the share that is right, and the number of digits."""
    upper, lower = (panel for panel in shown.panels if panel.ticks["x"])
    if "bins" in known:
        confidence, share, many = np.transpose(known["bins"])
        upper.scales["x"] = lower.scales["x"]
        yield from unlike("the shares of the bins", upper.marked(BLUE), upper.places(confidence, share))
        tops = [box[0, 1] for box, colour in lower.boxes if colour == BLUE and np.ptp(box[:, 1]) > 0]
        if not np.allclose(tops, lower.scales["y"].places(many), atol=NEAR):
            yield "bars are not the digits of the bins"


def _examples(shown: Drawn, known: Known) -> Iterator[str]:
    numbers = [number(word.split()[-1]) for word in shown.words]
    told = [*zip(numbers[::2], numbers[1::2], strict=True)]
    own = [(example["index"], example["label"]) for example in known["record"].metrics["examples"]]
    if sorted(told) not in (sorted(own), sorted(pair[::-1] for pair in own)):
        yield f"labels and indices are {told}, not {own}"


FIGURES: Mapping[str, Callable[[Drawn, Known], Iterator[str]]] = {
    "loss_curves": _loss, "accuracy_curves": _accuracy, "confusion_matrix": _confusion,
    "saved_confusion_matrix": partial(_confusion, which="counts"), **sweep_figures.FIGURES,
    "accuracies": _accuracies, "trials_by_family": _trials_by_family,
    "reported_sgd_150_epochs": _reported_curves("sgd_150_epochs"),
    "reported_adam_dropout_50_epochs": _reported_curves("adam_dropout_50_epochs"),
    "reported_rows": _reported_rows, "examples": _examples,
    "reliability": _reliability, "network": explored.drawn_network,
}  # fmt: skip
