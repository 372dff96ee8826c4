"""The battery finds faults: each is planted in a copy of the package, and the check that should see it fails."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import mnistexp

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Planted:
    """A change of one file's text, and the test that must fail by it."""

    path: str
    old: str
    new: str
    test: str


FAULTS = {
    "arguments are run": Planted(
        "cli/app.py", 'exec("")', "exec(sys.argv[1])", "test_security.py::test_no_code_from_data"
    ),
    "any YAML tag is obeyed": Planted(
        "config/yaml_source.py", "class _Loader(yaml.SafeLoader)", "class _Loader(yaml.UnsafeLoader)",
        "test_input.py::test_yaml",
    ),
    "aliases are not counted": Planted(
        "config/yaml_source.py", "        _check_size(node, where)\n", "",
        "test_input.py::test_nothing_fills_the_memory[aliases]",
    ),
    "cached fits are unpickled": Planted(
        "runs/files.py", "= read_npy(archive.read(entry)).copy()\n",
        "= __import__('numpy').load(io.BytesIO(archive.read(entry)), allow_pickle=True)\n",
        "test_input.py::test_cached_fits",
    ),
    "models run their code": Planted(
        "training/saved_model.py",
        "    import h5py\n\n    with files.explained",
        "    import h5py\n    import keras\n\n    keras.models.load_model(path, safe_mode=False)\n"
        "    with files.explained",
        "test_input.py::test_a_model_with_code_is_refused_and_its_code_never_run",
    ),
    "a wrong curve is a traceback": Planted(
        "runs/history_csv.py", "except ValueError as error:", "except OverflowError as error:",
        "test_input.py::test_history_csv",
    ),
    "archives may write anywhere": Planted(
        "runs/archive_members.py", "    parts = name.split(\"/\")\n    if not all(", "    return None\n    if not all(",
        "test_security.py::test_nothing_leaves_the_folder_of_runs",
    ),
    "the files of runs may lie anywhere": Planted(
        "runs/run_folder.py", "if name == STATUS or not all(", "if name == STATUS and not all(",
        "test_security.py::test_nothing_leaves_the_folder_of_runs",
    ),
    "reports don't escape": Planted(
        "report/html.py", "autoescape=True", "autoescape=False", "test_security.py::test_markup_is_text_in_every_report"
    ),
    "escapes reach the terminal": Planted(
        "cli/printable.py", "return STEERING.sub(\"\\N{REPLACEMENT CHARACTER}\", text)", "return text",
        "test_security.py::test_no_escape_reaches_the_terminal[pipe]",
    ),
    "any host is answered": Planted(
        "live/server.py",
        "not in HOSTS:",
        "in ():",
        "test_security.py::test_the_server_answers_its_hosts_and_serves_its_folder_only",
    ),
    "any file of a run is served": Planted(
        "live/served_runs.py", "path.name[0] != \".\" and", "True or",
        "test_security.py::test_the_server_answers_its_hosts_and_serves_its_folder_only",
    ),
    "the whole environment is stored": Planted(
        "runs/environment.py", "for name in VARIABLES if name in os.environ}", "for name in os.environ}",
        "test_security.py::test_environments_hold_no_secret",
    ),
    "a closed terminal kills": Planted(
        "cli/app.py", '("SIGINT", "SIGTERM", "SIGHUP")', '("SIGINT", "SIGTERM")',
        "test_signals.py::test_a_signal_ends_a_command_quietly[train-SIGHUP]",
    ),
    "each file that is written stays open": Planted(
        "runs/files.py", "        temporary.write_bytes(content)",
        "        os.dup(0)\n        temporary.write_bytes(content)",
        "test_load.py::test_repeated_work_leaks_nothing[runs]",
    ),
    "each run reads the earlier ones": Planted(
        "runs/run_folder.py", "        self._ended = True\n        self._holds.close()\n\n    def _publish",
        "        self._ended = True\n        self._holds.close()\n"
        "        for other in self.path.parent.glob(\"2*/status.json\"):\n            other.read_bytes()\n\n"
        "    def _publish",
        "test_load.py::test_repeated_work_leaks_nothing[runs]",
    ),
    "each run stays in memory": Planted(
        "runs/run_folder.py", "        self._ended = True\n        self._holds.close()\n\n    def _publish",
        "        self._ended = True\n        self._holds.close()\n        KEPT.append(bytes(range(256)) * 256)\n\n"
        "    def _publish",
        "test_load.py::test_repeated_work_leaks_nothing[runs]",
    ),
}  # fmt: skip


def copy_of_the_package(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(Path(mnistexp.__file__).parent, folder / "mnistexp", ignore=ignored))


def run(test: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One test, in the small size, against the copy in the folder."""
    file, _, name = test.partition("::")
    name, _, kind = name.partition("[")
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        str(HERE / file),
        "-k",
        f"{name} and {kind.strip(']')}" if kind else name,
    ]
    command += ["-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--tb=line", f"--basetemp={folder / 'tests'}"]
    # Without what an outer pytest with several workers leaves.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = kept | {"PYTHONPATH": str(folder), "FAULTS": "small", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_found(name: str, tmp_path: Path, tried: Callable[..., None]) -> None:
    fault = FAULTS[name]
    path = copy_of_the_package(tmp_path) / fault.path
    text = path.read_text()
    assert text.count(fault.old) == 1, f"{fault.path} has changed: plant this fault anew"
    text = text.replace(fault.old, fault.new)
    path.write_text(text + ("\nKEPT: list[bytes] = []\n" if "KEPT" in fault.new else ""))
    done = run(fault.test, tmp_path)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-1000:]
    found = re.findall(r"^(?:FAILED|ERROR) \S*::(\S+)", done.stdout, re.MULTILINE)
    assert fault.test.partition("::")[2] in found, done.stdout[-2000:]
    assert " at setup of " not in done.stdout, done.stdout[-2000:]
    tried(f"planted: {name}", 1, f"found by {fault.test.partition('::')[2]}")


@pytest.mark.parametrize("test", sorted({fault.test for fault in FAULTS.values()}))
def test_without_a_fault_the_same_checks_pass(test: str, tmp_path: Path) -> None:
    copy_of_the_package(tmp_path)
    done = run(test, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
