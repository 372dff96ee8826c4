"""`best`: what its files say of the final network, and where its page tells it.

What the sweeps are compared by is not read: the predictions of a combination that no sweep tried are in no file.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy import stats

from . import training
from .claims import About, Rule
from .passages import Passage
from .records import Record

PLACES = (
    r"^headline|^lead|^tile (?:test accuracy|unseen|cross|predicted)"
    r"|^what does the data|^how do the loss|^how accurate is it"
    r"|^is the test accuracy .*(?:answer|plain)|^how was this"
)
UNREAD = r"^(?:Selection from|The test digits were read|Nested cross|Test accuracy with different seeds)"


def quantities(record: Record) -> dict[str, Any]:
    """Everything that may be told of the final network, by name."""
    found, choice = training.quantities(record), record.metrics["choice"]
    n, test, right = found["test digits"], found["saved accuracy"], found["correct"]
    score, digits = float(np.mean(choice["chosen"]["scores"])), len(record.json("data.json")["train"])
    found |= {"score": score, "scored digits": digits, "score gap": About(100 * (score - test), 0.06)}
    found["score gap interval"] = [100 * end for end in newcombe(score * digits, digits, right, n)]
    if predicted := record.metrics["representative"].get("prediction"):
        found |= prediction(np.array(predicted["scores"]))
    if unseen := record.metrics["representative"]["unseen"]:
        k, m = unseen["correct"], unseen["digits"]
        found |= {"unseen": k / m, "unseen digits": m, "unseen interval": training.wilson(k, m)}
        found |= {"unseen gap": About(100 * (test - k / m), 0.06), "predicted": training.predicted(right, n, m)}
    return found


def prediction(scores: np.ndarray) -> dict[str, Any]:
    """What the scores (repeats, folds) of the chosen setting say of the final model, by name."""
    repeats, folds = scores.shape
    expected = 1 - (1 - scores.mean()) * (1 - 1 / folds) ** (1 / 3)
    variance = scores.var(ddof=1) * (1 / scores.size + 1 / (folds - 1))
    t = stats.t.ppf(0.975, scores.size - 1)
    weight = t**2 * variance / (expected * (1 - expected))  # t^2 over the digits that the variance is worth
    half = t * np.sqrt(variance + weight * variance / 4 / (expected * (1 - expected)))
    ends = (expected + weight / 2 + np.array([-half, half])) / (1 + weight)
    told = [expected, scores.mean(), folds, repeats, 1 - 1 / folds]
    return {"prediction": told, "prediction interval": ends}


def newcombe(first: float, n: float, second: float, m: float) -> list[float]:
    """Newcombe's interval of first / n - second / m, from Wilson's of each."""
    a, b = first / n, second / m
    (a_low, a_high), (b_low, b_high) = training.wilson(first, n), training.wilson(second, m)
    return [a - b - np.hypot(a - a_low, b_high - b), a - b + np.hypot(a_high - a, b - b_low)]


def read(passages: Iterable[Passage]) -> list[Passage]:
    """The passages that the rules speak of."""
    return [
        passage
        for passage in passages
        if re.search(PLACES, passage.place, re.I)
        and not re.search(UNREAD, passage.text)
        and not ("corrected for selection" in passage.text and "test digits, the" in passage.text)
    ]


PREDICTED = "prediction, prediction interval"
UNSEEN = "unseen, unseen digits, saved accuracy"
RULES = [
    Rule(r"^headline", r".", "correct, test digits"),
    Rule(r"^tile test accuracy", r".", "saved accuracy, interval of digits"),
    Rule(r"^tile cross", r".", "score"),
    Rule(r"^tile predicted", r".", "prediction, prediction interval"),
    Rule(r"^lead|^is the test accuracy", r"prediction from the training digits", "test digits, interval of digits"),
    Rule(r"^lead|^is the test accuracy", r"prediction from the training digits|is expected", PREDICTED),
    Rule(r"^tile unseen", r".", "unseen, unseen digits"),
    Rule(r"^lead|^is the test accuracy", r"on the test digits, .* unseen ones", UNSEEN),
    Rule(
        r"^lead|^is the test accuracy",
        r"points (?:higher|lower); its",
        "unseen gap, test digits, interval of digits",
    ),
    Rule(r"^is the test accuracy", r"final network classifies", training.SAVED),
    Rule(
        r"^is the test accuracy",
        r"same setting scores",
        "score, scored digits, score gap, score gap interval",
    ),
    Rule(
        r"^is the test accuracy",
        r"unseen digits the same network",
        "unseen, unseen digits, unseen interval, predicted",
    ),
    *(rule for rule in training.RULES if not re.match(r"\^(?:headline|lead|tile|terminal)|seed", rule.place)),
]
