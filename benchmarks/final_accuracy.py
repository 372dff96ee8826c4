"""How near does a prediction of the final model's accuracy come, in simulated sweeps? No network is trained.

    python benchmarks/final_accuracy.py [--samples 40]

In each sample of 800 digits, over 20 root seeds: 35 settings, 25 of them of about one quality, are scored in three
folds, and the best is chosen. Its accuracy after a training on all digits, on 4,000 others, is compared with the raw
score, with the score that BBC-CV corrects, and with `final_accuracy` of one to three repeats of ten folds.

Digits are hard or easy for all networks alike: what two networks get wrong correlates by 0.67, as it does in the sweeps
of the assignment. `spread`: the standard deviation of the networks' true accuracies between seeds, in points. Errors
fall as the number of digits to the power -`rate`.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mnistexp.statistics import bbc_cv, final_accuracy

DIGITS, UNSEEN, SEEDS, FOLDS = 800, 4000, 20, 10
SHARED = 0.92
"""The share of a digit's difficulty that is the same for all networks."""
Floats = NDArray[np.float64]


class Sample:
    """800 digits, and the true accuracies of 35 settings trained on all of them."""

    def __init__(self, rng: np.random.Generator, spread: float, rate: float) -> None:
        self.rng, self.spread, self.rate = rng, spread, rate
        self.ease = np.sqrt(SHARED) * rng.standard_normal(DIGITS)
        good, others = rng.normal(0.943, 0.004, 25), rng.normal(0.925, 0.01, 10)
        self.accuracies = np.concatenate([good, others]).clip(0.85, 0.965)

    def trained(self, accuracies: Floats, share: float) -> Floats:
        """How able networks are that were trained on a share of the digits, each with a seed of its own."""
        ability = stats.norm.ppf(1 - (1 - accuracies) * share**-self.rate)
        moved: Floats = ability + self.spread / stats.norm.pdf(ability) * self.rng.standard_normal(np.shape(accuracies))
        return moved

    def right(self, ability: Floats, digits: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which digits networks get right: bool (networks, digits)."""
        noise = np.sqrt(1 - SHARED) * self.rng.standard_normal((len(ability), len(digits)))
        found: NDArray[np.bool_] = self.ease[digits] + noise < ability[:, None]
        return found

    def errors(self) -> list[float]:
        """How far the raw and the corrected score, and the predictions, are from the unseen accuracy, for one seed."""
        thirds = np.array_split(np.arange(DIGITS), 3)
        correct = np.hstack([self.right(self.trained(self.accuracies, 2 / 3), third) for third in thirds])
        found = bbc_cv(correct, resamples=300)
        winner = self.accuracies[found.winner]
        scores = np.array([list(self.repeat(winner)) for _ in range(3)])
        final = stats.norm.cdf(self.trained(np.array([winner]), 1.0)[0])
        unseen = self.rng.binomial(UNSEEN, final) / UNSEEN
        predicted = [final_accuracy(scores[:repeats]).accuracy for repeats in (1, 2, 3)]
        return [abs(one - unseen) for one in (found.raw, found.corrected, *predicted)]

    def repeat(self, accuracy: float) -> Iterator[float]:
        """The scores of ten folds."""
        for fold in np.array_split(self.rng.permutation(DIGITS), FOLDS):
            yield float(self.right(self.trained(np.array([accuracy]), 1 - 1 / FOLDS), fold).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=40, help="samples of 800 digits")
    samples = parser.parse_args().samples
    print("Average error in points of: raw, corrected, predicted by 1, 2 and 3 repeats; closest in how many samples")
    for spread, rate in ((0.003, 1 / 3), (0.006, 1 / 3), (0.003, 0.2), (0.003, 0.5)):
        rng = np.random.default_rng(0)
        means = np.array(
            [np.mean([sample.errors() for _ in range(SEEDS)], axis=0)
             for sample in (Sample(rng, spread, rate) for _ in range(samples))]
        )  # fmt: skip
        told = " ".join(f"{100 * error:.2f}" for error in means.mean(axis=0))
        closest = " ".join(f"{(means[:, at] < means[:, :2].min(axis=1)).mean():.0%}" for at in (2, 3, 4))
        print(f"spread {100 * spread:.1f}, rate {rate:.2f}: {told}; {closest}", flush=True)


if __name__ == "__main__":
    main()
