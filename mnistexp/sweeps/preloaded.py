"""Loaded by the process that workers are forked from: TensorFlow, but none of its threads, which a fork would lose."""

import atexit
import os

from mnistexp.runtime import import_tensorflow
from mnistexp.sweeps.processes import leave_signals_to_the_parent

leave_signals_to_the_parent()
import_tensorflow()
# It has nothing to put away, and TensorFlow would take a second to leave while whoever reads our output waits.
atexit.register(os._exit, 0)
