"""Results as tables and sentences for a terminal. Nothing here prints: `cli/app.py` does."""

import json
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mnistexp.cli.printable import STEERING
from mnistexp.config.settings import Settings
from mnistexp.config.shown import counted, duration

if TYPE_CHECKING:  # these load pydantic and numpy, which --help can do without
    from mnistexp.config.models import ExperimentConfig
    from mnistexp.runs.results import Outcome
    from mnistexp.sweeps.plan import Plan

__all__ = [
    "accuracy_lines",
    "cut",
    "divergence",
    "dry_run_document",
    "examples_report",
    "json_text",
    "plan_report",
    "settings_table",
    "summary_report",
    "sweep_report",
    "training_plan",
    "training_report",
    "whole_columns",
]


def json_text(document: dict[str, Any]) -> str:
    """A document as JSON that any reader takes: numbers that are not finite become null."""
    from mnistexp.runs.files import plain

    text = json.dumps(plain(document), indent=2, allow_nan=False, ensure_ascii=False)
    return STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain_table(*headings: str) -> Table:
    """A table without lines, for numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def cut(text: str) -> Text:
    """Text of a cell that ends in an ellipsis where its column is too narrow, so that a row stays one line."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def whole_columns(table: Table, *but: str) -> Table:
    """The table with columns that keep their width on a narrow terminal, `but` these: they give way first."""
    for column in table.columns:
        column.no_wrap = column.header not in but
        if column.header in but:
            column.header = cut(str(column.header))
    return table


SPACES = ("sweep.grid", "sweep.zip", "sweep.random")


def settings_table(found: Settings) -> Table:
    """Each setting, its value and where that came from."""
    table = plain_table("key", "value", "from")
    for key, origin in found.origins.items():
        value: Any = found.config.model_dump(mode="json")
        for part in key.split("."):
            value = value[part]
        grids = value if key == "sweep.grid" and isinstance(value, list) else [value] * (key in SPACES)
        rows = [
            (f"{key}.{name}" if len(grids) == 1 else f"{key}.{place}.{name}", values)
            for place, grid in enumerate(grids)
            for name, values in grid.items()
        ]
        for name, shown in rows or [(key, value)]:
            table.add_row(Text(name), Text(json.dumps(shown)), Text(origin))
    return table


def training_plan(config: "ExperimentConfig") -> Text:
    """What a training would do."""
    updates = -(-config.training_digits // config.training.batch_size)
    return Text(
        f"{counted(config.repeats, 'training')} of {counted(config.training.epochs, 'epoch')}, "
        f"{counted(updates, 'update')} per epoch on {config.training_digits} digits"
    )


def examples_report(outcome: "Outcome") -> Iterator[RenderableType]:
    """The arrays in words, and each label beside its one-hot row."""
    arrays = plain_table("array", "type", "shape", "dtype", "values")
    for name, described in outcome.metrics["arrays"].items():
        arrays.add_row(name, described["type"], described["shape"], described["dtype"], described["values"])
    yield arrays
    yield Text()
    for sentence in outcome.metrics["preparation"]:
        yield Text(sentence)
    for warning in outcome.metrics["warnings"]:
        yield Text(f"Note: {warning}", style="yellow")
    yield Text()
    rows = plain_table("index", "label", "one-hot")
    for example in outcome.metrics["examples"]:
        rows.add_row(str(example["index"]), str(example["label"]), " ".join(map(str, example["one_hot"])))
    yield rows
    yield Text()
    yield _folder(outcome)


def summary_report(outcome: "Outcome") -> Iterator[RenderableType]:
    """The table of layers, then the number of parameters, the loss, the optimizer and the updates per epoch."""
    found = outcome.metrics
    table = plain_table("layer", "kind", "output shape", "parameters", "arithmetic", "activation")
    for layer in found["layers"]:
        shape = " x ".join(map(str, layer["output_shape"]))
        table.add_row(
            layer["name"], layer["kind"], shape, f"{layer['parameters']:,}", layer["arithmetic"], layer["activation"]
        )
    yield table
    yield Text()
    settings = ", ".join(f"{key} {value:g}" for key, value in found["optimizer"].items() if key != "name")
    yield Text(f"Parameters    {found['parameters']:,}")
    yield Text(f"Network       {found['network']}")
    yield Text(f"Loss          {found['loss']}")
    yield Text(f"Optimizer     {found['optimizer']['name']}: {settings}")
    yield Text(
        f"Updates       {found['updates_per_epoch']} per epoch: {found['training_digits']} digits in batches of "
        f"{found['batch_size']}"
    )
    yield _folder(outcome)


def _folder(outcome: "Outcome") -> Text:
    return Text.assemble(("Run folder    ", "bold"), str(outcome.run_dir))


def training_report(outcome: "Outcome") -> Iterator[RenderableType]:
    """The answers of a training: accuracy with its interval, the epochs, the warnings, the folder."""
    from mnistexp.runs.results import over_all

    metrics = over_all(outcome.metrics)
    yield from accuracy_lines(metrics)
    yield Text(metrics["best_epochs"]["sentence"])
    for about in ("early_stopping", "lengthened"):
        if metrics.get(about):
            yield Text(metrics[about]["sentence"])
    for warning in metrics["warnings"]:
        yield Text(f"Note: {warning}", style="yellow")
    yield _folder(outcome)


def accuracy_lines(metrics: Mapping[str, Any]) -> Iterator[Text]:
    """The test accuracy with its interval, of repeats the mean and that of the saved model; takes `over_all`."""
    low, high = metrics["test_accuracy_interval"]
    one = f"95% interval {low:.4f} to {high:.4f} ({metrics['test_correct']} of {metrics['test_digits']} digits)"
    if "repeats" in metrics:
        yield _scored("Test accuracy ", metrics["mean"], over_seeds(metrics))
        yield _scored("Saved model   ", metrics["test_accuracy"], f"the first training's, {one}")
    else:
        yield _scored("Test accuracy ", metrics["test_accuracy"], one)


def _scored(what: str, accuracy: float, about: str) -> Text:
    return Text.assemble((what, "bold"), (f"{accuracy:.4f}", "bold green"), f"  {about}")


def over_seeds(repeats: Mapping[str, Any]) -> str:
    """The number of trainings in a mean over seeds, and its 95% interval if there are at least 3."""
    if repeats["interval"] is None:
        return f"mean of {repeats['count']} trainings; an interval takes at least 3"
    low, high = repeats["interval"]
    return (
        f"mean of {repeats['count']} trainings, 95% interval over seeds {low:.4f} to {high:.4f} "
        f"(standard deviation {repeats['std']:.4f})"
    )


def plan_report(plan: "Plan") -> Iterator[RenderableType]:
    """The parts of the work ahead, the fits of all of them, and how long they take."""
    keys = list(dict.fromkeys(key for row in plan.rows for key in row.what))
    counts = [name for name in ("run", "fits", "cached", "epochs") if any(getattr(row, name) for row in plan.rows)]
    timed = any(row.seconds is None or row.seconds for row in plan.rows)
    table = plain_table(*map(_name, keys), *counts, *["time"] * timed)
    for row in plan.rows:
        numbers = [str(getattr(row, name) or ("0" if row.fits and name == "cached" else "")) for name in counts]
        time = "" if row.seconds == 0 else _about(row.seconds)
        table.add_row(*(_value(row.what, key) for key in keys), *numbers, *[time] * timed)
    yield table
    yield from map(Text, plan.notes)
    why = ": no fit timed yet" if plan.seconds is None else ""
    yield Text(f"{plan.fits} fits: {plan.cached} cached, {plan.to_run} to run ({_about(plan.seconds)}{why})")


def _about(seconds: float | None) -> str:
    return "time unknown" if seconds is None else f"about {duration(seconds)}"


def _name(key: str) -> str:
    """The name of a setting by its dotted key: `beta_1`, and `optimizer` for the name of one."""
    return "optimizer" if key == "optimizer.name" else key.rpartition(".")[2]


def _score(value: float | None) -> str:
    """A score; - for a fit that failed."""
    return f"{value:.4f}" if value is not None and isfinite(value) else "-"


def sweep_report(outcome: "Outcome", rows: int = 20) -> Iterator[RenderableType]:
    """The ranked table, the best setting, and what can't be told from it."""
    found = outcome.metrics
    keys = list(dict.fromkeys(key for row in found["ranking"] for key in row["params"]))
    table = plain_table("rank", *map(_name, keys), "mean", "std", "folds", "")
    for row in found["ranking"][:rows]:
        notes = [note for note, holds in (("tied", row["tied"]), ("diverged", row["diverged"])) if holds]
        scores = " ".join(map(_score, row["scores"]))
        note = ", ".join(["failed"] if row["error"] else notes)
        shown = [_value(row["params"], key) for key in keys]
        table.add_row(str(row["rank"]), *shown, _score(row["mean"]), _score(row["std"]), cut(scores), note)
    yield whole_columns(table, "folds")
    if len(found["ranking"]) > rows:
        yield Text(f"... and {len(found['ranking']) - rows} more trials in trials.csv")
    best = ", ".join(f"{_name(key)} {value}" for key, value in found["best_params"].items())
    yield Text.assemble(
        ("Best          ", "bold"), best, ("  accuracy ", "bold"), (f"{found['best_score']:.4f}", "bold green")
    )
    tied = len(found["tied"])
    if tied > 1:
        yield Text(f"{tied} trials, including the best, are statistically tied by their out-of-fold predictions.")
    if "more_digits" in found:
        yield Text(found["more_digits"]["sentence"])
    yield Text(f"Fits          {found['fits_run']} run, {found['fits_cached']} cached, {found['fits_failed']} failed")
    for warning in found["warnings"]:
        yield Text(f"Note: {warning}", style="yellow")
    yield _folder(outcome)


def _value(params: Mapping[str, Any], key: str) -> str:
    value = params.get(key, "")
    return value if isinstance(value, str) else json.dumps(value)


def divergence(metrics: Mapping[str, Any]) -> str:
    """What to say of a training whose loss stopped being a number."""
    which = "a training" if "repeats" in metrics else "the training"
    return (
        f"{which} diverged: its loss was not a number in epoch {metrics['diverged_at']}; "
        "try a lower optimizer.learning_rate. What was computed is kept"
    )


def dry_run_document(found: Settings) -> dict[str, Any]:
    """What `--dry-run --json` prints."""
    return {"config": found.config.model_dump(mode="json"), "origins": found.origins}
