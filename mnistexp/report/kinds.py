"""The story and the report of each kind of run: the first from its metrics alone, the second from its whole folder."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mnistexp.report.best import best_report, best_story
from mnistexp.report.evaluation import evaluation_report, evaluation_story
from mnistexp.report.examples import examples_report, examples_story, summary_report, summary_story
from mnistexp.report.page import RunReport, Story
from mnistexp.report.reproduce import reproduce_report, reproduce_story
from mnistexp.report.sweep import sweep_report, sweep_story
from mnistexp.report.training import training_report, training_story
from mnistexp.runs.layout import Kind
from mnistexp.runs.stored_runs import StoredRun


class Telling(NamedTuple):
    """`story` needs `metrics.json` alone and draws no figure; `report` reads the run folder, and begins with it."""

    story: Callable[[Mapping[str, Any]], Story]
    report: Callable[[StoredRun], RunReport]


SWEEP = Telling(sweep_story, sweep_report)
KINDS: Mapping[str, Telling] = {
    Kind.TRAIN: Telling(training_story, training_report),
    "sweep": SWEEP,  # as earlier versions recorded those made from Python
    Kind.SWEEP_OPTIMIZER: SWEEP,
    Kind.SWEEP_DROPOUT: SWEEP,
    Kind.BEST: Telling(best_story, best_report),
    Kind.REPRODUCE: Telling(reproduce_story, reproduce_report),
    Kind.EVALUATE: Telling(evaluation_story, evaluation_report),
    Kind.EXAMPLES: Telling(examples_story, examples_report),
    Kind.SUMMARY: Telling(summary_story, summary_report),
}
