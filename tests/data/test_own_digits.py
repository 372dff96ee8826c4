"""Digits of one's own: every form is read alike, what was converted is told, and no file of a wrong form gets far."""

import gzip
import io
import json
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digit_forms import SAME_PIXELS, USUAL, changed, class_folders, csv, idx, idx_files, npy_pair, npz
from PIL import Image, ImageFilter
from programs import answer
from small import NETWORK

from mnistexp import api, data
from mnistexp.commands import prediction
from mnistexp.commands.evaluate.story import evaluate
from mnistexp.config.models import DataConfig
from mnistexp.data import Digits, archives
from mnistexp.data import idx as idx_module
from mnistexp.data.content import PIECE
from mnistexp.data.polarity import dark_ink, orientation
from mnistexp.data.reading import read_pictures
from mnistexp.errors import BadInput
from mnistexp.runs import stored_runs

DIGITS = data.load(DataConfig())
UNSEEN = data.load_unseen()
COUNT = 200
X, Y = DIGITS.images[:COUNT], DIGITS.labels[:COUNT]
SMALL = {**NETWORK, "training.epochs": 1}


def load(source: Path | str, **settings: Any) -> Digits:
    return data.load(DataConfig(source=str(source), **{"digits": COUNT} | settings))


# Every form is read alike


@pytest.mark.parametrize("form", SAME_PIXELS)
def test_each_form_gives_the_packaged_digits_to_training_and_prediction(form: str, tmp_path: Path) -> None:
    if form.startswith("parquet"):
        pytest.importorskip("pyarrow")
    source = SAME_PIXELS[form](tmp_path, X, Y)
    found = load(source)
    np.testing.assert_array_equal(found.images, X)
    np.testing.assert_array_equal(found.labels, Y)
    assert found.source == str(source)
    assert not found.warnings
    pictures = read_pictures([source])
    np.testing.assert_array_equal(np.stack([picture.pixels for picture in pictures]), X)


FORMS_TO_JUDGE = ["npz x_train", "idx gzipped", "csv", "folders of PNG", "npy pair", "dark ink on white", "one-hot"]


@pytest.mark.usefixtures("undrawn")
def test_evaluating_the_own_test_digits_in_any_form_gives_the_accuracy_of_the_run(
    finished: dict[str, Path], tmp_path: Path
) -> None:
    stored = stored_runs.load(finished["train"])
    assert stored.metrics is not None
    about = stored.read_json("data.json")
    rows = np.array(about["test"])
    confusions = []
    for number, form in enumerate(FORMS_TO_JUDGE):
        folder = tmp_path / str(number)
        folder.mkdir()
        source = SAME_PIXELS[form](folder, DIGITS.images[rows], DIGITS.labels[rows])
        confusions.append(evaluate(stored, tmp_path / "runs", str(source)).metrics["confusion_matrix"])
    assert confusions == [stored.metrics["confusion_matrix"]] * len(FORMS_TO_JUDGE)


@pytest.mark.usefixtures("undrawn")
def test_the_same_pixels_train_to_the_same_bits_in_any_form(tmp_path: Path) -> None:
    forms = ["idx gzipped", "csv", "floats 0 to 1", "dark ink on white"]
    sources: list[Any] = ["embedded"]
    histories = []
    for number, form in enumerate(forms):
        (tmp_path / str(number)).mkdir()
        sources.append(SAME_PIXELS[form](tmp_path / str(number), X, Y))
    for source in sources:
        settings = SMALL | {"data.digits": COUNT, "data.source": str(source)}
        run = api.train("train", settings, runs_dir=tmp_path / "runs").run_dir
        histories.append((run / "history.csv").read_bytes())
    assert histories == [histories[0]] * 5


@pytest.mark.usefixtures("undrawn")
def test_conversions_are_reported_and_stored(tmp_path: Path) -> None:
    source = changed(lambda x: 1 - x / 255, lambda y: np.eye(10)[y])(tmp_path, X, Y)
    told: list[Any] = []
    settings = SMALL | {"data.digits": COUNT, "data.source": str(source)}
    outcome = api.train("train", settings, runs_dir=tmp_path / "runs", watch=told.append)
    about = json.loads((outcome.run_dir / "data.json").read_text())
    assert about["converted"] == [
        "grey values 0 to 1 scaled to 0-255",
        "dark ink on a bright background inverted",
        "one-hot labels of 10 classes as numbers",
    ]
    assert f"{source}: {'; '.join(about['converted'])}" in [getattr(event, "text", "") for event in told]


@pytest.mark.parametrize(
    "write", [class_folders(ending=".jpg"), changed(lambda x: np.pad(x, ((0, 0), (2, 2), (2, 2))))]
)
def test_pictures_of_another_size_or_compression_are_nearly_the_same(write: Any, tmp_path: Path) -> None:
    found = load(write(tmp_path, X, Y))
    shifts = [np.roll(found.images, (down, right), (1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    apart = np.min([np.abs(shifted.astype(int) - X).mean(axis=(1, 2)) for shifted in shifts], axis=0)
    assert np.median(apart) < 8


# Bright ink and dark, upright and turned


def thick(images: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(image).filter(ImageFilter.MaxFilter(5))) for image in images])


def thin(images: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(image).filter(ImageFilter.MinFilter(3))) for image in images])


def clothing(count: int = 100) -> np.ndarray:
    """Trousers, shirts and bags, bright on black, some of which fill most of their edges."""
    pictures = np.zeros((count, 28, 28), np.uint8)
    drawn = np.random.default_rng(0).integers(100, 256, count)
    for number, (picture, shade) in enumerate(zip(pictures, drawn, strict=True)):
        if number % 3 == 0:
            picture[:, 6:12] = picture[:, 16:22] = picture[:6, 6:22] = shade
        elif number % 3 == 1:
            picture[:, 7:21] = picture[2:10] = shade
        else:
            picture[8:24] = shade
            picture[3:8, 9:11] = picture[3:8, 17:19] = shade
    return pictures


@pytest.mark.parametrize("kind", [thick, thin, lambda x: x], ids=["thick", "thin", "as they are"])
def test_dark_ink_is_detected_at_the_edges_of_digits(kind: Callable[[np.ndarray], np.ndarray]) -> None:
    images = kind(UNSEEN.images[::4])
    shown = images[np.ptp(images, axis=(1, 2)) > 0]
    assert dark_ink(shown).mean() < 0.01
    assert dark_ink(255 - shown).mean() > 0.99


def test_dark_ink_is_detected_at_the_edges_of_clothing(tmp_path: Path) -> None:
    images, labels = clothing(), np.arange(100) % 10
    for name, pictures in {"bright": images, "dark": 255 - images}.items():
        found = load(npz("x_train", "y_train")(tmp_path, pictures, labels), digits=100)
        np.testing.assert_array_equal(found.images, images)
        assert bool(found.told) == (name == "dark")


def test_a_mixed_set_is_inverted_picture_by_picture_with_a_warning(tmp_path: Path) -> None:
    mixed = np.where((np.arange(COUNT) % 2 == 0)[:, None, None], X, 255 - X).astype(np.uint8)
    found = load(npz("x_train", "y_train")(tmp_path, mixed, Y))
    np.testing.assert_array_equal(found.images, X)
    assert "100 of 200 pictures have dark ink" in found.warnings[0]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("dark", "invert"), [(True, False), (False, True)])
def test_images_with_dark_ink_get_a_warning(dark: bool, invert: bool, tmp_path: Path) -> None:
    source = npz("x_train", "y_train")(tmp_path, 255 - X if dark else X, Y)
    found = load(source, invert=invert)
    assert found.ink == "dark"
    assert "data.invert auto makes the ink bright" in found.warnings[0]
    outcome = api.train(
        "train",
        SMALL | {"data.digits": COUNT, "data.source": str(source), "data.invert": invert},
        runs_dir=tmp_path / "runs",
    )
    network = prediction.network_of(stored_runs.load(outcome.run_dir))
    np.testing.assert_array_equal(network.as_seen(read_pictures([source])[0].pixels), 255 - X[0])


def test_a_grey_ground_is_made_black(tmp_path: Path) -> None:
    grey = (X.astype(float) * 0.5 + 100).astype(np.uint8)
    found = load(npz("x_train", "y_train")(tmp_path, grey, Y))
    assert np.abs(found.images.astype(int) - X).max() <= 2
    assert found.told == ("a background of grey value 100 made black",)


TURNED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transposed": lambda x: x.transpose(0, 2, 1),
    "mirrored left to right": lambda x: x[:, :, ::-1],
    "upside down": lambda x: x[:, ::-1, ::-1],
    "turned by 90 degrees": lambda x: np.rot90(x, -1, (1, 2)),
}


@pytest.mark.parametrize("how", TURNED)
def test_transposed_digits_are_detected_by_comparison(how: str, tmp_path: Path) -> None:
    assert orientation(UNSEEN.images, UNSEEN.labels) == ""
    assert orientation(np.ascontiguousarray(TURNED[how](UNSEEN.images)), UNSEEN.labels) == how
    found = load(npz("x_train", "y_train")(tmp_path, TURNED[how](X), Y))
    assert how in found.warnings[0]
    dark = load(npz("x_train", "y_train")(tmp_path, 255 - TURNED[how](X), Y))
    assert how in dark.warnings[0]


def test_the_setting_turns_transposed_digits(tmp_path: Path) -> None:
    source = idx_files("emnist-digits-train-images-idx3-ubyte", "emnist-digits-train-labels-idx1-ubyte")(
        tmp_path, X.transpose(0, 2, 1), Y
    )
    assert "data.transpose true turns them" in load(source).warnings[0]
    found = load(source, transpose=True)
    np.testing.assert_array_equal(found.images, X)
    assert not found.warnings
    assert "data.transpose false turns them" in load(SAME_PIXELS["npz X"](tmp_path, X, Y), transpose=True).warnings[0]


def test_clothing_is_not_taken_as_transposed(tmp_path: Path) -> None:
    assert not load(npz("x_train", "y_train")(tmp_path, clothing(), np.arange(100) % 10), digits=100).warnings


@pytest.mark.parametrize("shade", [0, 255])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_transparent_picture_gets_a_background_that_shows_its_ink(shade: int, mode: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (28, 28), (shade, shade, shade, 0))
    picture.putalpha(Image.fromarray(X[0]))
    picture.convert(mode).save(tmp_path / "digit.png")
    found = read_pictures([tmp_path / "digit.png"])[0]
    assert np.abs(found.pixels.astype(int) - X[0]).max() <= 1


# The source's own test part


OWN_TEST: dict[str, Callable[[Path], Path]] = {
    "npz": lambda folder: npz("x_train", "y_train", x_test=UNSEEN.images[::20], y_test=UNSEEN.labels[::20])(
        folder, X, Y
    ),
    "idx": lambda folder: idx_files(*USUAL)(folder, X, Y)
    and idx_files("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")(folder, UNSEEN.images[::20], UNSEEN.labels[::20]),
    "csv": lambda folder: csv("mnist_test.csv")(folder, UNSEEN.images[::20], UNSEEN.labels[::20])
    and csv("mnist_train.csv")(folder, X, Y),
    "pictures": lambda folder: class_folders("training")(folder, X, Y)
    and class_folders("testing")(folder, UNSEEN.images[::20], UNSEEN.labels[::20]),
    "npy": lambda folder: npy_pair("x_train.npy", "y_train.npy")(folder, X, Y)
    and npy_pair("x_test.npy", "y_test.npy")(folder, UNSEEN.images[::20], UNSEEN.labels[::20]),
}  # fmt: skip


@pytest.mark.parametrize("form", OWN_TEST)
def test_the_test_part_of_a_source_is_used_or_ignored_as_configured(form: str, tmp_path: Path) -> None:
    source = OWN_TEST[form](tmp_path)
    aside = load(source)
    np.testing.assert_array_equal(aside.images, X)
    assert "is not used: data.test=own tests on it" in aside.told[-1]
    config = DataConfig(source=str(source), digits=100, test="own")
    own = data.load(config)
    split = data.split(own, config, 0.2)
    assert (len(split.train), len(split.validation), len(split.test)) == (80, 20, 200)
    np.testing.assert_array_equal(own.images[:100], X[:100])
    order = np.argsort(own.labels[split.test], kind="stable")
    np.testing.assert_array_equal(own.labels[split.test][order], UNSEEN.labels[::20])
    if form != "pictures":
        np.testing.assert_array_equal(own.images[split.test], UNSEEN.images[::20])


def test_a_source_without_a_test_part_can_not_be_tested_on_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"data\.test: is own, and .* has no test part of its own; allowed: split"):
        load(csv()(tmp_path, X, Y), test="own")


# Classes


@pytest.mark.parametrize(
    ("labels", "keys", "told"),
    [
        (Y % 2, "01", ""),
        (np.where(Y < 5, 3, 8), "38", "labels 3, 8 numbered from 0"),
        (1 + np.arange(COUNT) % 26, tuple(map(str, range(1, 27))), "labels 1 to 26 numbered from 0"),
        (np.array(["cat", "dog"])[Y % 2], ("cat", "dog"), ""),
        (np.arange(COUNT) % 100, tuple(map(str, range(100))), ""),
    ],
)
def test_the_classes_are_those_of_the_labels(labels: np.ndarray, keys: Any, told: str, tmp_path: Path) -> None:
    found = load(npz("x_train", "y_train")(tmp_path, X, labels))
    assert found.classes.keys == tuple(keys)
    assert "; ".join(found.told) == told
    config = api.configure("train", SMALL | {"data.digits": COUNT, "data.source": str(tmp_path / "digits.npz")})
    assert data.Dataset.load(config).config.model.classes == len(keys)


def test_a_network_of_a_few_named_classes_is_trained_evaluated_and_predicts(tmp_path: Path) -> None:
    labels = np.array(["none", "some", "many"])[Y % 3]
    source = npz("x_train", "y_train")(tmp_path, X, labels)
    runs = tmp_path / "runs"
    settings = SMALL | {"data.digits": COUNT, "data.source": str(source), "data.class_names": ["none", "some", "many"]}
    run = api.train("train", settings, runs_dir=runs)
    assert run.metrics["class_names"] == ["none", "some", "many"]
    assert np.shape(run.metrics["confusion_matrix"]) == (3, 3)
    assert (run.run_dir / "confusion_matrix.png").exists()
    found = evaluate(stored_runs.load(run.run_dir), runs, str(source)).metrics
    assert found["trained_on"]["digits"] == 160
    assert found["trained_on"]["others"]["accuracy"] == run.metrics["test_accuracy"]
    code, out, _ = answer("predict", run.run_dir, source, "--json", "--top", 3)
    assert code == 0
    assert {likely["digit"] for likely in json.loads(out)["predictions"][0]["top"]} == {"none", "some", "many"}


@pytest.mark.usefixtures("undrawn")
def test_chance_is_that_of_the_classes_there_are(tmp_path: Path) -> None:
    source = npz("x_train", "y_train")(tmp_path, X, np.array(["a", "b"])[np.arange(COUNT) % 2])
    still = {"data.digits": COUNT, "data.source": str(source), "optimizer.learning_rate": 1e-9, "training.epochs": 2}
    metrics = api.train("train", SMALL | still | {"repeats": 2}, runs_dir=tmp_path / "runs").metrics
    for found in (metrics, metrics["repeats"]):
        assert found["min_val_loss"] < np.log(10)
        assert found["best_epochs"]["shape"] == "chance"


def test_names_that_do_not_fit_the_classes_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"data\.class_names: 2 names, allowed: 10, one for each class"):
        load(csv()(tmp_path, X, Y), class_names=("a", "b"))


def test_small_sources_are_used_whole_and_larger_requests_refused(tmp_path: Path) -> None:
    source = csv()(tmp_path, X, Y)
    assert len(load(source, digits=1000)) == COUNT
    with pytest.raises(BadInput, match=r"data\.digits: is 201, and .* holds 200; allowed: at most 200"):
        load(source, digits=201)


def test_rows_sorted_by_class_are_refused_with_the_remedy(tmp_path: Path) -> None:
    order = np.argsort(Y, kind="stable")
    with pytest.raises(
        BadInput, match=r"no 5, 6, 7, 8, 9 among its first 100 digits.*raise data\.digits \(up to 200\)"
    ):
        load(csv()(tmp_path, X[order], Y[order]), digits=100)


# Malformed files


def raw(content: bytes, name: str = "digits.npz") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def wrong(x: Callable[[np.ndarray], Any] = lambda x: x, y: Callable[[np.ndarray], Any] = lambda y: y) -> Any:
    return lambda folder: changed(x, y)(folder, X, Y)


def wrong_idx(damage: Callable[[bytes], bytes], which: int = 0) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        idx_files(*USUAL)(folder, X, Y)
        path = folder / USUAL[which]
        path.write_bytes(damage(path.read_bytes()))
        return folder

    return write


def wrong_csv(damage: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = csv()(folder, X, Y)
        path.write_bytes(damage(path.read_bytes()))
        return path

    return write


def archive_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "1,2,3")
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("digits.csv"))
    return buffer.getvalue()


def holds(**files: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for name, content in files.items():
            path = folder / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder

    return write


PAGE = b"<!DOCTYPE html><html><body>404</body></html>"
MALFORMED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a web page as gzip": (wrong_idx(lambda _: PAGE), "a web page"),
    "a web page named .gz": (raw(PAGE, "train.csv.gz"), "a web page instead of a gzip file; download it again"),
    "a web page as .npz": (raw(PAGE), "a web page instead of a .npz file; download it again"),
    "empty": (raw(b""), "is empty; download it again"),
    "a pickle": (raw(pickle.dumps({"x": 1})), "a pickle, which is never opened"),
    "objects": (wrong(y=lambda y: y.astype(object)), "saved with pickled objects, which are never opened; save"),
    "ragged objects": (wrong(x=lambda x: np.array([x, 1], object)), "saved with pickled objects"),
    "HDF5": (raw(b"\x89HDF\r\n\x1a\n" + bytes(99)), "an HDF5 or MATLAB 7.3 file; read it with h5py"),
    "MATLAB": (raw(b"MATLAB 5.0 MAT-file" + bytes(200)), "a MATLAB file; read it with scipy.io.loadmat"),
    "a zip of a CSV": (raw(archive_of("train.csv"), "d.zip"), "a zip archive of train.csv, not an .npz; unpack it"),
    "a tar": (raw(tar(), "d.tar"), "a tar archive; unpack it"),
    "7z": (raw(b"7z\xbc\xaf\x27\x1c" + bytes(9)), "a 7z archive; unpack it"),
    "a Git LFS pointer": (raw(b"version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"),
    "JSON": (raw(b'{"message": "Not Found"}', "d.csv"), "JSON, not a table of digits"),
    "Excel": (raw(b"\xd0\xcf\x11\xe0" + bytes(99), "d.xls"), "an Excel file; save it as CSV"),
    "UTF-16": (raw("label,1,2".encode("utf-16"), "d.csv"), "text in UTF-16; save it as UTF-8"),
    "noise": (raw(bytes(range(1, 32)) * 40), "of an unknown format; allowed: .npz"),
    "cut off .npz": (lambda folder: raw(changed()(folder, X, Y).read_bytes()[:-400])(folder), "not a readable .npz"),
    "other keys": (lambda folder: npz("foo", "bar")(folder, X, Y), "holds foo, bar; allowed: x_train/y_train"),
    "no labels": (lambda folder: npz("x_train", "bar")(folder, X, Y), "holds pictures without labels; allowed"),
    "one label short": (wrong(y=lambda y: y[:-1]), "holds 200 pictures and 199 labels, allowed: one label each"),
    "negative labels": (wrong(y=lambda y: y - 1), "the labels contain -1, allowed: 0 and above"),
    "fractions as labels": (wrong(y=lambda y: y + 0.5), "a label is 5.5, allowed: whole numbers"),
    "missing labels": (wrong(y=lambda y: np.where(y == 5, np.nan, y)), "a label is nan, allowed: whole numbers"),
    "probabilities": (wrong(y=lambda y: np.full((len(y), 10), 0.1)), "for probabilities, use labels.argmax(axis=1)"),
    "several ones": (wrong(y=lambda y: np.ones((len(y), 10))), "rows of labels with several ones"),
    "a single class": (wrong(y=lambda y: 0 * y), "all labels are '0'; allowed: 2 to 100 classes"),
    "too many classes": (wrong(y=lambda y: np.arange(len(y))), "hold 200 different values, allowed: 2 to 100"),
    "empty text labels": (wrong(y=lambda y: np.where(y == 5, " ", y.astype(str))), "a label is ' ', allowed"),
    "not a number": (wrong(x=lambda x: np.where(x > 250, np.nan, x)), "holds nan, not a number; replace missing"),
    "standardised": (wrong(x=lambda x: (x / 255 - 0.13) / 0.31), "if they were standardised, undo that"),
    "int8": (wrong(x=lambda x: x.astype(np.int8)), "if they were saved as int8, view them as uint8"),
    "too bright": (wrong(x=lambda x: x.astype(int) + 1), "hold 1 to 256, allowed: 0 to 255"),
    "complex": (wrong(x=lambda x: x.astype(complex)), "the pictures are complex numbers; save them as numbers"),
    "text as pictures": (wrong(x=lambda x: x.astype(str)), "the pictures are text; save them as numbers"),
    "number of pictures last": (wrong(x=lambda x: np.moveaxis(x, 0, -1)), "numpy.moveaxis"),
    "no square": (wrong(x=lambda x: x.reshape(len(x), -1)[:, :-1]), "the pictures have the shape (200, 783); allowed"),
    "one dimension": (wrong(x=lambda x: x[:, 0, 0]), "the pictures have the shape (200,); allowed"),
    "blank": (wrong(x=lambda x: 0 * x), "all pictures are blank"),
    "wrong magic": (wrong_idx(lambda raw: b"\0\1" + raw[2:]), "begins with magic number"),
    "cut off IDX": (wrong_idx(lambda raw: raw[:-1]), "156,815 bytes; its header declares 156,816: cut off"),
    "overlong IDX": (wrong_idx(lambda raw: raw + b"\0"), "156,817 bytes or more; its header declares 156,816"),
    "a huge promise": (wrong_idx(lambda raw: raw[:4] + b"\xff" * 12), "its header declares 79,"),
    "half an IDX header": (wrong_idx(lambda raw: raw[:9]), "9 bytes; an IDX header alone takes 16"),
    "cut off gzip": (wrong_idx(lambda raw: gzip.compress(raw)[:-9]), "cut off while it was downloaded?"),
    "gzip with a flipped bit": (wrong_idx(lambda raw: gzip.compress(raw)[:-8] + bytes(8)), "a damaged gzip file"),
    "labels cut off": (wrong_idx(lambda raw: raw[:-1], 1), "207 bytes; its header declares 208"),
    "labels of another file": (wrong_idx(lambda _: idx(Y[:9]), 1), "holds 200 pictures and 9 labels"),
    "IDX without labels": (holds(**{USUAL[0].replace("-", "-"): idx(X)}), "and no train-labels-idx1-ubyte; add"),
    "a row cut off": (wrong_csv(lambda raw: raw[:-50]), "columns, the first one 785"),
    "a word in a CSV": (wrong_csv(lambda raw: raw.replace(b",0,0,0\n", b",0,0,?\n", 1)), "holds '?', allowed: a nu"),
    "a hole in a CSV": (wrong_csv(lambda raw: raw.replace(b",0,0,0\n", b",0,0,\n", 1)), "holds nothing, allowed"),
    "another table": (raw(b"name,age,height,weight,town\n" + b"1,2,3,4,5\n" * 30, "d.csv"), "not a square picture; al"),
    "a text": (raw(b"These are my digits.\n", "d.csv"), "not a table of digits; allowed"),
    "header alone": (wrong_csv(lambda raw: raw.partition(b"\n")[0] + b"\n"), "holds no rows"),
    "an empty folder": (holds(), "holds nothing; allowed: .npz"),
    "a folder of other things": (holds(notes_dot_md=b"# Digits"), "holds notes.md; allowed: .npz"),
    "pictures without classes": (holds(a_dot_png=b"x"), "a.png"),
    "a damaged picture": (holds(**{"3__a_dot_png": b"\x89PNG\r\n\x1a\nrest"}), "a.png: can't be read"),
    "bitmaps": (holds(**{"3__a_dot_bmp": b"BM" + bytes(99)}), "a BMP picture; allowed: PNG, JPEG"),
    "two sets": (holds(**{f"emnist-{name}-train-images-idx3-ubyte": idx(X) for name in ("mnist", "digits")}), "name"),
    "damaged Parquet": (raw(b"PAR1" + bytes(99), "d.parquet"), "Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_source_is_bad_input_that_names_the_file_and_the_remedy(name: str, tmp_path: Path) -> None:
    make, message = MALFORMED[name]
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    code, out, errors = answer("train", "--data", source, "--runs-dir", tmp_path / "runs", "--quiet")
    assert code == 2
    assert message in errors
    assert str(source) in errors
    assert len(errors.splitlines()) == 1
    assert out == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["a web page as .npz", "cut off IDX", "a row cut off", "a damaged picture", "objects"])
def test_predict_and_evaluate_refuse_what_train_refuses(name: str, finished: dict[str, Path], tmp_path: Path) -> None:
    make, message = MALFORMED[name]
    (tmp_path / "in").mkdir()
    source = make(tmp_path / "in")
    for command in (["predict", finished["train"], source], ["evaluate", finished["train"], "--data", source]):
        code, out, errors = answer(*command)
        assert (code, out) == (2, "")
        assert message in errors


def test_an_idx_file_is_read_no_further_than_just_past_its_end(tmp_path: Path) -> None:
    path, ticks = tmp_path / "labels", list[float]()
    path.write_bytes(idx(Y[:9]))
    with path.open("ab") as file:
        file.truncate(10 * PIECE)
    with pytest.raises(BadInput, match=r"or more; its header declares 17:"):
        idx_module.read_idx(path, ticks.append)
    assert len(ticks) <= 1


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    trap = np.array([Trap()] * 100, dtype=object)
    np.savez(tmp_path / "digits.npz", images=trap, labels=np.zeros(100, np.int64))
    (tmp_path / "plain.npz").write_bytes(trap.dumps())
    for name in ("digits.npz", "plain.npz"):
        with pytest.raises(BadInput):
            load(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_oversized_files_are_refused_before_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "LIMIT", 1000)
    monkeypatch.setattr(idx_module, "LIMIT", 1000)
    with pytest.raises(BadInput, match=r"x_train\.npy takes 156,928 bytes; at most 1,000"):
        load(changed()(tmp_path, X, Y))
    (tmp_path / "idx").mkdir()
    with pytest.raises(BadInput, match="its header declares 156,816 bytes; at most 1,000 are read"):
        load(idx_files(*USUAL)(tmp_path / "idx", X, Y))


def test_an_array_shorter_than_its_header_says_is_bad_input(tmp_path: Path) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000, 28, 28)}".ljust(117) + "\n"
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        for name in ("images", "labels"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    with pytest.raises(BadInput, match="= 7,840,000,000,000 bytes, and holds 0; it is cut off or damaged"):
        load(tmp_path / "liar.npz")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("embeded", "'embeded' doesn't exist; allowed: embedded, unseen.*did you mean 'embedded'"),
        ("digits.npx", r"doesn't exist.*did you mean '.*digits\.npz'"),
        ("no/such/folder/digits.npz", "doesn't exist"),
        ("/dev/zero", "not a regular file"),
        ("~nobody-of-this-name/digits.npz", "can't be read"),
        ("digits\0.npz", "'digits"),
        ("x" * 2000, "can't be read|doesn't exist"),
    ],
)
def test_a_missing_source_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.npz").touch()
    with pytest.raises(BadInput, match=message):
        load(source)


INTERRUPTED = """
import os, signal, sys
import numpy

def loadtxt(*arguments, read=numpy.loadtxt, **options):
    os.kill(os.getpid(), signal.SIGINT)
    return read(*arguments, **options)

numpy.loadtxt = loadtxt
from mnistexp.cli.app import main
main()
"""


def test_ctrl_c_while_reading_ends_the_command_and_writes_nothing(tmp_path: Path) -> None:
    source = csv()(tmp_path, X, Y)
    command = [sys.executable, "-c", INTERRUPTED, "train", "--data", source, "--runs-dir", tmp_path / "runs"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "mnistexp: error: stopped\n")
    assert not (tmp_path / "runs").exists()
