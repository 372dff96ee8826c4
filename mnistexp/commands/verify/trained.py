"""Verifying a stored training, or the final training of `best`: repeats and compares it."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistexp.commands.prediction import MODEL, load_model
from mnistexp.commands.train import train_repeats
from mnistexp.commands.verify.comparing import Compared, curve_difference, relative_difference
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Digits, Rows, Split
from mnistexp.errors import RunError
from mnistexp.runs import files
from mnistexp.runs.history_csv import history_from_csv, history_to_csv
from mnistexp.runs.results import TrainingResult, Watch
from mnistexp.runs.run_folder import Run
from mnistexp.runs.stored_runs import HISTORY, StoredRun
from mnistexp.training import fitting

__all__ = ["compare_trainings"]


def compare_trainings(
    stored: StoredRun, config: ExperimentConfig, digits: Digits, split: Split, watch: Watch
) -> list[Compared]:
    """Run every repeat of a training again, and compare curves, weights, predictions and accuracy.

    Raises `RunError` if a file of the run is missing or damaged, `KeyboardInterrupt` on Ctrl-C.
    """
    held_out: Rows | None = split.validation if len(split.validation) else split.test
    if stored.info.command == "best":  # its final training has no validation
        held_out = None
    accuracies = _accuracies(stored, config.repeats)
    found: list[Compared] = []
    for result in _train(stored, config, digits, split, held_out, watch):
        folder = stored.path / f"repeats/{result.repeat}" if result.repeat else stored.path
        before = f"training {result.repeat + 1}: " if config.repeats > 1 else ""
        found.append(_history(folder, result, before))
        found += _model(folder, config, result, digits.images[split.test], before)
        found.append(_accuracy(accuracies[result.repeat], result, before))
    return found


def _train(
    stored: StoredRun, config: ExperimentConfig, digits: Digits, split: Split, held_out: Rows | None, watch: Watch
) -> list[TrainingResult]:
    """The trainings, run in a temporary folder that is always removed."""
    place = Path(tempfile.gettempdir())
    with files.explained("make a scratch folder in", place):
        scratch = tempfile.TemporaryDirectory(prefix="mnistexp-verify-")
    with scratch as folder, Run.create(Path(folder), "verify", "again", stored.config_text) as run:
        try:
            return train_repeats(run, config, digits, split, held_out, watch)
        finally:
            run.discard()


def _accuracies(stored: StoredRun, repeats: int) -> list[float]:
    """The stored test accuracy of each repeat."""
    metrics = stored.metrics or {}
    found = metrics["repeats"].get("test_accuracies") if "repeats" in metrics else [metrics.get("test_accuracy")]
    if not isinstance(found, list) or len(found) != repeats or not all(isinstance(value, float) for value in found):
        raise RunError(
            f"{stored.path / 'metrics.json'} is damaged: the test accuracies of {repeats} trainings are missing"
        )
    return found


def _history(folder: Path, result: TrainingResult, before: str) -> Compared:
    path = folder / HISTORY
    text = files.read_text(path)
    difference, curve = curve_difference(history_from_csv(text, str(path)), result.history)
    said = f"{curve} differs most" if curve else ""
    return Compared(f"{before}{HISTORY}", text == history_to_csv(result.history), difference, said)


def _model(
    folder: Path, config: ExperimentConfig, result: TrainingResult, images: NDArray[np.uint8], before: str
) -> Iterator[Compared]:
    """Compare the weights in `model.keras`, and that model's predictions of the test digits."""
    weights = [np.asarray(weight) for weight in load_model(folder / MODEL).get_weights()]
    if [weight.shape for weight in weights] != [weight.shape for weight in result.weights]:
        yield Compared(f"{before}weights", False, math.inf, f"{MODEL} has a different network")
        return
    pairs = list(zip(weights, result.weights, strict=True))
    identical = all(np.array_equal(then, now, equal_nan=True) for then, now in pairs)
    furthest = max(
        (float(np.abs(then - now).max()) for then, now in pairs), key=lambda far: (not math.isfinite(far), far)
    )
    far = f"differ by up to {furthest:.2g}" if math.isfinite(furthest) else "some are not numbers"
    yield Compared(f"{before}weights", identical, None, "" if identical else far)
    probabilities = fitting.predict(config, weights, images)
    likeliest = probabilities.argmax(axis=1)
    others = int((likeliest != result.predictions).sum())
    yield Compared(
        f"{before}predictions",
        np.array_equal(probabilities, result.probabilities, equal_nan=True),
        relative_difference([float((likeliest == result.labels).mean())], [result.test_accuracy]),
        f"{others} of {len(images)} test digits have another prediction" if others else "",
    )


def _accuracy(then: float, result: TrainingResult, before: str) -> Compared:
    now = result.test_accuracy
    return Compared(
        f"{before}test accuracy",
        then == now,
        relative_difference([then], [now]),
        f"{then:.4f} then, {now:.4f} now" if then != now else f"{now:.4f}",
    )
