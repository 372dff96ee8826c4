"""Learning curves as CSV."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnistexp.errors import RunError
from mnistexp.runs.history_csv import history_from_csv, history_to_csv
from mnistexp.runs.results import History


def same(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Bit for bit, except that any NaN is like any other."""
    return len(one) == len(other) and all(
        (a == b and math.copysign(1, a) == math.copysign(1, b)) or (math.isnan(a) and math.isnan(b))
        for a, b in zip(one, other, strict=True)
    )


@given(rows=st.lists(st.tuples(*[st.floats()] * 4), max_size=20), validated=st.booleans())
def test_round_trip_is_exact(rows: list[tuple[float, ...]], validated: bool) -> None:
    loss, accuracy, val_loss, val_accuracy = zip(*rows, strict=True) if rows else ((), (), (), ())
    history = History(loss, accuracy, val_loss, val_accuracy) if validated else History(loss, accuracy)
    text = history_to_csv(history)
    back = history_from_csv(text, "history.csv")
    assert all(same(getattr(history, key), getattr(back, key)) for key in vars(history))
    assert history_to_csv(back) == text


def test_the_file_has_the_documented_form() -> None:
    history = History((2.25, math.nan), (0.1, 0.0), (np.float32(0.1), math.inf), (1 / 3, 1.0))
    assert history_to_csv(history) == (
        "epoch,loss,accuracy,val_loss,val_accuracy\n"
        "1,2.25,0.1,0.10000000149011612,0.3333333333333333\n"
        "2,nan,0.0,inf,1.0\n"
    )
    assert history_to_csv(History((2.25,), (0.1,))).endswith("\n1,2.25,0.1,,\n")


HEADER = "epoch,loss,accuracy,val_loss,val_accuracy\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "first line"),
        ("epoch,loss\n1,2\n", "first line"),
        (HEADER.rstrip("\n"), "cut off"),
        (HEADER + "1,2.0,0.5,2.", "cut off"),
        (HEADER + "1,2.0,0.5,2.0\n", "line 2 is not epoch 1 with 4 numbers"),
        (HEADER + "2,2.0,0.5,2.0,0.5\n", "line 2 is not epoch 1"),
        (HEADER + "1,two,0.5,2.0,0.5\n", "line 2: could not convert"),
        (HEADER + "1,2.0,0.5,,\n2,2.0,0.5,2.0,\n", "val_loss is missing for some epochs"),
    ],
)
def test_damage_is_named(text: str, reason: str) -> None:
    with pytest.raises(RunError, match=reason) as caught:
        history_from_csv(text, "runs/x/history.csv")
    assert "runs/x/history.csv" in str(caught.value)
