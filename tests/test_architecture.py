"""The order of the modules, and what must not be loaded by whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mnistexp"

ORDER = """
    errors optimizers config problems yaml_source settings results
    sources data
    intervals learning_curves comparison selection_bias seed_noise statistics
    files locks environment run_status staging run_folder history_csv stored_runs
    ranking metrics
    figures drawings sweep_axes sweep_figures
    model winograd loop training
    space search cores processes dask_cluster executors trial_cache fold_fits sweep_plan sweep_files sweeping
    swept reuse
    experiments examples
    reported choosing ledger nested better representative best_figures best_document best_plan best_model
    assignment comparison_row reproduce_curves reproduce_grids reproduce_table reproduce_figures reproduction
    report_page report_svg report_origin report_accuracy report_training report_sweep report_examples report_best
    report_reproduce report_html report_markdown report_pdf report_notebook report
    api
    console console_best progress cli_options cli_sweeps cli_best cli_report cli
""".split()  # noqa: SIM905 - a line for each layer
"""Each module imports only from those before it."""


def imports(path: Path) -> set[str]:
    """Names of mnistexp's own modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mnistexp.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "mnistexp":
            found |= {alias.name for alias in node.names} - {"__version__"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mnistexp."):
            found.add(str(node.module).split(".")[1])
    return found


def test_every_module_has_its_place_in_the_order() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert modules == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_modules_import_one_way_only(name: str) -> None:
    assert imports(PACKAGE / f"{name}.py") <= set(ORDER[: ORDER.index(name)])


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "show"], ["show-examples"]])
def test_tensorflow_is_loaded_only_to_train(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom mnistexp.cli import main\n"
        f"sys.argv[1:] = {arguments}\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_the_command_line_prints() -> None:
    for path in PACKAGE.glob("*.py"):
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert path.stem.startswith("cli") or "print" not in calls, path
