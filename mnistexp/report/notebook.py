"""A report as a notebook: each question with this run's answer and figures, and code that computes them again."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pprint import pformat
from textwrap import indent
from typing import Any

from mnistexp.config.yaml_source import parse_fast
from mnistexp.errors import BadInput, ConfigError, RunError
from mnistexp.report.markdown import escaped, section_lines
from mnistexp.report.page import Page, RunReport, Section
from mnistexp.runs.layout import CONFIG, Kind
from mnistexp.runs.stored_runs import StoredRun

IMPORTS = """\
from IPython.display import Image

from mnistexp import api, data
from mnistexp.figures import drawings, plots, style
from mnistexp.config.networks import layer_table


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

DATA = "What does the data look like?"
NETWORK = "What network was trained, and how?"
DRAWN = (DIGITS, EXAMPLES, "data.one_hot(y_train[chosen])")
CODE: Mapping[str, tuple[str, ...]] = {
    DATA: DRAWN,
    NETWORK: ("show(drawings.network(layer_table(config.model)))",),
    "What kind of network is it?": ("show(drawings.network(layer_table(config.model)))",),
    "How do the loss curves behave?": (LOSS, "show(plots.accuracy_curves(run.histories))"),
    "What is the best number of epochs?": ('print(best["sentence"])\nprint(*run.metrics["warnings"], sep="\\n")',),
    "How accurate is it on the test digits?": (TESTED,),
    "Which optimizer and settings are best?": (SWEEP,),
    "Which dropout is best?": (SWEEP,),
    "Which settings matter?": ("show(sweeps.heat_maps(sweep))",),
    "What do the learning curves of the best trials look like?": ("show(sweeps.top_learning_curves(sweep))",),
    "How much better is the best trial than the worst and the average?": (GAPS,),
    "Which optimizer and dropout are best?": (BEST,),
    "Is it the same data and the same network?": (REPRODUCE,),
}
"""The code below the answer to each question."""


def page_to_notebook(page: Page, stored: list[StoredRun]) -> bytes:
    """The notebook as a file, the same bytes for the same runs. Raises `BadInput` where nbformat is missing."""
    try:
        import nbformat
        from nbformat import v4
    except ImportError:
        raise BadInput("--format ipynb needs nbformat: pip install 'mnistexp[notebook]'") from None
    cells: list[Any] = []
    for report, run in zip(page.runs, stored, strict=True):
        for cell in _cells(report, run):
            name, make = f"cell-{len(cells) + 1}", v4.new_code_cell if isinstance(cell, str) else v4.new_markdown_cell
            if isinstance(cell, str):
                cells.append(make(cell.rstrip("\n"), id=name))
            else:
                text, attachments = cell
                cells.append(make(text, id=name, **({"attachments": attachments} if attachments else {})))
    notebook = v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.validate(notebook)
    return f"{nbformat.writes(notebook)}\n".encode()


def _cells(report: RunReport, run: StoredRun) -> "Iterator[str | tuple[str, dict[str, Any]]]":
    """Code, and Markdown with its attached figures."""
    settings, found = _settings(run), run.metrics or {}
    combines = run.command in (Kind.BEST, Kind.REPRODUCE)
    base = Kind.BEST if combines else Kind.SWEEP_OPTIMIZER if settings.get("sweep") else Kind.TRAIN
    results = f"These are the results of run `{run.id}`; the cells of code compute them again."
    story = report.story
    yield "\n\n".join([f"# {escaped(story.headline)}", escaped(story.lead), results]), {}
    yield IMPORTS
    values = indent(pformat(settings, sort_dicts=False, width=100), "    ")
    yield f"config = api.configure(\n{values},\n    base={str(base)!r},\n)"
    if settings.get("data", {}).get("source", "embedded") != "embedded":
        yield "The digits come from a file or a download, which must be available to this notebook.", {}
    there = [section.heading for section in report.sections]
    asked = [Section(heading) for heading in (DATA, NETWORK) if heading not in there]
    for section in (*asked, *report.sections):
        yield _markdown(section)
        if section.heading == "How do the loss curves behave?" and run.command == Kind.TRAIN:
            yield TRAIN
        for code in CODE.get(section.heading, ()):
            unseen = bool(found.get("representative", {}).get("unseen"))
            yield code.replace("{unseen}", f"{unseen}").replace("{quick}", f"{found.get('quick', False)}")
        if section.heading.startswith("Is the test accuracy representative") and run.command == Kind.BEST:
            yield REPRESENTATIVE


def _settings(run: StoredRun) -> dict[str, Any]:
    """The run's settings as plain Python values."""
    try:
        settings: dict[str, Any] = json.loads(json.dumps(parse_fast(run.config_text, CONFIG)))
    except (ConfigError, TypeError, ValueError) as error:
        raise RunError(f"{run.path / CONFIG} is damaged: {error}") from error
    return settings


def _markdown(section: Section) -> tuple[str, dict[str, Any]]:
    """A section as Markdown, and its figures as attachments."""
    files: dict[str, bytes] = {}
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(section_lines(section, 2, "figures", files))).strip()
    text = re.sub(r"\(<figures/(.+?)>\)", r"(attachment:\1)", text)
    names = {name.removeprefix("figures/"): content for name, content in files.items()}
    return text, {name: {"image/png": b64encode(content).decode()} for name, content in names.items()}
