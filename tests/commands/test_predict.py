"""Pictures of digits as files, made ready for the network, and what a saved model says of them."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from programs import answer

from mnistexp import api, data
from mnistexp.commands import prediction
from mnistexp.data import pictures as images
from mnistexp.data.reading import DigitPicture, read_pictures
from mnistexp.data.ready import Ready, make_ready
from mnistexp.errors import BadInput, RunError
from mnistexp.runs import stored_runs
from mnistexp.training.runtime import import_keras
from mnistexp.training.saved_model import read_weights

Digit = NDArray[np.uint8]
UNSEEN = data.load_unseen()
SOME = np.arange(0, 4000, 100)
"""40 digits, four of each class."""


@pytest.fixture(scope="module")
def reads() -> Callable[[Digit], NDArray[np.int64]]:
    """What a network that has learned to read takes pictures for."""
    from mnistexp.training import fitting
    from mnistexp.training.predicting import predict

    settings = {"optimizer.name": "adam", "optimizer.learning_rate": 0.003, "training.epochs": 6}
    config = api.configure("train", settings | {"model.filters": [8, 16], "model.dense_units": 64})
    digits = data.load(config.data)
    weights = fitting.fit(config, digits.images, digits.labels, None, fitting.Seed(2)).weights
    return lambda pictures: predict(config, weights, pictures).argmax(axis=1)


def enlarged(digit: Digit, times: int = 7, kind: Any = Image.Resampling.BICUBIC) -> Image.Image:
    return Image.fromarray(digit).resize((28 * times, 28 * times), kind)


def off_centre(digit: Digit) -> Image.Image:
    canvas = Image.new("L", (420, 300), 0)
    canvas.paste(enlarged(digit), (15, 90))
    return canvas


def on_paper(digit: Digit) -> Image.Image:
    return Image.fromarray(255 - np.asarray(off_centre(digit)))


def photographed(digit: Digit) -> Image.Image:
    """Grey ink on uneven, grainy paper."""
    ink = np.asarray(off_centre(digit), np.float64) / 255
    grain = np.random.default_rng(0).normal(0, 5, ink.shape)
    paper = np.linspace(190, 215, ink.shape[1])
    return Image.fromarray(np.clip(paper + grain - 150 * ink, 0, 255).astype(np.uint8))


def see_through(digit: Digit) -> Image.Image:
    """Black ink whose paper is transparent."""
    ink = off_centre(digit)
    picture = Image.new("RGBA", ink.size, (0, 0, 0, 0))
    picture.putalpha(ink)
    return picture


def on_its_side(digit: Digit, path: Path) -> None:
    """Turned by a quarter, with the EXIF note of a camera that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    on_paper(digit).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


SAVED: dict[str, tuple[str, Callable[[Digit, Path], None]]] = {
    "28 x 28": (".png", lambda digit, path: Image.fromarray(digit).save(path)),
    "28 x 28, inverted": (".png", lambda digit, path: Image.fromarray(255 - digit).save(path)),
    "enlarged": (".png", lambda digit, path: enlarged(digit, 3).save(path)),
    "off centre": (".png", lambda digit, path: off_centre(digit).save(path)),
    "on paper, JPEG": (".jpg", lambda digit, path: on_paper(digit).save(path, quality=40)),
    "in colour, JPEG": (".jpeg", lambda digit, path: on_paper(digit).convert("RGB").save(path)),
    "for print, JPEG": (".jpg", lambda digit, path: on_paper(digit).convert("CMYK").save(path)),
    "photographed": (".jpg", lambda digit, path: photographed(digit).save(path, quality=60)),
    "transparent": (".png", lambda digit, path: see_through(digit).save(path)),
    "transparent palette": (".png", lambda digit, path: see_through(digit).quantize(32).save(path)),
    "two colours": (".png", lambda digit, path: on_paper(digit).convert("1", dither=0).save(path)),
    "16 bits": (".png", lambda digit, path: Image.fromarray(np.asarray(off_centre(digit), np.uint16) * 257).save(path)),
    "turned by the camera": (".jpg", on_its_side),
    "larger than the working size": (".png", lambda digit, path: enlarged(digit, 60).save(path, compress_level=1)),
    "array": (".npy", lambda digit, path: np.save(path, digit)),
    "array of floats": (".npy", lambda digit, path: np.save(path, (digit / 255).astype(">f4"))),
    "array by columns": (".npy", lambda digit, path: np.save(path, np.asfortranarray(digit)[np.newaxis])),
}
EXACT = {"28 x 28", "28 x 28, inverted", "array", "array of floats", "array by columns"}


@pytest.mark.parametrize("kind", SAVED)
def test_a_picture_of_a_digit_is_classified_correctly(
    kind: str, reads: Callable[[Digit], NDArray[np.int64]], tmp_path: Path
) -> None:
    ending, save = SAVED[kind]
    chosen = SOME[::4] if "larger" in kind else SOME
    paths = [tmp_path / f"{row}{ending}" for row in chosen]
    for row, path in zip(chosen, paths, strict=True):
        save(UNSEEN.images[row], path)
    pictures = read_pictures(paths)
    assert [picture.file for picture in pictures] == paths
    pixels = np.stack([picture.pixels for picture in pictures])
    if kind in EXACT:
        np.testing.assert_array_equal(pixels, UNSEEN.images[chosen])
        assert not any(picture.centred for picture in pictures)
    assert (reads(pixels) == reads(UNSEEN.images[chosen])).mean() >= 0.9


def made_ready(grey: Any, invert: bool | Literal["auto"] = "auto", centre: bool | None = None) -> Ready:
    """One picture, 0 black to 255 white, as `predict` makes it ready."""
    picture = np.asarray(grey).astype(np.uint8)
    return make_ready([picture], "digit", invert=invert, centre=centre, need_ink=True)


def test_centring_does_not_move_the_digits_of_mnist() -> None:
    for digit in UNSEEN.images[SOME]:
        ready = made_ready(digit, centre=True)
        pixels = ready.images[0]
        assert ready.centred.all()
        assert not ready.inverted.any()
        # A centre of mass that lies between two pixels may be taken for the other one.
        shifts = [np.roll(pixels, (down, right), (0, 1)).astype(int) for down in (0, 1, -1) for right in (0, 1, -1)]
        assert min(np.abs(shifted - digit).mean() for shifted in shifts) < 3


@pytest.mark.parametrize("kind", [off_centre, photographed])
def test_a_digit_is_scaled_to_20_x_20_with_its_centre_of_mass_in_the_middle(
    kind: Callable[[Digit], Image.Image],
) -> None:
    for digit in UNSEEN.images[SOME]:
        pixels = made_ready(kind(digit)).images[0]
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        for axis in (0, 1):
            middle = np.average(np.arange(28), weights=pixels.sum(axis=axis))
            assert abs(middle - 14) <= 0.5


def test_proportions_are_kept_and_a_digit_at_the_edge_stays_inside() -> None:
    bar = np.zeros((300, 100))
    bar[:, 40:70] = 1
    ready = made_ready(255 * bar, False)
    pixels = ready.images[0]
    assert not ready.inverted.any()
    assert np.ptp(np.flatnonzero(pixels.any(axis=1))) + 1 == 20
    assert np.ptp(np.flatnonzero(pixels.any(axis=0))) + 1 == 2
    heavy_end = np.full((200, 200), 0.3)
    heavy_end[:20] = 1.0
    heavy_end[:, [0, -1]] = heavy_end[-1] = 0.0
    assert made_ready(255 * heavy_end, False).images.shape == (1, 28, 28)


def test_inversion_can_be_set_explicitly() -> None:
    digit = UNSEEN.images[0]
    np.testing.assert_array_equal(made_ready(digit, True).images, 255 - made_ready(digit).images)
    ways: tuple[bool | Literal["auto"], ...] = ("auto", True, False)
    inverted = [made_ready(picture, way).inverted[0] for picture in (digit, 255 - digit) for way in ways]
    assert inverted == [False, True, False, True, True, False]


def png_that_claims(width: int, height: int) -> bytes:
    """A small PNG whose header says that it is large."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT" + zlib.compress(bytes(99))]
    packed = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in [*chunks, b"IEND"])
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def saved(picture: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


def array(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


class Trap:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("sprung"),))


DIGIT = UNSEEN.images[0]
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty; download it again"),
    "text": (b"three\n" * 100, "text of 1 column, not a table of digits"),
    "another format": (saved(Image.fromarray(DIGIT), "GIF"), "a GIF picture; save it as PNG"),
    "cut off PNG": (saved(on_paper(DIGIT), "PNG")[:900], "can't be read: "),
    "cut off JPEG": (saved(on_paper(DIGIT), "JPEG")[:900], "can't be read: image file is truncated"),
    "damaged PNG": (saved(on_paper(DIGIT), "PNG").replace(b"IDAT", b"IDAX"), "can't be read: "),
    "bomb by its header": (png_that_claims(60_000, 60_000), "can't be read: Image size (3600000000 pixels) exc"),
    "warned of as a bomb": (png_that_claims(10_000, 10_000), "can't be read: Image size (100000000 pixels) exc"),
    "too many pixels": (saved(Image.new("1", (5001, 5000)), "PNG"), "is 5,001 x 5,000 pixels, allowed: 25,000,000"),
    "nothing on it": (saved(Image.new("L", (50, 50), 250), "PNG"), "has no ink: its grey values go from 0.98 to 0.98"),
    "white on transparent": (saved(Image.new("LA", (50, 50), (255, 9)), "PNG"), "has no ink"),
    "pickle": (pickle.dumps(Trap()), "a pickle, which is never opened"),
    "pickle in an array": (array(np.array([Trap()], dtype=object)), "saved with pickled objects, which are never"),
    "shape": (array(np.zeros((60, 65), np.uint8)), "shape (60, 65); allowed: (n, 28, 28)"),
    "no pictures": (array(np.zeros((0, 28, 28), np.uint8)), "holds no pictures"),
    "too many dimensions": (array(np.zeros((1, 2, 28, 28), np.uint8)), "shape (1, 2, 28, 28)"),
    "complex": (array(np.zeros((28, 28), np.complex64)), "the pictures are complex numbers; save them as numbers"),
    "standardised": (array((DIGIT / 255 - 0.13) / 0.31), "hold -0.419355 to 2.80645, allowed: 0 to 255, or 0 to 1; if"),
    "not a number": (array(np.full((28, 28), np.nan)), "holds nan, not a number; replace missing values"),
    "cut off array": (array(np.zeros((9, 28, 28)))[:5000], "declares 9 x 28 x 28 of float64 at 8 bytes = 56,448"),
    "array that claims to be huge": (
        array(np.zeros((10**6, 28, 28), "V0")).replace(b"|V0", b"<f8"), "= 6,272,000,000 bytes, and holds 0",
    ),
    "blank in an array": (array(np.stack([DIGIT, 0 * DIGIT])), "[1]: has no ink"),
    "too many pictures": (array(np.zeros((100_001, 4, 4), np.uint8)), "more than 100,000 pictures in all"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_bad_file_is_named_and_explained(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content, expected = HOSTILE[kind]
    path = tmp_path / "picture"
    path.write_bytes(content)
    with pytest.raises(BadInput) as error:
        read_pictures([path])
    assert str(error.value).startswith(str(path))
    assert expected in str(error.value)
    assert list(tmp_path.iterdir()) == [path]


def test_special_files_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.write(saved(on_paper(DIGIT), "PNG"))
        file.truncate(images.LARGEST_FILE + 1)
    (tmp_path / "folder.png").mkdir()
    expected = {
        "missing.png": "no such file or folder",
        "pipe": "not a regular file",
        "large": "is 67,108,865 bytes, allowed: 67,108,864",
        "folder.png": "holds nothing; allowed: .npz",
    }
    with pytest.raises(BadInput) as error:
        read_pictures([tmp_path / name for name in expected])
    lines = str(error.value).splitlines()
    assert len(lines) == len(expected)
    for line, (name, reason) in zip(lines, expected.items(), strict=True):
        assert name in line
        assert reason in line


STARVED = """
import os, resource, sys
from PIL import Image
from mnistexp.data import reading
from mnistexp.cli import app, model_commands
Image.init()
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGESIZE") + 2**25,) * 2)
sys.argv[0] = "mnistexp"
app.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads its own size in /proc")
def test_too_little_memory_is_not_reported_as_a_bad_picture(finished: dict[str, Path], tmp_path: Path) -> None:
    Image.new("RGB", (5000, 5000), "white").save(tmp_path / "large.png")
    command = [sys.executable, "-c", STARVED, "predict", finished["train"], tmp_path / "large.png"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "mnistexp: error: not enough memory\n")


def test_wrong_sizes_and_wrong_inversion_are_reported_with_a_fix() -> None:
    with pytest.raises(BadInput, match="is 420 x 300 pixels, allowed without centring: 28 x 28"):
        made_ready(off_centre(DIGIT), centre=False)
    with pytest.raises(BadInput, match="no ink that is brighter than its background; --invert yes"):
        made_ready(on_paper(DIGIT), False)
    with pytest.raises(BadInput, match="no ink that is darker than its background; --invert no"):
        made_ready(off_centre(DIGIT), True)


def test_only_the_first_of_very_many_problems_are_listed(tmp_path: Path) -> None:
    np.save(tmp_path / "blank.npy", np.zeros((500, 28, 28), np.uint8))
    with pytest.raises(BadInput) as error:
        read_pictures([tmp_path / "blank.npy"])
    assert str(error.value).splitlines()[-1] == "... and 480 more problems"


def test_predict_answers_in_the_order_of_the_files(finished: dict[str, Path], tmp_path: Path) -> None:
    on_paper(UNSEEN.images[3900]).save(tmp_path / "nine.jpg")
    np.save(tmp_path / "two.npy", UNSEEN.images[[0, 2000]])
    Image.fromarray(UNSEEN.images[10]).save(tmp_path / "zero.png")
    files = [tmp_path / name for name in ("zero.png", "nine.jpg", "two.npy")]
    before = sorted(path.name for path in finished["train"].iterdir())
    code, out, _ = answer("predict", finished["train"], *files, "--json", "--top", 2)
    document = json.loads(out)
    assert code == 0
    assert document["run"] == finished["train"].name
    rows = document["predictions"]
    assert [(row["image"], row["index"]) for row in rows] == [
        (str(files[0]), None), (str(files[1]), None), (str(files[2]), 0), (str(files[2]), 1),
    ]  # fmt: skip
    assert [(row["inverted"], row["centred"]) for row in rows] == [(False, False), (True, True), *[(False, False)] * 2]
    config = api.load_run(finished["train"]).config
    assert config.model.filters == (4, 8)
    for row in rows:
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert row["digit"] == int(np.argmax(row["probabilities"]))
        assert [entry["probability"] for entry in row["top"]] == sorted(row["probabilities"], reverse=True)[:2]
    assert sorted(path.name for path in finished["train"].iterdir()) == before
    code, out, _ = answer("predict", finished["train"], *files)
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 5
    assert [line.split()[1] for line in lines[1:]] == [str(row["digit"]) for row in rows]
    assert [line.split()[0] for line in lines[1:]] == [*map(str, files[:2]), f"{files[2]}[0]", f"{files[2]}[1]"]


@pytest.mark.parametrize("kind", ["train", "best"])
def test_a_run_says_what_keras_says_of_its_saved_model(kind: str, finished: dict[str, Path]) -> None:
    keras = import_keras()
    model = keras.models.load_model(finished[kind] / "model.keras", compile=False)
    images = UNSEEN.images[:300]
    run = api.load_run(finished[kind])
    np.testing.assert_allclose(run.probabilities(images), model.predict(data.as_input(images), verbose=0), atol=1e-5)
    assert run.probabilities(images[:0]).shape == (0, 10)


def test_damaged_models_are_reported(finished: dict[str, Path], tmp_path: Path) -> None:
    import h5py

    keras = import_keras()

    def named(content: h5py.File) -> list[str]:
        places: list[str] = []
        content.visititems(lambda place, each: places.append(place) if isinstance(each, h5py.Dataset) else None)
        return places

    path, layers = tmp_path / "model.keras", keras.layers
    config = api.load_run(finished["train"]).config.model
    logistic = config.model_copy(update={"kind": "logistic"})
    path.write_bytes(b"no archive")
    with pytest.raises(RunError, match="is damaged"):
        read_weights(path, config)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(RunError, match=r"is damaged: .*no item named 'model.weights.h5'"):
        read_weights(path, config)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", "not HDF5")
    with pytest.raises(RunError, match="is damaged"):
        read_weights(path, config)
    keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10)]).save(path)
    assert [weight.shape for weight in read_weights(path, logistic)] == [(784, 10), (10,)]
    for other in (config, logistic.model_copy(update={"classes": 11})):
        with pytest.raises(RunError, match="has a different network than that of the run's settings"):
            read_weights(path, other)
    with zipfile.ZipFile(path) as archive:
        held = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(held, "r+") as content:
        place = next(place for place in named(content) if content[place].shape == (10,))
        del content[place]
        content.create_dataset(place, (10,), "S2000000000")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", held.getvalue())
    with pytest.raises(RunError, match=rf"is damaged: {place} holds \|S2000000000, not floating-point numbers"):
        read_weights(path, logistic)
    with pytest.raises(BadInput, match="has no model"):
        prediction.network_of(stored_runs.load(finished["sweep"]))


def test_pictures_are_drawn_for_a_terminal() -> None:
    from rich.console import Console

    from mnistexp.cli import model_commands

    picture = DigitPicture(Path("five.png"), None, DIGIT, False, False)
    row = prediction.row(picture, np.linspace(0, 0.2, 10, dtype=np.float32), 3)
    terminal = Console(force_terminal=True, width=100, file=io.StringIO(), color_system=None)
    terminal.print(model_commands.predictions_table([row], [picture], drawn=True))
    said = terminal.file.getvalue()  # type: ignore[attr-defined]
    assert "five.png" in said
    assert "8 0.1778, 7 0.1556" in said
    assert sum(any(mark in line for mark in "█▄▀@%") for line in said.splitlines()) >= 4
