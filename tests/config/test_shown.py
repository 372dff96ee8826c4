"""Accuracies and differences as text: equal ones read the same, and a difference fits the two numbers beside it."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mnistexp
from mnistexp.config import shown

SHARES = st.floats(0, 1)


@given(SHARES, SHARES)
def test_a_difference_is_that_of_the_two_numbers_as_they_are_shown(first: float, second: float) -> None:
    one, other = (float(shown.percent(share).rstrip("%")) for share in (first, second))
    assert shown.points(first, second) == f"{abs(one - other):.1f}"
    assert shown.signed_points(first, second) == -shown.signed_points(second, first)


def test_rounding_errors_do_not_show() -> None:
    scores = [33 / 40, 32 / 40, 31 / 40, 34 / 40]
    means = {shown.percent(float(np.mean(order))) for order in (scores, scores[::-1], sorted(scores))}
    assert means == {"81.2%"}
    assert shown.percent(0.9375) == shown.percent(np.nextafter(0.9375, 0)) == "93.8%"
    assert f"{shown.signed_points(0.5, 0.5001)}" == "0.0"
    assert shown.span(0.874, 0.95) == "87.4% to 95.0%"


def test_a_setting_lists_what_differs_from_zero() -> None:
    params = {"optimizer.name": "adam", "optimizer.learning_rate": 0.01, "optimizer.decay": 0.0, "model.dropout": 0.0}
    assert shown.setting(params) == "adam, learning rate 0.01, dropout 0"


def test_a_curve_is_named_by_its_column() -> None:
    names = [shown.name(column) for column in ("loss", "val_loss", "val_accuracy", "optimizer.learning_rate", "beta_1")]
    assert names == ["loss", "validation loss", "validation accuracy", "learning rate", "beta_1"]


@pytest.mark.parametrize(
    ("value", "text"), [("adam", "adam"), (None, "null"), (True, "true"), (3, "3"), (0.1 + 0.2, "0.30000000000000004")]
)
def test_a_value_in_full_is_written_as_a_condition_is(value: object, text: str) -> None:
    assert shown.exact(value) == text


def test_an_accuracy_is_rounded_in_one_place() -> None:
    # Python's own `.1%` rounds 14 of 4,000 to 0.4%, and an accuracy that is told twice would be two numbers.
    package = Path(mnistexp.__file__).parent
    others = [path.name for path in package.rglob("*.py") if re.search(r":\.[1-9]%", path.read_text(encoding="utf-8"))]
    assert others == []
