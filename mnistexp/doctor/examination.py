"""All checks, in the order of the report."""

from pathlib import Path

from mnistexp.doctor import installation
from mnistexp.doctor.finding import Finding


def examine(runs_dir: Path, *, quick: bool = False) -> list[Finding]:
    """Run all checks without changing anything. With `quick`, TensorFlow isn't loaded and nothing is timed.

    If a library is missing, only that is reported, because the other checks need the libraries.
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
        installation.extras(),
    ]
    return findings if quick else [*findings, machine.speed()]
