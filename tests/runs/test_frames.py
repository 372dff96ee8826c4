"""Runs as pandas data frames, beside the files that they were read from."""

import csv
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mnistexp.runs
from mnistexp.errors import BadInput
from mnistexp.runs.annotations import annotate
from mnistexp.runs.stored_runs import load as load_stored


def test_a_row_for_each_run(finished: dict[str, Path]) -> None:
    runs_dir = finished["train"].parent
    frame = mnistexp.runs.load(runs_dir=runs_dir)
    # Newest first: by the time in the id, then the recorded start, as runs of one second have ids in any order.
    runs = [load_stored(path) for path in runs_dir.iterdir() if path.name[0] != "."]
    runs.sort(key=lambda run: (run.id.split("-")[0], run.started, run.id), reverse=True)
    assert list(frame["id"]) == [run.id for run in runs]
    row = frame.set_index("id").loc[finished["train"].name]
    stored = load_stored(finished["train"])
    assert row["started"].to_pydatetime() == stored.started
    assert row["finished"].to_pydatetime() == stored.finished
    assert row["started"].tzinfo is not None
    assert frame["started"].dt.tz == UTC
    assert (row["command"], row["status"], row["config.training.epochs"]) == ("train", "done", 5)
    assert row["test_accuracy"] == stored.metrics["test_accuracy"]
    assert row["seconds.training"] == stored.metrics["seconds"]["training"]
    assert np.isnan(row["best_score"])
    assert frame["test_accuracy"].dtype == np.float64
    assert frame.columns.is_unique


def test_filters_orders_and_references(finished: dict[str, Path]) -> None:
    runs_dir = finished["train"].parent
    accurate = mnistexp.runs.load(where="test_accuracy > 0", sort="test_accuracy", runs_dir=runs_dir)
    assert accurate["test_accuracy"].is_monotonic_increasing
    assert set(accurate["command"]) == {"train", "best"}
    one = mnistexp.runs.load(finished["sweep"].name, runs_dir=str(runs_dir))
    assert list(one["id"]) == [finished["sweep"].name]
    assert len(mnistexp.runs.load(["latest", "2"], runs_dir=runs_dir)) == 2


def test_annotations(finished: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / finished["summary"].name
    folder.mkdir()
    for path in finished["summary"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    annotate(folder, add=["seen", "good"], note="to keep")
    row = mnistexp.runs.load(runs_dir=tmp_path).iloc[0]
    assert (row["tags"], row["note"], row["path"]) == ("good seen", "to keep", str(folder))


def test_no_runs_are_an_empty_frame(tmp_path: Path) -> None:
    frame = mnistexp.runs.load(runs_dir=tmp_path)
    assert len(frame) == 0
    assert frame["started"].dt.tz == UTC
    assert len(mnistexp.runs.histories(runs_dir=tmp_path)) == 0


def test_histories_are_the_stored_curves(finished: dict[str, Path]) -> None:
    frame = mnistexp.runs.histories(["latest", finished["repeats"].name], runs_dir=finished["repeats"].parent)
    assert set(frame["run"]) == {finished["repeats"].name}
    assert frame.groupby("repeat")["epoch"].apply(list).to_dict() == {0: [1, 2, 3, 4], 1: [1, 2, 3, 4]}
    for repeat, name in enumerate(("history.csv", "repeats/1/history.csv")):
        stored = pd.read_csv(finished["repeats"] / name)
        found = frame[frame["repeat"] == repeat].reset_index(drop=True)
        pd.testing.assert_frame_equal(found[list(stored.columns)], stored, check_exact=True)
    with (finished["repeats"] / "timings.csv").open() as file:
        assert frame["seconds"].tolist() == [float(row["seconds"]) for row in csv.DictReader(file)]


def test_curves_without_validation_are_exported(finished: dict[str, Path]) -> None:
    frame = mnistexp.runs.histories(finished["best"].name, runs_dir=finished["best"].parent)
    assert frame["val_loss"].isna().all()
    assert frame["loss"].notna().all()


def test_trials_of_a_sweep(finished: dict[str, Path]) -> None:
    frame = mnistexp.runs.trials(finished["sweep"].name, runs_dir=finished["sweep"].parent)
    ranking = load_stored(finished["sweep"]).metrics["ranking"]
    assert frame["trial"].tolist() == [entry["trial"] for entry in ranking]
    assert frame["mean_test_score"].tolist() == [entry["mean"] for entry in ranking]
    assert frame["param_model.dropout"].tolist() == [entry["params"]["model.dropout"] for entry in ranking]
    assert frame["selected"].tolist() == [True, False, False, False]


def test_a_run_without_trials(finished: dict[str, Path]) -> None:
    with pytest.raises(BadInput, match=r"is a train run without trials\.csv, allowed: a finished sweep"):
        mnistexp.runs.trials(finished["train"].name, runs_dir=finished["train"].parent)


def test_unknown_names_are_attribute_errors_of_frames() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = mnistexp.runs.lode
    assert {"histories", "load", "trials"} <= set(dir(mnistexp.runs))


def test_without_pandas_the_error_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BadInput, match=r"pip install 'mnistexp\[pandas\]'"):
        mnistexp.runs.load(runs_dir=tmp_path)


def test_reading_files_loads_no_pandas() -> None:
    code = "import sys, mnistexp.runs.files, mnistexp.runs.query; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
