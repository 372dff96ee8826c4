"""Whole processes, from start to end: `train` against a Keras script, sweeps against `GridSearchCV`, `reproduce`.

    python benchmarks/whole.py                       # everything, about 35 minutes on 2 quiet cores
    python benchmarks/whole.py --parts train sweep   # only these tables
    python benchmarks/whole.py --write-docs          # also into docs/performance.md

Both sides of a table are programs of their own, run in turn. `train` and `keras_train.py` read and split the digits,
train with validation in every epoch, save model and curves, and draw loss, accuracy and confusion matrix as PNG and
SVG. `sweep-optimizer` and `keras_grid_search.py` do the same 12 fits; ours has its run folder and figures. The
assignment's 279 fits are compared with the time of `GridSearchCV` for 12, measured right before and after them, times
279 / 12. The cache of compiled kernels is filled by a run before the first round; fits are never taken from a cache.
Each measurement is kept in `benchmarks/results/whole.jsonl` at once: if stopped, the same call continues at the same
commit, and with more `--rounds` it measures only the further ones.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from keras_grid_search import FITS, RATES
from measuring import HERE, Cost, Kept, arguments, in_turn, machine, medians, timed, write_part

from mnistexp import data
from mnistexp.config.models import DataConfig

KERAS, OURS, GRID_SEARCH = "Keras script", "mnistexp", "`GridSearchCV(n_jobs=-1)`"
BEFORE, AFTER = f"{GRID_SEARCH} before", f"{GRID_SEARCH} after"
PARTS = ("train", "sweep", "reproduce")
ASSIGNMENT = 279
NO_CACHE = ("--set", "sweep.cache=false")


class Sides:
    """The programs, whose files go into one temporary folder."""

    def __init__(self, folder: Path) -> None:
        digits = data.load(DataConfig())
        self.folder, self.digits = folder, folder / "digits.npz"
        np.savez(self.digits, images=digits.images, labels=digits.labels)
        self.ours("train", "--epochs=1")

    def ours(self, *words: str) -> Cost:
        """A command of ours, in a new folder of runs."""
        command = [sys.executable, "-m", "mnistexp", *words, "-q", f"--runs-dir={self.new()}"]
        return timed(command, MNISTEXP_CACHE_DIR=str(self.folder / "cache"))

    def keras(self, epochs: int) -> Cost:
        """The Keras script, which writes into a new folder."""
        return self.script("keras_train.py", epochs, self.new())

    def script(self, name: str, *words: object) -> Cost:
        """A script beside this one."""
        return timed([sys.executable, str(HERE / name), *map(str, words)], TF_CPP_MIN_LOG_LEVEL="3")

    def grid_search(self) -> Cost:
        """12 fits by scikit-learn."""
        return self.script("keras_grid_search.py", 50, self.digits)

    def new(self) -> Path:
        """A new folder beside the digits."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def assignment(self) -> Cost:
        """Its 279 fits: three optimizers, then dropout."""
        optimizers = ("--opt=adam", "--opt=nadam", "--opt=adadelta")
        first = self.ours("sweep-optimizer", *optimizers, *NO_CACHE)
        return Cost(*(a + b for a, b in zip(first, self.ours("sweep-dropout", *NO_CACHE), strict=True)))


Found = Mapping[str, Cost]
"""The medians of each side, by its name."""


def short_sides(sides: Sides, parts: Sequence[str], all_epochs: Sequence[int]) -> dict[str, Callable[[], Cost]]:
    """The sides that take turns, by name."""
    found: dict[str, Callable[[], Cost]] = {}
    for epochs in all_epochs if "train" in parts else ():
        found[f"{OURS} {epochs}"] = partial(sides.ours, "train", f"--epochs={epochs}")
        found[f"{KERAS} {epochs}"] = partial(sides.keras, epochs)
    if "sweep" in parts:
        grid = {"optimizer.name": ["adam"], "optimizer.learning_rate": RATES}
        words = ["sweep-optimizer", "--set", f"sweep.grid={json.dumps(grid)}", "--epochs=50", *NO_CACHE]
        found[f"{OURS} sweep"] = partial(sides.ours, *words)
        found[GRID_SEARCH] = sides.grid_search
    return found


def _kept(sides: Mapping[str, Callable[[], Cost]]) -> dict[str, Callable[[], Cost]]:
    kept = Kept("whole.jsonl")
    return {name: kept.of(name, measure) for name, measure in sides.items()}


def train(found: Found, all_epochs: Sequence[int]) -> Iterator[str]:
    """The table of `train` at several lengths."""
    yield f"| epochs | `{OURS} train`, s | {KERAS}, s | times faster | CPU seconds | times less CPU |"
    yield "|---:|---:|---:|---:|---|---:|"
    for epochs in all_epochs:
        yield row(str(epochs), found[f"{OURS} {epochs}"], found[f"{KERAS} {epochs}"])


def sweep(found: Found) -> Iterator[str]:
    """The table of sweeps: 12 fits, and where they were measured the assignment's."""
    yield f"| fits of 50 epochs | {OURS}, s | {GRID_SEARCH}, s | times faster | CPU seconds | times less CPU |"
    yield "|---|---:|---:|---:|---|---:|"
    theirs = found[GRID_SEARCH]
    yield row(str(FITS), found[f"{OURS} sweep"], theirs)
    if ours := found.get("assignment"):
        scaled = Cost(*(ASSIGNMENT / FITS * value for value in medians([found[BEFORE], found[AFTER]])))
        yield row(f"{ASSIGNMENT}; `GridSearchCV` by its time for {FITS}", ours, scaled)


def row(first: str, ours: Cost, theirs: Cost) -> str:
    """One line of a table: both sides, and the ratios of their medians."""
    cells = [first, f"{ours.wall:.1f}", f"{theirs.wall:.1f}", f"{theirs.wall / ours.wall:.2f}"]
    return f"| {' | '.join(cells)} | {ours.cpu:.1f} and {theirs.cpu:.1f} | {theirs.cpu / ours.cpu:.2f} |"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 20, 150], help="of `train` (default 1 20 150)")
    parser.add_argument("--rounds", type=int, default=5, help="of `train` and of 12 fits (default 5)")
    parser.add_argument(
        "--long-rounds", type=int, default=1, help="of 279 fits and of `reproduce` (default 1; 0 for none)"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(Path(folder))
        short = short_sides(sides, given.parts, given.epochs)
        long: dict[str, Callable[[], Cost]] = {}
        if "sweep" in given.parts:
            long = {BEFORE: sides.grid_search, "assignment": sides.assignment, AFTER: sides.grid_search}
        if "reproduce" in given.parts:
            long["reproduce"] = partial(sides.ours, "reproduce")
        costs = in_turn(_kept(short), given.rounds) | in_turn(_kept(long), given.long_rounds)
    found = {name: medians(measured) for name, measured in costs.items() if measured}
    texts = [f"Machine: {machine()}. Medians of {given.rounds} rounds in turn."]
    if "train" in given.parts:
        texts.append("\n".join(train(found, given.epochs)))
    if "sweep" in given.parts:
        texts.append("\n".join(sweep(found)))
    if cost := found.get("reproduce"):
        texts.append(f"`{OURS} reproduce`: {cost.wall / 60:.1f} minutes, {cost.cpu / 60:.1f} of CPU time.")
    text = "\n\n".join(texts)
    print(text)
    if given.write_docs:
        write_part(text)


if __name__ == "__main__":
    main()
