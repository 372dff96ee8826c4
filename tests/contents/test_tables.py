"""What tables, groups and checks tell of runs is that of the runs' files; and the faults planted in it are found."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import call

from contents import checked, commands, groups, printed, tables
from contents.planted import in_another_unit, more, negated, plus, replaced, spoilt, told
from contents.records import Record

SHARE, LOSS = r"\b\d+\.\d%", r"\b\d\.\d{4}\b"


@pytest.fixture(scope="module")
def made(finished: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The newest first: a best, a sweep, a training with repeats, and one with three seeds, of which one twice."""
    folder = tmp_path_factory.mktemp("made")
    for kind in ("best", "sweep", "repeats", "summary"):
        shutil.copytree(finished[kind], folder / finished[kind].name)
    for number, seed in enumerate((2, 3, 4, 3)):
        own = shutil.copytree(finished["train"], folder / f"20260101T00000{number}Z-train-x-0000")
        (own / "config.yaml").write_text((own / "config.yaml").read_text().replace("seed: 2\n", f"seed: {seed}\n"))
        with np.load(own / "predictions.npz") as arrays:
            kept = dict(arrays)
        right = np.flatnonzero(kept["probabilities"].argmax(1) == kept["labels"])[:seed]
        kept["probabilities"][right] = np.roll(kept["probabilities"][right], 1, axis=1)
        np.savez(own / "predictions.npz", **kept)
        accuracy = float((kept["probabilities"].argmax(1) == kept["labels"]).mean())
        metrics = json.loads((own / "metrics.json").read_text())
        (own / "metrics.json").write_text(json.dumps(metrics | {"seed": seed, "test_accuracy": accuracy}))
    return [Record(path) for path in sorted(folder.glob("2*Z-*"), reverse=True)]


def of(made: list[Record], command: str, *, repeated: bool = False) -> Record:
    """The run of a command, of trainings the one with repeats or the newest of the others."""
    return next(one for one in made if one.command.startswith(command) and (len(one.histories) > 1) is repeated)


def first_seed(record: Record) -> float:
    """The accuracy of the first of several trainings, which is not their mean."""
    first = float(record.metrics["test_accuracy"])
    assert first != commands.score_of(record)
    return first


def test_what_groups_and_tables_tell_is_that_of_the_files(made: list[Record]) -> None:
    assert printed.grouped(made) == []
    assert printed.tabled(made) == []


@pytest.mark.parametrize(
    ("by", "metric", "number", "rows"),
    [("settings", "test_accuracy", SHARE, 3), ("training.epochs", "min_val_loss", LOSS, 2)],
)
def test_faults_in_groups_are_found(made: list[Record], by: str, metric: str, number: str, rows: int) -> None:
    document, text = told(made, "compare", "--by", by, "--metric", metric)
    place = next(place for place, group in enumerate(document["groups"]) if group["count"] == 3)
    several, other = ("groups", place), ("groups", (place + 1) % rows)

    def found(document: Any, text: str) -> list[str]:
        return groups.faults(made, [by], metric, document, text)

    assert (found(document, text), len(document["groups"])) == ([], rows)
    for changed in (
        *(spoilt(document, *several, key, by=plus(1 / 256)) for key in ("mean", "std")),
        *(spoilt(document, *several, "interval", end, by=plus(1 / 256)) for end in (0, 1)),
        spoilt(document, *several, "mean", by=lambda _: float("nan")),
        spoilt(document, *several, "count", by=plus(1)),
        spoilt(document, *several, "values", by=lambda values: [values[0] + 1 / 256, *values[1:]]),
        spoilt(document, *several, "seeds", by=lambda seeds: seeds[::-1]),
        spoilt(document, *several, "runs", by=lambda runs: runs[1:]),
        spoilt(document, *several, "settings", "training.epochs", by=plus(1)),
        spoilt(document, *several, "settings", by=lambda _: document["groups"][other[1]]["settings"]),
        spoilt(document, "groups", by=lambda every: every[::-1]),
        spoilt(document, "same_seed", by=plus(1)),
        spoilt(document, "without_metric", by=plus(1)),
        spoilt(document, "metric", by=lambda name: "final_" + name),
    ):
        assert found(changed, text), changed
    row = rf"^3 .*{number}"
    for other_text in (
        replaced(text, rf"(?<=^3) +{number}", more),
        replaced(text, row, more),
        replaced(text, number, in_another_unit),
        replaced(text, number, "nan"),
        replaced(text, r"^3", "4"),
        replaced(text, r"epochs \d", more),
        replaced(text, r"^ +2026.*-\d\d\d\d$", more),
        replaced(text, r"^Not counted: \d", more),
        replaced(text, r"^Not counted: .*", ""),
    ):
        assert found(document, other_text), other_text


def test_the_first_seeds_accuracy_as_that_of_repeated_trainings_is_found(made: list[Record]) -> None:
    record = of(made, "train", repeated=True)
    first, mean = first_seed(record), commands.score_of(record) or 0
    document, text = told(made, "compare", "--by", "settings")
    place = next(place for place, one in enumerate(document["groups"]) if one["runs"] == [record.path.name])
    alone = document["groups"][place] | {"values": [first], "mean": first}
    assert groups.faults(
        made, ["settings"], "test_accuracy", spoilt(document, "groups", place, by=lambda _: alone), text
    )
    said = replaced(text, f"{mean:.1%}", f"{first:.1%}")
    assert groups.faults(made, ["settings"], "test_accuracy", document, said)
    watched = call("watch", "--once", *(one.path for one in made), cwd=record.path)
    document = json.loads(call("watch", "--once", "--json", *(one.path for one in made), cwd=record.path).stdout)
    assert tables.watched_faults(made, document, watched.stdout) == []
    for pattern, other in (
        (f"mean test accuracy {mean:.1%}", f"mean test accuracy {first:.1%}"),
        ("mean test accuracy", "test accuracy"),
        (SHARE, in_another_unit),
        (SHARE, more),
        (SHARE, "nan%"),
    ):
        assert tables.watched_faults(made, document, replaced(watched.stdout, pattern, other)), pattern
    place = next(place for place, one in enumerate(document["ended"]) if one["id"] == record.path.name)
    for result in ({"mean_test_accuracy": first}, {"test_accuracy": mean}, None):
        changed = spoilt(document, "ended", place, "result", by=lambda _, result=result: result)
        assert tables.watched_faults(made, changed, watched.stdout), result


@pytest.mark.parametrize("form", ["csv", "md"])
def test_faults_in_an_exported_table_are_found(made: list[Record], form: str) -> None:
    text = call("runs", "export", *(one.path for one in made), "--format", form, cwd=made[0].path).stdout
    rows, place = tables.rows_of(text, form), made.index(of(made, "train", repeated=True))
    assert tables.export_faults(made, rows) == []
    mean, first = (rows[place][f"metrics.{key}"] for key in ("repeats.mean", "test_accuracy"))
    assert mean != first
    for key, value in (
        ("metrics.repeats.mean", first),
        ("metrics.test_accuracy", mean),
        ("metrics.test_accuracy", "nan"),
        ("metrics.test_accuracy", f"{float(first):.1%}"),
        ("metrics.min_val_loss", ""),
        ("metrics.best_score", "0.5"),
        ("config.training.epochs", "7"),
        ("seconds", str(1000 * float(rows[place]["seconds"]))),
    ):
        assert len(tables.export_faults(made, spoilt(rows, place, key, by=lambda _, value=value: value))) == 1, key
    assert tables.export_faults(made, [{key: row[key] for key in row if key != "config.seed"} for row in rows])
    assert tables.export_faults(made, rows[::-1])
    assert tables.export_faults(made, rows[1:])


def test_faults_in_the_json_of_runs_are_found(made: list[Record]) -> None:
    record = of(made, "train", repeated=True)
    document, _ = told([record], "show")
    assert tables.run_faults(record, document) == []
    for changed in (
        spoilt(document, "metrics", "repeats.mean", by=lambda _: first_seed(record)),
        spoilt(document, "metrics", "test_accuracy", by=lambda _: None),
        spoilt(document, "metrics", by=lambda part: dict([*part.items()][1:])),
        spoilt(document, "config", "training.epochs", by=plus(1)),
        spoilt(document, "curves", by=lambda curves: curves[::-1]),
        spoilt(document, "curves", 1, "val_loss", 2, by=plus(0.001)),
        spoilt(document, "curves", 0, "val_accuracy", by=lambda curve: [100 * value for value in curve]),
        spoilt(document, "seconds", by=plus(1)),
    ):
        assert len(tables.run_faults(record, changed)) == 1


@pytest.mark.parametrize(("metric", "field"), [("test_accuracy", "best"), ("min_val_loss", "train")])
def test_another_run_than_the_best_is_found(made: list[Record], metric: str, field: str) -> None:
    words = ("runs", "best", "--metric", metric, "--runs-dir", made[0].path.parent)
    document, text = (call(*words, *more, cwd=made[0].path).stdout for more in (("--json",), ()))
    best, other = json.loads(document), of(made, "train", repeated=True)
    assert best["command"] == field
    assert tables.best_faults(made, metric, best, text) == []
    told_as_best = best | told([other], "show")[0] | {"value": commands.value_of(other, metric)}
    told_as_best.pop("curves")
    assert len(tables.best_faults(made, metric, told_as_best, other.path.name)) == 1
    assert tables.best_faults(made, metric, spoilt(best, "value", by=lambda value: 100 * value), text)
    assert tables.best_faults(made, metric, spoilt(best, "value", by=lambda _: float("nan")), text)
    assert tables.best_faults(made, metric, best, other.path.name)


def test_another_value_in_a_column_of_a_list_is_found(made: list[Record]) -> None:
    folder, key = made[0].path.parent, "min_val_loss"
    text = call("runs", "list", "--sort", key, "--runs-dir", folder, cwd=folder).stdout
    assert commands.listed_faults(folder, text, key) == []
    value = commands.value_of(of(made, "train"), key)
    for other in ("-", "nan", f"{value:.4f}", str(value and value + 1)):
        assert commands.listed_faults(folder, replaced(text, re.escape(str(value)), other), key), other


OTHERWISE = {
    "text": [(r"^NOT MET", "met"), (r"^met", "NOT MET"), (r"\A.*\n", "")],
    "md": [(r"\*\*no\*\*", "yes"), (r"\| yes", "| **no**"), ("not all", "all"), (r"^\| test.*\n", ""), ("^.*-", "x-")],
    "junit": [
        ('failures="1"', 'failures="0"'), ('tests="3"', 'tests="2"'), ('classname="[^"]*', 'classname="x'),
        (r'<failure message="(.*)" />', r"<system-out>\1</system-out>"),
        (r"<system-out>(.*)</sy.*>", r"<failure>\1</failure>"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("form", checked.FORMATS)
def test_faults_in_each_format_of_a_check_are_found(made: list[Record], form: str) -> None:
    first, last = of(made, "best"), of(made, "train", repeated=True)
    required = ("--require", "test_accuracy>=0.99", "--require", "min_val_loss<2000")
    words = ("check", *required, "--baseline", first.path, "--tolerance", "0.5")
    document, _ = told([last], *words)
    text = call("runs", "check", last.path, *words[1:], "--format", form, cwd=last.path).stdout
    assert checked.document_faults(last, first, document, 6, 0.5) == checked.FORMATS[form](document, text) == []
    numbers = [(number, by) for number in (r"test\\?_accuracy is [\d.]+", r"loss is [\d.]+", r"\d+ points", SHARE)
               for by in (more, lambda found: re.sub(r"[\d.]+", "nan", found[0]))]  # fmt: skip
    for pattern, by in (*numbers, (SHARE, in_another_unit), *OTHERWISE[form]):
        assert checked.FORMATS[form](document, replaced(text, pattern, by)), pattern


def test_the_first_seeds_accuracy_and_a_wrong_unit_in_a_check_are_found(made: list[Record]) -> None:
    first, last = of(made, "best"), of(made, "train", repeated=True)
    words = ("--require", "test_accuracy>=0.99", "--baseline", first.path, "--tolerance", "0.5")
    document, _ = told([last], "check", *words)
    assert checked.document_faults(last, first, document, 6, 0.5) == []
    for changed in (
        spoilt(document, "requirements", 0, "found", by=lambda _: f"test_accuracy is {first_seed(last):.6g}"),
        spoilt(
            document, "requirements", 1, "found", by=lambda said: f"{first_seed(last):.1%}{said[said.index(' ') :]}"
        ),
        spoilt(document, "requirements", 1, "found", by=lambda said: replaced(said, SHARE, in_another_unit)),
        spoilt(document, "requirements", 1, "text", by=lambda said: said.replace("50 points", "0.5 points")),
        spoilt(document, "requirements", 1, "met", by=negated),
    ):
        assert checked.document_faults(last, first, changed, 6, 0.5)
