"""Loaded by the process that workers are forked from: TensorFlow, but none of its threads, which a fork would lose."""

import atexit
import os

from mnistexp import kernels
from mnistexp.runtime import import_tensorflow
from mnistexp.sweeps.processes import leave_signals_to_the_parent


def _leave() -> None:
    """At once: TensorFlow would take a second, while whoever reads our output waits."""
    kernels.end()
    os._exit(0)


leave_signals_to_the_parent()
kernels.open_private(import_tensorflow())  # one for all workers, which are killed and can't put theirs away
atexit.register(_leave)
