"""The number of usable processor cores, and the memory limit."""

import math
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

CGROUPS = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")
UNLIMITED = 2**60
"""Version 1 of control groups writes "no limit" as a number of this size, in bytes."""


def usable_cores() -> int:
    """Physical cores that this process may use: its affinity, limited by the CPU quota of its control groups."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    return math.ceil(min(_physical(os.sched_getaffinity(0)), cpu_quota()))


def physical_cores() -> int:
    """Physical cores of this machine, as reported by the system."""
    return _physical(range(os.cpu_count() or 1))


def _physical(cpus: Iterable[int]) -> int:
    topology = "/sys/devices/system/cpu/cpu{}/topology/core_cpus_list"
    return len({_text(Path(topology.format(cpu))) or str(cpu) for cpu in cpus})


def cpu_quota(cgroups: Path = CGROUPS, root: Path = ROOT) -> float:
    """CPU seconds per second allowed by the control groups of this process, version 1 or 2; infinite without limit.

    The lowest limit of its own group and its parents. `cgroups` lists the groups, `root` is their mount point.
    """
    return min(map(_quota, _groups("cpu", cgroups, root)), default=math.inf)


def memory_limit(cgroups: Path = CGROUPS, root: Path = ROOT) -> float:
    """Bytes of memory allowed by the control groups of this process; see `cpu_quota`."""
    return min(map(_bytes, _groups("memory", cgroups, root)), default=math.inf)


def _groups(controller: str, cgroups: Path, root: Path) -> Iterator[Path]:
    """The folders of the process's own group and its parents."""
    for line in _text(cgroups).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounts = [root / controllers, root / controller] if controllers else [root]
        mount = next((mount for mount in mounts if mount.is_dir()), root)
        # Inside a container the name may be that of the host: then it doesn't exist, and the mount is the group.
        group = mount / name.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount):
                yield folder


def _quota(group: Path) -> float:
    limit = _text(group / "cpu.max").split() or [_text(group / f"cpu.cfs_{part}_us") for part in ("quota", "period")]
    try:
        quota, period = (float(part) for part in limit)
    except ValueError:  # "max", or a group without such files
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf


def _bytes(group: Path) -> float:
    limit = _text(group / "memory.max") or _text(group / "memory.limit_in_bytes")
    return int(limit) if limit.isdecimal() and int(limit) < UNLIMITED else math.inf


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
