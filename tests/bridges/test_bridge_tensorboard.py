"""Event files of runs, read back by TensorBoard's own readers."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from later import Later
from programs import answer
from typer.testing import CliRunner

from mnistexp.cli.app import app
from mnistexp.errors import BadInput, RunError
from mnistexp.runs import references
from mnistexp.runs.annotations import annotate
from mnistexp.runs.stored_runs import StoredRun, load

tensorboard = Later("mnistexp.bridges.tensorboard")
accumulators = Later("tensorboard.backend.event_processing.event_accumulator")
api_pb2 = Later("tensorboard.plugins.hparams.api_pb2")
hparams = Later("tensorboard.plugins.hparams.metadata")
CURVES = ["loss", "accuracy", "val_loss", "val_accuracy"]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """What tests take away and load again was there before."""
    importlib.import_module("mnistexp.bridges.tensorboard")


@pytest.fixture(scope="module")
def output(finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("event files")
    kinds = ("train", "repeats", "best", "sweep", "summary")
    tensorboard.export([run_of(finished[kind]) for kind in kinds], folder)
    return folder


def run_of(folder: Path) -> StoredRun:
    return references.one(folder.parent, folder.name)


def read(folder: Path) -> Any:
    return accumulators.EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def session(events: Any) -> tuple[Any, Any]:
    contents = events.PluginTagToContent("hparams")
    start = hparams.parse_session_start_info_plugin_data(contents[hparams.SESSION_START_INFO_TAG])
    return start, hparams.parse_session_end_info_plugin_data(contents[hparams.SESSION_END_INFO_TAG])


def values(events: Any, tag: str) -> list[float]:
    return [event.value for event in events.Scalars(tag)]


def float32(numbers: Any) -> list[float]:
    return np.asarray(numbers, np.float32).tolist()


def test_the_curves_of_a_training(finished: dict[str, Path], output: Path) -> None:
    events, stored = read(output / finished["train"].name), load(finished["train"])
    for name in CURVES:
        assert [event.step for event in events.Scalars(name)] == [1, 2, 3, 4, 5]
        assert values(events, name) == float32(getattr(stored.history, name))
    walls = [event.wall_time for event in events.Scalars("loss")]
    seconds = [float(line.split(",")[2]) for line in stored.read_text("timings.csv").splitlines()[1:]]
    np.testing.assert_allclose(walls, stored.started.timestamp() + np.cumsum(seconds), rtol=0, atol=1e-5)
    assert events.Scalars("metrics/test_accuracy")[0].step == 5
    assert values(events, "metrics/test_accuracy") == float32([stored.metrics["test_accuracy"]])
    assert values(events, "metrics/seconds.training") == float32([stored.metrics["seconds"]["training"]])


def test_the_configuration_is_text(finished: dict[str, Path], output: Path) -> None:
    events = read(output / finished["train"].name)
    assert "config" in events.PluginTagToContent("text")
    text = events.Tensors("config")[0].tensor_proto.string_val[0].decode()
    lines = [line.removeprefix("    ") for line in text.split("\n")]
    assert "\n".join(lines) + "\n" == load(finished["train"]).config_text


def test_a_training_is_a_session(finished: dict[str, Path], output: Path) -> None:
    start, end = session(read(output / finished["train"].name))
    info = load(finished["train"])
    assert start.group_name == info.id
    assert start.hparams["optimizer.name"].string_value == "nesterov"
    assert start.hparams["training.epochs"].number_value == 5
    assert start.hparams["training.shuffle"].bool_value is True
    assert start.hparams["model.filters"].string_value == "[4, 8]"
    assert start.start_time_secs == info.started.timestamp()
    assert end.status == api_pb2.Status.Value("STATUS_SUCCESS")
    assert end.end_time_secs == info.finished.timestamp()


def test_repeats_are_runs_of_one_group(finished: dict[str, Path], output: Path) -> None:
    folder = output / finished["repeats"].name
    assert not {*CURVES} & {*read(folder).Tags()["scalars"]}
    for repeat in range(2):
        events = read(folder / "repeats" / str(repeat))
        assert values(events, "val_loss") == float32(load(finished["repeats"]).histories[repeat].val_loss)
        assert session(events)[0].group_name == finished["repeats"].name


def test_curves_without_validation_are_exported(finished: dict[str, Path], output: Path) -> None:
    tags = read(output / finished["best"].name).Tags()["scalars"]
    assert {"loss", "accuracy", "metrics/representative.test.accuracy"} <= {*tags}
    assert not {"val_loss", "val_accuracy"} & {*tags}


def test_each_trial_of_a_sweep_is_a_session(finished: dict[str, Path], output: Path) -> None:
    folder, stored = output / finished["sweep"].name, load(finished["sweep"])
    assert sorted(path.name for path in (folder / "trials").iterdir()) == ["00000", "00001", "00002", "00003"]
    for entry in stored.metrics["ranking"]:
        name = f"{entry['trial']:05d}"
        events = read(folder / "trials" / name)
        start, end = session(events)
        assert {key: value.number_value for key, value in start.hparams.items()} == entry["params"]
        assert end.status == api_pb2.Status.Value("STATUS_SUCCESS")
        assert [(event.step, event.value) for event in events.Scalars("score")] == [(2, *float32([entry["mean"]]))]
        assert values(events, "score_std") == float32([entry["std"]])
        folds = [stored.read_json(f"trials/{name}-0-{fold}.json") for fold in (0, 1)]
        for curve in CURVES:
            means = np.mean(np.array([fold[curve] for fold in folds], float), axis=0)
            points = [(event.step, event.value) for event in events.Scalars(curve)]
            assert points == [(epoch, *float32([mean])) for epoch, mean in enumerate(means, 1) if not np.isnan(mean)]


def test_tensorboard_s_own_page_lists_the_trials(finished: dict[str, Path], output: Path) -> None:
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams.api_pb2 import ColParams, ListSessionGroupsRequest, Status
    from tensorboard.plugins.hparams.backend_context import Context
    from tensorboard.plugins.hparams.list_session_groups import Handler

    folder = output / finished["sweep"].name
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    context = Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(folder))))
    contents = context.hparams_metadata(RequestContext(), "")
    experiment = context.experiment_from_metadata(RequestContext(), "", True, contents, [])
    assert {info.name for info in experiment.hparam_infos} == {"model.dropout", "optimizer.beta_1"}
    assert {"score", "val_loss"} <= {info.name.tag for info in experiment.metric_infos}
    columns = [ColParams(hparam=info.name) for info in experiment.hparam_infos]
    columns += [ColParams(metric=info.name) for info in experiment.metric_infos]
    statuses = [Status.Value("STATUS_SUCCESS")]
    request = ListSessionGroupsRequest(col_params=columns, allowed_statuses=statuses, slice_size=10)
    groups = Handler(RequestContext(), context, "", request).run().session_groups
    shown = {
        (group.hparams["model.dropout"].number_value, group.hparams["optimizer.beta_1"].number_value): value.value
        for group in groups
        for value in group.metric_values
        if value.name.tag == "score"
    }
    ranking = load(finished["sweep"]).metrics["ranking"]
    expected = {(e["params"]["model.dropout"], e["params"]["optimizer.beta_1"]): float32(e["mean"]) for e in ranking}
    assert shown == expected


def test_a_repeated_export_replaces_the_earlier_files(finished: dict[str, Path], tmp_path: Path) -> None:
    run = run_of(finished["sweep"])
    (folder,) = tensorboard.export([run], tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*tfevents*")}
    stale = folder / "trials/00009/events.out.tfevents.1.mnistexp"
    foreign = folder / "trials/00009/events.out.tfevents.1.host"
    stale.parent.mkdir()
    stale.touch()
    foreign.touch()
    tensorboard.export([run], tmp_path)
    assert not stale.exists()
    foreign.unlink()
    assert {path: path.read_bytes() for path in folder.rglob("*tfevents*")} == before


def test_notes_are_exported_too(finished: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / finished["train"].name
    shutil.copytree(finished["train"], folder)
    annotate(folder, note="the first")
    (written,) = tensorboard.export([run_of(folder)], tmp_path / "out")
    assert read(written).Tensors("note")[0].tensor_proto.string_val[0] == b"the first"


def test_a_damaged_run_is_refused_before_anything_is_written(finished: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / finished["train"].name
    shutil.copytree(finished["train"], folder)
    (folder / "metrics.json").write_text("{")
    with pytest.raises(RunError, match=r"metrics\.json"):
        tensorboard.export([run_of(finished["sweep"]), run_of(folder)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_tensorboard_the_error_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    monkeypatch.delitem(sys.modules, "mnistexp.bridges.tensorboard")
    with pytest.raises(BadInput, match=r"pip install 'mnistexp\[tensorboard\]'"):
        importlib.import_module("mnistexp.bridges.tensorboard")


def test_tensorflow_is_not_loaded(finished: dict[str, Path], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom mnistexp.bridges import tensorboard\n"
        "from mnistexp.runs import references\nfolder = Path(sys.argv[1])\n"
        "tensorboard.export([references.one(folder.parent, folder.name)], Path(sys.argv[2]))\n"
        "assert 'tensorflow' not in sys.modules"
    )
    arguments = ["-W", "error", "-c", code, str(finished["sweep"]), str(tmp_path)]
    subprocess.run([sys.executable, *arguments], check=True)
    assert [path.name for path in tmp_path.iterdir()] == [finished["sweep"].name]


def test_the_command(finished: dict[str, Path], tmp_path: Path) -> None:
    runs, output = str(finished["train"].parent), tmp_path / "events"
    command = ["bridge", "tensorboard", finished["train"].name, "--runs-dir", runs, "--output", str(output)]
    document = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert document == {"output": str(output), "runs": [finished["train"].name]}
    assert len(read(output / finished["train"].name).Scalars("loss")) == 5
    said = CliRunner().invoke(app, command).stdout
    assert said == f"1 run in {output}; view with: tensorboard --logdir {output}\n"
    (tmp_path / "file").touch()
    code, _, said = answer(*command[:-1], tmp_path / "file")
    assert code == 2
    assert "Invalid value for '--output'" in said
    assert "is a file, allowed: a folder" in said
