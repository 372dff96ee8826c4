"""mnistexp: small, fast and reproducible experiments on the first 1,000 MNIST digits.

    import mnistexp
    run = mnistexp.train(changes={"epochs": 5})
    run.metrics["test_accuracy"]

`train`, `sweep`, `best`, `evaluate` and `reproduce` are the commands as functions, `progress` shows how far they are,
`load_run` reads a run back, and `configure` makes the `mnistexp.ExperimentConfig` that they take.
`mnistexp.MnistCnnClassifier` is the network for scikit-learn. All are loaded when first used: `import mnistexp` costs
nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnistexp.api import best, configure, evaluate, load_run, progress, reproduce, sweep, train
    from mnistexp.config.models import ExperimentConfig as ExperimentConfig
    from mnistexp.estimator import MnistCnnClassifier as MnistCnnClassifier

__version__ = "0.1.0"
# The two classes are left out: `help(mnistexp)` would show all of pydantic and scikit-learn.
__all__ = ["__version__", "best", "configure", "evaluate", "load_run", "progress", "reproduce", "sweep", "train"]

HOMES = dict.fromkeys(__all__[1:], "mnistexp.api")
HOMES |= {"ExperimentConfig": "mnistexp.config.models", "MnistCnnClassifier": "mnistexp.estimator"}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'mnistexp' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *HOMES})
