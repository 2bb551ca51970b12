"""A run that goes in circles is ended; one that works is left alone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.budgets.conftest import Clock
from tokenomics_core import BudgetExceededError, ConfigurationError, attribution
from tokenomics_core.budgets import LoopGuard


def test_the_same_tool_call_is_refused_once_it_was_made_often_enough():
    guard = LoopGuard(max_same_calls=3)
    for _ in range(3):
        guard.tool_call("search", {"q": "weather", "page": 1}, run="r1")
    with pytest.raises(BudgetExceededError) as ended:
        guard.tool_call("search", {"page": 1, "q": "weather"}, run="r1")
    assert (ended.value.rule, ended.value.key, ended.value.limit) == ("same tool call: search", "r1", 3)


def test_other_arguments_other_tools_and_other_runs_are_other_calls():
    guard = LoopGuard(max_same_calls=1)
    guard.tool_call("search", {"q": "a"}, run="r1")
    guard.tool_call("search", {"q": "b"}, run="r1")
    guard.tool_call("fetch", {"q": "a"}, run="r1")
    guard.tool_call("search", {"q": "a"}, run="r2")
    guard.end("r1")
    guard.tool_call("search", {"q": "a"}, run="r1")


def test_calls_long_ago_are_forgotten():
    guard = LoopGuard(max_same_calls=1, memory=3)
    guard.tool_call("search", "a", run="r")
    for other in "bcd":
        guard.tool_call("search", other, run="r")
    guard.tool_call("search", "a", run="r")


def test_the_run_in_force_is_the_default():
    guard = LoopGuard(max_same_calls=1)
    with attribution(run="r7"):
        guard.tool_call("search")
        with pytest.raises(BudgetExceededError) as ended:
            guard.tool_call("search")
    assert ended.value.key == "r7"


def test_arguments_of_any_type_are_compared():
    guard = LoopGuard(max_same_calls=1)
    guard.tool_call("plot", {"points": (1, 2), "when": Decimal(1)}, run="r")
    with pytest.raises(BudgetExceededError):
        guard.tool_call("plot", {"when": Decimal(1), "points": [1, 2]}, run="r")


def spend_evenly(guard: LoopGuard, clock: Clock, stretches: int, usd: str) -> None:
    for _ in range(stretches):
        guard.spend(usd, run="r")
        clock.pass_s(10)


def test_a_run_that_suddenly_spends_many_times_its_median_is_ended(clock):
    guard = LoopGuard(clock=clock, rate_factor=10, rate_floor_usd="0.01")
    spend_evenly(guard, clock, 5, "0.02")
    for _ in range(4):
        guard.spend("0.05", run="r")
    with pytest.raises(BudgetExceededError) as ended:
        guard.spend("0.05", run="r")
    error = ended.value
    assert (error.limit, error.committed, error.requested) == (
        Decimal("0.20"),
        Decimal("0.20"),
        Decimal("0.05"),
    )
    assert error.rule == "spend rate: 10 times the run's own median"


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_a_run_within_ten_times_any_of_its_stretches_goes_on(cents):
    clock = Clock()
    guard = LoopGuard(clock=clock, rate_factor=10, rate_floor_usd=0)
    for amount in cents:
        guard.spend(Decimal(amount) / 100, run="r")
        clock.pass_s(10)


def test_pennies_are_no_runaway(clock):
    guard = LoopGuard(clock=clock, rate_floor_usd="0.10")
    spend_evenly(guard, clock, 8, "0.0001")
    guard.spend("0.09", run="r")
    with pytest.raises(BudgetExceededError):
        guard.spend("0.02", run="r")


def test_a_young_run_has_no_median_yet(clock):
    guard = LoopGuard(clock=clock, min_stretches=5, rate_floor_usd=0)
    spend_evenly(guard, clock, 4, "0.01")
    guard.spend("50", run="r")


def test_only_so_many_runs_are_known():
    guard = LoopGuard(max_same_calls=1, max_runs=2)
    for run in ("a", "b", "c"):
        guard.tool_call("search", run=run)
    guard.tool_call("search", run="a")
    with pytest.raises(BudgetExceededError):
        guard.tool_call("search", run="c")


@pytest.mark.parametrize(
    "wrong",
    [{"max_same_calls": 0}, {"memory": 1.5}, {"rate_factor": 1}, {"stretch_s": 0}, {"rate_floor_usd": -1}],
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        LoopGuard(**wrong)
