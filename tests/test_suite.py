"""The suite itself: what it says of tests that it left out."""

import os
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
