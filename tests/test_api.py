"""The commands as Python functions."""

import json
import pydoc
import shutil
from pathlib import Path

import numpy as np
import pytest
from programs import call
from small import NETWORK

import mnistexp
from mnistexp import data
from mnistexp.errors import BadInput, ConfigError
from mnistexp.runs.annotations import annotate
from mnistexp.runs.layout import STATUS, Kind
from mnistexp.runs.stored_runs import runs_folder
from mnistexp.sweeps import reuse

TINY = {**NETWORK, "training.epochs": 1, "data.digits": 60}


def test_every_public_name_is_a_function_at_every_access() -> None:
    for _ in range(2):
        for name in ("best", "configure", "load_run", "reproduce", "sweep", "train"):
            assert callable(getattr(mnistexp, name))
            assert name in dir(mnistexp)


def test_the_help_of_the_package_fits_two_screens() -> None:
    assert len(pydoc.render_doc(mnistexp, renderer=pydoc.plaintext).splitlines()) <= 120
    assert {"ExperimentConfig", "MnistCnnClassifier"} <= set(dir(mnistexp))


@pytest.mark.usefixtures("undrawn")
def test_progress_is_printed_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mnistexp.progress() as watch:
        mnistexp.train("train", TINY, runs_dir=tmp_path, watch=watch)
    said = capsys.readouterr()
    assert said.out == ""
    assert "epoch 1/1: loss " in said.err


@pytest.mark.usefixtures("undrawn")
def test_a_finished_training_is_lengthened_to_the_bytes_of_the_command(tmp_path: Path) -> None:
    short = mnistexp.train(changes=TINY, runs_dir=tmp_path).run_dir
    longer = mnistexp.train(resume=short, changes={"epochs": 2, "name": "longer"}, runs_dir=tmp_path).run_dir
    done = call("train", "--resume", short, "--epochs", 2, "--runs-dir", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    of_the_command = mnistexp.load_run(runs_dir=tmp_path)
    whole = mnistexp.train(changes=TINY | {"training.epochs": 2}, runs_dir=tmp_path).run_dir
    assert longer.name.rpartition("-")[0].endswith("longer")
    for name in ("history.csv", "predictions.npz"):
        expected = (whole / name).read_bytes()
        assert (longer / name).read_bytes() == (of_the_command.path / name).read_bytes() == expected, name


@pytest.mark.usefixtures("undrawn")
def test_a_training_is_resumed_with_its_own_settings_only(tmp_path: Path) -> None:
    done = mnistexp.train(changes=TINY, runs_dir=tmp_path).run_dir
    for others in ({"seed": 1}, {"name": "a"}, {"epochs": 2, "seed": 1}):
        with pytest.raises(BadInput, match="resume uses the settings of its run"):
            mnistexp.train(resume=done, changes=others, runs_dir=tmp_path)
    with pytest.raises(BadInput, match="resume uses the settings of its run"):
        mnistexp.train("best", resume=done, runs_dir=tmp_path)
    with pytest.raises(BadInput, match="allowed: more than the 1 epochs"):
        mnistexp.train(resume=done, changes={"epochs": 1}, runs_dir=tmp_path)
    with pytest.raises(BadInput, match="is done"):
        mnistexp.train(resume=done, runs_dir=tmp_path)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = mnistexp.trian


def test_configurations_come_from_names_values_files_and_each_other(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("training: {epochs: 7}\n")
    named = mnistexp.configure("train", {"training.epochs": 7})
    assert named == mnistexp.configure({"training": {"epochs": 7}}) == mnistexp.configure(tmp_path / "my.yaml")
    assert mnistexp.configure(named, {"training.epochs": 60}) == mnistexp.configure()
    with pytest.raises(ConfigError, match="did you mean"):
        mnistexp.configure("train", {"training.epoch": 7})


def test_keys_may_be_dotted_and_changes_may_name_their_end() -> None:
    wanted = mnistexp.configure({"training": {"epochs": 7}, "model": {"dropout": 0.5}})
    assert mnistexp.configure({"training.epochs": 7, "model.dropout": 0.5}) == wanted
    assert mnistexp.configure(changes={"epochs": 7, "dropout": 0.5}) == wanted
    assert mnistexp.configure(wanted, {"epochs": 60, "dropout": 0.0}) == mnistexp.configure()
    with pytest.raises(ConfigError, match=r"write `training: .epochs: 3.` or"):
        mnistexp.configure({"training": 3}, {"epochs": 1})


@pytest.mark.usefixtures("undrawn")
def test_runs_go_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable, folder in (("kept", "kept"), ("", "runs")):
        monkeypatch.setenv("MNISTEXP_RUNS_DIR", variable)
        assert runs_folder() == Path(folder)
    monkeypatch.setenv("MNISTEXP_RUNS_DIR", "kept")
    trained = mnistexp.train("train", TINY)
    assert trained.run_dir.parent == Path("kept")
    assert mnistexp.load_run().path == trained.run_dir
    with pytest.raises(BadInput, match="'' is not a folder"):
        mnistexp.load_run(runs_dir="")


@pytest.mark.usefixtures("undrawn")
def test_train_and_sweep_leave_runs_that_load(tmp_path: Path) -> None:
    said: list[object] = []
    trained = mnistexp.train("train", TINY, runs_dir=tmp_path, watch=said.append)
    assert said
    rates = {"sweep.executor": "serial", "sweep.grid": {"model.dropout": [0.0, 0.5]}}
    swept = mnistexp.sweep("sweep-dropout", TINY | rates, runs_dir=tmp_path)
    assert mnistexp.load_run(runs_dir=tmp_path).path == swept.run_dir
    stored = mnistexp.load_run(trained.run_dir, runs_dir=tmp_path)
    assert mnistexp.configure(stored.config) == mnistexp.configure("train", TINY)
    assert repr(stored).startswith(f"<run {trained.run_dir.name}: train, done, test accuracy ")
    assert stored.metrics is not None
    assert stored.metrics["test_accuracy"] == trained.metrics["test_accuracy"]
    assert stored.history is not None
    assert stored.history.epochs == 1


@pytest.mark.usefixtures("undrawn")
def test_python_records_the_kind_of_a_sweep_as_the_command_line_does_and_finds_it_again(tmp_path: Path) -> None:
    rates = {"sweep.executor": "serial", "sweep.grid": {"model.dropout": [0.0]}, "sweep.folds": 2}
    config = mnistexp.configure("sweep-dropout", TINY | rates)
    made = mnistexp.sweep(config, runs_dir=tmp_path)
    status = json.loads((made.run_dir / STATUS).read_text())
    assert (status["command"], made.metrics["command"]) == ("sweep-dropout", "sweep-dropout")
    for recorded in ("sweep-dropout", "sweep"):  # as earlier versions recorded it
        (made.run_dir / STATUS).write_text(json.dumps(status | {"command": recorded}))
        again = reuse.finished(tmp_path, Kind.SWEEP_DROPOUT, data.Dataset.load(config))
        assert again is not None
        assert again.path == made.run_dir


def test_a_loaded_run_reads_images_of_any_usual_form_as_its_network_read_the_test_digits(
    finished: dict[str, Path],
) -> None:
    run = mnistexp.load_run(finished["train"])
    [kept] = run.predictions
    images = data.load(run.config.data).images[kept.rows]
    np.testing.assert_allclose(run.probabilities(images), kept.probabilities, atol=1e-5)
    forms = (images / 255, images[..., np.newaxis].astype("float32") / 255, images.reshape(-1, 784), images.tolist())
    for form in forms:
        assert run.predict(form).tolist() == kept.read.tolist()
    assert run.predict(images[0]).tolist() == kept.read[:1].tolist()
    wrong_forms = {r"shape \(\d+, 14, 28\)": images[:, :14], "allowed: 0 to 255": images.astype("float64") * 1e9}
    for why, wrong in wrong_forms.items():
        with pytest.raises(BadInput, match=why):
            run.predict(wrong)
    with pytest.raises(BadInput, match="has no model"):
        mnistexp.load_run(finished["sweep"]).predict(images)


@pytest.mark.usefixtures("undrawn")
def test_a_loaded_run_gives_its_figures_trials_and_settings(finished: dict[str, Path], tmp_path: Path) -> None:
    trained, swept = (mnistexp.load_run(finished[name]) for name in ("train", "sweep"))
    assert set(trained.figures()) >= {"loss_curves", "confusion_matrix"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in trained.figures().values())
    assert swept.metrics is not None
    assert len(swept.trials()) == len(swept.metrics["ranking"])
    with pytest.raises(BadInput, match=r"without trials\.csv"):
        trained.trials()
    again = mnistexp.train(trained.config, runs_dir=tmp_path)
    assert (again.run_dir / "history.csv").read_bytes() == (trained.path / "history.csv").read_bytes()


def test_a_notebook_shows_the_results_of_a_run_as_plain_text(finished: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(finished["train"], tmp_path / finished["train"].name)
    annotate(folder, add=["good"], note="<b>bold</b>")
    shown = mnistexp.load_run(folder)._repr_html_()
    assert folder.name in shown
    assert f"<td>{json.loads((folder / 'metrics.json').read_text())['test_accuracy']}</td>" in shown
    assert "&lt;b&gt;bold" in shown
    assert "<b>bold" not in shown


def test_the_wrong_function_for_a_configuration_says_which_is_right(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="call sweep"):
        mnistexp.train("sweep-dropout", runs_dir=tmp_path)
    with pytest.raises(BadInput, match="call train"):
        mnistexp.sweep("train", {"sweep": None}, runs_dir=tmp_path)
