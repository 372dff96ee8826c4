"""README's commands, in README's order and in full size, and every number that their runs tell: ten minutes."""

import re
from pathlib import Path

import pytest
from programs import call

from contents.reader import show

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_what_readmes_commands_leave_is_right_and_best_is_the_best_of_all(tmp_path: Path) -> None:
    block = re.search(r"```sh\n(mnistexp train --epochs 150\n.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block
    for line in block[1].splitlines():
        words = line.replace("configs/", f"{ROOT}/configs/").split()[1:]
        done = call(*words, "--runs-dir", tmp_path / "runs", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    found = [fault for run in sorted((tmp_path / "runs").glob("2*Z-*")) for fault in show(run)]
    assert found == []
