"""Loads what workers need in the process that they are forked from, so that each finds it loaded.

TensorFlow is loaded without its threads, which a fork would lose.
"""

import atexit
import os

from mnistexp.sweeps.executors.processes import leave_signals_to_the_parent
from mnistexp.sweeps.fold_fits import numerics
from mnistexp.training import kernels
from mnistexp.training.runtime import import_tensorflow, own_process


def _leave() -> None:
    """Exit at once: TensorFlow would take a second while readers of our output wait."""
    kernels.end()
    os._exit(0)


leave_signals_to_the_parent()
own_process()
numerics()  # kept, and each fit's answer has it
kernels.open_private(import_tensorflow())  # one for all workers: they are killed, and couldn't remove theirs
atexit.register(_leave)
