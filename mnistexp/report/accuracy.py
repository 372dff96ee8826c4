"""The report's sections on the accuracy of the best trial, and on unseen digits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistexp import statistics
from mnistexp.config import shown
from mnistexp.report.page import Cell, Paragraph, Section, Table, percent, percent_range, points
from mnistexp.runs.results import SweepResult, TrialResult
from mnistexp.statistics import PairedDifference, intervals
from mnistexp.statistics.intervals import Interval
from mnistexp.sweeps.ranking import fold_weights

MORE_DIGITS = 4000


def unseen_section(found: Mapping[str, Any]) -> Section:
    """The accuracy to expect on unseen digits."""
    ahead = intervals.predict_accuracy(found["test_correct"], found["test_digits"], MORE_DIGITS)
    if not found["validated_on"]:
        honest = "Yes: the test digits were used once, after training, so nothing was chosen on them."
    elif found["validated_on"] == "validation":
        honest = "Yes: the number of epochs can be chosen on the validation digits, which are not test digits."
    else:
        honest = (
            "Yes if the number of epochs was fixed beforehand; if it is chosen from the curves above, which are "
            "validated on the test digits, the test accuracy is optimistic."
        )
    return Section(
        "Is the test accuracy representative of unseen data?",
        (
            Paragraph(
                f"{honest} On {MORE_DIGITS:,} further digits of the same kind, expect an accuracy of "
                f"{shown.span(ahead.low, ahead.high)} (95% prediction interval).",
                "answer",
            ),
            Paragraph(
                "To measure it: mnistexp evaluate RUN --data unseen scores this model, and mnistexp best --unseen the "
                f"best one, on {MORE_DIGITS:,} unseen digits."
            ),
        ),
    )


def gaps_section(whole: Sequence[TrialResult], correct: NDArray[np.bool_], families: Sequence[str]) -> Section:
    """The best trial against the worst and the average, overall and in each family of several.

    `correct`: bool (trials, repeats, digits), of the trials in `whole`. `families`: one for each of these.
    """
    weights = fold_weights(whole[0], correct.shape[-1])
    gaps = statistics.compare_trials(correct, families if len(set(families)) > 1 else (), weights=weights)
    rows = []
    for gap in gaps:
        name = "all trials" if gap.family == "all" else gap.family
        for other, versus in (("worst", gap.versus_worst), ("average", gap.versus_average)):
            rows.append(
                (
                    Cell(f"{name}: best against {other}"),
                    percent(versus.first),
                    percent(versus.second),
                    points(versus.first, versus.second),
                    Cell(_ends(versus.interval)),
                    percent(versus.error_reduction),
                )
            )
    overall = gaps[0]
    return Section(
        "How much better is the best trial than the worst and the average?",
        (
            Paragraph(
                f"The accuracy of the best trial is {_lead(overall.versus_worst)} points above that of the worst of "
                f"{len(whole)}, and {_lead(overall.versus_average)} points above their average.",
                "answer",
            ),
            Table(
                "Differences on the same digits",
                ("comparison", "best", "other", "points", "95% interval", "fewer errors"),
                tuple(rows),
                more="Paired bootstrap over the digits. The best trial was chosen on these digits, so its lead is "
                "overestimated; the smaller the lead, the larger the bias.",
            ),
        ),
    )


def _lead(versus: PairedDifference) -> str:
    return shown.points(versus.first, versus.second)


def _ends(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def worth_section(whole: Sequence[TrialResult], correct: NDArray[np.bool_], sweep: SweepResult) -> Section:
    """The winning score corrected for selection; `correct`: bool (trials, repeats, digits)."""
    bias = statistics.bbc_cv(correct, weights=fold_weights(whole[0], correct.shape[-1]))
    digits = len(sweep.labels)
    return Section(
        "Is the winning score representative of unseen data?",
        (
            Paragraph(bias.sentence, "answer"),
            Paragraph(
                f"The best of {len(whole)} trials was chosen by its score on these {digits} digits, so the score is "
                "optimistic. The correction resamples the digits many times, chooses on those drawn, and scores on "
                "those left out (BBC-CV, Tsamardinos, Greasidou and Borboudakis 2018)."
            ),
            Table(
                "Score before and after correction",
                ("score", "accuracy", "95% interval"),
                (
                    (Cell("as chosen"), percent(bias.raw), Cell("\N{EN DASH}")),
                    (
                        Cell("corrected for selection"),
                        percent(bias.corrected),
                        Cell(percent_range((bias.interval.low, bias.interval.high))),
                    ),
                ),
            ),
        ),
    )
