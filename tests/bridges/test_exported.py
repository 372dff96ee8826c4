"""The parts of a run that other tools show."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from mnistexp.bridges import exported
from mnistexp.runs.stored_runs import load
from mnistexp.sweeps.sweep_files import read_sweep


def test_a_failed_trial_has_no_score_and_the_mean_curves_of_its_other_fits(
    finished: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = read_sweep(finished["sweep"])
    first, *others = sweep.trials
    broken = replace(first.folds[0], error="it broke", score=math.nan)
    changed = replace(sweep, trials=(replace(first, folds=(broken, *first.folds[1:])), *others))
    monkeypatch.setattr(exported, "read_sweep", lambda _: changed)
    whole, failed, *fine = exported.exported_runs(load(finished["sweep"]))
    assert (whole.place, whole.series) == ("", None)
    assert (failed.status, failed.numbers) == ("failed", {})
    assert failed.series
    assert failed.series.history.loss == first.folds[1].history.loss
    assert [(part.status, part.numbers) for part in fine] == [
        ("done", {"score": trial.mean, "score_std": trial.std}) for trial in others
    ]
