"""The network of tests that train one: the same for all, as each other shape takes seconds to compile."""

from collections.abc import Mapping

NETWORK = {"model.filters": [4, 8], "model.dense_units": 16, "training.batch_size": 16}


def options(settings: Mapping[str, object]) -> list[str]:
    """Settings as options of the command line."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
