"""What strangers may send: Hypothesis strategies for configurations, command lines, filters and damaged files."""

import copy
import gzip
import io
import json
import os
import pickle
import signal
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from mnistexp.config.catalogue import dotted_keys
from mnistexp.errors import MnistexpError
from mnistexp.runs.conditions import FIELDS

FULL = os.environ.get("FAULTS", "full") != "small"
SEED = int(os.environ.get("FAULTS_SEED", "8"))
CPU_SECONDS = 20.0
"""No single input may take more processor time; the dearest legitimate one takes a second."""

Bytes = st.SearchStrategy[bytes]
Texts = st.SearchStrategy[str]


class TooSlow(BaseException):
    """An input took too long. Not an `Exception`, so that no reader takes it for damage."""


@contextmanager
def bounded(seconds: float = CPU_SECONDS) -> Iterator[None]:
    """Raise `TooSlow` where the block takes more processor time than that; other programs' load doesn't count."""

    def stop(*_: object) -> None:
        raise TooSlow(f"more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the error by which it explains why it can't."""
    try:
        return call()
    except MnistexpError as error:
        if not str(error).strip():
            raise AssertionError("an error without a word") from error
        return error


def amount(full: int) -> int:
    """How many inputs to generate: all in the full battery, a thirtieth in the small one."""
    return full if FULL else max(8, full // 30)


def fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], object], full: int) -> tuple[int, int]:
    """Have `check` meet generated inputs, each within bounded time; returns how many, and how many were refused.

    A `MnistexpError` with a message is a right answer, any other exception a finding, which Hypothesis makes small.
    """
    count = refused = 0

    @seed(SEED)
    @settings(max_examples=amount(full), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def one(value: Any) -> None:
        nonlocal count, refused
        count += 1
        with bounded():
            refused += isinstance(outcome(lambda: check(value)), MnistexpError)

    one()
    return count, refused


# Code that runs where it is let in: each makes a folder called `marker`.


class _Planted:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def pickled(marker: Path) -> bytes:
    """A pickle that makes the folder `marker` when it is loaded."""
    return pickle.dumps(_Planted(marker))


def pickled_array(marker: Path) -> bytes:
    """A `.npy` file with an object that makes the folder `marker` when it is unpickled."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([_Planted(marker)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def yaml_code(marker: Path) -> list[str]:
    """YAML tags that run code in a loader that isn't safe."""
    return [
        f"!!python/object/apply:os.mkdir ['{marker}']",
        f"!!python/object/new:os.mkdir ['{marker}']",
        f"!!python/object/apply:os.system ['mkdir {marker}']",
        "!!python/name:os.system ",
        "!!python/module:os ",
        "!!python/tuple [1, 2]",
    ]


# Text.

NASTY_TEXTS = (
    "", " ", "\t", "\x00", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\r", "\n", "\u202e", "\ud800", "\U0001f600",
    "<script>window.hacked = 1</script>", "'; --", '"', "\\", "%s", "{}", "../..", "/", "~", "-", "--", "=", "*", "[b]",
    "x" * 300, "9" * 5000, "1e999", "-1e-999", "nan", ".inf", "null", "0x10", "1_000", "2026-11-24", "True",
)  # fmt: skip
NASTY_NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e-320, 1.7e308, float("nan"), float("inf"))
nasty_values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False, [], {}, [[]], {"": None}, [None] * 50, *NASTY_TEXTS, *NASTY_NUMBERS]),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers() | st.text(max_size=5), max_size=4),
)


def joined(tokens: list[str], most: int = 25) -> Texts:
    """Tokens one after the other."""
    return st.lists(st.sampled_from(tokens), max_size=most).map("".join)


def damaged(content: bytes, tokens: tuple[bytes, ...] = (b"", b"\x00", b"\xff" * 4, b"{", b"\n", b"1e999")) -> Bytes:
    """The content as it is, cut off, or with some of its bytes changed, doubled or replaced by tokens."""
    return _spoilt(content, tokens) | st.binary(max_size=60)


@st.composite
def _spoilt(draw: st.DrawFn, content: bytes, tokens: tuple[bytes, ...]) -> bytes:
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from((0, 1, 4, 64, len(content)))))
        kind = draw(st.sampled_from(("replace", "double", "cut")))
        part = draw(st.sampled_from(tokens) | st.binary(max_size=8)) if kind == "replace" else content[start:end] * 2
        content = content[:start] if kind == "cut" else content[:start] + part + content[end:]
    return content


# Configurations.


def yaml_texts(marker: Path) -> Texts:
    """Configurations: sound ones, wrong ones, and what only looks like YAML."""
    syntax = [
        "a", "b: ", ": ", "- ", "\n", "\n", "\n  ", "\n    ", "\t", "&x ", "*x", "<<: ", "? ", "{", "}", "[", "]", ", ",
        "|\n", ">\n", "'", '"', "\\", "#", "---\n", "...\n", "%YAML 9.9\n", "!!binary ", "!!float ", "!!timestamp ",
        "!!set ", "!!omap ", "!x ", "@", "`", "\ufeff", "\u2028", "\x85", "\x07", "[" * 40, "{a: " * 40, "&x [*x, *x]",
    ]  # fmt: skip
    keys = [f"{part}: " for key in dotted_keys() for part in key.split(".")]
    tokens = [*syntax, *syntax, *keys, *NASTY_TEXTS, *map(str, NASTY_NUMBERS), *yaml_code(marker)]
    return joined(tokens) | _sections(marker)


@st.composite
def _sections(draw: st.DrawFn, marker: Path) -> str:
    """Real keys with any value, indented as they should be."""
    lines: list[str] = []
    code = st.sampled_from(yaml_code(marker))
    value = nasty_values.map(lambda found: json.dumps(found, default=str)) | st.sampled_from(NASTY_TEXTS) | code
    for key in draw(st.lists(st.sampled_from(sorted(dotted_keys())), max_size=5)):
        *sections, name = key.split(".")
        lines += [f"{'  ' * depth}{section}:" for depth, section in enumerate(sections)]
        lines.append(f"{'  ' * len(sections)}{name}: {draw(value)}")
    return "\n".join(lines)


def assignments(marker: Path) -> Texts:
    """What may follow `--set`."""
    key = st.sampled_from(sorted(dotted_keys())) | st.sampled_from(NASTY_TEXTS) | st.text(max_size=8)
    value = nasty_values.map(lambda found: json.dumps(found, default=str)) | yaml_texts(marker)
    return st.builds("{}={}".format, key, value) | st.text(max_size=10)


# Questions to the runs that are stored.


def conditions() -> Texts:
    """What may follow `--where`: sentences of its language, and heaps of its words."""
    keys = [*FIELDS, "test_accuracy", "optimizer.name", "training.epochs", "model.filters", "warnings", "nothing"]
    values = ["train", "done", "0.9", "-6h", "2026-11-24", "2026-11-24T08:30", "9999-12-31", "0001-01-01", "-9w"]
    values += ["1e5", "nan", "inf", '"a b"', "'\\''", *NASTY_TEXTS]
    operators = ["=", "!=", "<", "<=", ">", ">=", "~"]
    part = st.builds("{}{}{}".format, *map(st.sampled_from, (keys, operators, values)))
    sentence = st.recursive(
        part,
        lambda inner: st.one_of(
            st.builds("{} and {}".format, inner, inner),
            st.builds("{} or {}".format, inner, inner),
            inner.map("({})".format),
            inner.map("not {}".format),
        ),
        max_leaves=6,
    )
    words = [*keys, *operators, *values, "and ", " or ", "not ", "(", ")", " ", "(" * 60, "not " * 60, "!"]
    return sentence | joined(words) | st.text(max_size=30)


references = st.sampled_from(
    ["latest", "1", "2", "1:2", "0", "9:1", ":", "2026", "99999999999", "..", ".", "/", "/proc/1", "~", *NASTY_TEXTS]
) | st.text(max_size=12)
orders = joined(["-", ",", "started", "test_accuracy", "tag", "note", "error", "nothing", " ", *NASTY_TEXTS], 6)


# Files of runs.


def json_documents(document: dict[str, Any]) -> Bytes:
    """A JSON document with values that it shouldn't have, or damaged as text."""
    return _changed(document).flatmap(damaged) | _changed(document)


@st.composite
def _changed(draw: st.DrawFn, document: dict[str, Any]) -> bytes:
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 4))):
        place, key = draw(st.sampled_from(list(_places(found)) or [(found, "new")]))
        kind = draw(st.sampled_from(("change", "change", "remove", "add")))
        # Copies: what is drawn may be drawn again, and would come as it was changed here.
        if kind == "change":
            place[key] = copy.deepcopy(draw(nasty_values))
        elif kind == "remove":
            place.pop(key, None) if isinstance(place, dict) else place.pop(key)
        elif isinstance(place, dict):
            place[draw(st.text(max_size=5))] = copy.deepcopy(draw(nasty_values))
    text = json.dumps(found)
    return draw(st.sampled_from((text, text, text, text.replace(": ", ": " + "[" * 5000, 1)))).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a document with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(min(len(value), 20)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def npz_files(marker: Path) -> Bytes:
    """`.npz` files: of digits, of anything else, with pickles, with wrong sizes, cut off."""
    good = {"images": np.zeros((30, 28, 28), np.uint8), "labels": (np.arange(30) % 10).astype(np.uint8)}
    good["images"][:, 10:20, 10:20] = 200
    buffer = io.BytesIO()
    np.savez(buffer, **good)
    sound, parts = buffer.getvalue(), {name: npy(array) for name, array in good.items()}
    member = st.one_of(
        st.sampled_from([*parts.values(), pickled_array(marker), pickled(marker), b""]),
        npy_files(marker),
        st.binary(max_size=40),
    )
    names = st.sampled_from(("images", "labels", "x_train", "y_train", "data", "target", "IMAGES", "../x", "\x1b"))
    return damaged(sound) | st.lists(st.tuples(names, member), max_size=3).map(zipped)


def zipped(members: list[tuple[str, bytes]]) -> bytes:
    """A zip archive; the same name may be in it twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in dict(members).items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    """An array as the bytes of a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_files(marker: Path) -> Bytes:
    """`.npy` files with any header: shapes and types that don't fit what follows."""
    shapes = ["(28, 28)", "(2, 28, 28)", "()", "(-1,)", "(0, 28, 28)", "(10**9,)", "(99999999999, 28, 28)", "None", "1"]
    types = ["'|u1'", "'<f8'", "'|O'", "'<c16'", "'<M8[s]'", "'|S5'", "[('a', '<f4')]", "'<f2'", "'x'", "None", "'>i8'"]
    header = st.builds(
        "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}".format,
        st.sampled_from(types),
        st.sampled_from(("False", "True", "7")),
        st.sampled_from(shapes),
    ) | st.sampled_from(["{", "__import__('os').mkdir('x')", "[" * 3000, "{'descr': 1}", "0" * 5000])
    body = st.sampled_from((b"", b"\x80" * 784, bytes(range(256)) * 30, pickled(marker)))
    version = st.sampled_from(((1, 0), (2, 0), (3, 0), (9, 9)))
    sound = npy(np.eye(28, dtype=np.uint8) * 255)
    return st.builds(_headed, version, header, body) | damaged(sound) | st.just(pickled_array(marker))


def _headed(version: tuple[int, int], header: str, body: bytes) -> bytes:
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header) + 1)
    return np.lib.format.MAGIC_PREFIX + bytes(version) + length + header.encode() + b"\n" + body


def idx_files(dimensions: int) -> Bytes:
    """IDX files, gzipped or not, of any magic number and any shape."""
    sizes = st.sampled_from((0, 1, 28, 30, 255, 2**31, 2**32 - 1))
    magic = st.sampled_from((0x0800 + dimensions, 0x0801, 0x0803, 0x0D03, 0, 0x1F8B0800))
    shape = st.tuples(*[sizes] * dimensions) | st.just((30, 28, 28)[:dimensions])
    values = np.tile(np.arange(10, dtype=np.uint8), 3) if dimensions == 1 else np.full(30 * 784, 99, np.uint8)
    body = st.sampled_from((b"", b"\x01", values.tobytes()))
    plain = st.builds(lambda m, s, b: struct.pack(f">{1 + dimensions}I", m, *s) + b, magic, shape, body)
    return plain | plain.map(lambda content: gzip.compress(content, 1)) | plain.flatmap(damaged)


def pictures() -> Bytes:
    """PNG and JPEG files of every kind, with damage; a PNG's sums are made right again now and then."""
    from PIL import Image

    grey = np.zeros((28, 28), np.uint8)
    grey[6:22, 12:16] = 255
    sound = []
    for mode in ("L", "1", "P", "RGB", "RGBA", "LA", "I;16", "CMYK"):
        image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
        for kind in ("PNG", "JPEG"):
            buffer = io.BytesIO()
            try:
                image.save(buffer, kind)
            except (OSError, KeyError):
                continue  # not a mode of this format
            sound.append(buffer.getvalue())
    tokens = (b"IHDR", b"IDAT", b"tRNS", b"eXIf", b"acTL", b"\xff\xd8", b"\xff\xc2", b"\xff\xdb", b"\xff" * 4)
    return st.sampled_from(sound).flatmap(lambda content: damaged(content, tokens)) | st.sampled_from(sound).flatmap(
        _other_size
    )


@st.composite
def _other_size(draw: st.DrawFn, content: bytes) -> bytes:
    """A PNG whose header says another size, depth or colour, its sum made right; a JPEG stays as it is."""
    import zlib

    if content[12:16] != b"IHDR":
        return content
    side = st.sampled_from((0, 1, 28, 5000, 100_000, 2**31 - 1, 2**32 - 1))
    header = struct.pack(">II", draw(side), draw(side)) + bytes(
        draw(st.sampled_from(((8, 0), (16, 6), (1, 3), (3, 9))))
    )
    header += content[26:29]
    return content[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + content[33:]


# Command lines


TRAINS = {"train", "sweep-optimizer", "sweep-dropout", "best", "reproduce"}
WAITS = {"watch": "--once", "serve": "--port=x", "doctor": "--help", "verify": "--runs-dir=nothing"}
"""What a command gets besides, so that it doesn't train, wait, or time the machine."""


def command_lines() -> st.SearchStrategy[list[str]]:
    """Every command with options of its own and of others, and values that fit, or don't."""
    from typer.main import get_command

    from mnistexp.cli.app import app

    return st.one_of([_line(path, command) for path, command in _commands((), get_command(app))])


def _commands(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands((*path, name), inner)


def _line(path: tuple[str, ...], command: Any) -> st.SearchStrategy[list[str]]:
    name = path[0] if path else ""
    first = ["--dry-run"] if name in TRAINS else [WAITS[name]] if name in WAITS else []
    own = [flag for each in command.params for flag in (*each.opts, *each.secondary_opts) if flag.startswith("-")]
    safe = [text for text in NASTY_TEXTS if not {"/", "~", ".."} & {text, text[:2]}]
    values = [*safe, "latest", "1", "1:2", "3", "-1", "1e9", "train", "adam", "x.yaml", "out.png", "csv", "zip", "best"]
    value = st.sampled_from([text for text in values if "\x00" not in text]) | st.text(
        "ab1.,:=-[]{}' \x1b\u00e9", max_size=8
    )
    flag = st.sampled_from([*own, "--nothing", "-x", "--", "--json"])
    part = st.one_of(
        flag.map(lambda found: [found]), st.tuples(flag, value).map(list), value.map(lambda found: [found])
    )
    return st.lists(part, max_size=4).map(lambda parts: [*path, *first, *(text for found in parts for text in found)])
