"""Libraries that few tests use: loaded by the first of them, and not by each process that only collects."""

from importlib import import_module
from typing import Any


class Later:
    """A module that is loaded when it is first asked for one of its names."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest looks for marks of its own on all that a file of tests holds
            raise AttributeError(name)
        return getattr(import_module(self._module), name)
