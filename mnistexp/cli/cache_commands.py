"""The commands that look after the cache of sweeps' fits."""

from typing import Annotated

import typer

from mnistexp.cli.options import RUNS, JsonOption, RunsOption, age, examples
from mnistexp.cli.parsing import Commands
from mnistexp.cli.voice import Voice

__all__ = ["cache_app"]

cache_app = Commands(help="Look after the fits that sweeps have kept for reuse.")


@cache_app.command("info", epilog=examples({"mnistexp cache info": "fits and megabytes of the runs folder"}))
def cache_info(runs_dir: RunsOption = RUNS, json: JsonOption = False) -> None:
    """Say how many fits are kept, where, and how much room they take."""
    from mnistexp.sweeps.trial_cache import TrialCache

    info = TrialCache(runs_dir).info()
    document = {"folder": str(info.folder), "fits": info.fits, "bytes": info.bytes}
    Voice(json).result(document, f"{info.fits} fits in {info.folder}, {info.bytes / 1e6:.1f} MB")


@cache_app.command(
    "prune", epilog=examples({"mnistexp cache prune --older-than 30d": "what nobody has needed for a month"})
)
def cache_prune(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="Such as 30d, 12h or 90m; otherwise all go.")
    ] = None,
    runs_dir: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Remove kept fits: those older than an age, or all. Sweeps then train them anew."""
    from mnistexp.sweeps.trial_cache import TrialCache

    gone = TrialCache(runs_dir).prune(age(older_than) if older_than is not None else None)
    document = {"folder": str(gone.folder), "fits_removed": gone.fits, "bytes_removed": gone.bytes}
    Voice(json).result(document, f"{gone.fits} fits removed from {gone.folder}, {gone.bytes / 1e6:.1f} MB")
