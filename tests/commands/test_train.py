"""`mnistexp train`: what is written, resuming, lengthening, and the answer before the figures."""

import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import call
from small import NETWORK, options, undrawn

from mnistexp import api
from mnistexp.commands.train import begin_trainings, lengthen_training, resume_training, training_named
from mnistexp.config.models import SweepConfig
from mnistexp.config.shown import percent
from mnistexp.errors import BadInput, Interrupted, RunError
from mnistexp.figures import plots
from mnistexp.runs.results import EpochDone, Event, Outcome, Working
from mnistexp.runs.stored_runs import list_runs, load, run_names

TINY = {
    **NETWORK,
    "data.digits": 100,
    "model.dropout": 0.3,
    "training.validate_every": 2,
    "repeats": 2,
}
"""Two repeats, shuffled, with dropout; the last of three epochs is validated only because it is the last."""
SMALL = options(TINY)


def train(runs: Path, epochs: int, **changes: Any) -> Outcome:
    given = {key.replace("__", "."): value for key, value in changes.items()}
    return api.train("train", {**TINY, "training.epochs": epochs, **given}, runs_dir=runs)


def results(run: Path, repeats: int = 2) -> dict[str, bytes]:
    """The bytes that training decides: curves, weights and predictions of each repeat."""
    found = {}
    for folder in (run, run / "repeats" / "1")[:repeats]:
        for name in ("history.csv", "predictions.npz"):
            found[f"{folder.name}/{name}"] = (folder / name).read_bytes()
        with zipfile.ZipFile(folder / "model.keras") as model:
            found[f"{folder.name}/weights"] = model.read("model.weights.h5")
    return {name.removeprefix(f"{run.name}/"): content for name, content in found.items()}


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished training of one epoch, to be copied."""
    with undrawn():
        return train(tmp_path_factory.mktemp("one-epoch"), 1, repeats=1).run_dir


@pytest.fixture
def copied(one_epoch: Path, tmp_path: Path) -> Path:
    """A copy of that run, the only one in `tmp_path`."""
    return Path(shutil.copytree(one_epoch, tmp_path / one_epoch.name))


# Lengthen


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adadelta", "nadam"])
def test_a_lengthened_training_has_the_bytes_of_one_of_full_length(optimizer: str, tmp_path: Path) -> None:
    short = train(tmp_path, 3, optimizer__name=optimizer)
    before = results(short.run_dir)
    longer = lengthen_training(load(short.run_dir), 5, tmp_path)
    assert results(longer.run_dir) == results(train(tmp_path, 5, optimizer__name=optimizer).run_dir)
    assert longer.run_dir != short.run_dir
    assert results(short.run_dir) == before
    assert longer.metrics["lengthened"]["run"] == short.run_dir.name
    assert longer.metrics["lengthened"]["epochs"] == 3
    assert longer.metrics["epochs"] == 5


@pytest.mark.usefixtures("undrawn")
def test_a_training_is_lengthened_step_by_step_and_resumed_in_between(tmp_path: Path) -> None:
    first = lengthen_training(load(train(tmp_path, 1).run_dir), 2, tmp_path)

    def stop(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        lengthen_training(load(first.run_dir), 5, tmp_path, stop)
    again = resume_training(training_named(tmp_path, "latest"))
    assert again.metrics["lengthened"]["run"] == first.run_dir.name
    assert results(again.run_dir) == results(train(tmp_path, 5).run_dir)


@pytest.mark.usefixtures("undrawn")
def test_the_command_line_lengthens_the_newest_finished_training_into_a_new_run(copied: Path, tmp_path: Path) -> None:
    done = call("train", "--resume", "latest", "--epochs", 2, "--tag", "more", "--runs-dir", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Lengthens {copied.name}, whose 1 epoch was not trained again." in done.stdout
    (longer,) = set(run_names(tmp_path)) - {copied.name}
    assert json.loads((tmp_path / longer / "annotations.json").read_text())["tags"] == ["more"]
    assert load(tmp_path / longer).config.training.epochs == 2


REFUSED: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "no more epochs": (Path.exists, 1, "--epochs is 1, allowed: more than the 1 epochs of"),
    "a run of an earlier version": (lambda run: (run / "state.npz").unlink(), 2, "has no state.npz"),
    "another command": (
        lambda run: (run / "status.json").write_text(
            (run / "status.json").read_text().replace('"command": "train"', '"command": "best"')
        ),
        2,
        "is a best run, allowed: a train run",
    ),
    "an unfinished run": (
        lambda run: (run / "status.json").write_text(
            (run / "status.json").read_text().replace('"status": "done"', '"status": "failed"')
        ),
        2,
        "is failed: resume it first, without --epochs: mnistexp train --resume 2",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_runs_that_cannot_be_lengthened_are_refused_with_the_reason(case: str, copied: Path, tmp_path: Path) -> None:
    change, epochs, reason = REFUSED[case]
    change(copied)
    done = call("train", "--resume", copied.name, "--epochs", epochs, "--runs-dir", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr
    assert run_names(tmp_path) == [copied.name]


@pytest.mark.usefixtures("undrawn")
def test_a_training_with_early_stopping_cannot_be_lengthened_and_keeps_no_state(tmp_path: Path) -> None:
    stopping = {"validate_every": 1, "validation_fraction": 0.2, "early_stopping": {"patience": 1}}
    run = train(tmp_path, 2, repeats=1, **{f"training__{key}": value for key, value in stopping.items()}).run_dir
    with pytest.raises(BadInput, match=r"early_stopping ends .* to train from the start: mnistexp train --config"):
        lengthen_training(load(run), 3, tmp_path)
    assert [path.name for path in run.rglob("*.npz")] == ["predictions.npz"]


@pytest.mark.parametrize("place", ["state.npz", "repeats/1/state.npz"])
def test_a_damaged_state_is_reported_with_its_name(place: str, copied: Path, tmp_path: Path) -> None:
    config = copied / "config.yaml"
    config.write_text(config.read_text().replace("repeats: 1", "repeats: 2"))
    (copied / "repeats" / "1").mkdir(parents=True)
    shutil.copy(copied / "state.npz", copied / "repeats" / "1")
    (copied / place).write_bytes(b"damaged")
    with pytest.raises(RunError, match=rf"{copied.name}/{place} is damaged"):
        lengthen_training(load(copied), 2, tmp_path)
    assert run_names(tmp_path) == [copied.name]


@pytest.mark.usefixtures("undrawn")
def test_a_run_killed_after_its_training_is_resumed_without_training_again(copied: Path) -> None:
    before = results(copied, repeats=1)
    status = json.loads((copied / "status.json").read_text())
    (copied / "status.json").write_text(json.dumps({**status, "status": "interrupted"}))
    epochs: list[Event] = []
    resume_training(load(copied), lambda event: epochs.append(event) if isinstance(event, EpochDone) else None)
    assert epochs == []
    assert results(copied, repeats=1) == before
    assert (copied / "state.npz").exists()


# The answer, and the figures


def test_the_answer_is_printed_before_the_figures_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = []
    drawing = plots.of_training

    def drawn(*arguments: Any) -> Any:
        assert isinstance(sys.stdout, io.StringIO)
        printed.append(sys.stdout.getvalue())
        return drawing(*arguments)

    monkeypatch.setattr(plots, "of_training", drawn)
    done = call("train", "--epochs", 1, *SMALL, cwd=tmp_path)
    assert printed == [done.stdout]
    assert "test accuracy, mean of" in done.stdout
    call("train", "--epochs", 1, *SMALL, "--json", cwd=tmp_path)
    assert printed[1] == ""


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_a_training_whose_figures_fail_is_done_and_keeps_its_numbers(
    how: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no ink")

    monkeypatch.setattr(plots, "of_training", fail)
    done = call("train", "--epochs", 1, *SMALL, *how, cwd=tmp_path)
    assert done.returncode == 1
    assert "the figures can't be drawn: no ink; the run is complete without them: mnistexp report 2" in done.stderr
    (name,) = run_names(tmp_path / "runs")
    run = load(tmp_path / "runs" / name)
    assert (run.status, run.exit_code) == ("done", 1)
    assert run.metrics is not None
    if how:
        assert json.loads(done.stdout)["metrics"]["test_accuracy"] == run.metrics["test_accuracy"]
    else:
        assert percent(run.metrics["repeats"]["mean"]) in done.stdout
    assert np.isfinite(run.metrics["test_loss"])


@pytest.mark.usefixtures("undrawn")
def test_parallel_trainings_give_the_bits_of_serial_ones(tmp_path: Path) -> None:
    """Stopped when the first of the repeats is done, begun again, and then each ended by itself."""
    configs = [api.configure("train", {**TINY, "training.epochs": epochs}) for epochs in (3, 4)]
    runs, workers, done = tmp_path / "runs", SweepConfig(workers=2), []

    def stop(event: Event) -> None:
        if isinstance(event, Working):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        begin_trainings(configs, runs, workers, stop)
    begin_trainings(configs, runs, workers, lambda event: done.append(event) if isinstance(event, Working) else None)
    begun = list_runs(runs)
    assert [run.status for run in begun] == ["interrupted"] * 2
    assert [event.done for event in done][-1] == done[-1].total == 2 * 3 + 2 * 4
    for run, epochs in zip(begun, (3, 4), strict=True):
        trained: list[Event] = []
        beside = resume_training(run, trained.append)
        assert not any(isinstance(event, EpochDone) for event in trained)
        assert results(beside.run_dir) == results(train(tmp_path / "alone", epochs).run_dir)


def test_without_worker_processes_trainings_run_one_after_the_other(tmp_path: Path) -> None:
    config = api.configure("train", TINY)
    begin_trainings([config], tmp_path / "runs", SweepConfig(executor="serial"))
    begin_trainings([config], tmp_path / "runs", SweepConfig(workers=1))
    assert not list(tmp_path.iterdir())
