"""The command line as its users meet it."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from programs import call, forked, program
from small import NETWORK, options, undrawn

from mnistexp.data import packaged

TINY = options({**NETWORK, "data.digits": 200})


def test_common_settings_have_flags_and_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    flags = ["--opt", "Adam", "--lr", "3e-3", "--dropout", ".25", "--batch-size", "1_6", "--epochs", "1e3"]
    for command in ("train", "config show"):
        more = ["--dry-run"] if command == "train" else []
        found = json.loads(call(*command.split(), *flags, *more, "--json", cwd=tmp_path).stdout)["config"]
        assert (found["optimizer"]["name"], found["optimizer"]["learning_rate"]) == ("adam", 0.003)
        assert (found["model"]["dropout"], found["training"]["batch_size"]) == (0.25, 16)
        assert found["training"]["epochs"] == 1000


def test_several_files_are_merged_in_order_and_each_says_what_it_decided(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 5\ntraining: {epochs: 5, batch_size: 8}\noptimizer: {name: adam}\n")
    (tmp_path / "b.yaml").write_text("training:\n  epochs: 7\noptimizer: {learning_rate: 0.5}\n")
    done = call("config", "show", "--config", "a.yaml", "-c", "b.yaml", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["config"]["training"]["epochs"] == 7
    assert found["config"]["training"]["batch_size"] == 8
    assert (found["config"]["optimizer"]["name"], found["config"]["optimizer"]["learning_rate"]) == ("adam", 0.5)
    keys = ("seed", "training.epochs", "training.batch_size", "optimizer.learning_rate")
    assert [found["origins"][key] for key in keys] == ["a.yaml:1", "b.yaml:2", "a.yaml:2", "b.yaml:3"]
    (tmp_path / "c.yaml").write_text("epochs: 3\n")
    (tmp_path / "d.yaml").write_text("training: 3\n")
    said = call("train", "-c", "c.yaml", "-c", "d.yaml", "--epochs", "1", cwd=tmp_path).stderr
    assert "c.yaml:1: epochs: unknown key" in said
    assert "d.yaml:1: training: is 3" in said


@pytest.mark.parametrize(
    "line",
    [
        "train --opt SGD --lr 1e-3 --epochs 1e2 --batch-size 1_6",
        "train --set dropout=0.5 --set epochs=1_000",
        "sweep-optimizer --opt Adam,NADAM --max-time 1h30m",
        "sweep-dropout --grid dropout=0,0.5",
        "sweep-optimizer --grid learning_rate=[0.1,0.2]",
    ],
)
def test_common_spellings_are_accepted(line: str, tmp_path: Path) -> None:
    done = call(*line.split(), "--dry-run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_settings_are_printed_in_short_lines(tmp_path: Path) -> None:
    lines = call("config", "show", "best", cwd=tmp_path).stdout.splitlines()
    assert max(map(len, lines)) < 120
    assert any(re.match(r"sweep\.grid\.0\.optimizer\.learning_rate +\[0\.001, ", line) for line in lines)


def test_names_unlike_any_valid_one_get_no_suggestion(tmp_path: Path) -> None:
    for arguments in (["frobnicate"], ["train", "--frobnicate"], ["train", "--set", "frobnicate=1"]):
        assert "did you mean" not in call(*arguments, cwd=tmp_path).stderr.lower()


def test_switches_may_be_repeated(tmp_path: Path) -> None:
    assert call("train", "--dry-run", "--json", "--dry-run", "--json", cwd=tmp_path).returncode == 0


def test_the_program_exits_with_the_code_and_output_of_main(tmp_path: Path) -> None:
    for arguments in (["--version"], ["trian"], ["train", "--epochs", "0", "--json"]):
        there = subprocess.run(program(*arguments), cwd=tmp_path, capture_output=True, text=True)
        here = call(*arguments, cwd=tmp_path)
        assert (there.returncode, there.stdout) == (here.returncode, here.stdout)
        assert there.stderr.replace("python -m mnistexp", "mnistexp") == here.stderr
    assert not list(tmp_path.iterdir())


def test_errors_are_json_where_json_was_asked_for(tmp_path: Path) -> None:
    done = call("train", "--epochs", "0", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert done.returncode == document["exit_code"] == 2
    assert document["problems"][0]["key"] == "training.epochs"


def test_every_command_has_help_and_the_program_a_version(tmp_path: Path) -> None:
    assert call("--version", cwd=tmp_path).stdout.startswith("mnistexp 0.")
    for command in ([], ["train"], ["show-examples"], ["summary"], ["config"], ["config", "show"]):
        done = call(*command, "--help", cwd=tmp_path)
        assert done.returncode == 0
        assert "Usage: " in done.stdout


def test_show_examples_agrees_with_the_pictures_of_the_split(tmp_path: Path) -> None:
    done = call("show-examples", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    examples = document["metrics"]["examples"]
    assert [(one["index"], one["label"]) for one in examples] == [(37, 4), (235, 6), (72, 8)]
    assert all(one["one_hot"].index(1) == one["label"] and sum(one["one_hot"]) == 1 for one in examples)
    assert (tmp_path / document["run_dir"] / "examples.png").read_bytes().startswith(b"\x89PNG")


def test_show_examples_says_how_own_digits_were_converted(tmp_path: Path) -> None:
    rows = np.arange(200)
    images = 255 - packaged.embedded("first_1000")[0][rows]
    np.savez(tmp_path / "dark.npz", x_train=images, y_train=packaged.embedded("first_1000")[1][rows])
    done = call("show-examples", "--data", "dark.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Dark ink on a bright background inverted." in done.stdout
    assert "Reshape: the images, uint8 (200, 28, 28)" in done.stdout


def test_drawn_examples_depend_on_the_seed_alone(tmp_path: Path) -> None:
    chosen = [
        [one["index"] for one in json.loads(done.stdout)["metrics"]["examples"]]
        for seed in ("1", "1", "2")
        for done in [call("show-examples", "--count", "5", "--seed", seed, "--json", cwd=tmp_path)]
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) == 5


def test_summary_counts_every_parameter(tmp_path: Path) -> None:
    document = json.loads(call("summary", "--json", cwd=tmp_path).stdout)
    found = document["metrics"]
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"]) == 108_618
    assert found["updates_per_epoch"] == 25
    for kind in ("png", "svg"):
        assert (tmp_path / document["run_dir"] / f"network.{kind}").stat().st_size > 1000


def test_train_stores_all_documented_files_and_the_same_bytes_again(tmp_path: Path) -> None:
    """Once in this process, once in another."""
    command = ["train", "--epochs", "3", *TINY, "--json", "--runs-dir", "my runs"]
    here = call(*command, cwd=tmp_path)
    there = subprocess.run(forked(*command), cwd=tmp_path, capture_output=True, text=True)
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    runs = [json.loads(done.stdout) for done in (here, there)]
    folders = [tmp_path / run["run_dir"] for run in runs]
    assert folders[0] != folders[1]
    for name in (
        "config.yaml", "metrics.json", "history.csv", "timings.csv", "loss_curves.png", "loss_curves.svg",
        "model.keras", "predictions.npz", "environment.json", "data.json", "run.log", "status.json",
    ):  # fmt: skip
        assert (folders[0] / name).exists(), name
    histories = [(folder / "history.csv").read_bytes() for folder in folders]
    assert histories[0] == histories[1]
    assert histories[0].startswith(b"epoch,loss,accuracy,val_loss,val_accuracy\n1,")
    stored = json.loads((folders[0] / "metrics.json").read_text())
    assert stored == {"schema_version": 1} | runs[0]["metrics"]
    for key in ("test_accuracy", "test_accuracy_interval", "min_val_loss", "min_val_loss_epoch", "final_val_loss"):
        assert stored[key] is not None
    assert (stored["epochs"], stored["seed"]) == (3, 2)


@pytest.mark.usefixtures("undrawn")
def test_a_stored_configuration_trains_the_same_bits_again(tmp_path: Path) -> None:
    first = json.loads(call("train", "--epochs", "2", "--seed", "7", *TINY, "--json", cwd=tmp_path).stdout)
    config = f"{first['run_dir']}/config.yaml"
    second = json.loads(call("train", "--config", config, "--json", cwd=tmp_path).stdout)
    histories = [(tmp_path / run["run_dir"] / "history.csv").read_bytes() for run in (first, second)]
    assert histories[0] == histories[1]


@pytest.mark.usefixtures("undrawn")
def test_repeats_differ_and_are_summed_up(tmp_path: Path) -> None:
    done = call("train", "--epochs", "2", "--repeats", "3", *TINY, "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    folder = tmp_path / document["run_dir"]
    histories = {(folder / place / "history.csv").read_bytes() for place in (".", "repeats/1", "repeats/2")}
    assert len(histories) == 3
    assert document["metrics"]["repeats"]["count"] == 3
    assert len(document["metrics"]["repeats"]["test_accuracies"]) == 3


@pytest.mark.usefixtures("undrawn")
def test_a_validation_part_keeps_the_test_digits_out_of_the_curves(tmp_path: Path) -> None:
    done = call("train", "--epochs", "2", "--validation-fraction", "0.25", *TINY, "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    parts = json.loads((tmp_path / document["run_dir"] / "data.json").read_text())
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [120, 40, 40]
    assert document["metrics"]["validated_on"] == "validation"
    assert not any("optimistic" in warning for warning in document["metrics"]["warnings"])


@pytest.mark.usefixtures("undrawn")
def test_a_divergence_is_reported_with_its_epoch_and_a_hint(tmp_path: Path) -> None:
    rate = ["--dropout=0.25", "--opt=adamw", *options({"optimizer.learning_rate": 1000, "optimizer.weight_decay": 0.9})]
    done = call("train", "--epochs", "3", *TINY, *rate, "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["metrics"]["diverged_at"] == 1
    assert "lower optimizer.learning_rate" in done.stderr
    assert (tmp_path / document["run_dir"] / "history.csv").exists()


def test_dry_run_shows_the_settings_and_writes_nothing(tmp_path: Path) -> None:
    done = call("train", "--epochs", "7", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert "training.epochs" in done.stdout
    assert "--epochs" in done.stdout
    assert list(tmp_path.iterdir()) == []


LONG = ["train", "--epochs", "60", *TINY, "--json"]


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `LONG`, trained without a stop."""
    folder = tmp_path_factory.mktemp("never-stopped")
    with undrawn():
        return folder / json.loads(call(*LONG, cwd=folder).stdout)["run_dir"]


STOPPED_AT_A_CHECKPOINT = """
import os, signal, sys
from mnistexp.runs import files

def write_bytes(path, content, write_bytes=files.write_bytes):
    write_bytes(path, content)
    if path.name == "checkpoint.npz":
        os.kill(os.getpid(), signal.{sign})

files.write_bytes = write_bytes
from mnistexp.cli.app import main
main()
"""


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "sign", [*(pytest.param(sign, marks=pytest.mark.slow) for sign in ("SIGINT", "SIGTERM")), "SIGKILL"]
)
def test_a_resumed_training_gives_the_same_bits(sign: str, never_stopped: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED_AT_A_CHECKPOINT.format(sign=sign), *LONG]
    stopped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert stopped.returncode == (-9 if sign == "SIGKILL" else 130), stopped.stderr
    assert sign == "SIGKILL" or "--resume" in stopped.stderr
    assert list(tmp_path.glob("runs/*/checkpoint.npz"))
    resumed = call("train", "--resume", "latest", "--json", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    folders = [tmp_path / json.loads(resumed.stdout)["run_dir"], never_stopped]
    assert (folders[0] / "history.csv").read_bytes() == (folders[1] / "history.csv").read_bytes()
    assert not list(folders[0].rglob("checkpoint.npz"))
    models = [zipfile.ZipFile(folder / "model.keras").read("model.weights.h5") for folder in folders]
    assert models[0] == models[1]


INTERRUPTED = {
    "in source text": "exec('import signal; signal.raise_signal(signal.SIGINT)')",
    "in a finalizer": """
class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
Last()
while True:
    time.sleep(0.01)""",
    "in a finalizer while threads start slowly": """
import threading
start = threading.Thread.start
def slow(thread):
    start(thread)
    time.sleep(0.2)
threading.Thread.start = slow
class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
Last()
while True:
    time.sleep(0.01)""",
}


@pytest.mark.parametrize("where", INTERRUPTED)
def test_an_interrupt_during_start_or_exit_ends_with_code_130(where: str) -> None:
    body = "\n".join(f"    {line}" for line in INTERRUPTED[where].splitlines())
    code = (
        f"import signal, sys, time\nfrom mnistexp.cli.app import app, main\n@app.command()\ndef stop():\n{body}\n"
        "sys.argv[1:] = ['stop']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "mnistexp: error: stopped\n")


@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_while_modules_load_ends_with_its_own_code(sign: str) -> None:
    code = (
        "import signal, sys\nfrom mnistexp import __main__\n"
        "class Finder:\n    def find_spec(self, name, *_):\n"
        f"        if name == 'typer':\n            signal.raise_signal(signal.{sign})\n"
        "sys.meta_path.insert(0, Finder())\nsys.argv[1:] = ['train', '--json']\n__main__.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "mnistexp: error: stopped\n")
    assert json.loads(done.stdout) == {"error": "stopped", "exit_code": 130, "problems": []}
