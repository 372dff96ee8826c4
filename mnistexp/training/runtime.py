"""Loading and starting TensorFlow: with one thread, without messages, only when needed.

TensorFlow is started only here.
"""

import ctypes
import gc
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import Any

from mnistexp.errors import MnistexpError
from mnistexp.runs import standard_error

MALLOC = {-1: 2**30, -3: 2**25, -2: 2**24}
"""glibc's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_TOP_PAD, in bytes; the second is the largest allowed."""

LEFT_OUT_OF_KERAS = ("sklearn", "pandas", "matplotlib.pyplot", "IPython")
"""Packages that Keras uses where they are installed, and loads for 2 seconds; a training needs none of them."""
_own = False


def import_tensorflow() -> Any:
    """TensorFlow, loaded but not started, without the notices it prints meanwhile.

    Nor does it print later what isn't fatal, unless TF_CPP_MIN_LOG_LEVEL says so: TensorFlow logs as an error that this
    processor lacks a kernel and that it takes another.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow would load all of Keras with itself, which a sweep's worker has no use for; where it finds none, it
    # looks again when it is next asked for it.
    with standard_error.kept_while(), _left_out("keras"), _garbage_left():
        import tensorflow as tf
    return tf


@cache
def start_tensorflow() -> Any:
    """TensorFlow, on the CPU, with one thread, its optimizer of graphs off, and no notices while it loads.

    One thread because a training of this size gains nothing from two, and because the results are then the same bits
    whatever else the process does. Raises `MnistexpError` where the program had TensorFlow running with more threads
    before: they can't be taken back.
    """
    standard_error.watch_for_a_crash()
    tf = import_tensorflow()
    from mnistexp.training import kernels  # only here: every command loads this module

    with standard_error.kept_while(), kernels.offered(tf):
        threads = tf.config.threading
        try:
            threads.set_intra_op_parallelism_threads(1)
            threads.set_inter_op_parallelism_threads(1)
            tf.config.set_visible_devices([], "GPU")
            tf.constant(0)
        except RuntimeError:
            running = threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads()
            if running != (1, 1):
                raise MnistexpError(
                    "TensorFlow is already running in this process with more than one thread, which would change the "
                    "results: call mnistexp.training.runtime.start_tensorflow() before the first TensorFlow operation"
                ) from None
    # For what lies outside the compiled kernels this finds little, and takes a fifth of a second to look.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    _keep_freed_memory()
    return tf


def own_process() -> None:
    """Mark this process as the program's own: no other code in it needs the modules that Keras then doesn't import."""
    global _own
    _own = True


@cache
def import_keras() -> Any:
    """Keras, on a TensorFlow that has been started; see `start_tensorflow`."""
    start_tensorflow()
    with _left_out(*LEFT_OUT_OF_KERAS if _own else ()), _garbage_left():
        import keras
    return keras


def load_beside(*modules: str) -> None:
    """Load modules in a thread, for use after the training; Keras as `import_keras` does."""

    def load() -> None:
        with suppress(Exception):  # who needs it meets the error too
            for module in modules:
                import_keras() if module == "keras" else import_module(module)

    threading.Thread(target=load).start()


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
def _left_out(*names: str) -> Iterator[None]:
    """Make packages count as not installed while others load, unless they are loaded already."""
    missing = {*names} - {*sys.modules}
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Disable garbage collection: loading creates hundreds of thousands of objects, and hardly any can be freed.

    In the program's own process these objects are not looked through later either, which would take half a second, and
    in a forked worker would copy the memory that they are in.
    """
    looking = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if _own:
            gc.freeze()
        if looking:
            gc.enable()
