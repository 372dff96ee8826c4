"""A gate for a run: requirements that it must meet, and no drop of its test accuracy below a baseline's."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from mnistexp.config.shown import percent
from mnistexp.errors import BadInput, nearest, show
from mnistexp.runs import paired
from mnistexp.runs.conditions import FIELDS, MISSING, malformed, text_of, value_of
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.runs.summary import compact, flat, is_number
from mnistexp.runs.where import parse

ACCURACY = "test_accuracy"


@dataclass(frozen=True)
class Requirement:
    """One requirement, whether it is met, and what was found: values by key, or the comparison with the baseline."""

    text: str
    met: bool
    found: str


@dataclass(frozen=True)
class Checked:
    """A run checked against requirements. `smallest_drop`: see `PairedRuns`; None without a comparison by noise."""

    run: str
    baseline: str | None
    requirements: tuple[Requirement, ...]
    smallest_drop: float | None = None

    @property
    def met(self) -> bool:
        """Whether all requirements are met."""
        return all(each.met for each in self.requirements)


def check(
    run: StoredRun, require: Sequence[str] = (), baseline: StoredRun | None = None, tolerance: float | None = None
) -> Checked:
    """Hold a run against conditions (see where.py) and a baseline.

    Against a baseline it fails for a drop of the test accuracy that noise doesn't explain, which `compare_paired` tells
    from none with p <= 0.05; or, where `tolerance` is given, for a drop of more than so much, 0.01 being one point.
    Raises `BadInput` where nothing is asked, for a key that the run lacks, and where the two runs can't be compared;
    `RunError` where a file is damaged.
    """
    if not require and baseline is None:
        raise BadInput("nothing to check: give --require CONDITION or --baseline RUN")
    if tolerance is not None and not (baseline and 0 <= tolerance <= 1):
        raise BadInput(f"--tolerance is {tolerance:g}, allowed: 0 to 1, with --baseline; 0.01 is one point")
    whole = _with_nulls(run)
    met = [_requirement(whole, text) for text in require]
    if baseline is None:
        return Checked(run.id, None, tuple(met))
    if tolerance is not None:
        return Checked(run.id, baseline.id, (*met, _within(whole, _with_nulls(baseline), tolerance)))
    against, drop = _unexplained(run, baseline)
    return Checked(run.id, baseline.id, (*met, against), drop)


def _requirement(run: StoredRun, text: str) -> Requirement:
    with _named():
        condition = parse(text)
        parts = condition.comparisons
        for part in parts:
            if value_of(run, part.key) is MISSING:
                has = f"the {run.status} run {run.id} has no {show(part.key)}"
                malformed(part.text, part.at, f"{has}{nearest(part.key, (*FIELDS, *run.numbers, *run.settings))}")
        found = ", ".join(dict.fromkeys(f"{part.key} is {_shown(value_of(run, part.key))}" for part in parts))
        return Requirement(text, condition.matches(run), found)


@contextmanager
def _named() -> Iterator[None]:
    """Have errors in a condition name the option that it was given by."""
    try:
        yield
    except BadInput as error:
        raise BadInput(str(error).replace("--where", "--require", 1)) from None


def _with_nulls(run: StoredRun) -> StoredRun:
    """The run with those metrics, too, that are null, such as the loss of a training that diverged."""
    empty = {key: value for key, value in flat(run.metrics or {}).items() if value is None}
    return replace(run, _summary=replace(run.summary, numbers=compact({**empty, **run.numbers})))


def _accuracy(run: StoredRun) -> float:
    value = value_of(run, ACCURACY)
    if not is_number(value):
        raise BadInput(f"the {run.status} {run.command} run {run.id} has no {ACCURACY} to compare")
    return float(value)


def _within(run: StoredRun, baseline: StoredRun, tolerance: float) -> Requirement:
    one, other = _accuracy(run), _accuracy(baseline)
    if reason := paired.other_digits(baseline, run):
        raise BadInput(f"--baseline {baseline.id} can't be compared: {reason}")
    drop = other - one
    met = drop <= tolerance or math.isclose(drop, tolerance)
    text = f"at most {100 * tolerance:g} points below {baseline.id}"
    return Requirement(text, met, f"{percent(one)} against {percent(other)}")


def _unexplained(run: StoredRun, baseline: StoredRun) -> tuple[Requirement, float]:
    [answer] = paired.compare_with_first([baseline, run])
    if answer.found is None:
        raise BadInput(f"--baseline {baseline.id} can't be compared: {answer.reason}")
    found = answer.found
    says = (
        f"{percent(found.second)} against {percent(found.first)}, p = {answer.p_value:.2g}; a drop of "
        f"{100 * found.smallest_drop:.1f} points or more would have been noticed"
    )
    text = f"no drop below {baseline.id} beyond noise"
    return Requirement(text, answer.verdict != "worse", says), found.smallest_drop


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else text_of(value)
