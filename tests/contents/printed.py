"""What the commands that look at runs or use them print today, as text and as JSON, held against the runs' files."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from . import checked, commands, compare, groups, predicted, tables
from .drawings import drawn
from .paired import same_test
from .records import Record


def said(folder: Path, *words: object) -> str:
    """What a command prints. Raises AssertionError with its message where it fails."""
    from programs import call

    done = call(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed_and_shown(records: Sequence[Record]) -> list[str]:
    """What `runs list` and `runs show` print wrongly of some runs of one folder."""
    folder, key, paths = records[0].path.parent, "min_val_loss", [record.path for record in records]
    found = commands.listed_faults(folder, said(folder, "runs", "list", "--runs-dir", folder))
    found += commands.listed_faults(folder, said(folder, "runs", "list", *paths, "--sort", key), key)
    for record in records:
        found += commands.shown_faults(record, said(folder, "runs", "show", record.path))
        found += tables.run_faults(record, json.loads(said(folder, "runs", "show", record.path, "--json")))
    return found


def grouped(records: Sequence[Record]) -> list[str]:
    """What `runs list --group` and `runs compare --by` print wrongly of some runs of one folder."""
    paths, found = [record.path for record in records], []
    metrics = [metric for metric in ("test_accuracy", "min_val_loss", "final_accuracy")
               if any(commands.value_of(record, metric) is not None for record in records)]  # fmt: skip
    asked = [("list", "settings", "test_accuracy", "--group")] if "test_accuracy" in metrics else []
    asked += [
        ("compare", by, metric, "--by", by, "--metric", metric)
        for metric, by in zip(metrics, ("optimizer.name", "settings", "training.epochs"), strict=False)
    ]
    for command, by, metric, *words in asked:
        words = ["runs", command, *paths, *words]
        document = json.loads(said(paths[0], *words, "--json"))
        found += groups.faults(records, [by], metric, document, said(paths[0], *words))
    return found


def tabled(records: Sequence[Record]) -> list[str]:
    """What `runs list --json`, `runs export`, `runs best` and `watch --once` print wrongly of runs of one folder."""
    folder, paths = records[0].path.parent, [record.path for record in records]
    listed = json.loads(said(folder, "runs", "list", *paths, "--json"))["runs"]
    found = [fault for record, one in zip(records, listed, strict=True) for fault in tables.run_faults(record, one)]
    for form in ("csv", "md"):
        text = said(folder, "runs", "export", *paths, "--format", form)
        found += tables.export_faults(records, tables.rows_of(text, form))
    everyone = [Record(status.parent) for status in sorted(folder.glob("2*Z-*/status.json"), reverse=True)]
    for metric in ("test_accuracy", "min_val_loss"):
        if any(commands.value_of(record, metric) is not None for record in everyone):
            words = ("runs", "best", "--metric", metric, "--runs-dir", folder)
            found += tables.best_faults(
                everyone, metric, json.loads(said(folder, *words, "--json")), said(folder, *words)
            )
    words = ("watch", "--once", *paths)
    return found + tables.watched_faults(records, json.loads(said(folder, *words, "--json")), said(folder, *words))


def compared_runs(records: Sequence[Record]) -> list[str]:
    """What `runs compare` prints and draws wrongly of some runs, and `runs check` of the last against the first."""
    from programs import call

    paths, last, first = [record.path for record in records], records[-1], records[0]
    with TemporaryDirectory() as made:
        figure = Path(made) / "curves.svg"
        document = json.loads(said(Path(made), "runs", "compare", *paths, "--json", "--output", figure))
        found = compare.document_faults(records, document)
        found += compare.curves_faults(drawn(figure.read_bytes()), records)
        found += compare.text_faults(records, said(Path(made), "runs", "compare", *paths))
        if same_test(first, last):
            accuracy = commands.value_of(last, "test_accuracy") or 0
            required = [f"test_accuracy>={accuracy - 0.01:.3f}", f"test_accuracy>{accuracy + 0.01:.3f}", "seed=2"]
            required += ["min_val_loss<2"] if np.isfinite(last.mean("val_loss")).any() else []
            asked = [word for one in required for word in ("--require", one)]
            for tolerance, words in ((0.0, ()), (0.01, ("--tolerance", "0.01"))):
                check = ("runs", "check", last.path, *asked, "--baseline", first.path, *words)
                done = call(*check, "--json", cwd=Path(made))
                document = json.loads(done.stdout)
                found += checked.document_faults(last, first, document, done.returncode, tolerance)
                for form, wrong in checked.FORMATS.items():
                    found += wrong(document, call(*check, "--format", form, cwd=Path(made)).stdout)
    return found


def predictions(record: Record) -> list[str]:
    """What `predict` prints wrongly of three of a run's test digits, and as JSON of the same in dark ink."""
    images = record.digits[0][record.json("data.json")["test"][:3]]
    with TemporaryDirectory() as made:
        np.save(Path(made) / "bright.npy", images)
        np.save(Path(made) / "dark.npy", 255 - images)
        document = json.loads(said(Path(made), "predict", record.path, "dark.npy", "--json"))
        text = said(Path(made), "predict", record.path, "bright.npy")
    found = predicted.document_faults(record, 255 - images, document)
    return found + predicted.text_faults(record, images, text)


def commands_faults(records: Sequence[Record]) -> list[str]:
    """What all of them print wrongly of some runs of one folder."""
    found = listed_and_shown(records) + grouped(records) + tabled(records)
    trained = [one for one in records if one.command in ("train", "best") and (one.path / "predictions.npz").exists()]
    found += compared_runs(trained) if len(trained) > 1 else []
    for record in trained:
        if record.json("data.json")["source"] == "embedded":
            found += predictions(record)
    return found
