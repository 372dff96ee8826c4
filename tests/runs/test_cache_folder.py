"""A cache on disk: what is in it, and what pruning it or shrinking it leaves, whoever else uses it meanwhile."""

import os
import shutil
from pathlib import Path

import pytest

from mnistexp.errors import RunError
from mnistexp.runs.cache_folder import CacheFolder


@pytest.fixture
def cache(tmp_path: Path) -> CacheFolder:
    """Three entries of 10 bytes, 0 the one used last."""
    cache = CacheFolder(tmp_path / "cache", ".entry")
    for age in range(3):
        path = cache.folder / str(age) / f"{age}.entry"
        cache.add(path, b"0123456789")
        os.utime(path, (1e9 - age, 1e9 - age))
    return cache


def names(cache: CacheFolder) -> list[str]:
    return [entry.path.name for entry in cache.entries()]


def test_entries_are_in_the_order_of_their_last_use(cache: CacheFolder) -> None:
    assert names(cache) == ["0.entry", "1.entry", "2.entry"]
    os.utime(cache.folder / "2" / "2.entry")
    assert names(cache) == ["2.entry", "0.entry", "1.entry"]


def test_other_files_are_no_entries(cache: CacheFolder) -> None:
    (cache.folder / "0" / "0.other").touch()
    (cache.folder / "0" / ".hidden.entry").touch()
    (cache.folder / "above.entry").touch()
    assert cache.size() == (3, 30)


def test_a_cache_that_nobody_filled_is_empty(tmp_path: Path) -> None:
    nothing = CacheFolder(tmp_path / "none", ".entry")
    assert nothing.size() == nothing.prune() == (0, 0)
    assert not nothing.folder.exists()


def test_pruning_removes_old_entries_and_the_folders_that_it_empties(cache: CacheFolder) -> None:
    os.utime(cache.folder / "1" / "1.entry")
    (cache.folder / "2" / "another").touch()
    assert cache.prune(3600) == (2, 20)
    assert names(cache) == ["1.entry"]
    assert sorted(path.name for path in cache.folder.iterdir()) == ["1", "2"]


@pytest.mark.parametrize(("most", "left"), [(30, 3), (29, 2), (10, 1), (9, 0)])
def test_shrinking_keeps_the_entries_used_last(most: int, left: int, cache: CacheFolder) -> None:
    cache.shrink(most)
    assert names(cache) == ["0.entry", "1.entry", "2.entry"][:left]


def test_an_entry_is_written_again_where_its_folder_was_removed(cache: CacheFolder) -> None:
    shutil.rmtree(cache.folder)
    cache.add(cache.folder / "0" / "0.entry", b"again")
    assert cache.size() == (1, 5)


def test_an_entry_that_cannot_be_written_is_an_error(cache: CacheFolder) -> None:
    (cache.folder / "file").touch()
    with pytest.raises(RunError, match="a file is where a folder should be"):
        cache.add(cache.folder / "file" / "0.entry", b"")
