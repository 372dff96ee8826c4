"""Runs in MLflow's store, read back by MLflow's own client."""

import importlib
import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from later import Later
from typer.testing import CliRunner

from mnistexp.cli.app import app
from mnistexp.errors import BadInput, RunError
from mnistexp.runs import references
from mnistexp.runs.annotations import annotate
from mnistexp.runs.history_csv import history_from_csv
from mnistexp.runs.status import Owner
from mnistexp.runs.stored_runs import StoredRun, load

mlflow = Later("mlflow")
mlflow_store = Later("mnistexp.bridges.mlflow_store")
variables = Later("mlflow.environment_variables")

# Raised within MLflow 3.17 by SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning:mlflow")
KINDS = ("train", "repeats", "best", "sweep", "summary")


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """What tests take away and load again was there before."""
    importlib.import_module("mnistexp.bridges.mlflow_store")


@pytest.fixture(scope="module")
def database(finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    mlflow_store.export([run_of(finished[kind]) for kind in KINDS], uri)
    return uri


def run_of(folder: Path) -> StoredRun:
    return references.one(folder.parent, folder.name)


def found(uri: str, run: str, experiment: str = "mnistexp") -> list[Any]:
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    return client.search_runs([experiment_id], f"tags.`mnistexp.run_id` = '{run}'")


def nested(uri: str, parent: Any) -> list[Any]:
    client = mlflow.MlflowClient(tracking_uri=uri)
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    runs = client.search_runs([parent.info.experiment_id], query)
    return sorted(runs, key=lambda run: run.info.run_name)


def curve(uri: str, run: Any, name: str) -> list[tuple[int, float]]:
    history = mlflow.MlflowClient(tracking_uri=uri).get_metric_history(run.info.run_id, name)
    return sorted((metric.step, metric.value) for metric in history)


def test_settings_curves_and_metrics(finished: dict[str, Path], database: str) -> None:
    stored = load(finished["train"])
    (run,) = found(database, stored.id)
    assert run.data.params["optimizer.name"] == "nesterov"
    assert run.data.params["training.epochs"] == "5"
    assert run.data.params["training.shuffle"] == "true"
    assert run.data.params["model.filters"] == "[4, 8]"
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert curve(database, run, name) == list(enumerate(getattr(stored.history, name), start=1))
    assert run.data.metrics["test_accuracy"] == stored.metrics["test_accuracy"]
    assert run.data.metrics["seconds.training"] == stored.metrics["seconds"]["training"]
    seconds = [float(line.split(",")[2]) for line in stored.read_text("timings.csv").splitlines()[1:]]
    losses = mlflow.MlflowClient(tracking_uri=database).get_metric_history(run.info.run_id, "loss")
    ends = [round(1000 * (stored.started.timestamp() + sum(seconds[:epoch]))) for epoch in range(1, 6)]
    assert [metric.timestamp for metric in sorted(losses, key=lambda metric: metric.step)] == ends


def test_record_and_tags(finished: dict[str, Path], database: str) -> None:
    stored = load(finished["train"])
    (run,) = found(database, stored.id)
    assert run.info.run_name == stored.id
    assert run.info.status == "FINISHED"
    assert run.info.start_time == round(stored.started.timestamp() * 1000)
    assert run.info.end_time == round(stored.finished.timestamp() * 1000)
    assert run.data.tags["mnistexp.command"] == "train"
    assert run.data.tags["mlflow.source.name"] == "mnistexp train"
    assert run.data.tags.get("mlflow.source.git.commit") == stored.environment["git_commit"]


def test_artifacts_are_the_files_of_the_run(finished: dict[str, Path], database: str, tmp_path: Path) -> None:
    (run,) = found(database, finished["sweep"].name)
    folder = Path(mlflow.MlflowClient(tracking_uri=database).download_artifacts(run.info.run_id, "", str(tmp_path)))
    names = load(finished["sweep"]).files()
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == names
    assert all((folder / name).read_bytes() == (finished["sweep"] / name).read_bytes() for name in names)
    assert f"{database.removeprefix('sqlite:///').rpartition('/')[0]}/mlartifacts/mnistexp/" in run.info.artifact_uri


def test_trials_are_nested_runs(finished: dict[str, Path], database: str) -> None:
    (run,) = found(database, finished["sweep"].name)
    trials = nested(database, run)
    ranking = sorted(load(finished["sweep"]).metrics["ranking"], key=lambda entry: entry["trial"])
    assert [trial.info.run_name for trial in trials] == [f"{run.info.run_name}/trials/{i:05d}" for i in range(4)]
    for trial, entry in zip(trials, ranking, strict=True):
        assert {key: json.loads(value) for key, value in trial.data.params.items()} == entry["params"]
        assert (trial.data.metrics["score"], trial.data.metrics["score_std"]) == (entry["mean"], entry["std"])
        assert trial.info.status == "FINISHED"
        assert [epoch for epoch, _ in curve(database, trial, "loss")] == [1, 2]
    assert run.data.metrics["best_score"] == max(entry["mean"] for entry in ranking)


def test_repeats_are_nested_runs(finished: dict[str, Path], database: str) -> None:
    (run,) = found(database, finished["repeats"].name)
    repeats = nested(database, run)
    assert [repeat.data.params for repeat in repeats] == [{"repeat": "0"}, {"repeat": "1"}]
    for repeat, name in zip(repeats, ("history.csv", "repeats/1/history.csv"), strict=True):
        losses = history_from_csv((finished["repeats"] / name).read_text(), name).loss
        assert curve(database, repeat, "loss") == list(enumerate(losses, start=1))
    assert "loss" not in run.data.metrics
    assert nested(database, found(database, finished["train"].name)[0]) == []


def test_a_folder_is_a_store_too(finished: dict[str, Path], tmp_path: Path) -> None:
    uri = str(tmp_path / "store")
    (done,) = mlflow_store.export([run_of(finished["sweep"])], uri, experiment="mine", artifacts=False)
    (run,) = found(uri, finished["sweep"].name, "mine")
    assert (run.info.run_id, done.done) == (done.mlflow_run_id, "created")
    assert len(nested(uri, run)) == 4
    assert mlflow.MlflowClient(tracking_uri=uri).list_artifacts(run.info.run_id) == []


def test_a_repeated_export_changes_nothing_but_tags(finished: dict[str, Path], tmp_path: Path) -> None:
    uri, folder = str(tmp_path / "store"), tmp_path / finished["sweep"].name
    shutil.copytree(finished["sweep"], folder)
    (first,) = mlflow_store.export([run_of(folder)], uri)
    annotate(folder, add=["good", "seen"], note="to keep")
    (again,) = mlflow_store.export([run_of(folder)], uri)
    assert (again.done, again.mlflow_run_id) == ("unchanged", first.mlflow_run_id)
    (run,) = found(uri, folder.name)
    assert (run.data.tags["mnistexp.tags"], run.data.tags["mlflow.note.content"]) == ("good seen", "to keep")
    assert len(nested(uri, run)) == 4


def test_a_changed_run_is_replaced_with_its_nested_runs(finished: dict[str, Path], tmp_path: Path) -> None:
    uri, folder = str(tmp_path / "store"), tmp_path / finished["sweep"].name
    shutil.copytree(finished["sweep"], folder)
    (first,) = mlflow_store.export([run_of(folder)], uri)
    (folder / "more.txt").write_text("more")
    (again,) = mlflow_store.export([run_of(folder)], uri)
    assert (again.done, again.mlflow_run_id != first.mlflow_run_id) == ("replaced", True)
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mnistexp").experiment_id
    assert len(client.search_runs([experiment])) == 5
    assert client.get_run(first.mlflow_run_id).info.lifecycle_stage == "deleted"


def test_an_export_that_was_cut_off_is_done_again(finished: dict[str, Path], tmp_path: Path) -> None:
    uri, run = str(tmp_path / "store"), run_of(finished["train"])
    (first,) = mlflow_store.export([run], uri, artifacts=False)
    mlflow.MlflowClient(tracking_uri=uri).delete_tag(first.mlflow_run_id, "mnistexp.digest")
    (again,) = mlflow_store.export([run], uri, artifacts=False)
    assert again.done == "replaced"
    assert len(found(uri, run.id)) == 1


@pytest.mark.parametrize(
    ("status", "expected"), [("failed", "FAILED"), ("interrupted", "KILLED"), ("running", "RUNNING")]
)
def test_failed_and_interrupted_runs_are_exported_with_their_status(
    finished: dict[str, Path], tmp_path: Path, status: str, expected: str
) -> None:
    folder = tmp_path / finished["train"].name
    shutil.copytree(finished["train"], folder)
    owner = Owner.current()
    living = {"pid": owner.pid, "boot": owner.boot, "process_started": owner.started}
    record = json.loads((folder / "status.json").read_text()) | {"status": status, "finished": None} | living
    (folder / "status.json").write_text(json.dumps(record))
    uri = str(tmp_path / "store")
    mlflow_store.export([run_of(folder)], uri, artifacts=False)
    (run,) = found(uri, folder.name)
    assert run.info.status == expected
    assert (run.info.end_time is None) == (status == "running")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("postgres://host/name", r"--tracking-uri is 'postgres://host/name', allowed: sqlite:///FILE, a folder"),
        ("sqlite:///", "--tracking-uri is 'sqlite:///', allowed"),
        ("", "--tracking-uri is '', allowed"),
        ("mlflow.db", r"'mlflow\.db' is not a folder, .* did you mean sqlite:///mlflow\.db\?"),
        ("sqlite:///notes.txt", r"notes\.txt is not a SQLite file"),
    ],
)
def test_invalid_mlflow_stores_are_refused(
    finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("some notes")
    with pytest.raises(BadInput, match=message):
        mlflow_store.export([run_of(finished["train"])], uri)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_unusable_mlflow_experiments_are_refused(
    finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri, run = str(tmp_path / "store"), run_of(finished["train"])
    with pytest.raises(BadInput, match="--experiment is empty"):
        mlflow_store.export([run], uri, experiment=" ")
    client = mlflow.MlflowClient(tracking_uri=uri)
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(BadInput, match="the experiment 'gone' is deleted: mlflow experiments restore"):
        mlflow_store.export([run], uri, experiment="gone")


def test_a_store_that_fails(finished: dict[str, Path], tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "later.db")) as database, database:
        database.execute("create table alembic_version (version_num varchar(32))")
        database.execute("insert into alembic_version values ('of_a_later_version')")
    with pytest.raises(RunError, match=r"MLflow's store sqlite:.*later\.db: .*of_a_later_version"):
        mlflow_store.export([run_of(finished["train"])], f"sqlite:///{tmp_path}/later.db")


def test_usage_statistics_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    assert variables.MLFLOW_DISABLE_TELEMETRY.get() is False
    monkeypatch.delitem(sys.modules, "mnistexp.bridges.mlflow_store")
    importlib.import_module("mnistexp.bridges.mlflow_store")
    assert variables.MLFLOW_DISABLE_TELEMETRY.get() is True
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_without_mlflow_the_error_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alembic.util", None)
    monkeypatch.delitem(sys.modules, "mnistexp.bridges.mlflow_store")
    with pytest.raises(BadInput, match=r"pip install 'mnistexp\[mlflow\]'"):
        importlib.import_module("mnistexp.bridges.mlflow_store")


def test_the_command(finished: dict[str, Path], tmp_path: Path) -> None:
    runs, uri = str(finished["train"].parent), str(tmp_path / "store")
    command = ["bridge", "mlflow", finished["train"].name, "--runs-dir", runs, "--tracking-uri", uri, "--no-artifacts"]
    document = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    (run,) = found(uri, finished["train"].name)
    told = {"run": finished["train"].name, "mlflow_run_id": run.info.run_id, "done": "created"}
    assert document == {"tracking_uri": uri, "experiment": "mnistexp", "runs": [told]}
    said = CliRunner().invoke(app, [*command]).stdout
    assert said == f"1 run in the experiment mnistexp of {uri}: 1 unchanged\n"
    nothing = CliRunner().invoke(app, [*command[:2], *command[3:], "--where", "test_accuracy>1"])
    assert isinstance(nothing.exception, RunError)
