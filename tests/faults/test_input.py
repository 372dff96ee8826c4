"""Whatever comes in, the answer is a result or one clear error: no traceback, no code run, bounded time and memory."""

import gzip
import hashlib
import io
import json
import logging
import os
import resource
import shutil
import struct
import subprocess
import sys
import textwrap
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import strategies as st
from strategies import amount, damaged, fuzz, json_documents, outcome

from mnistexp import data
from mnistexp.config import settings, yaml_source
from mnistexp.config.models import DataConfig
from mnistexp.data.reading import read_pictures
from mnistexp.errors import MnistexpError
from mnistexp.live.following import Follower
from mnistexp.runs import archive, comparison, export, files, index, query, stored_runs, where
from mnistexp.runs.history_csv import history_from_csv
from mnistexp.runs.index import INDEX
from mnistexp.runs.results import FoldResult, History
from mnistexp.runs.stored_runs import StoredRun
from mnistexp.sweeps import trial_cache
from mnistexp.sweeps.sweep_files import read_sweep

PLAN = {
    "YAML": 40_000,
    "YAML files": 5_000,
    "--set": 12_000,
    "--where": 25_000,
    "references and orders": 4_000,
    "history.csv": 8_000,
    "JSON of runs": 4_000,
    "files of sweeps": 2_000,
    "pages": 400,
    "index": 3_000,
    "cached fits": 5_000,
    ".npz": 5_000,
    "IDX": 5_000,
    ".npy": 4_000,
    "PNG and JPEG": 4_000,
    "archives": 1_500,
    "command lines": 2_000,
    ".keras": 400,
}
"""How many inputs of each kind the full battery generates."""


def test_the_plan_is_a_hundred_thousand_inputs() -> None:
    assert sum(PLAN.values()) >= 100_000


@pytest.fixture
def fuzzed(tried: Callable[..., None]) -> Callable[..., None]:
    """Fuzzes one kind of input as often as planned, and tells how often that was."""

    def run(kind: str, strategy: st.SearchStrategy[Any], check: Callable[[Any], object]) -> None:
        count, refused = fuzz(strategy, check, PLAN[kind])
        tried(f"generated inputs: {kind}", count, f"a result, or one clear error ({refused / count:.0%}); no code run")
        assert count >= amount(PLAN[kind])

    return run


@pytest.fixture
def marker(tmp_path: Path) -> Any:
    """The folder that planted code would make; it must not be there at the end."""
    path = tmp_path / "code was run"
    yield path
    assert not path.exists()


# Configurations


def test_yaml(fuzzed: Any, marker: Path) -> None:
    defaults = settings.read_file("train")

    def check(text: str) -> None:
        with_lines, fast = (
            outcome(lambda: yaml_source.parse(text, "f")),
            outcome(lambda: yaml_source.parse_fast(text, "f")),
        )
        if isinstance(with_lines, yaml_source.Source):
            if isinstance(fast, dict) and with_lines.values:
                assert repr(with_lines.values) == repr(fast)
            settings.to_yaml(settings.resolve([defaults, with_lines]).config)

    fuzzed("YAML", strategies.yaml_texts(marker), check)


def test_yaml_files(fuzzed: Any, marker: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        settings.resolve([settings.read_file(str(path))])

    texts = strategies.yaml_texts(marker).map(lambda text: text.encode("utf-8", "surrogatepass"))
    wide = strategies.yaml_texts(marker).map(lambda text: text.encode("utf-16", "surrogatepass"))
    fuzzed("YAML files", texts.flatmap(damaged) | wide | st.binary(max_size=100), check)


def test_assignments(fuzzed: Any, marker: Path) -> None:
    defaults = settings.read_file("sweep-dropout")

    def check(texts: list[str]) -> None:
        settings.resolve([defaults, *settings.assignments(texts)])

    fuzzed("--set", st.lists(strategies.assignments(marker), max_size=3), check)


# Questions to stored runs


@pytest.fixture(scope="session")
def indexed(finished: dict[str, Path]) -> list[StoredRun]:
    return index.read_all(finished["train"].parent)


def test_where(fuzzed: Any, indexed: list[StoredRun], copied: Callable[[str], Path]) -> None:
    folder = copied("train")
    files.write_json(folder / "metrics.json", {"test_accuracy": "x", "warnings": None})
    odd = stored_runs.load(folder)
    assert odd.numbers["test_accuracy"] == "x"

    def check(text: str) -> None:
        condition = where.parse(text)
        for run in (*indexed, odd):
            assert condition.matches(run) in (True, False)

    fuzzed("--where", strategies.conditions(), check)


def test_references_and_orders(fuzzed: Any, finished: dict[str, Path]) -> None:
    runs_dir = finished["train"].parent

    def check(asked: tuple[list[str], str | None, str | None]) -> None:
        given, sort, condition = asked
        query.select(runs_dir, given, sort=sort, where=condition)

    order, condition = (st.none() | each for each in (strategies.orders, strategies.conditions()))
    fuzzed("references and orders", st.tuples(st.lists(strategies.references, max_size=2), order, condition), check)


# Files of runs


@pytest.fixture
def copied(finished: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a finished run, in a folder of runs of its own with an unharmed one beside it."""

    def copy(kind: str) -> Path:
        beside = finished["show-examples"]
        shutil.copytree(beside, tmp_path / "runs" / beside.name)
        return Path(shutil.copytree(finished[kind], tmp_path / "runs" / finished[kind].name))

    return copy


def look_at(folder: Path) -> None:
    """All that listings, comparisons, tables and pages ask of a run."""
    runs = index.read_all(folder.parent)
    export.runs_csv(runs), export.runs_markdown(runs), json.dumps(files.plain(export.runs_document(runs)))
    json.dumps(files.plain(Follower(folder.parent).look().document()))
    outcome(lambda: comparison.compare(runs))
    for part in ("config", "environment", "metrics", "data", "histories", "predictions"):
        outcome(lambda part=part: getattr(stored_runs.load(folder), part))
    for run in runs:
        assert run.tags is not None
        assert run.settings is not None


def spoil(folder: Path, names: list[str]) -> st.SearchStrategy[tuple[str, bytes]]:
    """The name of one of a run's files, and what it holds now."""

    def of(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
        content = (folder / name).read_bytes()
        found = json_documents(json.loads(content)) if name.endswith(".json") else damaged(content)
        return st.tuples(st.just(name), found)

    return st.one_of([of(name) for name in names])


def put_in(folder: Path, check: Callable[[Path], object]) -> Callable[[tuple[str, bytes]], None]:
    """A check of the folder with a spoilt file in it, which is put right afterwards."""

    def run(spoilt: tuple[str, bytes]) -> None:
        name, content = spoilt
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        try:
            check(folder)
        finally:
            (folder / name).write_bytes(before)

    return run


def test_json_of_runs(fuzzed: Any, copied: Callable[[str], Path]) -> None:
    folder = copied("train")
    files.write_json(folder / "annotations.json", {"tags": ["a", "b"], "note": "a note"})
    names = ["status.json", "metrics.json", "annotations.json", "data.json", "environment.json", "timings.csv"]
    fuzzed("JSON of runs", spoil(folder, [*names, "config.yaml", "history.csv"]), put_in(folder, look_at))


def test_files_of_sweeps(fuzzed: Any, copied: Callable[[str], Path], marker: Path) -> None:
    folder = copied("sweep")
    fit = min(path.relative_to(folder).as_posix() for path in folder.glob("trials/*.json"))
    planted = st.tuples(st.just("predictions.npz"), strategies.npz_files(marker))

    def check(folder: Path) -> None:
        outcome(lambda: read_sweep(folder))
        look_at(folder)

    fuzzed("files of sweeps", spoil(folder, [fit, "sweep.json", "predictions.npz"]) | planted, put_in(folder, check))


def test_pages(fuzzed: Any, copied: Callable[[str], Path]) -> None:
    from mnistexp.report.markdown import page_to_markdown
    from mnistexp.report.reports import read_page

    folder = copied("train")

    def check(folder: Path) -> None:
        page_to_markdown(read_page([stored_runs.load(folder)]), "figures")

    names = ["metrics.json", "data.json", "environment.json", "config.yaml", "history.csv"]
    fuzzed("pages", spoil(folder, names), put_in(folder, check))


def test_history_csv(fuzzed: Any, finished: dict[str, Path]) -> None:
    content = (finished["train"] / "history.csv").read_bytes()
    tokens = (b"", b"nan", b"inf", b",", b"\n", b"1e999", b"\x1b", b"1_0", "٣".encode())
    texts = damaged(content, tokens).map(lambda found: found.decode("utf-8", "replace"))
    fuzzed("history.csv", texts, lambda text: history_from_csv(text, "history.csv"))


def test_index(fuzzed: Any, copied: Callable[[str], Path]) -> None:
    """Also with right sums: whatever is there, every run is listed."""
    runs_dir = copied("train").parent
    path = runs_dir / INDEX
    expected = [run.id for run in index.read_all(runs_dir)]
    for source in runs_dir.glob("*/*"):
        os.utime(source, (1e9, 1e9))  # long settled
    index.read_all(runs_dir)
    line = path.read_bytes().split(b"\n")[1]

    def sealed(content: bytes) -> bytes:
        return b"%08x %b" % (zlib.crc32(content), content)

    head, *others = line[9:].split(b"\t")
    wrong = json_documents({"head": json.loads(head)}).map(lambda text: text[len(b'{"head": ') : -1])
    odd = strategies.nasty_values.map(lambda value: json.dumps(value).encode())
    lines = st.one_of(odd, wrong, damaged(head)).map(lambda first: sealed(b"\t".join((first, *others))))
    whole = lines.map(lambda found: index.FORMAT + b"\n" + found) | damaged(index.FORMAT + b"\n" + line)

    def check(content: bytes) -> None:
        path.write_bytes(content)
        assert [run.id for run in index.read_all(runs_dir)] == expected

    fuzzed("index", whole, check)


def test_cached_fits(fuzzed: Any, tmp_path: Path, marker: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    rows = np.arange(20)
    history = History((0.5,), (0.5,), (0.5,), (0.5,))
    result = FoldResult(0, 0, 0.5, history, rows, np.full((20, 10), 0.1, np.float32), 1.0, None)
    cache = trial_cache.TrialCache(tmp_path)
    key = "ab" * 32
    content = trial_cache.to_bytes(key, result, 100)
    path = tmp_path / trial_cache.FOLDER / key[:2] / f"{key}{trial_cache.SUFFIX}"
    files.make_folder(path.parent)
    about = {"key": key, "score": 0.5, "seconds": 1.0, "diverged_at": None, "learnt": 100}
    curve = st.sampled_from([strategies.npy(np.array([0.5])), strategies.pickled_array(marker)]) | strategies.npy_files(
        marker
    )
    told = json_documents(about).map(lambda text: strategies.npy(np.frombuffer(text, np.uint8)))
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "probabilities")
    parts = st.tuples(told, *[curve] * len(names)).map(lambda found: list(zip(("about", *names), found, strict=True)))
    archives = parts.map(strategies.zipped) | damaged(content[65:]) | st.just(strategies.pickled(marker))

    def check(entry: bytes) -> None:
        path.write_bytes(entry)
        found = cache.get(key, fold=0, repeat=0, rows=rows)
        assert found is None or found.probabilities.shape == (20, 10)
        cache.pace()

    sealed = archives.map(lambda rest: hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
    fuzzed("cached fits", sealed | damaged(content), check)


# Digits and pictures


def read_digits(source: Path) -> None:
    digits = data.load(DataConfig(source=str(source), digits=20))
    assert len(digits.images) == len(digits.labels) == 20


def test_npz(fuzzed: Any, tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "digits.npz"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        read_digits(path)

    fuzzed(".npz", strategies.npz_files(marker), check)


def test_idx(fuzzed: Any, tmp_path: Path) -> None:
    def check(contents: tuple[bytes, bytes]) -> None:
        for name, content in zip((IDX[0], IDX[1]), contents, strict=True):
            (tmp_path / name).write_bytes(content)
        read_digits(tmp_path)

    fuzzed("IDX", st.tuples(strategies.idx_files(3), strategies.idx_files(1)), check)


def test_npy_pictures(fuzzed: Any, tmp_path: Path, marker: Path) -> None:
    fuzzed(".npy", strategies.npy_files(marker), pictures_in(tmp_path / "p.npy"))


def test_pictures(fuzzed: Any, tmp_path: Path) -> None:
    fuzzed("PNG and JPEG", strategies.pictures(), pictures_in(tmp_path / "p.png"))


def pictures_in(path: Path) -> Callable[[bytes], None]:
    def check(content: bytes) -> None:
        path.write_bytes(content)
        assert all(picture.pixels.shape == (28, 28) for picture in read_pictures([path]))

    return check


# Archives


def test_archives(fuzzed: Any, copied: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied("summary")
    archive.write_archive([folder], tmp_path / "sound.zip")
    sound, path, target = (tmp_path / "sound.zip").read_bytes(), tmp_path / "a.zip", tmp_path / "taken in"
    before = sorted(entry.name for entry in tmp_path.iterdir())

    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            archive.import_archive(path, target)
        finally:
            shutil.rmtree(target, ignore_errors=True)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == [*sorted({*before, "a.zip"})]

    fuzzed("archives", damaged(sound), check)


# What would fill the memory

IDX = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
BOMBS = {
    "aliases": "settings.read_file('bomb.yaml')",
    "a hundred megabytes of YAML": "settings.read_file('large.yaml')",
    "a hundred megabytes in --set": "settings.assignments(['a=' + open('large.yaml').read()])",
    "a hundred megabytes of --where": "where.parse('a=1 or ' * 15_000_000)",
    "a hundred megabytes of JSON": "files.read_json(Path('large.json'))",
    "nested JSON": "files.read_json(Path('nested.json'))",
    "a zip bomb for digits": "data.load(DataConfig(source='bomb.npz'))",
    "an array larger than its file": "data.load(DataConfig(source='huge.npz'))",
    "a gzip bomb for digits": "data.load(DataConfig(source='idx'))",
    "a PNG of 46,000 x 46,000 pixels": "reading.read_pictures([Path('bomb.png')])",
    "a PNG with a compressed text of 100 MB": "reading.read_pictures([Path('text.png')])",
    "an array of 10^11 pictures": "reading.read_pictures([Path('huge.npy')])",
    "a model of 4 GB": "saved_model.read_weights(Path('bomb.keras'), configure().model)",
    "an archive of 4 GB": "archive.import_archive(Path('bomb.zip'), Path('runs'))",
    "a history of 300 MB": "files.read_text(Path('sparse.csv'))",
}
CHILD = """
    import resource, sys
    from pathlib import Path
    from mnistexp import data
    from mnistexp.api import configure
    from mnistexp.config import settings
    from mnistexp.data import reading
    from mnistexp.config.models import DataConfig
    from mnistexp.errors import MnistexpError
    from mnistexp.runs import archive, files, stored_runs, where
    from mnistexp.training import saved_model
    from PIL import Image, PngImagePlugin
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + 768 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
    try:
        {call}
    except MnistexpError as error:
        assert len(str(error)) < 2000, len(str(error))
        print("explained:", str(error)[:300])
    else:
        print("read")
"""


@pytest.fixture(scope="session")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are much more than they seem."""
    folder = tmp_path_factory.mktemp("bombs")
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (folder / "bomb.yaml").write_text("\n".join(lines))
    with (folder / "large.yaml").open("w") as file:
        for number in range(100):
            file.write(f"key{number}: [" + "1, " * 350_000 + "1]\n")
    (folder / "large.json").write_text('{"schema_version": 1, "x": "' + "x" * 100_000_000 + '"')
    (folder / "nested.json").write_text('{"schema_version": 1, "x": ' + "[" * 1_000_000)
    zeros = bytes(2**20)
    for name, member in {
        "bomb.npz": "images.npy",
        "bomb.keras": "model.weights.h5",
        "bomb.zip": "a/status.json",
    }.items():
        with (
            zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive_,
            archive_.open(member, "w", force_zip64=True) as file_,
        ):
            for _ in range(4096 if name == "bomb.npz" else 1100 if name == "bomb.keras" else 200):
                file_.write(zeros)
        with zipfile.ZipFile(folder / name, "a") as archive_:
            archive_.writestr("labels.npy", b"")
    header = strategies._headed(
        (1, 0), "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 28, 28), }", b"x"
    )
    (folder / "huge.npy").write_bytes(header)
    (folder / "huge.npz").write_bytes(strategies.zipped([("images", header), ("labels", header)]))
    (folder / "idx").mkdir()
    with gzip.open(folder / "idx" / f"{IDX[0]}.gz", "wb", 1) as packed:
        packed.write(struct.pack(">4I", 0x0803, 2**32 - 1, 28, 28))
        for _ in range(1024):
            packed.write(zeros)
    (folder / "idx" / IDX[1]).write_bytes(struct.pack(">2I", 0x0801, 0))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">II", 46_000, 46_000) + bytes((8, 0, 0, 0, 0)))
    (folder / "bomb.png").write_bytes(start + chunk(b"IDAT", zlib.compress(bytes(10**7))) + chunk(b"IEND", b""))
    small = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">II", 28, 28) + bytes((8, 0, 0, 0, 0)))
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8)))
    pixels = zlib.compress(b"".join(b"\0" + bytes(range(0, 252, 9)) for _ in range(28)))
    (folder / "text.png").write_bytes(small + text + chunk(b"IDAT", pixels) + text + chunk(b"IEND", b""))
    with (folder / "sparse.csv").open("wb") as file:
        file.truncate(300 * 2**20)
    return folder


@pytest.mark.parametrize("name", BOMBS)
def test_nothing_fills_the_memory(name: str, bombs: Path, tried: Callable[..., None]) -> None:
    """Read with 768 MiB to spare: a right answer is an error that explains itself, or a result."""
    code = textwrap.dedent(CHILD).replace("{call}", BOMBS[name])
    done = subprocess.run([sys.executable, "-c", code], cwd=bombs, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(
        "explained:" if name != "a PNG with a compressed text of 100 MB" else ("explained:", "read")
    )
    tried(f"{name}, with 768 MiB to spare", 1, "one clear error" if done.stdout.startswith("explained") else "a result")


# Models


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A saved model, not trained."""
    from mnistexp.config.models import ModelConfig
    from mnistexp.training.model import build_model

    path = tmp_path_factory.mktemp("model") / "model.keras"
    build_model(ModelConfig(filters=(2, 2), dense_units=4)).save(path)
    return path.read_bytes()


@contextmanager
def roomy(room: int) -> Iterator[None]:
    """No more address space than there is now and `room` bytes."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def repacked(content: bytes, changes: dict[str, bytes]) -> bytes:
    """A zip archive with some members replaced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name, old.read(name)))
    return buffer.getvalue()


def test_models(fuzzed: Any, model: bytes, marker: Path, tmp_path: Path) -> None:
    from mnistexp.config.models import ModelConfig
    from mnistexp.training.saved_model import read_weights

    path, network = tmp_path / "model.keras", ModelConfig(filters=(2, 2), dense_units=4)
    with zipfile.ZipFile(io.BytesIO(model)) as found:
        config, weights = json.loads(found.read("config.json")), found.read("model.weights.h5")
    codes = [
        {"module": "os", "class_name": "mkdir", "config": {"path": str(marker)}, "registered_name": None},
        {"module": "os", "class_name": "function", "config": "mkdir", "registered_name": "function"},
        {"module": "builtins", "class_name": "exec", "config": {"object": f"__import__('os').mkdir('{marker}')"}},
        {"module": "subprocess", "class_name": "Popen", "config": {"args": ["mkdir", str(marker)]}},
        {"class_name": "__lambda__", "config": {"value": "4wAAAAA="}},
    ]

    @st.composite
    def planted(draw: st.DrawFn) -> bytes:
        changed = json.loads(json.dumps(config))
        layers = changed["config"]["layers"]
        code = draw(st.sampled_from(codes))
        spot = draw(st.integers(0, len(layers) - 1))
        if draw(st.booleans()):
            layers[spot] = code
        else:
            key = draw(st.sampled_from(("activation", "dtype", "kernel_initializer", "kernel_regularizer", "name")))
            layers[spot]["config"][key] = code
        return json.dumps(changed).encode()

    configs = (json_documents(config) | planted()).map(lambda text: repacked(model, {"config.json": text}))
    heavy = damaged(weights).map(lambda content: repacked(model, {"model.weights.h5": content}))

    def check(content: bytes) -> None:
        path.write_bytes(content)
        assert len(read_weights(path, network)) == 8

    with roomy(4 * 2**30):
        fuzzed(".keras", configs | heavy | damaged(model), check)


def test_a_model_with_code_is_refused_and_its_code_never_run(marker: Path, tmp_path: Path) -> None:
    from mnistexp.config.models import ModelConfig
    from mnistexp.training.runtime import start_tensorflow
    from mnistexp.training.saved_model import read_weights

    start_tensorflow()
    import keras

    path, code = tmp_path / "model.keras", f"__import__('os').makedirs({str(marker)!r}, exist_ok=True)"
    run = eval(f"lambda x: (x, {code})[0]")
    layers = [keras.Input((28, 28, 1)), keras.layers.Lambda(run), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(layers).save(path)
    marker.rmdir()  # building it ran it
    keras.models.load_model(path, safe_mode=False)
    marker.rmdir()  # so would reading it, were the mode not safe
    with pytest.raises(MnistexpError, match=r"model.keras"):
        read_weights(path, ModelConfig())


# Command lines


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, copied: Callable[[str], Path]) -> Path:
    """A folder to be in, with a few runs and without TensorFlow: what would train says that it can't."""
    runs_dir = copied("summary").parent
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNISTEXP_RUNS_DIR", raising=False)
    from mnistexp.cli import app

    assert app
    for name in ("tensorflow", "keras", "distributed"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("webbrowser.open", lambda *_: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("atexit.register", lambda *_: None)
    return runs_dir


def say(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[Any, str, str]:
    """The exit code of a command in this process, and what it printed."""
    from mnistexp.cli.app import main
    from mnistexp.runs import standard_error

    monkeypatch.setattr(sys, "argv", ["mnistexp", *arguments])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    standard_error.give_back()
    return (stopped.value.code, *capsys.readouterr())


def test_command_lines(
    fuzzed: Any, bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name for path in bare.parent.parent.iterdir()}
    kept = {path.name: path.read_bytes() for path in bare.glob("*/status.json")}

    def check(arguments: list[str]) -> None:
        code, out, err = say(arguments, monkeypatch, capsys)
        assert code in (0, 1, 2, 3, 4, 5, 130) or (code == 6 and "check" in arguments), code
        assert "Traceback" not in out + err
        assert "(a bug;" not in err or "ModuleNotFoundError" in err or "ImportError" in err
        if code == 2 and err:
            assert err.startswith(("mnistexp: error: ", "Usage", "\x1b")), err[:200]

    fuzzed("command lines", strategies.command_lines(), check)
    assert {path.name for path in bare.parent.parent.iterdir()} == before
    assert kept
