"""`runs check`: the documented cases, the forms of its answer, and the examples for CI servers, run as shell."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from docs_examples import ROOT
from programs import forks
from typer.testing import CliRunner, Result

from mnistexp import statistics
from mnistexp.cli.app import app
from mnistexp.errors import MnistexpError
from mnistexp.runs import references
from mnistexp.runs.annotations import annotate
from mnistexp.runs.layout import PREDICTIONS
from mnistexp.runs.predictions import Predictions

PAGE = ROOT / "docs" / "runs.md"
CASES = re.findall(r"^\| `runs check ([^`]+)` \| ([0-9]) \|", PAGE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def runs(finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs that the documented cases speak of, by tag: 200 test digits, of which so many are misread."""
    folder = tmp_path_factory.mktemp("checked")
    misread = {"released": range(14), "same": range(14), "slightly-worse": range(17), "worse": range(4, 34)}
    for number, (tag, wrong) in enumerate(misread.items()):
        run = shutil.copytree(finished["train"], folder / f"20261101T00000{number}Z-{tag}")
        labels = np.arange(200) % 10
        probabilities = np.eye(10, dtype=np.float32)[labels]
        probabilities[list(wrong)] = np.roll(probabilities[list(wrong)], 1, axis=1)
        kept = Predictions(probabilities, labels, np.arange(200))
        (run / PREDICTIONS).write_bytes(kept.archive())
        metrics = json.loads((run / "metrics.json").read_text())
        metrics |= {"test_accuracy": float(kept.correct.mean()), "test_digits": 200, "diverged_at": None}
        (run / "metrics.json").write_text(json.dumps(metrics))
        data = json.loads((run / "data.json").read_text())
        (run / "data.json").write_text(json.dumps(data | {"test": list(range(200))}))
        annotate(run, add=[tag])
    other = shutil.copytree(finished["train"], folder / "20261101T000009Z-other")
    annotate(other, add=["other-digits"])
    sweep = shutil.copytree(finished["sweep"], folder / "20261101T000008Z-sweep")
    annotate(sweep, add=["sweep"])
    return folder


def invoke(runs: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["runs", "check", *words, "--runs-dir", str(runs)])


def code(result: Result) -> int:
    return result.exception.exit_code if isinstance(result.exception, MnistexpError) else result.exit_code


def test_twelve_cases_are_documented() -> None:
    assert len(CASES) == 12
    assert {expected for _, expected in CASES} == {"0", "2", "6"}


@pytest.mark.parametrize(("words", "expected"), CASES, ids=[words for words, _ in CASES])
def test_a_documented_case_ends_with_its_exit_code(runs: Path, words: str, expected: str) -> None:
    found = invoke(runs, *shlex.split(words))
    assert code(found) == int(expected), found.output


def test_each_requirement_has_a_line(runs: Path) -> None:
    words = ["worse", "--require", "test_accuracy>=0.9", "--require", "exit_code=0", "--baseline", "released"]
    lines = invoke(runs, *words).stdout.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["NOT MET", "met", "NOT MET"]
    document = json.loads(invoke(runs, *words, "--json").stdout)
    assert (document["met"], [each["met"] for each in document["requirements"]]) == (False, [False, True, False])


@pytest.mark.parametrize("tag", ["same", "slightly-worse", "worse"])
def test_the_drop_that_it_could_have_noticed_is_mcnemars(runs: Path, tag: str) -> None:
    def correct(name: str) -> np.ndarray:  # type: ignore[type-arg]
        with np.load(references.one(runs, name).path / PREDICTIONS) as arrays:
            return np.asarray(arrays["probabilities"].argmax(1) == arrays["labels"])

    document = json.loads(invoke(runs, tag, "--baseline", "released", "--json").stdout)
    before, now = correct("released"), correct(tag)
    gained = int((now & ~before).sum())
    lost = round(200 * document["smallest_drop"]) + gained
    for count, told in ((lost, True), (lost - 1, False)):
        pair = np.ones((2, 200), bool)
        pair[0, :gained], pair[1, gained : gained + count] = False, False
        assert (statistics.mcnemar(*pair).p_value <= 0.05) == told
    drop = before.mean() - now.mean()
    assert document["met"] == (drop < document["smallest_drop"])


def test_a_requirement_may_ask_for_null(runs: Path) -> None:
    assert code(invoke(runs, "released", "--require", "diverged_at=null")) == 0
    assert code(invoke(runs, "released", "--require", "diverged_at<3")) == 6


def test_reports_for_servers_and_pages_are_well_formed(runs: Path) -> None:
    words = ["worse", "--require", "test_accuracy>=0.9", "--require", "name=null or command=train"]
    suite = ElementTree.fromstring(invoke(runs, *words, "--format", "junit").stdout)
    assert (suite.tag, suite.attrib["tests"], suite.attrib["failures"]) == ("testsuite", "2", "1")
    assert [case.attrib["name"] for case in suite] == [words[2], words[4]]
    assert [case.find("failure") is not None for case in suite] == [True, False]
    table = invoke(runs, *words, "--format", "md").stdout.splitlines()
    assert [line.split(" | ")[1] for line in table if line.startswith("| ")] == ["met", "**no**", "yes"]
    assert r"name=\*x\*" in invoke(runs, "worse", "--require", "name=*x*", "--format", "md").stdout


def shell(script: str, runs: Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(forks()), str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "MNISTEXP_RUNS_DIR": str(runs), **variables}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env=os.environ | own, capture_output=True, text=True
    )


@pytest.mark.parametrize(("run", "expected"), [("same", 0), ("worse", 2)])
def test_make_checks_a_run(runs: Path, run: str, expected: int) -> None:
    command = f"make --old-file setup check-run BIN={forks()} RUN={run} REQUIRE='test_accuracy>=0.9' BASELINE=released"
    done = shell(command, runs, ROOT)
    assert done.returncode == expected, done.stderr
    assert ("Error 6" in done.stderr) == bool(expected)


def scripts(page: str, name: str) -> list[str]:
    """The shell commands of a documented CI file, in order, without those that install."""
    [text] = re.findall(rf"```yaml\n# {re.escape(name)}\n(.*?)```", page, re.DOTALL)
    jobs = yaml.safe_load(text)
    if "jobs" in jobs:
        steps = [step["run"] for job in jobs["jobs"].values() for step in job["steps"] if "run" in step]
    else:
        steps = [line for job in jobs.values() if "script" in job for line in job["script"]]
    return [step for step in steps if not step.startswith("pip install")]


@pytest.mark.parametrize("name", [".github/workflows/accuracy.yml", ".gitlab-ci.yml"])
@pytest.mark.parametrize(("accuracy", "expected"), [("0.1", 0), ("0.999", 6)])
def test_the_examples_for_ci_servers_run(
    finished: dict[str, Path], tmp_path: Path, name: str, accuracy: str, expected: int
) -> None:
    folder = shutil.copytree(finished["train"], tmp_path / finished["train"].name)
    annotate(folder, add=["candidate"])
    lines = scripts(PAGE.read_text(), name)
    assert any(line.startswith("mnistexp train") for line in lines)
    script = "\n".join(line for line in lines if not line.startswith("mnistexp train"))
    script = script.replace("test_accuracy>=0.85", f"test_accuracy>={accuracy}")
    done = shell(script, tmp_path, tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    assert done.returncode == expected, done.stderr
    if name.startswith(".github"):
        assert "| requirement | met | found |" in (tmp_path / "summary.md").read_text()
    else:
        assert ElementTree.parse(tmp_path / "check.xml").getroot().tag == "testsuite"
