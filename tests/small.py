"""Small experiments: a network that is the same for all tests, as each other shape takes seconds to compile."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from mnistexp.commands.best import best_figures
from mnistexp.commands.evaluate import story
from mnistexp.figures import plots, style, sweeps

NETWORK = {"model.filters": [4, 8], "model.dense_units": 16, "training.batch_size": 16}


def options(settings: Mapping[str, object]) -> list[str]:
    """Settings as options of the command line."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


@contextmanager
def undrawn() -> Iterator[None]:
    """Runs without their figures, which take half of the time of small ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "of_training", lambda *_: {})
        patch.setattr(sweeps, "of_sweep", lambda *_: {})
        patch.setattr(best_figures, "of_best", lambda *_: {})
        patch.setattr(story, "of_evaluation", lambda *_: {})
        patch.setattr(style, "rendered", lambda _: ())
        yield
