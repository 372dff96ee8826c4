"""The assignment reproduced: every task done once, every reported figure beside ours, the comparisons right."""

import csv
import io
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import call
from rich.console import Console
from small import undrawn
from tiny_best import tiny

from mnistexp import data
from mnistexp.cli import console_report
from mnistexp.commands.assignment import story
from mnistexp.commands.assignment.assignment import FULL, LONG, QUICK, tasks_of
from mnistexp.commands.assignment.comparison_row import ComparisonRow, finite
from mnistexp.commands.assignment.curves import band_row, curve_rows, seeds_row
from mnistexp.commands.assignment.figures import curves_over_band
from mnistexp.commands.assignment.grids import best_of, row_scores, seed_scores
from mnistexp.commands.assignment.plan import plan_reproduce
from mnistexp.commands.assignment.story import run_reproduce, size_of
from mnistexp.commands.examples import run_summary
from mnistexp.commands.sweep import run_sweep
from mnistexp.config.models import DataConfig, ExperimentConfig, TrainingConfig
from mnistexp.config.settings import packaged, resolve, to_yaml
from mnistexp.config.yaml_source import parse
from mnistexp.errors import ConfigError, Interrupted
from mnistexp.report import reports
from mnistexp.report.markdown import page_to_markdown
from mnistexp.report.page import Table
from mnistexp.report.reports import read_page
from mnistexp.runs import references, stored_runs
from mnistexp.runs.results import FitDone, Outcome, Step
from mnistexp.runs.status import read_record
from mnistexp.runs.stored_runs import list_runs
from mnistexp.sweeps.sweep_files import read_sweep
from mnistexp.training import fitting

GRIDS = (
    {"optimizer.name": ("adam",), "optimizer.learning_rate": (0.001, 0.01, 0.1)},
    {"model.dropout": (0.0, 0.3, 0.6)},
)
SIZE = replace(QUICK, quick=False, short=1, long=2, epochs=1, final_repeats=1, values=None)


def small() -> ExperimentConfig:
    """One optimizer's sweep and one of dropout, which has another learning rate.

    Validated every 5 epochs, as the packaged configuration says.
    """
    return tiny({"grid": GRIDS}, training=TrainingConfig(epochs=3, batch_size=16, validate_every=5))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduce") / "runs"


@pytest.fixture(scope="module")
def outcome(runs: Path) -> Outcome:
    """A reproduction that was stopped twice on its way: in the second training, and in a sweep."""
    for wanted in ("SGD, 150 epochs", "dropout (as intended)"):
        current = ""

        def stop(event: Any, wanted: str = wanted) -> None:
            nonlocal current
            current = event.what if isinstance(event, Step) else current
            from_cache = isinstance(event, FitDone) and event.done == event.cached
            if current.startswith(wanted) and not isinstance(event, Step) and not from_cache:
                raise KeyboardInterrupt

        with pytest.raises(Interrupted, match="run the same command again to continue"), undrawn():
            run_reproduce(small(), runs, SIZE, stop)
    return run_reproduce(small(), runs, SIZE)


def test_a_stopped_reproduction_continues_in_its_folder_and_repeats_nothing(outcome: Outcome, runs: Path) -> None:
    mine, *_ = [info for info in list_runs(runs) if info.command == "reproduce"]
    assert (mine.path, mine.status) == (outcome.run_dir, "done")
    steps = {(step["part"], step["name"]): step for step in outcome.metrics["steps"]}
    assert steps["curves", "sgd_60_epochs"]["reused"]
    assert steps["as submitted", "adam"]["reused"]
    assert not steps["as intended", "best model"]["reused"]
    trainings = [info for info in list_runs(runs) if info.command == "train"]
    assert [info.status for info in trainings] == ["done"] * 3
    for step in steps.values():
        assert (runs / step["run"] / "metrics.json").exists()


def test_each_task_is_recorded_as_a_step_and_latest_means_the_reproduction(outcome: Outcome, runs: Path) -> None:
    for step in outcome.metrics["steps"]:
        assert read_record(runs / step["run"]).part_of == outcome.run_dir.name
    assert {run.part_of for run in references.started(runs)} == {None}
    assert outcome.run_dir.name in {run.id for run in references.started(runs)}


def test_a_finished_reproduction_is_repeated_without_a_single_fit(outcome: Outcome, runs: Path) -> None:
    said: list[Any] = []
    again = run_reproduce(small(), runs, SIZE, said.append)
    assert all(step["reused"] for step in again.metrics["steps"])
    assert {type(event) for event in said} == {Step}
    assert again.metrics["table"] == outcome.metrics["table"]
    assert (again.run_dir / "table.csv").read_bytes() == (outcome.run_dir / "table.csv").read_bytes()
    plan = plan_reproduce(small(), runs, SIZE)
    assert all(row.run for row in plan.rows if row.what["command"] != "best")
    assert plan.to_run == 0


def test_the_table_has_every_reported_figure(outcome: Outcome) -> None:
    rows = {(row["part"], row["what"]): row for row in outcome.metrics["table"]}
    for what in (
        "digits of each class, 0 to 9", "parameters of the network", "labels printed for the pictures 37, 72",
    ):  # fmt: skip
        assert ("data", what) in rows
    for what, reported in (
        ("sgd_150_epochs: lowest validation loss", 0.3083), ("sgd_150_epochs: epoch of the lowest validation loss", 9),
        ("sgd_150_epochs: test accuracy", 0.925), ("adam_dropout_50_epochs: test accuracy", 0.96),
    ):  # fmt: skip
        assert rows["curves", what]["reported"] == reported
        low, high = rows["curves", what]["interval"]
        assert low < high
    adam = rows["as submitted", "adam: mean of 36 rows"]
    assert adam["reported"] == pytest.approx(0.9161, abs=1e-4)
    assert adam["fault"].startswith("create_model ignored its arguments")
    assert ("as submitted", "dropout: mean of 5 rows") in rows
    intended = [row["reported"] for row in rows.values() if row["what"].startswith("the notebook's")]
    assert intended == [0.934997, 0.191218, 0.745611]
    counts = outcome.metrics["agreements"]
    assert sum(counts.values()) == len(rows)
    assert counts["yes"] == sum(row["agrees"] is True for row in rows.values())
    stored = stored_runs.load(outcome.run_dir)
    assert stored.metrics == {"schema_version": 1} | json.loads(json.dumps(outcome.metrics))
    with (outcome.run_dir / "table.csv").open() as file:
        assert [row["what"] for row in csv.DictReader(file)] == [what for _, what in rows]
    assert (outcome.run_dir / "reported_rows.svg").stat().st_size > 0


def test_no_nan_of_a_reproduction_reaches_a_reader(outcome: Outcome) -> None:
    stored = stored_runs.load(outcome.run_dir)
    document = json.dumps(outcome.metrics, allow_nan=False)
    for row in outcome.metrics["table"]:
        assert row["ours"] is not None or row["agrees"] is None
        assert row["agrees"] is None or row["interval"] or row["part"] == "data", row
    page = b"\n".join(page_to_markdown(reports.read_page([stored]), "figures").values()).decode(errors="replace")
    terminal = Console(file=io.StringIO(), width=200)
    for part in console_report.answer(outcome):
        terminal.print(part)
    assert isinstance(terminal.file, io.StringIO)
    for text in (page, terminal.file.getvalue(), document, (outcome.run_dir / "table.csv").read_text()):
        assert len(text) > 1000
        assert not re.findall(r"(?<![\w.-])(?:nan|NaN|None|inf|Infinity)(?![\w-])", text)


def test_our_curve_is_drawn_at_every_epoch_beside_the_reported_one(outcome: Outcome) -> None:
    for name, epochs in (("sgd_150_epochs", 2), ("adam_dropout_50_epochs", 1)):
        [axes] = curves_over_band(done_of(outcome), name).axes
        ours, reported = axes.lines[:2]
        for line in (ours, reported):
            assert np.asarray(line.get_xdata()).tolist() == list(range(1, epochs + 1))
            assert np.isfinite(np.asarray(line.get_ydata(), dtype=float)).all()


def test_curves_with_gaps_are_reported_and_drawn_but_not_compared(outcome: Outcome, tmp_path: Path) -> None:
    """As where a training diverges, or where someone validates every few epochs only."""
    done = done_of(outcome)
    for number, gap in enumerate(({2}, {1, 2})):
        folder = tmp_path / str(number)
        shutil.copytree(done["curves", LONG].run_dir, folder)
        header, *lines = (folder / "history.csv").read_text().splitlines()
        cut = [f"{line.rsplit(',', 2)[0]},nan,nan" if epoch in gap else line for epoch, line in enumerate(lines, 1)]
        (folder / "history.csv").write_text("\n".join([header, *cut, ""]))
        broken = done | {("curves", LONG): replace(done["curves", LONG], run_dir=folder)}
        rows = {row.what.removeprefix(f"{LONG}: "): row for row in curve_rows(broken) if row.what.startswith(LONG)}
        for what in ("lowest validation loss", "epoch of the lowest validation loss", "validation loss of epoch 2"):
            row = rows[what]
            assert (row.ours, row.interval, row.agrees) == (None, None, None)
            assert row.how == "not comparable: 1 of our 3 seeds gave no finite number (divergence)"
        [axes] = curves_over_band(broken, LONG).axes
        assert len(np.asarray(axes.lines[0].get_xdata())) == 2 - len(gap)
        assert f"(not a number in {len(gap)} of 2 epochs)" in str(axes.lines[0].get_label())


def done_of(outcome: Outcome) -> dict[tuple[str, str], Outcome]:
    """The outcomes of the steps of a reproduction."""
    found = {}
    for step in outcome.metrics["steps"]:
        stored = stored_runs.load(outcome.run_dir.parent / step["run"])
        found[step["part"], step["name"]] = Outcome(stored.path, stored.metrics or {})
    return found


def test_a_quick_run_compares_no_training_and_counts_no_agreement(outcome: Outcome, runs: Path) -> None:
    quick = run_reproduce(small(), runs, replace(SIZE, quick=True))
    assert all(step["reused"] for step in quick.metrics["steps"])
    assert quick.metrics["label"].startswith("QUICK RUN")
    assert quick.metrics["warnings"] == [quick.metrics["label"]]
    for full, row in zip(outcome.metrics["table"], quick.metrics["table"], strict=True):
        if row["part"] == "data":
            assert row == full
        else:
            assert row["agrees"] is None
            assert row["ours"] == full["ours"]
    [page] = read_page([stored_runs.load(quick.run_dir)]).runs
    assert "agree" not in page.story.headline
    assert "agree" not in {fact.label for fact in page.story.facts}


def test_a_page_gives_the_known_cause_of_each_figure_that_disagrees(outcome: Outcome) -> None:
    [page] = read_page([stored_runs.load(outcome.run_dir)]).runs
    disagree = [row for row in outcome.metrics["table"] if row["agrees"] is False]
    [section] = [section for section in page.sections if section.heading == "Which numbers disagree?"]
    [table] = section.blocks
    assert isinstance(table, Table)
    causes = [row["fault"] or "unknown: not a bug of the notebook" for row in disagree]
    assert [row[2].text for row in table.rows] == causes != []
    assert all(cell.text for row in table.rows for cell in row)


def test_a_row_with_a_number_that_is_not_finite_reports_it_and_compares_nothing() -> None:
    whole = ComparisonRow("curves", "x", 0.5, 0.4, (0.3, 0.6), True, "how")
    assert finite(whole) is whole
    for changes in ({"ours": math.nan}, {"interval": (math.nan, 1.0)}, {"ours": [1, math.inf]}):
        row = finite(replace(whole, **changes))
        assert (row.reported, row.interval, row.agrees) == (0.5, None, None)
        assert row.how.startswith("not comparable: not a finite number")
        assert row.ours == (None if "ours" in changes else 0.4)
    for row in (
        seeds_row("x", "y", 0.5, [0.4, math.nan, 0.5], ""),
        seeds_row("x", "y", 0.5, [0.4, 0.0, 0.5], "", logarithmic=True),
        band_row("x", "loss", np.ones(3), np.array([[1, 1, math.nan]] * 2 + [[1, 1, 1]] * 3), ""),
    ):
        assert (row.ours, row.interval, row.agrees) == (None, None, None)
        assert " of our " in row.how


def test_the_best_model_comes_from_the_intended_sweeps_alone(outcome: Outcome, runs: Path) -> None:
    steps = outcome.metrics["steps"]
    intended = {step["run"] for step in steps if step["part"] == "as intended" and step["command"] != "best"}
    best = stored_runs.load(runs / steps[-1]["run"])
    assert best.metrics is not None
    assert {sweep["run"] for sweep in best.metrics["choice"]["sweeps"]} == intended
    assert best.metrics["representative"]["unseen"] is not None


@pytest.mark.usefixtures("undrawn", "outcome")
def test_failed_parts_of_its_best_end_a_reproduction_with_3_and_nothing_computed_is_lost(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fit of the combination fails, which no sweep tries; the final model is trained on all 160 digits."""
    honest, given = fitting.fit, small()

    def fragile(config: ExperimentConfig, x: Any, *others: Any, **options: Any) -> Any:
        if len(x) < 160 and config.model.dropout and config.optimizer != given.optimizer:
            raise ArithmeticError("it failed")
        return honest(config, x, *others, **options)

    own = tmp_path / "runs"
    shutil.copytree(runs, own, ignore=shutil.ignore_patterns(".cache", "*-best-*"))
    made = {run.id for run in list_runs(own)}
    grids = {"grid": (GRIDS[0], {"model.dropout": (0.1, 0.3)})}
    sweep = given.search.model_copy(update=grids)
    (tmp_path / "own.yaml").write_text(to_yaml(given.model_copy(update={"sweep": sweep})))
    monkeypatch.setattr(fitting, "fit", fragile)
    monkeypatch.setattr(story, "size_of", lambda **_: SIZE)
    done = call("reproduce", "--config", "own.yaml", "--json", cwd=tmp_path)
    new = {run.command: run for run in list_runs(own) if run.id not in made}
    best, reproduction = new["best"], new["reproduce"]
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["error"] == f"fits of best model failed: see runs/{best.id}"
    assert done.stderr.endswith(f"mnistexp: error: fits of best model failed: see runs/{best.id}\n")
    assert (reproduction.command, reproduction.status, reproduction.exit_code) == ("reproduce", "failed", 3)
    assert (best.status, best.exit_code) == ("done", 3)
    assert best.metrics is not None
    assert best.metrics["failed"] == ["combination"]
    assert best.metrics["representative"]["unseen"] is not None


def test_a_finished_step_is_used_again_where_the_source_has_fewer_digits_than_usual(tmp_path: Path) -> None:
    digits = data.load(DataConfig(digits=200))
    np.savez(tmp_path / "few.npz", images=digits.images, labels=digits.labels)
    config = small().model_copy(update={"data": DataConfig(source=str(tmp_path / "few.npz"))})
    [task] = [task for task in tasks_of(data.Dataset.load(config).config, SIZE) if task.name == "network"]
    made = run_summary(task.config, tmp_path / "runs").run_dir
    rows = plan_reproduce(config, tmp_path / "runs", SIZE).rows
    assert [row.run for row in rows if row.what["name"] == "network"] == [made.name]


@pytest.mark.usefixtures("undrawn")
def test_another_sweep_in_between_changes_nothing(outcome: Outcome, runs: Path) -> None:
    [task] = [task for task in tasks_of(small(), SIZE) if task.part == "as intended" and task.name == "adam"]
    assert task.config.sweep is not None
    narrow = task.config.sweep.model_copy(update={"grid": {"optimizer.name": ("adam",)}})
    run_sweep(task.config.model_copy(update={"sweep": narrow}), task.command, runs)
    assert run_reproduce(small(), runs, SIZE).metrics["table"] == outcome.metrics["table"]


def test_rows_as_submitted_are_seeds_of_one_network(outcome: Outcome, runs: Path) -> None:
    steps = {(step["part"], step["name"]): runs / step["run"] for step in outcome.metrics["steps"]}
    adam, dropout = steps["as submitted", "adam"], steps["as submitted", "dropout"]
    assert row_scores(adam).tolist() == row_scores(dropout).tolist()
    assert len(set(row_scores(adam))) > 1
    [fixed] = [folder for (_, name), folder in steps.items() if "without dropout" in name]
    [trial] = read_sweep(fixed).trials
    scores = seed_scores(fixed)
    assert len(scores) == SIZE.row_seeds
    assert scores.mean() == pytest.approx(trial.mean)
    [whole] = [one for one in read_sweep(steps["as intended", "dropout"]).trials if one.params["model.dropout"] == 0]
    assert scores[0] == whole.mean


# The size


def base() -> ExperimentConfig:
    return resolve([parse(packaged("best"), "best")]).config


def test_the_full_size_covers_the_whole_assignment() -> None:
    tasks = {(task.part, task.name): task for task in tasks_of(base(), FULL)}
    trials = {key: points(task.config) for key, task in tasks.items() if task.command.startswith("sweep")}
    assert {key: count for key, count in trials.items() if key[0] == "as intended"} == {
        ("as intended", "adam"): 36, ("as intended", "nadam"): 36, ("as intended", "adadelta"): 16,
        ("as intended", "dropout"): 5,
    }  # fmt: skip
    assert [trials["as submitted", name] for name in ("adam", "nadam", "adadelta", "dropout")] == [12, 12, 16, 5]
    every = {(task.part, task.name): task for task in tasks_of(base(), size_of(quick=False, all_rows=True))}
    assert [points(every["as submitted", name].config) for name in ("adam", "nadam", "adadelta", "dropout")] == [
        36, 36, 16, 5,
    ]  # fmt: skip
    short, long = tasks["curves", "sgd_60_epochs"].config, tasks["curves", "sgd_150_epochs"].config
    assert (short.training.epochs, long.training.epochs) == (60, 150)
    assert short.optimizer == long.optimizer == resolve([parse(packaged("train"), "train")]).config.optimizer
    assert all(task.config.training.epochs == 50 for key, task in tasks.items() if key in trials)
    assert tasks["as intended", "best model"].config.sweep == base().sweep


def points(config: ExperimentConfig) -> int:
    assert config.sweep is not None
    [grid] = config.sweep.grids
    return int(np.prod([len(values) for values in grid.values()]))


def test_a_reproduction_needs_the_dropout_sweep(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sweep.grid: has no grid of model.dropout"):
        run_reproduce(tiny({"grid": GRIDS[:1]}), tmp_path / "runs", SIZE)
    assert not list(tmp_path.iterdir())


# The comparisons


def test_a_further_seed_agrees_in_about_95_of_100_cases_and_another_training_does_not() -> None:
    rng = np.random.default_rng(0)
    inside = [seeds_row("x", "y", rng.normal(0.3, 0.02), rng.normal(0.3, 0.02, 5), "").agrees for _ in range(3000)]
    assert 0.93 < np.mean(inside) < 0.97
    row = seeds_row("x", "y", 0.5, rng.normal(0.3, 0.02, 5), "run")
    assert row.agrees is False
    assert seeds_row("x", "y", 0.5, [0.5, 0.5], "").agrees is None
    loss = seeds_row("x", "y", 2e-4, [1e-4, 2e-4, 4e-4], "", logarithmic=True)
    assert loss.ours == pytest.approx(2e-4)
    assert loss.agrees


def test_a_curve_of_the_same_kind_is_in_the_band_and_another_is_not() -> None:
    rng = np.random.default_rng(1)
    shape = 0.3 + 1 / np.arange(1, 51)
    ours = shape + rng.normal(0, 0.02, (6, 50))
    same = band_row("x", "loss", shape, ours, "")
    other = band_row("x", "loss", shape + 0.2, ours, "")
    assert same.agrees
    assert other.agrees is False
    assert other.reported < 0.2
    assert band_row("x", "loss", shape, ours[:3], "").agrees is None


def test_the_highest_of_further_scores_is_predicted() -> None:
    """In 95% of all cases the highest of 20 further scores lies in the interval from 10 scores."""
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(1000):
        mean, spread = 0.9, 0.006
        low, high = np.quantile(best_of(20, rng.normal(mean, spread, 10), 0, draws=2000), [0.025, 0.975])
        inside += low <= rng.normal(mean, spread, 20).max() <= high
    assert 930 < inside < 970


# The command line


def test_the_command_plans_without_writing(tmp_path: Path) -> None:
    plan = json.loads(call("reproduce", "--dry-run", "--json", cwd=tmp_path).stdout)
    assert [step["name"] for step in plan["steps"]][:4] == [
        "example digits", "network", "sgd_60_epochs", "sgd_150_epochs",
    ]  # fmt: skip
    assert plan["fits"] == 93 * 3 + 45 * 3 + 8 * 3 + 3
    assert not list(tmp_path.iterdir())
