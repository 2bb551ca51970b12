"""Limits of every scope hold together, say why they refuse, and may warn, downgrade or grant more."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.budgets.conftest import Clock
from tokenomics_core import Attribution, BudgetExceededError, ConfigurationError, attribution
from tokenomics_core.budgets import Budgets, Limit, MemoryBudgetStore, Reservation
from tokenomics_core.budgets._money import from_nano, nano_for_hold, nano_for_spend

ADA = Attribution(user="ada", feature="chat", run="r1", tags={"user_tier": "power", "team": "blue"})


def budgets(*limits, clock=None, **options) -> Budgets:
    return Budgets(limits, store=MemoryBudgetStore(clock=clock or Clock()), **options)


@given(st.decimals(0, 9_000_000, places=14))
def test_holds_round_up_and_spend_to_the_nearest_nano_dollar(usd):
    with localcontext() as context:
        context.prec = 5  # a caller's precision changes nothing
        held, spent = nano_for_hold(usd), nano_for_spend(usd)
    assert 0 <= held * Decimal("1e-9") - usd < Decimal("1e-9")
    assert abs(spent * Decimal("1e-9") - usd) <= Decimal("0.5e-9")
    assert from_nano(spent) == spent * Decimal("1e-9")


def test_half_a_nano_dollar_of_spend_goes_to_the_even_one():
    assert [nano_for_spend(Decimal(n) / 2 * Decimal("1e-9")) for n in (1, 3, 5)] == [0, 2, 2]


def test_a_float_is_taken_as_it_is_written():
    assert nano_for_hold(0.1) == 100_000_000


@pytest.mark.parametrize("usd", ["-0.1", "ten", "NaN", "Infinity", True, None, 10**8])
def test_amounts_that_are_none_are_refused(usd):
    with pytest.raises(ConfigurationError, match="usd must be USD from 0 to"):
        nano_for_hold(usd)


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ("user", "ada"),
        ("feature", "chat"),
        ("run", "r1"),
        ("team", "blue"),
        ("all", ""),
        (("user", "feature"), "ada/chat"),
        (("feature", "user"), "chat/ada"),
        (("user", "team", "run"), "ada/blue/r1"),
    ],
)
def test_a_limit_of_any_scope_holds_and_names_itself(scope, key):
    held = budgets(Limit(scope, usd="0.25"))
    for _ in range(2):
        held.reserve(ADA, usd="0.10")
    with pytest.raises(BudgetExceededError) as refused:
        held.reserve(ADA, usd="0.10")
    error = refused.value
    assert (error.scope, error.key, error.window, error.unit, error.rule) == (
        scope if isinstance(scope, str) else "+".join(scope),
        key,
        "total",
        "usd",
        "limit",
    )
    assert (error.limit, error.committed, error.requested) == (
        Decimal("0.25"),
        Decimal("0.20"),
        Decimal("0.10"),
    )
    assert not isinstance(error, ValueError)


def test_a_limit_on_every_request_needs_no_books():
    held = budgets(Limit("request", usd="0.05", tokens=1000))
    held.reserve(ADA, usd="0.05", tokens=1000)
    with pytest.raises(BudgetExceededError) as refused:
        held.reserve(ADA, usd="0.01", tokens=1001)
    assert (refused.value.scope, refused.value.window, refused.value.unit) == ("request", "request", "tokens")


def test_users_do_not_share_a_limit_and_odd_names_do_not_collide():
    held = budgets(Limit(("user", "feature"), usd="0.10"))
    for user, feature in [("a/b", "c"), ("a", "b/c"), ("a|1:b", "c"), ("a", "c")]:
        held.reserve(Attribution(user=user, feature=feature), usd="0.10")


def test_the_order_of_a_combined_scope_does_not_matter():
    held = budgets(Limit(("user", "feature"), usd="0.10"), Limit(("feature", "user"), tokens=10))
    held.settle(held.reserve(ADA, usd="0.10", tokens=10), usd="0.10", tokens=10)
    assert held.status(("feature", "user"), ("chat", "ada")).spent_usd == Decimal("0.10")
    assert held.status(("user", "feature"), ("ada", "chat")).spent_tokens == 10


def test_several_windows_on_one_scope_all_hold(clock):
    held = budgets(
        Limit("user", usd="0.20", window="hour"), Limit("user", usd="0.30", window="day"), clock=clock
    )
    for _ in range(2):
        held.settle(held.reserve(ADA, usd="0.10"), usd="0.10")
    with pytest.raises(BudgetExceededError, match=r"\(hour\)"):
        held.reserve(ADA, usd="0.10")
    clock.pass_s(3600)
    held.settle(held.reserve(ADA, usd="0.10"), usd="0.10")
    with pytest.raises(BudgetExceededError, match=r"\(day\)"):
        held.reserve(ADA, usd="0.10")
    assert held.status("user", "ada").left_usd == 0


def test_a_window_that_ends_frees_its_limit_without_anybody_resetting_it(clock):
    held = budgets(Limit("user", usd="0.10", window="day", timezone="Asia/Tokyo"), clock=clock)
    clock.now_s = datetime(2026, 11, 21, 14, 59, 59, tzinfo=UTC).timestamp()
    held.settle(held.reserve(ADA, usd="0.10"), usd="0.10")
    with pytest.raises(BudgetExceededError):
        held.reserve(ADA, usd="0.10")
    clock.pass_s(1)
    held.reserve(ADA, usd="0.10")


def test_the_most_specific_match_wins_and_of_equals_the_smaller():
    held = budgets(
        Limit("user", usd=1),
        Limit("user", usd=5, match={"user_tier": "power"}),
        Limit("user", usd=3, match={"team": "blue"}),
        Limit("user", usd=9, match={"user_tier": "power", "feature": "search"}),
    )

    def limit_of(**named) -> Decimal:
        with pytest.raises(BudgetExceededError) as refused:
            held.reserve(Attribution(user="ada", **named), usd=100)
        return refused.value.limit

    assert limit_of() == 1
    assert limit_of(tags={"user_tier": "power"}) == 5
    assert limit_of(tags={"user_tier": "power", "team": "blue"}) == 3
    assert limit_of(feature="search", tags={"user_tier": "power", "team": "blue"}) == 9
    assert limit_of(tags={"user_tier": "basic"}) == 1


def test_a_user_who_changes_tier_keeps_what_was_spent():
    held = budgets(
        Limit("user", usd=1, match={"user_tier": "basic"}), Limit("user", usd=5, match={"user_tier": "power"})
    )
    basic = Attribution(user="ada", tags={"user_tier": "basic"})
    held.settle(held.reserve(basic, usd=1), usd=1)
    with pytest.raises(BudgetExceededError):
        held.reserve(basic, usd="0.01")
    held.reserve(ADA, usd=4)
    assert held.status("user", "ada", tags={"user_tier": "power"}).left_usd == 0
    assert held.status("user", "ada").spent_usd == 1


def test_calls_and_tokens_are_limited_like_dollars():
    held = budgets(Limit("run", calls=2), Limit("run", tokens=100))
    held.settle(held.reserve(ADA, tokens=60), tokens=20)
    held.settle(held.reserve(ADA, tokens=60), tokens=20)
    with pytest.raises(BudgetExceededError) as refused:
        held.reserve(ADA, tokens=1)
    assert (refused.value.unit, refused.value.limit, refused.value.committed) == ("calls", 2, 2)


def test_an_answer_from_a_cache_settles_at_nothing():
    held = budgets(Limit("user", usd=1, calls=1))
    held.settle(held.reserve(ADA, usd="0.5"), usd=0, tokens=0, calls=0)
    status = held.status("user", "ada")
    assert (status.spent_usd, status.spent_calls, status.held_usd) == (0, 0, 0)


def test_a_call_settled_without_a_known_cost_is_booked_at_its_worst_case():
    held = budgets(Limit("user", usd=1))
    assert held.settle(held.reserve(ADA, usd="0.5", tokens=7)).usd == Decimal("0.5")
    assert held.status("user", "ada").spent_tokens == 7


def test_the_attribution_in_force_is_the_default():
    held = budgets(Limit("user", usd=1))
    with attribution(user="bob"):
        held.reserve(usd="0.25")
    assert held.status("user", "bob").held_usd == Decimal("0.25")


def test_a_call_that_names_no_user_passes_user_limits_unless_told_otherwise():
    nobody = Attribution(feature="chat")
    assert budgets(Limit("user", usd=1)).reserve(nobody, usd=5).hold.accounts == ()
    with pytest.raises(ConfigurationError, match="the call names no user, which has a limit"):
        budgets(Limit("user", usd=1), unattributed="refuse").reserve(nobody, usd="0.1")


def test_an_unknown_amount_is_not_taken_for_nothing():
    with pytest.raises(ConfigurationError, match="usd is unknown, but a limit on user counts it"):
        budgets(Limit("user", usd=1)).reserve(ADA, tokens=5)
    with pytest.raises(ConfigurationError, match="tokens is unknown, but a limit on request counts it"):
        budgets(Limit("request", tokens=1)).reserve(ADA, usd=5)
    allowed = budgets(Limit("user", usd=1), unknown="allow")
    allowed.settle(allowed.reserve(ADA, tokens=5), usd=2, tokens=5)
    with pytest.raises(BudgetExceededError):
        allowed.reserve(ADA, tokens=5)


def test_a_reservation_can_be_settled_by_another_process(clock):
    store = MemoryBudgetStore(clock=clock)
    limits = [Limit("user", usd=1, window="day")]
    made = Budgets(limits, store=store).reserve(ADA, usd="0.5", sent=True)
    copies = [pickle.loads(pickle.dumps(made)), Reservation.from_dict(json.loads(json.dumps(made.to_dict())))]
    assert copies == [made, made]
    other = Budgets(limits, store=store)
    assert [other.settle(copy, usd="0.4").repeated for copy in copies] == [False, True]
    assert other.status("user", "ada").spent_usd == Decimal("0.4")
    with pytest.raises(ConfigurationError, match="not a reservation"):
        Reservation.from_dict({"hold": 1})


def test_a_hold_that_lapsed_before_it_was_sent_is_set_aside_again_if_it_fits(clock):
    held = budgets(Limit("user", usd=1), clock=clock, lease_s=10)
    late, in_time = held.reserve(ADA, usd="0.6"), held.reserve(ADA, usd="0.4", lease_s=60)
    clock.pass_s(10)
    held.mark_sent(in_time)
    held.mark_sent(late)
    assert held.status("user", "ada").held_usd == 1
    another = budgets(Limit("user", usd=1), clock=clock, lease_s=10)
    late = another.reserve(ADA, usd="0.6")
    clock.pass_s(10)
    another.reserve(ADA, usd="0.6")
    with pytest.raises(BudgetExceededError) as refused:
        another.mark_sent(late)
    assert refused.value.rule == "lease ended"


def test_a_hold_whose_window_ended_before_it_was_sent_is_refused(clock):
    held = budgets(Limit("user", usd=1, window="hour"), clock=clock, lease_s=10)
    late = held.reserve(ADA, usd="0.6")
    clock.pass_s(7200)
    with pytest.raises(BudgetExceededError, match="lease ended"):
        held.mark_sent(late)


def test_what_has_ended_is_not_sent():
    held = budgets(Limit("user", usd=1))
    made = held.reserve(ADA, usd="0.6")
    held.release(made)
    with pytest.raises(ConfigurationError, match="has ended before; the call was not sent"):
        held.mark_sent(made)


def test_on_expiry_release_frees_what_was_sent(clock):
    held = budgets(Limit("user", usd=1), clock=clock, on_expiry="release", lease_s=10)
    made = held.reserve(ADA, usd="0.6", sent=True)
    clock.pass_s(10)
    assert held.status("user", "ada").unconfirmed_usd == 0
    assert held.settle(made, usd="0.5").late
    assert held.counters.late_settlements == 1


def test_alerts_are_told_once_per_threshold_and_window(make_store, clock):
    store, told = make_store(clock), []
    limits = [Limit("user", usd=1, window="day", alerts=(0.5, 0.8, 1.0))]
    several = [Budgets(limits, store=store, on_alert=told.append) for _ in range(3)]  # as many processes

    def spend(times: int) -> None:
        for index in range(times):
            one = several[index % 3]
            one.settle(one.reserve(ADA, usd="0.1"), usd="0.1")

    spend(10)
    assert [(a.threshold, a.spent, a.reason) for a in told] == [
        (0.5, Decimal("0.5"), "spent"),
        (0.8, Decimal("0.8"), "spent"),
        (1.0, Decimal(1), "spent"),
    ]
    assert (told[0].scope, told[0].key, told[0].window, told[0].limit) == ("user", "ada", "day", 1)
    clock.pass_s(86_400)
    spend(6)
    assert [a.threshold for a in told[3:]] == [0.5]


def test_a_refused_call_tells_that_the_limit_is_reached():
    told = []
    held = budgets(Limit("user", usd=1), on_alert=told.append)
    held.settle(held.reserve(ADA, usd="0.5"), usd="0.5")
    for _ in range(3):
        with pytest.raises(BudgetExceededError):
            held.reserve(ADA, usd="0.6")
    assert [(a.threshold, a.reason, a.spent) for a in told] == [(1.0, "refused", Decimal("0.5"))]


def test_a_rolling_window_may_tell_again_after_its_length(clock):
    told = []
    held = budgets(
        Limit("user", usd=1, window="rolling 1h", alerts=(0.5,)), clock=clock, on_alert=told.append
    )
    for _ in range(3):
        held.settle(held.reserve(ADA, usd="0.6"), usd="0.6")
        clock.pass_s(3720)
    assert [alert.spent for alert in told] == [Decimal("0.6")] * 3


def test_a_handler_that_fails_does_not_touch_the_call(caplog):
    def fail(alert):
        raise RuntimeError("pager is down")

    held = budgets(Limit("user", usd=1), on_alert=fail)
    assert held.settle(held.reserve(ADA, usd="0.9"), usd="0.9").usd == Decimal("0.9")
    assert held.counters.alert_failures == 1
    assert "pager is down" in caplog.text


async def test_handlers_may_be_async_whoever_calls():
    told = []

    async def tell(alert):
        await asyncio.sleep(0)
        told.append(alert.threshold)

    held = budgets(Limit("user", usd=1), on_alert=tell)
    await held.asettle(await held.areserve(ADA, usd="0.8"), usd="0.8")
    held.settle(held.reserve(ADA, usd="0.2"), usd="0.2")  # sync code, with this loop running
    assert told == [0.8, 1.0]


def test_beyond_a_soft_limit_calls_pass_in_the_tier_it_names():
    held = budgets(
        Limit("user", usd="0.20", action="downgrade:standard"),
        Limit("user", usd="0.30", action="downgrade:cheap"),
        Limit("user", usd="0.40"),
    )
    tiers = []
    for _ in range(4):
        made = held.reserve(ADA, usd="0.10")
        tiers.append(made.downgrade_to)
        held.settle(made, usd="0.10")
    assert tiers == [None, None, "standard", "cheap"]
    assert held.left(ADA).downgrade_to == "cheap"
    with pytest.raises(BudgetExceededError) as refused:
        held.reserve(ADA, usd="0.10")
    assert refused.value.limit == Decimal("0.40")


def test_a_dear_request_is_downgraded_by_a_soft_limit_on_requests():
    held = budgets(Limit("request", usd="0.05", action="downgrade:cheap"))
    assert held.reserve(ADA, usd="0.04").downgrade_to is None
    assert held.reserve(ADA, usd="0.06").downgrade_to == "cheap"


def test_a_function_at_the_limit_may_grant_more():
    asked = []

    def decide(refusal):
        asked.append(refusal)
        return "0.50" if len(asked) == 1 else None

    held = budgets(Limit("user", usd=1, window="day", action=decide))
    held.settle(held.reserve(ADA, usd=1), usd=1)
    held.settle(held.reserve(ADA, usd="0.50"), usd="0.50")
    with pytest.raises(BudgetExceededError) as refused:
        held.reserve(ADA, usd="0.01")
    assert refused.value.limit == Decimal("1.50")
    first = asked[0]
    assert (first.scope, first.key, first.limit, first.committed, first.requested) == (
        "user",
        "ada",
        1,
        1,
        Decimal("0.50"),
    )
    assert first.resets_at is not None
    assert held.status("user", "ada").lines[0].granted == Decimal("0.50")


def test_a_grant_that_is_too_small_refuses_all_the_same():
    held = budgets(Limit("user", usd=1, action=lambda refusal: "0.10"))
    with pytest.raises(BudgetExceededError) as refused:
        held.reserve(ADA, usd=2)
    assert refused.value.limit == Decimal("1.10")


async def test_the_function_at_the_limit_may_be_async_and_the_loop_goes_on():
    async def decide(refusal):
        await asyncio.sleep(0)
        return 3

    held = budgets(Limit("run", calls=1, action=decide))
    for _ in range(4):
        await held.asettle(await held.areserve(ADA))
    assert held.status("run", "r1").left_calls == 0


def test_a_grant_by_hand_holds_for_the_window(make_store, clock):
    held = Budgets(
        [Limit("user", usd=1, window="day"), Limit("user", usd=9, window="month")], store=make_store(clock)
    )
    with pytest.raises(ConfigurationError, match="window must be one of day, month"):
        held.grant("user", "ada", usd=1)
    held.grant("user", "ada", usd="0.5", window="day")
    held.reserve(ADA, usd="1.5")
    clock.pass_s(86_400)
    with pytest.raises(BudgetExceededError):
        held.reserve(ADA, usd="1.5")
    with pytest.raises(ConfigurationError, match="a grant needs usd, tokens or calls above 0"):
        held.grant("user", "ada", window="day")


def test_status_says_how_fast_money_goes_and_when_it_is_gone(make_store, clock):
    clock.now_s = datetime(2026, 11, 21, 6, tzinfo=UTC).timestamp()
    held = Budgets([Limit("user", usd=10, window="day")], store=make_store(clock), owner="host-a")
    held.settle(held.reserve(ADA, usd=5), usd="4.5", tokens=300)
    running = held.reserve(ADA, usd="0.5", tokens=10)
    status = held.status("user", "ada")
    assert (status.spent_usd, status.held_usd, status.left_usd, status.limit_usd) == (
        Decimal("4.5"),
        Decimal("0.5"),
        5,
        10,
    )
    assert status.burn_usd_per_hour == Decimal("0.75")  # 4.50 in six hours
    assert status.exhausted_at == datetime(2026, 11, 21, 12, 40, tzinfo=UTC)  # 5.00 at 0.75 an hour
    assert status.resets_at == datetime(2026, 11, 22, tzinfo=UTC)
    assert [(hold.id, hold.owner) for hold in status.holds] == [(running.id, "host-a")]


def test_money_that_lasts_for_the_window_has_no_end_in_sight(clock):
    clock.now_s = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
    held = budgets(Limit("user", usd=10, window="day"), clock=clock)
    held.settle(held.reserve(ADA, usd=4), usd=4)
    assert held.status("user", "ada").exhausted_at is None
    assert held.status("user", "bob").burn_usd_per_hour == 0


def test_a_status_is_drawn_as_text_and_on_a_page():
    held = budgets(Limit("user", usd=1, window="day"), Limit("user", usd="0.5", action="downgrade:cheap"))
    held.settle(held.reserve(Attribution(user="<ada>"), usd="0.1"), usd="1.25")
    status = held.status("user", "<ada>")
    assert "$1.25" in str(status)
    assert "soft: cheap" in str(status)
    assert "A call took more than was reserved" in str(status)
    assert "$1.25" in status._repr_html_()
    assert "<ada>" not in status._repr_html_()


def test_scopes_without_limits_have_no_status():
    held = budgets(Limit("user", usd=1), Limit("request", usd=1))
    for scope in ("feature", "request", ("user", "feature")):
        with pytest.raises(ConfigurationError):
            held.status(scope, "x" if isinstance(scope, str) else ("x", "y"))
    with pytest.raises(ConfigurationError, match="takes 1 keys"):
        held.status("user", ("a", "b"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Limit("user"), "needs usd, tokens or calls"),
        (lambda: Limit("", usd=1), "scope must be a name"),
        (lambda: Limit(("user", "user"), usd=1), "distinct names"),
        (lambda: Limit(("user", "all"), usd=1), "stand alone"),
        (lambda: Limit("request", usd=1, window="day"), "has no window"),
        (lambda: Limit("request", calls=1), "a request is always one call"),
        (lambda: Limit("user", usd=-1), "usd must be USD from 0"),
        (lambda: Limit("user", tokens=1.5), "tokens must be a whole number"),
        (lambda: Limit("user", usd=1, alerts=(0,)), "alerts must be shares above 0"),
        (
            lambda: Limit("user", usd=1, action="explode"),
            "action must be 'refuse', 'downgrade:TIER' or a function",
        ),
        (lambda: Limit("user", usd=1, action="downgrade:"), "action must be"),
        (lambda: Limit("user", usd=1, match={"tier": 1}), "match must map strings"),
        (lambda: Budgets([Limit("user", usd=1), Limit("user", usd=2)]), "two limits in usd on user"),
        (lambda: budgets(Limit("user", usd=1)).reserve(ADA, usd=1, lease_s=-1), "lease_s must be above 0"),
        (lambda: budgets(Limit("user", usd=1)).reserve(ADA, usd=1, calls=-1), "calls must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(ConfigurationError, match=says):
        make()
