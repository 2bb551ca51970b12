"""Late bills are booked, shares are told cheaply, users are forgotten, and failing actions are counted."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.core.budgets.conftest import Clock
from tokenomics_core import Attribution, BudgetExceededError, ConfigurationError, StoreError, attribution
from tokenomics_core.budgets import Budgets, CallShape, Limit, MemoryBudgetStore, SQLiteBudgetStore

ADA = Attribution(user="ada", feature="chat")
BOB = Attribution(user="bob", feature="chat")


def budgets(*limits, clock=None, **options) -> Budgets:
    return Budgets(limits, store=MemoryBudgetStore(clock=clock or Clock()), **options)


def spent(made: Budgets, scope: str, key: str) -> Decimal:
    return made.status(scope, key).spent_usd


def test_a_bill_that_nobody_reserved_is_booked_everywhere_and_the_next_call_refused(make_store):
    made = Budgets([Limit("user", usd=1), Limit("feature", usd=5, tokens=100)], store=make_store())
    done = made.record(ADA, usd="1.25", tokens=40)
    assert (done.usd, done.tokens, done.late, done.repeated, done.recorded) == (
        Decimal("1.25"),
        40,
        False,
        False,
        True,
    )
    assert (spent(made, "user", "ada"), made.status("feature", "chat").spent_tokens) == (Decimal("1.25"), 40)
    assert made.counters.late_settlements == made.counters.overshoots == 0
    with pytest.raises(BudgetExceededError):
        made.reserve(ADA, usd=0, tokens=0)


def test_the_same_bill_is_booked_once(make_store):
    made = Budgets([Limit("user", usd=1)], store=make_store())
    assert not made.record(ADA, usd="0.10", bill_id="invoice 7").repeated
    assert made.record(ADA, usd="0.10", bill_id="invoice 7").repeated
    made.record(ADA, usd="0.10")
    assert spent(made, "user", "ada") == Decimal("0.20")


async def test_a_bill_of_last_month_belongs_to_last_month(make_store):
    clock = Clock()
    store = make_store(clock)
    made = Budgets([Limit("user", usd=1, calls=2, window="month")], store=store)
    then = datetime.fromtimestamp(clock(), UTC) - timedelta(days=30)
    with attribution(user="ada"):
        await made.arecord(usd="0.30", calls=1, at=then)
    assert spent(made, "user", "ada") == 0
    clock.pass_s(-30 * 86_400)
    assert made.status("user", "ada").spent_usd == Decimal("0.30")
    assert made.status("user", "ada").lines[1].spent == 1
    if hasattr(store, "aclose"):
        await store.aclose()


def test_a_bill_tells_the_alerts_that_it_passes():
    told = []
    made = budgets(Limit("user", usd=1), on_alert=told.append)
    made.record(ADA, usd="0.85")
    assert [alert.threshold for alert in told] == [0.8]


def test_a_bill_without_an_amount_or_zone_is_refused():
    made = budgets(Limit("user", usd=1))
    with pytest.raises(ConfigurationError, match="a bill needs usd, tokens or calls; nothing was booked"):
        made.record(ADA)
    with pytest.raises(ConfigurationError, match="at must have a time zone"):
        made.record(ADA, usd=1, at=datetime(2026, 1, 1))
    assert spent(made, "user", "ada") == 0


def test_a_bill_is_kept_while_the_store_cannot_be_used(tmp_path):
    store = SQLiteBudgetStore(tmp_path / "budgets.db", busy_timeout_s=0)
    made = Budgets([Limit("user", usd=1)], store=store)
    made.record(ADA, usd="0.10")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not made.record(ADA, usd="0.20").recorded
    other.close()
    assert spent(made, "user", "ada") == Decimal("0.30")
    store.close()


async def test_the_share_is_that_of_the_tightest_hard_limit(make_store):
    store = make_store()
    soft = Limit("user", usd="0.10", action="downgrade:cheap")
    made = Budgets([Limit("user", usd=1), soft, Limit("feature", tokens=1000, window="day")], store=store)
    assert made.share_used(ADA) == 0
    made.settle(made.reserve(ADA, usd="0.20", tokens=100), usd="0.20", tokens=100)
    made.reserve(ADA, usd="0.30", tokens=300)
    assert made.share_used(ADA) == 0.5
    assert await made.ashare_used(BOB) == 0.4
    made.grant("user", "ada", usd=1)
    assert made.share_used(ADA) == 0.4
    made.record(ADA, usd=3)
    assert made.share_used(ADA) == 1.75
    assert made.share_used(Attribution(project="shop")) == 0
    if hasattr(store, "aclose"):
        await store.aclose()


def test_nothing_allowed_is_a_whole_share():
    assert budgets(Limit("user", usd=0)).share_used(ADA) == 1


def test_a_share_that_nobody_can_know_is_none_or_an_error(tmp_path):
    nowhere = tmp_path / "missing" / "budgets.db"
    limits = [Limit("user", usd=1)]
    with pytest.raises(StoreError):
        Budgets(limits, store=SQLiteBudgetStore(nowhere)).share_used(ADA)
    left_open = Budgets(limits, store=SQLiteBudgetStore(nowhere), on_store_failure="open")
    assert left_open.share_used(ADA) is None


async def test_a_user_who_is_forgotten_starts_anew_and_the_others_totals_stay(make_store):
    store, told = make_store(), []
    limits = [Limit("user", usd=1), Limit(("feature", "user"), calls=9), Limit("feature", usd=5)]
    made = Budgets(limits, store=store, on_alert=lambda alert: told.append((alert.key, alert.threshold)))
    for who in (ADA, BOB):
        made.settle(made.reserve(who, usd="0.90"), usd="0.90")
    assert made.forget(user="ada") == 2
    assert spent(made, "user", "ada") == 0
    assert (spent(made, "user", "bob"), spent(made, "feature", "chat")) == (Decimal("0.9"), Decimal("1.8"))
    made.settle(made.reserve(ADA, usd="0.90"), usd="0.90")
    assert told == [("ada", 0.8), ("bob", 0.8), ("ada", 0.8)]
    assert await made.aforget(user="bob") == 2
    assert spent(made, "user", "bob") == 0
    with pytest.raises(ConfigurationError, match="user must be a name, not ''; nothing was forgotten"):
        made.forget(user="")
    if hasattr(store, "aclose"):
        await store.aclose()


def test_what_waits_for_the_store_is_written_before_its_user_is_forgotten(tmp_path):
    store = SQLiteBudgetStore(tmp_path / "budgets.db", busy_timeout_s=0)
    made = Budgets([Limit("user", usd=1)], store=store)
    held = made.reserve(ADA, usd="0.10")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    made.settle(held, usd="0.10")
    with pytest.raises(StoreError):
        made.forget(user="ada")
    other.close()
    assert made.forget(user="ada") == 1
    assert made.pending == 0
    assert spent(made, "user", "ada") == 0
    store.close()


def test_no_trace_of_a_forgotten_user_stays_in_the_file(tmp_path):
    store = SQLiteBudgetStore(tmp_path / "budgets.db")
    made = Budgets([Limit("user", usd=1)], store=store, on_alert=lambda alert: None)
    someone = Attribution(user="someone.special@example.org")
    made.settle(made.reserve(someone, usd="0.90"), usd="0.90")
    made.reserve(someone, usd="0.05")
    made.record(ADA, usd="0.01")
    found = [path for path in tmp_path.iterdir() if b"someone.special" in path.read_bytes()]
    assert found
    assert made.forget(user="someone.special@example.org") == 1
    for path in tmp_path.iterdir():
        assert b"someone.special" not in path.read_bytes(), path
    store.close()


def test_an_action_that_raises_is_counted_and_its_error_reaches_the_caller():
    def ask(refusal):
        raise LookupError("nobody is there to ask")

    made = budgets(Limit("user", usd=1, action=ask))
    made.reserve(ADA, usd=1)
    for _ in range(2):
        with pytest.raises(LookupError, match="nobody is there to ask"):
            made.reserve(ADA, usd="0.10")
    assert made.counters.action_failures == 2
    assert made.status("user", "ada").held_usd == 1


class FixedPrice:
    """A price book of one rate for input and output alike."""

    def __init__(self, usd_per_token: str) -> None:
        self.rate = Decimal(usd_per_token)

    def ceiling(self, model, provider, at, *, input_tokens, max_output_tokens, n=1, **_):
        return self.rate * (input_tokens + n * max_output_tokens)


async def test_a_call_may_bring_its_own_prices():
    call = CallShape(model="m", input_tokens=100, max_output_tokens=100)
    made = budgets(Limit("user", usd=1), prices=FixedPrice("0.001"))
    assert made.reserve_call(call, ADA).usd == Decimal("0.2")
    assert made.reserve_call(call, ADA, prices=FixedPrice("0.002")).usd == Decimal("0.4")
    assert (await made.areserve_call(call, BOB, prices=FixedPrice("0.003"))).usd == Decimal("0.6")
    unpriced = budgets(Limit("user", usd=1))
    assert unpriced.reserve_call(call, ADA, prices=FixedPrice("0.001")).usd == Decimal("0.2")
