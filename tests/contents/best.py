"""`best`: what the sweeps and its own files say of the choice and of the final network, and where it is told."""

from typing import Any

import numpy as np
from scipy import stats

from . import chosen, training
from .claims import About, table
from .records import Record


def quantities(record: Record) -> dict[str, Any]:
    """Everything that may be told of a `best`, by name."""
    found = training.quantities(record) | chosen.quantities(record)
    n, right = found["test digits"], found["correct"]
    score, digits = found["score"], len(record.json("data.json")["train"])
    swept = [Record(record.path.parent / one["run"]).config for one in record.metrics["choice"]["sweeps"]]
    found["epochs of sweeps"] = [config["training"]["epochs"] for config in swept]
    found |= {"scored digits": digits, "score gap": About(100 * (score - found["saved accuracy"]), 0.06)}
    found["score gap interval"] = [100 * end for end in newcombe(score * digits, digits, right, n)]
    evidence = record.metrics["representative"]
    if ahead := evidence.get("prediction"):
        found |= prediction(np.array(ahead["scores"]))
    if unseen := evidence["unseen"]:
        k, m = unseen["correct"], unseen["digits"]
        found |= {"unseen": k / m, "unseen digits": m, "unseen interval": training.wilson(k, m)}
        found |= {"unseen gap": About(100 * (right / n - k / m), 0.06), "predicted": training.predicted(right, n, m)}
        found["unseen gap interval"] = newcombe(right, n, k, m)
    if nested := evidence["nested"]:
        mean, size = float(np.mean(nested["scores"])), sum(nested["sizes"])
        found |= {"nested": mean, "nested interval": training.wilson(mean * size, size)}
        found |= {"outer folds": len(nested["scores"])}
        found["nested choices"] = len({str(one) for one in nested["choices"]})
    return found | ledger(record) | found_in_notebook(record) | {"left aside": left_aside(record)}


def left_aside(record: Record) -> list[int]:
    """The numbers in which unused sweeps differ, and how many of a reason are not named."""
    unused = record.metrics["left_aside"]
    reasons = [one["why"] for one in unused]
    configs = [Record(record.path.parent / one["run"]).config for one in unused] + [record.config]
    numbers = [(one["repeats"], one["training"]["epochs"], one["sweep"]["folds"]) for one in configs if one["sweep"]]
    return [*(number for own in numbers for number in own), *(reasons.count(why) - 3 for why in set(reasons))]


def ledger(record: Record) -> dict[str, Any]:
    """How often the runs of this folder until this one read the same test digits."""
    own, times, watched = record.json("data.json"), {}, {}
    for status in sorted(record.path.parent.glob("*/status.json")):
        other = Record(status.parent)
        about = other.json("data.json")
        if not about or about["sha256"] != own["sha256"] or other.path.name > record.path.name:
            continue
        if other.command == "evaluate" and set(about["test"]) >= set(own["test"]):
            times[other.path.name] = 1
        elif other.command in ("train", "best") and sorted(about["test"]) == sorted(own["test"]):
            every = other.command == "train" and not other.config["training"]["validation_fraction"]
            number = int(np.isfinite(other.curves("val_loss")).sum()) if every else len(other.histories)
            times[other.path.name] = number
            watched |= {other.path.name: number} if every else {}
    return {
        "test reads": sum(times.values()),
        "test readings": [sum(times.values()), len(times), sum(watched.values()), len(watched)],
    }


def found_in_notebook(record: Record) -> dict[str, Any]:
    """The best scores of the notebook's four sweeps, from the reported rows."""
    best = record.reported_rows.groupby("sweep").mean_test_accuracy.max()
    values = {"best": best.max(), "worst": best.min(), "average": About(best.mean(), 1e-6)}
    cells = {f"the notebook's own arithmetic / {name} / reported": value for name, value in values.items()}
    return cells | {"notebook's": list(values.values())}


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


RULES = [
    *table(
        r"""
^headline|^terminal :: test digits classified|digits\) :: correct, test digits
^headline|^lead|^tile .*test accuracy :: mean|trainings|seeds :: accuracy, interval, repeats
^tile mean test accuracy|^terminal / test accuracy :: . :: accuracy, interval, repeats, spread
^terminal / saved model :: . :: saved accuracy, interval of digits, correct, test digits
^tile test accuracy|^terminal / test accuracy|^tile saved model :: . :: saved accuracy, interval of digits
^tile test accuracy|^terminal / test accuracy :: . :: correct, test digits
^tile cross|^terminal / cross :: . :: score
^terminal / cross :: . :: settings compared, repeated, tied
^tile corrected for selection$ :: . :: corrected
^tile corrected for selection / note :: . :: corrected interval
^tile predicted :: . :: prediction, prediction interval
^lead|^is the test accuracy|^terminal :: prediction from the training digits :: test digits, interval of digits
^lead|^is the test accuracy|^terminal :: from the training digits|is expected :: prediction, prediction interval
^is the test accuracy|^terminal :: ^Its setting scores|^Those networks trained :: prediction
^terminal / predicted|figure accuracies :: % :: prediction, prediction interval
^tile unseen :: . :: unseen, unseen digits
^lead|^is the test accuracy|^terminal :: on the test digits, .* unseen ones :: unseen, unseen digits, saved accuracy
^lead|^is the test accuracy|^terminal :: points (?:higher|lower); its :: unseen gap, test digits, interval of digits
^lead|^is the test accuracy|^terminal :: ^From \d+ test digits :: test digits, interval of digits, corrected
^which optimizer|^terminal / chosen :: learning rate|dropout|beta :: chosen settings
^which optimizer|^terminal :: cross-validation accuracy :: score, settings compared
^which optimizer|^terminal :: scores .* in cross-validation :: combined score
^which optimizer|^terminal :: scored .* and was chosen :: score
^which optimizer :: different settings|further trial :: settings compared, repeated
^how much better|^terminal :: chosen setting scores|points :: score, better than worst, better than average
^how much better|^terminal :: arithmetic|notebook reported :: arithmetic, notebook's
.* :: Sweeps not used :: left aside
.* :: sweeps trained for|the cross-validation score is that of :: epochs of sweeps, asked, epochs
^is the test accuracy|^terminal :: final network classifies :: correct, test digits, saved accuracy
^is the test accuracy|^terminal :: final network classifies :: interval of digits
^is the test accuracy|^terminal :: same setting scores :: score, scored digits, score gap, score gap interval
^is the test accuracy|^terminal :: ^(?:- )?Selection from :: pool
^is the test accuracy|^terminal :: corrected for selection|of the resamples|best score is :: raw, corrected, bias
^is the test accuracy|^terminal :: corrected for selection|of the resamples|best score is :: corrected interval, wins
^is the test accuracy|^terminal :: Nested cross-validation|It chose :: nested, nested interval, outer folds
^is the test accuracy|^terminal :: Nested cross-validation|It chose :: nested choices
^is the test accuracy|^terminal :: test digits were used|epochs of \d+ training :: test readings
^is the test accuracy|^terminal :: with different seeds|interval of the mean|^Mean :: accuracy, spread
^is the test accuracy|^terminal :: with different seeds|interval of the mean|^Mean :: interval, repeats
^is the test accuracy|^terminal :: digits the same network :: unseen, unseen digits, unseen interval, predicted
figure accuracies :: % :: saved accuracy, raw, corrected, score, nested, unseen
figure trials_by_family :: settings :: settings compared, mean of all settings
figure trials_by_family :: chosen setting :: score
"""
    ),
    *(rule for rule in training.RULES if not rule.place.startswith(("^headline", "^lead", "^tile", "^terminal"))),
]
