"""Whether what lies in a folder of runs is sound: every published run whole, or plainly marked."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from mnistexp.config import yaml_source
from mnistexp.runs import files, stored_runs
from mnistexp.runs.history_csv import history_from_csv
from mnistexp.runs.staging import STAGING, stale_staging
from mnistexp.runs.status import read_record

ALWAYS = {"config.yaml", "environment.json", "status.json"}
WHEN_DONE = {
    "train": {"metrics.json", "history.csv", "model.keras", "predictions.npz", "loss_curves.png", "timings.csv"},
    "best": {"metrics.json", "history.csv", "model.keras", "choice.json", "final.yaml"},
    "sweep-optimizer": {"metrics.json", "trials.csv", "predictions.npz", "sweep.json"},
    "reproduce": {"metrics.json", "table.csv"},
    "summary": {"metrics.json", "network.png"},
    "show-examples": {"metrics.json", "examples.png"},
}
HIDDEN = {".cache", ".trash"}


def check(runs_dir: Path) -> dict[str, str]:
    """The status of each run by its id; none where there is no folder yet.

    Raises AssertionError, or what reading raises, where anything is not sound.
    """
    found: dict[str, str] = {}
    if not runs_dir.exists():
        return found
    for path in sorted(runs_dir.iterdir()):
        if path.name.startswith("."):
            assert path.name in HIDDEN or STAGING.fullmatch(path.name), path
            continue
        if not path.is_symlink():
            found[path.name] = check_run(path)
    for path in (runs_dir / ".cache").rglob("*.fit"):
        if not path.name.startswith("."):
            checksum, _, content = path.read_bytes().partition(b"\n")
            assert hashlib.sha256(content).hexdigest().encode() == checksum, path
    return found


def check_run(folder: Path) -> str:
    """The status of one run; each of its files is read."""
    info = stored_runs.load(folder)
    assert info.status in ("done", "interrupted", "failed", "running"), info
    names = set(stored_runs.load(folder).files())
    assert names >= ALWAYS, (folder, names)
    for name in names:
        check_file(folder / name)
    if info.status == "done":
        assert names >= WHEN_DONE.get(info.command, set()), (folder, names)
        assert "checkpoint.npz" not in names
    return info.status


def check_file(path: Path) -> None:
    """Raises where a file is not whole."""
    content = path.read_bytes()
    match path.suffix:
        case ".json":
            files.read_json(path)
        case ".yaml":
            assert yaml_source.parse(content.decode(), str(path)).values
        case ".csv" if path.name == "history.csv":
            history_from_csv(content.decode(), str(path))
        case ".csv":
            assert content.endswith(b"\n"), path
        case ".png":
            with Image.open(io.BytesIO(content)) as image:
                image.load()
        case ".svg":
            ElementTree.fromstring(content)
        case ".npz":
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                assert all(arrays[name].size >= 0 for name in arrays), path
        case ".keras":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                assert archive.testzip() is None, path
                json.loads(archive.read("config.json"))
        case ".html":
            assert content.rstrip().endswith(b"</html>"), path


def check_cleared(runs_dir: Path) -> None:
    """Raises where a dead process left a staging folder that a later command should have cleared away."""
    assert stale_staging(runs_dir) == []


def results(folder: Path) -> dict[str, bytes]:
    """What has to be the same bytes for the same work: curves, weights, tables, predictions."""
    found = {}
    for name in stored_runs.load(folder).files():
        last = name.rpartition("/")[2]
        if last in ("history.csv", "trials.csv", "predictions.npz"):
            found[name] = (folder / name).read_bytes()
        elif last == "model.keras":
            with zipfile.ZipFile(folder / name) as archive:
                found[name] = archive.read("model.weights.h5")
    return found


def digest(runs_dir: Path) -> dict[str, str]:
    """SHA-256 of every file of every published run."""
    return {
        str(path.relative_to(runs_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in runs_dir.iterdir()
        if not folder.name.startswith(".") and not folder.is_symlink()
        for path in folder.rglob("*")
        if path.is_file()
    }


def done_of(runs_dir: Path, command: str) -> list[Path]:
    """The folders of the finished runs of a command, oldest first."""
    found = [info for info in stored_runs.list_runs(runs_dir) if info.command == command]
    return [info.path for info in found if read_record(info.path).status == "done"]
