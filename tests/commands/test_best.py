"""The best model: chosen by training digits alone, the same however interrupted, and honest about what it is worth."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import call, program
from small import NETWORK, options
from tiny_best import GRIDS, tiny

from mnistexp import data, statistics
from mnistexp.commands.assignment.reported import NOTEBOOK, reported_curves, reported_rows
from mnistexp.commands.best.choosing import Candidate, Choice, Winners, candidates_of, choose_setting, pooled
from mnistexp.commands.best.ledger import Ledger, LedgerEntry, read_ledger
from mnistexp.commands.best.nested import nested_score, plan_nested
from mnistexp.commands.best.plan import plan_best
from mnistexp.commands.best.story import run_best
from mnistexp.commands.sweep import run_sweep
from mnistexp.commands.train import run_training
from mnistexp.config.models import ExperimentConfig, SweepConfig
from mnistexp.config.settings import override, to_yaml
from mnistexp.config.shown import percent
from mnistexp.data import Dataset, Digits
from mnistexp.errors import BadInput, ConfigError, Interrupted
from mnistexp.figures import sweeps
from mnistexp.runs.results import EpochDone, FitDone, FoldResult, History, Outcome, Step, TrialResult
from mnistexp.runs.stored_runs import list_runs, load
from mnistexp.sweeps import sweeping
from mnistexp.sweeps.ranking import correct_matrix
from mnistexp.sweeps.sweep_files import read_sweep
from mnistexp.sweeps.swept import family_sweeps, find_sweeps
from mnistexp.sweeps.trial_cache import TrialCache
from mnistexp.training import fitting
from mnistexp.training.runtime import import_keras


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("best") / "runs"


@pytest.fixture(scope="module")
def outcome(runs: Path) -> Outcome:
    """Everything on: missing sweeps run, three seeds, nested cross-validation, the prediction, unseen digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeps, "of_sweep", lambda *_: {})  # of the missing ones
        return run_best(tiny(repeats=3), runs, with_nested=True, predict=True, unseen=True)


def sweeps_of(runs: Path) -> dict[str, Any]:
    return {info.name: read_sweep(info.path) for info in list_runs(runs) if info.command.startswith("sweep")}


# The choice


def test_the_best_optimizer_and_the_best_rate_of_the_sweeps_are_combined(outcome: Outcome, runs: Path) -> None:
    found = sweeps_of(runs)
    assert set(found) == {"adam", "nesterov", "dropout"}
    optimizer = max((trial for name in ("adam", "nesterov") for trial in found[name].trials), key=lambda t: t.mean)
    rate = max(found["dropout"].trials, key=lambda trial: trial.mean)
    choice = outcome.metrics["choice"]
    combined = choice["combination"]["params"]
    assert {key: combined[key] for key in optimizer.params} == optimizer.params
    assert combined["model.dropout"] == rate.params["model.dropout"]
    assert choice["dropout"]["accuracy"] == rate.mean
    assert outcome.metrics["best_score"] == max(optimizer.mean, rate.mean, choice["combination"]["accuracy"])
    assert [sweep["family"] for sweep in outcome.metrics["choice"]["sweeps"]] == ["adam", "nesterov", "dropout"]
    assert outcome.metrics["choice"]["optimizer"]["accuracy"] == optimizer.mean


def test_the_folder_contains_the_documented_files(outcome: Outcome) -> None:
    for name in (
        "model.keras", "history.csv", "loss_curves.svg", "confusion_matrix.png", "trials_by_family.png",
        "accuracies.svg", "choice.json", "final.yaml", "data.json", "timings.csv", "repeats/2/model.keras",
    ):  # fmt: skip
        assert (outcome.run_dir / name).stat().st_size > 0, name
    assert not list(outcome.run_dir.rglob("checkpoint.npz"))
    stored = load(outcome.run_dir)
    assert stored.metrics is not None
    for key in ("test_accuracy", "test_accuracy_interval", "epochs", "seed", "repeats", "confusion_matrix"):
        assert stored.metrics[key] is not None
    assert stored.metrics["validated_on"] is None
    assert not any("validated on the test digits" in warning for warning in stored.metrics["warnings"])
    assert stored.history is not None
    assert stored.history.val_loss == ()


@pytest.mark.usefixtures("undrawn")
def test_the_same_call_uses_the_same_sweeps_and_gives_the_same_bits(outcome: Outcome, runs: Path) -> None:
    before = {info.id for info in list_runs(runs)}
    said: list[Any] = []
    again = run_best(tiny(), runs, watch=said.append)
    assert {info.id for info in list_runs(runs)} - before == {again.run_dir.name}
    assert not [event for event in said if isinstance(event, FitDone) and event.done > event.cached]
    assert again.metrics["choice"] == json.loads(json.dumps(outcome.metrics["choice"]))
    assert (again.run_dir / "history.csv").read_bytes() == (outcome.run_dir / "history.csv").read_bytes()
    assert again.metrics["test_correct"] == outcome.metrics["test_correct"]
    assert again.metrics["representative"]["unseen"] is None


def spoiled(load_digits: Callable[..., Digits], rows: Any) -> Callable[..., Digits]:
    """A source whose digits at `rows` have other labels and other pictures."""

    def load_spoiled(*arguments: Any) -> Digits:
        digits = load_digits(*arguments)
        images, labels = digits.images.copy(), digits.labels.copy()
        labels[rows] = (labels[rows] + 3) % 10
        images[rows] = 255 - images[rows]
        return replace(digits, images=images, labels=labels, sha256="spoiled", labels_sha256="spoiled")

    return load_spoiled


@pytest.mark.usefixtures("undrawn")
def test_neither_test_nor_unseen_digits_influence_the_choice(
    outcome: Outcome, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = sweeps_of(runs)
    test = Dataset.load(tiny()).split.test
    monkeypatch.setattr(data, "load_unseen", spoiled(data.load_unseen, slice(None)))
    monkeypatch.setattr("mnistexp.data.dataset.load", spoiled(data.load, test))
    planted = run_best(tiny(), tmp_path, predict=True, unseen=True)
    assert planted.metrics["representative"]["test"]["digits"] == 40
    assert planted.metrics["test_accuracy"] != outcome.metrics["test_accuracy"]
    evidence, honest_evidence = planted.metrics["representative"], outcome.metrics["representative"]
    assert evidence["unseen"]["accuracy"] != honest_evidence["unseen"]["accuracy"]
    for section in ("selection", "prediction"):
        assert evidence[section] == honest_evidence[section]
    for key in ("best_params", "best_score", "better"):
        assert planted.metrics[key] == outcome.metrics[key]
    assert without_runs(planted.metrics["choice"]) == without_runs(outcome.metrics["choice"])
    for name, sweep in sweeps_of(tmp_path).items():
        for one, other in zip(sweep.trials, honest[name].trials, strict=True):
            for fold, same in zip(one.folds, other.folds, strict=True):
                assert fold.probabilities.tobytes() == same.probabilities.tobytes()
    assert (planted.run_dir / "history.csv").read_bytes() == (outcome.run_dir / "history.csv").read_bytes()
    assert weights(planted) == weights(outcome)


def weights(outcome: Outcome) -> list[bytes]:
    keras = import_keras()
    return [array.tobytes() for array in keras.saving.load_model(outcome.run_dir / "model.keras").get_weights()]


def without_runs(choice: Any) -> Any:
    """The choice, less the names of run folders."""
    if isinstance(choice, dict):
        return {key: without_runs(value) for key, value in choice.items() if key != "run"}
    return [without_runs(item) for item in choice] if isinstance(choice, list) else choice


def trial(index: int, scores: list[float], error: str | None = None) -> TrialResult:
    """A trial with these scores on folds of ten digits, all of them labelled 0."""
    folds = []
    for number, score in enumerate(scores):
        rows = np.arange(10) + 10 * number
        probabilities = np.eye(10, dtype=np.float32)[(np.arange(10) >= round(10 * score)).astype(int)]
        folds.append(FoldResult(number, 0, score, History((), ()), rows, probabilities, error=error))
    return TrialResult(index, {}, tuple(folds))


def candidates(*given: tuple[str, list[float], dict[str, Any]]) -> list[Candidate]:
    base = tiny().model_copy(update={"sweep": None})
    return [
        Candidate((family,), ("run",), trial(index, scores), override(base, changes))
        for index, (family, scores, changes) in enumerate(given)
    ]


def chosen(rule: Any, given: list[Candidate], combination: list[float] | None = None) -> Choice:
    """The choice among candidates; `combination`: its scores, where none of them is it."""
    return choose_setting(Winners.among(rule, given, LABELS), lambda _: trial(0, combination or []))


LABELS = np.zeros(30, np.int64)


def test_equal_scores_are_ranked_in_the_order_of_the_candidates() -> None:
    rates = [{"optimizer.name": "adam", "optimizer.learning_rate": rate} for rate in (0.1, 0.01, 0.001)]
    choice = chosen("best", candidates(*(("adam", [0.9, 0.8, 0.9], rate) for rate in rates)))
    assert choice.config.optimizer.learning_rate == 0.1
    assert choice.winners.tied == {"optimizer": 3, "dropout": 0}
    assert choice.tied == 3


def test_the_requested_selection_rule_is_applied() -> None:
    cheap, dear = {"optimizer.name": "sgd"}, {"optimizer.name": "adam"}
    given = candidates(("sgd", [0.8, 0.9, 0.9], cheap), ("adam", [0.9, 0.9, 0.9], dear))
    given[1] = replace(given[1], trial=trial(1, [0.8, 1.0, 0.9]))
    for rule, name in (("best", "adam"), ("one-se", "sgd"), ("cheapest", "sgd")):
        assert chosen(rule, given).config.optimizer.name == name


def test_the_best_of_all_is_chosen_whether_a_trial_or_the_combination() -> None:
    adam, dropped = {"optimizer.name": "adam"}, {"optimizer.name": "adam", "model.dropout": 0.5}
    given = candidates(
        ("adam", [0.9, 0.9, 0.9], adam), ("dropout", [0.8, 0.8, 0.8], dropped | {"optimizer.beta_1": 0.7})
    )
    better, worse = chosen("best", given, [1.0, 0.9, 0.9]), chosen("best", given, [0.7, 0.7, 0.7])
    for choice in (better, worse):
        assert (choice.combination.config.optimizer.name, choice.combination.config.model.dropout) == ("adam", 0.5)
        assert len(choice.pool) == len(choice.everyone) == 3
    assert better.chosen is better.combination
    assert worse.chosen is given[0]
    rate = chosen("best", [given[0], replace(given[1], trial=trial(1, [1.0, 1.0, 1.0]))], [0.9, 0.9, 0.9])
    assert rate.config.model.dropout == 0.5
    assert rate.config.optimizer.beta_1 == 0.7  # type: ignore[union-attr]
    alone = chosen("best", given[:1])
    assert alone.combination is alone.chosen is given[0]
    assert alone.everyone == (given[0],)


def test_a_dropout_trial_of_an_unswept_optimizer_decides_only_the_rate() -> None:
    given = candidates(
        ("sgd", [0.8, 0.8, 0.8], {"optimizer.name": "sgd"}),
        ("dropout", [0.9, 0.9, 0.9], {"optimizer.name": "adam", "model.dropout": 0.5}),
    )
    choice = chosen("best", given, [0.7, 0.7, 0.7])
    assert choice.combination.params["model.dropout"] == 0.5
    assert choice.chosen is given[0]
    assert choice.highest is given[0]


def test_a_combination_that_failed_is_not_chosen() -> None:
    given = candidates(
        ("adam", [0.8, 0.8, 0.8], {"optimizer.name": "adam"}),
        ("dropout", [0.7, 0.7, 0.7], {"optimizer.name": "adam", "optimizer.beta_1": 0.1, "model.dropout": 0.5}),
    )
    winners = Winners.among("best", given, LABELS)
    choice = choose_setting(winners, lambda _: trial(0, [1.0, 1.0, 1.0], error="it failed"))
    assert choice.chosen is given[0]
    assert choice.everyone == tuple(given)


@pytest.mark.usefixtures("undrawn")
def test_failed_parts_of_the_evidence_are_named_and_the_rest_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit of the combination, one of the prediction, and all of the sweep without an outer fold fail."""
    honest = fitting.fit

    def fragile(config: ExperimentConfig, x: Any, y: Any, validation: Any, seed: fitting.Seed, **options: Any) -> Any:
        combined = config.optimizer.name == "nesterov" and config.model.dropout == 0.3
        if (combined and seed.fold == 1) or len(x) in (70, 71, 72) or (len(x) == 144 and seed.fold in (4, 5)):
            raise ArithmeticError("it failed")
        return honest(config, x, y, validation, seed, **options)

    monkeypatch.setattr(fitting, "fit", fragile)
    config = tiny({"grid": (GRIDS[1], {"model.dropout": (0.3,)})})
    (tmp_path / "own.yaml").write_text(to_yaml(config))
    done = call("best", "--config", "own.yaml", "--nested", "--json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["failed"] == ["combination", "nested", "prediction"]
    *others, nested, prediction = metrics["warnings"]
    assert "A fit of the combination failed, so it could not be chosen: ArithmeticError: it failed." in others
    assert nested.startswith("There is no nested cross-validation: every trial failed")
    assert prediction.endswith("4 of 20 fits failed, the first with: ArithmeticError: it failed.")
    assert "a fit of a part failed: combination, nested, prediction" in done.stderr
    assert metrics["choice"]["combination"]["accuracy"] is None
    assert metrics["choice"]["chosen"]["params"]["optimizer.name"] == "nesterov"
    evidence = metrics["representative"]
    assert evidence["nested"] is evidence["prediction"] is metrics["predicted_accuracy"] is None
    assert evidence["test"]["accuracy"] == metrics["test_accuracy"]
    [best] = [info for info in list_runs(tmp_path / "runs") if info.command == "best"]
    assert (best.status, best.exit_code) == ("done", 3)
    assert "could not be chosen" in best.read_text("report.html")

    monkeypatch.setattr(fitting, "fit", honest)
    again = call("best", "--config", "own.yaml", "--nested", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["metrics"]["failed"] == []


def test_a_setting_that_several_sweeps_tried_counts_once() -> None:
    adam = {"optimizer.name": "adam"}
    given = candidates(
        ("dropout", [0.9, 0.9, 0.9], adam), ("adam", [0.8, 0.8, 0.8], adam), ("adam", [0.7, 0.7, 0.7], {})
    )
    given[1] = replace(given[1], runs=("earlier",))
    [one] = pooled(given)
    assert (one.families, set(one.runs)) == (("adam", "dropout"), {"run", "earlier"})
    assert one.trial is given[0].trial


def sweep_result(*trials: TrialResult) -> Any:
    from mnistexp.runs.results import SweepResult

    return SweepResult(trials, LABELS, best=0)


def test_failed_trials_take_no_part() -> None:
    failed = trial(0, [1.0, 1.0, 1.0], error="it failed")
    assert candidates_of(("adam",), tiny(), sweep_result(replace(failed, params={"optimizer.name": "adam"}))) == ()
    with pytest.raises(BadInput, match="every trial of every sweep failed"):
        Winners.among("best", [], LABELS)


# Which sweeps


@pytest.mark.usefixtures("undrawn")
def test_every_comparable_finished_sweep_is_used_and_others_are_named_with_the_reason(
    tmp_path: Path,
) -> None:
    config = tiny({"grid": GRIDS[:1]}, epochs=1)
    [part] = family_sweeps(config)
    asked = Dataset.load(part.config)

    def found() -> tuple[list[str], dict[str, str]]:
        swept, left = find_sweeps(asked, tmp_path)
        return [one.run for one in swept], {one.run: one.why for one in left}

    assert found() == ([], {})
    right = run_sweep(part.config, part.command, tmp_path).run_dir

    def planted(second: int, changes: dict[str, Any], **about: Any) -> Path:
        """A later run that did the same work with other settings, or on other digits."""
        folder = tmp_path / f"20990101T0000{second:02}Z-sweep-optimizer-planted-0000"
        shutil.copytree(right, folder)
        (folder / "config.yaml").write_text(to_yaml(override(part.config, changes)))
        document = {key: about.get(key, value) for key, value in json.loads((right / "data.json").read_text()).items()}
        (folder / "data.json").write_text(json.dumps(document))
        return folder

    for second, (key, value, why) in enumerate([
        ("training.epochs", 2, "training.epochs is 2 there and 1 here"), ("seed", 3, "seed is 3 there and 2 here"),
        ("sweep.folds", 2, "sweep.folds is 2 there and 3 here"), ("sweep.shuffle_folds", True, "sweep.shuffle_folds"),
        ("repeats", 2, "repeats is 2 there and 1 here"), ("sweep.as_submitted", True, "the notebook's bug"),
        ("training.batch_size", 8, "training.batch_size"), ("model.dense_units", 8, "model.dense_units is 8"),
        ("sweep.strategy", "halving", "early"), ("sweep.grid", {"training.epochs": [1, 2]}, "other keys"),
    ]):  # fmt: skip
        name = planted(second, {key: value}).name
        taken, left = found()
        assert taken == [right.name], key
        assert why in left[name]
    for second, about in enumerate([{"sha256": "0"}, {"labels_sha256": "0"}, {"test": [1, 2]}], start=20):
        name = planted(second, {}, **about).name
        taken, left = found()
        assert taken == [right.name], about
        assert "there and" in left[name]
    stopped = planted(30, {})
    status = json.loads((stopped / "status.json").read_text())
    (stopped / "status.json").write_text(json.dumps(status | {"status": "interrupted"}))
    broken = planted(31, {})
    (broken / "predictions.npz").write_bytes(b"rubbish")
    taken, left = found()
    assert taken == [right.name]
    assert stopped.name not in left
    assert "damaged" in left[broken.name]
    newer = planted(40, {"sweep.grid": {"optimizer.name": ["adam"], "optimizer.learning_rate": [0.5]}})
    assert found()[0] == [right.name, newer.name]


@pytest.mark.usefixtures("undrawn")
def test_a_small_later_sweep_does_not_set_the_earlier_one_aside(tmp_path: Path) -> None:
    """A good grid, then one of bad values with a setting of the first, another optimizer's, and one of other epochs."""

    def swept(changes: dict[str, Any]) -> Any:
        config = override(tiny({"grid": GRIDS[:1]}), changes)
        return run_sweep(config, "sweep-optimizer", tmp_path)

    def grid(name: str, *rates: float) -> dict[str, Any]:
        return {"sweep.grid": {"optimizer.name": [name], "optimizer.learning_rate": list(rates)}}

    good = swept(grid("adam", 0.001, 0.01))
    bad = swept(grid("adam", 0.01, 1.0))
    other = swept(grid("rmsprop", 0.001))
    longer = swept(grid("adam", 0.01) | {"training.epochs": 4})
    config = tiny({"grid": GRIDS[:1]})
    plan = plan_best(config, tmp_path)
    assert [(one["family"], one["run"], one["trials"]) for one in plan.document["sweeps"]] == [
        ("adam", good.run_dir.name, 2), ("adam", bad.run_dir.name, 2), ("rmsprop", other.run_dir.name, 1),
    ]  # fmt: skip
    outcome = run_best(config, tmp_path)
    found = outcome.metrics
    every = [row for sweep in (good, bad, other) for row in sweep.metrics["ranking"]]
    assert found["best_score"] == max(row["mean"] for row in every)
    assert plan.document["chosen"] == found["best_params"]
    assert [sweep["run"] for sweep in found["choice"]["sweeps"]] == [one["run"] for one in plan.document["sweeps"]]
    assert (found["choice"]["settings"], found["choice"]["repeated"]) == (4, 1)
    assert found["better"]["chosen"]["trials"] == found["representative"]["selection"]["trials"] == 4
    assert found["representative"]["selection"]["winner"] == found["best_params"]
    assert found["representative"]["selection"]["raw"] == found["best_score"]
    assert found["left_aside"] == [{"run": longer.run_dir.name, "why": "training.epochs is 4 there and 3 here"}]
    assert any(longer.run_dir.name in warning for warning in found["warnings"])
    listed = plan_best(config, tmp_path, listed_only=True).document
    assert {one["family"] for one in listed["sweeps"]} == {"adam"}
    assert {one["run"] for one in listed["left_aside"]} == {other.run_dir.name, longer.run_dir.name}
    alone = run_best(config, tmp_path, [bad.run_dir.name])
    assert [sweep["run"] for sweep in alone.metrics["choice"]["sweeps"]] == [bad.run_dir.name]
    assert alone.metrics["left_aside"] == []


@pytest.mark.usefixtures("undrawn")
def test_a_winner_no_better_than_chance_gets_a_warning(tmp_path: Path) -> None:
    rate = {"optimizer.name": ("adam",), "optimizer.learning_rate": (100.0,)}
    found = run_best(tiny({"grid": (rate,)}), tmp_path).metrics
    assert found["best_score"] < 0.2
    assert any("the chosen setting has not learned" in warning.lower() for warning in found["warnings"])


@pytest.mark.usefixtures("undrawn")
def test_sweeps_can_be_named_and_anything_else_is_refused_before_anything_is_written(
    outcome: Outcome, runs: Path
) -> None:
    names = [info.id for info in list_runs(runs) if info.command.startswith("sweep")]
    before = {info.id for info in list_runs(runs)}
    for reference, expected in {
        outcome.run_dir.name: "is a best run, allowed: a finished sweep",
        "nothing": "no run 'nothing'",
    }.items():
        with pytest.raises(BadInput, match=expected):
            run_best(tiny(), runs, [reference])
    with pytest.raises(BadInput, match=r"is not comparable: seed is 2 there and 3 here"):
        run_best(tiny(seed=3), runs, names)
    assert {info.id for info in list_runs(runs)} == before
    longer = run_best(tiny(epochs=4), runs, names)
    assert longer.metrics["epochs"] == 4
    assert without_runs(longer.metrics["choice"]) == without_runs(outcome.metrics["choice"])
    assert any("trained for 3 epochs, the final model for 4" in warning for warning in longer.metrics["warnings"])
    [adam] = [name for name in names if "adam" in name]
    alone = run_best(tiny(), runs, [adam])
    assert alone.metrics["choice"]["dropout"] is None
    assert alone.metrics["best_params"]["optimizer.name"] == "adam"


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ({"grid": ()}, "sweep.grid: is empty"),
        ({"grid": ({"training.epochs": (1, 2)},)}, "sweep.grid.0: sweeps training.epochs, allowed: keys of optimizer"),
        ({"grid": (GRIDS[0], GRIDS[0])}, "sweep.grid.1: sweeps adam again"),
        ({"grid": ({"optimizer.name": ("sgd", "adam")},) * 2}, "sweep.grid.1: sweeps sgd again"),
        ({"as_submitted": True}, "sweep.as_submitted: is not supported by best"),
        ({"zip": {"optimizer.beta_1": (0.5,)}}, "sweep.zip: is not supported by best"),
        ({"strategy": "halving"}, "sweep.strategy: is not supported by best"),
    ],
)
def test_settings_that_best_does_not_support_are_refused(sweep: dict[str, Any], expected: str, tmp_path: Path) -> None:
    for run in (run_best, plan_best):
        with pytest.raises(ConfigError, match=re.escape(expected)):
            run(tiny(sweep), tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_digits_used_for_training_are_not_called_unseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "load_unseen", lambda: data.load(tiny().data))
    with pytest.raises(BadInput, match="200 of the 200 unseen digits are among the 200 digits of embedded"):
        run_best(tiny(), tmp_path / "runs", unseen=True)
    assert not list(tmp_path.iterdir())


def test_the_plan_lists_what_is_finished_and_what_is_missing(outcome: Outcome, runs: Path, tmp_path: Path) -> None:
    plan = plan_best(tiny(), tmp_path / "none", with_nested=True, predict=True)
    empty = plan.document
    assert empty["missing"] == ["adam", "nesterov", "dropout"]
    assert [(one["family"], one["run"], one["fits"], one["cached"]) for one in empty["sweeps"]] == [
        ("adam", None, 6, 0), ("nesterov", None, 6, 0), ("dropout", None, 6, 0),
    ]  # fmt: skip
    assert (empty["fits"], empty["confirming_fits"], empty["predicting_fits"]) == (18, 3, 20)
    assert (empty["chosen"], empty["seconds"]) == (None, None)
    assert empty["nested"]["fits"] == 3 * 18 + 2 * 9
    assert plan.fits == 18 + 3 + 20 + empty["nested"]["fits"]
    assert not list(tmp_path.iterdir())
    there = plan_best(tiny(), runs, with_nested=True, predict=True).document
    assert there["missing"] == []
    assert there["confirming_fits"] == there["predicting_fits"] == 0
    assert there["chosen"] == outcome.metrics["best_params"]
    assert there["nested"]["cached"] == 3 * 18
    assert there["seconds"] is not None


# How much better


def test_the_gap_is_computed_from_the_out_of_fold_predictions(outcome: Outcome, runs: Path) -> None:
    found = sweeps_of(runs)
    trials = [one for name in ("adam", "nesterov", "dropout") for one in found[name].trials]
    right = correct_matrix(trials, found["adam"].labels)[:, 0]
    distinct = {trial.tobytes(): [fold.mean() for fold in np.split(trial, [54, 107], axis=0)] for trial in right}
    combination = outcome.metrics["choice"]["combination"]
    accuracy = np.array([np.mean(folds) for folds in distinct.values()] + [combination["accuracy"]])
    better = outcome.metrics["better"]
    everything = better["families"][0]
    assert (everything["family"], everything["trials"]) == ("all", 7)
    assert [row["family"] for row in better["families"]] == ["all", "adam", "nesterov", "dropout", "combination"]
    assert everything["best"]["accuracy"] == pytest.approx(accuracy.max())
    assert everything["worst"]["accuracy"] == pytest.approx(accuracy.min())
    assert everything["average"] == pytest.approx(accuracy.mean())
    assert everything["versus_average"]["points"] == pytest.approx(100 * (accuracy.max() - accuracy.mean()))
    assert everything["versus_worst"]["error_reduction"] == pytest.approx(
        (accuracy.max() - accuracy.min()) / (1 - accuracy.min())
    )
    low, high = everything["versus_worst"]["interval"]
    assert low <= everything["versus_worst"]["points"] <= high
    chosen = better["chosen"]
    assert chosen["best"]["params"] == outcome.metrics["best_params"]
    assert chosen["versus_worst"]["points"] == pytest.approx(100 * (chosen["best"]["accuracy"] - accuracy.min()))
    assert percent(chosen["best"]["accuracy"]) in better["sentence"]
    assert chosen["best"]["accuracy"] == outcome.metrics["best_score"]
    assert better["notebook"]["ours"]["worst"] == min(max(t.mean for t in found[name].trials) for name in found)


def test_the_reported_rows_give_the_figures_of_the_notebook() -> None:
    rows = reported_rows()
    assert {name: len(own) for name, own in rows.items()} == {"adam": 36, "nadam": 36, "adadelta": 16, "dropout": 5}
    figures = statistics.notebook_figures({name: [row.mean for row in own] for name, own in rows.items()})
    assert vars(figures) == pytest.approx(vars(NOTEBOOK), abs=2e-6)


def test_the_reported_curves_are_those_of_the_reference() -> None:
    curves = reported_curves()
    long = curves["sgd_150_epochs"].val_loss
    assert (len(long), min(long), long[-1]) == (150, 0.3083, 0.5038)
    assert [epoch for epoch, loss in enumerate(long, start=1) if loss == min(long)] == [9, 17]
    assert curves["sgd_60_epochs"].loss[-1] == 0.0019
    assert [len(curve.loss) for curve in curves.values()] == [29, 150, 47]


# What it is worth


def test_every_piece_of_evidence_follows_from_its_numbers(outcome: Outcome) -> None:
    found = outcome.metrics["representative"]
    test, unseen, selection = found["test"], found["unseen"], found["selection"]
    assert test["accuracy"] == test["correct"] / test["digits"] == outcome.metrics["test_accuracy"]
    assert unseen["digits"] == 4000
    assert unseen["holds"] == (unseen["predicted"][0] <= unseen["accuracy"] <= unseen["predicted"][1])
    predicted = statistics.predict_accuracy(test["correct"], test["digits"], 4000)
    assert unseen["predicted"] == [predicted.low, predicted.high]
    assert selection["bias"] == pytest.approx(selection["raw"] - selection["corrected"])
    assert found["cross_validation"]["gap"] == pytest.approx(found["cross_validation"]["accuracy"] - test["accuracy"])
    assert found["seeds"]["count"] == 3
    assert found["seeds"]["test_accuracies"][0] == test["accuracy"]
    assert found["seeds"]["unseen_accuracies"][0] == unseen["accuracy"]
    assert len(found["sentences"]) == 8
    for section, value in (
        ("test", test["accuracy"]), ("unseen", unseen["accuracy"]), ("selection", selection["corrected"]),
        ("cross_validation", found["cross_validation"]["accuracy"]), ("nested", found["nested"]["accuracy"]),
    ):  # fmt: skip
        assert percent(value) in found[section]["sentence"], section
    assert found["answer"].startswith("Yes" if unseen["holds"] else "No")


def test_the_prediction_is_a_cross_validation_of_the_chosen_setting_with_folds_and_seeds_of_its_own(
    outcome: Outcome, runs: Path
) -> None:
    found = outcome.metrics["representative"]["prediction"]
    scores = np.array(found["scores"])
    assert scores.shape == (2, 10)
    assert found["cross_validated"] == pytest.approx(scores.mean())
    assert found["accuracy"] == outcome.metrics["predicted_accuracy"]
    assert found["interval"] == outcome.metrics["predicted_accuracy_interval"]
    error = (1 - scores.mean()) * 0.9 ** (1 / 3)
    assert found["accuracy"] == pytest.approx(1 - error)
    config = tiny()
    setting = override(config, {"optimizer.name": outcome.metrics["best_params"]["optimizer.name"]})
    setting = override(setting, outcome.metrics["best_params"]).model_copy(update={"sweep": SweepConfig()})
    own = setting.model_copy(
        update={
            "seed": found["seed"],
            "repeats": 2,
            "training": setting.training.model_copy(update={"validate_every": 0}),
            "sweep": SweepConfig(executor="serial", folds=10, shuffle_folds=True),
        }
    )
    again = sweeping.fit_and_rank(Dataset.load(own), cache=TrialCache(runs)).trials[0]
    assert again.scores.tolist() == scores.ravel().tolist()
    assert all(fold.cached for fold in again.folds)
    assert found["seed"] != config.seed
    assert percent(found["accuracy"]) in found["sentence"]


def test_nested_cross_validation_never_sees_the_fold_it_scores(tmp_path: Path) -> None:
    """Spoil the digits of the first outer fold: what is chosen without that fold stays, to the bit."""
    config = tiny({"grid": GRIDS[:1]})
    sweeps = [(part.config, (part.family,)) for part in family_sweeps(config)]
    dataset = Dataset.load(config)
    held = data.folds(dataset.training[1], SweepConfig(), 0)[0][1]
    planted = spoiled(data.load, dataset.split.train[held])(config.data)
    cache = TrialCache(tmp_path)
    both = dataset, replace(dataset, digits=planted)
    honest, other = (nested_score(given, sweeps, "best", cache) for given in both)
    assert predictions(honest.choices[0]) == predictions(other.choices[0])
    assert predictions(honest.choices[1]) != predictions(other.choices[1])
    assert honest.scores[0] != other.scores[0]
    assert honest.sizes == (54, 53, 53)
    assert honest.summary.accuracy == pytest.approx(np.mean(honest.scores))
    assert sum(plan.to_run for plan in plan_nested(dataset, sweeps, cache)) == 0


def predictions(choice: Choice) -> list[bytes]:
    return [fold.probabilities.tobytes() for candidate in choice.everyone for fold in candidate.trial.folds]


# The ledger


@pytest.mark.usefixtures("undrawn")
def test_the_ledger_counts_every_use_of_the_test_digits(tmp_path: Path) -> None:
    base = tiny().model_copy(update={"sweep": None})
    dataset = Dataset.load(base)
    now = LedgerEntry("now", "best", 2, False)

    def times() -> list[tuple[str, int, bool]]:
        ledger = read_ledger(tmp_path, dataset, now)
        return [(reading.command, reading.times, reading.watched) for reading in ledger.entries[:-1]]

    assert times() == []
    run_training(override(base, {"training.epochs": 2, "repeats": 2}), tmp_path)
    assert times() == [("train", 4, True)]
    run_training(override(base, {"training.validation_fraction": 0.25}), tmp_path)
    assert times() == [("train", 4, True), ("train", 1, False)]
    run_training(override(base, {"data.split_seed": 7}), tmp_path)
    assert len(times()) == 2

    def stop(event: Any) -> None:
        if isinstance(event, EpochDone) and event.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        run_training(base, tmp_path, stop)
    assert times()[2] == ("train", 2, True)
    # Killed at once, a training leaves its checkpoint and no curves.
    stopped = list_runs(tmp_path)[-1].path
    (stopped / "history.csv").unlink()
    assert times()[2] == ("train", 2, True)
    run_best(tiny({"grid": GRIDS[:1]}), tmp_path)
    assert times()[3:] == [("best", 1, False)]
    (stopped / "data.json").write_text("{")
    assert read_ledger(tmp_path, dataset, now).unreadable == 1


def test_the_ledger_says_which_trainings_validate_on_the_test_digits() -> None:
    final = LedgerEntry("b", "best", 1, False)
    assert "used once in this runs folder, by 1 run, each time by a finished network" in Ledger((final,)).sentence
    watched = Ledger((LedgerEntry("a", "train", 150, True), final)).sentence
    assert "used 151 times in this runs folder, by 2 runs; 150 of these uses are the epochs of 1 training" in watched


# Interruption


TINY = [
    *options({**NETWORK, "data.digits": 200, "sweep.grid": json.dumps(GRIDS)}), "--epochs", "3", "--executor", "serial",
]  # fmt: skip
"""`tiny()` as a command line."""


def best(runs: Path, *arguments: str) -> list[str]:
    return ["best", *TINY, "--runs-dir", str(runs), "--quiet", *arguments]


@pytest.mark.slow
def test_after_kill_9_the_same_command_continues_to_the_same_bits(outcome: Outcome, runs: Path, tmp_path: Path) -> None:
    for folder in (".cache", *(info.id for info in list_runs(runs) if info.name in ("adam", "nesterov"))):
        shutil.copytree(runs / folder, tmp_path / folder)
    command = best(tmp_path, "--repeats", "2", "--unseen")
    killed = subprocess.Popen(program(*command), stdout=subprocess.PIPE)
    while not list(tmp_path.glob("*-best-*/checkpoint.npz")):
        assert killed.poll() is None
        time.sleep(0.005)
    killed.kill()
    killed.communicate()
    fits = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".cache/fits/*/*.fit")}
    survivor = call(*command, cwd=tmp_path)
    assert survivor.returncode == 0
    said = survivor.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob(".cache/fits/*/*.fit")} == fits
    [survived] = [info for info in list_runs(tmp_path) if info.command == "best"]
    assert survived.status == "done"
    for repeat in (".", "repeats/1"):
        ours, theirs = (folder / repeat / "history.csv" for folder in (survived.path, outcome.run_dir))
        assert ours.read_bytes() == theirs.read_bytes()
    stored, whole = load(survived.path).metrics, load(outcome.run_dir).metrics
    assert stored is not None
    assert whole is not None
    assert without_runs(stored["choice"]) == without_runs(whole["choice"])
    assert stored["better"] == whole["better"]
    [answer] = [line for line in said.splitlines() if line.startswith(("Yes: ", "No: "))]
    assert f"{whole['representative']['unseen']['accuracy']:.1%} on 4,000" in answer
    assert said.splitlines()[-1].endswith(survived.id)


@pytest.mark.usefixtures("undrawn")
def test_ctrl_c_says_how_to_continue(tmp_path: Path) -> None:
    def stop(event: Any) -> None:
        if isinstance(event, EpochDone):
            raise KeyboardInterrupt

    config = tiny({"grid": GRIDS[:1]}, epochs=2)
    with pytest.raises(Interrupted, match="run the same command again to continue"):
        run_best(config, tmp_path, watch=stop)
    said: list[Any] = []
    done = run_best(config, tmp_path, watch=said.append)
    assert [info.status for info in list_runs(tmp_path)] == ["done", "done"]
    assert done.run_dir.name == list_runs(tmp_path)[-1].id
    assert [event.number for event in said if isinstance(event, Step)] == [1, 2]


# The command line


def test_the_command_plans_without_writing(tmp_path: Path) -> None:
    done = call("best", "--dry-run", "--json", "--opt", "sgd", "--nested", cwd=tmp_path)
    plan = json.loads(done.stdout)
    assert plan["missing"] == ["sgd", "dropout"]
    assert (plan["fits"], plan["fits_to_run"]) == (4 * 3 + 5 * 3, 27)
    assert plan["nested"]["fits"] == 3 * 27 + 2 * 9
    assert not list(tmp_path.iterdir())
