"""Whether a run is better than another on the same test digits, from the predictions that both keep."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mnistexp.config.shown import percent, signed_points
from mnistexp.errors import RunError
from mnistexp.runs.layout import DATA, Kind
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.statistics import PairedRuns, compare_paired, holm

TOLD_APART = 0.05
"""A difference counts where the p-value, adjusted for the number of comparisons, is at most this."""
Verdict = Literal["better", "worse", "not told apart", "not comparable"]


@dataclass(frozen=True)
class Digit:
    """A test digit that only one of two runs reads correctly: its row among the digits, its label, what each read.

    Of several trainings, what most of them read, or the first of them where no reading leads.
    """

    row: int
    label: str
    first: str
    second: str


@dataclass(frozen=True)
class Paired:
    """How a run compares with the first one. `reason`: why nothing can be said; then the rest is empty.

    `trainings`: how many of the first run and of this one. `p_value` is that of `found`, by Holm's method adjusted for
    the number of runs compared with the first.
    """

    first: str
    second: str
    reason: str | None = None
    digits: int = 0
    trainings: tuple[int, int] = (0, 0)
    found: PairedRuns | None = None
    p_value: float = 1.0
    only_first: tuple[Digit, ...] = ()
    only_second: tuple[Digit, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether the second run is better than the first."""
        if self.found is None:
            return "not comparable"
        if self.p_value > TOLD_APART:
            return "not told apart"
        return "better" if self.found.difference > 0 else "worse"

    @property
    def sentence(self) -> str:
        """The answer in plain words."""
        if self.found is None:
            return f"The runs can't be compared: {self.reason}."
        found, low, high = self.found, 100 * self.found.interval.low, 100 * self.found.interval.high
        shown = signed_points(found.second, found.first)
        numbers = (
            f"{percent(found.second)} against {percent(found.first)} of the same {self.digits} test digits: "
            f"{shown:+.1f} points, 95% interval {low:+.1f} to {high:+.1f}; p = {self.p_value:.2g} ({found.test})"
        )
        says = {"better": "Better", "worse": "Worse", "not told apart": "No significant difference"}[self.verdict]
        about = "these two networks, not their" if max(self.trainings) == 1 else "the two"
        return f"{says}: {numbers}. The comparison is of {about} settings."


def compare_with_first(runs: Sequence[StoredRun]) -> list[Paired]:
    """Each run after the first, compared with it. Raises RunError where a file of a run is damaged.

    The p-values are adjusted by Holm's method for as many comparisons as could be made.
    """
    first, *others = runs
    compared = [_compare(first, other) for other in others]
    values = [each.found.p_value for each in compared if each.found]
    adjusted = iter(holm(values).tolist() if values else ())
    return [each if each.found is None else replace(each, p_value=next(adjusted)) for each in compared]


def other_digits(first: StoredRun, second: StoredRun) -> str | None:
    """Why two runs were not tested on the same digits; None where they were. Raises RunError."""
    documents = [first.data or {}, second.data or {}]
    for run, document in zip((first, second), documents, strict=True):
        if not document:
            return f"{run.id} is a {run.command} run, which reads no digits"
    try:
        one, other = ([about[key] for key in ("sha256", "labels_sha256", "test")] for about in documents)
    except KeyError as error:
        raise RunError(f"{first.id} or {second.id} has a damaged {DATA}: it lacks {error}") from error
    if one[:2] != other[:2]:
        sources = (
            f"{each.get('digits')} of {each.get('source')}, SHA-256 {str(each['sha256'])[:12]}" for each in documents
        )
        return f"the digits differ: {' and '.join(sources)}"
    if one[2] != other[2]:
        both = len({*one[2]} & {*other[2]})
        return f"the test digits differ: {len(one[2])} and {len(other[2])}, of which {both} are the same"
    return None


def _compare(first: StoredRun, second: StoredRun) -> Paired:
    for run in (first, second):
        if run.command not in (Kind.TRAIN, Kind.BEST):
            return Paired(first.id, second.id, f"{run.id} is a {run.command} run, which reads no test digits")
    if reason := other_digits(first, second):
        return Paired(first.id, second.id, reason)
    kept = [run.predictions for run in (first, second)]
    for run, own in zip((first, second), kept, strict=True):
        if not own:
            why = "an earlier version made it" if run.status == "done" else f"it is {run.status}"
            return Paired(first.id, second.id, f"{run.id} keeps no predictions: {why}")
    names = (first.data or {}).get("class_names") or [str(digit) for digit in range(10)]
    one, other = (np.stack([each.correct for each in own]) for own in kept)
    found = compare_paired(one, other)
    about = kept[0][0]
    # What most trainings of a run read each digit as; of equals, the first training's.
    columns = [zip(*(each.read.tolist() for each in own), strict=True) for own in kept]
    read = [np.array([Counter(column).most_common(1)[0][0] for column in own]) for own in columns]
    right = [each == about.labels for each in read]
    named = [[str(names[label]) for label in each] for each in (about.labels.tolist(), *read)]

    def digits(which: Any) -> tuple[Digit, ...]:
        places = np.flatnonzero(which).tolist()
        return tuple(Digit(int(about.rows[place]), *(column[place] for column in named)) for place in places)

    return Paired(
        first.id,
        second.id,
        digits=one.shape[1],
        trainings=(len(one), len(other)),
        found=found,
        only_first=digits(right[0] & ~right[1]),
        only_second=digits(right[1] & ~right[0]),
    )
