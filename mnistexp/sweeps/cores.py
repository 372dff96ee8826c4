"""How many processor cores there are to work with."""

import math
import os
import sys
from pathlib import Path

__all__ = ["usable_cores"]


def usable_cores() -> int:
    """Physical cores that this process may use: those of its affinity, at most the CPU time of its control groups."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list")
        cores.add(_text(siblings) or str(cpu))
    return math.ceil(min(len(cores), cpu_quota()))


def cpu_quota(cgroups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """CPU seconds per second that the control groups of this process allow, of version 1 or 2; infinite without limit.

    The least of its own group and of those above it. `cgroups` names the groups, `root` is where they are mounted.
    """
    least = math.inf
    for line in _text(cgroups).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = [root / controllers, root / "cpu"] if controllers else [root]
        mount = next((mount for mount in mounts if mount.is_dir()), root)
        # Inside a container the name may be the host's: then it isn't there, and the mount itself is the group.
        group = mount / name.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(mount):
                least = min(least, _quota(folder))
    return least


def _quota(group: Path) -> float:
    limit = _text(group / "cpu.max").split() or [_text(group / f"cpu.cfs_{part}_us") for part in ("quota", "period")]
    try:
        quota, period = (float(part) for part in limit)
    except ValueError:  # "max", or a group without such files
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
