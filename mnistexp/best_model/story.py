"""The story of `best`: take or run the sweeps, combine their winners, train the result, then read the test digits."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp import data, experiments, figures, metrics, settings, training
from mnistexp.best_model import best_figures, nested
from mnistexp.best_model.better import how_much_better
from mnistexp.best_model.choosing import Choice, with_combination
from mnistexp.best_model.document import choice_document, setting_of, warnings_of
from mnistexp.best_model.ledger import Reading, read_ledger
from mnistexp.best_model.plan import Work
from mnistexp.best_model.representative import representative
from mnistexp.config import ExperimentConfig
from mnistexp.data import Digits
from mnistexp.data.noted import note_digits
from mnistexp.errors import BadInput, Interrupted
from mnistexp.experiments import unwatched
from mnistexp.results import Outcome, Step, TrainingResult, Watch
from mnistexp.runs import files
from mnistexp.runs.run_folder import Run
from mnistexp.sweeps import reuse
from mnistexp.sweeps.plan import plan_sweep
from mnistexp.sweeps.processes import workers_kept
from mnistexp.sweeps.sweeping import run_sweep
from mnistexp.sweeps.swept import Swept, find_sweeps, parts_of

__all__ = ["STOPPED", "run_best", "unseen_digits"]

CHOICE = "choice.json"
STOPPED = "stopped; what is finished is kept: the same command goes on from there"


def run_best(
    config: ExperimentConfig,
    runs_dir: Path,
    sweeps: Sequence[str] = (),
    *,
    with_nested: bool = False,
    unseen: bool = False,
    watch: Watch = unwatched,
) -> Outcome:
    """Combine the winners of the sweeps, train that setting on all training digits, and say what it is worth.

    The sweeps are those named by `sweeps` (id, beginning of an id, `latest`, path), or for each grid of `config.sweep`
    the newest finished one that did as the configuration asks; missing ones are run. Test digits take no part in any
    choice nor in the curves: each final network reads them once. Interrupted, the same call goes on: sweeps from the
    cache, trainings from their checkpoints.

    `metrics.json` has the keys of a training (`metrics.training_metrics`; `validated_on` is null), and `best_params`,
    `best_score` (the setting in cross-validation), `choice` (`choice_document`), `better` (`better.how_much_better`)
    and `representative` (`representative.representative`).

    Raises `BadInput`, `DataError` and `RunError` before anything is written; later `TrialsFailed` where every trial of
    a sweep failed, and `Interrupted`.
    """
    began = time.perf_counter()
    work = Work(config, runs_dir)
    others = unseen_digits(work.digits) if unseen else None
    try:
        with workers_kept():
            used, steps = _sweeps(work, sweeps, with_nested, watch)
            watch(steps.next("choose, and cross-validate the combination"))
            choice = work.chosen(used)
            choice = with_combination(
                choice, run_sweep(work.confirming(choice, used), work.digits, work.split, cache=work.cache, watch=watch)
            )
            inner = None
            if with_nested:
                watch(steps.next("nested cross-validation"))
                families = work.nested_sweeps([(family, swept.config) for family, swept in used])
                inner = nested.nested_score(families, choice.rule, work.digits, work.split, work.cache, watch)
        watch(steps.next(f"train the final model, {config.repeats} of {config.training.epochs} epochs"))
        return _finish(work, used, choice, inner, others, watch, began)
    except KeyboardInterrupt:
        raise Interrupted(STOPPED) from None


class _Steps:
    """Counts the steps of the story."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0

    def next(self, what: str) -> Step:
        self._done += 1
        return Step(self._done, self._total, what)


def _sweeps(
    work: Work, references: Sequence[str], with_nested: bool, watch: Watch
) -> tuple[list[tuple[str, Swept]], _Steps]:
    """The sweeps to choose from, the missing ones run."""
    if references:
        return work.named(references), _Steps(2 + with_nested)
    parts = parts_of(work.config)
    there = find_sweeps(parts, work.digits, work.split, work.runs_dir)
    missing = [part for part in parts if there[part.family] is None]
    steps = _Steps(len(missing) + 2 + with_nested)
    plans = [plan_sweep(part.config, work.digits, work.split, work.cache) for part in missing]
    for part, plan in zip(missing, plans, strict=True):
        long = "" if plan.seconds is None else f", about {plan.seconds:.0f} s"
        watch(steps.next(f"no finished sweep of {part.family} here: {plan.to_run} of {plan.fits} fits to run{long}"))
        outcome = experiments.run_sweep(part.config, part.command, work.runs_dir, watch)
        there[part.family] = work.read(outcome.run_dir.name)
    return [(family, swept) for family, swept in there.items() if swept is not None], steps


def _finish(
    work: Work,
    used: Sequence[tuple[str, Swept]],
    choice: Choice,
    inner: nested.Nested | None,
    others: Digits | None,
    watch: Watch,
    began: float,
) -> Outcome:
    """Train and score the chosen setting, in the interrupted run of the same choice where there is one."""
    final = work.config.model_copy(
        update={"sweep": None, "name": None, "model": choice.config.model, "optimizer": choice.config.optimizer}
    )
    chosen = files.plain(choice_document(used, choice))
    with _open(work, final, chosen) as run:
        run.add("data.json", experiments.data_document(work.digits, work.split))
        run.add(CHOICE, chosen)
        run.add("final.yaml", settings.to_yaml(final, "The chosen setting: mnistexp train --config final.yaml"))
        results = experiments.train_repeats(run, final, work.digits, work.split, None, watch)
        ledger = read_ledger(work.runs_dir, work.digits, work.split, Reading(run.id, "best", len(results), False))
        right = None if others is None else [_recognised(final, result, others) for result in results]
        document = metrics.training_metrics(final, results) | {
            "command": "best",
            "best_params": setting_of(choice.config),
            "best_score": chosen["combination"]["accuracy"],
            "choice": chosen,
            "better": how_much_better(choice),
            "representative": representative(choice, results, ledger, right, inner),
            "seconds": metrics.seconds(results, time.perf_counter() - began),
        }
        document["warnings"] = [*document["warnings"], *warnings_of(used, choice, final)]
        note_digits(document, work.digits)
        for name, content in figures.rendered(best_figures.of_best(choice, document["representative"])):
            run.add(name, content)
        return experiments.finish_training(run, final, results, document)


def _open(work: Work, final: ExperimentConfig, chosen: dict[str, Any]) -> Run:
    begun = reuse.unfinished(work.runs_dir, "best", work.config, work.digits)
    if begun is not None and files.holds(begun.path / CHOICE, chosen):
        return Run.resume(begun.path)
    name = work.config.name or f"{final.optimizer.name}-dropout-{final.model.dropout:g}"
    return Run.create(work.runs_dir, "best", name, settings.to_yaml(work.config), visible=True)


def unseen_digits(digits: Digits) -> Digits:
    """The unseen digits. Raises `BadInput` where the experiment's own digits are among them."""
    others = data.load_unseen()
    if digits.classes.keys != others.classes.keys:
        raise BadInput(f"--unseen: has the digits 0 to 9, and {digits.source!r} other classes: use mnistexp evaluate")
    known = {image.tobytes() for image in digits.images}
    if both := sum(image.tobytes() in known for image in others.images):
        raise BadInput(
            f"--unseen: {both} of the {len(others):,} unseen digits are among the {len(digits):,} of {digits.source}, "
            "allowed: the embedded digits, or other ones"
        )
    return others


def _recognised(config: ExperimentConfig, result: TrainingResult, others: Digits) -> NDArray[np.bool_]:
    predicted = training.predict(config, result.weights, others.images).argmax(axis=1)
    right: NDArray[np.bool_] = predicted == others.labels
    return right
