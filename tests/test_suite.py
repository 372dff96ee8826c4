"""The suite itself: what it says of tests that it left out, and what it leaves when it is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = "from chromium import start\n\ndef test_page(tmp_path):\n    start(tmp_path)\n"


@pytest.mark.parametrize("required", ["", "1"])
def test_without_a_browser_the_suite_says_how_to_install_one(required: str, tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text(PAGE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:randomly", "test_page.py"],
        cwd=tmp_path,
        env=os.environ | {"PATH": "", "PYTHONPATH": str(Path(__file__).parent), "REQUIRE_BROWSER": required},
        capture_output=True,
        text=True,
    )
    how = "there is no browser: apt-get install chromium chromium-driver"
    assert done.returncode == (1 if required else 0), done.stdout
    said = f"Failed: {how}" if required else f"1 tests of pages in a browser were skipped: {how}"
    assert said in done.stdout


def test_a_killed_suite_leaves_nothing_outside_the_folder_that_pytest_clears(tmp_path: Path) -> None:
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    work.mkdir()
    temporary.mkdir()
    kill = "import os, signal\n\ndef test_killed():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    (work / "test_killed.py").write_text(kill)
    inherited = {name: value for name, value in os.environ.items() if name not in ("TF_XLA_FLAGS", "FORKS")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:randomly", "test_killed.py"],
        cwd=work,
        env=inherited | {"TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done
    [own] = temporary.iterdir()
    assert own.name.startswith("pytest-of-")
    assert {path.name.partition("-")[0] for path in own.glob("pytest-0/*-*")} == {"compiled", "cache", "forks"}
