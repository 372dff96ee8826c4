"""`mnistexp train`: a training and its repeats, from the digits to the run folder; resumed and lengthened, too."""

import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mnistexp.commands import metrics
from mnistexp.commands.beside import beside, repeats_of, train_beside
from mnistexp.commands.job import add_figures, new_run, note_digits, read_digits, read_same_digits, run_job, unwatched
from mnistexp.commands.stored_repeats import end_checkpoints, train_repeats
from mnistexp.config import settings
from mnistexp.config.models import ExperimentConfig, SweepConfig
from mnistexp.data import Dataset
from mnistexp.errors import BadInput, RunError, reason
from mnistexp.figures import plots
from mnistexp.runs import files, references
from mnistexp.runs.layout import CHECKPOINT, METRICS, ORIGIN, STATE, TIMINGS, Kind, in_repeat
from mnistexp.runs.references import LATEST
from mnistexp.runs.results import Answered, Outcome, Watch, over_all
from mnistexp.runs.run_folder import Run
from mnistexp.runs.stored_runs import StoredRun, load
from mnistexp.sweeps.reuse import unfinished
from mnistexp.training.repeats import TrainingResult

STOPPED = "stopped; resume with: mnistexp train --resume {run}"


def run_training(config: ExperimentConfig, runs_dir: Path, watch: Watch = unwatched) -> Outcome:
    """Train as configured, `config.repeats` times, and keep curves, metrics, figures and model in a new run folder.

    Raises `BadInput` and `DataError` before anything is written, `Interrupted` with what was trained kept.
    """
    dataset = read_digits(config, watch)
    with run_job(_new(dataset.config, runs_dir), STOPPED, dataset) as run:
        return _train(run, dataset, watch)


def begin_trainings(
    configs: Sequence[ExperimentConfig], runs_dir: Path, sweep: SweepConfig, watch: Watch = unwatched
) -> None:
    """Train several experiments beside each other in the workers of `sweep`, where it has several.

    Each run is left interrupted after its last epoch, for `resume_training`; interrupted runs of the same work are
    resumed.
    Raises what `run_training` raises.
    """
    if beside(sweep, sum(config.repeats for config in configs)) == 1:
        return
    with ExitStack() as stack:
        runs, ahead = [], []
        for config in configs:
            dataset = read_digits(config, watch)
            begun = unfinished(runs_dir, Kind.TRAIN, dataset)
            run = _new(dataset.config, runs_dir) if begun is None else Run.resume(begun.path)
            runs.append(stack.enter_context(run_job(run, STOPPED, dataset)))
            ahead += repeats_of(run.path, dataset, dataset.held_out)
        train_beside(ahead, sweep, watch)
        for run in runs:
            run.interrupt()


def training_named(runs_dir: Path, reference: str, *, finished: bool = False) -> StoredRun:
    """The training to resume, or with `finished` to lengthen; by `latest` the newest one that can be.

    Raises `BadInput` if there is none or the run is no training, and `RunError`.
    """
    if reference == LATEST:
        wanted = ("done",) if finished else ("interrupted", "failed")
        newest = (run for run in references.started(runs_dir) if run.command == Kind.TRAIN)
        run = next((run for run in newest if run.status in wanted), None)
        if run is None:
            again = "" if finished else "; to resume a step of another command, run that command again"
            raise BadInput(f"no training to {'lengthen' if finished else 'resume'} in {runs_dir}{again}")
    else:
        run = references.one(runs_dir, reference)
    if run.command != Kind.TRAIN:
        raise BadInput(f"{run.id} is a {run.command} run, allowed: a train run")
    return load(run.path)


def continue_training(
    runs_dir: Path, reference: str, epochs: int | None, watch: Watch = unwatched, *, name: str | None = None
) -> Outcome:
    """Resume the training of a reference; with `epochs` lengthen it in a new run, which may have a `name`.

    Raises what `training_named`, `resume_training` and `lengthen_training` raise.
    """
    stored = training_named(runs_dir, reference, finished=epochs is not None)
    if epochs is None:
        return resume_training(stored, watch)
    return lengthen_training(stored, epochs, runs_dir, watch, name=name)


def resume_training(stored: StoredRun, watch: Watch = unwatched) -> Outcome:
    """Resume an interrupted training; the result is bit-identical to an uninterrupted one.

    Raises `BadInput` if the run is done, `RunError` if its digits have changed.
    """
    dataset = read_same_digits(stored, stored.config, watch)
    with run_job(Run.resume(stored.path), STOPPED, dataset) as run:
        return _train(run, dataset, watch)


def lengthen_training(
    stored: StoredRun, epochs: int, runs_dir: Path, watch: Watch = unwatched, *, name: str | None = None
) -> Outcome:
    """Lengthen a finished training to `epochs` in a new run, bit-identical to one of that length from the start.

    Raises `BadInput` if it can't be, before anything is written, and `RunError` if the run is damaged or its digits
    have changed.
    """
    config = stored.config
    states = _final_states(stored, config, epochs)
    longer = settings.override(config, {"training.epochs": epochs} | ({"name": name} if name else {}), "--epochs")
    dataset = read_same_digits(stored, longer, watch)
    with run_job(_new(dataset.config, runs_dir), STOPPED, dataset) as run:
        run.log(f"lengthens {stored.id} from epoch {config.training.epochs}")
        run.add(ORIGIN, {"run": stored.id, "epochs": config.training.epochs})
        for repeat, state in enumerate(states):
            run.add(in_repeat(repeat, CHECKPOINT), state)
        return _train(run, dataset, watch)


def _final_states(stored: StoredRun, config: ExperimentConfig, epochs: int) -> list[bytes]:
    """The content of each repeat's `state.npz`. Raises `BadInput` if the training can't have so many epochs."""
    run, trained = stored.id, config.training.epochs
    restart = f"to train from the start: mnistexp train --config {run} --epochs {epochs}"
    if stored.status != "done":
        raise BadInput(f"{run} is {stored.status}: resume it first, without --epochs: mnistexp train --resume {run}")
    if epochs <= trained:
        raise BadInput(f"--epochs is {epochs}, allowed: more than the {trained} epochs of {run}")
    if config.training.early_stopping:  # which would have ended the longer training by another rule
        raise BadInput(f"training.early_stopping ends {run}, so it can't be lengthened; {restart}")
    try:
        states = [stored.read_bytes(in_repeat(repeat, STATE)) for repeat in range(config.repeats)]
    except RunError as error:
        if (stored.path / STATE).exists():
            raise
        raise BadInput(f"{run} has no {STATE}, which earlier versions didn't store; {restart}") from error
    for repeat, state in enumerate(states):
        try:
            files.arrays(state)
        except ValueError as error:
            raise RunError(f"{stored.path / in_repeat(repeat, STATE)} is damaged: {error}; {restart}") from error
    return states


def _new(config: ExperimentConfig, runs_dir: Path) -> Run:
    return new_run(runs_dir, Kind.TRAIN, config, f"{config.optimizer.name}-{config.training.epochs}")


def _train(run: Run, dataset: Dataset, watch: Watch) -> Outcome:
    config = dataset.config
    began = time.perf_counter()
    run.log(f"train: {config.repeats} of {config.training.epochs} epochs with {config.optimizer.name}")
    results = train_repeats(run, dataset, dataset.held_out, watch)
    document = metrics.training_metrics(config, results)
    if (run.path / ORIGIN).exists():
        document["lengthened"] = metrics.lengthened(files.read_json(run.path / ORIGIN))
    note_digits(document, dataset.digits)
    document["seconds"] = metrics.seconds(results, time.perf_counter() - began)
    return finish_training(run, config, results, document, watch, keep_state=not config.training.early_stopping)


def finish_training(
    run: Run,
    config: ExperimentConfig,
    results: list[TrainingResult],
    document: dict[str, Any],
    watch: Watch,
    *,
    keep_state: bool = False,
    exit_code: int = 0,
) -> Outcome:
    """Store metrics, times and figures of finished trainings, and finish the run.

    `watch` has the answer before the figures are drawn. The run is also done if they can't be: `Outcome.without`.
    `exit_code`: of the run, if it has figures and didn't diverge.
    """
    run.add(METRICS, document)
    run.add(TIMINGS, metrics.timings(results))
    watch(Answered(Outcome(run.path, document)))
    without = _draw(run, results, document)
    end_checkpoints(run, config, keep=keep_state)
    run.finish(exit_code=1 if without or over_all(document)["diverged_at"] else exit_code)
    return Outcome(run.path, document, without)


def _draw(run: Run, results: list[TrainingResult], document: dict[str, Any]) -> str:
    """Draw and store the figures; gives back why they could not be drawn, "" if they could."""
    try:
        add_figures(run, plots.of_training([result.fit.history for result in results], document))
    except RunError:  # the disk: the run can be resumed
        raise
    except Exception as error:
        run.log(traceback.format_exc())
        return (
            f"the figures can't be drawn: {reason(error)}; the run is complete without them: mnistexp report {run.id}"
        )
    return ""
