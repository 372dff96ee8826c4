"""`best` step by step: collect or run the sweeps, choose, train the chosen setting, then read the test digits."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mnistexp import data
from mnistexp.commands import metrics
from mnistexp.commands.beside import repeats_of, train_beside
from mnistexp.commands.best import best_figures
from mnistexp.commands.best.better import how_much_better
from mnistexp.commands.best.choosing import Choice, choose_setting
from mnistexp.commands.best.document import choice_document, warnings_of
from mnistexp.commands.best.ledger import LedgerEntry, read_ledger
from mnistexp.commands.best.nested import Nested, nested_score
from mnistexp.commands.best.predicted import FITS, Predicted, predict_final
from mnistexp.commands.best.representative import representative
from mnistexp.commands.best.work import Sources, Work
from mnistexp.commands.job import add_figures, continued_run, note_digits, run_job, unwatched
from mnistexp.commands.stored_repeats import train_repeats
from mnistexp.commands.sweep import run_sweep
from mnistexp.commands.train import finish_training
from mnistexp.config import settings
from mnistexp.config.models import ExperimentConfig
from mnistexp.data import Digits
from mnistexp.errors import BadInput, Interrupted, TrialsFailed
from mnistexp.runs import files
from mnistexp.runs.layout import CHOICE, COMBINED, FINAL, Kind
from mnistexp.runs.results import Outcome, Step, Watch
from mnistexp.sweeps.executors.processes import workers_kept
from mnistexp.sweeps.sweep_files import predictions_archive
from mnistexp.training.predicting import predict
from mnistexp.training.repeats import TrainingResult

STOPPED = "stopped; finished work is kept: run the same command again to continue"


def run_best(
    config: ExperimentConfig,
    runs_dir: Path,
    sweeps: Sequence[str] = (),
    *,
    listed_only: bool = False,
    with_nested: bool = False,
    predict: bool = False,
    unseen: bool = False,
    watch: Watch = unwatched,
) -> Outcome:
    """Choose the best setting of the sweeps, train it on all training digits, and estimate its accuracy.

    The sweeps are those that `sweeps` refers to, or else all finished ones of the
    runs folder that are comparable (same digits, folds, epochs and seeds), with `listed_only` those of the optimizers
    in the grids; a grid of `config.sweep` whose optimizer none of them tried is run first. The candidates are all
    their settings, and the best optimizer setting together with the best dropout rate. Test digits are used neither
    for the choice nor for the curves: each final network reads them once. After an interruption the same call
    continues: sweeps from the cache, trainings from their checkpoints.

    `metrics.json` has the keys of a training (`metrics.training_metrics`; `validated_on` is null), and `best_params`,
    `best_score` (the setting in cross-validation), `predicted_accuracy` and `predicted_accuracy_interval` (null without
    `predict`), `choice` (`choice_document`), `left_aside` (`run` and `why` of
    finished sweeps that were not used), `better` (`better.how_much_better`) and `representative`
    (`representative.representative`), and `failed`: `combination`, `nested` and `prediction`, where one of their fits
    failed; then the rest is done and told all the same, and the exit code of the run is 3.

    Raises `BadInput`, `DataError` and `RunError` before anything is written; later `TrialsFailed` if every trial of a
    sweep failed, and `Interrupted`.
    """
    began = time.perf_counter()
    work = Work(config, runs_dir)
    others = unseen_digits(work.dataset.digits) if unseen else None
    try:
        with workers_kept():
            sources = work.sources(sweeps, listed_only=listed_only)
            told = _numbered(watch, len(sources.missing) + 2 + with_nested + predict)
            if sources.missing:
                _sweep(work, sources, told, watch)
                sources = work.sources((), listed_only=listed_only)
            told("choose the best setting; cross-validate the combination")
            choice = choose_setting(work.winners(sources.used), work.confirm(sources.used, watch))
            evidence = _evidence_of(work, sources, choice, told, watch, with_nested=with_nested, predict=predict)
            told(f"train the final model: {config.repeats} x {config.training.epochs} epochs")
            return _finish(work, sources, choice, evidence, others, watch, began)
    except KeyboardInterrupt:
        raise Interrupted(STOPPED) from None


@dataclass(frozen=True)
class Evidence:
    """What the training digits say of the whole choice and of the final model; why a part that `failed` is missing."""

    nested: Nested | None
    predicted: Predicted | None
    failed: dict[str, str]


Told = Callable[[str], None]
T = TypeVar("T")


def _numbered(watch: Watch, total: int) -> Told:
    """Tells `watch` of each step, with its number."""
    numbers = count(1)
    return lambda what: watch(Step(next(numbers), total, what))


def _sweep(work: Work, sources: Sources, told: Told, watch: Watch) -> None:
    """Run the missing sweeps."""
    plans = [work.plan(part.config) for part in sources.missing]
    for part, plan in zip(sources.missing, plans, strict=True):
        long = "" if plan.seconds is None else f", about {plan.seconds:.0f} s"
        told(f"run the missing {part.family} sweep: {plan.to_run} of {plan.fits} fits{long}")
        run_sweep(part.config, part.command, work.runs_dir, watch)


def _evidence_of(
    work: Work, sources: Sources, choice: Choice, told: Told, watch: Watch, *, with_nested: bool, predict: bool
) -> Evidence:
    failed: dict[str, str] = {}

    def tried(part: str, name: str, compute: Callable[[], T]) -> T | None:
        try:
            return compute()
        except TrialsFailed as error:
            if work.sweep.fail_fast:
                raise
            failed[part] = f"There is no {name}: {error}."
            return None

    inner, predicted = None, None
    if with_nested:
        told("nested cross-validation")
        score = partial(nested_score, work.dataset, work.nested(sources), choice.rule, work.cache, watch)
        inner = tried("nested", "nested cross-validation", score)
    if predict:
        told(f"predict the accuracy of the final model: {FITS} fits")
        expect = partial(predict_final, work, choice.config, watch)
        predicted = tried("prediction", "prediction of the final model's accuracy", expect)
    return Evidence(inner, predicted, failed)


def _finish(
    work: Work,
    sources: Sources,
    choice: Choice,
    evidence: Evidence,
    others: Digits | None,
    watch: Watch,
    began: float,
) -> Outcome:
    """Train and score the chosen setting; continues the interrupted run of the same choice if there is one."""
    final = work.config.model_copy(
        update={"sweep": None, "name": None, "model": choice.config.model, "optimizer": choice.config.optimizer}
    )
    chosen, predicted = files.plain(choice_document(sources.used, choice)), evidence.predicted
    failed = ["combination"] * choice.combination.trial.failed + list(evidence.failed)
    dataset = work.dataset.under(final)
    name = f"{final.optimizer.name}-dropout-{final.model.dropout:g}"
    continued = continued_run(work.runs_dir, Kind.BEST, work.dataset, name, CHOICE, chosen)
    with run_job(continued, STOPPED, dataset) as run:
        run.add(CHOICE, chosen)
        if not (choice.combination.runs or choice.combination.trial.failed):
            run.add(COMBINED, predictions_archive([choice.combination.trial], choice.winners.labels))
        run.add(FINAL, settings.to_yaml(final, "The chosen setting: mnistexp train --config final.yaml"))
        train_beside(repeats_of(run.path, dataset, None), work.sweep, watch)
        results = train_repeats(run, dataset, None, watch)
        ledger = read_ledger(work.runs_dir, dataset, LedgerEntry(run.id, Kind.BEST, len(results), False))
        right = None if others is None else [_correct(final, result, others) for result in results]
        trained = metrics.training_metrics(final, results)
        found = representative(choice, results[0], trained.get("repeats"), ledger, right, evidence.nested, predicted)
        document = trained | {
            "command": Kind.BEST,
            "best_params": choice.chosen.params,
            "best_score": choice.chosen.trial.mean,
            "predicted_accuracy": predicted and predicted.found.accuracy,
            "predicted_accuracy_interval": predicted and predicted.document()["interval"],
            "choice": chosen,
            "left_aside": [vars(one) for one in sources.left_aside],
            "better": how_much_better(choice),
            "representative": found,
            "failed": failed,
            "seconds": metrics.seconds(results, time.perf_counter() - began),
        }
        document["warnings"] += [
            *warnings_of(sources.used, sources.left_aside, choice, final),
            *evidence.failed.values(),
        ]
        note_digits(document, dataset.digits)
        add_figures(run, best_figures.of_best(choice, document["representative"]))
        return finish_training(run, final, results, document, watch, exit_code=TrialsFailed.exit_code if failed else 0)


def unseen_digits(digits: Digits) -> Digits:
    """The unseen digits. Raises `BadInput` if they include digits of the experiment."""
    others = data.load_unseen()
    if digits.classes.keys != others.classes.keys:
        raise BadInput(f"--unseen: has the digits 0 to 9, and {digits.source!r} other classes: use mnistexp evaluate")
    known = {image.tobytes() for image in digits.images}
    if both := sum(image.tobytes() in known for image in others.images):
        raise BadInput(
            f"--unseen: {both} of the {len(others):,} unseen digits are among the {len(digits):,} digits of "
            f"{digits.source}, allowed: sources without unseen digits, such as embedded"
        )
    return others


def _correct(config: ExperimentConfig, result: TrainingResult, others: Digits) -> NDArray[np.bool_]:
    predicted = predict(config, result.fit.weights, others.images).argmax(axis=1)
    right: NDArray[np.bool_] = predicted == others.labels
    return right
