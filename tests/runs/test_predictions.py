"""`predictions.npz` of trainings: what each final network says of the test digits."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mnistexp.errors import RunError
from mnistexp.runs.layout import PREDICTIONS
from mnistexp.runs.predictions import read_predictions
from mnistexp.runs.stored_runs import load
from mnistexp.statistics import confusion_matrix


@pytest.mark.parametrize(("kind", "trainings"), [("train", 1), ("repeats", 2), ("best", 1)])
def test_each_training_keeps_what_its_metrics_were_computed_from(
    finished: dict[str, Path], kind: str, trainings: int
) -> None:
    folder = finished[kind]
    metrics = json.loads((folder / "metrics.json").read_text())
    rows = json.loads((folder / "data.json").read_text())["test"]
    found = read_predictions(folder)
    assert len(found) == trainings
    for each in found:
        assert each.rows.tolist() == rows
        assert (each.probabilities.dtype, each.labels.dtype, each.rows.dtype) == ("float32", "int64", "int64")
        np.testing.assert_allclose(each.probabilities.sum(axis=1), 1, rtol=1e-5)
    first = found[0]
    assert first.correct.sum() == metrics["test_correct"]
    assert confusion_matrix(first.labels, first.read).tolist() == metrics["confusion_matrix"]
    if trainings > 1:
        assert [float(each.correct.mean()) for each in found] == metrics["repeats"]["test_accuracies"]


def test_the_stored_network_gives_the_same_predictions(finished: dict[str, Path]) -> None:
    from mnistexp.data import load as digits_of
    from mnistexp.runs.stored_runs import load
    from mnistexp.training.predicting import predict
    from mnistexp.training.saved_model import read_weights

    folder = finished["repeats"]
    config = load(folder).config
    images = digits_of(config.data).images
    for place, kept in zip((folder, folder / "repeats/1"), read_predictions(folder), strict=True):
        said = predict(config, read_weights(place / "model.keras", config.model), images[kept.rows])
        np.testing.assert_array_equal(said, kept.probabilities)


def test_a_run_without_them_is_read_and_has_none(finished: dict[str, Path], tmp_path: Path) -> None:
    earlier = shutil.copytree(finished["train"], tmp_path / finished["train"].name)
    (earlier / PREDICTIONS).unlink()
    assert load(earlier).predictions == load(finished["sweep"]).predictions == ()
    assert load(earlier).metrics == load(finished["train"]).metrics


@pytest.mark.parametrize("damage", ["rubbish", "too few labels", "whole numbers", "a sweep's"])
def test_a_damaged_archive_is_named(finished: dict[str, Path], tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(finished["train"], tmp_path / finished["train"].name)
    with np.load(folder / PREDICTIONS) as stored:
        arrays = dict(stored)
    if damage == "rubbish":
        (folder / PREDICTIONS).write_bytes(b"rubbish")
    elif damage == "a sweep's":
        shutil.copy(finished["sweep"] / PREDICTIONS, folder / PREDICTIONS)
    else:
        few = {"labels": arrays["labels"][:-1]}
        whole = {"probabilities": arrays["probabilities"].astype(np.int64)}
        np.savez(folder / PREDICTIONS, **arrays | (few if damage == "too few labels" else whole))
    with pytest.raises(RunError, match=r"predictions\.npz is damaged"):
        read_predictions(folder)
