"""`verify` step by step: read a run's settings and digits, repeat its work, compare, and list changes since then.

Nothing is written to the run.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mnistexp.commands.job import unwatched
from mnistexp.commands.verify.changes import Change, changed_data, changed_surroundings, known_settings
from mnistexp.commands.verify.comparing import Compared
from mnistexp.commands.verify.refitted import compare_fits
from mnistexp.commands.verify.trained import compare_trainings
from mnistexp.data import Dataset
from mnistexp.errors import BadInput, Interrupted, RunError
from mnistexp.runs.layout import CONFIG, FINAL, SWEEP, Kind, is_sweep
from mnistexp.runs.results import Watch
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.sweeps.fold_fits import VARIABLES

Verdict = Literal["identical", "within tolerance", "differs"]
EXIT_CODES: Mapping[Verdict, int] = {"identical": 0, "within tolerance": 4, "differs": 5}
TOLERANCE = 0.03
"""Kernels for another instruction set moved the curves of trainings by up to 0.023, another seed by 0.12."""
FITS = 3
CHOICE_KEPT = "The choice of the setting is not repeated; verify the sweeps by themselves."
PROCESSOR = {"machine", "cpu", "instructions", *(f"variables.{name}" for name in VARIABLES)}
"""The changes, by `Change.what`, that decide which kernels a training uses."""


@dataclass(frozen=True)
class Verification:
    """The comparisons, the changes since the run was made, and the verdict."""

    run: StoredRun
    tolerance: float
    compared: tuple[Compared, ...]
    changed: tuple[Change, ...]
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """The overall verdict: if not everything is identical, the largest difference decides."""
        if all(item.identical for item in self.compared):
            return "identical"
        differences = [item.difference for item in self.compared if item.difference is not None]
        return "within tolerance" if max(differences) <= self.tolerance else "differs"

    @property
    def exit_code(self) -> int:
        """0, 4 or 5: that of the verdict in `EXIT_CODES`."""
        return EXIT_CODES[self.verdict]

    @property
    def reason(self) -> str:
        """A sentence if results differ and the processor or its kernels have changed; else ""."""
        names = [change.what for change in self.changed if change.what in PROCESSOR]
        if self.verdict == "identical" or not names:
            return ""
        return f"The processor or its kernels have changed ({', '.join(names)}), which changes rounding."

    def document(self) -> dict[str, Any]:
        """The document that `--json` prints.

        `run`, `run_dir`, `command`, `verdict`, `exit_code`, `tolerance`, `note`, `reason`, and the lists
        `compared` (`Compared` each) and `changed` (`Change` each).
        """
        return {
            "run": self.run.id,
            "run_dir": str(self.run.path),
            "command": self.run.command,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "tolerance": self.tolerance,
            "note": self.note,
            "reason": self.reason,
            "compared": [asdict(item) for item in self.compared],
            "changed": [asdict(change) for change in self.changed],
        }


def verify(
    stored: StoredRun,
    *,
    tolerance: float = TOLERANCE,
    fits: int | None = None,
    seed: int | None = None,
    watch: Watch = unwatched,
) -> Verification:
    """Repeat the trainings of `stored` with its own settings, and compare.

    `tolerance`: the allowed difference of curves and accuracies, as a share of their greatest value. Of a sweep, `fits`
    fits are repeated (`FITS` unless given), drawn with `seed` or the sweep's own seed; of a training, all repeats; of
    `best`, the final training.

    Raises `BadInput` if the run has nothing to verify, `RunError` and `DataError` if it can't be repeated or is
    damaged, `Interrupted` on Ctrl-C.
    """
    sweep = is_sweep(stored.command)
    _check(stored, tolerance, fits)
    if not sweep and (fits, seed) != (None, None):
        raise BadInput(f"--fits and --seed are for sweeps, but {stored.id} is a {stored.command} run")
    try:
        source = FINAL if stored.command == Kind.BEST else CONFIG
        config, unknown = known_settings(stored.read_text(source), str(stored.path / source))
        dataset = Dataset.load(config)
        changed = (*unknown, *changed_data(stored, dataset), *changed_surroundings(stored))
        note = CHOICE_KEPT if stored.command == Kind.BEST else ""
        try:
            if sweep:
                drawn_by = config.seed if seed is None else seed
                compared, note = compare_fits(stored.path, dataset, fits or FITS, drawn_by, watch)
            else:
                compared = compare_trainings(stored, dataset, watch)
        except KeyboardInterrupt:
            raise Interrupted("stopped; nothing was written") from None
    except BadInput as error:  # the run's own settings: the user's input is not at fault
        raise RunError(f"{stored.id} can't be repeated here: {error}") from error
    return Verification(stored, tolerance, tuple(compared), changed, note)


def _check(stored: StoredRun, tolerance: float, fits: int | None) -> None:
    if not (stored.command in (Kind.TRAIN, Kind.BEST) or is_sweep(stored.command)):
        raise BadInput(f"{stored.id} is a {stored.command} run: can't be verified, allowed: a train, best or sweep run")
    if stored.status != "done":
        raise BadInput(f"{stored.id} is {stored.status}, allowed: a run that is done")
    if is_sweep(stored.command) and not (stored.path / SWEEP).exists():
        raise BadInput(f"{stored.id} has no finished trial: nothing to verify")
    if not 0 <= tolerance < math.inf:
        raise BadInput(f"--tolerance is {tolerance}, allowed: 0 <= value")
    if fits is not None and fits < 1:
        raise BadInput(f"--fits is {fits}, allowed: 1 <= value")
    _ = stored.metrics, stored.environment, stored.histories  # a damaged part is named before anything is trained
