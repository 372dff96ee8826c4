"""Checks of an archive's table of contents: safe names, plain files, bounded sizes."""

import re
import stat
import unicodedata
import zipfile
from pathlib import Path

from mnistexp.errors import BadInput, show
from mnistexp.runs import files
from mnistexp.runs.layout import STATUS
from mnistexp.runs.run_folder import PART

MOST_MEMBERS = 1_000_000
LARGEST_TOTAL = 64 * 2**30
LARGEST_PARSED = 32 * 2**20
PARSED = (".json", ".yaml", ".csv")
# Runs compress to a half or a tenth. Small archives may have any ratio.
LARGEST_RATIO = 100
RATIO_FROM = 64 * 2**20
DEEPEST = 8
# Device names of Windows, in any folder and with any ending.
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
ENCRYPTED = 0x1


def check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Raises BadInput if the archive would unpack to too much, like one made to fill a disk."""
    members = archive.infolist()
    total, size = sum(member.file_size for member in members), path.stat().st_size
    if len(members) > MOST_MEMBERS:
        raise BadInput(f"{path} has {len(members):,} members, allowed: {MOST_MEMBERS:,}")
    if total > LARGEST_TOTAL:
        raise BadInput(f"{path} would unpack to {total:,} bytes, allowed: {LARGEST_TOTAL:,}")
    if total > RATIO_FROM and total > LARGEST_RATIO * size:
        raise BadInput(f"{path} would unpack to {total / size:,.0f} times its size, allowed: {LARGEST_RATIO} times")


def runs_in(archive: zipfile.ZipFile, source: str) -> dict[str, dict[str, zipfile.ZipInfo]]:
    """The files of each run in the archive: by id, then by name within the run. `source` is named in messages.

    Raises BadInput unless all names are plain and distinct on every system, all members are plain files or folders,
    and there is a run.
    """
    runs: dict[str, dict[str, zipfile.ZipInfo]] = {}
    taken: dict[str, tuple[str, bool]] = {}
    for member in archive.infolist():
        # `filename` was cut at a null byte and its separators replaced: check the original name.
        name = member.orig_filename
        folder = name.endswith("/")
        name = name.removesuffix("/")
        if problem := check_name(name, folder) or _check_kind(member, folder) or _claim(taken, name, folder):
            raise BadInput(f"{source}: the member {show(member.orig_filename)} {problem}")
        if not folder:
            run_id, _, rest = name.partition("/")
            runs.setdefault(run_id, {})[rest] = member
    if not runs:
        raise BadInput(f"{source} holds no runs")
    for run_id, members in runs.items():
        if STATUS not in members:
            raise BadInput(f"{source}: {run_id} is not a run: {STATUS} is missing")
    return runs


def check_name(name: str, folder: bool = False) -> str | None:
    """What is wrong with a member's name, `<id>/<file>` with / between folders; None if it is valid on every system."""
    parts = name.split("/")
    if not all(PART.fullmatch(part) for part in parts) or any(DEVICE.fullmatch(part) for part in parts):
        return "has an unsafe name, allowed: plain names, not hidden, with / between folders"
    if len(parts) > DEEPEST:
        return f"is {len(parts) - 1} folders deep, allowed: {DEEPEST - 1}"
    return None if folder or len(parts) > 1 else "is outside the folder of a run"


def _check_kind(member: zipfile.ZipInfo, folder: bool) -> str | None:
    if member.header_offset < 0:
        return "is damaged: its offset is negative"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        return f"is a {'link' if kind == stat.S_IFLNK else 'special file'}, allowed: files and folders"
    if member.flag_bits & ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "has an unsupported compression, allowed: stored and deflated"
    largest = LARGEST_PARSED if member.orig_filename.endswith(PARSED) else files.LARGEST_READ
    if member.file_size > (0 if folder else largest):
        return f"has {member.file_size:,} bytes, allowed: {0 if folder else largest:,}"
    return None


def _claim(taken: dict[str, tuple[str, bool]], name: str, folder: bool) -> str | None:
    """Add a name and the folders above it to `taken`; returns what it collides with, ignoring case and accents."""
    parts = name.split("/")
    for end in range(1, len(parts) + 1):
        claim = ("/".join(parts[:end]), folder or end < len(parts))
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", claim[0]).casefold())
        there = taken.setdefault(folded, claim)
        # Only a folder may occur again, as the parent of other members.
        if there is not claim and (there != claim or not claim[1]):
            return f"collides with {show(there[0])}: some systems treat the two names as equal"
    return None
