"""Export and import of runs as one `.zip`: whole folders named by id, without hidden files.

The same runs give the same bytes: members are sorted and have no times. Archives may come from anywhere, so nothing in
them is trusted: names, sizes and contents are checked before a run is imported.
"""

import os
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mnistexp.config import yaml_source
from mnistexp.errors import BadInput, ConfigError, MnistexpError, RunError
from mnistexp.runs import files, stored_runs
from mnistexp.runs.annotations import read_annotations
from mnistexp.runs.archive_members import check_name, check_sizes, runs_in
from mnistexp.runs.layout import CONFIG, STATUS
from mnistexp.runs.staging import staging_name
from mnistexp.runs.status import read_record, write_status

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest date in a zip
UNIX = 3
FILE = (stat.S_IFREG | 0o644) << 16


@dataclass(frozen=True)
class Imported:
    """The ids of the runs in an archive: imported, or skipped because a run with that id exists already."""

    imported: tuple[str, ...]
    skipped: tuple[str, ...]


def write_archive(folders: Iterable[Path], output: Path) -> None:
    """Write whole runs to a `.zip`, which appears when it is complete.

    Raises RunError if a run can't be read, is damaged, or has a link or a file not allowed in an archive; BadInput
    if two runs have the same name.
    """
    sources: dict[str, Path] = {}
    for path in folders:
        folder = path if path.name else path.resolve()
        if sources.setdefault(folder.name, folder).resolve() != folder.resolve():
            raise BadInput(f"two runs are called {folder.name}; an archive can hold only one of them")
    with files.replacing(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for run_id in sorted(sources):
            _write_run(archive, run_id, sources[run_id])


def _write_run(archive: zipfile.ZipFile, run_id: str, folder: Path) -> None:
    # First: a run that ends meanwhile must not be recorded as done without its last files.
    status = files.read_bytes(folder / STATUS)
    for name in _check(folder):
        if problem := check_name(f"{run_id}/{name}"):
            raise RunError(f"can't export {folder / name}: it {problem}")
        if (folder / name).is_symlink():
            raise RunError(f"can't export {folder / name}: it is a link")
        member = zipfile.ZipInfo(f"{run_id}/{name}", LONG_AGO)
        member.compress_type, member.create_system, member.external_attr = zipfile.ZIP_DEFLATED, UNIX, FILE
        archive.writestr(member, status if name == STATUS else files.read_bytes(folder / name))


def _check(folder: Path) -> list[str]:
    """The names of all files of a run. Raises RunError or ConfigError if a part of it can't be read."""
    stored = stored_runs.load(folder)
    read_annotations(folder)
    yaml_source.read(folder / CONFIG)
    _ = stored.environment, stored.histories
    names = stored.files()
    for name in names:
        if name.endswith(".json"):
            stored.read_json(name)
    return names


def import_archive(path: Path, runs_dir: Path) -> Imported:
    """Import the runs of an archive that aren't in `runs_dir` yet; a running run becomes an interrupted one.

    Raises BadInput, with nothing imported, for a file that is not such an archive, is damaged, unpacks to too much,
    has an unsafe name, or contains anything but valid runs; RunError if they can't be written.
    """
    staged: dict[str, Path] = {}
    made: list[Path] = []
    imported: list[str] = []
    with _opened(path) as archive:
        runs = runs_in(archive, str(path))
        made = files.make_folder(runs_dir)
        try:
            for run_id, members in runs.items():
                if not os.path.lexists(runs_dir / run_id):
                    # Not an id, so that it is removed if this process dies.
                    staged[run_id] = runs_dir / staging_name(f"import.{run_id}")
                    _unpack(archive, members, staged[run_id], path)
                    _check_unpacked(staged[run_id], run_id, path)
            imported = [run_id for run_id, folder in staged.items() if _publish(folder, runs_dir / run_id)]
        finally:
            for folder in staged.values():
                shutil.rmtree(folder, ignore_errors=True)
            for parent in reversed(made):
                with suppress(OSError):  # not empty: runs were imported
                    parent.rmdir()
    return Imported(tuple(imported), tuple(run_id for run_id in runs if run_id not in imported))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        ordinary = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError) as error:
        raise BadInput(f"can't read {path}: {getattr(error, 'strerror', None) or error}") from error
    if not ordinary:
        raise BadInput(f"can't read {path}: not a regular file")
    with files.explained("read", path):
        with _damage_named(path):
            archive = zipfile.ZipFile(path)
        with archive:
            check_sizes(archive, path)
            yield archive


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError, MnistexpError):
        raise
    except Exception as error:  # zipfile and its decompressors raise many kinds
        raise BadInput(f"{path} is not a zip archive, or a damaged one: {error}") from error


def _unpack(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: Path, path: Path) -> None:
    with files.explained("write", folder), _damage_named(path):
        folder.mkdir()
        folders = {folder}
        for name, member in members.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            folders.add(target.parent)
            with archive.open(member) as source, target.open("xb") as copy:
                shutil.copyfileobj(source, copy)
            files.sync(target)
        for each in folders:
            files.sync(each)


def _check_unpacked(folder: Path, run_id: str, path: Path) -> None:
    """Raises BadInput unless the folder is a valid run; a running run is marked interrupted."""
    try:
        status = read_record(folder)
        if status.status == "running":
            write_status(folder, replace(status, status="interrupted"))
        _check(folder)
    except (RunError, ConfigError) as error:
        said = str(error).replace(f"{folder}{os.sep}", f"{run_id}/")
        raise BadInput(f"{path} has a run that can't be imported: {said}") from error


def _publish(folder: Path, target: Path) -> bool:
    """Move a run to its place; False if another is there already."""
    with files.explained("publish", target):
        try:
            if not os.path.lexists(target):
                files.move(folder, target)
                return True
        except OSError:
            if not os.path.lexists(target):
                raise
    return False
