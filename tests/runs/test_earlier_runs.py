"""What an earlier version left behind is read, resumed and reused; `tests/data/make_earlier_runs.py` made it."""

import csv
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from programs import call

from mnistexp import api
from mnistexp.runs.environment import environment

DATA = Path(__file__).parents[1] / "data"
sys.path.append(str(DATA))
from make_earlier_runs import NOTE, SWEEP, TAG, TRAIN  # noqa: E402


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    with tarfile.open(DATA / "earlier-runs.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "runs"


def run_of(runs: Path, command: str, status: str = "done") -> Path:
    """The oldest run of a command."""
    stati = {path: json.loads((path / "status.json").read_text()) for path in sorted(runs.glob("2*"))}
    return next(path for path, read in stati.items() if (read["command"], read["status"]) == (command, status))


def made_here(run: Path, *keys: str) -> bool:
    """Whether a run was made with this processor, these libraries and variables, which decide the bits of results."""
    was, now = json.loads((run / "environment.json").read_text()), environment()
    # What is recorded no more, as only tests need it, decides no bits.
    was["packages"] = {name: version for name, version in was["packages"].items() if name in now["packages"]}
    return all(was[key] == now[key] for key in ("cpu", "instructions", "python", "packages", "variables", *keys))


def same(old: Path, new: Path, names: tuple[str, ...]) -> None:
    """The same bytes where the machine is the same, else the same numbers to within what processors differ by."""
    for name in names:
        if made_here(old):
            assert (new / name).read_bytes() == (old / name).read_bytes(), name
            continue
        tables = [list(csv.reader((folder / name).read_text().splitlines())) for folder in (old, new)]
        assert tables[0][0] == tables[1][0]
        if name == "history.csv":
            numbers = [np.array([[float(cell or 0) for cell in row] for row in table[1:]]) for table in tables]
            np.testing.assert_allclose(numbers[0], numbers[1], atol=0.05)


def test_earlier_runs_are_listed_shown_and_reported(earlier: Path) -> None:
    listed = call("runs", "list", "--runs-dir", earlier, cwd=earlier)
    assert listed.returncode == 0
    runs = sorted(earlier.glob("2*"))
    assert len(runs) > 5
    for run in (*runs, run_of(earlier / "reproduce", "reproduce")):
        assert (run.name in listed.stdout) is (run.parent == earlier)
        shown = call("runs", "show", run, "--runs-dir", run.parent, cwd=earlier)
        reported = call(
            "report", run, "--format", "md", "-o", earlier / "page.md", "--runs-dir", run.parent, cwd=earlier
        )
        assert (shown.returncode, reported.returncode) == (0, 0), shown.stderr + reported.stderr
        assert run.name in shown.stdout


def test_an_earlier_tag_note_and_archive_are_read(earlier: Path, tmp_path: Path) -> None:
    first = run_of(earlier, "train")
    shown = call("runs", "show", first.name, "--runs-dir", earlier, cwd=tmp_path).stdout
    assert TAG in shown
    assert NOTE in shown
    taken = call("runs", "import", tmp_path / "exported.zip", "--runs-dir", tmp_path / "others", cwd=tmp_path)
    assert taken.returncode == 0, taken.stderr
    for name in ("history.csv", "metrics.json", "model.keras"):
        assert (tmp_path / "others" / first.name / name).read_bytes() == (first / name).read_bytes()


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_training_of_an_earlier_version_is_resumed(earlier: Path) -> None:
    run = run_of(earlier, "train", "interrupted")
    assert not (run / "metrics.json").exists()
    done = call("train", "--resume", run.name, "--runs-dir", earlier, cwd=earlier)
    assert done.returncode == 0, done.stderr
    assert len((run / "history.csv").read_text().splitlines()) == 6


@pytest.mark.usefixtures("undrawn")
def test_the_same_commands_give_the_same_numbers_and_reuse_what_the_earlier_cache_holds(earlier: Path) -> None:
    old = {command: run_of(earlier, command) for command in ("train", "sweep")}
    same(old["train"], api.train("train", TRAIN, runs_dir=earlier).run_dir, ("history.csv",))
    reused = api.sweep("sweep-optimizer", SWEEP, runs_dir=earlier)
    if made_here(old["sweep"], "training_code"):  # other code, processors and variables need new fits
        assert (reused.metrics["fits_run"], reused.metrics["fits_cached"]) == (0, 4)
    same(old["sweep"], reused.run_dir, ("trials.csv",))
    anew = api.sweep("sweep-optimizer", {**SWEEP, "sweep.cache": False}, runs_dir=earlier / "anew")
    assert anew.metrics["fits_cached"] == 0
    same(old["sweep"], anew.run_dir, ("trials.csv",))
