"""The package: its version, its requirements, its optional extras, its digits."""

import platform
import shlex
from importlib import metadata

from packaging.requirements import Requirement

from mnistexp import __version__
from mnistexp.doctor.finding import Finding
from mnistexp.errors import DataError
from mnistexp.runs.environment import environment

EXTRAS = ("dask", "mlflow", "notebook", "optuna", "pandas", "parquet", "serve", "tensorboard")


def package() -> Finding:
    """The versions of Python and of mnistexp."""
    commit, dirty = environment()["git_commit"], environment()["git_dirty"]
    checkout = f", commit {str(commit)[:7]}{' with changes' if dirty else ''}" if commit else ""
    says = f"mnistexp {__version__}{checkout}; Python {platform.python_version()} on {platform.system()}"
    return Finding("package", "ok", f"{says} {platform.machine()}")


def libraries() -> Finding:
    """Whether every required library is installed in a suitable version."""
    try:
        wanted = requirements(metadata.distribution("mnistexp"), "")
    except metadata.PackageNotFoundError:
        says = "mnistexp is not installed, so its requirements are unknown"
        return Finding("libraries", "warning", says, "python -m pip install --editable .")
    if unmet := [line for requirement in wanted for line in _unmet(requirement)]:
        needed = " ".join(shlex.quote(line.partition(" needed")[0]) for line in unmet)
        return Finding("libraries", "problem", "; ".join(unmet), f"python -m pip install {needed}")
    shown = ("tensorflow", "keras", "numpy", "scikit-learn", "pydantic")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in shown)
    return Finding("libraries", "ok", f"{versions}; all {len(wanted)} required libraries are installed")


def extras() -> Finding:
    """Which optional extras are installed."""
    try:
        known = metadata.distribution("mnistexp")
        wanted = {name: requirements(known, name) for name in EXTRAS}
    except metadata.PackageNotFoundError:
        wanted = {}
    here = [name for name, lines in wanted.items() if lines and not any(map(_unmet, lines))]
    missing = [name for name in EXTRAS if name not in here]
    says = f"installed: {', '.join(here) or 'none'}" + (f"; not installed: {', '.join(missing)}" if missing else "")
    return Finding("extras", "ok", says, f"python -m pip install 'mnistexp[{','.join(missing)}]'" if missing else None)


def requirements(distribution: metadata.Distribution, extra: str) -> list[Requirement]:
    """The requirements of a distribution; with an extra, only those it adds."""
    asked = [Requirement(line) for line in distribution.requires or []]

    def of(name: str) -> list[Requirement]:
        return [line for line in asked if line.marker is None or line.marker.evaluate({"extra": name})]

    always = of("")
    return [line for line in of(extra) if line not in always] if extra else always


def _unmet(requirement: Requirement) -> list[str]:
    """`<requirement> needed, <version> found` for missing or outdated packages, extras of requirements included."""
    needed = f"{requirement.name}{requirement.specifier} needed"
    try:
        found = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        return [f"{needed}, none found"]
    if not requirement.specifier.contains(found.version, prereleases=True):
        return [f"{needed}, {found.version} found"]
    return [line for extra in requirement.extras for inner in requirements(found, extra) for line in _unmet(inner)]


def digits() -> Finding:
    """Whether the packaged digits are the published ones."""
    from mnistexp.data import packaged

    try:
        for name in packaged.EMBEDDED:
            packaged.embedded(name)
    except DataError as error:
        return Finding("digits", "problem", str(error), "python -m pip install --force-reinstall --no-deps mnistexp")
    return Finding(
        "digits", "ok", f"as published: SHA-256 {packaged.EMBEDDED['first_1000'][0][:12]}... and of the unseen"
    )
