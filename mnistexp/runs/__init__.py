"""Run folders: writing, listing, finding and reading them.

`load`, `histories` and `trials` return pandas data frames, see frames.py; they are loaded when first used.
"""

from importlib import import_module
from typing import Any

FRAMES = ("histories", "load", "trials")


def __getattr__(name: str) -> Any:
    if name not in FRAMES:
        raise AttributeError(f"module 'mnistexp.runs' has no attribute {name!r}")
    return getattr(import_module("mnistexp.runs.frames"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *FRAMES])
