"""The digits that the package carries, and those of OpenML.

The package carries 5,000 digits of the MNIST training set, as `tools/build_digits.py` made them: its first 1,000, the
digits of the experiment, and 4,000 others that no split touches. MNIST is by Y. LeCun, C. Cortes and C. Burges and
stands under CC BY-SA 3.0.
"""

import hashlib
import warnings
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnistexp.data.part import Found, RawDigits
from mnistexp.errors import DataError

if TYPE_CHECKING:
    from mnistexp.config.models import DataConfig

EMBEDDED = {
    "first_1000": (
        "2304e0137aea1f236247daacc2dcaf275996895e40c4bb0760c448434d361d1a",
        "b03ead2884240483d956c7feac7a9b39d28685062da0a980bb73d2196dc506b8",
    ),
    "unseen_4000": (
        "449fd8d5fea45e33db916f305e5b28d9340da53f2a73131e1c2ffa1868b54eb0",
        "d01c7486c4db51097633d1ee4ed64fa6391dc94cb5e54318625d2a954ad3aa56",
    ),
}
"""Embedded file to the SHA-256 of its images, uint8 (n, 28, 28), and of its labels, uint8 (n,), bytes in C order."""


def sha256(array: NDArray[Any]) -> str:
    """SHA-256, in hexadecimal, of an array's bytes in C order; shape and dtype are not in it."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def find_named(config: "DataConfig") -> Found | None:
    """The digits of a source that is no file: `embedded`, `unseen` or `openml`; None for any other."""
    if config.source == "embedded":
        return Found("embedded", lambda _: RawDigits(*embedded("first_1000")))
    if config.source == "unseen":
        return Found("embedded", lambda _: RawDigits(*embedded("unseen_4000")))
    if config.source == "openml":
        return Found("openml", lambda _: _openml(config))
    return None


def embedded(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images uint8 (n, 28, 28) and labels uint8 (n,) of one of the `EMBEDDED` files, verified by their SHA-256.

    Raises `DataError` where the file is missing or damaged.
    """
    path = resources.files(__package__) / "digits" / f"{name}.npz"
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            images, labels = archive["images"], archive["labels"]
        intact = (sha256(images), sha256(labels)) == EMBEDDED[name]
    except Exception:  # numpy raises many kinds of errors for a damaged file
        intact = False
    if not intact:
        raise DataError(f"{path}: damaged: not the digits that mnistexp was published with; reinstall mnistexp")
    return images, labels


def _openml(config: "DataConfig") -> RawDigits:
    from sklearn.datasets import fetch_openml

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the retry, which the message below covers
            found = fetch_openml(
                "mnist_784",
                version=1,
                as_frame=False,
                parser="liac-arff",  # with "pandas", scikit-learn up to 1.9 fails on the labels under pandas 3.1
                data_home=config.cache_dir,
                n_retries=1,
                delay=0.1,
            )
        images = found.data.astype(np.int64)
        if not np.array_equal(images, found.data):
            raise ValueError("grey values that are not whole numbers")
        return RawDigits(images, found.target.astype(np.int64))
    except Exception as error:  # of the network, the cache folder, or the parser
        raise DataError(
            f"openml: mnist_784 could not be downloaded: {error or type(error).__name__}. It needs www.openml.org, or "
            "a data.cache_dir that holds an earlier download; data.source 'embedded' needs no network"
        ) from error
