"""The language of filters (`--where`): comparisons joined by not, and, or.

    expression = all {"or" all}        all = one {"and" one}        one = "not" one | "(" expression ")" | comparison
    comparison = key operator value    operator = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"

    command=train and test_accuracy>0.92 and started>-6h
    (tag=baseline or note~"second try") and not status=failed

docs/runs.md explains keys, values and times. For equal names, fields take precedence over metrics, and metrics over
settings. Quoted values have a backslash before a quote or a backslash. `started>2026-11-24` begins with the next day.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from mnistexp.errors import BadInput
from mnistexp.runs.conditions import TIMES, Comparison, Condition, malformed

TOKEN = re.compile(
    r"""\s*(?: (?P<operator>!=|<=|>=|[=<>~]) | (?P<bracket>[()]) | (?P<word>[^\s()=<>~!"']+)
    | (?P<quoted>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*') )""",
    re.VERBOSE | re.DOTALL,
)
KEYWORDS = ("and", "or", "not")
RELATIVE = re.compile(r"-([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = 4_000
DEEPEST = 50


def parse(text: str, now: datetime | None = None) -> Condition:
    """The condition in `text`; relative times count from `now`. Raises BadInput with the position."""
    if len(text) > LONGEST:
        raise BadInput(f"--where is {len(text):,} characters long, allowed: {LONGEST:,}")
    return _Parser(text, now or datetime.now(UTC)).condition()


class _Parser:
    """Recursive descent parser of the tokens: kind, text and position of each; the last is the end."""

    def __init__(self, text: str, now: datetime) -> None:
        self._text = text
        self._now = now
        self._tokens = _tokens(text)
        self._next = 0

    def condition(self) -> Condition:
        found = self._any(0)
        kind, text, at = self._peek()
        if kind != "end":
            malformed(self._text, at, f"{text} without an opening one" if text == ")" else "`and` or `or` is missing")
        return found

    def _any(self, depth: int) -> Condition:
        return self._joined("or", any, lambda: self._joined("and", all, lambda: self._one(depth)))

    def _joined(self, word: str, how: Callable[[Iterable[bool]], bool], read: Callable[[], Condition]) -> Condition:
        parts = [read()]
        while self._takes("word", word):
            parts.append(read())
        compared = tuple(each for part in parts for each in part.comparisons)
        return Condition(lambda run: how(part.matches(run) for part in parts), compared)

    def _one(self, depth: int) -> Condition:
        at = self._peek()[2]
        if depth > DEEPEST:
            malformed(self._text, at, f"nested too deeply, allowed: {DEEPEST} levels")
        if self._takes("word", "not"):
            part = self._one(depth + 1)
            return Condition(lambda run: not part.matches(run), part.comparisons)
        if self._takes("bracket", "("):
            inner = self._any(depth + 1)
            if not self._takes("bracket", ")"):
                malformed(self._text, self._peek()[2], "`)` is missing")
            return inner
        found = self._comparison()
        return Condition(found.matches, (found,))

    def _comparison(self) -> Comparison:
        key, at = self._word("a key is missing, for example test_accuracy", ("word",))
        kind, operator, operator_at = self._take()
        if kind != "operator":
            malformed(self._text, operator_at, f"an operator is missing after {key}, allowed: = != < <= > >= ~")
        if key == "tag" and operator not in ("=", "!=", "~"):
            malformed(self._text, operator_at, "tags can't be ordered, allowed: = != ~")
        value, value_at = self._word(f"a value is missing after {key}{operator}", ("word", "quoted"))
        timed = key in TIMES and operator != "~"
        span = self._span(value, value_at) if timed else None
        return Comparison(key, operator, value, at, value_at, self._text, span)

    def _span(self, value: str, at: int) -> tuple[datetime, datetime]:
        try:
            return _moments(value, self._now)
        except (ValueError, OverflowError):
            malformed(
                self._text, at, "not a time, allowed: 2026-11-24, 2026-11-24T08:30, or relative to now: -6h, -30d, -2w"
            )

    def _word(self, message: str, kinds: Sequence[str]) -> tuple[str, int]:
        kind, text, at = self._take()
        if kind not in kinds or (kind == "word" and text.lower() in KEYWORDS):
            malformed(self._text, at, message)
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if kind == "quoted" else text, at

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._next]

    def _take(self) -> tuple[str, str, int]:
        token = self._peek()
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _takes(self, kind: str, text: str) -> bool:
        found = self._peek()
        if (found[0], found[1].lower()) != (kind, text):
            return False
        self._take()
        return True


def _tokens(text: str) -> list[tuple[str, str, int]]:
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            place = at + len(text[at:]) - len(text[at:].lstrip())
            malformed(
                text,
                place,
                "the quote isn't closed" if text[place] in "\"'" else f"{text[place]!r} is not allowed here",
            )
        kind = str(match.lastgroup)
        found.append((kind, match[kind], match.start(kind)))
        at = match.end()
    return [*found, ("end", "", end)]


def _moments(value: str, now: datetime) -> tuple[datetime, datetime]:
    """The first moment of a value, and the first moment after it."""
    if match := RELATIVE.fullmatch(value):
        start = now - timedelta(**{UNITS[match[2]]: float(match[1])})
        return start, start + timedelta(microseconds=1)
    start = datetime.fromisoformat(value)
    start = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
    if re.fullmatch(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", value):
        return start, start + timedelta(days=1)
    if re.fullmatch(r".*[T ][0-9]{2}:?[0-9]{2}(Z|[+-].*)?", value):
        return start, start + timedelta(minutes=1)
    return start, start + (timedelta(microseconds=1) if start.microsecond else timedelta(seconds=1))
