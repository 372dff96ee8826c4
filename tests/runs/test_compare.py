"""`runs compare`: which run is better on the same test digits; groups of runs."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from later import Later
from typer.testing import CliRunner, Result

from mnistexp.cli.app import app
from mnistexp.errors import RunError
from mnistexp.runs import comparison, frames, groups, paired, query
from mnistexp.runs.layout import METRICS, PREDICTIONS
from mnistexp.runs.predictions import Predictions, read_predictions

contingency = Later("statsmodels.stats.contingency_tables")
multitest = Later("statsmodels.stats.multitest")
Make = Callable[..., str]


@pytest.fixture
def make(finished: dict[str, Path], tmp_path: Path) -> Make:
    """Makes a run from a real one: `wrong` digits of its `trainings` misread, settings and metrics as given."""

    def made(name: str, *wrong: list[int], config: dict[str, float] | None = None, **metrics: object) -> str:
        folder = shutil.copytree(finished["train"], tmp_path / f"20261101T00000{len([*tmp_path.iterdir()])}Z-{name}")
        kept = read_predictions(folder)[0]
        for repeat, places in enumerate(wrong):
            probabilities = np.eye(10, dtype=np.float32)[kept.labels]
            probabilities[places] = np.roll(probabilities[places], 1, axis=1)
            place = folder / f"repeats/{repeat}" if repeat else folder
            place.mkdir(parents=True, exist_ok=True)
            (place / PREDICTIONS).write_bytes(Predictions(probabilities, kept.labels, kept.rows).archive())
        document = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps(document | metrics))
        stored = yaml.safe_load((folder / "config.yaml").read_text())
        for key, value in (config or {}).items():
            section, _, last = key.rpartition(".")
            (stored[section] if section else stored)[last] = value
        (folder / "config.yaml").write_text(yaml.safe_dump(stored))
        return folder.name

    return made


def invoke(runs: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["runs", *words, "--runs-dir", str(runs)], catch_exceptions=False)


def paired_of(runs: Path, *ids: str) -> list[dict]:  # type: ignore[type-arg]
    done = invoke(runs, "compare", *ids, "--json")
    return json.loads(done.stdout)["paired"]  # type: ignore[no-any-return]


def test_a_better_run_is_called_better_with_the_digits_that_only_it_reads(make: Make, tmp_path: Path) -> None:
    first, second = make("first", list(range(10))), make("second", [0, 20])
    [found] = paired_of(tmp_path, first, second)
    table = [[29, 1], [9, 1]]
    assert found["p_value"] == found["adjusted_p_value"] == pytest.approx(contingency.mcnemar(table, exact=True).pvalue)
    assert (found["verdict"], found["digits"], found["trainings"]) == ("better", 40, [1, 1])
    assert found["difference"] == pytest.approx(8 / 40)
    assert found["interval"][0] < found["difference"] < found["interval"][1]
    rows = json.loads((tmp_path / first / "data.json").read_text())["test"]
    assert [digit["row"] for digit in found["only_second"]] == rows[1:10]
    assert [digit["row"] for digit in found["only_first"]] == rows[20:21]
    assert all(digit["second"] == digit["label"] != digit["first"] for digit in found["only_second"])
    [other] = paired_of(tmp_path, second, first)
    assert (other["verdict"], other["p_value"]) == ("worse", found["p_value"])


def test_several_runs_are_compared_with_the_first_and_adjusted_as_statsmodels_does(make: Make, tmp_path: Path) -> None:
    first = make("a", list(range(10)))
    others = [make("b", [1]), make("c", [0, 1]), make("d", list(range(6)))]
    found = paired_of(tmp_path, first, *others)
    raw = [each["p_value"] for each in found]
    assert [each["adjusted_p_value"] for each in found] == pytest.approx(multitest.multipletests(raw, method="holm")[1])
    assert [each["verdict"] for each in found] == ["better", "better", "not told apart"]


def test_seeds_take_part_where_a_run_has_repeats(make: Make, tmp_path: Path) -> None:
    once, thrice = make("once", list(range(10))), make("thrice", [0], list(range(12)), [1, 2])
    [single] = paired_of(tmp_path, once, make("single", [0]))
    [found] = paired_of(tmp_path, once, thrice)
    assert found["test"] == "t test over seeds and digits"
    assert found["trainings"] == [1, 3]
    assert found["verdict"] == "not told apart"
    assert found["sentence"].startswith("No significant difference: ")
    assert single["verdict"] == "better"
    # Read by two of three trainings at least:
    assert len(found["only_second"]) == 7
    assert "settings" in found["sentence"]
    assert "not their settings" in single["sentence"]


def test_runs_that_cannot_be_compared_say_why(make: Make, finished: dict[str, Path], tmp_path: Path) -> None:
    first = make("first", [0])
    old = make("old", [1])
    (tmp_path / old / PREDICTIONS).unlink()
    foreign = make("foreign", [1])
    data = json.loads((tmp_path / foreign / "data.json").read_text())
    (tmp_path / foreign / "data.json").write_text(json.dumps(data | {"sha256": "0" * 64}))
    fewer = make("fewer", [1])
    (tmp_path / fewer / "data.json").write_text(json.dumps(data | {"test": data["test"][:30]}))
    reasons = {
        old: "keeps no predictions: an earlier version made it",
        foreign: "the digits differ: 200 of embedded",
        fewer: "the test digits differ: 40 and 30, of which 30 are the same",
        str(finished["sweep"]): "is a sweep-optimizer run, which reads no test digits",
        str(finished["summary"]): "is a summary run, which reads no test digits",
    }
    for other, reason in reasons.items():
        [found] = paired_of(tmp_path, first, other)
        assert found["verdict"] == "not comparable"
        assert reason in found["reason"]
        assert "p_value" not in found


def test_a_damaged_archive_is_an_error(make: Make, tmp_path: Path) -> None:
    first, second = make("first", [0]), make("second", [0])
    (tmp_path / second / PREDICTIONS).write_bytes(b"rubbish")
    with pytest.raises(RunError, match=r"predictions\.npz is damaged"):
        paired.compare_with_first(query.select(tmp_path, [first, second]))


# Groups


@pytest.fixture
def seeds(make: Make, tmp_path: Path) -> Path:
    """Three settings, of 4, 2 and 1 runs with seeds of their own, and one run made again under another name."""
    accuracies = {0.0: [0.9, 0.925, 0.95, 0.925], 0.25: [0.8, 0.85], 0.5: [0.7]}
    for dropout, values in accuracies.items():
        for seed, value in enumerate(values):
            config = {"seed": 100 + seed, "model.dropout": dropout}
            make(f"{dropout}-{seed}", config=config, test_accuracy=value)
    make("again", config={"seed": 100, "model.dropout": 0.5, "name": "again"}, test_accuracy=0.7)
    return tmp_path


@pytest.mark.parametrize("by", ["settings", "model.dropout"])
def test_groups_agree_with_pandas(seeds: Path, by: str) -> None:
    table = frames.load(runs_dir=seeds)
    distinct = table.drop_duplicates(["config.seed", "config.model.dropout"])
    expected = distinct.groupby("config.model.dropout")["test_accuracy"].agg(["mean", "std", "count"])
    done = json.loads(invoke(seeds, "compare", "--by", by, "--json").stdout)
    assert done["same_seed"] == 1
    assert len(done["groups"]) == len(expected)
    for group in done["groups"]:
        row = expected.loc[group["settings"]["model.dropout"]]
        assert (group["mean"], group["count"]) == (pytest.approx(row["mean"]), row["count"])
        assert group["std"] == (pytest.approx(row["std"]) if pd.notna(row["std"]) else None)
        assert (group["interval"] is None) == (group["count"] < 3)
        assert set(group["settings"]) == {"model.dropout"}


def test_a_list_is_grouped_as_compare_does(seeds: Path) -> None:
    listed = invoke(seeds, "list", "--where", "model.dropout<0.4", "--group", "--json").stdout
    assert [group["count"] for group in json.loads(listed)["groups"]] == [4, 2]
    text = invoke(seeds, "list", "--group").stdout
    assert "Not counted: 1 run with the settings and seed of a newer one." in text
    assert "An interval needs three runs" in text


def test_groups_have_accuracies_in_per_cent_and_losses_as_they_are(seeds: Path) -> None:
    for metric, form in (("test_accuracy", "{:.1%}"), ("test_loss", "{:.4f}")):
        words = ["compare", "--by", "settings", "--metric", metric]
        groups_of = json.loads(invoke(seeds, *words, "--json").stdout)["groups"]
        four = next(group for group in groups_of if group["count"] == 4)
        told = [form.format(value) for value in (four["mean"], four["std"], *four["interval"])]
        assert four["mean"] > 0
        row = next(line for line in invoke(seeds, *words).stdout.splitlines() if line.startswith("4 "))
        assert re.split(r"\s{2,}", row)[1:4] == [*told[:2], " to ".join(told[2:])]


def test_only_runs_with_the_metric_are_grouped(finished: dict[str, Path]) -> None:
    runs = query.select(finished["train"].parent)
    found = groups.group(runs)
    assert found.without == sum("test_accuracy" not in run.metrics for run in runs) > 0
    assert {run.command for each in found.groups for run in each.runs} == {"train", "best"}


def test_runs_of_best_that_start_alike_and_choose_differently_are_groups_of_their_own(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    for name, dropout in (("a", 0.7), ("b", 0.3), ("c", 0.3)):
        run = shutil.copytree(finished["best"], tmp_path / f"{finished['best'].name[:-4]}000{name}")
        metrics = json.loads((run / METRICS).read_text())
        metrics["best_params"]["model.dropout"] = dropout
        (run / METRICS).write_text(json.dumps(metrics))
    found = groups.group(query.select(tmp_path))
    assert {one.settings["model.dropout"]: len(one.runs) for one in found.groups} == {0.7: 1, 0.3: 1}
    assert found.again == 1


def test_settings_of_best_are_the_chosen_ones(finished: dict[str, Path], tmp_path: Path) -> None:
    """By condition, in groups and side by side: the configuration of `best` has those that its sweeps start from."""
    for name, dropout in (("a", 0.7), ("b", 0.3)):
        run = shutil.copytree(finished["best"], tmp_path / f"{finished['best'].name[:-4]}000{name}")
        metrics = json.loads((run / METRICS).read_text())
        chosen = metrics["best_params"] | {"model.dropout": dropout, "optimizer.beta_1": 0.25}
        if name == "b":
            chosen = {"optimizer.name": "sgd", "model.dropout": dropout}
        metrics["best_params"] = chosen
        (run / METRICS).write_text(json.dumps(metrics))
    selected = query.select(tmp_path, where="model.dropout=0.7")
    assert [run.path.name[-1] for run in selected] == ["a"]
    (group,) = groups.group(selected, ["model.dropout", "optimizer.beta_1"]).groups
    assert dict(group.settings) == {"model.dropout": 0.7, "optimizer.beta_1": 0.25}
    assert [run.path.name[-1] for run in query.select(tmp_path, where="optimizer.beta_1>=0")] == ["a"]
    both = sorted(query.select(tmp_path), key=lambda run: run.id)
    found = {one.key: one.values for one in comparison.compare(both) if one.part == "config"}
    assert found["model.dropout"] == (0.7, 0.3)
    assert found["optimizer.beta_1"] == (0.25, None)
    assert found["optimizer.name"] == ("adam", "sgd")
    assert all(second is None for key, (_, second) in found.items() if key not in ("model.dropout", "optimizer.name"))
