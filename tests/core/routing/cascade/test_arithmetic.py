"""Sums in an answer are re-computed exactly where they can be read, and nothing is ever run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.routing._arithmetic import evaluate, plain_number
from tokenomics_core.routing.acceptors import check_equations

numbers = st.integers(0, 9999)
expressions = st.recursive(
    numbers.map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
            lambda parts: f"{parts[0]} {parts[1]} {parts[2]}"
        ),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-({text})"),
    ),
    max_leaves=8,
)


@given(expressions)
def test_sums_mean_what_they_mean_in_python(expression):
    value = evaluate(expression)
    if len(expression) <= 200:
        assert value == pytest.approx(float(eval(expression)))


@given(st.text(max_size=60))
def test_any_text_gives_a_number_or_nothing(text):
    value = evaluate(text)
    assert value is None or isinstance(value, float)
    checked, wrong = check_equations(text)
    assert 0 <= wrong <= checked


@given(
    a=numbers, b=numbers, sign=st.sampled_from(["+", "-", "*", "x", "\u00d7"]), off=st.sampled_from([0, 1, 7])
)
def test_an_equation_is_right_iff_both_sides_agree(a, b, sign, off):
    value = {"+": a + b, "-": a - b}.get(sign, a * b)
    text = f"So there are {a} {sign} {b} = {value + off} of them."
    checked, wrong = check_equations(text)
    assert checked == 1
    assert wrong == (off > 0.011 * max(1, abs(value + off)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$1,200 + $300 = $1,500", (1, 0)),
        ("20% * 50 = 10", (1, 0)),
        ("10 \u00f7 4 = 2.5", (1, 0)),
        ("1/3 = 0.33", (1, 0)),
        ("2 + 3 * 4 = 20", (1, 1)),
        ("(2 + 3) * 4 = 20", (1, 0)),
        ("5 * 6 = <<5*6=30>>30", (1, 0)),
        ("1 / 0 = 5", (0, 0)),
        ("x = 5", (0, 0)),
        ("a plain sentence", (0, 0)),
        ("2+2 = 4 and then 4+4 = 9", (2, 1)),
    ],
)
def test_equations_as_people_write_them(text, found):
    assert check_equations(text) == found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        (" $1,200.50 ", 1200.5),
        ("-3", -3),
        ("18.", 18),
        ("18 apples", None),
        ("", None),
        ("1/2", None),
    ],
)
def test_a_plain_number_is_read_and_anything_else_is_not(text, value):
    assert plain_number(text) == value


@pytest.mark.parametrize("piece", ["(", "-", "1", "1+", "= ", "<<", "1,", "((1+1", "1 = "])
def test_text_made_to_keep_the_check_busy_comes_to_an_end(piece):
    checked, wrong = check_equations(piece * 20_000)  # would take hours if a pattern went back over its steps
    assert 0 <= wrong <= checked
