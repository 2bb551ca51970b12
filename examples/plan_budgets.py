"""Plan a company's budget, see where it does not add up, and keep the limits that do.

Run with `python examples/plan_budgets.py`.
"""

from __future__ import annotations

from tokenomics_core import Attribution, BudgetExceededError
from tokenomics_core.budgets import BudgetPlan, Budgets, UserTier, plan_budgets


def company_plan() -> BudgetPlan:
    """$30,000 a month for 500 people in three tiers, at about $0.01 per 1,000 tokens."""
    return plan_budgets(
        monthly_usd=30_000,
        usd_per_mtok=10,
        tiers=[
            UserTier("basic", users=400, tokens_per_day=2_000_000),
            UserTier("power", users=80, tokens_per_day=10_000_000),
            UserTier("executive", users=20, tokens_per_day=20_000_000),
        ],
        features={"code assistant": 0.5, "document Q&A": 0.3, "mail drafting": 0.2},
        tokens_per_request=32_000,
        alerts=(0.8,),
    )


def main() -> None:
    plan = company_plan()
    print("As asked for:")
    print(plan)
    print(f"\nUser limits times {plan.scale:.4g} use up the month and no more:")
    for limit in plan.fitted_limits:
        who = ", ".join(limit.match.values()) or "everyone"
        tokens = f"{limit.tokens:>10,} tokens" if limit.tokens else " " * 17
        print(f"  {limit.scope:8} {who:16} {limit.window or 'each':6} {tokens} ${limit.usd:>12,.2f}")

    budgets = Budgets(plan.fitted_limits)
    ada = Attribution(user="ada", feature="mail drafting", tags={"user_tier": "basic"})
    calls = 0
    try:
        while True:
            budgets.settle(budgets.reserve(ada, usd="0.32", tokens=32_000), usd="0.32", tokens=32_000)
            calls += 1
    except BudgetExceededError as error:
        print(f"\nA basic user makes {calls} requests of 32,000 tokens a day, then: {error}\n")
    print(budgets.status("user", "ada", tags={"user_tier": "basic"}))


if __name__ == "__main__":
    main()
