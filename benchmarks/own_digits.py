"""All of MNIST's size from files: how long reading takes, how much memory a run, and an epoch beside Keras' `fit`.

    python benchmarks/own_digits.py                # prints the table
    python benchmarks/own_digits.py --write-docs   # also puts it into docs/performance.md

The packaged digits are repeated to 60,000 for training and 10,000 for the test, and written as IDX files, gzipped or
not, a CSV and a `.npz`. Each form is read in a process of its own.
"""

import argparse
import gzip
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import HERE, arguments, write_part
from numpy.typing import NDArray

from mnistexp import data
from mnistexp.config.models import DataConfig

SOURCES = {"IDX": "idx", "IDX, gzipped": "gzipped", "CSV": "csv", ".npz": "mnist.npz"}
TRAIN, TEST = 60_000, 10_000
READ = """
import json, resource, sys, time
from mnistexp import data
from mnistexp.config.models import DataConfig
before, cpu = time.perf_counter(), time.process_time()
digits = data.load(DataConfig(source=sys.argv[1], digits={train}, test='own'))
seconds, cpu = time.perf_counter() - before, time.process_time() - cpu
print(json.dumps([len(digits), seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
KERAS = """
import json, sys, time
from keras import optimizers
from keras_train import cnn
from mnistexp import data
from mnistexp.config.models import DataConfig
digits = data.load(DataConfig(source=sys.argv[1], digits={train}))
model = cnn(optimizers.SGD(0.01, momentum=0.9, nesterov=True))
x, y = data.as_input(digits.images), digits.labels
model.fit(x[:640], y[:640], batch_size=32, verbose=0)
seconds = []
for _ in range(2):
    before = time.perf_counter()
    model.fit(x, y, batch_size=32, epochs=1, verbose=0)
    seconds.append(time.perf_counter() - before)
print(json.dumps(seconds))
"""


def repeated(digits: data.Digits, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The digits over and over, as many as asked for."""
    rows = np.arange(count) % len(digits)
    return digits.images[rows], digits.labels[rows]


def write(folder: Path) -> None:
    """Write them in every form of `SOURCES`."""
    parts = {"train": repeated(data.load(DataConfig()), TRAIN), "test": repeated(data.load_unseen(), TEST)}
    places = {name: folder / place for name, place in SOURCES.items()}
    for name in ("IDX", "IDX, gzipped", "CSV"):
        places[name].mkdir()
    for part, (images, labels) in parts.items():
        stem = "t10k" if part == "test" else "train"
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
            content = header + array.astype(np.uint8).tobytes()
            (places["IDX"] / f"{stem}-{kind}").write_bytes(content)
            (places["IDX, gzipped"] / f"{stem}-{kind}.gz").write_bytes(gzip.compress(content, 6))
        header_line = ",".join(["label", *(f"pixel{number}" for number in range(784))])
        rows = np.column_stack([labels, images.reshape(len(images), -1)])
        with (places["CSV"] / f"mnist_{part}.csv").open("w") as file:
            file.write(header_line + "\n")
            for row in rows:
                file.write(",".join(map(str, row.tolist())) + "\n")
    np.savez(folder / "mnist.npz", x_train=parts["train"][0], y_train=parts["train"][1], x_test=parts["test"][0],
             y_test=parts["test"][1])  # fmt: skip


def asked(program: str, source: Path) -> Any:
    """What a program of its own says of a source, as JSON in its last line."""
    command = [sys.executable, "-c", program.format(train=TRAIN), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE)
    return json.loads(done.stdout.splitlines()[-1])


def trained(source: Path, runs: Path) -> tuple[list[float], float]:
    """Seconds of each epoch, and megabytes of memory at most, of the whole command `mnistexp train`."""
    command = [
        sys.executable, "-m", "mnistexp", "train", "--data", str(source), "--set", f"data.digits={TRAIN}", "--set",
        "data.test=own", "--set", "training.validate_every=0", "--epochs", "3", "--runs-dir", str(runs), "--json", "-q",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        document = json.loads(child.stdout.read())
        _, _, used = os.wait4(child.pid, 0)
        child.returncode = 0
    header, *rows = (line.split(",") for line in (Path(document["run_dir"]) / "timings.csv").read_text().splitlines())
    return [float(row[header.index("seconds")]) for row in rows], used.ru_maxrss / 1024


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only-write", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only_write:
        write(given.only_write)
        return
    with tempfile.TemporaryDirectory() as scratch:
        # In a process of its own: children inherit the most memory that this one ever had as theirs.
        subprocess.run([sys.executable, __file__, "--only-write", scratch], check=True)
        sources = {name: Path(scratch) / place for name, place in SOURCES.items()}
        lines = ["| form | seconds to read | seconds of processor | memory, MB |", "|---|---|---|---|"]
        for name, source in sources.items():
            count, seconds, processor, memory = asked(READ, source)
            assert count == TRAIN + TEST
            lines.append(f"| {name} | {seconds:.1f} | {processor:.1f} | {memory:.0f} |")
            print(lines[-1], flush=True)
        epochs, memory = trained(sources["IDX"], Path(scratch) / "runs")
        keras = asked(KERAS, sources["IDX"])
    ours = min(epochs[1:])
    lines += [
        "",
        f"An epoch of {TRAIN:,} digits, 32 at a time, takes {ours:.1f} s here and {min(keras):.1f} s with Keras' `fit` "
        f"({min(keras) / ours:.1f} times as long), the faster of two each; the whole command `mnistexp train` takes "
        f"{memory:,.0f} MB of memory at most.",
    ]
    print(lines[-1])
    if given.write_docs:
        write_part("\n".join(lines))


if __name__ == "__main__":
    main()
