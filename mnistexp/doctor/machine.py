"""The machine: processor, cores, memory, environment variables, and the speed of training."""

import math
import os
import platform
import statistics
from pathlib import Path

from mnistexp import data
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.settings import override
from mnistexp.config.shown import counted
from mnistexp.doctor.finding import Finding
from mnistexp.errors import reason
from mnistexp.runs.environment import environment
from mnistexp.sweeps.executors.cores import cpu_quota, memory_limit, physical_cores, usable_cores
from mnistexp.sweeps.fold_fits import VARIABLES
from mnistexp.training import fitting
from mnistexp.training.model import Seed

REFERENCE_MS = 70.0
"""An epoch of 800 digits, validated on 200, on one core of a server's processor of 2023; see docs/performance.md."""
SECONDS = 2.0
"""How long the training takes that is timed."""
SLOW = 2.0
"""An epoch that takes longer than this many times the reference is slow."""
GB = 1e9
WORKER_BYTES = 1 * GB
"""Memory of a sweep's worker, most of it for TensorFlow."""


def processor() -> Finding:
    """The processor, and the instruction sets that TensorFlow needs or benefits from."""
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
    """The number of cores, and how many of them a sweep uses."""
    quota = cpu_quota()
    limit = f", limited to the CPU time of {quota:g}" if math.isfinite(quota) else ""
    says = (
        f"{physical_cores()} physical, {os.cpu_count()} logical cores{limit}; "
        f"a sweep runs {counted(usable_cores(), 'fit')} at once, each on one core, unless --workers says otherwise"
    )
    if quota < 1:
        return Finding(
            "cores", "warning", says, "give the container or job at least one core, for example docker run --cpus 2"
        )
    return Finding("cores", "ok", says)


def memory() -> Finding:
    """Whether the memory is enough for a training, and for a worker on each core."""
    total, free = meminfo("MemTotal"), meminfo("MemAvailable")
    limit = memory_limit()
    allowed = min(total, limit)
    if not math.isfinite(allowed):
        return Finding("memory", "ok", "unknown on this system; a training takes about 1 GB, a sweep 1 GB per worker")
    note = " (limit of the control group)" if limit < total else ""
    says = f"{allowed / GB:.1f} GB{note}, {min(free, allowed) / GB:.1f} GB free; a fit takes about 1 GB"
    room = int(min(free, allowed) / WORKER_BYTES)
    if room < 1:
        return Finding("memory", "problem", says, "close other programs, or raise the limit of the container or job")
    if room < usable_cores():
        return Finding(
            "memory", "warning", f"{says}, and {usable_cores()} cores run one each", f"give sweeps --workers {room}"
        )
    return Finding("memory", "ok", says)


def meminfo(name: str) -> float:
    """A line of /proc/meminfo in bytes; infinite if it is missing."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return math.inf
    return next((int(line.split()[1]) * 1024.0 for line in lines if line.startswith(f"{name}:")), math.inf)


def variables() -> Finding:
    """Environment variables that change results, and those for threads."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        says = f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']}, but mnistexp needs tensorflow"
        return Finding("variables", "problem", says, "unset KERAS_BACKEND")
    if changing := [name for name in VARIABLES if name in os.environ]:
        says = f"{', '.join(changing)} set: results differ slightly from those without"
        return Finding("variables", "warning", says, f"unset {' '.join(changing)}")
    threads = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.endswith("_NUM_THREADS")]
    says = "none that changes results; a training uses one thread"
    return Finding("variables", "ok", f"{says}, {' '.join(threads)} are ignored" if threads else says)


def speed() -> Finding:
    """The time of an epoch compared with the reference; being slow is a warning, not a problem."""
    try:
        epoch = statistics.median(_epochs(SECONDS)) * 1000
    except Exception as error:  # a broken installation may raise anything
        remedy = "python -m pip install --force-reinstall tensorflow keras"
        return Finding("speed", "problem", f"training fails: {reason(error)}", remedy)
    ratio = epoch / REFERENCE_MS
    says = (
        f"{epoch:.0f} ms per epoch of 800 digits, {ratio:.1f} times the {REFERENCE_MS:.0f} ms of one core of a 2023 "
        f"server; up to {SLOW:.0f} times is normal"
    )
    if ratio > SLOW:
        return Finding("speed", "warning", says, "check which other programs use the processor: top")
    return Finding("speed", "ok", says)


def _epochs(seconds: float) -> list[float]:
    """The seconds per epoch of a real training of this length, without the first epoch, which compiles the loop."""
    config = override(ExperimentConfig(), {"training.epochs": 100_000})
    known = data.load(config.data)
    split = data.split(known, config.data)
    learned, tested = ((known.images[rows], known.labels[rows]) for rows in (split.train, split.test))
    done: list[float] = []

    def enough() -> bool:
        return len(done) > 1 and sum(done[1:]) >= seconds

    fitting.fit(
        config,
        *learned,
        tested,
        Seed(config.seed),
        on_epoch=lambda _, row: done.append(row.seconds),
        should_stop=enough,
    )
    if not enough():  # `fit` ends normally on Ctrl-C
        raise KeyboardInterrupt
    return done[1:]
