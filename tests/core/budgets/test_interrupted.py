"""A stream that is collected in the middle of a step is settled, and nobody waits for ever."""

from decimal import Decimal

import pytest

from tokenomics_core import Attribution
from tokenomics_core.budgets import Budgets, Limit, MemoryBudgetStore, SQLiteBudgetStore

ADA = Attribution(user="ada")


class Interrupting:
    """A clock that brings something along the next time it is read, as a collection does."""

    def __init__(self):
        self.meanwhile = None

    def __call__(self):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return 1_700_000_000.0


@pytest.fixture(params=["memory", "sqlite"])
def world(request, tmp_path):
    clock = Interrupting()
    if request.param == "memory":
        store = MemoryBudgetStore(clock=clock)
    else:
        store = SQLiteBudgetStore(tmp_path / "budget.db", clock=clock)
    return Budgets([Limit("user", usd="1.00")], store), clock


def test_a_settlement_in_the_middle_of_a_reservation_is_booked_afterwards(world, caplog):
    budgets, clock = world
    abandoned = budgets.reserve(ADA, usd="0.10", sent=True)
    settled = []

    def collect():
        settled.append(budgets.settle(abandoned, usd="0.07"))

    # The first reading of the clock belongs to the decision, the second stands inside the store's step.
    def arm():
        clock.meanwhile = collect

    clock.meanwhile = arm
    budgets.reserve(ADA, usd="0.20", sent=True)
    assert [settlement.recorded for settlement in settled] == [False]
    budgets.flush()
    status = budgets.status("user", "ada")
    assert status.spent_usd == Decimal("0.07")
    assert status.held_usd == Decimal("0.20")
    assert budgets.counters.store_failures == 0
    assert not caplog.records
