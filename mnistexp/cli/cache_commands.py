"""The commands that manage the caches: fits of sweeps, and compiled kernels."""

from typing import Annotated

from mnistexp.cli.call import Call
from mnistexp.cli.option_kinds import CHANGES, age_option
from mnistexp.cli.parsing import Commands

__all__ = ["commands"]

commands = Commands(help="Inspect and prune the caches of fits and compiled kernels.")


@commands.add(
    "info",
    {"mnistexp cache info": "show the number and size of cached fits and compiled kernels"},
    shares="... runs_dir json",
)
def cache_info(call: Call) -> None:
    """Show the size of the caches of fits and compiled kernels."""
    from mnistexp.sweeps.trial_cache import TrialCache
    from mnistexp.training import kernels

    fits, kept = TrialCache(call.runs_dir).info(), kernels.info()
    document = {
        "folder": str(fits.folder),
        "fits": fits.fits,
        "bytes": fits.bytes,
        "kernels_folder": str(kept.folder) if kept.folder else None,
        "kernels": kept.kernels,
        "kernels_bytes": kept.bytes,
    }
    call.result(
        document,
        f"{fits.fits} fits in {fits.folder}, {fits.bytes / 1e6:.1f} MB",
        f"{kept.kernels} compiled kernels in {kept.folder}, {kept.bytes / 1e6:.1f} MB"
        if kept.folder
        else "compiled kernels are not kept (MNISTEXP_CACHE_DIR)",
    )


@commands.add(
    "prune",
    {"mnistexp cache prune --older-than 30d": "remove fits not used for 30 days"},
    shares="... runs_dir json",
)
def cache_prune(
    call: Call,
    older_than: Annotated[
        float | None, age_option(CHANGES, "Minimum age, e.g. 30d, 12h or 90m", show_default="all")
    ] = None,
) -> None:
    """Remove cached fits and kernels; they are rebuilt when needed."""
    from mnistexp.sweeps.trial_cache import TrialCache
    from mnistexp.training import kernels

    fits, gone = TrialCache(call.runs_dir).prune(older_than), kernels.prune(older_than)
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
    call.result(document, text)
