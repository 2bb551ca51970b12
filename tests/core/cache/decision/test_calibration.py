"""The bound on wrong answers is what an independent computation says, and errs to the safe side."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.cache._calibration import lowest_safe_bin, upper_bound
from tokenomics_core.cache._experience import BINS, bin_of


def chance_of_at_most(wrong: int, labels: int, share: float) -> float:
    return sum(math.comb(labels, k) * share**k * (1 - share) ** (labels - k) for k in range(wrong + 1))


@given(labels=st.integers(1, 200), data=st.data(), confidence=st.sampled_from([0.9, 0.95, 0.99]))
def test_at_the_bound_so_few_wrong_ones_would_be_as_rare_as_promised(labels, data, confidence):
    wrong = data.draw(st.integers(0, labels - 1))
    share = upper_bound(wrong, labels, confidence)
    assert chance_of_at_most(wrong, labels, share) == pytest.approx(1 - confidence, abs=1e-6)


@given(wrong=st.floats(0, 50), labels=st.floats(1, 500))
def test_the_bound_lies_above_the_share_and_falls_with_more_labels(wrong, labels):
    wrong = min(wrong, labels)
    bound = upper_bound(wrong, labels, 0.95)
    assert wrong / labels <= bound <= 1
    assert upper_bound(2 * wrong, 2 * labels, 0.95) <= bound + 1e-9


def test_without_labels_nothing_is_known():
    assert upper_bound(0, 0, 0.95) == 1.0
    assert lowest_safe_bin(np.ones(8), np.zeros(8), np.zeros(8), 8, max_error=0.5, confidence=0.95) is None


@given(seed=st.integers(0, 10_000))
def test_a_laxer_bound_never_serves_less(seed):
    rng = np.random.default_rng(seed)
    arrivals, labels = rng.integers(1, 60, 12).astype(float), rng.integers(0, 90, 12).astype(float)
    wrong = np.floor(labels * np.linspace(0.5, 0.0, 12) * rng.random(12))
    bins = []
    for error in (0.01, 0.02, 0.05, 0.1, 0.5):
        found = lowest_safe_bin(arrivals, labels, wrong, arrivals.sum(), max_error=error, confidence=0.95)
        bins.append(12 if found is None else found.bin)
        if found is not None:
            assert found.error <= found.upper <= error
    assert bins == sorted(bins, reverse=True)


def test_requests_that_never_came_so_far_make_room():
    arrivals, labels, wrong = np.full(4, 100.0), np.full(4, 100.0), np.array([30.0, 8.0, 3.0, 0.0])
    alone = lowest_safe_bin(arrivals, labels, wrong, 400, max_error=0.05, confidence=0.95)
    among_many = lowest_safe_bin(arrivals, labels, wrong, 4_000, max_error=0.05, confidence=0.95)
    assert alone is not None
    assert among_many is not None
    assert among_many.bin < alone.bin


@given(st.floats(0, 1), st.floats(0, 1))
def test_bins_grow_with_the_probability(one, other):
    low, high = sorted((one, other))
    assert 0 <= bin_of(low) <= bin_of(high) < BINS
