"""A report as a notebook: the assignment's questions, this run's answers, and code that computes them again."""

import json
from collections.abc import Iterator
from pprint import pformat
from textwrap import indent
from typing import Any

from mnistexp.config.yaml_source import parse_fast
from mnistexp.errors import BadInput, ConfigError, RunError
from mnistexp.report.markdown import escaped
from mnistexp.report.page import Page, Paragraph, RunReport
from mnistexp.runs.layout import CONFIG, Kind
from mnistexp.runs.stored_runs import StoredRun

__all__ = ["page_to_notebook"]

IMPORTS = """\
from IPython.display import Image

from mnistexp import api, data
from mnistexp.figures import drawings, plots, style
from mnistexp.training.model import layer_table


def show(figure):
    return Image(style.render(figure, "png"))
"""

DIGITS = """\
digits = data.load(config.data)
split = data.split_of(digits, config)
x_train, y_train = digits.images[split.train], digits.labels[split.train]
x_test, y_test = digits.images[split.test], digits.labels[split.test]
{name: data.describe(array) for name, array in [("x_train", x_train), ("y_train", y_train), ("x_test", x_test)]}
"""

EXAMPLES = """\
chosen = [index for index in (37, 235, 72) if index < len(y_train)]
show(drawings.examples(x_train, y_train, chosen))
"""

TRAIN = """\
outcome = api.train(config, runs_dir="runs")
run = api.load_run(outcome.run_dir)
run.history.val_loss[-1] if run.history.val_loss else run.history.loss[-1]
"""

LOSS = """\
from mnistexp.runs.results import over_all

best = over_all(run.metrics)["best_epochs"]
show(plots.loss_curves(run.histories, flat=(best["first"], best["last"]) if best["first"] else None))
"""

TESTED = """\
import numpy as np

print(run.metrics["test_correct"], "of", run.metrics["test_digits"])
print("accuracy", run.metrics["test_accuracy"], "95% interval", run.metrics["test_accuracy_interval"])
if "repeats" in run.metrics:
    print(run.metrics["repeats"]["sentence"])
show(plots.confusion_matrix(np.array(run.metrics["confusion_matrix"])))
"""

SWEEP = """\
from mnistexp.figures import style, sweeps
from mnistexp.sweeps import sweep_files

outcome = api.sweep(config, runs_dir="runs")
sweep = sweep_files.read_sweep(outcome.run_dir)
print(outcome.metrics["best_params"], outcome.metrics["best_score"])
for row in outcome.metrics["ranking"][:5]:
    print(row["rank"], row["params"], round(row["mean"], 4), "tied" if row["tied"] else "")
"""

GAPS = """\
from mnistexp import statistics
from mnistexp.sweeps.ranking import correct_matrix, fold_weights

whole = [trial for trial in sweep.trials if not trial.failed]
correct, weights = correct_matrix(whole, sweep.labels), fold_weights(whole[0], len(sweep.labels))
for gap in statistics.compare_trials(correct, weights=weights):
    print("best - worst", gap.versus_worst.difference, "best - average", gap.versus_average.difference)
print(statistics.bbc_cv(correct, weights=weights).sentence)
"""

BEST = """\
outcome = api.best(config, unseen={unseen}, runs_dir="runs")
run = api.load_run(outcome.run_dir)
print(run.metrics["best_params"], run.metrics["best_score"])
print(run.metrics["better"]["sentence"])
"""

REPRESENTATIVE = """\
print(run.metrics["representative"]["answer"])
print(*run.metrics["representative"]["sentences"], sep="\\n")
"""

REPRODUCE = """\
outcome = api.reproduce(config, quick={quick}, runs_dir="runs")
for row in outcome.metrics["table"]:
    print(row["part"], "|", row["what"], "|", row["reported"], "|", row["ours"], "|", row["agrees"])
print(*outcome.metrics["sentences"], sep="\\n")
"""

Cells = Iterator[tuple[str, str]]


def page_to_notebook(page: Page, stored: list[StoredRun]) -> bytes:
    """The notebook as a file, the same bytes for the same runs. Raises `BadInput` where nbformat is missing."""
    try:
        import nbformat
        from nbformat import v4
    except ImportError:
        raise BadInput("--format ipynb needs nbformat: pip install 'mnistexp[notebook]'") from None
    made = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
    cells: list[Any] = []
    for report, run in zip(page.runs, stored, strict=True):
        for kind, source in _cells(report, run):
            cells.append(made[kind](source.rstrip("\n"), id=f"cell-{len(cells) + 1}"))
    notebook = v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.validate(notebook)
    return f"{nbformat.writes(notebook)}\n".encode()


def _cells(report: RunReport, run: StoredRun) -> Cells:
    settings = _settings(run)
    found = f"These are the results of run `{run.id}`; the cells below compute them again."
    yield "markdown", "\n\n".join([f"# {escaped(report.story.headline)}", escaped(report.story.lead), found])
    yield "code", IMPORTS
    combines = run.command in (Kind.BEST, Kind.REPRODUCE)
    base = Kind.BEST if combines else Kind.SWEEP_OPTIMIZER if settings.get("sweep") else Kind.TRAIN
    values = indent(pformat(settings, sort_dicts=False, width=100), "    ")
    yield "code", f"config = api.configure(\n{values},\n    base={str(base)!r},\n)"
    yield from _data_cells(report, settings)
    yield from _told(report, "What network was trained, and how?", "What kind of network is it?")
    yield "code", "show(drawings.network(layer_table(config.model)))"
    if combines:
        yield from _best_cells(report, run)
    elif settings.get("sweep"):
        yield from _sweep_cells(report)
    elif run.command not in (Kind.EXAMPLES, Kind.SUMMARY, Kind.EVALUATE):
        yield from _training_cells(report)


def _settings(run: StoredRun) -> dict[str, Any]:
    """The run's settings as plain Python values."""
    try:
        settings: dict[str, Any] = json.loads(json.dumps(parse_fast(run.config_text, CONFIG)))
    except (ConfigError, TypeError, ValueError) as error:
        raise RunError(f"{run.path / CONFIG} is damaged: {error}") from error
    return settings


def _data_cells(report: RunReport, settings: dict[str, Any]) -> Cells:
    yield from _told(report, "What does the data look like?")
    yield "code", DIGITS
    yield "code", EXAMPLES
    yield "code", "data.one_hot(y_train[chosen])"
    if settings.get("data", {}).get("source", "embedded") != "embedded":
        yield "markdown", "The digits come from a file or a download, which must be available to this notebook."


def _training_cells(report: RunReport) -> Cells:
    yield from _told(report, "How do the loss curves behave?")
    yield "code", TRAIN
    yield "code", LOSS
    yield "code", "show(plots.accuracy_curves(run.histories))"
    yield from _told(report, "What is the best number of epochs?")
    yield "code", 'print(best["sentence"])\nprint(*run.metrics["warnings"], sep="\\n")'
    yield from _told(report, "How accurate is it on the test digits?")
    yield "code", TESTED
    yield from _told(report, "Is the test accuracy representative of unseen data?")


def _best_cells(report: RunReport, run: StoredRun) -> Cells:
    found = run.metrics or {}
    if run.command == Kind.REPRODUCE:
        yield "markdown", "## Do the notebook's figures agree with ours?"
        yield "code", REPRODUCE.format(quick=found.get("quick", False))
        return
    yield from _told(report, "Which optimizer and dropout are best?")
    yield "code", BEST.format(unseen=bool(found.get("representative", {}).get("unseen")))
    yield "code", LOSS
    yield from _told(report, "How accurate is it on the test digits?")
    yield "code", TESTED
    yield from _told(report, "Is the test accuracy representative of unseen data?")
    yield "code", REPRESENTATIVE


def _sweep_cells(report: RunReport) -> Cells:
    yield from _told(report, "Which optimizer and settings are best?", "Which dropout is best?")
    yield "code", SWEEP
    yield from _told(report, "Which settings matter?")
    yield "code", "show(sweeps.heat_maps(sweep))"
    yield "code", "show(sweeps.top_learning_curves(sweep))"
    yield from _told(report, "How much better is the best trial than the worst and the average?")
    yield "code", GAPS


def _told(report: RunReport, *headings: str) -> Cells:
    """The first of these questions that the report answers, with its answer; else the first question alone."""
    found = [section for section in report.sections if section.heading in headings]
    texts = [block.text for section in found for block in section.blocks if isinstance(block, Paragraph)]
    heading = found[0].heading if found else headings[0]
    yield "markdown", "\n\n".join([f"## {escaped(heading)}", *map(escaped, texts)])
