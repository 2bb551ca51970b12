"""Spend from a budget as one of several processes: `python spender.py MODE STORE ADDRESS ...`."""

from __future__ import annotations

import os
import signal
import sys

from tokenomics_core import Attribution, BudgetExceededError
from tokenomics_core import budgets as area
from tokenomics_core.budgets import Budgets, Limit

ADA = Attribution(user="ada", feature="chat")
DIES_AT_S = 1_763_730_000.0
LEASE_S = 60.0


def budgets_at(kind: str, address: str, cap_usd: str, **options) -> Budgets:
    # Looked up late: without the extra `redis` there is no RedisBudgetStore to import.
    made_by = area.SQLiteBudgetStore if kind == "sqlite" else area.RedisBudgetStore
    store = made_by(address, **options)
    limits = [
        Limit("user", usd=cap_usd, window="month"),
        Limit("feature", usd="1000", window="rolling 24h"),
        Limit(("user", "feature"), tokens=10**9),
    ]
    return Budgets(limits, store=store, lease_s=LEASE_S)


def spend(kind: str, address: str, calls: str, actual_usd: str) -> None:
    """Try that many calls of ten cents each; print how many ran."""
    budgets, ran = budgets_at(kind, address, "1.00"), 0
    for _ in range(int(calls)):
        try:
            reservation = budgets.reserve(ADA, usd="0.10", tokens=100, sent=True)
        except BudgetExceededError:
            continue
        ran += 1
        budgets.settle(reservation, usd=actual_usd, tokens=90)
    print(ran)


def die(kind: str, address: str, times: str) -> None:
    """Fork that many children and kill each one between reserving and settling."""
    budgets = budgets_at(kind, address, "1000", clock=lambda: DIES_AT_S)
    for index in range(int(times)):
        pid = os.fork()
        if pid == 0:
            budgets.reserve(ADA, usd="0.10", tokens=100, sent=index % 2 == 0)
            os.kill(os.getpid(), signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
    print("done")


if __name__ == "__main__":
    {"spend": spend, "die": die}[sys.argv[1]](*sys.argv[2:])
