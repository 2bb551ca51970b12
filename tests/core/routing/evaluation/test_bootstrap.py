"""Intervals are quantiles of the same number on questions drawn anew."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tokenomics_core.routing._bootstrap import Estimate, estimates, resample


def test_the_ends_are_the_quantiles_of_the_draws():
    values = np.arange(40.0) ** 2

    def mean(weights):
        return np.array([weights @ values / weights.sum()])

    draws = resample(mean, 40, resamples=500, seed=3)[:, 0]
    found = estimates(mean, 40, resamples=500, seed=3, confidence=0.8)[0]
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws, [0.1, 0.9])))


def test_every_draw_counts_as_many_questions_as_there_are():
    totals = resample(lambda weights: np.array([weights.sum(), weights.min()]), 30, resamples=50, seed=1)
    assert (totals[:, 0] == 30).all()
    assert (totals[:, 1] == 0).any()


def test_a_number_that_few_draws_define_has_no_interval_and_an_undefined_one_is_unknown():
    def statistic(weights):
        whole = bool((weights == 1).all())
        return np.array([5.0 if whole else math.nan, math.nan])

    assert estimates(statistic, 20, resamples=40, seed=1, confidence=0.95) == [Estimate(5.0), None]
