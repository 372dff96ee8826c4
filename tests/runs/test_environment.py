"""What is recorded of where a result came from, and what is not."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import mnistexp

PACKAGE = Path(mnistexp.__file__).parent
ASK = (
    "import json; from mnistexp.runs.environment import dirty_diff, environment;"
    "print(json.dumps([dict(environment()), dirty_diff()]))"
)


def ask(folder: Path, **variables: str) -> tuple[dict[str, object], str]:
    """`environment()` and `dirty_diff()` of a process that runs the package found in `folder`."""
    found = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    environment, diff = json.loads(found.stdout)
    return environment, diff


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def copy_of_the_package(folder: Path) -> Path:
    shutil.copytree(PACKAGE, folder / "mnistexp", ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
    return folder


def test_versions_and_processor() -> None:
    found, _ = ask(PACKAGE.parent)
    assert found["python"] == platform.python_version()
    assert found["cores"] == os.cpu_count()
    assert {"mnistexp", "numpy", "tensorflow", "keras"} <= set(found["packages"])  # type: ignore[call-overload]


def test_no_secret_name_or_folder_is_recorded(tmp_path: Path) -> None:
    folder = copy_of_the_package(tmp_path / "copy")
    planted = {
        "AWS_SECRET_ACCESS_KEY": "s3cr3t-value",
        "XLA_FLAGS": "--xla_dump_to=/home/planted",
        "OMP_NUM_THREADS": "3",
    }
    found, _ = ask(folder, **planted)
    assert found["variables"]["OMP_NUM_THREADS"] == "3"  # type: ignore[index]
    assert found["variables"]["XLA_FLAGS"] == "set, not stored"  # type: ignore[index]
    text = json.dumps(found)
    for unwanted in ("s3cr3t", "planted", str(tmp_path), str(Path.home()) + "/", f'"{platform.node()}"'):
        assert unwanted not in text


def test_commit_and_difference_of_the_checkout(tmp_path: Path) -> None:
    folder = copy_of_the_package(tmp_path / "copy")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    found, diff = ask(folder)
    assert (found["git_commit"], found["git_dirty"], diff) == (git(folder, "rev-parse", "HEAD"), False, "")

    with (folder / "mnistexp" / "errors.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    (folder / "mnistexp" / "new module.py").write_text("ADDED = 1\n")
    (folder / "elsewhere.txt").write_text("not our code")
    found, diff = ask(folder)
    assert found["git_dirty"] is True
    assert "+CHANGED = True" in diff
    assert "+ADDED = 1" in diff
    assert "not our code" not in diff

    git(folder, "stash", "-q", "--include-untracked")
    subprocess.run(["git", "apply", "--directory=mnistexp", "-"], cwd=folder, input=diff, text=True, check=True)
    assert ask(folder)[1] == diff


def test_a_long_difference_is_cut(tmp_path: Path) -> None:
    folder = copy_of_the_package(tmp_path / "copy")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / "mnistexp" / "long.txt").write_text("0123456789\n" * 200_000)
    _, diff = ask(folder)
    assert 1_000_000 < len(diff) < 1_000_100
    assert "cut here" in diff


def test_a_foreign_repository_around_the_package_is_not_recorded(tmp_path: Path) -> None:
    folder = copy_of_the_package(tmp_path / "copy")
    git(folder, "init", "-q")
    git(folder, "commit", "-qm", "theirs", "--allow-empty")
    found, diff = ask(folder)
    assert (found["git_commit"], found["git_dirty"], diff) == (None, None, "")


def test_without_git_the_rest_is_still_recorded(tmp_path: Path) -> None:
    found, diff = ask(PACKAGE.parent, PATH=str(tmp_path))
    assert (found["git_commit"], found["git_dirty"], diff) == (None, None, "")
    assert found["python"] == platform.python_version()


def test_the_hash_of_the_training_code_follows_that_code_alone(tmp_path: Path) -> None:
    folder = copy_of_the_package(tmp_path / "copy")
    before, _ = ask(folder)
    for name, decides in {"report/page.py": False, "training/loop.py": True}.items():
        path = folder / "mnistexp" / name
        path.write_text(path.read_text() + "# edited\n")
        after, _ = ask(folder)
        assert (after["training_code"] != before["training_code"]) == decides
    assert len(str(before["training_code"])) == 64
