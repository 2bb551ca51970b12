"""Every store keeps the same books: one suite for memory, SQLite and Redis."""

from __future__ import annotations

import asyncio

import pytest

from tokenomics_core.budgets._store import (
    Account,
    AccountState,
    Amounts,
    Check,
    Granted,
    Hold,
    Refused,
    Stale,
    Sums,
)

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
LEASE_US = 60 * SECOND_US
CENT = 10_000_000
TOTAL = Account("total|4:user|3:ada|0")
OTHER = Account("total|4:user|3:bob|0")
ROLLING = Account("rolling 1h|4:user|3:ada|0", 0, 0, HOUR_US, HOUR_US // 60)


def today(clock) -> Account:
    start = int(clock()) // 86_400 * 86_400 * SECOND_US
    return Account(f"day UTC|4:user|3:ada|{start // SECOND_US}", start, start + 24 * HOUR_US)


def hold(name: str, cents: int, *accounts: Account, tokens: int = 10, lapses: bool = False) -> Hold:
    return Hold(name, "tester", Amounts(cents * CENT, tokens, 1), accounts or (TOTAL,), lapses)


def dollar(account: int = 0, *, soft: bool = False) -> Check:
    return Check(account, 0, 100 * CENT, soft)


def state(store, account: Account = TOTAL) -> AccountState:
    return store.read([account])[1][0]


def spent_cents(store, account: Account = TOTAL) -> float:
    return state(store, account).spent.nano_usd / CENT


def test_a_hold_that_fits_stands_in_every_account(store, clock):
    granted = store.reserve(hold("a", 30, TOTAL, OTHER), [dollar(0), dollar(1)], LEASE_US, False)
    assert granted == Granted(int(clock() * 1e6), int(clock() * 1e6) + LEASE_US)
    for account in (TOTAL, OTHER):
        assert state(store, account).held == Amounts(30 * CENT, 10, 1)
        assert state(store, account).holds[0].owner == "tester"


def test_a_hold_that_one_account_refuses_stands_in_none(store):
    store.reserve(hold("a", 95, OTHER), [dollar()], LEASE_US, False)
    refused = store.reserve(hold("b", 10, TOTAL, OTHER), [dollar(0), dollar(1)], LEASE_US, False)
    assert isinstance(refused, Refused)
    assert (refused.check, refused.committed, refused.granted) == (1, 95 * CENT, 0)
    assert state(store).held == Amounts()
    assert state(store, OTHER).held.nano_usd == 95 * CENT


def test_the_last_nano_dollar_fits_and_the_next_does_not(store):
    almost = Hold("a", "o", Amounts(100 * CENT - 1, 0, 1), (TOTAL,))
    assert isinstance(store.reserve(almost, [dollar()], LEASE_US, False), Granted)
    assert isinstance(
        store.reserve(Hold("b", "o", Amounts(2, 0, 1), (TOTAL,)), [dollar()], LEASE_US, False), Refused
    )
    assert isinstance(
        store.reserve(Hold("c", "o", Amounts(1, 0, 1), (TOTAL,)), [dollar()], LEASE_US, False), Granted
    )


def test_amounts_of_millions_of_dollars_stay_exact(store):
    big = 8_999_999 * 10**9 + 123_456_789
    store.reserve(Hold("a", "o", Amounts(big, 10**15 + 1, 1), (TOTAL,)), [], LEASE_US, False)
    assert state(store).held == Amounts(big, 10**15 + 1, 1)
    store.settle(Hold("a", "o", Amounts(big, 10**15 + 1, 1), (TOTAL,)), Amounts(big - 1, 10**15 + 1, 1))
    assert state(store).spent == Amounts(big - 1, 10**15 + 1, 1)
    assert state(store).held == Amounts()


def test_settling_replaces_the_hold_by_what_was_spent(store):
    store.reserve(hold("a", 30), [dollar()], LEASE_US, True)
    done = store.settle(hold("a", 30), Amounts(7 * CENT, 9, 1))
    assert (done.repeated, done.late) == (False, False)
    assert done.spent == (Amounts(7 * CENT, 9, 1),)
    assert state(store).spent == Amounts(7 * CENT, 9, 1)
    assert state(store).held == Amounts()


def test_settling_twice_books_once(store):
    store.reserve(hold("a", 30), [dollar()], LEASE_US, True)
    store.settle(hold("a", 30), Amounts(7 * CENT, 9, 1))
    assert store.settle(hold("a", 30), Amounts(7 * CENT, 9, 1)).repeated
    assert spent_cents(store) == 7


def test_releasing_frees_the_hold_and_books_nothing(store):
    store.reserve(hold("a", 30), [dollar()], LEASE_US, True)
    assert store.release(hold("a", 30)) == "ok"
    assert store.release(hold("a", 30)) == "done"
    assert state(store)[:3] == (Amounts(), Amounts(), Amounts())


def test_money_settled_after_a_release_is_booked(store):
    store.reserve(hold("a", 30), [dollar()], LEASE_US, True)
    store.release(hold("a", 30))
    assert store.settle(hold("a", 30), Amounts(7 * CENT, 9, 1)).late
    assert spent_cents(store) == 7


def test_a_release_after_settling_changes_nothing(store):
    store.reserve(hold("a", 30), [dollar()], LEASE_US, True)
    store.settle(hold("a", 30), Amounts(7 * CENT, 9, 1))
    assert store.release(hold("a", 30)) == "done"
    assert spent_cents(store) == 7


def test_reserving_the_same_hold_again_changes_nothing(store):
    first = store.reserve(hold("a", 60), [dollar()], LEASE_US, False)
    assert store.reserve(hold("a", 60), [dollar()], LEASE_US, False) == first
    assert state(store).held.nano_usd == 60 * CENT


def test_a_hold_that_was_never_sent_is_freed_at_its_lease(store, clock):
    store.reserve(hold("a", 60), [dollar()], LEASE_US, False)
    clock.pass_s(59.999)
    assert state(store).held.nano_usd == 60 * CENT
    clock.pass_s(0.001)
    assert state(store)[:3] == (Amounts(), Amounts(), Amounts())
    assert isinstance(store.reserve(hold("b", 100), [dollar()], LEASE_US, False), Granted)


def test_a_hold_that_was_sent_is_unconfirmed_after_its_lease_and_goes_on_counting(store, clock):
    store.reserve(hold("a", 60), [dollar()], LEASE_US, True)
    clock.pass_s(60)
    assert state(store).held == Amounts()
    assert state(store).unconfirmed == Amounts(60 * CENT, 10, 1)
    assert isinstance(store.reserve(hold("b", 41), [dollar()], LEASE_US, False), Refused)
    assert not store.settle(hold("a", 60), Amounts(50 * CENT, 10, 1)).late
    assert state(store)[:3] == (Amounts(50 * CENT, 10, 1), Amounts(), Amounts())


def test_marking_as_sent_makes_a_hold_outlive_its_lease(store, clock):
    store.reserve(hold("a", 60), [dollar()], LEASE_US, False)
    assert store.mark_sent(hold("a", 60)) == "ok"
    clock.pass_s(61)
    assert state(store).unconfirmed.nano_usd == 60 * CENT


def test_a_sent_hold_that_was_told_to_lapse_is_freed_at_its_lease(store, clock):
    held = hold("a", 60, lapses=True)
    store.reserve(held, [dollar()], LEASE_US, True)
    assert store.mark_sent(held) == "ok"
    clock.pass_s(60)
    assert state(store).unconfirmed == Amounts()
    assert store.settle(held, Amounts(5 * CENT, 1, 1)).late
    assert spent_cents(store) == 5


def test_marking_tells_when_the_hold_has_lapsed_or_ended(store, clock):
    store.reserve(hold("a", 60), [dollar()], LEASE_US, False)
    clock.pass_s(60)
    assert store.mark_sent(hold("a", 60)) == "lapsed"
    store.settle(hold("a", 60), Amounts())
    assert store.mark_sent(hold("a", 60)) == "done"
    assert store.renew(hold("a", 60), LEASE_US) == "done"


def test_a_renewed_lease_runs_from_now(store, clock):
    store.reserve(hold("a", 60), [dollar()], LEASE_US, False)
    clock.pass_s(50)
    assert store.renew(hold("a", 60), LEASE_US) == "ok"
    clock.pass_s(59)
    assert state(store).held.nano_usd == 60 * CENT
    clock.pass_s(1)
    assert state(store).held == Amounts()
    assert store.renew(hold("a", 60), LEASE_US) == "lapsed"


def test_a_settlement_after_the_lease_books_and_says_that_it_is_late(store, clock):
    store.reserve(hold("a", 60), [dollar()], LEASE_US, False)
    clock.pass_s(3600)
    assert store.settle(hold("a", 60), Amounts(70 * CENT, 10, 1)).late
    assert spent_cents(store) == 70


def test_spend_above_the_limit_is_booked_and_the_next_hold_refused(store):
    store.reserve(hold("a", 20), [dollar()], LEASE_US, True)
    store.settle(hold("a", 20), Amounts(140 * CENT, 10, 1))
    assert spent_cents(store) == 140
    refused = store.reserve(hold("b", 0), [dollar()], LEASE_US, False)
    assert isinstance(refused, Refused)
    assert refused.committed == 140 * CENT


def test_a_soft_check_reports_and_does_not_refuse(store):
    granted = store.reserve(hold("a", 120), [dollar(soft=True), Check(0, 1, 10)], LEASE_US, False)
    assert isinstance(granted, Granted)
    assert granted.soft == (0,)


def test_each_unit_is_checked_against_its_own_limit(store):
    checks = [Check(0, 0, 100 * CENT), Check(0, 1, 15), Check(0, 2, 2)]
    store.reserve(hold("a", 1), checks, LEASE_US, False)
    assert store.reserve(hold("b", 1), checks, LEASE_US, False).check == 1
    store.reserve(hold("c", 1, tokens=1), checks, LEASE_US, False)
    assert store.reserve(hold("d", 1, tokens=1), checks, LEASE_US, False).check == 2


def test_a_window_that_has_ended_or_not_begun_is_stale(store, clock):
    window = today(clock)
    clock.pass_s(86_400)
    assert store.reserve(hold("a", 1, window), [dollar()], LEASE_US, False) == Stale(int(clock() * 1e6))
    clock.pass_s(-2 * 86_400)
    assert store.reserve(hold("a", 1, window), [dollar()], LEASE_US, False) == Stale(int(clock() * 1e6))
    assert state(store, window).held == Amounts()


def test_a_settlement_in_the_next_window_books_where_the_call_was_reserved(store, clock):
    yesterday = today(clock)
    store.reserve(hold("a", 30, yesterday), [dollar()], LEASE_US, True)
    clock.pass_s(86_400)
    store.settle(hold("a", 30, yesterday), Amounts(20 * CENT, 9, 1))
    assert spent_cents(store, yesterday) == 20
    assert spent_cents(store, today(clock)) == 0


def test_money_of_a_window_long_forgotten_is_booked_all_the_same(store, clock):
    window = today(clock)
    store.reserve(hold("a", 30, window), [dollar()], LEASE_US, True)
    clock.pass_s(40 * 86_400)
    store.reserve(hold("b", 30, today(clock)), [dollar()], LEASE_US, True)
    done = store.settle(hold("a", 30, window), Amounts(20 * CENT, 9, 1))
    assert done.spent == (Amounts(20 * CENT, 9, 1),)


def test_spend_leaves_a_rolling_window_never_early_and_at_most_a_step_late(store, clock):
    clock.pass_s(-(clock() % 60))
    store.reserve(hold("a", 60, ROLLING), [dollar()], LEASE_US, True)
    store.settle(hold("a", 60, ROLLING), Amounts(60 * CENT, 10, 1))
    clock.pass_s(3600)
    assert spent_cents(store, ROLLING) == 60
    clock.pass_s(59)
    assert spent_cents(store, ROLLING) == 60
    clock.pass_s(1)
    assert state(store, ROLLING).spent == Amounts()
    assert isinstance(store.reserve(hold("b", 100, ROLLING), [dollar()], LEASE_US, True), Granted)


def test_a_rolling_window_forgets_step_by_step(store, clock):
    clock.pass_s(-(clock() % 60))
    for minute in range(5):
        held = hold(f"a{minute}", 10, ROLLING)
        store.reserve(held, [dollar()], LEASE_US, True)
        store.settle(held, Amounts((minute + 1) * CENT, 1, 1))
        clock.pass_s(60)
    clock.pass_s(3600 - 300)
    left = []
    for _ in range(7):
        left.append(spent_cents(store, ROLLING))
        clock.pass_s(60)
    assert left == [15, 14, 12, 9, 5, 0, 0]


def test_what_was_spent_within_one_step_leaves_together(store, clock):
    clock.pass_s(-(clock() % 60))
    for name in "abc":
        store.reserve(hold(name, 10, ROLLING), [dollar()], LEASE_US, True)
        store.settle(hold(name, 10, ROLLING), Amounts(10 * CENT, 10, 1))
        clock.pass_s(15)
    assert spent_cents(store, ROLLING) == 30
    clock.pass_s(3600 + 15)
    assert state(store, ROLLING).spent == Amounts()


def test_an_unconfirmed_hold_leaves_a_rolling_window_one_length_after_its_lease(store, clock):
    store.reserve(hold("a", 60, ROLLING), [dollar()], LEASE_US, True)
    clock.pass_s(60 + 3599)
    assert state(store, ROLLING).unconfirmed.nano_usd == 60 * CENT
    clock.pass_s(1)
    assert state(store, ROLLING).unconfirmed == Amounts()


def test_a_grant_raises_the_limit_of_its_account(store):
    store.reserve(hold("a", 100), [dollar()], LEASE_US, True)
    store.grant(TOTAL, Amounts(50 * CENT, 0, 0))
    assert isinstance(store.reserve(hold("b", 50), [dollar()], LEASE_US, True), Granted)
    refused = store.reserve(hold("c", 1), [dollar()], LEASE_US, True)
    assert (refused.committed, refused.granted) == (150 * CENT, 50 * CENT)
    assert store.settle(hold("a", 100), Amounts(1, 0, 0)).granted == (Amounts(50 * CENT, 0, 0),)
    assert state(store).granted == Amounts(50 * CENT, 0, 0)


def test_a_name_is_claimed_once_per_account(store):
    assert [store.claim(TOTAL, "usd:0.8") for _ in range(3)] == [True, False, False]
    assert store.claim(TOTAL, "usd:1.0")
    assert store.claim(OTHER, "usd:0.8")


def test_reading_what_was_never_used_finds_nothing(store):
    assert state(store) == AccountState()
    assert store.sums([TOTAL])[1] == (Sums(),)


def test_sums_say_what_the_states_add_up_to(store, clock):
    store.reserve(hold("a", 30, TOTAL, ROLLING), [], LEASE_US, True)
    store.settle(hold("a", 30, TOTAL, ROLLING), Amounts(7 * CENT, 9, 1))
    store.reserve(hold("b", 20, TOTAL, ROLLING), [], LEASE_US, True)
    clock.pass_s(61)
    store.reserve(hold("c", 10, TOTAL, OTHER), [], LEASE_US, False)
    store.grant(TOTAL, Amounts(50 * CENT, 0, 2))
    accounts = [TOTAL, OTHER, ROLLING]
    now_us, sums = store.sums(accounts)
    assert (now_us, len(sums)) == (int(clock() * 1e6), 3)
    for found, whole in zip(sums, store.read(accounts)[1], strict=True):
        assert (found.spent, found.granted) == (whole.spent, whole.granted)
        assert [found.committed(unit) for unit in range(3)] == [whole.committed(unit) for unit in range(3)]


def test_sums_leave_out_what_has_lapsed(store, clock):
    store.reserve(hold("a", 30), [], LEASE_US, False)
    clock.pass_s(60)
    assert store.sums([TOTAL])[1] == (Sums(),)


TWO = Account("day UTC|7:feature+4:user|4:chat3:ada|1763683200", 1, 2**52)
TRICKY = [
    Account("total|4:user|7:3:ada|x|0"),
    Account("total|4:user|4:adam|0"),
    Account("total|7:project|3:ada|0"),
    Account("total|3:all||0"),
    Account("total|7:project+4:user|8:4:user|ad3:bob|0"),
]


def test_a_user_is_forgotten_alone_or_combined_and_nobody_else_is(store):
    mine, others = [TOTAL, ROLLING, TWO], [OTHER, *TRICKY]
    held = hold("a", 1, *mine, *others)
    store.reserve(held, [], LEASE_US, True)
    store.settle(hold("b", 1, *mine, *others), Amounts(CENT, 1, 1))
    assert store.claim(TOTAL, "usd:0.8")
    assert store.forget("ada") == 3
    assert [state(store, account) for account in mine] == [AccountState()] * 3
    assert [state(store, account).committed(0) for account in others] == [2 * CENT] * 6
    assert store.claim(TOTAL, "usd:0.8")  # not even what was told of him
    assert store.forget("nobody") == 0
    assert store.settle(held, Amounts(CENT, 1, 1)).late  # money all the same
    assert spent_cents(store) == 1


def test_a_store_tidies_up_after_a_user_was_forgotten(store, clock):
    store.reserve(hold("a", 1, today(clock)), [], LEASE_US, True)
    assert store.forget("ada") == 1
    clock.pass_s(40 * 86_400)
    assert isinstance(store.reserve(hold("b", 1, today(clock)), [], LEASE_US, True), Granted)


async def test_async_methods_do_what_the_sync_ones_do(store):
    assert isinstance(await store.areserve(hold("a", 30), [dollar()], LEASE_US, False), Granted)
    assert await store.amark_sent(hold("a", 30)) == "ok"
    assert await store.arenew(hold("a", 30), LEASE_US) == "ok"
    assert (await store.asettle(hold("a", 30), Amounts(7 * CENT, 9, 1))).spent == (Amounts(7 * CENT, 9, 1),)
    await store.areserve(hold("b", 30), [dollar()], LEASE_US, False)
    assert await store.arelease(hold("b", 30)) == "ok"
    await store.agrant(TOTAL, Amounts(1, 2, 3))
    assert [await store.aclaim(TOTAL, "x") for _ in range(2)] == [True, False]
    _, (found,) = await store.aread([TOTAL])
    assert found == state(store)
    assert found[:4] == (Amounts(7 * CENT, 9, 1), Amounts(), Amounts(), Amounts(1, 2, 3))
    assert await store.asums([TOTAL]) == store.sums([TOTAL])
    assert await store.aforget("ada") == 1
    assert (await store.asums([TOTAL]))[1] == (Sums(),)
    await _close(store)


async def _close(store):
    if hasattr(store, "aclose"):
        await store.aclose()


async def test_many_tasks_of_one_loop_take_exactly_what_there_is(store):
    async def take(index: int) -> bool:
        reply = await store.areserve(hold(str(index), 10), [dollar()], LEASE_US, True)
        if isinstance(reply, Granted):
            await store.asettle(hold(str(index), 10), Amounts(10 * CENT, 10, 1))
        return isinstance(reply, Granted)

    taken = await asyncio.gather(*(take(index) for index in range(50)))
    assert sum(taken) == 10
    assert spent_cents(store) == 100
    await _close(store)


@pytest.mark.parametrize("kind", ["calendar", "rolling", "total"])
def test_many_holds_lapse_at_once(make_store, clock, kind):
    store = make_store(clock)
    account = {"calendar": today(clock), "rolling": ROLLING, "total": TOTAL}[kind]
    for index in range(1200):
        store.reserve(hold(str(index), 1, account), [], LEASE_US, False)
    clock.pass_s(60)
    assert isinstance(store.reserve(hold("z", 100, account), [dollar()], LEASE_US, False), Granted)
    assert state(store, account).held.nano_usd == 100 * CENT
