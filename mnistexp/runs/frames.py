"""Runs as pandas data frames; `mnistexp.runs` offers these functions."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

from mnistexp.errors import BadInput
from mnistexp.runs import files, query, references
from mnistexp.runs.conditions import TIMES
from mnistexp.runs.layout import TRIALS
from mnistexp.runs.results import CURVES, History
from mnistexp.runs.stored_runs import RECORD, StoredRun, runs_folder

Folder = str | PathLike[str]
COLUMNS = (*RECORD, "tags", "note", "path")


def load(
    references: str | Sequence[str] = (),
    where: str | None = None,
    *,
    sort: str | None = None,
    limit: int | None = None,
    runs_dir: Folder | None = None,
) -> Any:
    """A `pandas.DataFrame` with a row for each run of `mnistexp runs list`, newest first.

    Columns: `id`, `command`, `name`, `status`; `started` and `finished`, datetimes in UTC; `seconds`, `exit_code`,
    `error`; `tags`, separated by spaces; `note`; `path`; each setting as `config.<dotted key>`; each metric under its
    dotted key. Missing values are NaN. Arguments as for `query.select`. Raises `BadInput` if pandas is missing or a
    reference or filter is invalid, `RunError` if the folder can't be read.
    """
    pandas = _pandas()
    found = pandas.DataFrame([_row(run) for run in _select(references, where, sort, limit, runs_dir)])
    if found.empty:
        found = pandas.DataFrame(columns=list(COLUMNS))
    for name in TIMES:
        found[name] = pandas.to_datetime(found[name], utc=True)
    return found


def histories(
    references: str | Sequence[str] = (),
    where: str | None = None,
    *,
    sort: str | None = None,
    limit: int | None = None,
    runs_dir: Folder | None = None,
) -> Any:
    """The learning curves of runs as one long `pandas.DataFrame`, a row for each epoch.

    Columns: `run`, an id; `repeat`, from 0; `epoch`, from 1; `loss`, `accuracy`, `val_loss`, `val_accuracy`, NaN where
    not measured; `seconds`, the time of the epoch. Runs without curves have no rows. Arguments, errors: as `load`.
    """
    pandas = _pandas()
    columns = ["run", "repeat", "epoch", *CURVES, "seconds"]
    runs = _select(references, where, sort, limit, runs_dir)
    parts = [_epochs(run.id, *numbered) for run in runs for numbered in enumerate(run.histories)]
    found = [pandas.DataFrame(part, columns=columns) for part in parts]
    return pandas.concat(found, ignore_index=True) if found else pandas.DataFrame(columns=columns)


def trials(reference: str, *, runs_dir: Folder | None = None) -> Any:
    """The ranked trials of a sweep as a `pandas.DataFrame`: the columns of its `trials.csv`, see `ranking.trials_csv`.

    Raises `BadInput` if pandas is missing or the run has no such table; `RunError` if it can't be read.
    """
    return trials_of(references.one(runs_folder(runs_dir), reference))


def trials_of(run: StoredRun) -> Any:
    """As `trials`, of a run that is read already. Raises `BadInput` and `RunError`."""
    pandas = _pandas()
    if not (run.path / TRIALS).exists():
        raise BadInput(f"{run.id} is a {run.command} run without {TRIALS}, allowed: a finished sweep")
    header, *rows = csv.reader(files.read_text(run.path / TRIALS).splitlines())
    return pandas.DataFrame([[_value(cell) for cell in row] for row in rows], columns=header)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise BadInput("data frames need pandas: pip install 'mnistexp[pandas]'") from None
    return pandas


def _select(
    references: str | Iterable[str], where: str | None, sort: str | None, limit: int | None, runs_dir: Folder | None
) -> list[StoredRun]:
    chosen = [references] if isinstance(references, str) else [str(reference) for reference in references]
    return query.select(runs_folder(runs_dir), chosen, where=where, sort=sort, limit=limit)


def _row(run: StoredRun) -> dict[str, Any]:
    record = {name: getattr(run, name) for name in COLUMNS} | {"tags": " ".join(run.tags), "path": str(run.path)}
    settings = {f"config.{key}": value for key, value in run.settings.items()}
    # Keys of the record, such as the command, are not repeated.
    metrics = {key: value for key, value in run.numbers.items() if key not in COLUMNS}
    return {**record, **settings, **metrics}


def _value(cell: str) -> Any:
    """The inverse of `ranking.cell`; missing values are NaN."""
    if cell in ("", "nan"):
        return math.nan
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _epochs(run: str, repeat: int, history: History) -> Mapping[str, Any]:
    epochs = range(1, history.epochs + 1)
    columns = {name: getattr(history, name) or [math.nan] * history.epochs for name in CURVES}
    return {"run": run, "repeat": repeat, "epoch": list(epochs), **columns, "seconds": history.seconds}
