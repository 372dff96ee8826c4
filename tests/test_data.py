"""The digits: what is embedded, what other sources must hold, and how rows are split."""

import gzip
import hashlib
import json
import socket
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from mnistexp import data, sources
from mnistexp.config import DataConfig
from mnistexp.data import Digits
from mnistexp.errors import BadInput, DataError

FIRST_1000 = "2304e0137aea1f236247daacc2dcaf275996895e40c4bb0760c448434d361d1a"
TOOL = Path(__file__).parents[1] / "tools" / "build_digits.py"


@pytest.fixture(scope="module")
def digits() -> Digits:
    return data.load(DataConfig())


@pytest.fixture(scope="module")
def unseen() -> Digits:
    return data.load_unseen()


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray, *, dots: bool = False, zipped: bool = False) -> str:
    for stem, array in (("train-images", images), ("train-labels", labels)):
        header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
        contents = header + array.astype(np.uint8).tobytes()
        name = f"{stem}{'.' if dots else '-'}idx{array.ndim}-ubyte{'.gz' if zipped else ''}"
        (folder / name).write_bytes(gzip.compress(contents) if zipped else contents)
    return str(folder)


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


def test_unseen_digits_are_none_of_the_first_thousand(digits: Digits, unseen: Digits) -> None:
    known = {image.tobytes() for image in digits.images}
    assert not any(image.tobytes() in known for image in unseen.images)
    assert (data.class_counts(digits.labels) + data.class_counts(unseen.labels)).tolist() == [500] * 10


def test_fewer_digits_are_the_first_rows_with_their_own_hash(digits: Digits) -> None:
    few = data.load(DataConfig(digits=100))
    assert np.array_equal(few.images, digits.images[:100])
    assert np.array_equal(few.labels, digits.labels[:100])
    assert few.sha256 == hashlib.sha256(digits.images[:100].tobytes()).hexdigest()


def test_labels_hash_tells_apart_what_images_hash_cannot(digits: Digits, tmp_path: Path) -> None:
    swapped = np.roll(digits.labels, 1)
    other = data.load(DataConfig(source=write_npz(tmp_path / "s.npz", images=digits.images, labels=swapped)))
    assert other.sha256 == digits.sha256
    assert other.labels_sha256 != digits.labels_sha256


def test_more_digits_than_there_are_is_bad_input() -> None:
    with pytest.raises(BadInput, match="1001 asked for, but 'embedded' holds only 1000"):
        data.load(DataConfig(digits=1001))


@pytest.mark.parametrize("damage", ["flipped byte", "truncated", "missing"])
def test_damaged_package_data_is_refused(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    copy = tmp_path / "digits" / "first_1000.npz"
    contents = bytearray((Path(sources.__file__).parent / "digits" / "first_1000.npz").read_bytes())
    contents[50_000] ^= 1
    if damage != "missing":
        copy.write_bytes(contents if damage == "flipped byte" else contents[:50_000])
    monkeypatch.setattr(sources.resources, "files", lambda _: tmp_path)
    with pytest.raises(DataError, match=r"first_1000\.npz: damaged"):
        data.load(DataConfig())


def test_tool_rebuilds_the_embedded_files(digits: Digits, unseen: Digits, tmp_path: Path) -> None:
    images = np.concatenate([digits.images, unseen.images]).reshape(5000, 784)
    labels = np.concatenate([digits.labels, unseen.labels])
    grouped = np.argsort(labels, kind="stable")
    table = np.column_stack([images, labels])[grouped]
    with gzip.open(tmp_path / "mnist_5k.csv.gz", "wt", compresslevel=1) as file:
        np.savetxt(file, table, fmt="%d", delimiter=",")
    command = [sys.executable, str(TOOL), "--csv", str(tmp_path / "mnist_5k.csv.gz"), "--out"]
    for name in ("one", "two"):
        subprocess.run([*command, str(tmp_path / name)], check=True, capture_output=True)
    for name, expected in (("first_1000.npz", digits), ("unseen_4000.npz", unseen)):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        with np.load(tmp_path / "one" / name, allow_pickle=False) as built:
            assert np.array_equal(built["images"], expected.images)
            assert np.array_equal(built["labels"], expected.labels)


# Other sources


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dots", [False, True])
def test_idx_folder_gives_what_was_written(digits: Digits, tmp_path: Path, *, dots: bool, zipped: bool) -> None:
    source = write_idx(tmp_path, digits.images, digits.labels, dots=dots, zipped=zipped)
    found = data.load(DataConfig(source=source))
    assert (found.sha256, found.labels_sha256) == (digits.sha256, digits.labels_sha256)
    assert found.source == source


@pytest.mark.parametrize("keys", [*sources.NPZ_KEYS, ("X", "Y"), ("X_train", "y_train")])
def test_npz_gives_what_was_written_under_any_usual_key(digits: Digits, tmp_path: Path, keys: tuple[str, str]) -> None:
    arrays = {keys[0]: digits.images[:200], keys[1]: digits.labels[:200].astype(np.uint8), "x_test": digits.images[:1]}
    found = data.load(DataConfig(source=write_npz(tmp_path / "digits.npz", **arrays), digits=200))
    assert np.array_equal(found.images, digits.images[:200])
    assert np.array_equal(found.labels, digits.labels[:200])


@pytest.mark.parametrize("shape", [(-1, 784), (-1, 28, 28), (-1, 28, 28, 1)])
@pytest.mark.parametrize("dtype", ["u1", ">i2", "i8", "u8"])
def test_npz_takes_any_whole_numbers_in_any_usual_shape(
    digits: Digits, tmp_path: Path, shape: tuple[int, ...], dtype: str
) -> None:
    images = np.asfortranarray(digits.images[:100].astype(dtype).reshape(shape))
    source = write_npz(tmp_path / "digits.npz", images=images, labels=digits.labels[:100].astype(dtype))
    found = data.load(DataConfig(source=source, digits=100))
    assert found.sha256 == data.load(DataConfig(digits=100)).sha256


Damage = Callable[[np.ndarray, np.ndarray], dict[str, Any]]
DAMAGED_ARRAYS: dict[str, tuple[Damage, str]] = {
    "float images": (lambda x, y: {"images": x / 255, "labels": y}, "the images are float64"),
    "float labels": (lambda x, y: {"images": x, "labels": y.astype(float)}, "the labels are float64"),
    "text labels": (lambda x, y: {"images": x, "labels": y.astype(str)}, "the labels are <U"),
    "scaled images": (lambda x, y: {"images": x // 255, "labels": y}, "hold 0 to 1; expected 0 to 255"),
    "negative images": (lambda x, y: {"images": x.astype(int) - 1, "labels": y}, "hold -1 to 254"),
    "too bright": (lambda x, y: {"images": x.astype(int) + 1, "labels": y}, "hold 1 to 256"),
    "a label of 10": (lambda x, y: {"images": x, "labels": y + 1}, "the labels hold 1 to 10; expected 0 to 9"),
    "a negative label": (lambda x, y: {"images": x, "labels": y - 1}, "the labels hold -1 to 8"),
    "one label short": (lambda x, y: {"images": x, "labels": y[:-1]}, r"\(99,\); expected \(100,\)"),
    "one-hot labels": (lambda x, y: {"images": x, "labels": data.one_hot(y)}, r"shape \(100, 10\); expected \(100,\)"),
    "other size": (lambda x, y: {"images": x[:, :14], "labels": y}, r"shape \(100, 14, 28\)"),
    "a scalar": (lambda x, y: {"images": x[0, 0, 0], "labels": y}, r"shape \(\)"),
    "sorted by class": (lambda x, y: {"images": x, "labels": y // 5}, "no 2, 3, 4, 5, 6, 7, 8, 9 among its first 100"),
    "objects": (lambda x, y: {"images": x, "labels": y.astype(object)}, "Object arrays cannot be loaded"),
    "other keys": (lambda x, y: {"pictures": x, "labels": y}, "holds pictures, labels; expected one of images/labels"),
    "no keys": (lambda _x, _y: {}, "holds nothing"),
}


@pytest.mark.parametrize("name", DAMAGED_ARRAYS)
def test_npz_without_digits_is_a_data_error(digits: Digits, tmp_path: Path, name: str) -> None:
    make, message = DAMAGED_ARRAYS[name]
    source = write_npz(tmp_path / "digits.npz", **make(digits.images[:100], digits.labels[:100]))
    with pytest.raises(DataError, match=message) as caught:
        data.load(DataConfig(source=source, digits=100))
    assert source in str(caught.value)


def test_pickled_objects_are_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    trap = np.array([Trap()] * 100, dtype=object)
    source = write_npz(tmp_path / "digits.npz", images=trap, labels=np.zeros(100, dtype=np.int64))
    (tmp_path / "plain.npz").write_bytes(trap.dumps())
    for path in (source, str(tmp_path / "plain.npz")):
        with pytest.raises(DataError):
            data.load(DataConfig(source=path))
    assert not (tmp_path / "sprung").exists()


def test_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.npy", b"")
        with archive.open("images.npy", "w") as entry:
            for _ in range(sources.LIMIT // 2**20 + 1):
                entry.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(DataError, match=r"bomb\.npz: images\.npy takes 269,484,032 bytes; at most 268,435,456"):
        data.load(DataConfig(source=str(path)))


def test_npz_that_promises_more_than_it_holds_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "liar.npz"
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000, 28, 28)}".ljust(117) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("images", "labels"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    promise = "10,000,000,000 x 28 x 28 of uint8 at 1 bytes = 7,840,000,000,000 bytes, and holds 0"
    with pytest.raises(DataError, match=promise):
        data.load(DataConfig(source=str(path)))


DAMAGED_IDX: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "wrong magic": (lambda raw: b"\0\0\x08\x01" + raw[4:], "begins with magic number 2049; expected 2051"),
    "floats": (lambda raw: b"\0\0\x0d\x03" + raw[4:], "begins with magic number 3331"),
    "truncated": (lambda raw: raw[:-1], "783,999|784,015 bytes; its header promises 784,016"),
    "overlong": (lambda raw: raw + b"\0", "784,017 bytes; its header promises 784,016"),
    "a huge promise": (lambda raw: raw[:4] + b"\xff" * 12 + raw[16:], "its header promises 79,"),
    "header only half there": (lambda raw: raw[:9], "not a readable IDX file"),
    "empty": (lambda _: b"", "not a readable IDX file"),
    "truncated gzip": (lambda raw: gzip.compress(raw)[:-9], "not a readable IDX file"),
    "gzip with a flipped bit": (lambda raw: gzip.compress(raw)[:-8] + bytes(8), "not a readable IDX file"),
    "gzip of nonsense": (lambda _: b"\x1f\x8b" + b"nonsense" * 9, "not a readable IDX file"),
    "gzip bomb": (lambda _: gzip.compress(b"\0\0\x08\x03" + bytes(sources.LIMIT + 13), 1), "more than 268,435,456"),
    "other size": (lambda raw: raw[:8] + struct.pack(">2I", 14, 56) + raw[16:], r"shape \(1000, 14, 56\)"),
}


@pytest.mark.parametrize("name", DAMAGED_IDX)
def test_damaged_idx_file_is_a_data_error(digits: Digits, tmp_path: Path, name: str) -> None:
    source = write_idx(tmp_path, digits.images, digits.labels)
    damage, message = DAMAGED_IDX[name]
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(damage(images.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        data.load(DataConfig(source=source))
    assert source in str(caught.value)


def test_images_and_labels_of_different_length_are_a_data_error(digits: Digits, tmp_path: Path) -> None:
    source = write_idx(tmp_path, digits.images, digits.labels[:999])
    with pytest.raises(DataError, match=r"\(999,\); expected \(1000,\)"):
        data.load(DataConfig(source=source))


@settings(deadline=None)
@given(position=st.integers(0, 20_000), value=st.integers(0, 255), cut=st.none() | st.integers(1, 20_000))
def test_damaged_npz_file_gives_an_error_or_the_digits_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int, cut: int | None
) -> None:
    few = data.load(DataConfig(digits=100))
    path = Path(write_npz(tmp_path_factory.mktemp("fuzz") / "digits.npz", images=few.images, labels=few.labels))
    contents = bytearray(path.read_bytes())
    contents[position % len(contents)] = value
    path.write_bytes(contents[: -cut if cut else None])
    try:
        found = data.load(DataConfig(source=str(path), digits=100))
    except DataError:
        return
    assert (found.sha256, found.labels_sha256) == (few.sha256, few.labels_sha256)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("embeded", "'embeded' is not there; allowed are 'embedded'.*did you mean 'embedded'"),
        ("digits.npx", r"not there.*did you mean '.*digits\.npz'"),
        ("no/such/folder/digits.npz", "not there"),
        ("labels.csv", "of no known kind; allowed are 'embedded', 'openml', a .npz file, or a folder of IDX files$"),
        ("/dev/zero", "of no known kind"),
        ("folder", r"has no train-images-idx3-ubyte.*did you mean 'train-images-ubyte\.gz'"),
        ("~nobody-of-this-name/digits.npz", "can't be read"),
        ("digits\0.npz", "'digits"),
        ("x" * 2000, "can't be read|not there"),
    ],
)
def test_source_that_is_not_there_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.npz").touch()
    (tmp_path / "labels.csv").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "train-images-ubyte.gz").touch()
    with pytest.raises(BadInput, match=message):
        data.load(DataConfig(source=source))


def test_folder_with_images_but_no_labels_is_bad_input(digits: Digits, tmp_path: Path) -> None:
    source = write_idx(tmp_path, digits.images, digits.labels)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(BadInput, match="has no train-labels-idx1-ubyte"):
        data.load(DataConfig(source=source))


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
    with pytest.raises(DataError, match="openml: mnist_784 could not be had"):
        data.load(DataConfig(source="openml", cache_dir=str(tmp_path)))


# What the network and the reader see


def test_input_is_float32_from_0_to_1_with_a_channel(digits: Digits) -> None:
    inputs = data.as_input(digits.images)
    assert inputs.shape == (1000, 28, 28, 1)
    assert inputs.dtype == np.float32
    assert (inputs.min(), inputs.max()) == (0, 1)
    assert np.array_equal(np.rint(inputs[..., 0] * 255), digits.images)


@given(arrays(np.int64, st.integers(0, 50), elements=st.integers(0, 9)))
def test_one_hot_has_an_inverse(labels: np.ndarray) -> None:
    rows = data.one_hot(labels)
    assert rows.shape == (len(labels), 10)
    assert (rows.sum(axis=1) == 1).all()
    assert np.array_equal(data.from_one_hot(rows), labels)


def test_describe_says_type_shape_dtype_and_range(digits: Digits) -> None:
    expected = {"type": "ndarray", "shape": "(1000, 28, 28)", "dtype": "uint8", "values": "0 to 255"}
    assert data.describe(digits.images) == expected
    assert data.describe(digits.labels[:0])["values"] == "none"


# How rows are split


def test_split_is_the_one_of_the_assignment(digits: Digits) -> None:
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


def test_split_that_leaves_nothing_to_learn_from_is_bad_input(digits: Digits) -> None:
    with pytest.raises(BadInput, match=r"data\.test_fraction: 0\.9999 of 1000 digits"):
        data.split(digits.labels, DataConfig(test_fraction=0.9999), 0)
    with pytest.raises(BadInput, match=r"training\.validation_fraction: 0\.9999 of 800 digits"):
        data.split(digits.labels, DataConfig(), 0.9999)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("stratified", [False, True])
def test_folds_are_those_of_scikit_learn(digits: Digits, *, shuffle: bool, stratified: bool) -> None:
    labels = digits.labels[:800]
    found = data.folds(labels, folds=3, shuffle=shuffle, stratified=stratified, seed=7)
    kind = StratifiedKFold if stratified else KFold
    expected = kind(3, shuffle=shuffle, random_state=7 if shuffle else None).split(labels, labels)
    for (train, held), (expected_train, expected_held) in zip(found, expected, strict=True):
        assert np.array_equal(train, expected_train)
        assert np.array_equal(held, expected_held)
        assert train.dtype == held.dtype == np.int64
    assert np.array_equal(np.sort(np.concatenate([held for _, held in found])), np.arange(800))


def test_more_folds_than_digits_is_bad_input(digits: Digits) -> None:
    with pytest.raises(BadInput, match="801 folds of 800 digits"):
        data.folds(digits.labels[:800], folds=801, shuffle=False, stratified=False, seed=0)
    with pytest.raises(BadInput, match="88 folds of 87 digits of the rarest class"):
        data.folds(digits.labels, folds=88, shuffle=False, stratified=True, seed=0)


def test_importing_data_loads_neither_tensorflow_nor_scikit_learn() -> None:
    program = (
        "import sys, mnistexp.data as d; d.load(d.DataConfig()); print({'sklearn', 'tensorflow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
