"""What a run folder holds, read by pandas and numpy alone."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

PACKAGE = Path(__file__).parents[2] / "mnistexp"
REPORTED = PACKAGE / "commands" / "assignment" / "reference"


@dataclass(frozen=True)
class Record:
    """A finished run folder. What it lacks is None or empty."""

    path: Path
    predicted: str = "predictions.npz"
    """The file of out-of-fold predictions."""

    def json(self, name: str) -> Any:
        file = self.path / name
        return json.loads(file.read_text("utf-8")) if file.exists() else None

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return self.json("metrics.json") or {}

    @cached_property
    def command(self) -> str:
        return str(self.json("status.json")["command"])

    @cached_property
    def config(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.path / "config.yaml").read_text("utf-8")))

    @cached_property
    def histories(self) -> list[pd.DataFrame]:
        """The curves of every repeat, columns that were not measured left out."""
        others = sorted(self.path.glob("repeats/*/history.csv"), key=lambda file: int(file.parent.name))
        files = [file for file in (self.path / "history.csv", *others) if file.exists()]
        return [pd.read_csv(file).dropna(axis=1, how="all") for file in files]

    def curves(self, field: str) -> np.ndarray:
        """One field of all repeats: float64 (repeats, epochs), NaN where one has no value."""
        columns = [history[field].to_numpy(float) if field in history else np.zeros(0) for history in self.histories]
        found = np.full((len(columns), max(map(len, columns), default=0)), np.nan)
        for row, column in zip(found, columns, strict=True):
            row[: len(column)] = column
        return found

    def mean(self, field: str) -> np.ndarray:
        """The mean of all repeats' curves, NaN where one has no value, over the epochs that all have."""
        shortest = min(map(len, self.histories), default=0)
        return np.mean(self.curves(field), axis=0)[:shortest] if self.histories else np.zeros(0)

    @cached_property
    def tested(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each repeat, the labels of the test digits and the probabilities of its saved network."""
        others = sorted(self.path.glob("repeats/*/predictions.npz"), key=lambda file: int(file.parent.name))
        found = []
        for file in (self.path / "predictions.npz", *others):
            with np.load(file) as arrays:
                found.append((arrays["labels"], arrays["probabilities"]))
        return found

    @property
    def confusions(self) -> list[np.ndarray]:
        """Of each repeat, how often a class (row) was taken for one (column)."""
        return [
            pd.crosstab(pd.Categorical(labels, range(p.shape[1])), pd.Categorical(p.argmax(1), range(p.shape[1])),
                        dropna=False).to_numpy()
            for labels, p in self.tested
        ]  # fmt: skip

    @property
    def test_loss(self) -> float:
        """The saved network's mean cross-entropy of the test digits."""
        labels, p = self.tested[0]
        return float(-np.log(p[np.arange(len(labels)), labels].astype(float)).mean())

    @cached_property
    def trials(self) -> pd.DataFrame:
        return pd.read_csv(self.path / "trials.csv").set_index("trial", drop=False).rename_axis(None)

    def placed(self, numbers: Any) -> np.ndarray:
        """The places of trials in the predictions, which incomplete trials lack."""
        return np.searchsorted(np.sort(self.trials.trial.to_numpy()), numbers)

    @cached_property
    def correct(self) -> np.ndarray:
        """Which out-of-fold predictions are right: bool (trials, repeats, digits)."""
        with np.load(self.path / self.predicted) as arrays:
            return np.asarray(arrays["probabilities"].argmax(-1) == arrays["labels"])

    @cached_property
    def scores(self) -> np.ndarray:
        """What each digit adds to a trial's score, the mean of its folds: (trials, digits); their mean is the score."""
        with np.load(self.path / self.predicted) as arrays:
            held_out = arrays["held_out"].astype(float)
        fits = (held_out / held_out.sum(axis=1, keepdims=True)).reshape(self.correct.shape[1], -1, held_out.shape[1])
        assert (fits > 0).sum(axis=1).all(), "a digit is in no fold"
        weights = fits.sum(axis=1) / fits.sum() * held_out.shape[1]
        return np.asarray((self.correct * weights).sum(axis=1))

    @cached_property
    def predictions(self) -> list[np.ndarray] | None:
        """What each repeat's saved network takes each test digit for: int64 (digits,); None of foreign digits."""
        about = self.json("data.json")
        if not about or about["source"] != "embedded":
            return None
        images = self.digits[0][about["test"]]
        others = sorted(self.path.glob("repeats/*/model.keras"), key=lambda file: int(file.parent.name))
        return [_read(network, images).argmax(1) for network in (self.network, *map(_network, others))]

    @cached_property
    def network(self) -> Any:
        """The saved network, as Keras loads it."""
        return _network(self.path / "model.keras")

    def read_by_model(self, images: np.ndarray) -> np.ndarray:
        """The probabilities (n, classes) of images uint8 (n, 28, 28) by the saved network."""
        return _read(self.network, images)

    @property
    def digits(self) -> tuple[np.ndarray, np.ndarray]:
        """The packaged images and their labels."""
        with np.load(PACKAGE / "data" / "digits" / "first_1000.npz") as arrays:
            return arrays["images"], arrays["labels"]

    @property
    def reported_rows(self) -> pd.DataFrame:
        """The rows of the notebook's grids."""
        return pd.read_csv(REPORTED / "grids.csv")

    @property
    def reported_curves(self) -> pd.DataFrame:
        """The notebook's curves, without the loss that its output has from another run."""
        curves = pd.read_csv(REPORTED / "curves.csv")
        return curves[(curves.run != "sgd_60_epochs") | (curves.epoch < 30)]

    @cached_property
    def labels(self) -> np.ndarray:
        """The correct digits of the test."""
        return np.asarray(self.digits[1][self.json("data.json")["test"]])


def leaves(value: Any, place: str = "") -> dict[str, Any]:
    """The values of a document by dotted key; a list or an empty mapping is one."""
    if not isinstance(value, dict) or not value:
        return {place: value}
    return {key: leaf for name, one in value.items()
            for key, leaf in leaves(one, f"{place}.{name}" if place else str(name)).items()}  # fmt: skip


def _network(model: Path) -> Any:
    from mnistexp.training.runtime import import_keras  # on one thread, or nothing could be trained in this process

    return import_keras().models.load_model(model, compile=False)


def _read(network: Any, images: np.ndarray) -> np.ndarray:
    inputs = images[..., None].astype(np.float32) / np.float32(255)
    return np.asarray(network.predict_on_batch(inputs))
