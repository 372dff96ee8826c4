"""Loads TensorFlow in the process that workers are forked from, without its threads, which a fork would lose."""

import atexit
import os

from mnistexp.runtime import import_tensorflow
from mnistexp.sweeps.processes import leave_signals_to_the_parent

leave_signals_to_the_parent()
import_tensorflow()
# Exit at once: there is nothing to clean up, and TensorFlow would take a second while readers of our output wait.
atexit.register(os._exit, 0)
