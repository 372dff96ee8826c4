"""`mnistexp doctor`: what it finds on this machine, and on machines that something is wrong with."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mnistexp.cli.app import app
from mnistexp.data import packaged
from mnistexp.doctor import installation, machine, storage
from mnistexp.doctor.examination import examine
from mnistexp.sweeps.executors.cores import memory_limit

ROOT = Path(__file__).parents[2]


def test_a_sound_installation_has_no_problem_and_nothing_is_left_behind(tmp_path: Path) -> None:
    findings = examine(tmp_path / "runs", quick=True)
    assert [finding for finding in findings if finding.state == "problem"] == []
    assert all("\n" not in finding.says for finding in findings)
    assert all(finding.remedy for finding in findings if finding.state != "ok")
    assert list(tmp_path.iterdir()) == []


def test_slowness_is_a_warning_not_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "REFERENCE_MS", 0.01)
    done = CliRunner().invoke(app, ["doctor", "--json", "--runs-dir", str(tmp_path)])
    document = json.loads(done.stdout)
    speed = document["findings"][-1]
    assert (speed["check"], speed["state"]) == ("speed", "warning")
    assert speed["says"].partition(" ")[0].isdecimal()
    assert (document["problems"], done.exit_code) == (0, 0)


def test_a_problem_is_in_the_table_and_gives_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = CliRunner().invoke(app, ["doctor", "--quick", "--runs-dir", str(tmp_path / "file" / "runs")])
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert any(line.startswith("problem") and "runs folder" in line for line in lines)
    assert any("-> export MNISTEXP_RUNS_DIR=" in line for line in lines)


def test_without_tensorflow_the_other_checks_still_run(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = None; sys.argv[1:] = ['doctor', '--json']\n"
        "from mnistexp.cli.app import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    states = {finding["check"]: finding["state"] for finding in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    assert [check for check, state in states.items() if state == "problem"] == ["speed"]


def test_libraries_that_are_missing_or_too_old_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "mnistexp-0.1.0.dist-info"
    info.mkdir()
    needs = ["numpy>=99", "no-such-library>=2", 'also-missing; extra == "optuna"', 'for-another; python_version < "3"']
    lines = ["Metadata-Version: 2.4", "Name: mnistexp", "Version: 0.1.0", "Provides-Extra: optuna"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs)]))
    monkeypatch.syspath_prepend(tmp_path)
    package, libraries = examine(tmp_path)
    assert (package.state, libraries.state) == ("ok", "problem")
    assert libraries.says.startswith("numpy>=99 needed, 2.")
    assert libraries.says.endswith("; no-such-library>=2 needed, none found")
    assert libraries.remedy == "python -m pip install 'numpy>=99' 'no-such-library>=2'"
    extras = installation.extras()
    assert extras.says.startswith("installed: none; not installed: dask, ")
    assert "optuna" in str(extras.remedy)


def test_every_extra_is_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for_developers = {"dev", "docs", "build-digits"}
    assert set(installation.EXTRAS) == set(project["optional-dependencies"]) - for_developers


def test_an_extra_of_another_library_is_checked_too() -> None:
    """dask[distributed] is there only with distributed itself."""
    assert installation.extras().says.startswith("installed: dask")
    names = [
        requirement.name
        for requirement in installation.requirements(installation.metadata.distribution("dask"), "distributed")
    ]
    assert "distributed" in names


def test_digits_that_are_not_those_published_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation.digits().state == "ok"
    monkeypatch.setitem(packaged.EMBEDDED, "unseen_4000", ("0" * 64, "0" * 64))
    found = installation.digits()
    assert found.state == "problem"
    assert "unseen_4000.npz: damaged" in found.says


def test_environment_variables_that_change_results_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*machine.VARIABLES, "KERAS_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert machine.variables().state == "ok"
    assert "OMP_NUM_THREADS=7" in machine.variables().says
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_use_thunk_runtime=false")
    assert (machine.variables().state, machine.variables().remedy) == ("warning", "unset XLA_FLAGS")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert (machine.variables().state, machine.variables().remedy) == ("problem", "unset KERAS_BACKEND")


def test_the_cores_and_the_fits_that_a_sweep_runs_at_once_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "physical_cores", lambda: 8)
    monkeypatch.setattr(machine, "usable_cores", lambda: 3)
    monkeypatch.setattr(machine, "cpu_quota", lambda: 2.5)
    says = machine.cores().says
    assert says.startswith("8 physical, ")
    assert "limited to the CPU time of 2.5; a sweep runs 3 fits at once" in says


def test_little_memory_lowers_the_recommended_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: 8)
    monkeypatch.setattr(machine, "memory_limit", lambda: 3.5e9)
    monkeypatch.setattr(machine, "meminfo", {"MemTotal": 16e9, "MemAvailable": 9e9}.__getitem__)
    found = machine.memory()
    assert (found.state, found.remedy) == ("warning", "give sweeps --workers 3")
    assert found.says.startswith("3.5 GB (limit of the control group), 3.5 GB free")
    monkeypatch.setattr(machine, "memory_limit", lambda: 0.5e9)
    assert machine.memory().state == "problem"


@pytest.mark.parametrize(
    ("cgroups", "limits", "expected"),
    [
        ("0::/jobs/mine\n", {"jobs/mine/memory.max": "max", "jobs/memory.max": "2000000000"}, 2e9),
        ("0::/on/the/host\n", {"memory.max": "max"}, float("inf")),
        ("3:memory:/mine\n", {"memory/mine/memory.limit_in_bytes": "1073741824"}, 2.0**30),
        ("3:memory:/mine\n", {"memory/mine/memory.limit_in_bytes": "9223372036854771712"}, float("inf")),
    ],
)
def test_the_memory_that_control_groups_allow(
    tmp_path: Path, cgroups: str, limits: dict[str, str], expected: float
) -> None:
    (tmp_path / "cgroup").write_text(cgroups)
    for name, text in limits.items():
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert memory_limit(tmp_path / "cgroup", tmp_path / "sys") == expected


def test_little_disk_space_is_a_warning_with_files_to_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LITTLE", 10**18)
    found = storage.space(tmp_path)
    assert found.state == "warning"
    assert found.remedy == f"mnistexp cache prune --older-than 30d --runs-dir {tmp_path}"


def test_locks_are_tried_where_runs_are_and_leave_nothing(tmp_path: Path) -> None:
    assert storage.locking(tmp_path / "runs").state == "ok"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").write_text("")
    assert storage.locking(tmp_path / "runs").state == "problem"
