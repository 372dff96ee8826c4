"""The network, its table, its seeds, and how TensorFlow is started."""

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from programs import untouched

from mnistexp.config.models import ExperimentConfig, ModelConfig
from mnistexp.config.networks import layer_table
from mnistexp.config.optimizers import Adam, Nesterov
from mnistexp.training import saved_model
from mnistexp.training.model import Seed, build_model, build_optimizer, initial_weights
from mnistexp.training.predicting import keras_model
from mnistexp.training.runtime import import_keras
from mnistexp.training.saved_model import save_model

CONFIGS = [
    ModelConfig(),
    ModelConfig(filters=(4, 7), kernel_size=5, dense_units=11, dropout=0.25),
    ModelConfig(filters=(1, 1), kernel_size=7, dense_units=1),
    ModelConfig(kernel_size=1),
    ModelConfig(kind="mlp", dense_units=5, dropout=0.5),
    ModelConfig(kind="logistic"),
]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=untouched())


@pytest.mark.parametrize("config", CONFIGS)
def test_the_table_is_what_keras_builds(config: ModelConfig) -> None:
    built = build_model(config).layers
    table = layer_table(config)
    assert [row.name for row in table] == [layer.name for layer in built]
    assert [row.kind for row in table] == [type(layer).__name__ for layer in built]
    assert [row.output_shape for row in table] == [tuple(layer.output.shape[1:]) for layer in built]
    assert [row.parameters for row in table] == [layer.count_params() for layer in built]
    for row in table:
        arithmetic, _, total = row.arithmetic.partition(" = ")
        assert eval(arithmetic or "0") == int(total.replace(",", "") or 0) == row.parameters


def test_the_default_network_has_108618_parameters() -> None:
    table = layer_table(ModelConfig())
    assert [row.parameters for row in table if row.parameters] == [160, 4640, 102_528, 1290]
    assert table[3].arithmetic == "(3*3*16+1)*32 = 4,640"


def test_initial_weights_need_no_tensorflow() -> None:
    done = run(
        "import sys, mnistexp.training.fitting\nfrom mnistexp.config.models import ModelConfig\n"
        "from mnistexp.training.model import *\n"
        "initial_weights(ModelConfig())\nassert 'tensorflow' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def test_initial_weights_are_glorot_uniform() -> None:
    kernel, bias, *_, dense, _, _, _ = initial_weights(ModelConfig(), 3)
    assert kernel.dtype == bias.dtype == np.float32
    assert not bias.any()
    limit = (6 / (800 + 128)) ** 0.5
    assert 0.999 * limit < np.abs(dense).max() <= limit
    assert dense.std() == pytest.approx(limit / 3**0.5, rel=0.01)
    assert abs(dense.mean()) < 5 * limit / 3**0.5 / dense.size**0.5


def test_initial_weights_depend_on_every_part_of_the_seed() -> None:
    seeds = [Seed(2), Seed(3), Seed(2, fold=1), Seed(2, repeat=1)]
    weights = [initial_weights(ModelConfig(), seed)[2].tobytes() for seed in seeds]
    assert len(set(weights)) == 4
    assert initial_weights(ModelConfig(), 2)[2].tobytes() == weights[0]


def test_a_model_starts_from_the_initial_weights() -> None:
    model = build_model(ModelConfig(), Seed(5, 1, 2))
    for built, drawn in zip(model.get_weights(), initial_weights(ModelConfig(), Seed(5, 1, 2)), strict=True):
        np.testing.assert_array_equal(built, drawn)


def test_an_epoch_visits_every_digit_once_in_its_own_order() -> None:
    orders = [Seed(2).order(0, 50), Seed(2).order(1, 50), Seed(2, fold=1).order(0, 50), Seed(2, repeat=1).order(0, 50)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 4


def test_a_saved_model_is_made_of_keras_parts_only(tmp_path: Path) -> None:
    model = build_model(ModelConfig(dropout=0.2), 7)
    model.save(tmp_path / "model.keras")
    with ZipFile(tmp_path / "model.keras") as archive:
        modules = re.findall(r'"(?:module|package)": "(.*?)"', archive.read("config.json").decode())
    assert len(modules) > 10
    assert all(module.split(".")[0] in ("keras", "builtins") for module in modules)
    keras = import_keras()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def contents(path: Path) -> list[bytes]:
    with ZipFile(path) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        return [archive.read(name) for name in archive.namelist()[1:]]


def test_a_saved_model_does_not_depend_on_models_made_before_it(tmp_path: Path) -> None:
    config, found = ExperimentConfig(), []
    for _ in range(2):
        keras_model(config, initial_weights(config.model)).save(tmp_path / "model.keras")
        found.append(contents(tmp_path / "model.keras"))
    assert found[0] == found[1]


def test_later_models_are_saved_without_keras_as_keras_would(
    tmp_path: Path, kept: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [ExperimentConfig(model=ModelConfig(dropout=rate), optimizer=Adam()) for rate in (0.0, 0.3)]
    weights = [initial_weights(configs[0].model, seed) for seed in (1, 2)]
    for config in configs:
        save_model(config, weights[0], tmp_path / "first.keras")
    assert len(kept) == 2
    for config in configs:
        keras_model(config, weights[1]).save(tmp_path / "keras.keras")
        with monkeypatch.context() as without_keras:
            without_keras.setattr(saved_model, "keras_model", None)
            save_model(config, weights[1], tmp_path / "ours.keras")
        assert contents(tmp_path / "ours.keras") == contents(tmp_path / "keras.keras")
    keras = import_keras()
    for ours, theirs in zip(weights[1], keras.models.load_model(tmp_path / "ours.keras").get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_keras_optimizer_has_our_numbers() -> None:
    adam = build_optimizer(Adam(learning_rate=0.01, beta_1=0.5)).get_config()
    assert (adam["learning_rate"], adam["beta_1"], adam["beta_2"]) == (pytest.approx(0.01), 0.5, 0.999)
    nesterov = build_optimizer(Nesterov(learning_rate=0.1, decay=0.5))
    assert nesterov.get_config()["nesterov"]
    assert float(nesterov.learning_rate) == pytest.approx(0.1)
    nesterov.iterations.assign(4)
    assert float(nesterov.learning_rate) == pytest.approx(0.1 / 3)


def test_tensorflow_starts_silently_and_with_one_thread() -> None:
    done = run(
        "from mnistexp.training.runtime import start_tensorflow\nthreading = start_tensorflow().config.threading\n"
        "print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())"
    )
    assert (done.stdout, done.stderr) == ("1 1\n", "")


def test_tensorflow_running_with_more_threads_is_refused() -> None:
    done = run(
        "from mnistexp.training.runtime import import_tensorflow, start_tensorflow\ntf = import_tensorflow()\n"
        "tf.config.threading.set_intra_op_parallelism_threads(2)\ntf.constant(0)\n"
        "from mnistexp.errors import MnistexpError\n"
        "try:\n    start_tensorflow()\nexcept MnistexpError as error:\n    print(error)"
    )
    assert "already running in this process with more than one thread" in done.stdout, done.stderr
