"""The choice in `metrics.json` of `best`, and its warnings."""

from collections.abc import Iterator, Sequence
from typing import Any

from mnistexp.commands.best.choosing import Candidate, Choice, candidates_of
from mnistexp.commands.best.work import Used
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.shown import percent
from mnistexp.statistics import guessing
from mnistexp.sweeps.swept import LeftAside, Swept

MOST_NAMED = 3
"""At most this many sweeps that were not used for one reason are named; the rest is counted."""


def choice_document(used: Used, choice: Choice) -> dict[str, Any]:
    """The section `choice` of `metrics.json`, also in `choice.json` while the final model is trained.

    `rule`; `sweeps` (`family`, `run`, `command`, `trials` each), all that were used; `settings`: how many different
    settings were compared, including the combination; `repeated`: trials whose setting another sweep had tried too.
    `optimizer` and `dropout`: the best of its kind, null without such a sweep; `combination`: of the two; `chosen`: the
    setting of the final model. Each has `params`, `accuracy` (mean of the folds), `std`, `standard_error`, `scores`,
    `run` (the latest sweep that tried it, or null) and, except for the combination, how many are `tied` with the best,
    including the best.
    """
    sweeps: list[dict[str, Any]] = [
        {"family": family, "run": swept.run, "command": swept.command, "trials": candidate_count(family, swept)}
        for family, swept in used
    ]
    winners = choice.winners
    decided = {"optimizer": winners.optimizer, "dropout": winners.dropout}
    return {
        "rule": choice.rule,
        "sweeps": sweeps,
        "settings": len(choice.everyone),
        "repeated": sum(sweep["trials"] for sweep in sweeps) - len(winners.candidates),
        **{kind: one and _scored(one) | {"tied": winners.tied[kind]} for kind, one in decided.items()},
        "combination": _scored(choice.combination),
        "chosen": _scored(choice.chosen) | {"tied": choice.tied},
    }


def _scored(candidate: Candidate) -> dict[str, Any]:
    trial = candidate.trial
    return {
        "run": candidate.runs[-1] if candidate.runs else None,
        "params": candidate.params,
        "accuracy": trial.mean,
        "std": trial.std,
        "standard_error": trial.standard_error,
        "scores": trial.scores,
    }


def candidate_count(family: str, swept: Swept) -> int:
    """How many trials of a sweep are candidates of one family."""
    return len(candidates_of((family,), swept.config, swept.result))


def warnings_of(used: Used, left_aside: Sequence[LeftAside], choice: Choice, final: ExperimentConfig) -> Iterator[str]:
    """Warnings about the choice, and about sweeps that were not used."""
    own, combined, swept = choice.chosen.trial.mean, choice.combination.trial, choice.chosen.config
    if own <= guessing(swept.training_digits, swept.model.classes):
        yield (
            f"The chosen setting has not learned: its cross-validation accuracy of {percent(own)} is about that of "
            "guessing. Sweep other values, first of the learning rate."
        )
    if combined.failed:
        yield f"A fit of the combination failed, so it could not be chosen: {combined.errors[0]}."
    elif choice.rule == "best" and combined.mean < own:
        yield (
            f"The best optimizer setting with the best dropout rate scores {percent(combined.mean)} in "
            f"cross-validation; the setting from the {' and '.join(choice.chosen.families)} sweep scored "
            f"{percent(own)} and was chosen."
        )
    epochs = used[0][1].config.training.epochs
    if epochs != final.training.epochs:
        yield (
            f"The sweeps trained for {epochs} epochs, the final model for {final.training.epochs}: the "
            f"cross-validation score is that of {epochs} epochs."
        )
    if failed := sum({swept.run: swept.result.fits_failed for _, swept in used}.values()):
        yield f"{failed} fits of the sweeps failed; their trials could not be chosen."
    reasons: dict[str, list[str]] = {}
    for one in left_aside:
        reasons.setdefault(one.why, []).append(one.run)
    for why, runs in reasons.items():
        named = runs[-MOST_NAMED:]
        more = f" and {len(runs) - len(named)} more" if len(runs) > len(named) else ""
        yield f"Sweeps not used ({why}): {', '.join(named)}{more}."
