"""README's commands, in README's order and in full size, and every number that their runs tell: ten minutes."""

import re
from pathlib import Path

import pytest
from programs import call

from contents.printed import commands_faults
from contents.reader import KINDS, show, show_together
from contents.records import Record

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_commands_of_the_readme_leave_correct_runs_and_best_is_the_best_of_all(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    block = re.search(r"```sh\n(mnistexp train --epochs 150\n.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block
    for line in block[1].splitlines():
        words = line.replace("configs/", f"{ROOT}/configs/").split()[1:]
        done = call(*words, "--runs-dir", runs, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        if words[0] == "best":
            [own] = runs.glob("*-best-*")
            chosen = Record(own).metrics["best_score"]
            tried = [Record(run).trials.mean_test_score.max() for run in runs.glob("*-sweep-*")]
            assert chosen == max(tried) or Record(own).metrics["choice"]["chosen"]["run"] is None, (chosen, tried)
    made = [run for run in sorted(runs.glob("2*Z-*")) if Record(run).command in KINDS]
    assert [fault for run in made for fault in show(run)] == []
    assert commands_faults([Record(run) for run in made]) == []
    assert show_together([run for run in made if Record(run).command in ("train", "best")]) == []
