"""Is the test accuracy representative of unseen data? The evidence, each part with a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.commands.best.choosing import Choice
from mnistexp.commands.best.ledger import Ledger
from mnistexp.commands.best.nested import Nested
from mnistexp.commands.best.predicted import Predicted
from mnistexp.config.shown import percent, points, span
from mnistexp.statistics import accuracy_difference, bbc_cv, predict_accuracy, wilson
from mnistexp.training.repeats import TrainingResult


def representative(
    choice: Choice,
    first: TrainingResult,
    repeats: Mapping[str, Any] | None,
    ledger: Ledger,
    unseen: Sequence[NDArray[np.bool_]] | None,
    nested: Nested | None,
    predicted: Predicted | None,
) -> dict[str, Any]:
    """The section `representative` of `metrics.json`; accuracies are shares from 0 to 1.

    `first`: the training whose network is saved; `repeats`: that section of `metrics.json`, None for a single training.
    `unseen`: for each trained network, which unseen digits it classifies correctly, bool (digits,); None if not scored.
    Sections `test`, `cross_validation`, `selection`, `nested`, `prediction`, `ledger`, `seeds` and `unseen`, each with
    a `sentence`, null where not measured; `sentences` has them in this order, and `answer` sums up.
    """
    sections: dict[str, Any] = {
        "test": _test(first),
        "cross_validation": _cross_validation(choice, first),
        "selection": _selection(choice),
        "nested": None if nested is None else _nested(nested),
        "prediction": None if predicted is None else predicted.document(),
        "ledger": ledger.document(),
        "seeds": repeats and _seeds(repeats, unseen),
        "unseen": None if unseen is None else _unseen(first, unseen[0]),
    }
    sentences = [section["sentence"] for section in sections.values() if section]
    return {**sections, "sentences": sentences, "answer": _answer(sections)}


def _test(result: TrainingResult) -> dict[str, Any]:
    n = len(result.test.labels)
    interval = wilson(result.correct, n)
    return {
        "accuracy": result.test_accuracy,
        "interval": interval.ends,
        "correct": result.correct,
        "digits": n,
        "sentence": (
            f"The final network classifies {result.correct} of {n} test digits correctly: "
            f"{percent(result.test_accuracy)} (95% Wilson interval {span(*interval.ends)})."
        ),
    }


def _cross_validation(choice: Choice, result: TrainingResult) -> dict[str, Any]:
    """`gap`: the cross-validation accuracy, mean of the folds, less the test accuracy, with Newcombe's interval."""
    trial = choice.chosen.trial
    n, score = len(choice.winners.labels), trial.mean
    gap = score - result.test_accuracy
    interval = accuracy_difference(score * n, n, result.correct, len(result.test.labels))
    verdict = "no significant difference" if 0 in interval else "a significant difference"
    return {
        "accuracy": score,
        "scores": trial.scores.tolist(),
        "std": trial.std,
        "standard_error": trial.standard_error,
        "digits": n,
        "gap": gap,
        "gap_interval": interval.ends,
        "sentence": (
            f"In cross-validation the same setting scores {percent(score)} on {n} digits, "
            f"{points(score, result.test_accuracy)} points {'above' if gap > 0 else 'below'} the test accuracy (95% "
            f"interval of the difference {100 * interval.low:.1f} to {100 * interval.high:.1f}): {verdict}. The "
            "networks of the folds were trained on fewer digits than the final one."
        ),
    }


def _selection(choice: Choice) -> dict[str, Any]:
    """Selection bias of the highest score: `raw`, `corrected`, `bias`, `interval`, `stability`; see `bbc_cv`.

    `trials`: how many settings could be chosen. `is_chosen`: whether the highest was, as the rule `best` always does.
    """
    highest, many = choice.highest, len(choice.pool)
    found = bbc_cv(choice.correct(choice.pool), weights=choice.weights)
    found = replace(found, raw=highest.trial.mean, bias=highest.trial.mean - found.corrected)
    is_chosen = highest is choice.chosen
    who = "" if is_chosen else f" (the rule {choice.rule} chose another)"
    return {
        "winner": highest.params,
        "is_chosen": is_chosen,
        "trials": many,
        "raw": found.raw,
        "corrected": found.corrected,
        "bias": found.bias,
        "interval": found.interval.ends,
        "percentiles": found.percentiles.ends,
        "stability": found.stability,
        "sentence": f"Selection from {many} settings by the highest score{who}. {found.sentence}",
    }


def _nested(nested: Nested) -> dict[str, Any]:
    """`accuracy` of the whole procedure, with `interval`; `scores` and `choices` of the outer folds."""
    found = nested.summary
    settings = [choice.config for choice in nested.choices]
    different = len({(one.optimizer, one.model.dropout) for one in settings})
    same = "the same setting each time" if different == 1 else f"{different} different settings"
    return {
        "accuracy": found.accuracy,
        "interval": found.interval.ends,
        "std": found.std,
        "scores": list(nested.scores),
        "sizes": list(nested.sizes),
        "choices": [{**one.optimizer.model_dump(), "dropout": one.model.dropout} for one in settings],
        "sentence": (
            f"Nested cross-validation repeated the whole selection without each of {found.folds} outer folds and "
            f"scored the chosen setting on that fold: {percent(found.accuracy)} (95% interval "
            f"{span(*found.interval.ends)}). It chose {same}."
        ),
    }


def _seeds(repeats: Mapping[str, Any], unseen: Sequence[NDArray[np.bool_]] | None) -> dict[str, Any]:
    """Mean, `std` and `interval` of the test accuracy over repeats; `unseen_accuracies` of the same networks."""
    return {
        **{key: repeats[key] for key in ("count", "test_accuracies", "mean", "std", "interval")},
        "unseen_accuracies": None if unseen is None else [float(right.mean()) for right in unseen],
        "sentence": f"Test accuracy with different seeds: {repeats['sentence']}",
    }


def _unseen(result: TrainingResult, right: NDArray[np.bool_]) -> dict[str, Any]:
    """`accuracy` on the unseen digits with Wilson's `interval`; `predicted`: its prediction interval from the test.

    `holds`: whether it is in `predicted`. `gap`: test minus unseen accuracy, with Newcombe's `gap_interval`.
    """
    n, correct, tests = len(right), int(right.sum()), len(result.test.labels)
    own = wilson(correct, n)
    predicted = predict_accuracy(result.correct, tests, n)
    gap = accuracy_difference(result.correct, tests, correct, n)
    holds = correct / n in predicted
    place = "inside" if holds else "outside"
    verdict = f"{place} the 95% prediction interval from the test digits, {span(*predicted.ends)}"
    return {
        "accuracy": correct / n,
        "interval": own.ends,
        "correct": correct,
        "digits": n,
        "predicted": predicted.ends,
        "holds": holds,
        "gap": result.test_accuracy - correct / n,
        "gap_interval": gap.ends,
        "sentence": (
            f"On {n:,} unseen digits the same network has an accuracy of {percent(correct / n)} (95% interval "
            f"{span(*own.ends)}), {verdict}."
        ),
    }


def _answer(sections: dict[str, Any]) -> str:
    test, unseen, selection = sections["test"], sections["unseen"], sections["selection"]
    low, high = test["interval"]
    if unseen is None:
        before = f"the {'score' if selection['is_chosen'] else 'highest score'} in cross-validation, corrected for "
        before += f"selection, is {percent(selection['corrected'])}"
        if predicted := sections["prediction"]:
            before = f"the prediction from the training digits was {percent(predicted['accuracy'])}"
            before += f" ({span(*predicted['interval'])})"
        return (
            f"From {test['digits']} test digits, the 95% confidence interval of the accuracy on digits of the same "
            f"kind is {span(low, high)}; {before}."
        )
    off = points(test["accuracy"], unseen["accuracy"])
    side = "higher" if unseen["gap"] > 0 else "lower"
    verdict = "Yes" if unseen["holds"] else "No"
    return (
        f"{verdict}: {percent(test['accuracy'])} on the test digits, {percent(unseen['accuracy'])} on "
        f"{unseen['digits']:,} unseen ones. The test accuracy is {off} points {side}; its 95% confidence interval from "
        f"{test['digits']} digits is {span(low, high)}."
    )
