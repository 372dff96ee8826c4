"""Is a training by this package's loop the same thing as one by Keras' `fit`, with shuffling on?

    python benchmarks/same_distribution.py                       # the assignment's default training, 30 of each side
    python benchmarks/same_distribution.py --optimizer adam --dropout 0.4 --write-docs

Both sides train on the 800 digits and are validated on the 200; Keras draws its own initial weights, orders and dropout
masks. Compared are the lowest validation loss, the final accuracy on the 200, and that on 4,000 digits that no split
touches, which varies a fifth as much by chance. The sides take turns. Each training is kept in
`benchmarks/results/same_distribution.jsonl` at once: if stopped, the same call continues; without the file it begins
anew.

Keras' seed is left alone: once `keras.utils.set_random_seed` was called, `fit` visits the digits in the same order in
every epoch (each epoch opens its pipeline anew, and the seeded shuffle in it starts over), which is another experiment.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from keras_train import cnn
from measuring import HERE, arguments, write_part
from numpy.typing import NDArray
from scipy import stats

from mnistexp import data
from mnistexp.config.models import ExperimentConfig, ModelConfig, TrainingConfig
from mnistexp.config.optimizers import OPTIMIZERS
from mnistexp.training.fitting import fit
from mnistexp.training.model import Seed, build_optimizer
from mnistexp.training.predicting import evaluate
from mnistexp.training.runtime import start_tensorflow

KEPT = HERE / "results" / "same_distribution.jsonl"
OURS, KERAS = "this loop", "keras fit"
MEASURES = ("final accuracy, 200 digits", "lowest validation loss", "final accuracy, 4,000 unseen digits")


Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Parts(NamedTuple):
    """Images uint8 (n, 28, 28) and labels (n,) of each part."""

    train: Digits
    test: Digits
    unseen: Digits


def load(config: ExperimentConfig) -> Parts:
    digits, unseen = data.load(config.data), data.load_unseen()
    split = data.split(digits, config.data)
    train, test = ((digits.images[rows], digits.labels[rows]) for rows in (split.train, split.test))
    return Parts(train, test, (unseen.images, unseen.labels))


def ours(config: ExperimentConfig, parts: Parts, seed: int) -> list[float]:
    """The measures of one training by this package."""
    fitted = fit(config, *parts.train, parts.test, Seed(seed))
    history = fitted.history
    return [history.val_accuracy[-1], min(history.val_loss), evaluate(config, fitted.weights, *parts.unseen)[1]]


def keras(config: ExperimentConfig, parts: Parts, _: int) -> list[float]:
    """The measures of one training by Keras."""
    model = cnn(build_optimizer(config.optimizer), config.model.dropout)
    (x, y), test, unseen = ((data.as_input(images), labels) for images, labels in parts)
    training = config.training
    fitted = model.fit(x, y, training.batch_size, training.epochs, verbose=0, validation_data=test)
    history = fitted.history
    return [history["val_accuracy"][-1], min(history["val_loss"]), model.evaluate(*unseen, verbose=0)[1]]


def measured(config: ExperimentConfig, name: str, trainings: int) -> dict[str, NDArray[np.float64]]:
    """The measures (trainings, 3) of each side, trained where the file of results lacks them."""
    KEPT.parent.mkdir(exist_ok=True)
    kept = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    known = {(row["side"], row["seed"]): row["measures"] for row in kept if row["training"] == name}
    parts = load(config)
    for seed in range(trainings):
        for side, train in ((OURS, ours), (KERAS, keras)):
            if (side, seed) not in known:
                known[side, seed] = train(config, parts, seed)
                row = {"training": name, "side": side, "seed": seed, "measures": known[side, seed]}
                with KEPT.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    return {side: np.array([known[side, seed] for seed in range(trainings)]) for side in (OURS, KERAS)}


def table(name: str, found: Mapping[str, NDArray[np.float64]]) -> str:
    """Mean and standard deviation of each side, and what tells them apart."""
    a, b = found[OURS], found[KERAS]
    lines = [
        f"{len(a)} trainings by this loop and {len(b)} by Keras' `fit`, {name}:",
        "",
        f"| | {OURS} | {KERAS} | difference, 95% interval | Mann-Whitney p | Kolmogorov-Smirnov p |",
        "|---|---|---|---|---|---|",
    ]
    for measure, x, y in zip(MEASURES, a.T, b.T, strict=True):
        interval = stats.ttest_ind(x, y, equal_var=False).confidence_interval()
        cells = [
            measure,
            *(f"{side.mean():.4f} ± {side.std(ddof=1):.4f}" for side in (x, y)),
            f"{x.mean() - y.mean():+.4f} ({interval.low:+.4f} to {interval.high:+.4f})",
            f"{stats.mannwhitneyu(x, y).pvalue:.2f}",
            f"{stats.ks_2samp(x, y).pvalue:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="default: the assignment's SGD")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=30, help="trainings of each side (default 30)")
    options = parser.parse_args()
    start_tensorflow()
    config = ExperimentConfig(
        model=ModelConfig(dropout=options.dropout), training=TrainingConfig(epochs=options.epochs)
    )
    if options.optimizer:
        config = config.model_copy(update={"optimizer": OPTIMIZERS[options.optimizer].model_validate({})})
    name = f"{config.training.epochs} epochs, {config.optimizer.name}, dropout {config.model.dropout:g}"
    text = table(name, measured(config, name, options.seeds))
    print(text)
    if options.write_docs:
        write_part(text)


if __name__ == "__main__":
    main()
