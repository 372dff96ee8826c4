"""The story and the sections of each kind of run: the first from its metrics alone, the others from its folder."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mnistexp.report.best import best_sections, best_story
from mnistexp.report.evaluation import evaluation_sections, evaluation_story
from mnistexp.report.examples import examples_sections, examples_story, summary_sections, summary_story
from mnistexp.report.page import Section, Story
from mnistexp.report.reproduce import reproduce_sections, reproduce_story
from mnistexp.report.sweep import sweep_sections, sweep_story
from mnistexp.report.training import training_sections, training_story
from mnistexp.runs.layout import Kind
from mnistexp.runs.stored_runs import StoredRun


class Telling(NamedTuple):
    """`story` needs `metrics.json` alone and draws no figure; `sections`, what the report says below it, the folder."""

    story: Callable[[Mapping[str, Any]], Story]
    sections: Callable[[StoredRun], list[Section]]


SWEEP = Telling(sweep_story, sweep_sections)
KINDS: Mapping[str, Telling] = {
    Kind.TRAIN: Telling(training_story, training_sections),
    "sweep": SWEEP,  # as earlier versions recorded those made from Python
    Kind.SWEEP_OPTIMIZER: SWEEP,
    Kind.SWEEP_DROPOUT: SWEEP,
    Kind.BEST: Telling(best_story, best_sections),
    Kind.REPRODUCE: Telling(reproduce_story, reproduce_sections),
    Kind.EVALUATE: Telling(evaluation_story, evaluation_sections),
    Kind.EXAMPLES: Telling(examples_story, examples_sections),
    Kind.SUMMARY: Telling(summary_story, summary_sections),
}
