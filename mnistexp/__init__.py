"""mnistexp: small, fast and honest experiments on the first 1,000 MNIST digits.

`train`, `sweep` and `load_run` are the commands as functions, `configure` makes their configurations, and
`ExperimentConfig` is what it makes. They are loaded when first used: `import mnistexp` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnistexp.api import configure, load_run, train
    from mnistexp.config import ExperimentConfig

__version__ = "0.1.0"
__all__ = ["ExperimentConfig", "__version__", "configure", "load_run", "train"]

HOMES = dict.fromkeys(("configure", "load_run", "train"), "mnistexp.api")
HOMES["ExperimentConfig"] = "mnistexp.config"


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'mnistexp' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
