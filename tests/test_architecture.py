"""The order of the modules, and what must not be loaded by whom."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mnistexp"

ORDER = """
    errors config data statistics runs training sweeps figures commands report live bridges doctor api estimator cli
""".split()  # noqa: SIM905 - a line reads better than a list
"""The packages, and the modules beside them: each imports only from itself and from those before it."""


def modules() -> dict[str, Path]:
    """Name, such as `runs.files`, to file of every module; a package goes by its own name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> set[str]:
    """Names of mnistexp's own modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("mnistexp.") in MODULES else str(node.module) for name in names]
        else:
            continue
        found |= {name.removeprefix("mnistexp.") for name in names if name.startswith("mnistexp.")}
    return found & set(MODULES)


def test_the_order_names_everything_at_the_top() -> None:
    assert set(ORDER) == {name for name in MODULES if name and "." not in name} - {"__main__"}


@pytest.mark.parametrize("name", ORDER)
def test_packages_import_one_way_only(name: str) -> None:
    own = [path for module, path in MODULES.items() if module.partition(".")[0] == name]
    imported = {module.partition(".")[0] for path in own for module in imports(path)}
    assert imported <= set(ORDER[: ORDER.index(name) + 1])


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imports(path) - {name} for name, path in MODULES.items() if name}
    assert list(TopologicalSorter(graph).static_order())


def test_modules_have_300_lines_at_most_and_functions_50() -> None:
    texts = {name: path.read_text() for name, path in MODULES.items()}
    functions = [
        (name, node.name, (node.end_lineno or 0) - node.lineno + 1)
        for name, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [name for name, text in texts.items() if text.count("\n") > 300] == []
    assert [function for function in functions if function[-1] > 50] == []


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["config", "show"], ["doctor", "--quick"], ["show-examples"]]
)
def test_tensorflow_is_loaded_only_to_train(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom mnistexp.cli.app import main\n"
        f"sys.argv[1:] = {arguments}\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_the_command_line_prints() -> None:
    for path in PACKAGE.rglob("*.py"):
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert path.parent.name == "cli" or "print" not in calls, path


def test_the_page_on_the_architecture_shows_the_imports_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PACKAGE.parent / "tools"))
    import draw_architecture

    page = draw_architecture.PAGE.read_text(encoding="utf-8")
    assert page == draw_architecture.page(page)
    rows = [line.split()[2] for line in page.splitlines() if "■" in line]
    assert all("●" not in row.partition("■")[2] for row in rows)
