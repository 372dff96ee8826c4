"""Do the promises about the best model hold over root seeds?

    python benchmarks/seeds.py --seeds 20 --runs-dir /tmp/seeds [--write-docs]

For each root seed the whole of `best`: sweeps, choice, prediction, final training, test and unseen digits. The bars:

1. The final model recognises at least 93.5% of the 4,000 unseen digits.
2. That accuracy lies in the interval that the 200 test digits predict, in at least 9 of 10 seeds.
3. On average the score corrected for the selection is closer to the unseen accuracy than the raw winning score.
4. On average the accuracy predicted for the final model is closer to it than either of these scores.
5. The unseen accuracy lies in the interval of that prediction, in at least 9 of 10 seeds.

A winning score is that of networks trained on two thirds of the training digits; the final model is trained on all
and is slightly better, which may hide the selection bias. So bar 3 is also measured like with like: against the unseen
accuracy of the winner's own networks, one for each fold.

The grids are smaller than the assignment's, 35 trials instead of 93, so that twenty selections take an hour, not three:
the learning rates 0.1 and 1, at which Adam and Nadam fail, are left out, and Adadelta keeps the only rate at which it
learns. Fewer trials flatter the winner less; --whole-grids takes the assignment's own.

If it was stopped, the same call continues: fits, finished runs of `best` (of another version too) and finished seeds,
each a line of `seeds.jsonl`, are kept in the runs folder.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from mnistexp import data
from mnistexp.api import configure
from mnistexp.commands.best.predicted import predict_final
from mnistexp.commands.best.story import run_best
from mnistexp.commands.best.work import Work
from mnistexp.commands.job import unwatched
from mnistexp.config.models import ExperimentConfig
from mnistexp.config.settings import override
from mnistexp.runs import stored_runs
from mnistexp.training import fitting
from mnistexp.training.model import Seed
from mnistexp.training.predicting import predict

DOCS = Path(__file__).parent.parent / "docs" / "seeds.md"
BETAS = {"optimizer.beta_1": [0.5, 0.9], "optimizer.beta_2": [0.8, 0.9, 0.999]}
SMALLER = [
    {"optimizer.name": ["adam"], "optimizer.learning_rate": [0.001, 0.01], **BETAS},
    {"optimizer.name": ["nadam"], "optimizer.learning_rate": [0.001, 0.01], **BETAS},
    {
        "optimizer.name": ["adadelta"],
        "optimizer.learning_rate": [1.0],
        "optimizer.rho": [0.001, 0.01, 0.1, 0.95, 0.99, 1.0],
    },
    {"model.dropout": [0.0, 0.2, 0.4, 0.6, 0.8]},
]
LEAST = 0.935
INTRODUCTION = """\
Written by `benchmarks/seeds.py`: `mnistexp best --unseen`, run once for each root seed, on grids of 35 trials.

`raw` is the highest cross-validation score, `corrected` the same score corrected for selection bias (BBC-CV, see
[statistics](statistics.md#selection-bias)). Both are scores of networks trained on two thirds of the training digits;
`folds, unseen` is the accuracy of these networks on the 4,000 unseen digits. `unseen` is the accuracy of the final
model, which is trained on all training digits; `inside` says whether it is in the interval that the test digits give
for it. `predicted` is the accuracy that `best` predicts for the final model from the training digits alone, by twenty
further fits ([statistics](statistics.md#the-final-model)), with its 95% interval.

The 800 training digits are the same for all seeds. That they are a little easier or harder than the 4,000 unseen ones
moves all three estimates in all rows to the same side, so the rows are not independent of each other.
"""


def configuration(seed: int, *, whole: bool, splits: bool) -> ExperimentConfig:
    changes: dict[str, Any] = {"seed": seed}
    if not whole:
        changes["sweep.grid"] = SMALLER
    if splits:
        changes["data.split_seed"] = seed
    return configure("best", changes, base="best")


def winning(config: ExperimentConfig, params: dict[str, Any]) -> ExperimentConfig:
    """The setting of some parameters, without a sweep section."""
    plain = config.model_copy(update={"sweep": None})
    return override(override(plain, {"optimizer.name": params["optimizer.name"]}), params)


def fold_networks(config: ExperimentConfig, winner: dict[str, Any]) -> float:
    """The mean accuracy on the unseen digits of the networks that the winning score comes from."""
    dataset, unseen = data.Dataset.load(config), data.load_unseen()
    images, labels = dataset.training
    setting = override(winning(config, winner), {"training.validate_every": 0})
    found = []
    for fold, (learn, _) in enumerate(data.folds(labels, config.search, config.seed)):
        weights = fitting.fit(setting, images[learn], labels[learn], None, Seed(config.seed, fold)).weights
        right = predict(setting, weights, unseen.images).argmax(axis=1) == unseen.labels
        found.append(float(right.mean()))
    return statistics.mean(found)


def finished(config: ExperimentConfig, runs_dir: Path) -> dict[str, Any] | None:
    """The metrics of the newest finished `best` of these settings, by whichever version; None if there is none."""
    for info in reversed(stored_runs.list_runs(runs_dir)):
        if info.command == "best" and info.status == "done" and info.config == config:
            return dict(info.metrics or {})
    return None


def measured(metrics: dict[str, Any], folds: float) -> dict[str, Any]:
    """One seed's figures, as shares from 0 to 1; `folds`: of the winner's fold networks on the unseen digits."""
    evidence = metrics["representative"]
    unseen, selection = evidence["unseen"], evidence["selection"]
    return {
        "seed": metrics["seed"],
        "optimizer": metrics["best_params"]["optimizer.name"],
        "dropout": metrics["best_params"]["model.dropout"],
        "test": metrics["test_accuracy"],
        "predicted": unseen["predicted"],
        "unseen": unseen["accuracy"],
        "inside": unseen["holds"],
        "raw": selection["raw"],
        "corrected": selection["corrected"],
        "raw_off": abs(selection["raw"] - unseen["accuracy"]),
        "corrected_off": abs(selection["corrected"] - unseen["accuracy"]),
        "folds": folds,
        "raw_off_folds": abs(selection["raw"] - folds),
        "corrected_off_folds": abs(selection["corrected"] - folds),
    }


def expected(config: ExperimentConfig, metrics: dict[str, Any], runs_dir: Path) -> dict[str, Any]:
    """The prediction for the final model beside its unseen accuracy; made now if the run of `best` had none."""
    found, unseen = metrics["representative"].get("prediction"), metrics["representative"]["unseen"]["accuracy"]
    if found is None:
        setting = winning(config, metrics["best_params"])
        found = predict_final(Work(config, runs_dir), setting, unwatched).document()
    low, high = found["interval"]
    return {
        "expected": found["accuracy"],
        "expected_interval": found["interval"],
        "expected_off": abs(found["accuracy"] - unseen),
        "expected_holds": low <= unseen <= high,
    }


def bars(rows: list[dict[str, Any]]) -> dict[str, Any]:
    inside, holds = (sum(row[key] for row in rows) for key in ("inside", "expected_holds"))
    off = {key: statistics.mean(row[key] for row in rows) for key in rows[0] if "_off" in key}
    return {
        "least_unseen": min(row["unseen"] for row in rows),
        "unseen_holds": all(row["unseen"] >= LEAST for row in rows),
        "inside": inside,
        "inside_holds": inside >= 0.9 * len(rows),
        **off,
        "corrected_is_closer": off["corrected_off"] < off["raw_off"],
        "corrected_is_closer_to_folds": off["corrected_off_folds"] < off["raw_off_folds"],
        "expected_is_closest": off["expected_off"] < min(off["raw_off"], off["corrected_off"]),
        "expected_inside": holds,
        "expected_inside_holds": holds >= 0.9 * len(rows),
    }


def markdown(rows: list[dict[str, Any]], found: dict[str, Any]) -> str:
    lines = [
        "| seed | chosen | test | from the test digits | unseen | inside | raw | corrected | folds, unseen "
        "| predicted | 95% interval | inside |",
        f"|{'---|' * 12}",
    ]
    for row in rows:
        cells = [
            f"{row['seed']}",
            f"{row['optimizer']}, dropout {row['dropout']:g}",
            f"{row['test']:.1%}",
            "{:.1%} to {:.1%}".format(*row["predicted"]),
            f"{row['unseen']:.1%}",
            "yes" if row["inside"] else "no",
            *(f"{row[key]:.1%}" for key in ("raw", "corrected", "folds", "expected")),
            "{:.1%} to {:.1%}".format(*row["expected_interval"]),
            "yes" if row["expected_holds"] else "no",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    marks, off = {True: "holds", False: "does not hold"}, {key: 100 * found[key] for key in found if "_off" in key}
    lines += [
        "",
        f"- Unseen accuracy at least {LEAST:.1%}: {marks[found['unseen_holds']]}, the lowest is "
        f"{found['least_unseen']:.2%}.",
        f"- Inside the interval from the test digits: {marks[found['inside_holds']]}, {found['inside']} of "
        f"{len(rows)}.",
        f"- Corrected closer than raw on average: {marks[found['corrected_is_closer']]}, off by "
        f"{off['corrected_off']:.2f} and {off['raw_off']:.2f} points.",
        f"- The same against the winner's own fold networks: {marks[found['corrected_is_closer_to_folds']]}, off by "
        f"{off['corrected_off_folds']:.2f} and {off['raw_off_folds']:.2f} points.",
        f"- The prediction closer than both on average: {marks[found['expected_is_closest']]}, off by "
        f"{off['expected_off']:.2f} points.",
        f"- Inside the interval of the prediction: {marks[found['expected_inside_holds']]}, "
        f"{found['expected_inside']} of {len(rows)}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="root seeds 0, 1, 2, ...")
    parser.add_argument("--whole-grids", action="store_true", help="the assignment's 93 trials")
    parser.add_argument("--splits", action="store_true", help="split the digits anew for each seed, too")
    parser.add_argument("--finished", action="store_true", help="only the seeds whose `best` is in the runs folder")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--write-docs", action="store_true", help="put the table in docs/seeds.md")
    options = parser.parse_args()
    kept = options.runs_dir / "seeds.jsonl"
    known = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    rows = {row["seed"]: row for row in known}
    for seed in range(options.seeds):
        if "expected" in rows.get(seed, {}):
            continue
        config = configuration(seed, whole=options.whole_grids, splits=options.splits)
        metrics = finished(config, options.runs_dir)
        if metrics is None and options.finished:
            continue
        metrics = metrics or run_best(config, options.runs_dir, predict=True, unseen=True).metrics
        winner = metrics["representative"]["selection"]["winner"]
        row = rows.get(seed) or measured(metrics, fold_networks(config, winner))
        rows[seed] = row | expected(config, metrics, options.runs_dir)
        print(json.dumps(rows[seed]), flush=True)
        with kept.open("a") as file:
            file.write(json.dumps(rows[seed]) + "\n")
    done = [row for _, row in sorted(rows.items()) if "expected" in row]
    text = markdown(done, bars(done))
    print(json.dumps(bars(done)), text, sep="\n")
    if options.write_docs:
        DOCS.write_text(f"# The best model over root seeds\n\n{INTRODUCTION}\n{text}")


if __name__ == "__main__":
    main()
