"""The cache of fits: the same numbers under the same key, and never a wrong one."""

import ast
import hashlib
import io
import logging
import math
import os
import subprocess
import sys
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnistexp
from mnistexp import data
from mnistexp.config.models import DataConfig, ExperimentConfig, ModelConfig, SweepConfig, TrainingConfig
from mnistexp.config.optimizers import Adam
from mnistexp.runs.environment import OUTSIDE, training_code
from mnistexp.runs.results import FoldResult, History
from mnistexp.sweeps.fold_fits import fit_key, fold_hash
from mnistexp.sweeps.plan import Fits
from mnistexp.sweeps.trial_cache import TrialCache

ROWS = np.array([3, 1, 4], np.int64)
KEY = "ab" + "0" * 62
BASE = ExperimentConfig(optimizer=Adam(name="adam"))
PACKAGE = Path(mnistexp.__file__).parent


@pytest.fixture
def cache(tmp_path: Path) -> TrialCache:
    return TrialCache(tmp_path)


@pytest.fixture
def result() -> FoldResult:
    rng = np.random.default_rng(1)
    return FoldResult(
        fold=2,
        repeat=1,
        score=1 / 3,
        history=History(**{field.name: (number / 3, math.nan) for number, field in enumerate(fields(History))}),
        rows=ROWS,
        probabilities=rng.random((3, 10), dtype=np.float32),
        seconds=1.25,
        diverged_at=2,
    )


def get(cache: TrialCache, key: str = KEY) -> FoldResult | None:
    return cache.get(key, fold=2, repeat=1, rows=ROWS)


def entry(cache: TrialCache) -> Path:
    [path] = cache.folder.rglob("*.fit")
    return path


def test_a_stored_fit_is_read_back_bit_for_bit(cache: TrialCache, result: FoldResult) -> None:
    cache.put(KEY, result, 6)
    found = get(cache)
    assert found is not None
    assert repr(found.history) == repr(replace(result.history, seconds=()))  # as run folders: no time of each epoch
    assert found.probabilities.tobytes() == result.probabilities.tobytes()
    assert found.probabilities.dtype == np.float32
    assert (found.score, found.seconds, found.diverged_at) == (1 / 3, 1.25, 2)
    assert (found.fold, found.repeat, found.rows.tolist()) == (2, 1, [3, 1, 4])
    assert found.cached
    assert found.error is None


def test_the_same_fit_is_stored_in_the_same_bytes(cache: TrialCache, result: FoldResult) -> None:
    cache.put(KEY, result, 6)
    first = entry(cache).read_bytes()
    cache.put(KEY, result, 6)
    assert entry(cache).read_bytes() == first


def test_a_missing_entry_is_not_a_fit(cache: TrialCache, caplog: pytest.LogCaptureFixture) -> None:
    assert get(cache) is None
    assert not caplog.records


@pytest.mark.parametrize("damage", ["a bit", "cut", "empty", "other", "garbage", "folder"])
def test_a_damaged_entry_is_ignored_with_a_warning(
    damage: str, cache: TrialCache, result: FoldResult, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put(KEY, result, 6)
    path = entry(cache)
    content = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "other":
        cache.put("cd" + KEY[2:], result, 6)
        path.write_bytes((cache.folder / "cd" / f"cd{KEY[2:]}.fit").read_bytes())
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"a bit": flipped, "cut": content[:-1], "empty": b"", "garbage": b"\0" * 9999}[damage])
    with caplog.at_level(logging.WARNING, "mnistexp"):
        assert get(cache) is None
    assert "damaged" in caplog.text
    assert str(path) in caplog.text


@pytest.mark.parametrize("about", [b"[" * 5000, b"5", b"not an array", None], ids=["deep", "number", "text", "pickle"])
def test_an_entry_with_a_valid_checksum_and_wrong_content_is_not_a_fit(
    about: bytes | None, cache: TrialCache, result: FoldResult
) -> None:
    cache.put(KEY, result, 6)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("about.npy", "w") as file:
        if about == b"not an array":
            file.write(about)
        else:
            array = np.array([print], object) if about is None else np.frombuffer(about, np.uint8)
            np.save(file, array, allow_pickle=True)
    content = buffer.getvalue()
    entry(cache).write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    assert get(cache) is None
    assert cache.pace() is None


def test_every_flipped_bit_is_noticed(cache: TrialCache, result: FoldResult) -> None:
    cache.put(KEY, result, 6)
    path = entry(cache)
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), 97):
        content[position] ^= 4
        path.write_bytes(content)
        assert get(cache) is None
        content[position] ^= 4


def test_an_entry_for_other_digits_is_not_used(cache: TrialCache, result: FoldResult) -> None:
    cache.put(KEY, result, 6)
    assert cache.get(KEY, fold=2, repeat=1, rows=np.arange(4)) is None


def test_info_and_prune_count_what_is_there(cache: TrialCache, result: FoldResult) -> None:
    assert cache.size()[0] == 0
    assert cache.prune()[0] == 0
    for number in range(4):
        cache.put(f"{number}{KEY[1:]}", result, 6)
    paths = sorted(cache.folder.rglob("*.fit"))
    for age, path in enumerate(paths):
        os.utime(path, (1e9 - age, 1e9 - age))
    assert cache.size() == (4, sum(path.stat().st_size for path in paths))
    os.utime(paths[0])
    assert cache.prune(older_than=3600)[0] == 3
    assert [path.exists() for path in paths] == [True, False, False, False]
    assert cache.size()[0] == 1
    assert cache.prune()[0] == 1
    assert cache.size()[0] == 0


def test_leftovers_of_a_killed_process_are_no_entries_and_prune_removes_them(
    cache: TrialCache, result: FoldResult
) -> None:
    cache.put(KEY, result, 6)
    cut_off = entry(cache).with_name(".tmp-0123456789abcdef.fit")
    cut_off.write_bytes(b"half of")
    assert cache.size()[0] == 1
    assert cache.prune(older_than=3600)[0] == 0
    assert cut_off.exists()
    os.utime(cut_off, (1e9, 1e9))
    assert cache.prune(older_than=3600)[0] == 0
    assert not cut_off.exists()


def test_pace_is_seconds_for_each_digit_in_each_epoch(cache: TrialCache, result: FoldResult) -> None:
    assert cache.pace() is None
    cache.put(KEY, result, 25)  # one epoch of 25 digits before it diverged
    assert cache.pace() == 1.25 / 25


def key(config: ExperimentConfig = BASE, fold_sha256: str = "f", fold: int = 0, repeat: int = 0) -> str:
    return fit_key(config, fold_sha256, fold, repeat)


def with_training(**changes: Any) -> ExperimentConfig:
    return BASE.model_copy(update={"training": BASE.training.model_copy(update=changes)})


@pytest.mark.parametrize(
    "other",
    [
        key(BASE.model_copy(update={"model": ModelConfig(dropout=0.1)})),
        key(BASE.model_copy(update={"model": ModelConfig(filters=(16, 31))})),
        key(BASE.model_copy(update={"optimizer": Adam(name="adam", beta_1=0.8)})),
        key(BASE.model_copy(update={"seed": 3})),
        key(with_training(epochs=61)),
        key(with_training(batch_size=31)),
        key(with_training(shuffle=False)),
        key(with_training(validate_every=0)),
        key(fold_sha256="g"),
        key(fold=1),
        key(repeat=1),
    ],
)
def test_settings_that_change_the_numbers_change_the_key(other: str) -> None:
    assert other != key()


@pytest.mark.parametrize(
    "same",
    [
        BASE.model_copy(update={"name": "another"}),
        BASE.model_copy(update={"repeats": 5}),
        BASE.model_copy(update={"data": DataConfig(split_seed=9)}),
        BASE.model_copy(update={"sweep": SweepConfig(executor="dask", workers=7, cache=False, folds=9)}),
        BASE.model_copy(update={"optimizer": Adam(name="adam", learning_rate=1e-3)}),
        with_training(validation_fraction=0.1),
        with_training(share=0.5),  # which digits it takes is in their hash
        ExperimentConfig(optimizer=Adam(name="adam"), model=ModelConfig(dropout=0)),
    ],
)
def test_settings_that_do_not_change_the_numbers_keep_the_key(same: ExperimentConfig) -> None:
    assert key(same) == key()


def test_a_fold_is_identified_by_its_digits_in_order_not_by_their_source() -> None:
    digits = data.load(DataConfig(digits=60))
    pair = digits.images, digits.labels
    learn, held = np.arange(40), np.arange(40, 60)
    again = (digits.images[:50], digits.labels[:50])
    assert fold_hash(pair, (learn, held[:10])) == fold_hash(again, (learn, held[:10]))
    changed = digits.images.copy()
    changed[7, 14, 14] ^= 1
    relabelled = digits.labels.copy()
    relabelled[45] = (relabelled[45] + 1) % 10
    hashes = {
        fold_hash(pair, (learn, held)),
        fold_hash(pair, (learn[::-1], held)),
        fold_hash(pair, (learn[1:], held)),
        fold_hash(pair, (held, learn)),
        fold_hash((changed, digits.labels), (learn, held)),
        fold_hash((digits.images, relabelled), (learn, held)),
    }
    assert len(hashes) == 6


def test_other_repeats_and_folds_have_keys_of_their_own() -> None:
    from mnistexp.sweeps.search import search

    config = ExperimentConfig(data=DataConfig(digits=100), repeats=2, sweep=SweepConfig(shuffle_folds=True))
    fits = Fits(data.Dataset.load(config), None)
    [[trial]] = search(config)
    works = fits.of(trial)
    assert [(work.repeat, work.fold, work.part) for work in works] == [
        (0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 3), (1, 1, 4), (1, 2, 5),
    ]  # fmt: skip
    assert len({work.key for work in works}) == 6


def test_the_key_covers_the_code_that_decides_the_numbers() -> None:
    code = training_code()
    assert {"training/fitting", "training/loop", "training/model", "config/optimizers"} <= code.keys()
    assert {name.partition("/")[0] for name in code} == {"config", "training"}
    assert code["training/loop"] == (PACKAGE / "training" / "loop.py").read_bytes()
    loaded = (
        "import sys; import mnistexp.training.loop, mnistexp.training.fitting;"
        "print([name for name in sys.modules if name.startswith(('mnistexp.config.', 'mnistexp.training.'))])"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    names = {name.partition(".")[2].replace(".", "/") for name in ast.literal_eval(done.stdout)}
    assert names - OUTSIDE == code.keys()


def test_a_key_is_made_without_tensorflow() -> None:
    code = (
        "import sys; from mnistexp.config.models import ExperimentConfig\n"
        "from mnistexp.sweeps.fold_fits import fit_key\n"
        "print(fit_key(ExperimentConfig(), 'f', 0, 0)); assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == key(ExperimentConfig())
    assert with_training().training == TrainingConfig()
