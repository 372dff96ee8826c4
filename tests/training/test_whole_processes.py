"""Trainings and sweeps as a person starts them: the kernels that they keep, and what libraries write meanwhile."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from programs import call, forked, program, untouched
from small import NETWORK, options

SMALL = ["-q", *options({**NETWORK, "data.digits": 100}), "--epochs=2"]
SWEEP = options({
    "model.kernel_size": 5,  # with 3x3, each worker compiles for seconds
    "sweep.folds": 2, "sweep.grid": "{model.dropout: [0.3, 0.5]}", "sweep.cache": "false",
})  # fmt: skip


class Place(NamedTuple):
    """Where programs run, with a cache and temporary files of their own, and what the last of them printed."""

    folder: Path
    variables: dict[str, str]
    printed: str = ""

    def kernels(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "cache" / "kernels").glob("*/*.pb"))

    def histories(self) -> list[bytes]:
        return [path.read_bytes() for path in self.folder.glob("runs/*/history.csv")]

    def run(self, *words: str) -> "Place":
        """A command whose libraries say all that they ever say."""
        variables = self.variables | {"TF_CPP_MIN_LOG_LEVEL": "0"}
        done = subprocess.run(program(*words), cwd=self.folder, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return self._replace(printed=done.stderr)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """By a short name, as that of a socket in it may have 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="t") as name:
        folder = Path(name)
        (folder / "t").mkdir()
        yield Place(folder, untouched() | {"MNISTEXP_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder / "t")})


@pytest.fixture(scope="module")
def trained(place: Place) -> Place:
    """After two trainings at once and a third, started as a person does, that found their kernels."""
    command = forked("train", *SMALL)
    at_once = [
        subprocess.Popen(command, cwd=place.folder, env=place.variables, stdout=subprocess.DEVNULL) for _ in range(2)
    ]
    assert [running.wait() for running in at_once] == [0, 0]
    names = place.kernels()
    assert len(names) >= 3
    third = place.run("train", *SMALL)
    assert place.kernels() == names
    return third


@pytest.fixture(scope="module")
def swept(trained: Place) -> Place:
    """After a sweep by worker processes, which begin with no kernels."""
    shutil.rmtree(trained.folder / "cache")
    return trained.run("sweep-dropout", *SMALL, *SWEEP)


def test_concurrent_and_later_trainings_give_the_bits_of_one_without_kernels(trained: Place, tmp_path: Path) -> None:
    assert call("train", *SMALL, cwd=tmp_path).returncode == 0
    found = trained.histories()
    assert len(found) == 3
    assert found == Place(tmp_path, {}).histories() * 3


def test_workers_of_a_sweep_keep_their_kernels(swept: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNISTEXP_CACHE_DIR", swept.variables["MNISTEXP_CACHE_DIR"])
    count = len(swept.kernels())
    assert count >= 3
    assert f"{count} compiled kernels" in call("cache", "info", cwd=swept.folder).stdout
    assert f"{count} compiled kernels" in call("cache", "prune", cwd=swept.folder).stdout
    assert swept.kernels() == []


@pytest.mark.parametrize(("command", "after"), [("train", "trained"), ("sweep-dropout", "swept")])
def test_messages_of_tensorflow_go_to_the_log_of_the_run(
    command: str, after: str, request: pytest.FixtureRequest
) -> None:
    place: Place = request.getfixturevalue(after)
    assert place.printed == ""
    log = max(place.folder.glob(f"runs/*-{command}-*/run.log"), key=lambda path: path.stat().st_mtime_ns)
    assert "libraries wrote to standard error:\n    " in log.read_text()
    assert list((place.folder / "t").glob("mnistexp-kernels-*")) == []
