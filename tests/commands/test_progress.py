"""What a command shows while it works: whole lines that say where it is, and nothing left over afterwards."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from mnistexp.commands.progress import watching
from mnistexp.runs.results import Answered, EpochDone, Event, FitDone, Outcome

TRAINING = [
    EpochDone(
        repeat=1, repeats=3, epoch=epoch, epochs=150, loss=2 / epoch, accuracy=0.9, val_loss=loss, val_accuracy=0.8
    )
    for epoch, loss in ((1, 1.25), (2, 0.75), (150, 0.875))
]
SWEEP = [FitDone(done=17, total=54, cached=0, what="adam", best=0.9312, seconds_left=2433.0)]


def shown(events: list[Event], width: int) -> str:
    """What a terminal gets during these events, colours and movements taken out."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=width, legacy_windows=False)
    with watching(console, quiet=False) as watch:
        for event in events:
            watch(event)
            console.print("")  # has the bar drawn anew
    return text.getvalue()


def lines(text: str) -> list[str]:
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))


@pytest.mark.parametrize("width", [80, 140])
def test_progress_of_a_training_shows_total_and_best_without_cut_words(width: int) -> None:
    seen = lines(shown(TRAINING, width))
    assert any("training 2/3, epoch 150/150" in line and "best 0.7500" in line for line in seen)
    assert not any("…" in line or len(line) > width for line in seen)


@pytest.mark.parametrize("width", [80, 140])
def test_progress_of_a_sweep_shows_fits_best_score_and_time_left(width: int) -> None:
    seen = lines(shown(SWEEP, width))
    assert any(all(part in line for part in ("fit 17/54", "best accuracy 93.1%", "40 min 33 s left")) for line in seen)
    assert not any("…" in line or len(line) > width for line in seen)


def test_something_is_shown_before_the_first_event_and_removed_at_the_end() -> None:
    text = shown([], 80)
    assert "preparing" in text
    assert re.sub(r"(\x1b\[\?25h)+$", "", text).endswith(("\x1b[2K", "\x1b[1A\x1b[2K"))


def test_work_continues_when_nobody_reads_the_output() -> None:
    done: list[str] = []

    def unread(_: Outcome) -> None:
        raise BrokenPipeError

    def work() -> None:
        with watching(Console(file=io.StringIO()), quiet=False, answer=unread) as watch:
            watch(Answered(Outcome(Path(), {})))
            done.append("figures drawn")

    with pytest.raises(BrokenPipeError):
        work()
    assert done == ["figures drawn"]
