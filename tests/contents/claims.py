"""Which quantities a number may be at which place. A number that no rule speaks of is a fault, and so is another value.

A rule is a pattern for the place, one for the sentence, and the names of the quantities that the numbers in such a
sentence may be. Rules tell what is spoken of, not how: `lowest` and `least` both mean the minimum.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .passages import Passage


class Rule(NamedTuple):
    place: str
    sentence: str
    names: str
    """Names of quantities, commas between."""


def table(text: str) -> list[Rule]:
    """Rules, one in a line: `place :: sentence :: names`."""
    return [Rule(*line.split(" :: ")) for line in text.strip().splitlines()]


class About(NamedTuple):
    """A value that is drawn by chance, and how far another computation of it may be."""

    value: float
    within: float


class Either(tuple[float, ...]):
    """Values of which a page may choose one, but the same one everywhere."""


NUMBER = re.compile(
    r"(?<![\w.:/_])(?:[-+\u2212](?=\d)(?<![\w)%].))?"
    r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w/]|\.\d|-\w) ?%?"
)
SENTENCE = re.compile(r"(?<=[.;?])\s+(?=[A-Z0-9(\u2013-])|(?<=:)\s+(?=[A-Z(\u2013-])")
FIXED = re.compile(
    r"\d{8}T\d{6}Z-[\w.-]+|\bF1\b|\b95 ?%(?= (?:confidence|interval|Wilson|t interval|prediction|intervals))|95% sure"
    r"|28 \u00d7 28|\b0 to 9\b|--[\w-]+(?: [\d.]+)?|(?<![\d.])(?:19|20)\d\d(?=[),.;])"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC|ddof \d|\b2 \u00d7 2\b"
    r"|SHA-256.*|beta[ _][12]\b|point or two|seconds? [12]\b"
    r"|within 1 SE\b|running median of 5 epochs|(?:needs|takes) at least 3(?: trainings| seeds)?"
)
UNWANTED = re.compile(r"(?<![\w'])(?:nan|NaN|None|null|-?inf|Infinity|undefined|<NA>)(?![\w'])")
EMPTY_COLUMNS = re.compile(r"remark|settings?$|note|reported|ours|range|agree|fault|reason", re.I)


def faults_of(passages: Iterable[Passage], rules: Sequence[Rule], known: Mapping[str, Any]) -> list[str]:
    """What is wrong with the numbers in some passages, a line for each."""
    passages = list(passages)
    found, printed = word_faults(passages), {}
    for place, text in passages:
        for sentence in SENTENCE.split(FIXED.sub(" ", text)):
            tokens = NUMBER.findall(sentence)
            if not tokens:
                continue
            exact = " / ".join(place.split(" / ")[-3:]).lower()
            names = [exact] if exact in known else [name for rule in rules if re.search(rule.place, place, re.I)
                     and re.search(rule.sentence, sentence, re.I) for name in rule.names.split(", ")]  # fmt: skip
            for token in tokens:
                if not names:
                    found.append(f"{place}: no pattern claims {token!r} in: {sentence}")
                    continue
                hits = [(name, value) for name in names for value in _values(known, name)
                        if _is(token, value, scaled="%" in text)]  # fmt: skip
                if not hits:
                    told = ", ".join(f"{name} {_shown(known, name)}" for name in dict.fromkeys(names))
                    found.append(f"{place}: {token!r} is none of: {told}; in: {sentence}")
                for name, _ in hits:
                    if isinstance(known.get(name), Either):
                        printed.setdefault((name, _form(token)), {})[token.strip(" %")] = f"{place}: {sentence}"
    for (name, _), tokens in printed.items():
        if len(tokens) > 1:
            found.append(f"{name} is printed as {' and as '.join(tokens)}: {' | '.join(tokens.values())}")
    return found


def word_faults(passages: Iterable[Passage]) -> list[str]:
    """Texts that hold `nan`, `None` and their like, and empty cells."""
    found = []
    for place, text in passages:
        if not place.endswith("settings") and (word := UNWANTED.search(text)):
            found.append(f"{place}: {word[0]!r} reaches a reader: {text[:160]}")
        if not text and not EMPTY_COLUMNS.search(place):
            found.append(f"{place}: an empty cell")
    return found


def _values(known: Mapping[str, Any], name: str) -> list[Any]:
    return flat(known.get(name))


def flat(value: Any) -> list[Any]:
    """The numbers in a quantity, in lists of any depth."""
    if value is None or isinstance(value, About | int | float | np.number):
        return [] if value is None else [value]
    return [number for one in value for number in flat(one)]


def _is(token: str, value: Any, *, scaled: bool) -> bool:
    """Whether a token is a value, rounded; a sign may be told in words: `1.6 points below`."""
    scales = [100.0] if token.rstrip().endswith("%") else [1.0, 100.0] if scaled else [1.0]
    return any(is_rounded(token, value, scale, signed=False) for scale in scales)


def is_rounded(token: str, value: Any, scale: float = 1.0, *, signed: bool = True) -> bool:
    """Whether a token is a value times a scale, rounded as the token is."""
    number, within = (value.value, value.within) if isinstance(value, About) else (float(value), 0.0)
    shown = token.strip(" %").replace(",", "").replace("\u2212", "-")
    mantissa, _, power = shown.partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(power or 0)
    step = 0.5 * 10.0**-decimals * (1 + 1e-6) + 1e-12
    values = [number * scale] if signed else [number * scale, abs(number) * scale]
    return min(abs(one - float(shown)) for one in values) <= step + within * scale


def four_digits(value: float) -> set[str]:
    """A number with four digits; both where it lies between two, but for rounding errors of its last bits."""
    return {f"{value * (1 + error):.4g}" for error in (-1e-9, 1e-9)}


def near(told: float, own: Any) -> bool:
    """Whether a number of a document is ours, but for rounding errors."""
    value, within = (own.value, own.within) if isinstance(own, About) else (own, 0.0)
    return bool(abs(told - value) <= within + 2e-6 * max(1.0, abs(told)))


def _form(token: str) -> tuple[bool, int]:
    return "%" in token, len(token.strip(" %").partition(".")[2])


def _shown(known: Mapping[str, Any], name: str) -> str:
    values = [value.value if isinstance(value, About) else value for value in _values(known, name)]
    return "(not there)" if not values else " or ".join(f"{float(value):.6g}" for value in values[:6])


DIFFERENCE = re.compile(
    r"(?P<a>[\d.]+)%[^%;]*?(?:against|on the test digits,|but|minus) [^%;]*?(?P<b>[\d.]+)%[^%]*?"
    r"(?P<d>[\d.]+) (?:percentage )?points",
)
CORRECTED = re.compile(r"best score is (?P<a>[\d.]+)%;[^%]*?(?P<d>[\d.]+) points (?:lower|higher), (?P<b>[\d.]+)%")


def difference_faults(passages: Sequence[Passage]) -> list[str]:
    """Rounded differences that are not those of the rounded values beside them, in sentences and in rows of tables."""
    found = []
    for place, text in passages:
        for pattern in (DIFFERENCE, CORRECTED):
            for match in pattern.finditer(text):
                a, b, told = float(match["a"]), float(match["b"]), float(match["d"])
                if abs(abs(a - b) - told) > 0.051:
                    found.append(f"{place}: {a} and {b} differ by {abs(a - b):.1f}, told as {told}: {match[0]}")
    rows: dict[str, list[tuple[str, str]]] = {}
    for place, text in passages:
        row, _, head = place.rpartition(" / ")
        rows.setdefault(row, []).append((head, text))
    for row, cells in rows.items():
        given = dict(cells)
        if "points" in given and given.get("other", "").endswith("%"):
            a, b = (float(given[name].strip("%")) for name in ("better" if "better" in given else "best", "other"))
            if abs(a - b - float(given["points"].split()[0])) > 0.051:
                found.append(f"{row}: {a} less {b} is {a - b:.1f}, told as {given['points']}")
    return found
