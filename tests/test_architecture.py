"""The order of the modules, and what must not be loaded by whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mnistexp"

ORDER = """
    errors shown networks optimizers section grids config problems yaml_source settings config_schema results
    data.names data.npy data.content data.part data.idx data.pictures data.tables data.folders data.archives
    data.sources data.packaged data.forms data.polarity data.ready data.splits data.dataset data.reading data.noted data
    statistics.intervals statistics.learning_curves statistics.comparison statistics.selection_bias
    statistics.seed_noise statistics.seeds_and_digits statistics
    standard_error
    runs runs.files runs.locks runs.annotations runs.environment runs.status runs.progress runs.staging runs.run_folder
    runs.history_csv runs.predictions runs.stored_runs runs.archive_members runs.archive
    runs.index runs.references runs.trash runs.conditions runs.where runs.query runs.comparison runs.export
    runs.curves runs.frames runs.paired runs.checking runs.groups
    ranking metrics
    figures drawings sweeps.axes sweeps.sweep_figures
    kernels runtime model winograd loop training
    sweeps.space sweeps.search sweeps.cores sweeps.processes sweeps.preloaded sweeps.dask_cluster sweeps.executors
    sweeps.trial_cache sweeps.fold_fits sweeps.plan sweeps.sweep_files sweeps.sweeping sweeps.swept sweeps.reuse
    experiments examples doctor.finding doctor.installation doctor.machine doctor.storage doctor.examination
    reported best_model.choosing best_model.ledger best_model.nested best_model.work best_model.better
    best_model.representative best_model.best_figures best_model.document best_model.plan best_model.story
    reproduction.assignment reproduction.comparison_row reproduction.curves reproduction.grids reproduction.table
    reproduction.figures reproduction.story
    saved_model prediction statistics.calibration evaluation.measured evaluation.figures evaluation.story
    verification.comparing verification.changes verification.trained verification.refitted verification.story
    report.page report.glossary report.svg report.origin report.accuracy report.training report.sweep report.examples
    report.best report.evaluation report.reproduce report.html report.markdown report.pdf report.notebook report.reports
    live.sweep_progress live.following live.served_runs live.server
    bridges.exported bridges.tensorboard bridges.mlflow_store
    api estimator
    cli.printable cli.console cli.console_best cli.console_live cli.completion cli.progress cli.voice cli.options
    cli.help cli.parsing cli.train_commands cli.sweep_commands cli.cache_commands cli.best_commands cli.config_commands
    cli.doctor_commands cli.report_commands cli.verify_commands cli.evaluate_commands cli.live_commands
    cli.console_runs cli.console_compare cli.run_commands cli.compare_commands cli.check_commands cli.tag_commands
    cli.upkeep_commands cli.archive_commands cli.bridge_commands cli.app
""".split()  # noqa: SIM905 - a line for each layer
"""Each module imports only from those before it."""


def imports(path: Path) -> set[str]:
    """Names of mnistexp's own modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {name.removeprefix("mnistexp.") for name in names if name.startswith("mnistexp.")}
    return found & set(ORDER)


def file_of(name: str) -> Path:
    """The source of a module or, where the module is a folder that holds code of its own, of its `__init__`."""
    path = PACKAGE / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_every_module_has_its_place_in_the_order() -> None:
    paths = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")} - {Path("__init__.py"), Path("__main__.py")}
    with_code = {path for path in paths if len(ast.parse((PACKAGE / path).read_text()).body) > 1}
    assert with_code == {file_of(name).relative_to(PACKAGE) for name in ORDER}


@pytest.mark.parametrize("name", ORDER)
def test_modules_import_one_way_only(name: str) -> None:
    assert imports(file_of(name)) <= set(ORDER[: ORDER.index(name)])


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
