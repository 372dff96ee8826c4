"""Stored runs repeated: the same bits where nothing has changed, and differences where something has."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from programs import answer
from small import NETWORK

from mnistexp import api, data
from mnistexp.commands.verify.comparing import curve_difference, relative_difference
from mnistexp.commands.verify.story import Verification, verify
from mnistexp.config.models import DataConfig
from mnistexp.config.settings import to_yaml
from mnistexp.errors import BadInput, Interrupted, RunError
from mnistexp.runs import stored_runs
from mnistexp.runs.environment import environment
from mnistexp.runs.results import EpochDone, Event, FitDone, History
from mnistexp.runs.run_folder import Run
from mnistexp.sweeps.sweeping import fit_and_rank
from mnistexp.training.runtime import import_keras


@pytest.fixture
def copied(finished: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copies a run, to be changed."""

    def copy(kind: str) -> Path:
        return Path(shutil.copytree(finished[kind], tmp_path / "runs" / finished[kind].name))

    return copy


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Name to bytes and time of change of every file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def verified(path: Path, **options: Any) -> Verification:
    return verify(stored_runs.load(path), **options)


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    document = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(document))


COMPARED = {
    "train": ["history.csv", "weights", "predictions", "test accuracy"],
    "repeats": [
        f"training {number}: {what}"
        for number in (1, 2)
        for what in ("history.csv", "weights", "predictions", "test accuracy")
    ],
    "best": ["history.csv", "weights", "predictions", "test accuracy"],
    "sweep": ["trials.csv", "trials/", "trials/", "trials/"],
}


@pytest.mark.parametrize("kind", COMPARED)
def test_a_fresh_run_is_identical_and_untouched(
    kind: str, finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = content(finished[kind].parent)
    code, out, err = answer("verify", finished[kind], "--json")
    document = json.loads(out)
    assert (code, document["verdict"], document["exit_code"]) == (0, "identical", 0)
    assert [item["what"][: len(name)] for item, name in zip(document["compared"], COMPARED[kind], strict=True)] == (
        COMPARED[kind]
    )
    assert all(item["identical"] for item in document["compared"])
    assert document["changed"] == []
    assert ("epoch" in err) == (kind != "sweep")
    assert ("fit 3/3" in err) == (kind == "sweep")
    assert content(finished[kind].parent) == before
    assert list(tmp_path.iterdir()) == []


def test_a_small_change_is_within_tolerance_and_a_large_one_differs(copied: Callable[[str], Path]) -> None:
    run = copied("train")
    history = (run / "history.csv").read_text()
    *lines, last = history.splitlines()
    epoch, loss, *others = last.split(",")
    verdicts = []
    for factor in (1 + 1e-9, 1.01, 1.5):
        (run / "history.csv").write_text(
            "\n".join([*lines, ",".join([epoch, repr(float(loss) * factor), *others])]) + "\n"
        )
        code, out, _ = answer("verify", run, "--json", "-q")
        document = json.loads(out)
        verdicts.append((code, document["verdict"]))
        compared = {item["what"]: item for item in document["compared"]}
        assert compared["history.csv"]["detail"] == "loss differs most"
        assert compared["history.csv"]["difference"] <= factor - 1 + 1e-12
        assert compared["weights"]["identical"]
    assert verdicts == [(4, "within tolerance"), (4, "within tolerance"), (5, "differs")]
    code, out, err = answer("verify", run, "--tolerance", 0.6, "-q")
    assert (code, err) == (4, "")
    assert "within tolerance (tolerance 0.6)" in out
    code, out, _ = answer("verify", run, "-q")
    assert code == 5
    assert "Verdict       differs" in out


def test_another_model_and_another_accuracy_are_noticed(copied: Callable[[str], Path]) -> None:
    run = copied("repeats")
    shutil.copy(run / "repeats/1/model.keras", run / "model.keras")
    found = verified(run)
    assert [item.what for item in found.compared if not item.identical] == [
        "training 1: weights",
        "training 1: predictions",
    ]
    assert "test digits have another prediction" in found.compared[2].detail
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["repeats"]["test_accuracies"][1] += 0.5
    edit(run / "metrics.json", **metrics)
    found = verified(run)
    assert found.verdict == "differs"
    assert [item.what for item in found.compared if not item.identical][-1] == "training 2: test accuracy"


def test_another_network_in_the_model_file_differs(copied: Callable[[str], Path]) -> None:
    keras = import_keras()
    run = copied("train")
    layers = keras.layers
    keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10)]).save(run / "model.keras")
    found = verified(run)
    assert found.verdict == "differs"
    assert found.compared[1].detail == "model.keras has a different network"


def test_changes_since_the_run_are_listed(copied: Callable[[str], Path]) -> None:
    run = copied("train")
    environment = json.loads((run / "environment.json").read_text())
    now = dict(environment["packages"])
    edit(
        run / "environment.json",
        packages={**now, "numpy": "1.0", "vanished": "2.0", "statsmodels": "0.14.4"},  # the last is recorded no more
        cpu="an abacus",
        instructions=["beads"],
        git_commit="0" * 40,
        training_code="1" * 64,
        variables={**environment["variables"], "OMP_NUM_THREADS": "7"},
    )
    (run / "code.patch").write_text("--- a\n+++ b\n")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["optimizer"]["warp"] = 9
    config["future"] = {"key": 1}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    about = json.loads((run / "data.json").read_text())
    edit(run / "data.json", sha256="2" * 64, test=about["test"][::-1])
    found = verified(run)
    assert found.verdict == "identical"
    changed = {change.what: (change.then, change.now) for change in found.changed}
    assert changed["packages.numpy"] == ("1.0", now["numpy"])
    assert changed["packages.vanished"] == ("2.0", None)
    assert changed["cpu"] == ("an abacus", environment["cpu"])
    assert changed["instructions"] == (["beads"], environment["instructions"])
    assert changed["git_commit"] == ("0" * 40, environment["git_commit"])
    assert changed["training_code"] == ("1" * 64, environment["training_code"])
    assert changed["variables.OMP_NUM_THREADS"][0] == "7"
    assert changed["code.patch"][0] == "2 lines"
    assert changed["setting optimizer.warp"] == (9, None)
    assert changed["setting future"] == ({"key": 1}, None)
    assert changed["digits (SHA-256)"] == ("2" * 64, about["sha256"])
    assert changed["rows of the split"][0] == "different test rows"
    assert len(changed) == 12
    _, out, _ = answer("verify", run, "-q")
    for what in changed:
        assert what in out


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"cpu": "an abacus", "instructions": ["beads"]}, "cpu, instructions"),
        ({"variables": environment()["variables"] | {"ONEDNN_MAX_CPU_ISA": "beads"}}, "variables.ONEDNN_MAX_CPU_ISA"),
        ({"git_commit": "0" * 40}, ""),
    ],
)
def test_another_processor_is_named_as_the_reason_where_bits_differ(
    change: dict[str, Any], named: str, copied: Callable[[str], Path]
) -> None:
    run = copied("train")
    edit(run / "environment.json", **change)
    assert verified(run).reason == ""  # the bits are the same
    metrics = json.loads((run / "metrics.json").read_text())
    edit(run / "metrics.json", test_accuracy=metrics["test_accuracy"] + 0.01)
    found = verified(run)
    assert (f"({named})" in found.reason) == bool(named)
    assert bool(found.reason) == bool(named)


def test_changed_digits_are_reported_and_the_training_differs(tmp_path: Path, copied: Callable[[str], Path]) -> None:
    run = copied("train")
    digits = data.load(DataConfig(digits=200))
    np.savez(tmp_path / "digits.npz", images=np.roll(digits.images, 2, axis=2), labels=digits.labels)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["source"] = str(tmp_path / "digits.npz")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    found = verified(run)
    assert found.verdict == "differs"
    assert [change.what for change in found.changed] == ["digits (SHA-256)"]
    (tmp_path / "digits.npz").unlink()
    with pytest.raises(RunError, match=r"can't be repeated here: data.source: .* doesn't exist"):
        verified(run)


def test_verifying_a_sweep_compares_sampled_fits_and_the_table(copied: Callable[[str], Path]) -> None:
    run = copied("sweep")
    everything = verified(run, fits=100)
    names = sorted(f"trials/{path.name}" for path in (run / "trials").glob("*.json"))
    assert [item.what for item in everything.compared] == ["trials.csv", *names]
    assert everything.verdict == "identical"
    assert everything.note == "8 of 8 fits were repeated, drawn with seed 2."
    drawn = {tuple(item.what for item in verified(run, fits=2, seed=seed).compared) for seed in (0, 0, 1)}
    assert len(drawn) == 2
    edit(run / names[3], loss=[value * 1.001 for value in json.loads((run / names[3]).read_text())["loss"]])
    found = verified(run, fits=100)
    assert found.verdict == "within tolerance"
    assert [item.what for item in found.compared if not item.identical] == [names[3]]
    edit(run / names[3], score=0.0)
    code, out, _ = answer("verify", run, "--fits", 1, "--seed", 0, "--json", "-q")
    table = json.loads(out)["compared"][0]
    assert code == 5
    assert table == {
        "what": "trials.csv", "identical": False, "difference": None, "detail": "differs from the stored trials/*.json",
    }  # fmt: skip


def test_a_sweep_that_chooses_trials_by_earlier_scores_is_verified(tmp_path: Path) -> None:
    small = {**NETWORK, "data.digits": 100}
    search = {"strategy": "halving", "min_epochs": 1, "factor": 2, "folds": 2, "executor": "serial", "cache": False}
    grid = {"optimizer.learning_rate": [0.001, 0.01, 0.1, 0.3]}
    settings = {f"sweep.{key}": value for key, value in {**search, "grid": grid}.items()}
    config = api.configure("sweep-dropout", {**small, "training.epochs": 4, **settings})
    dataset = data.Dataset.load(config)
    with Run.create(tmp_path, "sweep-dropout", "halving", to_yaml(config)) as written:
        written.add("data.json", dataset.document())
        fit_and_rank(dataset, run=written)
    run = written.path
    found = verified(run, fits=100)
    assert found.verdict == "identical"
    assert len(found.compared) == 1 + 2 * (4 + 2 + 1)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("0.3", "0.25"))
    found = verified(run)
    assert found.verdict == "differs"
    assert found.compared[-1].what == "settings tried"


def damage(run: Path, name: str, text: str | None) -> None:
    if text is None:
        (run / name).unlink()
    else:
        (run / name).write_text(text)


@pytest.mark.parametrize(
    ("kind", "name", "text", "expected"),
    [
        ("train", "config.yaml", "training: {epochs: 0}", "can't be repeated here: .*training.epochs: is 0"),
        ("train", "data.json", "{}", "schema version"),
        ("train", "model.keras", None, "can't read .*model.keras"),
        ("train", "history.csv", "epoch\n", "history.csv is damaged"),
        ("train", "metrics.json", '{"schema_version": 1}', "the test accuracies of 1 trainings are missing"),
        ("best", "final.yaml", None, "can't read .*final.yaml"),
        ("sweep", "predictions.npz", "", "predictions.npz is damaged"),
    ],
)
def test_damaged_runs_cannot_be_verified(
    kind: str, name: str, text: str | None, expected: str, copied: Callable[[str], Path]
) -> None:
    run = copied(kind)
    damage(run, name, text)
    with pytest.raises(RunError, match=expected) as error:
        verified(run)
    assert error.value.exit_code == 1


def test_a_run_that_is_not_done_has_nothing_to_verify(copied: Callable[[str], Path]) -> None:
    run = copied("train")
    edit(run / "status.json", status="interrupted")
    with pytest.raises(BadInput, match="is interrupted, allowed: a run that is done"):
        verified(run)
    run = copied("sweep")
    (run / "sweep.json").unlink()
    with pytest.raises(BadInput, match="has no finished trial"):
        verified(run)


@pytest.mark.parametrize("kind", ["repeats", "sweep"])
def test_ctrl_c_leaves_no_files_behind(
    kind: str, finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = content(finished[kind])

    def press(event: Event) -> None:
        if isinstance(event, EpochDone | FitDone):
            assert list(tmp_path.iterdir()) == []
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="nothing was written") as error:
        verified(finished[kind], watch=press)
    assert error.value.exit_code == 130
    assert list(tmp_path.iterdir()) == []
    assert content(finished[kind]) == before


def test_differences_are_relative_to_the_curve() -> None:
    nan, inf = float("nan"), float("inf")
    assert relative_difference([2.0, 0.001], [2.0, 0.002]) == pytest.approx(0.0005)
    assert relative_difference([nan, 1.0], [nan, 1.0]) == 0
    assert relative_difference([nan, 1.0], [2.0, 1.0]) == inf
    assert relative_difference([inf, 1.0], [inf, 0.5]) == 0.5
    assert relative_difference([inf], [1.0]) == inf
    assert relative_difference([1.0], [1.0, 1.0]) == inf
    assert relative_difference([0.0], [0.0]) == relative_difference([], []) == 0
    then = History((1.0, 0.5), (0.1, 0.2), (1.0, 1.0), (0.5, 0.5))
    now = History((1.0, 0.5), (0.1, 0.2), (1.0, 0.9), (0.5, 0.5))
    assert curve_difference(then, now) == (pytest.approx(0.1), "val_loss")
    assert curve_difference(then, then) == (0.0, "")


def test_the_report_is_one_document_of_plain_json(finished: dict[str, Path]) -> None:
    document = verified(finished["sweep"], fits=1).document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
