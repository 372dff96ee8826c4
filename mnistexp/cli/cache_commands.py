"""The commands that manage the caches: fits of sweeps, and compiled kernels."""

from typing import Annotated

from mnistexp.cli.options import CHANGES, RUNS, JsonOption, RunsOption, age, examples, option
from mnistexp.cli.parsing import Commands
from mnistexp.cli.voice import Voice

__all__ = ["cache_app"]

cache_app = Commands(help="Inspect and prune the caches of fits and compiled kernels.")


@cache_app.command(
    "info", epilog=examples({"mnistexp cache info": "show the number and size of cached fits and compiled kernels"})
)
def cache_info(runs_dir: RunsOption = RUNS, json: JsonOption = False) -> None:
    """Show the size of the caches of fits and compiled kernels."""
    from mnistexp.sweeps.trial_cache import TrialCache
    from mnistexp.training import kernels

    fits, kept = TrialCache(runs_dir).info(), kernels.info()
    document = {
        "folder": str(fits.folder),
        "fits": fits.fits,
        "bytes": fits.bytes,
        "kernels_folder": str(kept.folder) if kept.folder else None,
        "kernels": kept.kernels,
        "kernels_bytes": kept.bytes,
    }
    Voice(json).result(
        document,
        f"{fits.fits} fits in {fits.folder}, {fits.bytes / 1e6:.1f} MB",
        f"{kept.kernels} compiled kernels in {kept.folder}, {kept.bytes / 1e6:.1f} MB"
        if kept.folder
        else "compiled kernels are not kept (MNISTEXP_CACHE_DIR)",
    )


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
    """Remove cached fits and kernels; they are rebuilt when needed."""
    from mnistexp.sweeps.trial_cache import TrialCache
    from mnistexp.training import kernels

    limit = age(older_than) if older_than is not None else None
    fits, gone = TrialCache(runs_dir).prune(limit), kernels.prune(limit)
    document = {
        "folder": str(fits.folder),
        "fits_removed": fits.fits,
        "bytes_removed": fits.bytes,
        "kernels_removed": gone.kernels,
        "kernels_bytes_removed": gone.bytes,
    }
    text = f"{fits.fits} fits removed from {fits.folder}, {fits.bytes / 1e6:.1f} MB"
    if gone.folder:
        text += f"; {gone.kernels} compiled kernels from {gone.folder}, {gone.bytes / 1e6:.1f} MB"
    Voice(json).result(document, text)
