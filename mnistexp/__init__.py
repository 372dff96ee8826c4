"""mnistexp: small, fast and reproducible experiments on the first 1,000 MNIST digits.

`train`, `sweep`, `best`, `evaluate` and `reproduce` are the commands as functions, `load_run` reads a run back, and
`configure` makes the `ExperimentConfig` that they take. `MnistCnnClassifier` is the network for scikit-learn. All are
loaded when first used: `import mnistexp` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnistexp.api import best, configure, evaluate, load_run, reproduce, sweep, train
    from mnistexp.config import ExperimentConfig
    from mnistexp.estimator import MnistCnnClassifier

__version__ = "0.1.0"
FUNCTIONS = ("best", "configure", "evaluate", "load_run", "reproduce", "sweep", "train")
__all__ = [
    "ExperimentConfig",
    "MnistCnnClassifier",
    "__version__",
    "best",
    "configure",
    "evaluate",
    "load_run",
    "reproduce",
    "sweep",
    "train",
]

HOMES = dict.fromkeys(FUNCTIONS, "mnistexp.api")
HOMES |= {"ExperimentConfig": "mnistexp.config", "MnistCnnClassifier": "mnistexp.estimator"}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'mnistexp' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
