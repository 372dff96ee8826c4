"""The environment of a run: versions, processor, state of the code. No names of people, machines or folders."""

import ast
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
OUTSIDE = {"config/models", "config/grids", "config/section", "training/kernels"}
"""Modules used in training that don't affect its numbers: settings, which are compared by value, and a cache."""
LARGEST_DIFF = 1_000_000

# Variables that change results or times. No others are stored.
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "DNNL_MAX_CPU_ISA",
    "KERAS_BACKEND",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "XLA_FLAGS",
)
# The processor extensions that numerical libraries choose their kernels by.
INSTRUCTIONS = re.compile(r"^(sse4_2|avx\w*|fma|f16c|amx_\w+|asimd\w*|sve\w*|bf16|i8mm)$")


@cache
def environment() -> Mapping[str, object]:
    """Versions, processor and code of this process; determined once, so later edits and upgrades have no effect.

    Keys: `python`, `implementation`, `system`, `release`, `machine`, `cpu`, `instructions`, `cores`, `usable_cores`,
    `memory_bytes`, `packages` (name to version), `git_commit`, `git_dirty`, `training_code` (SHA-256), `variables`.
    None if unknown; the git keys are None unless the package runs from its own checkout.
    """
    model, instructions = _processor()
    # A package installed inside another repository is in a checkout that doesn't track it.
    own = _git("ls-files", "--error-unmatch", "--", "runs/environment.py") is not None
    status = _git("status", "--porcelain", "--", ".") if own else None
    commit = _git("rev-parse", "HEAD") if status is not None else None
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "cpu": model,
        "instructions": instructions,
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_bytes": _memory(),
        "packages": _packages(),
        "git_commit": commit.strip() if commit else None,
        "git_dirty": None if status is None else bool(status.strip()),
        "training_code": code_hash(),
        "variables": _variables(),
    }


@cache
def dirty_diff() -> str:
    """The package's uncommitted changes, as a patch of at most 1 MB; "" if there are none."""
    if not environment()["git_dirty"]:
        return ""
    patch = ("diff", "--no-ext-diff", "--no-textconv", "--no-color")
    parts = [_git(*patch, "--relative", "HEAD", "--", ".") or ""]
    untracked = _git("ls-files", "--others", "--exclude-standard", "-z", "--", ".") or ""
    for name in untracked.split("\0")[:-1]:
        if sum(map(len, parts)) > LARGEST_DIFF:
            break
        parts.append(_git(*patch, "--no-index", "--", os.devnull, name, succeeds=(0, 1)) or "")
    text = "".join(parts)
    return text if len(text) <= LARGEST_DIFF else text[:LARGEST_DIFF] + "\n[cut here: the patch is longer than 1 MB]\n"


def training_code() -> dict[str, bytes]:
    """Name, such as `training/loop`, to source of the modules that decide a training's numbers.

    These are `training/fitting` and what it imports from `training` and `config`, except `OUTSIDE`.
    """
    found: dict[str, bytes] = {}
    waiting = {"training/fitting"}
    while waiting:
        name = waiting.pop()
        found[name] = (PACKAGE / f"{name}.py").read_bytes()
        for node in ast.walk(ast.parse(found[name])):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("mnistexp.config", "mnistexp.tra")):
                module = str(node.module).removeprefix("mnistexp.").replace(".", "/")
                named = {module, *(f"{module}/{alias.name}" for alias in node.names)}
                waiting |= {other for other in named if (PACKAGE / f"{other}.py").exists()} - found.keys() - OUTSIDE
    return found


@cache
def code_hash() -> str | None:
    """SHA-256 of all of `training_code`; None where the package is installed without sources."""
    try:
        parts = [f"{name} {hashlib.sha256(text).hexdigest()}\n" for name, text in sorted(training_code().items())]
    except OSError:
        return None
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _git(*arguments: str, succeeds: tuple[int, ...] = (0,)) -> str | None:
    """The output of git in the package's folder; None if git is missing, fails, or takes longer than 10 s."""
    # A git hook sets GIT_DIR, which would point elsewhere; without the optional lock we can't disturb another git.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables["GIT_OPTIONAL_LOCKS"] = "0"
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(
            command, cwd=PACKAGE, env=variables, stdin=subprocess.DEVNULL, capture_output=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode in succeeds else None


def _packages() -> dict[str, str]:
    """Versions of mnistexp and its installed requirements, including extras."""
    try:
        asked = importlib.metadata.requires("mnistexp") or []
    except importlib.metadata.PackageNotFoundError:
        asked = []
    used = [line for line in asked if not re.search(r"""extra == ['"](dev|build-digits)['"]""", line)]
    names = {match[0] for line in used if (match := re.match(r"[\w.-]+", line))} | {"mnistexp", "keras", "numpy"}
    versions = {}
    for name in sorted(names, key=str.lower):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _processor() -> tuple[str | None, list[str]]:
    """The processor's name and its relevant instruction sets; (None, []) if unknown."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or None, []
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    found = flags[1].split() if flags else []
    return (model[1].strip() if model else None), sorted(flag for flag in found if INSTRUCTIONS.match(flag))


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _variables() -> dict[str, str]:
    """The listed variables that are set; values that may contain a path or a name are not stored."""
    plain = re.compile(r"[\w.,:=+\- ]*")
    found = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    return {name: value if plain.fullmatch(value) else "set, not stored" for name, value in found.items()}
