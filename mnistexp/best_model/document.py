"""What `metrics.json` of `best` says of the choice, and the warnings that go with it."""

from collections.abc import Iterator, Sequence
from typing import Any

from mnistexp.best_model.choosing import Candidate, Choice, candidates_of
from mnistexp.best_model.work import Used
from mnistexp.config import ExperimentConfig
from mnistexp.metrics import GUESSING
from mnistexp.shown import percent
from mnistexp.sweeps.swept import LeftAside, Swept

__all__ = ["choice_document", "trials_of", "warnings_of"]

MOST_NAMED = 3
"""More sweeps than these that were left aside for one reason are counted, not named."""


def choice_document(used: Used, choice: Choice) -> dict[str, Any]:
    """The section `choice` of `metrics.json`, also in `choice.json` while the final model is trained.

    `rule`; `sweeps` (`family`, `run`, `command`, `trials` each), every one that was chosen from; `settings`: how many
    different ones took part, the combination among them; `repeated`: trials whose setting another sweep had tried too.
    `optimizer` and `dropout`: the best of its kind, null without such a sweep; `combination`: of the two; `chosen`: the
    setting of the final model. Each has `params`, `accuracy` (mean of the folds), `std`, `standard_error`, `scores`,
    `run` (the last sweep that tried it, or null) and, but for the combination, how many are `tied` with the best of
    them, that one among them.
    """
    sweeps: list[dict[str, Any]] = [
        {"family": family, "run": swept.run, "command": swept.command, "trials": trials_of(family, swept)}
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


def trials_of(family: str, swept: Swept) -> int:
    """How many trials of a sweep take part in the choice for one family."""
    return len(candidates_of((family,), swept.config, swept.result))


def warnings_of(used: Used, left_aside: Sequence[LeftAside], choice: Choice, final: ExperimentConfig) -> Iterator[str]:
    """Sentences on what weakens the choice, and on what took no part in it."""
    own, combined = choice.chosen.trial.mean, choice.combination.trial
    if own < GUESSING:
        yield (
            f"The chosen setting has not learnt: it scores {percent(own)} in cross-validation, about as much as "
            "guessing. Sweep other values, of the learning rate first."
        )
    if combined.failed:
        yield "A fit of the combination failed, so it took no part in the choice."
    elif choice.rule == "best" and combined.mean < own:
        yield (
            f"The best optimizer setting with the best dropout rate scores {percent(combined.mean)} in "
            f"cross-validation; {' and '.join(choice.chosen.families)} alone scored {percent(own)}, and was chosen."
        )
    epochs = used[0][1].config.training.epochs
    if epochs != final.training.epochs:
        yield (
            f"The sweeps trained {epochs} epochs and the final model {final.training.epochs}: the cross-validation "
            "score speaks for the former."
        )
    if failed := sum({swept.run: swept.result.fits_failed for _, swept in used}.values()):
        yield f"{failed} fits of the sweeps failed; their trials took no part in the choice."
    reasons: dict[str, list[str]] = {}
    for one in left_aside:
        reasons.setdefault(one.why, []).append(one.run)
    for why, runs in reasons.items():
        named = runs[-MOST_NAMED:]
        more = f" and {len(runs) - len(named)} more" if len(runs) > len(named) else ""
        yield f"Left aside, as it {why}: {', '.join(named)}{more}."
