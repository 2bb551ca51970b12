"""Nothing overspends: threads, tasks, processes, crashes, and estimates that are too low."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from tests.core.budgets.spender import ADA, DIES_AT_S, LEASE_S, budgets_at
from tokenomics_core import Attribution, BudgetExceededError, ConfigurationError
from tokenomics_core.budgets import Budgets, Limit, MemoryBudgetStore

SPENDER = Path(__file__).with_name("spender.py")


def _budgets(store) -> Budgets:
    return Budgets([Limit("user", usd="1.00", window="day")], store=store)


def test_of_fifty_threads_exactly_ten_run_and_the_status_says_a_dollar(make_store):
    budgets = _budgets(make_store())

    def call(_) -> bool:
        try:
            reservation = budgets.reserve(Attribution(user="ada"), usd="0.10", tokens=1200)
        except BudgetExceededError:
            return False
        budgets.settle(reservation, usd="0.10", tokens=900)
        return True

    with ThreadPoolExecutor(50) as pool:
        ran = sum(pool.map(call, range(50)))
    assert ran == 10
    status = budgets.status("user", "ada")
    assert (status.spent_usd, status.held_usd, status.left_usd) == (Decimal(1), 0, 0)


async def test_of_fifty_tasks_exactly_ten_run(make_store):
    store = make_store()
    budgets = _budgets(store)

    async def call() -> bool:
        try:
            reservation = await budgets.areserve(Attribution(user="ada"), usd="0.10", sent=True)
        except BudgetExceededError:
            return False
        await budgets.asettle(reservation, usd="0.10")
        return True

    assert sum(await asyncio.gather(*(call() for _ in range(50)))) == 10
    assert (await budgets.astatus("user", "ada")).spent_usd == 1
    if hasattr(store, "aclose"):
        await store.aclose()


@pytest.fixture(params=["sqlite", "redis"])
def shared(request, tmp_path):
    """A store that processes share, as its kind and address, and options that keep tests apart."""
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "budgets.db")
    url = request.getfixturevalue("redis_server").url
    from tokenomics_core.budgets import RedisBudgetStore

    RedisBudgetStore(url)._link.client.flushall()
    return "redis", url


def _run(*arguments: str, count: int = 1) -> list[str]:
    command = [sys.executable, str(SPENDER), *arguments]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(count)]
    said = [process.communicate()[0].strip() for process in running]
    assert [process.returncode for process in running] == [0] * count
    return said


def test_sixteen_processes_run_exactly_ten_calls(shared):
    ran = _run("spend", *shared, "10", "0.10", count=16)
    assert sum(map(int, ran)) == 10
    budgets = budgets_at(*shared, "1.00")
    assert budgets.status("user", "ada").spent_usd == 1
    assert budgets.status("feature", "chat").spent_usd == 1
    assert budgets.status(("user", "feature"), ("ada", "chat")).spent_tokens == 900
    budgets.store.close()


def test_estimates_five_times_too_low_overshoot_by_what_was_in_flight_and_all_of_it_is_booked(make_store):
    budgets = _budgets(make_store())
    who = Attribution(user="ada")
    in_flight = [budgets.reserve(who, usd="0.10") for _ in range(4)]
    overshoot = Decimal(0)
    ran = 4
    for reservation in in_flight:
        overshoot += budgets.settle(reservation, usd="0.50").overshoot_usd
    with pytest.raises(BudgetExceededError) as refused:
        budgets.reserve(who, usd="0.10")
    assert refused.value.committed == 2
    assert budgets.status("user", "ada").spent_usd == ran * Decimal("0.50")
    assert budgets.status("user", "ada").left_usd == -1
    assert overshoot == Decimal("1.60") == budgets.counters.overshoot_usd
    assert budgets.counters.overshoots == 4


def test_fifty_threads_with_low_estimates_overshoot_by_what_was_in_flight(make_store):
    budgets, all_asked = _budgets(make_store()), threading.Barrier(50)

    def call(_) -> Decimal:
        try:
            reservation = budgets.reserve(Attribution(user="ada"), usd="0.10", sent=True)
        except BudgetExceededError:
            all_asked.wait()
            return Decimal(0)
        all_asked.wait()
        return budgets.settle(reservation, usd="0.50").overshoot_usd

    with ThreadPoolExecutor(50) as pool:
        overshoot = sum(pool.map(call, range(50)))
    status = budgets.status("user", "ada")
    assert (status.spent_usd, status.held_usd) == (10 * Decimal("0.50"), 0)
    assert overshoot == 10 * Decimal("0.40") == budgets.counters.overshoot_usd
    with pytest.raises(BudgetExceededError):
        budgets.reserve(Attribution(user="ada"), usd=0)


def test_sixteen_processes_with_low_estimates_book_every_dollar(shared):
    ran = sum(map(int, _run("spend", *shared, "10", "0.50", count=16)))
    budgets = budgets_at(*shared, "1.00")
    spent = budgets.status("user", "ada").spent_usd
    assert spent == ran * Decimal("0.50")
    # What is reserved fits the dollar, so at most ten are in flight, each 0.40 above what it reserved.
    assert 1 <= spent <= 1 + 10 * Decimal("0.40")
    budgets.store.close()


def test_two_hundred_processes_killed_between_reserving_and_settling_leave_nothing_stuck(shared):
    assert _run("die", *shared, "200") == ["done"]
    now_s = DIES_AT_S
    budgets = budgets_at(*shared, "1000", clock=lambda: now_s)
    before = budgets.status("user", "ada")
    assert (before.spent_usd, before.held_usd, before.unconfirmed_usd) == (0, 20, 0)
    now_s += LEASE_S
    after = budgets.status("user", "ada")
    # The hundred that were sent may have cost money; the hundred that were not did not.
    assert (after.spent_usd, after.held_usd, after.unconfirmed_usd) == (0, 0, 10)
    reservation = budgets.reserve(ADA, usd="990", tokens=1)
    budgets.settle(reservation, usd="1")
    assert budgets.status("user", "ada").spent_usd == 1
    budgets.store.close()


def test_a_memory_store_refuses_to_be_used_after_a_fork():
    code = """
import os, sys
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core import Attribution, ConfigurationError
budgets = Budgets([Limit("user", usd=1)])
budgets.reserve(Attribution(user="ada"), usd="0.1")
if os.fork() == 0:
    try:
        budgets.reserve(Attribution(user="ada"), usd="0.1")
    except ConfigurationError as error:
        os._exit(0 if "spend the budget again" in str(error) else 2)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_a_sqlite_store_goes_on_after_a_fork(tmp_path):
    code = f"""
import os
from tokenomics_core.budgets import Budgets, Limit, SQLiteBudgetStore
from tokenomics_core import Attribution
budgets = Budgets([Limit("user", usd=1)], store=SQLiteBudgetStore({str(tmp_path / "b.db")!r}))
ada = Attribution(user="ada")
budgets.settle(budgets.reserve(ada, usd="0.1"), usd="0.1")
if os.fork() == 0:
    budgets.settle(budgets.reserve(ada, usd="0.1"), usd="0.1")
    os._exit(0)
os.wait()
budgets.settle(budgets.reserve(ada, usd="0.1"), usd="0.1")
print(budgets.status("user", "ada").spent_usd)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.3"


def test_a_redis_store_goes_on_in_parent_and_child_after_a_fork(redis_server):
    code = f"""
import os
from tokenomics_core.budgets import Budgets, Limit, RedisBudgetStore
from tokenomics_core import Attribution
store = RedisBudgetStore({redis_server.url!r}, namespace="forked", timeout_s=2)
budgets = Budgets([Limit("user", usd=100)], store=store)
ada = Attribution(user="ada")
def call(times):
    for _ in range(times):
        budgets.settle(budgets.reserve(ada, usd="0.1"), usd="0.1")
call(1)
child = os.fork()
call(100)
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
call(1)
print(budgets.status("user", "ada").spent_usd, budgets.counters.store_failures)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "20.2 0"


def test_a_cancelled_areserve_leaves_nothing_set_aside(make_store):
    store = make_store()
    budgets = _budgets(store)
    who = Attribution(user="ada")

    async def cancel_at_every_point() -> None:
        for steps in range(12):
            task = asyncio.ensure_future(budgets.areserve(who, usd="0.50", sent=True))
            for _ in range(steps):
                await asyncio.sleep(0)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                await budgets.arelease(task.result())
            for other in asyncio.all_tasks() - {asyncio.current_task()}:
                await other
        if hasattr(store, "aclose"):
            await store.aclose()

    asyncio.run(cancel_at_every_point())
    status = budgets.status("user", "ada")
    assert (status.held_usd, status.unconfirmed_usd) == (0, 0)


def test_memory_is_the_default_store():
    assert isinstance(Budgets([]).store, MemoryBudgetStore)


def test_what_is_no_limit_is_refused():
    with pytest.raises(ConfigurationError, match="limits must be Limit values"):
        Budgets(["user"])
