"""The training as a person writes it with Keras, scikit-learn and matplotlib: `python keras_train.py EPOCHS FOLDER`.

Reads the digits from `FOLDER/../digits.npz`; writes model, history and figures into FOLDER.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["cnn"]


def cnn(optimizer: Any, dropout: float = 0.0) -> Any:
    """The assignment's network, compiled."""
    import keras

    layers = keras.layers
    dropouts = [[layers.Dropout(dropout)] if dropout else [] for _ in range(2)]
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            *dropouts[0],
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            *dropouts[1],
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(epochs: int, folder: Path) -> None:
    import keras
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from sklearn.metrics import ConfusionMatrixDisplay
    from sklearn.model_selection import train_test_split

    stored = np.load(folder.parent / "digits.npz")
    x, y = stored["images"][..., np.newaxis] / np.float32(255), stored["labels"]
    x, test_x, y, test_y = train_test_split(x, y, test_size=0.2, random_state=1)
    rate = keras.optimizers.schedules.InverseTimeDecay(0.01, decay_steps=1, decay_rate=1e-6)
    model = cnn(keras.optimizers.SGD(rate, momentum=0.9, nesterov=True))
    validation = test_x, test_y
    history = model.fit(x, y, batch_size=32, epochs=epochs, validation_data=validation, verbose=0).history
    print(model.evaluate(test_x, test_y, verbose=0))
    model.save(folder / "model.keras")
    np.savetxt(folder / "history.csv", np.array([*history.values()]).T, delimiter=",")
    for name in ("loss", "accuracy"):
        figure, axes = pyplot.subplots()
        axes.plot(history[name], label="training")
        axes.plot(history[f"val_{name}"], label="validation")
        axes.legend()
        save(figure, folder / name)
    predicted = model.predict(test_x, verbose=0).argmax(axis=1)
    save(ConfusionMatrixDisplay.from_predictions(test_y, predicted).figure_, folder / "confusion")


def save(figure: Any, path: Path) -> None:
    """As our own figures: PNG of 150 dots an inch, and SVG."""
    figure.savefig(path.with_suffix(".png"), dpi=150)
    figure.savefig(path.with_suffix(".svg"))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
