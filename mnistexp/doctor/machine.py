"""The machine: its processor, cores, memory, the variables that are set, and how fast a training is."""

import math
import os
import platform
import statistics
from pathlib import Path

from mnistexp import data, training
from mnistexp.config import ExperimentConfig
from mnistexp.doctor.finding import Finding
from mnistexp.runs.environment import environment
from mnistexp.settings import override
from mnistexp.sweeps.cores import cpu_quota, memory_limit, physical_cores, usable_cores
from mnistexp.sweeps.fold_fits import VARIABLES

__all__ = ["cores", "memory", "processor", "speed", "variables"]

REFERENCE_MS = 70.0
"""An epoch of 800 digits, validated on 200, on one core of a server's processor of 2023; see docs/performance.md."""
SLOW = 2.0
"""Times the reference from which on an epoch counts as slow."""
GB = 1e9
WORKER_BYTES = 1 * GB
"""What a worker of a sweep takes, most of it TensorFlow."""


def processor() -> Finding:
    """The processor, and the instructions that TensorFlow needs and likes."""
    known = environment()
    has = set(known["instructions"])  # type: ignore[call-overload]
    says = f"{known['cpu'] or 'unknown'}: {' '.join(sorted(has)) or 'instruction set unknown'}"
    if platform.machine() in {"x86_64", "AMD64"} and has:
        if "avx" not in has:
            return Finding("processor", "problem", f"{says}; TensorFlow needs AVX", "use a processor of 2011 or later")
        if not {"avx2", "fma"} <= has:
            remedy = "expect trainings to take several times as long, or use a processor of 2013 or later"
            return Finding("processor", "warning", f"{says}; without AVX2 and FMA", remedy)
    return Finding("processor", "ok", says)


def cores() -> Finding:
    """Physical cores, and how many of them a sweep uses."""
    quota = cpu_quota()
    limit = f", limited to the time of {quota:g}" if math.isfinite(quota) else ""
    says = (
        f"{usable_cores()} to use of {physical_cores()} physical, {os.cpu_count()} logical ones{limit}; "
        "each fit uses one"
    )
    if quota < 1:
        return Finding("cores", "warning", says, "give the container or job at least one core, as docker run --cpus 2")
    return Finding("cores", "ok", says)


def memory() -> Finding:
    """Whether there is enough for a training, and for a worker on each core."""
    total, free = _meminfo("MemTotal"), _meminfo("MemAvailable")
    limit = memory_limit()
    allowed = min(total, limit)
    if not math.isfinite(allowed):
        return Finding("memory", "ok", "unknown on this system; a training takes about 1 GB, a sweep 1 GB a worker")
    note = " by its control group" if limit < total else ""
    says = f"{allowed / GB:.1f} GB allowed{note}, {min(free, allowed) / GB:.1f} GB free; a fit takes about 1 GB"
    room = int(min(free, allowed) / WORKER_BYTES)
    if room < 1:
        return Finding("memory", "problem", says, "close other programs, or raise the limit of the container or job")
    if room < usable_cores():
        return Finding(
            "memory", "warning", f"{says}, at once on each of {usable_cores()} cores", f"give sweeps --workers {room}"
        )
    return Finding("memory", "ok", says)


def _meminfo(name: str) -> float:
    """A line of /proc/meminfo in bytes; infinite where there is none."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return math.inf
    return next((int(line.split()[1]) * 1024.0 for line in lines if line.startswith(f"{name}:")), math.inf)


def variables() -> Finding:
    """Variables of the environment that change results, and those of threads."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        says = f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']}, and the models are TensorFlow's"
        return Finding("variables", "problem", says, "unset KERAS_BACKEND")
    if changing := [name for name in VARIABLES if name in os.environ]:
        says = f"{', '.join(changing)} set: results differ in their last bits from those without"
        return Finding("variables", "warning", says, f"unset {' '.join(changing)}")
    threads = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.endswith("_NUM_THREADS")]
    says = "none that changes results; a training has one thread"
    return Finding("variables", "ok", f"{says}, whatever {' '.join(threads)} say" if threads else says)


def speed(seconds: float = 2.0) -> Finding:
    """How long an epoch of the training loop takes, beside the reference; slowness alone is no problem."""
    try:
        epoch = statistics.median(_epochs(seconds)) * 1000
    except Exception as error:  # whatever an installation that doesn't work comes to
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = "python -m pip install --force-reinstall tensorflow keras"
        return Finding("speed", "problem", f"no training is possible: {reason}", remedy)
    ratio = epoch / REFERENCE_MS
    says = (
        f"{epoch:.0f} ms an epoch of 800 digits, {ratio:.1f} times the {REFERENCE_MS:.0f} ms of one core of a server "
        f"of 2023; up to {SLOW:.0f} times is usual"
    )
    if ratio > SLOW:
        return Finding("speed", "warning", says, "see what else uses the processor: top")
    return Finding("speed", "ok", says)


def _epochs(seconds: float) -> list[float]:
    """The seconds of each epoch of a real training that lasts so long, less the first, in which it is compiled."""
    config = override(ExperimentConfig(), {"training.epochs": 100_000})
    known = data.load(config.data)
    split = data.split(known, config.data)
    learned, tested = ((known.images[rows], known.labels[rows]) for rows in (split.train, split.test))
    done: list[float] = []

    def enough() -> bool:
        return len(done) > 1 and sum(done[1:]) >= seconds

    training.fit(
        config,
        *learned,
        tested,
        training.Seed(config.seed),
        on_epoch=lambda _, row: done.append(row.seconds),
        should_stop=enough,
    )
    if not enough():  # `fit` ends in good order on Ctrl-C
        raise KeyboardInterrupt
    return done[1:]
