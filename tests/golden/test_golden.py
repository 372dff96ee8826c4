"""What readers are told, sentence by sentence: on a terminal, in Markdown reports, and about mistakes.

Each text has a file in this folder; `make golden` writes them again and shows what has changed. They are drawn from the
runs that `record.py` recorded. Their sentences, statistics and choices are computed again first, as the code now does
it; only the trainings and the times are those of the recording.

A table of command lines, such as `mistakes.txt`, is its own list: to add a case, add its line `$ mnistexp ...`, with
the content of `my.yaml` in lines `> ...` above it, and run `make golden`.
"""

import difflib
import io
import json
import os
import shlex
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from programs import call
from rich.console import Console
from small import undrawn

from mnistexp.cli import console_report
from mnistexp.cli.printable import Printable
from mnistexp.commands import examples, metrics, prediction
from mnistexp.commands.assignment.comparison_row import shown_only
from mnistexp.commands.assignment.story import LABEL, NOT_COMPARED, UNTRAINED
from mnistexp.commands.assignment.table import table_of
from mnistexp.commands.best.better import how_much_better
from mnistexp.commands.best.choosing import choose_setting
from mnistexp.commands.best.document import choice_document, warnings_of
from mnistexp.commands.best.ledger import LedgerEntry, read_ledger
from mnistexp.commands.best.predicted import Predicted
from mnistexp.commands.best.representative import representative
from mnistexp.commands.best.work import Work
from mnistexp.commands.evaluate.story import evaluate
from mnistexp.commands.sweep import sweep_metrics
from mnistexp.config.models import ExperimentConfig
from mnistexp.report.markdown import page_to_markdown
from mnistexp.report.reports import read_page
from mnistexp.runs import files
from mnistexp.runs.layout import COMBINED, FINAL, METRICS, STATE, Kind, in_repeat
from mnistexp.runs.results import FoldResult, History, Outcome, TrialResult
from mnistexp.runs.stored_runs import StoredRun, list_runs, load
from mnistexp.statistics import final_accuracy
from mnistexp.sweeps.sweep_files import read_sweep
from mnistexp.sweeps.swept import LeftAside
from mnistexp.training.fitting import Fit
from mnistexp.training.repeats import TrainingResult
from mnistexp.training.state import TrainingState

HERE = Path(__file__).parent
WIDTH = 140
KINDS = {
    "train": "train", "repeats": "repeats", "sweep-optimizer": "adam", "sweep-dropout": "dropout", "best": "best",
    "evaluate": "evaluation", "show-examples": "digits", "summary": "cnn", "reproduce": "quick",
    "interrupted": "interrupted",
}  # fmt: skip
"""The files of stories, and the names of their runs."""
FILES = {
    "epochs.yaml": "epochs: 3\n",
    "page.gz": "<html>not found</html>",
    "model.keras": "junk",
    "runs.zip": "junk",
    "empty.npz": "",
    "three.png": "junk",
}
"""What lies beside the runs for `mistakes.txt`; and `folder.yaml`, a folder, and `wide.png`, a picture."""


# The texts


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recorded runs, their metrics computed again, in `runs`, those of `reproduce` apart."""
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(HERE / "runs.tar.xz") as tar:
        tar.extractall(folder, filter="data")
    with undrawn():
        for runs in (folder / "runs", folder / "runs" / "reproduce"):
            for run in sorted(list_runs(runs), key=lambda run: run.command == Kind.REPRODUCE):  # it reads the others
                if run.metrics:
                    document = {"schema_version": 1} | run.metrics | AGAIN[run.command](run)
                    (run.path / METRICS).write_text(json.dumps(files.plain(document)))
    (folder / "runs" / "reproduce").rename(folder / "reproduce")
    return folder


def compare(name: str, text: str) -> None:
    """Fail with the lines that differ from a golden file, or with GOLDEN=renew write it."""
    path = HERE / f"{name}.txt"
    if os.environ.get("GOLDEN") == "renew":
        path.write_text(text)
        return
    lines = [path.read_text().splitlines() if path.exists() else [], text.splitlines()]
    if differences := list(difflib.unified_diff(*lines, f"tests/golden/{path.name}", "now", lineterm="", n=2)):
        pytest.fail("\n".join([*differences, "If this is wanted: make golden"]), pytrace=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_told_in_these_words(kind: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnistexp.report.markdown.render", lambda *_: b"")  # a report names its figures
    folder = here / ("reproduce" if kind == "reproduce" else "runs")
    [run] = [run for run in list_runs(folder) if run.name == KINDS[kind]]
    told = [f"The report\n==========\n\n{page_to_markdown(read_page([run]), 'report_files')[''].decode()}"]
    if run.metrics:
        screen = Console(file=io.StringIO(), width=WIDTH, force_terminal=True, color_system=None, highlight=False)
        for part in console_report.answer(Outcome(Path("runs") / run.id, run.metrics)):
            screen.print(Printable(part))
        assert isinstance(screen.file, io.StringIO)
        told = [f"The terminal\n============\n\n{bare(screen.file.getvalue())}\n", *told]
    compare(kind, "\n".join(told))


def test_stored_runs_are_listed_shown_and_compared_in_these_words(here: Path) -> None:
    compare("runs", "".join(answered("runs", here, lambda done: f"{done.stdout}{done.stderr}{ended(done.returncode)}")))


def test_a_mistake_is_reported_in_these_words_with_exit_code_2_and_writes_nothing(here: Path) -> None:
    for name, text in FILES.items():
        (here / name).write_text(text)
    (here / "folder.yaml").mkdir()
    Image.new("L", (420, 300)).save(here / "wide.png")
    before = contents(here)

    def refused(done: Any) -> str:
        changed = sorted(set(contents(here).items()) ^ set(before.items()))
        assert (done.returncode, changed) == (2, []), (done.args, done.stderr)
        assert done.stdout == "" or json.loads(done.stdout)["exit_code"] == 2
        assert "(a bug" not in done.stderr
        assert "Traceback" not in done.stderr
        return str(done.stderr)

    compare("mistakes", "".join(answered("mistakes", here, refused)))


def answered(table: str, here: Path, told: Callable[[Any], str]) -> Iterator[str]:
    """A table of command lines, each with what the program answers now."""
    settings: list[str] = []
    for line in (HERE / f"{table}.txt").read_text().splitlines():
        kind, _, text = line.partition(" ")
        if kind == "#":
            yield f"{line}\n\n"
        elif kind == ">":
            settings.append(text)
            yield f"{line}\n"
        elif line.startswith("$ mnistexp "):
            (here / "my.yaml").write_text("\n".join([*settings, ""]))
            words = shlex.split(text)[1:]
            yield f"{line}\n{bare(told(call(*words, cwd=here)).replace(str(here), 'HERE'))}\n\n"
            settings = []


def bare(text: str) -> str:
    """Text without blanks at the ends of its lines and without empty lines at its end."""
    return "\n".join(map(str.rstrip, text.splitlines())).rstrip("\n")


def ended(code: int) -> str:
    return f"[exit code {code}]" if code else ""


def contents(here: Path) -> dict[Path, int]:
    """The visible files and folders but for `my.yaml`, with the times of the files' last changes."""
    found = (path for depth in ("[!.]*", "runs/[!.]*", "runs/[!.]*/[!.]*") for path in here.glob(depth))
    return {path: path.is_file() and path.stat().st_mtime_ns for path in found if path.name != "my.yaml"}


# The metrics of recorded runs, as the code now computes them


def trainings(run: StoredRun) -> list[TrainingResult]:
    """The results of a run's trainings: their curves and predictions."""
    assert run.metrics is not None
    found = []
    for repeat, (history, test) in enumerate(zip(run.histories, run.predictions, strict=True)):
        if run.has(place := in_repeat(repeat, STATE)):
            rows = TrainingState.from_arrays(files.arrays(run.read_bytes(place))).rows
            history = replace(history, val_loss_se=tuple(row.val_loss_se for row in rows))
        fit = Fit(history, (), None, TrainingState(()), seconds=history.seconds, kept_epoch=history.epochs)
        found.append(TrainingResult(fit, test, run.metrics["test_loss"], repeat))
    return found


def of_training(run: StoredRun) -> dict[str, Any]:
    return metrics.training_metrics(run.config, trainings(run))


def of_sweep(run: StoredRun) -> dict[str, Any]:
    return sweep_metrics(run.config, run.command, read_sweep(run.path))


def of_best(run: StoredRun) -> dict[str, Any]:
    assert run.metrics is not None
    was, work = run.metrics["representative"], Work(run.config, run.path.parent)
    results, final = trainings(run), run.config_in(FINAL)
    used = work.sources([sweep["run"] for sweep in run.metrics["choice"]["sweeps"]], listed_only=False).used
    choice = choose_setting(work.winners(used), lambda _: combination(run))
    ledger = read_ledger(work.runs_dir, work.dataset, LedgerEntry(run.id, Kind.BEST, len(results), False))
    shares = (was["seeds"] or {"unseen_accuracies": [was["unseen"]["accuracy"]]})["unseen_accuracies"]
    unseen = [np.arange(was["unseen"]["digits"]) < round(was["unseen"]["digits"] * share) for share in shares]
    scores = was["prediction"] and was["prediction"]["scores"]
    predicted = Predicted(final_accuracy(np.array(scores)), scores, was["prediction"]["seed"]) if scores else None
    trained = metrics.training_metrics(final, results)
    found = representative(choice, results[0], trained.get("repeats"), ledger, unseen, None, predicted)
    aside = [LeftAside(**one) for one in run.metrics["left_aside"]]
    return trained | {
        "command": Kind.BEST,
        "choice": choice_document(used, choice),
        "better": how_much_better(choice),
        "representative": found,
        "warnings": [*trained["warnings"], *warnings_of(used, aside, choice, final)],
    }


def combination(run: StoredRun) -> TrialResult:
    """The cross-validation of the combination that no sweep tried."""
    assert run.metrics is not None
    arrays = files.arrays(run.read_bytes(COMBINED))
    folds = []
    for fold, score in enumerate(run.metrics["choice"]["combination"]["scores"]):
        rows = np.flatnonzero(arrays["held_out"][fold])
        folds.append(FoldResult(fold, 0, score, History((), ()), rows, arrays["probabilities"][0, 0, rows]))
    return TrialResult(0, {}, tuple(folds))


def of_evaluation(run: StoredRun) -> dict[str, Any]:
    """Evaluated again, on the recorded probabilities."""
    assert run.metrics is not None
    with np.load(run.path.parents[1] / "judged.npz") as judged, pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction.TrainedNetwork, "probabilities", lambda *_: judged["probabilities"])
        judged_run = load(run.path.parent / run.metrics["run"])
        return evaluate(judged_run, run.path.parents[1] / "scratch", run.metrics["source"]).metrics


def of_reproduction(run: StoredRun) -> dict[str, Any]:
    assert run.metrics is not None
    steps = [(step, load(run.path.parent / step["run"])) for step in run.metrics["steps"]]
    done = {(step["part"], step["name"]): Outcome(one.path, one.metrics or {}) for step, one in steps}
    rows = table_of(done, Work(run.config, run.path.parent).dataset.digits)
    rows = [row if row.part == UNTRAINED else shown_only(row, NOT_COMPARED) for row in rows]
    return {"label": LABEL[True], "warnings": [LABEL[True]], "table": [vars(row) for row in rows]}


def again(command: Callable[[ExperimentConfig, Path], Outcome]) -> Callable[[StoredRun], dict[str, Any]]:
    return lambda run: command(run.config, run.path.parents[1] / "scratch").metrics


AGAIN: dict[str, Callable[[StoredRun], dict[str, Any]]] = {
    Kind.TRAIN: of_training, Kind.SWEEP_OPTIMIZER: of_sweep, Kind.SWEEP_DROPOUT: of_sweep, Kind.BEST: of_best,
    Kind.EVALUATE: of_evaluation, Kind.REPRODUCE: of_reproduction, Kind.EXAMPLES: again(examples.run_examples),
    Kind.SUMMARY: again(examples.run_summary),
}  # fmt: skip
