"""The plan of `best`: finished and missing sweeps, the fits after them, the final trainings, and the estimated time."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnistexp.commands.best import nested
from mnistexp.commands.best.choosing import Candidate, choose_setting
from mnistexp.commands.best.document import candidate_count
from mnistexp.commands.best.predicted import predicting
from mnistexp.commands.best.work import Sources, Work
from mnistexp.config import shown
from mnistexp.config.models import ExperimentConfig
from mnistexp.sweeps.plan import Plan, Row, counts_document, together


def plan_best(
    config: ExperimentConfig,
    runs_dir: Path,
    sweeps: Sequence[str] = (),
    *,
    listed_only: bool = False,
    with_nested: bool = False,
    predict: bool = False,
) -> Plan:
    """The plan of `run_best`, made without training. Raises what `run_best` raises before it writes.

    `document`: `sweeps`, `left_aside`, `missing` (families), `fits`, `fits_cached` and `fits_to_run` of the missing
    sweeps, `confirming_fits` and `predicting_fits` (at most), `nested`, `trainings`, `epochs`, `chosen` (null if it is
    not known without training) and `seconds`.
    """
    work = Work(config, runs_dir)
    sources = work.sources(sweeps, listed_only=listed_only)
    swept, missing = _sweeps(work, sources)
    confirming, chosen = _combination(work, sources)
    inner = [_nested(work, sources)] if with_nested else []
    predicted = [_prediction(work, chosen)] if predict else []
    epochs = config.repeats * config.training.epochs
    final = Row({"part": "final model"}, epochs=epochs, seconds=work.seconds(epochs))
    rows = (*swept, *missing, confirming, *inner, *predicted, final)
    document = {
        "sweeps": [_document(row) for row in (*swept, *missing)],
        "left_aside": [vars(one) for one in sources.left_aside],
        "missing": [row.what["part"] for row in missing],
        **counts_document(*together(missing)),
        "confirming_fits": confirming.fits - confirming.cached,
        "predicting_fits": sum(row.fits - row.cached for row in predicted),
        "nested": _document(inner[0]) if inner else None,
        "trainings": config.repeats,
        "epochs": config.training.epochs,
        "chosen": chosen and chosen.params,
        "seconds": together(rows)[2],
    }
    notes = [f"Not used: {one.run} ({one.why})" for one in sources.left_aside]
    notes += [f"Chosen: {shown.setting(chosen.params)}"] if chosen else []
    return Plan(rows, *together(rows), document, tuple(notes))


def _sweeps(work: Work, sources: Sources) -> tuple[list[Row], list[Row]]:
    """The finished sweeps and the missing ones."""
    there = [
        Row({"part": family, "trials": candidate_count(family, swept)}, swept.run) for family, swept in sources.used
    ]
    plans = [(part.family, work.plan(part.config)) for part in sources.missing]
    return there, [plan.row({"part": family, "trials": len(plan.rows)}) for family, plan in plans]


def _combination(work: Work, sources: Sources) -> tuple[Row, Candidate | None]:
    """The fits of the combination, at most, and the chosen candidate if they are all done."""
    what, folds = {"part": "combination"}, work.sweep.folds
    if sources.missing:  # each fold's network is trained on the digits of all others
        seconds = work.seconds(work.config.training.epochs * (folds - 1))
        return Row(what, fits=folds, seconds=seconds), None
    winners, fits = work.winners(sources.used), Row(what)
    if winners.tried is None:
        fits = work.plan(work.alone(winners.combined, sources.used)).row(what)
    chosen = None if fits.cached < fits.fits else choose_setting(winners, work.confirm(sources.used)).chosen
    return fits, chosen


def _prediction(work: Work, chosen: Candidate | None) -> Row:
    """The fits of the prediction; before the choice is known, of the configured setting."""
    row = work.plan(predicting(work, work.config if chosen is None else chosen.config)).row({"part": "prediction"})
    return row if chosen else replace(row, cached=0)


def _nested(work: Work, sources: Sources) -> Row:
    plans = nested.plan_nested(work.dataset, work.nested(sources), work.cache)
    scoring = 2 * work.sweep.folds**2
    fits, cached, seconds = together(plan.row({}) for plan in plans)
    trials = sum(len(plan.rows) for plan in plans)
    return Row({"part": "nested", "trials": trials}, None, fits + scoring, cached, 0, seconds)


def _document(row: Row) -> dict[str, Any]:
    counts = {"trials": row.what["trials"], "fits": row.fits, "cached": row.cached, "seconds": row.seconds}
    return {"family": row.what["part"], "run": row.run, **counts}
