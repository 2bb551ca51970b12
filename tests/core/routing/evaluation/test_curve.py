"""A curve says what every share of strong calls reaches, ties included."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing.evaluation import (
    Ranking,
    area_under_hull,
    expected_calibration_error,
    upper_hull,
)

rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 1), st.integers(1, 5), st.integers(1, 9)),
    min_size=1,
    max_size=7,
)


def columns(found):
    return [list(column) for column in zip(*found, strict=True)]


def curve_by_hand(scores, weak, strong):
    """Mean accuracy after sending k questions, over all orders in which ties could be broken."""
    n = len(scores)
    orders = [
        order
        for order in itertools.permutations(range(n))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    return [
        sum(sum(strong[at] for at in order[:k]) + sum(weak[at] for at in order[k:]) for order in orders)
        / len(orders)
        / n
        for k in range(n + 1)
    ]


@given(rows)
def test_the_curve_is_the_mean_over_every_way_to_break_ties(found):
    scores, weak, strong, _, _ = columns(found)
    curve = Ranking(scores, weak, strong).curve()
    expected = curve_by_hand(scores, weak, strong)
    got = [curve.quality_at(k / len(scores)) for k in range(len(scores) + 1)]
    assert got == pytest.approx(expected)


@given(rows)
def test_apgr_is_the_trapezoid_over_every_count_of_strong_calls(found):
    scores, weak, strong, _, _ = columns(found)
    heights = curve_by_hand(scores, weak, strong)
    gap = heights[-1] - heights[0]
    apgr = Ranking(scores, weak, strong).curve().apgr
    if gap <= 1e-12:
        assert math.isnan(apgr)
        return
    n = len(scores)
    area = sum((a + b) / 2 / n for a, b in itertools.pairwise(heights))
    assert apgr == pytest.approx((area - heights[0]) / gap)


@given(rows, st.sampled_from([0.2, 0.5, 0.8, 1.0]))
def test_the_least_share_is_found_by_walking_the_curve(found, wanted):
    scores, weak, strong, _, _ = columns(found)
    curve = Ranking(scores, weak, strong).curve()
    if curve.gap <= 0:
        assert math.isnan(curve.share_for(wanted))
        return
    target = curve.quality[0] + wanted * curve.gap
    steps = np.linspace(0, 1, 20_001)
    reached = steps[[curve.quality_at(share) >= target - 1e-9 for share in steps]]
    assert curve.share_for(wanted) == pytest.approx(reached[0], abs=1e-4)


@given(rows, st.lists(st.integers(0, 3), min_size=7, max_size=7))
def test_counting_a_question_twice_is_having_it_twice(found, counts):
    counts = counts[: len(found)]
    repeated = [row for row, count in zip(found, counts, strict=True) for _ in range(count)]
    if not repeated:
        return
    settings = dict(zip(("weak_usd", "strong_usd"), columns(found)[3:], strict=True))
    weighted = Ranking(*columns(found)[:3], **settings).curve(np.array(counts, dtype=float))
    settings = dict(zip(("weak_usd", "strong_usd"), columns(repeated)[3:], strict=True))
    plain = Ranking(*columns(repeated)[:3], **settings).curve()
    for share in (0, 0.25, 0.5, 1):
        assert weighted.quality_at(share) == pytest.approx(plain.quality_at(share))
    assert weighted.apgr == pytest.approx(plain.apgr, nan_ok=True)
    for kept in (0.5, 0.95):
        assert weighted.saving_at(kept) == pytest.approx(plain.saving_at(kept), nan_ok=True)


def test_hindsight_sends_what_strong_gains_first_and_recovers_more_than_everything():
    weak, strong = [1, 0, 0, 1], [0, 1, 1, 1]
    curve = Ranking(np.subtract(strong, weak), weak, strong).curve()
    assert curve.recovered().max() == 2
    assert curve.share_for(1.0) == pytest.approx(0.25)
    assert curve.apgr > 1


def test_a_cascade_pays_the_draft_whatever_happens_and_a_router_only_one_of_both():
    money = {"weak_usd": [1, 1], "strong_usd": [10, 10]}
    router = Ranking([2, 1], [0, 0], [1, 1], **money).curve()
    cascade = Ranking([2, 1], [0, 0], [1, 1], **money, escalates=True).curve()
    assert router.cost_usd.tolist() == [1, 5.5, 10]
    assert cascade.cost_usd.tolist() == [1, 6, 11]
    assert router.saving_at(1.0) == 0
    assert cascade.saving_at(1.0) == pytest.approx(-0.1)
    assert cascade.saving_at(0.5) == pytest.approx(0.4)


def test_what_scoring_costs_comes_off_the_saving():
    curve = Ranking([2, 1], [0, 0], [1, 1], weak_usd=[1, 1], strong_usd=[10, 10], router_usd=3).curve()
    assert curve.saving_at(1.0) == pytest.approx(-0.3)


def test_equal_scores_are_chance():
    rng = np.random.default_rng(1)
    weak, strong = rng.integers(0, 2, 50), np.ones(50)
    assert Ranking(np.zeros(50), weak, strong).curve().apgr == pytest.approx(0.5)


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8)


@given(points)
def test_the_hull_is_the_best_mixture_at_every_cost(found):
    cost, quality = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    xs, ys = upper_hull(cost, quality)
    for budget in np.arange(cost.min(), cost.max() + 0.5, 0.5):
        best = max(
            a[1] + (b[1] - a[1]) * part
            for a in found
            for b in found
            for part in np.linspace(0, 1, 181)
            if a[0] + (b[0] - a[0]) * part <= budget + 1e-9
        )
        assert float(np.interp(budget, xs, ys)) == pytest.approx(best, abs=0.15)
        assert float(np.interp(budget, xs, ys)) >= best - 1e-9


def test_the_area_under_the_hull_is_its_mean_height_and_flat_beyond_its_ends():
    cost, quality = np.array([1.0, 3.0]), np.array([0.0, 1.0])
    assert area_under_hull(cost, quality, 1, 3) == pytest.approx(0.5)
    assert area_under_hull(cost, quality, 1, 5) == pytest.approx(0.75)
    assert area_under_hull(np.array([2.0]), np.array([0.4]), 1, 3) == pytest.approx(0.4)
    assert math.isnan(area_under_hull(cost, quality, 2, 2))


def test_a_dearer_and_worse_point_is_not_on_the_hull():
    xs, ys = upper_hull(np.array([1.0, 2, 3, 4]), np.array([0.2, 0.8, 0.5, 0.9]))
    assert (xs.tolist(), ys.tolist()) == ([1, 2, 4], [0.2, 0.8, 0.9])


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30),
    st.integers(1, 7),
)
def test_the_calibration_error_is_the_average_gap_of_the_bins(found, n_bins):
    confidence, correct = zip(*found, strict=True)
    expected = 0.0
    for place in range(n_bins):
        inside = [
            (stated, right) for stated, right in found if max(math.ceil(stated * n_bins) - 1, 0) == place
        ]
        if inside:
            gap = sum(stated for stated, _ in inside) - sum(right for _, right in inside)
            expected += abs(gap) / len(found)
    assert expected_calibration_error(confidence, correct, n_bins=n_bins) == pytest.approx(expected)


def test_bins_are_closed_above():
    assert expected_calibration_error([0.5, 0.5], [1, 0], n_bins=2) == 0
    assert expected_calibration_error([0.5, 0.51], [1, 0], n_bins=2) == pytest.approx((0.5 + 0.51) / 2)


@pytest.mark.parametrize(
    ("scores", "weak", "strong", "message"),
    [
        ([], [], [], "scores must have shape"),
        ([1, 2], [0], [1, 1], r"weak must have shape \(2,\)"),
        ([1, math.nan], [0, 0], [1, 1], "scores must be finite"),
        (["a"], [0], [1], "scores must be numbers"),
        ([[1]], [0], [1], "scores must have shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(scores, weak, strong, message):
    with pytest.raises(ConfigurationError, match=message):
        Ranking(scores, weak, strong)


@pytest.mark.parametrize(
    ("confidence", "correct", "n_bins", "message"),
    [
        ([1.2], [1], 10, "confidence must lie"),
        ([0.2], [-1], 10, "correct must lie"),
        ([], [], 10, "shape"),
        ([0.2], [1], 0, "n_bins must be 1 or more, not 0"),
    ],
)
def test_calibration_refuses_what_is_no_chance(confidence, correct, n_bins, message):
    with pytest.raises(ConfigurationError, match=message):
        expected_calibration_error(confidence, correct, n_bins=n_bins)
