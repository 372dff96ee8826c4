"""Every look there is to take, in the order of a report."""

from pathlib import Path

from mnistexp.doctor import installation
from mnistexp.doctor.finding import Finding

__all__ = ["examine"]


def examine(runs_dir: Path, *, quick: bool = False) -> list[Finding]:
    """Look at everything, and change nothing. With `quick` TensorFlow isn't loaded and nothing is timed.

    Where a library is missing, that is all there is to say: the other looks need them.
    """
    findings = [installation.package(), installation.libraries()]
    if findings[-1].state == "problem":
        return findings
    from mnistexp.doctor import machine, storage

    findings += [
        installation.digits(),
        machine.processor(),
        machine.cores(),
        machine.memory(),
        machine.variables(),
        storage.writing(runs_dir),
        storage.space(runs_dir),
        storage.locking(runs_dir),
        storage.staging(runs_dir),
        storage.interrupted(runs_dir),
        storage.damaged(runs_dir),
        *map(installation.extra, installation.EXTRAS),
    ]
    return findings if quick else [*findings, machine.speed()]
