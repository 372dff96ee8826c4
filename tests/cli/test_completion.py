"""What the shells are offered after Tab: in this process, by each shell's protocol, and in a real bash."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistexp.cli import completion
from mnistexp.cli.app import app
from mnistexp.config.catalogue import dotted_keys, sweepable_keys
from mnistexp.config.optimizers import OPTIMIZERS
from mnistexp.config.settings import packaged_names
from mnistexp.report.reports import FORMATS
from mnistexp.runs.run_folder import Run
from mnistexp.runs.trash import discard

Tab = Callable[..., list[str]]


@pytest.fixture
def tab(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Tab:
    """The candidates for the last of the words, given as bash splits them; nothing may be said besides."""

    def candidates(*words: str) -> list[str]:
        monkeypatch.setenv("_MNISTEXP_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(("mnistexp", *(word and shlex.quote(word) for word in words))))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        monkeypatch.setattr(sys, "argv", ["mnistexp"])
        with pytest.raises(SystemExit) as stop:
            completion.complete(app)
        said, complained = capfd.readouterr()
        assert (stop.value.code, complained) == (0, "")
        return [line for line in said.splitlines() if line]

    return candidates


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_and_options(tab: Tab) -> None:
    assert tab("conf") == ["config"]
    assert tab("config", "sch") == ["schema"]
    assert tab("train", "--ep") == ["--epochs"]


def test_ids_of_runs(tab: Tab, tmp_path: Path) -> None:
    runs = tmp_path / "our runs"
    written = []
    for number in range(3):
        with Run.create(runs, "train", f"run {number}", "seed: 2\n") as run:
            run.add("a.txt", "a")
        written.append(run.path)
    written.pop().rename(runs / "the best")
    (runs / "not a run").mkdir()
    ids = [*sorted((path.name for path in written), reverse=True), "the best"]
    for command in (["report"], ["verify"], ["train", "--resume"], ["best", "--sweep"]):
        assert tab(command[0], "--runs-dir", str(runs), *command[1:], "") == ["latest", *ids], command
    assert tab("report", ids[0], "--runs-dir", str(runs), ids[1][:-4]) == [ids[1]]


def test_ids_of_runs_in_the_trash(tab: Tab, tmp_path: Path) -> None:
    with Run.create(tmp_path, "train", "gone", "seed: 2\n") as run:
        run.add("a.txt", "a")
    assert tab("runs", "restore", "--runs-dir", str(tmp_path), "") == []
    discard([run.path])
    assert tab("runs", "restore", "--runs-dir", str(tmp_path), "") == ["latest", run.path.name]


def test_ids_of_runs_are_completed_from_the_runs_folder_of_the_environment(
    tab: Tab, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tab("report", "") == []
    (here / "kept" / "20261124T053712Z-train-a-1a2b").mkdir(parents=True)
    (here / "kept" / "not a run").mkdir()
    (here / "kept" / ".cache").mkdir()
    monkeypatch.setenv("MNISTEXP_RUNS_DIR", "kept")
    assert tab("report", "") == ["latest", "20261124T053712Z-train-a-1a2b"]


def test_optimizers(tab: Tab) -> None:
    assert tab("train", "--opt", "") == list(OPTIMIZERS)
    assert tab("sweep-optimizer", "--opt", "adam", "--opt", "a") == ["adagrad", "adam", "adamw", "adadelta", "all"]
    assert tab("best", "--opt", "al") == ["all"]


def test_names_of_settings_with_the_default_beside_a_single_one(tab: Tab) -> None:
    keys = tab("train", "--set", "")
    assert {key.removesuffix("=") for key in keys} == {
        *dotted_keys(),
        "training.early_stopping",
        "sweep",
    }
    assert tab("train", "--set", "model.dro") == ["model.dropout=", "model.dropout=0.0"]
    assert tab("train", "-s", "data.inv") == [
        "data.invert=",
        "data.invert=auto",
        "data.invert=true",
        "data.invert=false",
    ]
    assert tab("train", "--set", "optimizer.rh") == ["optimizer.rho=", "optimizer.rho=0.9"]
    assert tab("train", "--set", "no.such.key") == []


def test_settings_to_sweep(tab: Tab) -> None:
    short = {key.rpartition(".")[2] for key in sweepable_keys()}
    assert {key.removesuffix("=") for key in tab("sweep-optimizer", "--grid", "")} == short
    assert tab("sweep-optimizer", "--grid", "beta_") == ["beta_1=", "beta_2="]


def test_packaged_configurations_and_sources_of_digits(tab: Tab) -> None:
    assert tab("train", "--config", "") == packaged_names()
    assert tab("train", "-c", "sweep") == ["sweep-dropout", "sweep-optimizer"]
    assert tab("train", "--config", "conf") == []  # the shell completes the names of files
    assert tab("config", "init", "other", "--from", "tr") == tab("config", "show", "tr") == ["train"]
    assert tab("train", "--data", "") == ["embedded", "unseen", "openml"]


def test_choices_are_those_of_the_program(tab: Tab) -> None:
    assert tab("sweep-dropout", "--executor", "") == ["serial", "processes", "dask"]
    assert tab("sweep-dropout", "--select", "") == ["best", "one-se", "cheapest"]
    assert tab("report", "latest", "--format", "") == list(FORMATS)


def test_completion_prints_nothing_where_there_is_no_choice(tab: Tab) -> None:
    assert tab("no-such-command", "--x") == []
    assert tab("train", "--epochs", "ten", "--no-such-option", "") == []


@pytest.mark.parametrize("trouble", [{"COMP_CWORD": "x"}, {"_MNISTEXP_COMPLETE": "nonsense"}])
def test_a_malformed_completion_request_prints_nothing(
    trouble: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    request = {"_MNISTEXP_COMPLETE": "complete_bash", "COMP_WORDS": "mnistexp", "COMP_CWORD": "1"} | trouble
    for name, value in request.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        completion.complete(app)
    assert stop.value.code == 1
    assert capfd.readouterr() == ("", "")


def ask(shell: str, line: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    request = {"_MNISTEXP_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line, **more}
    code = (
        "import sys; sys.argv = ['mnistexp']\nfrom mnistexp.cli.app import main\ntry:\n    main()\nfinally:\n"
        "    loaded = {'numpy', 'tensorflow', 'mnistexp.config.models'} & set(sys.modules)\n"
        "    assert not loaded, loaded"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, env=os.environ | request
    )


def test_zsh_by_its_protocol_without_loading_numpy_or_settings(tmp_path: Path) -> None:
    (tmp_path / "runs" / "20261124T053712Z-train-a-1a2b").mkdir(parents=True)
    done = ask("zsh", "mnistexp report 2026", tmp_path)
    assert (done.stdout, done.stderr) == ("_arguments '*: :((\"20261124T053712Z-train-a-1a2b\"))'\n", "")


def test_fish_by_its_protocol_without_loading_numpy_or_settings(tmp_path: Path) -> None:
    done = ask("fish", "mnistexp config init a --from study", tmp_path, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert (done.stdout, done.stderr) == ("study-curves\n", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_a_real_bash_completes(tmp_path: Path) -> None:
    """As installed by `--install-completion` into a home of its own; Tab is pressed within the name of a setting."""
    script = r"""
mnistexp --install-completion > /dev/null
[ "$(mnistexp --show-completion)" = "$(cat ~/.bash_completions/mnistexp.sh)" ] && source ~/.bashrc
complete -p mnistexp
press() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mnistexp_completion mnistexp; printf '%s\n' "${COMPREPLY[@]}"; }
press mnistexp train --set model.dro
"""
    changed = {"HOME": str(tmp_path), "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=tmp_path, capture_output=True, text=True, env=os.environ | changed
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "complete -o default -F _mnistexp_completion mnistexp",
        "model.dropout=",
        "model.dropout=0.0",
    ]
