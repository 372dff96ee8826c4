"""Standard error holds our own lines only; what libraries write there is in the run's log, and shown after a crash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from programs import program, untouched
from small import NETWORK, options

from mnistexp.data import packaged

NOISE = """
import logging, os, subprocess, sys, threading, warnings
from mnistexp.runs import standard_error
standard_error.keep_all()
standard_error.watch_for_a_crash()
os.write(2, b"by compiled code\\n")
warnings.warn("by a library")
logging.warning("by a logger")
subprocess.run([sys.executable, "-c", "import os; os.write(2, b'by a process')"])
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
print("ours", file=standard_error.own())
"""
SMALL = [*options({**NETWORK, "data.digits": 100}), "--epochs", "1"]
SWEEP = ["--set", "sweep.folds=2", "--set", "sweep.grid={model.dropout: [0, 0.5]}"]
BEST = ["--set", "sweep.folds=2", "--set", "sweep.grid=[{optimizer.name: [adam]}, {model.dropout: [0, 0.5]}]"]


def after_noise(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", NOISE + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("end", ["", "sys.exit(1)", "raise SystemExit('a library says so')", "1 / 0"])
def test_only_our_lines_are_seen_whatever_writes_and_however_it_ends(end: str) -> None:
    assert after_noise(end).stderr == "ours\n"


@pytest.mark.parametrize("end", ["os.abort()", "import signal; os.kill(os.getpid(), signal.SIGSEGV)"])
def test_after_a_crash_the_captured_lines_are_shown(end: str) -> None:
    said = after_noise(end).stderr
    assert said.startswith("ours\n")
    for line in ("by compiled code", "by a library", "by a logger", "by a process", "ZeroDivisionError"):
        assert line in said


def test_of_many_lines_the_last_are_shown() -> None:
    said = after_noise("os.write(2, b'x' * 10**6 + b'the end'); os.abort()").stderr
    assert said.endswith("x" * 1000 + "the end")
    assert len(said) < 25_000


def test_captured_lines_are_shown_once() -> None:
    done = after_noise("print(standard_error.kept_back(), end='|'); print(standard_error.kept_back(), end='|')")
    assert "by a logger" in done.stdout
    assert done.stdout.endswith("||")


def test_standard_error_given_back_shows_everything_again() -> None:
    said = after_noise("standard_error.give_back(); os.write(2, b'seen\\n'); print('too', file=sys.stderr)").stderr
    assert said == "ours\nseen\ntoo\n"


def test_standard_error_may_be_closed() -> None:
    done = after_noise("print('done')", preexec_fn=lambda: os.close(2))
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_programs_that_use_the_package_see_everything() -> None:
    code = "import os, mnistexp\nfrom mnistexp.training import runtime\nos.write(2, b'mine\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "mine\n"


def run_by_a_person(arguments: list[object], folder: Path, **variables: str) -> str:
    """What a command prints on standard error that starts with no library loaded and no variable of TensorFlow set."""
    done = subprocess.run(program(*arguments), cwd=folder, env=untouched() | variables, capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr
    return done.stderr


@pytest.mark.slow
def test_no_command_prints_what_another_library_says(finished: dict[str, Path], tmp_path: Path) -> None:
    runs = ["--runs-dir", shutil.copytree(finished["train"].parent, tmp_path / "runs")]
    Image.fromarray(packaged.embedded("unseen_4000")[0][0]).save(tmp_path / "digit.png")
    commands: list[list[object]] = [
        ["train", *SMALL],
        ["train", "--resume", "latest", "--epochs", "2"],
        ["sweep-optimizer", *SMALL, "--folds", "2", "--opt", "adam", "--grid", "learning_rate=0.001,0.01"],
        ["sweep-dropout", *SMALL, *SWEEP],
        ["best", *SMALL, *BEST],
        ["verify", finished["train"]],
        ["verify", finished["sweep"]],
        ["evaluate", finished["train"]],
        ["predict", finished["train"], "digit.png"],
        ["show-examples"],
        ["summary"],
        ["report", finished["best"]],
    ]
    for command in commands:
        assert run_by_a_person([*command, "-q"], tmp_path) == "", command
    for command in (["doctor"], ["runs", "list", *runs], ["runs", "show", finished["best"]], ["cache", "info"]):
        assert run_by_a_person(command, tmp_path) == "", command
