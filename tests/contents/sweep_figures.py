"""What the figures of a sweep must show, from its trials.csv and the fits in trials/."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .curves import all_in, mean_and_range, measured
from .digits import SHARE
from .drawings import BLACK, BLUE, CROSS, NEAR, VERMILLION, WHITE, Drawn, Panel, number, rgb
from .records import Record
from .sweep import words
from .training import wilson

COLOURS_ALIKE = 8
"""Of 255: as far as two colours may be off by rounding."""
MANY = 500
"""With more trials, dots and lines are pixels."""
Known = Mapping[str, Any]


def _scores(trials: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each trial its score in per cent, NaN where a fit failed; if one failed or diverged; if it is chosen."""
    scores = np.where(trials.failed > 0, np.nan, 100 * trials.mean_test_score)
    return scores, ((trials.failed > 0) | (trials.diverged > 0)).to_numpy(), trials.selected.to_numpy(bool)


def _levels(trials: pd.DataFrame, name: str, labels: Sequence[str], count: int) -> list[np.ndarray]:
    """Which trials have each of `count` levels of a setting, by the labels of these or of the edges of bins."""
    if not name:
        return [np.ones(len(trials), bool)]
    names = {f"param_{name}", "param_optimizer.name" if name == "optimizer" else ""}
    keys = [key for key in trials if key.startswith("param_") and (key in names or words(key) == name)]
    [values] = [trials[key] for key in keys]
    if len(labels) == count:
        return [np.asarray(_is(values, label)) for label in labels]
    low, high = values.min(), values.max()
    for edges in (np.linspace(low, high, count + 1), np.geomspace(low, high, count + 1) if low > 0 else []):
        if [f"{edge:.2g}" for edge in edges] == list(labels):
            bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, count - 1)
            return [np.asarray((bins == level) & values.notna()) for level in range(count)]
    raise AssertionError(f"no bins of {name} have the edges {labels}")


def _is(values: pd.Series, label: str) -> Any:
    if np.isfinite(number(label)):
        return np.isclose(pd.to_numeric(values, errors="coerce"), number(label), rtol=1e-4)
    return values.astype(str).str.lower() == label.lower()


def _shade_faults(colour: str, score: float, key: Panel) -> Iterator[str]:
    """A colour that the key of the colours gives to another score; that of a failed trial is not in the key."""
    assert key.image is not None
    away = np.abs(key.image.mean(axis=1) - rgb(colour)).max(axis=1)
    if (away.min() < COLOURS_ALIKE) != np.isfinite(score):
        yield f"{score:.1f} has the colour {colour}"
    elif np.isfinite(score):
        labels = np.sort([number(label) for _, label in key.ticks["y"]])
        span, power = np.ptp(labels), 1 if np.ptp(np.diff(labels)) < 0.21 else 2  # a wide scale stretches the best
        places = np.flatnonzero(away < away.min() + 3) / (len(away) - 1)
        expected = max(0.0, (score - labels[0]) / span) ** power
        if np.abs(places - expected).min() > 0.015 + power * 0.06 / span:
            yield f"the colour of {score:.1f} is that of {labels[0] + span * places.mean() ** (1 / power):.1f}"


def _key(shown: Drawn) -> Panel:
    """The key of the colours."""
    return next(panel for panel in shown.panels if panel.image is not None)


def heat_maps(shown: Drawn, known: Known) -> Iterator[str]:
    """Each cell's number, colour, cross and frame."""
    record: Record = known["record"]
    trials, summary = record.trials, np.mean if record.config["sweep"].get("heat_maps") == "mean" else np.max
    scores, bad, best = _scores(trials)
    key = _key(shown)
    for panel in shown.axes:
        boxes = [(box, colour) for box, colour in panel.boxes if colour != WHITE]
        lefts = sorted({round(float(box[0, 0])) for box, _ in boxes})
        bottoms = sorted({round(float(box[1, 1])) for box, _ in boxes}, reverse=True)
        columns = _levels(trials, panel.names["x"], [label for _, label in panel.ticks["x"]], len(lefts))
        rows = _levels(trials, panel.names["y"], [label for _, label in panel.ticks["y"]][::-1], len(bottoms))
        if len(boxes) != sum((row & column).any() for row in rows for column in columns):
            yield f"{len(boxes)} cells of {panel.names['y']} and {panel.names['x']}"
        for box, colour in boxes:
            within = rows[bottoms.index(round(float(box[1, 1])))] & columns[lefts.index(round(float(box[0, 0])))]
            some = scores[within & np.isfinite(scores)]
            own, told = summary(some) if len(some) else np.nan, panel.inside(box)
            texts = [text for text in told if text != CROSS]
            if len(texts) != 1 or not (abs(number(texts[0]) - own) < 0.0501 or (texts == ["failed"] and not len(some))):
                yield f"a cell of {panel.names['y']} and {panel.names['x']} says {' '.join(told)}, trials.csv {own:.1f}"
            if (CROSS in told) != bool((within & bad).any()):
                yield f"the cell of {own:.1f} has a cross, or lacks one"
            frames = [line.mean(axis=0) for line, ink in panel.lines if ink == VERMILLION]
            framed = any((box[0] < middle).all() and (middle < box[1]).all() for middle in frames)
            if framed != bool((within & best & np.isfinite(scores)).any()):
                yield f"the cell of {own:.1f} is framed as the best, or is the best and not framed"
            yield from _shade_faults(colour, own, key)


def marginals(shown: Drawn, known: Known) -> Iterator[str]:
    """By each setting a dot for each trial, and the mean of each level; of one setting the range of the fits."""
    record: Record = known["record"]
    trials, (scores, bad, _) = record.trials, _scores(record.trials)
    folds, alone = 100 * trials.filter(regex=r"^split\d+_test_score").to_numpy(), len(shown.axes) == 1
    for panel in shown.axes:
        ticks, name = panel.ticks["x"], panel.names["x"]
        labels, places = [label for _, label in ticks], np.array([place for place, _ in ticks])
        # The dots of a single level may stand anywhere in the panel.
        gap, y = float(np.diff(places).min()) if len(places) > 1 else np.inf, panel.scales["y"].places
        bars = np.concatenate([np.zeros((0, 2)), *(at for at, ink in panel.marks if ink not in (BLUE, VERMILLION))])
        count = len(bars) if not alone and len(bars) == len(labels) - 1 else len(labels)
        middles = places if count == len(labels) else (places[1:] + places[:-1]) / 2
        for middle, level in zip(middles, _levels(trials, name, labels, count), strict=True):
            whole = level & np.isfinite(scores)
            at = np.full(whole.sum(), middle)
            if alone:
                for place, range_ in zip(at, folds[whole], strict=True):
                    ends = np.column_stack([[place, place], y([range_.min(), range_.max()])])
                    if not any(len(line) == 2 and all_in(ends, line) for line, _ in panel.lines):
                        yield f"no line shows the range of the fits at {name} {place:.0f}"
            elif whole.any() and not all_in(np.array([[middle, y(scores[whole].mean())]]), bars):
                yield f"{name}: no bar at the mean of a level, {scores[whole].mean():.1f}"
            for colour, own in ((BLUE, whole & ~bad), (VERMILLION, whole & bad)):
                near = panel.marked(colour)
                near = near[np.abs(near[:, 0] - middle) < gap / 2]
                if len(trials) <= MANY and not _same(near[:, 1], y(scores[own]), more=(level & ~whole).sum()):
                    yield f"{name}: other dots than trials.csv has at a level: {len(near)} of {own.sum()}"


def _same(drawn: np.ndarray, expected: np.ndarray, more: int) -> bool:
    """Whether these are drawn, and `more` crosses at the bottom, where a trial without a score stands."""
    drawn = np.sort(drawn)
    return len(drawn) - len(expected) in (0, more) and np.allclose(drawn[: len(expected)], np.sort(expected), atol=NEAR)


def parallel(shown: Drawn, known: Known) -> Iterator[str]:
    """Each trial's line: at the level of each setting, and at its score, in the colour of that; the best in black."""
    record: Record = known["record"]
    trials, (scores, _, best) = record.trials, _scores(record.trials)
    panel, key = next(panel for panel in shown.panels if panel.lines), _key(shown)
    scales = sorted((line for line, _ in panel.lines if len(line) == 2), key=lambda line: float(line[0, 0]))
    x, bottom, top = np.array([line[0, 0] for line in scales]), scales[0][:, 1].max(), scales[0][:, 1].min()
    heads = sorted((float(place[0]), text) for place, text in panel.texts if place[1] < top - 3)
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    expected: list[dict[int, int]] = [{} for _ in trials.index]
    counts = {}
    for column, (_, name) in enumerate(heads):
        beside = sorted(((bottom - place[1]) / (bottom - top), text) for place, text in panel.texts
                        if x[column] < place[0] < [*x, np.inf][column + 1] - 3 and place[1] >= top - 3)  # fmt: skip
        labels = [text for height, text in beside if height > -0.06]
        if column == len(x) - 1:
            shares = [0.5] if len(labels) == 1 else np.linspace(0, 1, 5)
            if labels != [f"{low + share * (high - low):.1f}" for share in shares]:
                yield f"the axis of the accuracy has the labels {labels}, the scores go from {low:.1f} to {high:.1f}"
        elif beside[-1][0] < 0.97:  # of bins the edges are labelled, and places within them are free
            counts[column] = len(labels)
            for level, members in enumerate(_levels(trials, name, labels, len(labels))):
                for trial in np.flatnonzero(members):
                    expected[trial][column] = level
    own = [(levels, score, mine) for levels, score, mine in zip(expected, scores, best, strict=True) if score == score]
    own += [one for one in own if one[2]]  # the best has a black line over its own
    for line, colour in (one for one in panel.lines if len(one[0]) > 2 and len(trials) <= MANY):
        heights = (bottom - line[:, 1]) / (bottom - top)
        levels = {column: int(heights[column] * n) for column, n in counts.items() if heights[column] > -0.06}
        score = low + heights[-1] * (high - low) if high > low else low
        same = [one for one in own if one[0] == levels and abs(one[1] - score) < 0.004 * max(high - low, 1)]
        if heights[-1] < -0.06:  # a trial without a score
            continue
        if colour == BLACK and not any(mine for *_, mine in same):
            yield f"the black line, with {score:.1f}, is not the best trial"
        if not same:
            yield f"a line ends at {score:.1f} that is no trial's"
            continue
        own.remove(same[0])
        if colour != BLACK:
            yield from _shade_faults(colour, score, key)
    if own and len(trials) <= MANY:
        yield f"{len(own)} trials have no line"


def top_learning_curves(shown: Drawn, known: Known) -> Iterator[str]:
    """The names of the best trials in the legend, and the means and ranges of their folds."""
    record: Record = known["record"]
    trials, (scores, *_) = record.trials.sort_values("trial"), _scores(record.trials.sort_values("trial"))
    order = np.argsort(-np.nan_to_num(scores, nan=-1), kind="stable")[:5]
    legend = next(panel for panel in shown.panels if panel.texts and not panel.ticks["x"])
    inks = [colour for _, colour in [*legend.lines, *legend.marks][: len(order)]]
    if len(legend.texts) != len(order):
        yield f"the legend has {len(legend.texts)} lines for {len(order)} trials"
    for row, (_, text), colour in zip(order, legend.texts, inks, strict=False):
        name, _, score = text.rpartition(" (")
        if score != ("no score)" if np.isnan(scores[row]) else f"{scores[row]:.1f}%)"):
            yield f"the legend says {text!r} of a trial with {scores[row]:.1f}%"
        for setting, _, value in (one.rpartition(" ") for one in name.split(", ")):
            if setting != "trial" and not _levels(trials, setting, [value], 1)[0][row]:
                yield f"the legend says {text!r} of another trial"
        fits = [json.loads(file.read_text("utf-8"))
                for file in sorted((record.path / "trials").glob(f"{trials.trial.iloc[row]:05d}-*.json"))]  # fmt: skip
        for panel in shown.axes:
            name, scale = measured(panel)
            curves = scale * np.array([fit[name] for fit in fits], float)
            if np.isfinite(curves).any():
                yield from mean_and_range(panel, curves, colour, f"{name} of trial {trials.trial.iloc[row]}")


def accuracy_by_digits(shown: Drawn, known: Known) -> Iterator[str]:
    """A curve for each of the best settings, with Wilson's intervals."""
    record: Record = known["record"]
    [panel], trials = shown.axes, record.trials[record.trials.failed == 0]
    others = [name for name in trials if name.startswith("param_") and name != SHARE]
    keys = trials[others].astype(str).agg(" ".join, axis=1) if others else pd.Series("", index=trials.index)
    grid = trials.assign(key=keys).pivot_table(index="key", columns=SHARE, values="mean_test_score").dropna()
    best = 100 * grid.to_numpy()[np.argsort(-grid.to_numpy().max(axis=1), kind="stable")[:6]]
    n, y = record.correct.shape[-1], panel.scales["y"].places
    dots = [panel.marked(colour)[:, 1] for colour in {own for _, own in panel.marks}]
    for curve in best:
        if not any(np.abs(own - y(curve)[:, None]).min(axis=1).max() < NEAR for own in dots if len(own)):
            yield f"no marks at {', '.join(f'{one:.1f}' for one in curve)}"
    sizes = sorted(known["sizes"])
    sizes += [2 * sizes[-1]] * (len(sizes) > 2)  # the fitted curves go there
    if [size for _, label in panel.ticks["x"] if np.isfinite(size := number(label))] != sizes:
        yield f"the sizes are {', '.join(map(str, sizes))}"
    bars = [np.sort(line[:, 1])[::-1] for line, _ in panel.lines if len(line) == 2 and np.ptp(line[:, 0]) < NEAR]
    for score in best.ravel():
        low, high = wilson(score / 100 * n, n)
        ends = y([min(100 * low, score), max(100 * high, score)])
        if not any(np.allclose(bar, ends, atol=NEAR) for bar in bars):
            yield f"no bar shows the interval of {score:.1f}"


FIGURES = {
    "heat_maps": heat_maps, "marginals": marginals, "parallel_coordinates": parallel,
    "top_learning_curves": top_learning_curves, "accuracy_by_digits": accuracy_by_digits,
}  # fmt: skip
