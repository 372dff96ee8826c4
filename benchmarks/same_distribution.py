"""Is a training by this package's loop the same thing as one by Keras' `fit`, with shuffling on?

    python benchmarks/same_distribution.py                       # the assignment's default training, 30 seeds each
    python benchmarks/same_distribution.py --optimizer adam --dropout 0.4 --write-docs

Both sides train on the 800 digits and are validated on the 200; Keras draws its own initial weights, orders and dropout
masks. Compared are the final accuracy and the lowest validation loss of each training.

Keras' seed is left alone: once `keras.utils.set_random_seed` was called, `fit` visits the digits in the same order in
every epoch (each epoch opens its pipeline anew, and the seeded shuffle in it starts over), which is another experiment.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mnistexp import data
from mnistexp.config.models import DataConfig, ExperimentConfig, ModelConfig, TrainingConfig
from mnistexp.config.optimizers import OPTIMIZERS
from mnistexp.training.fitting import Seed, fit
from mnistexp.training.model import build_optimizer
from mnistexp.training.runtime import start_tensorflow

DOCS = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- benchmarks/same_distribution.py writes from here -->", "<!-- to here -->"
Results = NDArray[np.float64]
MEASURES = ("final accuracy", "lowest validation loss")


def ours(config: ExperimentConfig, digits: data.Digits, split: data.Split, seed: int) -> tuple[float, float]:
    (x, y), validation = ((digits.images[rows], digits.labels[rows]) for rows in (split.train, split.test))
    history = fit(config, x, y, validation, Seed(seed)).history
    return history.val_accuracy[-1], min(history.val_loss)


def keras(config: ExperimentConfig, digits: data.Digits, split: data.Split, _: int) -> tuple[float, float]:
    import keras

    layers, shape = keras.layers, config.model
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(shape.filters[0], shape.kernel_size, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(shape.dropout),
            layers.Conv2D(shape.filters[1], shape.kernel_size, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(shape.dense_units, activation="relu"),
            layers.Dropout(shape.dropout),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(build_optimizer(config.optimizer), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, validation_x = (data.as_input(digits.images[rows]) for rows in (split.train, split.test))
    y, validation_y = (digits.labels[rows] for rows in (split.train, split.test))
    training = config.training
    fitted = model.fit(
        x, y, training.batch_size, training.epochs, verbose=0, validation_data=(validation_x, validation_y)
    )
    return fitted.history["val_accuracy"][-1], min(fitted.history["val_loss"])


def table(config: ExperimentConfig, found: dict[str, Results]) -> str:
    """Mean and standard deviation of each side, and what tells them apart."""
    a, b = found["this loop"], found["keras fit"]
    lines = [
        f"{len(a)} trainings by this loop and {len(b)} by Keras' `fit`, {config.training.epochs} epochs, "
        f"{config.optimizer.name}, dropout {config.model.dropout:g}:",
        "",
        "| | this loop | keras fit | difference, 95% interval | Mann-Whitney p | Kolmogorov-Smirnov p |",
        "|---|---|---|---|---|---|",
    ]
    for column, name in enumerate(MEASURES):
        x, y = a[:, column], b[:, column]
        interval = stats.ttest_ind(x, y, equal_var=False).confidence_interval()
        cells = [
            name,
            *(f"{side.mean():.4f} ± {side.std(ddof=1):.4f}" for side in (x, y)),
            f"{x.mean() - y.mean():+.4f} ({interval.low:+.4f} to {interval.high:+.4f})",
            f"{stats.mannwhitneyu(x, y).pvalue:.2f}",
            f"{stats.ks_2samp(x, y).pvalue:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="default: the assignment's SGD")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=30, help="trainings of each side")
    parser.add_argument("--write-docs", action="store_true", help=f"add the table to {DOCS.name}")
    options = parser.parse_args()
    start_tensorflow()
    config = ExperimentConfig(
        model=ModelConfig(dropout=options.dropout), training=TrainingConfig(epochs=options.epochs)
    )
    if options.optimizer:
        config = config.model_copy(update={"optimizer": OPTIMIZERS[options.optimizer].model_validate({})})
    digits = data.load(DataConfig())
    split = data.split(digits, config.data)
    found = {
        name: np.array([side(config, digits, split, seed) for seed in range(options.seeds)])
        for name, side in (("this loop", ours), ("keras fit", keras))
    }
    text = table(config, found)
    print(text)
    if options.write_docs:
        before, _, rest = DOCS.read_text().partition(BEGIN)
        kept, _, after = rest.partition(END)
        tables = [part for part in kept.strip().split("\n\n\n") if part and part.split("\n")[0] != text.split("\n")[0]]
        DOCS.write_text(f"{before}{BEGIN}\n\n" + "\n\n\n".join([*tables, text]) + f"\n\n{END}{after}")


if __name__ == "__main__":
    main()
