"""Loading and starting TensorFlow: with one thread, without messages, only when needed.

TensorFlow is started only here.
"""

import ctypes
import gc
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from mnistexp import standard_error
from mnistexp.errors import MnistexpError

__all__ = ["import_tensorflow", "start_tensorflow"]

MALLOC = {-1: 2**30, -3: 2**25, -2: 2**24}
"""glibc's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_TOP_PAD, in bytes; the second is the largest allowed."""


def import_tensorflow() -> Any:
    """TensorFlow, loaded but not started, without the notices it prints meanwhile.

    Nor does it print later what isn't fatal, unless TF_CPP_MIN_LOG_LEVEL says so: TensorFlow logs as an error that this
    processor lacks a kernel and that it takes another.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with standard_error.kept_while(), _keras_left_out(), _garbage_left():
        import tensorflow as tf
    return tf


@cache
def start_tensorflow() -> Any:
    """TensorFlow, on the CPU, with one thread, and without the notices it prints while it loads.

    One thread because a training of this size gains nothing from two, and because the results are then the same bits
    whatever else the process does. Raises `MnistexpError` where the program had TensorFlow running with more threads
    before: they can't be taken back.
    """
    standard_error.watch_for_a_crash()
    tf = import_tensorflow()
    with standard_error.kept_while():
        threading = tf.config.threading
        try:
            threading.set_intra_op_parallelism_threads(1)
            threading.set_inter_op_parallelism_threads(1)
            tf.config.set_visible_devices([], "GPU")
            tf.constant(0)
        except RuntimeError:
            running = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
            if running != (1, 1):
                raise MnistexpError(
                    "TensorFlow is already running in this process with more than one thread, which would change the "
                    "results: call mnistexp.model.start_tensorflow() before the first TensorFlow operation"
                ) from None
    _keep_freed_memory()
    return tf


@cache
def _keep_freed_memory() -> None:
    """Let glibc reuse the memory of one step for the next instead of returning it to the kernel.

    Without this an epoch has thousands of page faults, a tenth of its time or more. No effect with other C libraries.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in MALLOC.items():
            mallopt(parameter, value)


@contextmanager
def _keras_left_out() -> Iterator[None]:
    """Prevent TensorFlow from loading all of Keras, which takes 2 seconds and is not needed by a sweep's worker.

    TensorFlow takes the missing module for Keras not being installed, and finds it when it is next asked for.
    """
    if {"keras", "tensorflow"} & set(sys.modules):
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["keras"]


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Disable garbage collection: loading creates hundreds of thousands of objects, and hardly any can be freed."""
    looking = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looking:
            gc.enable()
