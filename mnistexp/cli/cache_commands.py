"""The commands that look after the cache of sweeps' fits."""

from typing import Annotated

from mnistexp.cli.options import CHANGES, RUNS, JsonOption, RunsOption, age, examples, option
from mnistexp.cli.parsing import Commands
from mnistexp.cli.voice import Voice

__all__ = ["cache_app"]

cache_app = Commands(help="Inspect and prune the cache of sweep fits.")


@cache_app.command("info", epilog=examples({"mnistexp cache info": "show the number and size of cached fits"}))
def cache_info(runs_dir: RunsOption = RUNS, json: JsonOption = False) -> None:
    """Show the number, location and size of cached fits."""
    from mnistexp.sweeps.trial_cache import TrialCache

    info = TrialCache(runs_dir).info()
    document = {"folder": str(info.folder), "fits": info.fits, "bytes": info.bytes}
    Voice(json).result(document, f"{info.fits} fits in {info.folder}, {info.bytes / 1e6:.1f} MB")


@cache_app.command(
    "prune", epilog=examples({"mnistexp cache prune --older-than 30d": "remove fits not used for 30 days"})
)
def cache_prune(
    older_than: Annotated[
        str | None,
        option(CHANGES, "--older-than", "Minimum age, e.g. 30d, 12h or 90m", metavar="AGE", show_default="all"),
    ] = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Remove cached fits; sweeps retrain them when needed."""
    from mnistexp.sweeps.trial_cache import TrialCache

    gone = TrialCache(runs_dir).prune(age(older_than) if older_than is not None else None)
    document = {"folder": str(gone.folder), "fits_removed": gone.fits, "bytes_removed": gone.bytes}
    Voice(json).result(document, f"{gone.fits} fits removed from {gone.folder}, {gone.bytes / 1e6:.1f} MB")
