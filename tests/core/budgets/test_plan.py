"""A plan says where its numbers do not add up, and its fitted limits do."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.plan_budgets import company_plan, main
from tokenomics_core import Attribution, BudgetExceededError, ConfigurationError
from tokenomics_core.budgets import Budgets, Limit, UserTier, plan_budgets

PLAN = {
    "monthly_usd": 3000,
    "usd_per_mtok": 10,
    "tiers": [UserTier("basic", users=10, tokens_per_day=1_000_000)],
    "features": {"chat": 0.75, "mail": 0.25},
    "tokens_per_request": 32_000,
}


def _failed(plan) -> list[str]:
    return [check.name for check in plan.checks if not check.ok]


def test_the_company_plan_asks_for_twenty_times_its_month():
    plan = company_plan()
    assert not plan.adds_up
    assert _failed(plan) == ["user limits against the month", "how long the month's sum lasts"]
    assert plan.scale == Decimal("0.05")
    said = str(plan)
    assert "$600,000 against $30,000, 20 times the month" in said
    assert "that is 1.5 days" in said
    assert "code assistant 50% + document Q&A 30% + mail drafting 20% = 100%" in said


def test_the_company_plan_becomes_limits():
    by = {(limit.scope, *limit.match.values()): limit for limit in company_plan().fitted_limits}
    assert (by["request",].tokens, by["request",].usd) == (32_000, Decimal("0.32"))
    assert by["all",] == Limit("all", usd=Decimal(30_000), window="month", alerts=(0.8,))
    assert by["feature", "document Q&A"].usd == 9000
    assert (by["user", "basic"].tokens, by["user", "basic"].usd, by["user", "basic"].window) == (
        100_000,
        1,
        "day",
    )
    assert by["user", "executive"].usd == 10


@given(
    users=st.lists(st.integers(1, 1000), min_size=1, max_size=4),
    tokens=st.integers(1, 50_000_000),
    monthly=st.integers(1, 100_000),
    days=st.integers(1, 31),
)
def test_fitted_limits_never_pass_the_month_and_nearly_use_it_up(users, tokens, monthly, days):
    tiers = [UserTier(f"t{index}", users=count, tokens_per_day=tokens) for index, count in enumerate(users)]
    plan = plan_budgets(**PLAN | {"tiers": tiers, "monthly_usd": monthly, "active_days": days})
    limits = [limit for limit in plan.fitted_limits if limit.scope == "user"]
    # Tokens are whole: each user loses less than one token a day.
    spent = (
        sum(limit.tokens * count for limit, count in zip(limits, users, strict=True)) * days * Decimal("1e-5")
    )
    assert spent <= monthly + Decimal("1e-9")
    assert spent > monthly - sum(users) * days * Decimal("1e-5") - Decimal("1e-9")


def test_a_plan_that_adds_up_says_so():
    plan = plan_budgets(**PLAN)
    assert plan.adds_up
    assert plan.scale == 1


def test_shares_that_do_not_sum_to_one_are_said():
    plan = plan_budgets(**PLAN | {"features": {"chat": 0.7, "mail": 0.2}})
    assert _failed(plan) == ["feature shares"]
    assert "chat 70% + mail 20% = 90%" in str(plan)


def test_dollar_limits_that_differ_from_the_tokens_are_said():
    tiers = [UserTier("basic", users=10, tokens_per_day=1_000_000, usd_per_day=8)]
    plan = plan_budgets(**PLAN | {"tiers": tiers})
    assert _failed(plan) == ["token and dollar limits"]
    assert "1,000,000 tokens = $10, but $8 is its dollar limit: dollars end first" in str(plan)
    assert plan.scale == Decimal("1.25")


def test_an_allowance_below_one_request_is_said():
    tiers = [UserTier("basic", users=10, tokens_per_day=20_000)]
    assert _failed(plan_budgets(**PLAN | {"tiers": tiers})) == ["requests a day, basic, as asked"]


def test_the_limits_hold_when_used():
    plan = plan_budgets(**PLAN | {"monthly_usd": 300})
    held = Budgets(plan.fitted_limits)
    who = Attribution(user="ada", feature="chat", tags={"user_tier": "basic"})
    for _ in range(3):
        held.settle(held.reserve(who, usd="0.32", tokens=32_000), usd="0.32", tokens=32_000)
    with pytest.raises(BudgetExceededError) as refused:
        held.reserve(who, usd="0.32", tokens=32_000)
    assert (refused.value.scope, refused.value.window) == ("user", "day")


def test_the_example_runs(capsys):
    main()
    said = capsys.readouterr().out
    assert "A basic user makes 3 requests of 32,000 tokens a day" in said


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"monthly_usd": 0}, "must be above 0"),
        ({"features": {"chat": 1.5}}, "share of 'chat' must be in"),
        ({"tiers": []}, "tiers must be one or more of different names"),
        ({"active_days": 0}, "active_days must be from 1 to 31"),
        ({"tokens_per_request": 1.5}, "tokens_per_request must be a whole number"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong, says):
    with pytest.raises(ConfigurationError, match=says):
        plan_budgets(**PLAN | wrong)
