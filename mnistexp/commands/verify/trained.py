"""Verifying a stored training, or the final training of `best`: repeats and compares it."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mnistexp.commands.verify.comparing import Compared, curve_difference, relative_difference
from mnistexp.data import Dataset
from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.history_csv import history_from_csv, history_to_csv
from mnistexp.runs.layout import HISTORY, MODEL, Kind, in_repeat
from mnistexp.runs.results import Watch, over_all
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.training.predicting import predict
from mnistexp.training.repeats import TrainingResult, fit_repeat, scored
from mnistexp.training.saved_model import OtherNetworkError, read_weights


def compare_trainings(stored: StoredRun, dataset: Dataset, watch: Watch) -> list[Compared]:
    """Run every repeat of a training again, and compare curves, weights, predictions and accuracy.

    Nothing is written. Raises `RunError` if a file of the run is missing or damaged, `KeyboardInterrupt` on Ctrl-C.
    """
    repeats = dataset.config.repeats
    held_out = None if stored.command == Kind.BEST else dataset.held_out  # its final training has no validation
    accuracies = _accuracies(stored, repeats)
    found: list[Compared] = []
    for repeat in range(repeats):
        fit = fit_repeat(dataset, held_out, repeat, watch)
        if fit.interrupted:
            raise KeyboardInterrupt
        result = scored(dataset, fit, repeat)
        folder = (stored.path / in_repeat(repeat, HISTORY)).parent
        before = f"training {repeat + 1}: " if repeats > 1 else ""
        found.append(_history(folder, result, before))
        found += _model(folder, dataset, result, before)
        then, now = accuracies[repeat], result.test_accuracy
        told = f"{then:.4f} then, {now:.4f} now" if then != now else f"{now:.4f}"
        found.append(Compared(f"{before}test accuracy", then == now, relative_difference([then], [now]), told))
    return found


def _accuracies(stored: StoredRun, repeats: int) -> list[float]:
    """The stored test accuracy of each repeat."""
    metrics = stored.metrics or {}
    found = over_all(metrics).get("test_accuracies", [metrics.get("test_accuracy")])
    if not isinstance(found, list) or len(found) != repeats or not all(isinstance(value, float) for value in found):
        raise RunError(
            f"{stored.path / 'metrics.json'} is damaged: the test accuracies of {repeats} trainings are missing"
        )
    return found


def _history(folder: Path, result: TrainingResult, before: str) -> Compared:
    path = folder / HISTORY
    text = files.read_text(path)
    difference, curve = curve_difference(history_from_csv(text, str(path)), result.fit.history)
    said = f"{curve} differs most" if curve else ""
    return Compared(f"{before}{HISTORY}", text == history_to_csv(result.fit.history), difference, said)


def _model(folder: Path, dataset: Dataset, result: TrainingResult, before: str) -> Iterator[Compared]:
    """Compare the weights in `model.keras`, and that model's predictions of the test digits."""
    try:
        weights = read_weights(folder / MODEL, dataset.config.model)
    except OtherNetworkError:
        yield Compared(f"{before}weights", False, math.inf, f"{MODEL} has a different network")
        return
    pairs = list(zip(weights, result.fit.weights, strict=True))
    identical = all(np.array_equal(then, now, equal_nan=True) for then, now in pairs)
    furthest = max(
        (float(np.abs(then - now).max()) for then, now in pairs), key=lambda far: (not math.isfinite(far), far)
    )
    far = f"differ by up to {furthest:.2g}" if math.isfinite(furthest) else "some are not numbers"
    yield Compared(f"{before}weights", identical, None, "" if identical else far)
    probabilities = predict(dataset.config, weights, dataset.digits.images[result.test.rows])
    likeliest = probabilities.argmax(axis=1)
    others = int((likeliest != result.test.read).sum())
    yield Compared(
        f"{before}predictions",
        np.array_equal(probabilities, result.test.probabilities, equal_nan=True),
        relative_difference([float((likeliest == result.test.labels).mean())], [result.test_accuracy]),
        f"{others} of {len(likeliest)} test digits have another prediction" if others else "",
    )
