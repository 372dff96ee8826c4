"""The digits: what is embedded, what other sources must hold, and how rows are split."""

import gzip
import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from mnistexp import data
from mnistexp.config.models import DataConfig, ExperimentConfig, SweepConfig, TrainingConfig
from mnistexp.data import Digits, packaged
from mnistexp.errors import BadInput, DataError

FIRST_1000 = "2304e0137aea1f236247daacc2dcaf275996895e40c4bb0760c448434d361d1a"
TOOL = Path(__file__).parents[2] / "tools" / "build_digits.py"


@pytest.fixture(scope="module")
def digits() -> Digits:
    return data.load(DataConfig())


@pytest.fixture(scope="module")
def unseen() -> Digits:
    return data.load_unseen()


def write_npz(path: Path, **arrays: Any) -> str:
    np.savez_compressed(path, **arrays)
    return str(path)


# What is embedded


def test_embedded_digits_are_the_first_thousand_of_mnist(digits: Digits) -> None:
    assert hashlib.sha256(digits.images.tobytes()).hexdigest() == digits.sha256 == FIRST_1000
    assert digits.labels[:12].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5]
    assert data.class_counts(digits.labels).tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]


def test_digits_have_the_promised_form_and_cannot_be_changed(digits: Digits, unseen: Digits) -> None:
    for found, count in ((digits, 1000), (unseen, 4000)):
        assert found.images.shape == (count, 28, 28)
        assert found.images.dtype == np.uint8
        assert found.images.flags.c_contiguous
        assert found.labels.shape == (count,)
        assert found.labels.dtype == np.int64
        assert len(found) == count
        with pytest.raises(ValueError, match="read-only"):
            found.images[0] = 0
        with pytest.raises(ValueError, match="read-only"):
            found.labels[0] = 0


def test_unseen_digits_are_disjoint_from_the_first_thousand(digits: Digits, unseen: Digits) -> None:
    known = {image.tobytes() for image in digits.images}
    assert not any(image.tobytes() in known for image in unseen.images)
    assert (data.class_counts(digits.labels) + data.class_counts(unseen.labels)).tolist() == [500] * 10


def test_fewer_digits_are_the_first_rows_with_their_own_hash(digits: Digits) -> None:
    few = data.load(DataConfig(digits=100))
    assert np.array_equal(few.images, digits.images[:100])
    assert np.array_equal(few.labels, digits.labels[:100])
    assert few.sha256 == hashlib.sha256(digits.images[:100].tobytes()).hexdigest()


def test_the_hash_of_labels_distinguishes_data_with_the_same_images(digits: Digits, tmp_path: Path) -> None:
    swapped = np.roll(digits.labels, 1)
    other = data.load(DataConfig(source=write_npz(tmp_path / "s.npz", images=digits.images, labels=swapped)))
    assert other.sha256 == digits.sha256
    assert other.labels_sha256 != digits.labels_sha256


def test_more_digits_than_there_are_is_bad_input() -> None:
    with pytest.raises(BadInput, match="is 1,001, and 'embedded' holds 1,000; allowed: at most 1,000"):
        data.load(DataConfig(digits=1001))


@pytest.mark.parametrize("damage", ["flipped byte", "truncated", "missing"])
def test_damaged_package_data_is_refused(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    copy = tmp_path / "digits" / "first_1000.npz"
    contents = bytearray((Path(packaged.__file__).parent / "digits" / "first_1000.npz").read_bytes())
    contents[50_000] ^= 1
    if damage != "missing":
        copy.write_bytes(contents if damage == "flipped byte" else contents[:50_000])
    monkeypatch.setattr(packaged.resources, "files", lambda _: tmp_path)
    with pytest.raises(DataError, match=r"first_1000\.npz: damaged"):
        data.load(DataConfig())


def test_tool_rebuilds_the_embedded_files(digits: Digits, unseen: Digits, tmp_path: Path) -> None:
    images = np.concatenate([digits.images, unseen.images]).reshape(5000, 784)
    labels = np.concatenate([digits.labels, unseen.labels])
    grouped = np.argsort(labels, kind="stable")
    table = np.column_stack([images, labels])[grouped]
    with gzip.open(tmp_path / "mnist_5k.csv.gz", "wt", compresslevel=1) as file:
        file.writelines(",".join(map(str, row)) + "\n" for row in table.tolist())
    command = [sys.executable, str(TOOL), "--csv", str(tmp_path / "mnist_5k.csv.gz"), "--out"]
    for name in ("one", "two"):
        subprocess.run([*command, str(tmp_path / name)], check=True, capture_output=True)
    for name, expected in (("first_1000.npz", digits), ("unseen_4000.npz", unseen)):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        with np.load(tmp_path / "one" / name, allow_pickle=False) as built:
            assert np.array_equal(built["images"], expected.images)
            assert np.array_equal(built["labels"], expected.labels)


# OpenML


def write_openml_cache(cache: Path, digits: Digits) -> None:
    """What `fetch_openml` keeps of `mnist_784`, version 1, with these digits as all of it."""
    names = [f"pixel{number}" for number in range(1, 785)]
    lines = ["@RELATION mnist_784", *(f"@ATTRIBUTE {name} real" for name in names)]
    lines += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "@DATA"]
    rows = zip(digits.images.reshape(-1, 784).tolist(), digits.labels.tolist(), strict=True)
    lines += [",".join(map(str, [*pixels, label])) for pixels, label in rows]
    arff = ("\n".join(lines) + "\n").encode()
    feature = {
        "is_target": "false",
        "is_ignore": "false",
        "is_row_identifier": "false",
        "number_of_missing_values": "0",
    }
    features = [{"index": str(i), "name": name, "data_type": "numeric", **feature} for i, name in enumerate(names)]
    features.append({**feature, "index": "784", "name": "class", "data_type": "nominal", "is_target": "true"})
    about = {"id": "554", "name": "mnist_784", "version": "1", "format": "ARFF", "status": "active", "description": ""}
    about |= {
        "url": "https://www.openml.org/data/v1/download/52667/mnist_784.arff",
        "md5_checksum": hashlib.md5(arff).hexdigest(),
    }
    qualities = {"quality": [{"name": "NumberOfInstances", "value": str(float(len(digits)))}]}
    answers = {
        "api/v1/json/data/list/data_name/mnist_784/limit/2/data_version/1": {"data": {"dataset": [{"did": 554}]}},
        "api/v1/json/data/554": {"data_set_description": about},
        "api/v1/json/data/features/554": {"data_features": {"feature": features}},
        "api/v1/json/data/qualities/554": {"data_qualities": qualities},
    }
    stored = {name: json.dumps(answer).encode() for name, answer in answers.items()}
    for name, contents in (stored | {"data/v1/download/52667/mnist_784.arff": arff}).items():
        path = cache / "openml" / "openml.org" / f"{name}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(contents, 1))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_openml_reads_its_cache_without_a_network(digits: Digits, tmp_path: Path) -> None:
    write_openml_cache(tmp_path, digits)
    found = data.load(DataConfig(source="openml", cache_dir=str(tmp_path)))
    assert (found.sha256, found.labels_sha256) == (digits.sha256, digits.labels_sha256)


@pytest.mark.usefixtures("no_network")
def test_openml_without_network_or_cache_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"openml: .*unreachable.*data\.cache_dir.*'embedded' needs no network"):
        data.load(DataConfig(source="openml", cache_dir=str(tmp_path)))


@pytest.mark.usefixtures("no_network")
def test_openml_with_a_damaged_cache_is_a_data_error(digits: Digits, tmp_path: Path) -> None:
    write_openml_cache(tmp_path, digits)
    arff = next(tmp_path.rglob("*.arff.gz"))
    arff.write_bytes(gzip.compress(gzip.decompress(arff.read_bytes())[:-2], 1))
    with pytest.raises(DataError, match="openml: mnist_784 could not be downloaded"):
        data.load(DataConfig(source="openml", cache_dir=str(tmp_path)))


# What the network and the reader see


def test_input_is_float32_from_0_to_1_with_a_channel(digits: Digits) -> None:
    inputs = data.as_input(digits.images)
    assert inputs.shape == (1000, 28, 28, 1)
    assert inputs.dtype == np.float32
    assert (inputs.min(), inputs.max()) == (0, 1)
    assert np.array_equal(np.rint(inputs[..., 0] * 255), digits.images)


@given(arrays(np.int64, st.integers(0, 50), elements=st.integers(0, 9)))
def test_one_hot_has_its_one_in_the_column_of_the_label(labels: np.ndarray) -> None:
    rows = data.one_hot(labels)
    assert rows.shape == (len(labels), 10)
    assert (rows.sum(axis=1) == 1).all()
    assert np.array_equal(rows.argmax(axis=1), labels)


def test_describe_says_type_shape_dtype_and_range(digits: Digits) -> None:
    expected = {"type": "ndarray", "shape": "(1000, 28, 28)", "dtype": "uint8", "values": "0 to 255"}
    assert data.describe(digits.images) == expected
    assert data.describe(digits.labels[:0])["values"] == "none"


# How rows are split


def test_split_is_that_of_the_assignment(digits: Digits) -> None:
    found = data.split(digits.labels, DataConfig())
    train_images, test_images, train_labels, test_labels = train_test_split(
        digits.images, digits.labels, test_size=0.2, random_state=1
    )
    assert np.array_equal(digits.images[found.train], train_images)
    assert np.array_equal(digits.images[found.test], test_images)
    assert np.array_equal(digits.labels[found.train], train_labels)
    assert np.array_equal(digits.labels[found.test], test_labels)
    assert (len(found.train), len(found.validation), len(found.test)) == (800, 0, 200)


@given(
    count=st.integers(20, 300),
    test=st.floats(0.05, 0.6),
    validation=st.floats(0, 0.6),
    seed=st.integers(0, 2**32 - 1),
)
def test_split_is_a_partition_whose_test_part_ignores_the_validation(
    count: int, test: float, validation: float, seed: int
) -> None:
    labels = data.load(DataConfig()).labels[:count]
    config = DataConfig(test_fraction=test, split_seed=seed)
    found, again = data.split(labels, config, validation), data.split(labels, config, validation)
    parts = (found.train, found.validation, found.test)
    assert all(part.dtype == np.int64 for part in parts)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(count))
    assert np.array_equal(found.test, data.split(labels, config).test)
    assert np.array_equal(found.validation, again.validation)
    learn, judge = train_test_split(np.arange(count), test_size=test, random_state=seed)
    assert np.array_equal(found.test, judge)
    assert validation or np.array_equal(found.train, learn)
    assert len(found.validation) == pytest.approx(validation * (len(found.train) + len(found.validation)), abs=1)


def test_validation_holds_each_class_in_its_share(digits: Digits) -> None:
    found = data.split(digits.labels, DataConfig(), 0.25)
    share = data.class_counts(digits.labels[found.validation]) / data.class_counts(
        digits.labels[np.concatenate([found.train, found.validation])]
    )
    assert len(found.validation) == 200
    assert share == pytest.approx(np.full(10, 0.25), abs=0.01)


def test_validation_seed_follows_the_split_seed(digits: Digits) -> None:
    parts = [data.split(digits.labels, DataConfig(split_seed=seed), 0.2).validation.tolist() for seed in (1, 2)]
    assert parts[0] != parts[1]


def test_a_split_without_training_digits_is_bad_input(digits: Digits) -> None:
    with pytest.raises(BadInput, match=r"data\.test_fraction: 0\.9999 of 1000 digits"):
        data.split(digits.labels, DataConfig(test_fraction=0.9999), 0)
    with pytest.raises(BadInput, match=r"training\.validation_fraction: 0\.9999 of 800 digits"):
        data.split(digits.labels, DataConfig(), 0.9999)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("stratified", [False, True])
def test_folds_are_those_of_scikit_learn(digits: Digits, *, shuffle: bool, stratified: bool) -> None:
    labels = digits.labels[:800]
    found = data.folds(labels, SweepConfig(folds=3, shuffle_folds=shuffle, stratified=stratified), 7)
    kind = StratifiedKFold if stratified else KFold
    expected = kind(3, shuffle=shuffle, random_state=7 if shuffle else None).split(labels, labels)
    for (train, held), (expected_train, expected_held) in zip(found, expected, strict=True):
        assert np.array_equal(train, expected_train)
        assert np.array_equal(held, expected_held)
        assert train.dtype == held.dtype == np.int64
    assert np.array_equal(np.sort(np.concatenate([held for _, held in found])), np.arange(800))


@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=60),
    sizes=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_smaller_share_is_part_of_a_larger_one_and_the_whole_is_as_it_was(
    labels: list[int], sizes: tuple[int, int], seed: int
) -> None:
    small, large = sorted(min(size, len(labels)) for size in sizes)
    known = np.array(labels)
    some, more = (data.share_of(known, size, seed) for size in (small, large))
    assert (len(some), len(more)) == (small, large)
    assert set(some) <= set(more)
    assert (np.diff(more) > 0).all()
    assert np.array_equal(data.share_of(known, len(known), seed), np.arange(len(known)))


@pytest.mark.parametrize("size", [10, 25, 80, 333, 799])
def test_a_share_holds_each_class_in_proportion(size: int, digits: Digits) -> None:
    labels = digits.labels[:800]
    counts = data.class_counts(labels[data.share_of(labels, size, 2)])
    assert counts == pytest.approx(data.class_counts(labels) * size / 800, abs=1)


def test_training_on_a_share_of_the_digits_leaves_the_other_parts_unchanged() -> None:
    whole, half = (
        data.Dataset.load(ExperimentConfig(training=TrainingConfig(share=share, validation_fraction=0.1)))
        for share in (1.0, 0.5)
    )
    assert len(half.split.train) == half.config.training_digits == 360
    assert set(half.split.train) < set(whole.split.train)
    assert half.split.validation.tolist() == whole.split.validation.tolist()
    assert half.split.test.tolist() == whole.split.test.tolist()


def test_more_folds_than_digits_is_bad_input(digits: Digits) -> None:
    with pytest.raises(BadInput, match="801 folds of 800 digits"):
        data.folds(digits.labels[:800], SweepConfig(folds=801), 0)
    with pytest.raises(BadInput, match="88 folds of 87 digits of the rarest class"):
        data.folds(digits.labels, SweepConfig(folds=88, stratified=True), 0)


def test_importing_data_loads_neither_tensorflow_nor_scikit_learn() -> None:
    program = (
        "import sys, mnistexp.data as d; from mnistexp.config.models import DataConfig; d.load(DataConfig()); "
        "print({'sklearn', 'tensorflow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
