"""Search strategies of a sweep: all points of the grid, successive halving, or TPE by Optuna.

A search is a generator: it yields a generation of trials and is sent their mean scores, NaN for a failed one, until it
ends. The next trials depend on whole generations only, not on the number of workers or their speed.
"""

import math
from collections.abc import Callable, Generator, Sequence
from itertools import zip_longest
from typing import Any

from mnistexp.config.grids import Range
from mnistexp.config.models import ExperimentConfig, SweepConfig
from mnistexp.errors import BadInput
from mnistexp.sweeps.space import Params, Point, Trial, base_points, count_points, draws, resolved

Search = Generator[list[Trial], Sequence[float], None]


def search(config: ExperimentConfig) -> Search:
    """The search that `config.sweep` describes. Raises `ConfigError` with every problem, before the first trial."""
    sweep, points = config.search, base_points(config)
    # An invalid value might be drawn late, or never, so check the ends of every range first.
    resolved(config, [point | end for point in points for end in _ends(sweep)])
    if sweep.strategy == "tpe":
        return _tpe(config, sweep, points)
    samples = draws(sweep.random, sweep.samples, config.seed)
    points = [point | sample for point in points for sample in samples]
    trials = resolved(config, points)
    return _halving(config, sweep, points) if sweep.strategy == "halving" else _product(trials)


def drive(config: ExperimentConfig, score: Callable[[list[Trial]], Sequence[float] | None]) -> None:
    """Call `score` with each generation of trials of the search, until it ends or `score` returns None.

    `score` returns the mean score of each trial, NaN for a failed one. Raises what `search` raises.
    """
    asking = search(config)
    generation = next(asking)
    while (scores := score(generation)) is not None:
        try:
            generation = asking.send(scores)
        except StopIteration:
            return


def most_trials(config: ExperimentConfig) -> int:
    """The number of trials of the search of `config` if all its points are different."""
    sweep, points = config.search, count_points(config)
    if sweep.strategy == "halving":
        return sum(kept for _, kept in rounds(sweep, points, config.training.epochs))
    return points


def _product(trials: list[Trial]) -> Search:
    yield trials


def rounds(sweep: SweepConfig, points: int, epochs: int) -> list[tuple[int, int]]:
    """Epochs and number of trials of each round of halving; the last round trains for all epochs.

    Successive halving after Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization" (AISTATS 2016), in whole rounds: whether a trial survives does not depend on the order of completion.
    """
    longest = max(0, math.floor(math.log(epochs / sweep.min_epochs, sweep.factor) + 1e-9)) if epochs else 0
    useful = max(0, math.ceil(math.log(points, sweep.factor) - 1e-9))
    last = min(longest, useful)
    return [
        (math.ceil(epochs / sweep.factor ** (last - number)), math.ceil(points / sweep.factor**number))
        for number in range(last + 1)
    ]


def _halving(config: ExperimentConfig, sweep: SweepConfig, points: list[Point]) -> Search:
    made = 0
    points = [Point(trial.params, {}) for trial in resolved(config, points)]
    for epochs, kept in rounds(sweep, len(points), config.training.epochs):
        points = points[:kept]
        duration = Point({"training.epochs": epochs}, {})
        trials = resolved(config, [point | duration for point in points], made)
        made += len(trials)
        scores = yield trials
        ranking = sorted(range(len(points)), key=lambda number: (math.isnan(scores[number]), -scores[number], number))
        points = [points[number] for number in ranking]


def _ends(sweep: SweepConfig) -> list[Point]:
    """Points that cover both ends of every range and every value of every list in `random`."""
    columns = [
        [(key, end) for end in (values.ends if isinstance(values, Range) else values)]
        for key, values in sweep.random.items()
    ]
    places = {key: f"sweep.random.{key}" for key in sweep.random}
    rows = zip_longest(*columns) if columns else [()]
    return [Point(dict(pair or column[0] for pair, column in zip(row, columns, strict=True)), places) for row in rows]


def _tpe(config: ExperimentConfig, sweep: SweepConfig, points: list[Point]) -> Search:
    """One study per base point; each is asked for a whole generation.

    Tree-structured Parzen estimator: Bergstra et al., "Algorithms for hyper-parameter optimization" (NIPS 2011).
    """
    studies = [_study(config.seed) for _ in points]
    space = _distributions(sweep)
    places = {key: f"sweep.random.{key}" for key in sweep.random}
    known: dict[ExperimentConfig, float] = {}
    for asked in range(0, sweep.samples, sweep.generation):
        count = min(sweep.generation, sweep.samples - asked)
        suggested = [[study.ask(space) for _ in range(count)] for study in studies]
        wanted = [
            resolved(config, [point | Point(_sampled(sweep, trial.params), places)])[0]
            for point, trials in zip(points, suggested, strict=True)
            for trial in trials
        ]
        new = list(dict.fromkeys(trial.config for trial in wanted if trial.config not in known))
        params = {trial.config: trial.params for trial in wanted}
        scores = yield [Trial(len(known) + number, params[settings], settings) for number, settings in enumerate(new)]
        known |= dict(zip(new, scores, strict=True))
        _tell(studies, suggested, [known[trial.config] for trial in wanted])


def _study(seed: int) -> Any:
    try:
        import optuna
    except ImportError:
        raise BadInput("sweep.strategy: tpe needs Optuna: pip install 'mnistexp[optuna]'") from None
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        # The constant liar spreads the samples of a generation: each is drawn as if the earlier ones had low scores.
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        return optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(before)


def _distributions(sweep: SweepConfig) -> dict[str, Any]:
    """The space for Optuna; choices are given by index, as Optuna doesn't accept lists."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    space: dict[str, Any] = {}
    for key, values in sweep.random.items():
        if not isinstance(values, Range):
            space[key] = CategoricalDistribution(tuple(range(len(values))))
        elif values.integer:
            space[key] = IntDistribution(*values.ends, log=values.log)
        else:
            space[key] = FloatDistribution(*values.ends, log=values.log)
    return space


def _sampled(sweep: SweepConfig, drawn: dict[str, Any]) -> Params:
    return {k: drawn[k] if isinstance(values, Range) else values[drawn[k]] for k, values in sweep.random.items()}


def _tell(studies: list[Any], suggested: list[list[Any]], scores: list[float]) -> None:
    from optuna.trial import TrialState

    remaining = iter(scores)
    for study, trials in zip(studies, suggested, strict=True):
        for trial in trials:
            score = next(remaining)
            if math.isnan(score):
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, score)
