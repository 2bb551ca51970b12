"""Intervals hold what they promise, and are what the literature's formulas give."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.traffic._simulate_intervals import chances_interval, share_interval, sum_interval


def test_the_interval_of_a_sum_covers_the_truth_about_as_often_as_it_says():
    rng = random.Random(4)
    n, covered, rounds = 120, 0, 200
    for number in range(rounds):
        parts = [rng.expovariate(1.0) for _ in range(n)]
        interval = sum_interval(parts, seed=number, resamples=300)
        covered += interval.low <= n * 1.0 <= interval.high
    assert covered / rounds > 0.88


def test_draws_and_the_normal_formula_agree_where_there_are_many_parts():
    rng = random.Random(5)
    parts = [rng.random() for _ in range(3_000)]
    drawn, normal = sum_interval(parts), sum_interval(parts, resamples=10_000)
    assert drawn.value == normal.value == math.fsum(parts)
    assert drawn.low == pytest.approx(normal.low, rel=0.01)
    assert drawn.high == pytest.approx(normal.high, rel=0.01)


def test_one_part_or_none_has_no_spread():
    assert sum_interval([]).to_list() == [0.0, 0.0, 0.0]
    assert sum_interval([2.5]).to_list() == [2.5, 2.5, 2.5]


@given(st.lists(st.floats(0, 1), max_size=50))
def test_expected_events_stay_within_what_can_happen(chances):
    interval = chances_interval(chances)
    assert 0 <= interval.low <= interval.value + 1e-9
    assert interval.value - 1e-9 <= interval.high <= len(chances) + 1e-9


def test_a_share_is_bounded_as_wilson_does():
    # Wilson's interval of 1 in 10, as tabulated: 0.0179 to 0.4042.
    interval = share_interval(1, 10)
    assert interval.to_list() == pytest.approx([0.1, 0.0179, 0.4042], abs=1e-4)
    assert share_interval(0, 0) is None
    assert share_interval(0, 5).low == 0.0
    assert share_interval(5, 5).high == pytest.approx(1.0)
