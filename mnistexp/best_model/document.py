"""What `metrics.json` of `best` says of the choice, and the warnings that go with it."""

from collections.abc import Sequence
from typing import Any

from mnistexp.best_model.choosing import Choice, of_sweeps
from mnistexp.config import ExperimentConfig
from mnistexp.sweeps.swept import Swept

__all__ = ["choice_document", "setting_of", "trials_of", "warnings_of"]


def choice_document(used: Sequence[tuple[str, Swept]], choice: Choice) -> dict[str, Any]:
    """The section `choice` of `metrics.json`, also in `choice.json` while the final model is trained.

    `rule`; `sweeps` (`family`, `run`, `command`, `trials` each); `optimizer` and `dropout`: the trial that decided each
    (`run`, `params`, `accuracy`, `std`, `scores`, and how many are `tied` with the best of its kind), null without such
    a sweep; `combination`: the setting chosen (`params`, `accuracy`, `std`, `standard_error`, `scores`).
    """
    assert choice.combination is not None
    own = choice.combination
    decided = {}
    for kind, candidate in (("optimizer", choice.optimizer), ("dropout", choice.dropout)):
        decided[kind] = candidate and {
            "run": candidate.run,
            "params": candidate.params,
            "accuracy": candidate.trial.mean,
            "std": candidate.trial.std,
            "scores": candidate.trial.scores,
            "tied": choice.tied[kind],
        }
    return {
        "rule": choice.rule,
        "sweeps": [
            {"family": family, "run": swept.run, "command": swept.command, "trials": trials_of(family, swept)}
            for family, swept in used
        ],
        **decided,
        "combination": {
            "params": own.params,
            "accuracy": own.trial.mean,
            "std": own.trial.std,
            "standard_error": own.trial.standard_error,
            "scores": own.trial.scores,
        },
    }


def setting_of(config: ExperimentConfig) -> dict[str, Any]:
    """The chosen setting by dotted key."""
    numbers = {f"optimizer.{key}": value for key, value in config.optimizer.model_dump().items()}
    return {**numbers, "model.dropout": config.model.dropout}


def warnings_of(used: Sequence[tuple[str, Swept]], choice: Choice, final: ExperimentConfig) -> list[str]:
    """Sentences on what weakens the choice: a trial that scored higher, other epochs, fits that failed; or none."""
    warnings = []
    assert choice.combination is not None
    highest = max(choice.candidates, key=lambda candidate: candidate.trial.mean)
    if highest.trial.mean > choice.combination.trial.mean:
        warnings.append(
            f"The combination scores {choice.combination.trial.mean:.4f} in cross-validation; a trial of "
            f"{highest.family} alone scored {highest.trial.mean:.4f}."
        )
    epochs = used[0][1].config.training.epochs
    if epochs != final.training.epochs:
        warnings.append(
            f"The sweeps trained {epochs} epochs and the final model {final.training.epochs}: the cross-validation "
            "score speaks for the former."
        )
    if failed := sum({swept.run: swept.result.fits_failed for _, swept in used}.values()):
        warnings.append(f"{failed} fits of the sweeps failed; their trials took no part in the choice.")
    return warnings


def trials_of(family: str, swept: Swept) -> int:
    """How many trials of a sweep take part in the choice for one family."""
    return sum(candidate.family == family for candidate in of_sweeps([(family, swept)]))
